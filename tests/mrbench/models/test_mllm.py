"""``mllm:`` against transformers, used in a straight line for one item at a time."""

from __future__ import annotations

import io
import json
import pickle
import shutil
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from tiny_mllms import change_json, write_adapter, write_llava_next, write_qwen
from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoTokenizer, LlavaNextProcessor
from vectors_alike import cosines

from mrbench.encode.store import fingerprint
from mrbench.errors import InputError, ModelError
from mrbench.models.check import check_model
from mrbench.models.mllm_checkpoint import split_template
from mrbench.models.protocol import Item
from mrbench.models.template import load_template, template_names
from mrbench.models.zoo import load_model

TEXTS = [
    "two large dogs",
    "",
    "собака спит на пляже",
    "一只狗在山上\nкошка",
    "كلب أحمر 🐕",
    " a  picture of two large dogs on the beach" * 12,
]
INSTRUCTION = "Find a picture that shows this"
SYSTEM = "<|im_start|>system\n{}<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
SHOWN = "<|vision_start|><|image_pad|><|vision_end|>"
HELPFUL = "You are a helpful assistant."
SUMMARY = "\nSummarize above {} in one word: "
LLAMA = "<|start_header_id|>user<|end_header_id|>\n\n{}<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n \n"


def pictures() -> dict[str, Image.Image]:
    noise = np.random.default_rng(0).integers(0, 256, (90, 120, 4), dtype=np.uint8)
    return {
        "noise": Image.fromarray(noise[..., :3]),
        "grey": Image.fromarray(noise[..., 0]),
        "RGBA": Image.fromarray(noise[::-1].copy()),
        "1 x 1": Image.new("RGB", (1, 1), (10, 200, 90)),
        "9 x 150": Image.new("RGB", (9, 150), (10, 20, 90)),
        "2000 x 1500": Image.fromarray(noise[..., :3]).resize((2000, 1500), Image.Resampling.NEAREST),
    }


def said_by(template: str, side: str, text: str | None, image: bool) -> str:
    """The prompt as the publishers' code makes it, ``<|image_pad|>`` or ``<image>`` for a picture."""
    query, words = side == "query", text or ""
    picture = SHOWN if image else ""
    if template == "qwen3-vl-embedding":
        return SYSTEM.format(INSTRUCTION + "." if query else "Represent the user's input.", picture + words)
    if template == "gme":
        return SYSTEM.format(INSTRUCTION if query else HELPFUL, picture + words) + "<|endoftext|>"
    if template == "lamra-ret":  # the embedding token is added and read before, as published
        words = f"{INSTRUCTION} {words}" if query and text is not None else INSTRUCTION if query else words
        of = "sentence" if not image else "image and sentence" if query or text is not None else "image"
        return SYSTEM.format(HELPFUL, picture + words + SUMMARY.format(of)) + "<emb>.<|im_end|>\n"
    if template == "e5-v":
        prompt = f"{words}\nSummary above sentence in one word: " if not image else "<image>\nSummary above image in one word: "
        if image and text is not None:
            prompt = f'<image>Modify this image with "{words}", desribe modified image in one word:'
        return LLAMA.format(prompt)
    if template == "unime-v2":
        if not query:
            plain = "Find an image caption describing the given image." if text is None else words
            return f"<|image_pad|> {plain}" if image else words
        words = INSTRUCTION if text is None else f"{INSTRUCTION} {words}"
        return f"<|image_pad|> {words}" if image else words
    if template == "jina-v4":
        shown = f"<|im_start|>user\n{SHOWN}Describe the image.<|im_end|>\n"
        return shown if image else f"{'Query' if query else 'Passage'}: {words}"
    token = "<|image_pad|>" if template == "vlm2vec" else "<image>"
    if query:
        return (f"{token}\n" if image else "") + INSTRUCTION + ("" if text is None else f" {words}") + "\n"
    return f"{token}\nRepresent the given image.{'' if text is None else f' {words}'}\n" if image else words


MADE = {  # by template: the family, and how the picture is scaled before
    "qwen3-vl-embedding": ("qwen3_vl", {"shortest_edge": 4 * 32 * 32, "longest_edge": 1800 * 32 * 32}),
    "gme": ("qwen2_vl", {"shortest_edge": 256 * 28 * 28, "longest_edge": 1280 * 28 * 28}),
    "lamra-ret": ("qwen2_5_vl", {"shortest_edge": 4 * 28 * 28, "longest_edge": 300 * 28 * 28}),
    "vlm2vec": ("qwen2_vl", {"shortest_edge": 4 * 28 * 28, "longest_edge": 1280 * 28 * 28}),
    "unime-v2": ("qwen2_vl", {}),
    "jina-v4": ("qwen2_5_vl", {}),
    "e5-v": ("llava_next", {}),
    "vlm2vec-llava-next": ("llava_next", {}),
}


@cache
def parts_of(folder: Path, template: str) -> tuple[Any, Any]:
    network = AutoModelForImageTextToText.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    if template == "lamra-ret":
        tokenizer.add_tokens(["<emb>"])
        network.resize_token_embeddings(len(tokenizer) + 2, mean_resizing=False)
    return network, tokenizer


@torch.no_grad()
def straight(folder: Path, template: str, side: str, text: str | None, image: Image.Image | None) -> Any:
    """One item through transformers: the whole prompt as a string, no padding, no positions but transformers' own."""
    if template == "jina-v4" and text is not None and image is not None:
        halves = straight(folder, template, side, text, None), straight(folder, template, side, None, image)
        return halves[0] + halves[1]
    network, tokenizer = parts_of(folder, template)
    prompt = said_by(template, side, text, image is not None)
    if not prompt and not tokenizer("")["input_ids"]:
        prompt = tokenizer.eos_token
    inputs: dict[str, Any] = {}
    if image is not None:
        image = image.convert("RGB")
    if MADE[template][0] == "llava_next":
        processor = LlavaNextProcessor.from_pretrained(folder)
        processor.image_processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
        inputs = dict(processor(text=[prompt], images=None if image is None else [image], return_tensors="pt"))
        ids = inputs["input_ids"]
    else:
        if image is not None:
            processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
            if template == "unime-v2":
                image = image.resize((1344, 1344))
            if template == "vlm2vec" and min(image.size) < 28:
                image = image.resize((56, 56))
            size = {"size": MADE[template][1]} if MADE[template][1] else {}
            inputs = dict(processor(images=[image], return_tensors="pt", **size))
            prompt = prompt.replace("<|image_pad|>", "<|image_pad|>" * (int(inputs["image_grid_thw"].prod()) // 4))
        ids = tokenizer(prompt, return_tensors="pt")["input_ids"]
        kinds = (ids == tokenizer.convert_tokens_to_ids("<|image_pad|>")).int()
        inputs |= {"input_ids": ids, "attention_mask": torch.ones_like(ids), "mm_token_type_ids": kinds}
        if template in ("vlm2vec", "unime-v2"):  # no token starts the picture: before transformers 5 it was a text
            inputs["position_ids"] = torch.arange(ids.shape[1]).expand(3, 1, -1)
    hidden = network.model(**inputs).last_hidden_state[0]
    if template == "lamra-ret":
        vector = hidden[ids[0].tolist().index(tokenizer.convert_tokens_to_ids("<emb>")) - 1]
    elif template == "jina-v4":
        start, end = (tokenizer.convert_tokens_to_ids(f"<|vision_{one}|>") for one in ("start", "end"))
        row = ids[0].tolist()
        vector = hidden.mean(0) if image is None else hidden[row.index(start) : row.index(end) + 1].mean(0)
    else:
        vector = hidden[-1]
    return torch.nn.functional.normalize(vector, dim=-1).numpy()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The checkpoint for a family, written once."""
    root = tmp_path_factory.mktemp("mllm")

    def write(family: str) -> Path:
        folder = root / family
        if not folder.exists():
            write_llava_next(folder) if family == "llava_next" else write_qwen(folder, family)
        return folder

    return write


def as_given(image: Image.Image) -> Image.Image:
    """A picture as an evaluation gives it to a model: RGB, whatever it was."""
    return image.convert("RGB")


@pytest.mark.parametrize("template", MADE)
def test_vectors_are_those_of_transformers(written: Callable[[str], Path], template: str) -> None:
    folder = written(MADE[template][0])
    model = load_model(f"mllm:{folder}@{template}", device="cpu", dtype="float32")
    images = list(pictures().values())[: 3 if template == "unime-v2" else None]  # 9,216 patches each
    texts = [Item(text) for text in TEXTS]
    both = [Item(text, as_given(image)) for text, image in zip(TEXTS, images[:5], strict=False)]
    for side in ("query", "candidate"):
        shown = images if side == "candidate" else images[:5]  # the largest once
        items = [*texts, *[Item(None, as_given(image)) for image in shown], *both]
        found = model.embed_queries(items, INSTRUCTION) if side == "query" else model.embed_candidates(items)
        assert found.dtype == np.float32
        expected = [straight(folder, template, side, item.text, item.image) for item in items]
        assert cosines(found, expected).min() > 0.9999
        alone = [
            (model.embed_queries([item], INSTRUCTION) if side == "query" else model.embed_candidates([item]))[0]
            for item in items
        ]
        assert cosines(found, alone).min() > 0.99999
    assert len({vector.tobytes() for vector in found}) >= len(items) - 1  # a picture may be what it is with no text


def test_every_template_is_compared(written: Callable[[str], Path]) -> None:
    assert {*template_names()} == {*MADE, "elva-ret"}  # that one is compared with elva itself, in tests/elva


@pytest.mark.parametrize("family", ["qwen2_vl", "qwen3_vl", "llava_next"])
@pytest.mark.parametrize("pooling", ["last", "mean", "mean_of_image"])
def test_what_fills_up_does_not_show_on_either_side(
    written: Callable[[str], Path], tmp_path: Path, family: str, pooling: str
) -> None:
    folder, found = written(family), []
    for padding in ("left", "right"):
        mine = tmp_path / f"{padding}.yaml"
        mine.write_text(
            f"summary: mine\nsource: [here]\nmodel_types: [{family}]\npadding: {padding}\npooling: {pooling}\n"
            "query: &one {text: 'say {text}', image: '{image} what', both: '{image}{text}.'}\ncandidate: *one\n"
        )
        model = load_model(f"mllm:{folder}@{mine}", device="cpu")
        items = [*map(Item, TEXTS), *[Item(TEXTS[0], as_given(one)) for one in list(pictures().values())[:5]]]
        found.append(model.embed_candidates(items))
        alone = np.concatenate([model.embed_candidates([item]) for item in items])
        assert cosines(found[-1], alone).min() > 0.99999
    assert cosines(*found).min() > 0.99999


@pytest.mark.parametrize(("family", "template"), [("qwen2_vl", "gme"), ("qwen3_vl", "qwen3-vl-embedding"), ("llava_next", "e5-v")])
@pytest.mark.parametrize(("dtype", "least"), [("float16", 0.9995), ("bfloat16", 0.97)])
def test_sixteen_bit_is_near(
    written: Callable[[str], Path], family: str, template: str, dtype: str, least: float
) -> None:
    """The weights are six times what a fresh network has, so that attention matters; rounding matters more then too."""
    spec = f"mllm:{written(family)}@{template}"
    items = [Item(text) for text in TEXTS] + [Item("a dog", as_given(image)) for image in list(pictures().values())[:3]]
    half = load_model(spec, device="cpu", dtype=dtype)
    assert half.dtype == dtype
    found = half.embed_candidates(items)
    assert found.dtype == np.float32
    assert cosines(found, load_model(spec, device="cpu", dtype="float32").embed_candidates(items)).min() > least
