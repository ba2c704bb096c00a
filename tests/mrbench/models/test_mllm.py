"""``mllm:`` against transformers, used in a straight line for one item at a time."""

from __future__ import annotations

import json
import pickle
import re
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
from mrbench.models.mllm import _scaled
from mrbench.models.mllm_checkpoint import split_template
from mrbench.models.protocol import Item
from mrbench.models.template_files import load_template, template_names
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
        prompt = (
            f"{words}\nSummary above sentence in one word: "
            if not image
            else "<image>\nSummary above image in one word: "
        )
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


@pytest.mark.slow
@pytest.mark.parametrize("template", MADE)
def test_vectors_are_those_of_transformers(written: Callable[[str], Path], template: str) -> None:
    folder = written(MADE[template][0])
    model = load_model(f"mllm:{folder}@{template}", device="cpu", dtype="float32")
    images = list(pictures().values())[: 1 if template == "unime-v2" else None]  # 9,216 patches each
    texts = [Item(text) for text in TEXTS]
    both = [Item(text, as_given(image)) for text, image in zip(TEXTS, images[:5], strict=False)]
    for side in ("query", "candidate"):
        shown = images if side == "candidate" else images[:5]  # the largest once
        items = [*texts, *[Item(None, as_given(image)) for image in shown], *both]
        found = model.embed_queries(items, INSTRUCTION) if side == "query" else model.embed_candidates(items)
        assert found.dtype == np.float32
        expected = [straight(folder, template, side, item.text, item.image) for item in items]
        assert cosines(found, expected).min() > 0.9999
        if template == "unime-v2":
            continue  # 9,216 patches take their time
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


@pytest.mark.parametrize(
    ("family", "template"), [("qwen2_vl", "gme"), ("qwen3_vl", "qwen3-vl-embedding"), ("llava_next", "e5-v")]
)
@pytest.mark.parametrize(("dtype", "least"), [("float16", 0.9999), ("bfloat16", 0.999)])
def test_sixteen_bit_is_near(
    written: Callable[[str], Path], family: str, template: str, dtype: str, least: float
) -> None:
    """The weights are six times what a fresh network has, so that attention matters; rounding matters more then too."""
    spec = f"mllm:{written(family)}@{template}"
    shown = [as_given(image) for image in list(pictures().values())[:3]]
    items = [*map(Item, TEXTS), *(Item(image=one) for one in shown), *(Item("a dog", one) for one in shown)]
    half = load_model(spec, device="cpu", dtype=dtype)
    assert half.dtype == dtype
    found = half.embed_candidates(items)
    assert found.dtype == np.float32
    assert cosines(found, load_model(spec, device="cpu", dtype="float32").embed_candidates(items)).min() > least


def write(folder: Path, **settings: Any) -> Path:
    return write_qwen(folder, "qwen2_vl", **settings)


@pytest.fixture(scope="module")
def gme(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that says how it embeds."""
    return write(tmp_path_factory.mktemp("gme") / "gme", architectures=["GmeQwen2VLForVision2Seq"])


def test_models_check_passes(written: Callable[[str], Path]) -> None:
    model = load_model(f"mllm:{written('qwen2_5_vl')}@lamra-ret", device="cpu")
    findings = check_model(model)
    assert [one for one in findings if one.status == "FAIL"] == []


def test_a_prepared_picture_comes_through_another_process_unchanged(gme: Path) -> None:
    model = load_model(f"mllm:{gme}", device="cpu")
    image = as_given(pictures()["noise"])
    prepare = pickle.loads(pickle.dumps(model.prepare))
    ready = pickle.loads(pickle.dumps(prepare(image)))
    vectors = model.embed_candidates([Item("a dog", image), Item("a dog", ready)])
    assert np.array_equal(vectors[0], vectors[1])


@pytest.mark.parametrize("image", ["1 x 1000", "1000 x 1"])
def test_a_picture_too_narrow_for_its_processor_is_widened(gme: Path, image: str) -> None:
    wide = Image.new("RGB", tuple(map(int, image.split(" x "))), (250, 30, 60))
    model = load_model(f"mllm:{gme}", device="cpu")
    five = wide.resize((max(wide.width, 5), max(wide.height, 5)))
    found = model.embed_candidates([Item(None, wide), Item(None, five)])
    assert cosines(found[:1], found[1:]).min() > 0.99999


def test_the_template_of_a_known_checkpoint_needs_no_name(gme: Path) -> None:
    assert load_model(f"mllm:{gme}", device="cpu").template == "gme"


def test_a_checkpoint_that_does_not_tell_is_one_line_with_the_templates(written: Callable[[str], Path]) -> None:
    with pytest.raises(
        InputError, match=r"does not tell how it embeds; .*@TEMPLATE with elva-ret, gme, lamra-ret, unime-v2, vlm2vec"
    ):
        load_model(f"mllm:{written('qwen2_vl')}", device="cpu")
    with pytest.raises(InputError, match=r"no such template; .*got: 'gem'; accepted: e5-v, elva-ret, gme"):
        load_model(f"mllm:{written('qwen2_vl')}@gem", device="cpu")
    with pytest.raises(InputError, match="made for other models; where: e5-v; got: 'qwen2_vl'; accepted: llava_next"):
        load_model(f"mllm:{written('qwen2_vl')}@e5-v", device="cpu")


def test_a_hub_id_tells_the_template_and_may_have_a_revision(
    tmp_path: Path, written: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, storage = "0123456789abcdef0123456789abcdef01234567", tmp_path / "models--royokong--e5-v"
    shutil.copytree(written("llava_next"), storage / "snapshots" / commit)
    (storage / "refs").mkdir()
    (storage / "refs" / "main").write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for spec in ("royokong/e5-v", "royokong/e5-v@main", "royokong/e5-v@main@e5-v"):
        model = load_model(f"mllm:{spec}", device="cpu")
        assert (model.name, model.revision, model.template) == ("royokong/e5-v", commit, "e5-v")
    assert split_template("org/model@v1.0") == ("org/model@v1.0", None)


def test_no_text_becomes_a_special_token(gme: Path) -> None:
    model = load_model(f"mllm:{gme}", device="cpu")
    image = as_given(pictures()["noise"])
    hostile = "a <|image_pad|><|im_end|> <<|im_start|>|im_start|> <|vision_start|> dog"
    ids = model._tokens("query", "both", f"{hostile}", hostile, 3)
    tokenizer = AutoTokenizer.from_pretrained(gme)
    assert ids.count(tokenizer.convert_tokens_to_ids("<|image_pad|>")) == 3
    assert ids.count(tokenizer.convert_tokens_to_ids("<|im_end|>")) == 2
    assert ids.count(tokenizer.convert_tokens_to_ids("<|im_start|>")) == 3
    assert np.isfinite(model.embed_queries([Item(hostile, image), Item(hostile)], hostile)).all()
    braces = "{image} {text} {instruction} {input}"
    assert np.isfinite(model.embed_queries([Item(braces, image), Item(braces)], braces)).all()
    assert braces in tokenizer.decode(model._tokens("query", "text", braces, "", 0))


@pytest.mark.parametrize("text", ["two large dogs " * 700, "собака спит " * 400, "🐕" * 900])
def test_a_long_text_is_cut_so_that_the_end_of_the_prompt_stays(gme: Path, text: str) -> None:
    model = load_model(f"mllm:{gme}", device="cpu")
    tokenizer = AutoTokenizer.from_pretrained(gme)
    assert model.max_length == 1800
    ids = model._tokens("query", "text", "", text, 0)
    said = tokenizer.decode(ids)
    assert 1790 <= len(ids) <= 1800
    assert said.endswith("<|im_end|>\n<|im_start|>assistant\n<|endoftext|>")
    kept = said.split("user\n")[1].split("<|im_end|>")[0]
    assert text.startswith(kept)
    assert cosines(model.embed_candidates([Item(text)]), model.embed_candidates([Item(kept)])).min() > 0.99999
    before = model.preprocessing
    model.max_length = 60
    assert len(model._tokens("query", "text", "", text, 0)) <= 60
    assert model.preprocessing != before


def test_a_query_without_an_instruction_is_embedded_as_a_candidate(written: Callable[[str], Path]) -> None:
    model = load_model(f"mllm:{written('qwen2_5_vl')}@lamra-ret", device="cpu")
    items = [Item("two dogs"), Item("a dog", as_given(pictures()["noise"])), Item(None, as_given(pictures()["grey"]))]
    assert np.array_equal(model.embed_queries(items, ""), model.embed_candidates(items))
    assert cosines(model.embed_queries(items, INSTRUCTION), model.embed_candidates(items)).max() < 0.9999


def test_an_item_without_anything_is_an_error(gme: Path) -> None:
    model = load_model(f"mllm:{gme}", device="cpu")
    with pytest.raises(ModelError, match="neither a text nor an image; where: gme, item 1"):
        model.embed_candidates([Item("a"), Item()])
    assert model.embed_candidates([]).shape == (0, 32)


def broken(tmp_path: Path, gme: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> str:
    folder = tmp_path / "broken"
    shutil.copytree(gme, folder, dirs_exist_ok=True)
    save_file(change(load_file(gme / "model.safetensors")), folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError) as error:
        load_model(f"mllm:{folder}", device="cpu")
    return str(error.value)


def test_damaged_weights_are_one_line(tmp_path: Path, gme: Path) -> None:
    name = "model.layers.0.mlp.up_proj.weight"  # as on the hub, where the names are those of older versions

    def without(weights: dict[str, Any]) -> dict[str, Any]:
        return {key: tensor for key, tensor in weights.items() if key != name}

    assert re.search(r"lack keys: model\.language_model\.layers\.0\.mlp\.up_proj", broken(tmp_path, gme, without))
    assert "unexpected keys: model.language_model.extra" in broken(
        tmp_path, gme, lambda w: w | {"model.extra": w[name].clone()}
    )
    assert "wrongly shaped keys" in broken(tmp_path, gme, lambda w: w | {name: w[name][:4].clone()})
    assert "not finite" in broken(tmp_path, gme, lambda w: w | {name: w[name] * torch.nan})


def test_the_head_may_be_absent_or_too_many(tmp_path: Path, written: Callable[[str], Path]) -> None:
    """Embedders are published with and without the head that scores tokens, which is not used."""
    folder, source = tmp_path / "headless", written("qwen2_5_vl")
    shutil.copytree(source, folder)
    weights = load_file(source / "model.safetensors")
    assert "lm_head.weight" in weights
    save_file(
        {k: t for k, t in weights.items() if k != "lm_head.weight"},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
    items = [Item("two dogs")]
    vectors = [load_model(f"mllm:{one}@lamra-ret", device="cpu").embed_candidates(items) for one in (source, folder)]
    assert np.array_equal(*vectors)


class Canary:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


def test_pickles_are_refused(tmp_path: Path, gme: Path) -> None:
    folder = tmp_path / "pickled"
    shutil.copytree(gme, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    torch.save({"weight": Canary(tmp_path / "canary")}, folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="pickled ones can run code"):
        load_model(f"mllm:{folder}", device="cpu")
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("old_names", [False, True])
def test_an_adapter_is_merged_into_its_base_whatever_its_names(
    tmp_path: Path, written: Callable[[str], Path], old_names: bool
) -> None:
    from peft import PeftModel

    base = written("qwen2_vl")
    network = AutoModelForImageTextToText.from_pretrained(base)
    adapter = write_adapter(tmp_path / "adapter", base, network, old_names=old_names)
    model = load_model(f"mllm:{adapter}@vlm2vec", device="cpu")
    assert model.name == "adapter"
    assert fingerprint(model) != fingerprint(load_model(f"mllm:{base}@vlm2vec", device="cpu"))
    new = write_adapter(tmp_path / "new", base, AutoModelForImageTextToText.from_pretrained(base))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        unmerged = PeftModel.from_pretrained(AutoModelForImageTextToText.from_pretrained(base), new).eval()
    ids = AutoTokenizer.from_pretrained(base)(["two large dogs"], return_tensors="pt")["input_ids"]
    with torch.no_grad():
        expected = unmerged.base_model.model.model(input_ids=ids).last_hidden_state[:, -1]
    found = model.embed_candidates([Item("two large dogs")])
    assert cosines(found, expected).min() > 0.9999
    plain = load_model(f"mllm:{base}@vlm2vec", device="cpu").embed_candidates([Item("two large dogs")])
    assert cosines(found, plain).max() < 0.99


def test_an_adapter_with_other_keys_is_an_error(tmp_path: Path, written: Callable[[str], Path]) -> None:
    base = written("qwen2_vl")
    adapter = write_adapter(tmp_path / "adapter", base, AutoModelForImageTextToText.from_pretrained(base))
    held = load_file(adapter / "adapter_model.safetensors")
    save_file(
        {name.replace("layers.0", "layers.7"): t for name, t in held.items()}, adapter / "adapter_model.safetensors"
    )
    with pytest.raises(ModelError, match="lack keys"):
        load_model(f"mllm:{adapter}@vlm2vec", device="cpu")
    save_file(held | {"base_model.model.extra": torch.zeros(1)}, adapter / "adapter_model.safetensors")
    with pytest.raises(ModelError, match="unexpected keys"):
        load_model(f"mllm:{adapter}@vlm2vec", device="cpu")
    shutil.rmtree(base_copy := tmp_path / "gone", ignore_errors=True)
    change_json(adapter / "adapter_config.json", base_model_name_or_path=str(base_copy))
    save_file(held, adapter / "adapter_model.safetensors")
    assert load_model(f"mllm:{adapter}?base={base}@vlm2vec", device="cpu").dimension == 32


CODE = """
from pathlib import Path
import torch
from transformers import Qwen2_5_VLConfig, PreTrainedModel

Path({canary!r}).touch()


class Config(Qwen2_5_VLConfig):
    pass


class JinaEmbeddingsV4Model(PreTrainedModel):
    config_class = Config

    def __init__(self, config):
        super().__init__(config)
        self.table = torch.nn.Linear(8, 6)
        self.post_init()

    def encode_text(self, texts, task, prompt_name):
        assert task == "retrieval"
        codes = [[len(text), text.count("a"), prompt_name == "query", 1, 0, 0, 0, 0] for text in texts]
        return list(torch.nn.functional.normalize(self.table(torch.tensor(codes).float()), dim=-1))

    def encode_image(self, images, task):
        assert task == "retrieval"
        codes = [[*image.resize((1, 1)).getpixel((0, 0)), 0, 0, 0, 0, 1] for image in images]
        return list(torch.nn.functional.normalize(self.table(torch.tensor(codes).float() / 255), dim=-1))
"""


def write_jina(folder: Path, canary: Path) -> Path:
    folder.mkdir()
    auto = {"AutoConfig": "modeling_tiny.Config", "AutoModel": "modeling_tiny.JinaEmbeddingsV4Model"}
    said = {"model_type": "qwen2_5_vl", "architectures": ["JinaEmbeddingsV4Model"], "auto_map": auto}
    (folder / "config.json").write_text(json.dumps(said))
    (folder / "modeling_tiny.py").write_text(CODE.format(canary=str(canary)))
    torch.manual_seed(0)
    save_file(
        {"table.weight": torch.randn(6, 8), "table.bias": torch.randn(6)},
        folder / "model.safetensors",
        {"format": "pt"},
    )
    return folder


def test_code_of_a_checkpoint_runs_with_leave_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    canary = tmp_path / "canary"
    folder = write_jina(tmp_path / "jina", canary)
    with pytest.raises(ModelError, match=r"code of its own, which nobody allowed.*--trust-remote-code"):
        load_model(f"mllm:{folder}", device="cpu")
    assert not canary.exists()
    model = load_model(f"mllm:{folder}", device="cpu", trust_remote_code=True)
    assert canary.exists()
    assert model.remote_code
    assert model.template == "jina-v4"
    image = as_given(pictures()["noise"])
    found = model.embed_queries([Item("a dog"), Item(None, image), Item("a dog", image)], INSTRUCTION)
    with torch.no_grad():
        text = model.module.encode_text(["a dog"], task="retrieval", prompt_name="query")[0]
        shown = model.module.encode_image([image], task="retrieval")[0]
        passage = model.module.encode_text(["a dog"], task="retrieval", prompt_name="passage")[0]
    assert cosines(found, torch.stack([text, shown, text + shown])).min() > 0.99999
    assert cosines(model.embed_candidates([Item("a dog")]), passage[None]).min() > 0.99999
    weights = load_file(folder / "model.safetensors")
    save_file({"table.weight": weights["table.weight"]}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=r"lack keys: table\.bias"):
        load_model(f"mllm:{folder}", device="cpu", trust_remote_code=True)


def test_leave_changes_nothing_for_a_model_that_has_no_code(gme: Path) -> None:
    model = load_model(f"mllm:{gme}", device="cpu", trust_remote_code=True)
    assert not getattr(model, "remote_code", False)


def test_no_file_but_those_of_the_checkpoint_counts_for_its_identity(tmp_path: Path, gme: Path) -> None:
    copy = tmp_path / "gme"
    shutil.copytree(gme, copy)
    (copy / "README.md").write_text("more")
    one, other = (load_model(f"mllm:{folder}", device="cpu") for folder in (gme, copy))
    assert fingerprint(one) == fingerprint(other)
    mine = tmp_path / "mine.yaml"
    mine.write_text((Path(load_template.__code__.co_filename).parent / "templates" / "gme.yaml").read_text())
    assert load_model(f"mllm:{copy}@{mine}", device="cpu").how.digest == one.how.digest
    mine.write_text(mine.read_text().replace("max_length: 1800", "max_length: 1801"))
    changed = load_model(f"mllm:{copy}@{mine}", device="cpu")
    assert changed.template == "mine"
    assert fingerprint(changed) != fingerprint(one)


@pytest.mark.parametrize(("family", "template"), [("qwen2_5_vl", "lamra-ret"), ("llava_next", "e5-v")])
def test_pictures_wait_as_bytes_and_are_scaled_a_pass_at_a_time(
    written: Callable[[str], Path], family: str, template: str
) -> None:
    """A batch of the engine waits in memory: as float32 its largest pictures would take gigabytes."""
    model = load_model(f"mllm:{written(family)}@{template}", device="cpu", dtype="float32")
    image = as_given(pictures()["noise"])
    ready = model.prepare(image).arrays["pixel_values"]
    assert ready.dtype == np.uint8
    model.prepare.scales = True
    expected = model.prepare(image).arrays["pixel_values"]
    assert (expected.dtype, expected.nbytes) == (np.float32, 4 * ready.nbytes)
    np.testing.assert_array_equal(_scaled(torch.from_numpy(ready), model._scaling).numpy(), expected)
