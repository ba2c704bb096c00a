"""Encoding through MRBench's engine beside the own ``encode`` of each library, adapter by adapter.

Each model has random weights and the size of a common one: speed does not depend on what it has learned. Ours is what
``mrbench evaluate`` does before it searches, from PNG bytes and texts to vectors that are checked. The peer starts from
the same bytes and does what the documentation of its library does, in batches of 32. The two run in turn, there and
back, and their vectors are compared first. CPU time is that of all threads.

Texts are distinct, made of a template, and as long as captions of COCO are: 8 to 18 words, half of them 10 or less.

pip install -e '.[benchmark,models,open_clip,timm]' && python benchmarks/adapter_encoding.py
"""

from __future__ import annotations

import argparse
import logging
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import transformers
from encoding import BATCH, batched, candidates, opened, ours, pictures, write_clip
from peers import machine, record, write_records
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers

from mrbench.models.zoo import load_model

WORDS = {
    "who": "man woman boy girl dog cat horse bird child cow bear sheep player skier surfer worker driver baby",
    "how": "young small large brown white black old red happy tired wet striped lonely busy green tall",
    "does": "sits stands walks runs sleeps plays jumps waits rides looks leans eats smiles turns poses rests",
    "where": "on near beside behind under above against by",
    "what": "bench street table beach field tree car train bus fence boat wall bed couch kitchen river hill road",
}
TEMPLATE = (
    "a how who does where a how what with a how who where the what and a how what where some how what in the how what"
)
Pair = tuple[object, Callable[[list], np.ndarray]]  # our model, and the peer
CASES: dict[str, Callable[[Path, list[str]], dict[str, Pair]]] = {}


def case(make: Callable[[Path, list[str]], dict[str, Pair]]) -> Callable[[Path, list[str]], dict[str, Pair]]:
    CASES[make.__name__.strip("_")] = make
    return make


def captions(number: int, rng: np.random.Generator) -> list[str]:
    """Return distinct texts, lower-case words."""
    words = {name: pool.split() for name, pool in WORDS.items()}
    found: dict[str, None] = {}
    while len(found) < number:
        length = int(np.clip(rng.lognormal(2.32, 0.17), 8, 18))
        said = [str(rng.choice(words[word])) if word in words else word for word in TEMPLATE.split()[:length]]
        found[" ".join(said)] = None
    return list(found)


def in_batches(embed: Callable[[list], torch.Tensor], convert: Callable[[list], list] = list) -> Callable:
    """Return a peer that embeds items 32 at a time without gradients."""

    @torch.inference_mode()
    def run(items: list) -> np.ndarray:
        return torch.cat([embed(convert(part)) for part in batched(items, BATCH)]).float().numpy()

    return run


@case
def hf(folder: Path, said: list[str]) -> dict[str, Pair]:
    """transformers, as the page of CLIP has it."""
    write_clip(folder, said)
    model, module = load_model(f"hf:{folder}", device="cpu"), transformers.CLIPModel.from_pretrained(folder).eval()
    processor = transformers.AutoProcessor.from_pretrained(folder)

    def texts(part: list[str]) -> torch.Tensor:
        return module.get_text_features(**processor(text=part, padding=True, return_tensors="pt")).pooler_output

    def images(part: list) -> torch.Tensor:
        return module.get_image_features(**processor(images=part, return_tensors="pt")).pooler_output

    return {"texts": (model, in_batches(texts)), "images": (model, in_batches(images, opened))}


@case
def hf_siglip(folder: Path, said: list[str]) -> dict[str, Pair]:
    """transformers, as the page of SigLIP has it: texts are filled up to 64 tokens."""
    words = ["<pad>", "</s>", "<unk>", *sorted({word for text in said for word in text.split()})]
    words = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    names = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    transformers.PreTrainedTokenizerFast(tokenizer_object=words, model_max_length=64, **names).save_pretrained(folder)
    transformers.SiglipImageProcessor(size={"height": 224, "width": 224}).save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.SiglipConfig(text_config={}, vision_config={"patch_size": 32})
    transformers.SiglipModel(config).save_pretrained(folder)
    model, module = load_model(f"hf:{folder}", device="cpu"), transformers.SiglipModel.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    processor = transformers.AutoImageProcessor.from_pretrained(folder)

    def texts(part: list[str]) -> torch.Tensor:
        given = tokenizer(part, padding="max_length", max_length=64, truncation=True, return_tensors="pt")
        return module.get_text_features(input_ids=given["input_ids"]).pooler_output

    def images(part: list) -> torch.Tensor:
        return module.get_image_features(**processor(images=part, return_tensors="pt")).pooler_output

    return {"texts": (model, in_batches(texts)), "images": (model, in_batches(images, opened))}


def write_minilm(folder: Path, said: list[str]) -> Path:
    """Write a text model of the size of all-MiniLM-L6-v2, as sentence-transformers saves it."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted({word for text in said for word in text.split()})]
    tokenizer = transformers.BertTokenizer(vocab={word: n for n, word in enumerate(words)}, model_max_length=256)
    sizes = {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536}
    torch.manual_seed(0)
    bert = folder.parent / f"{folder.name}-bert"
    tokenizer.save_pretrained(bert)
    transformers.BertModel(transformers.BertConfig(vocab_size=30522, **sizes)).save_pretrained(bert)
    modules = [Transformer(str(bert)), Pooling(384, "mean"), Normalize()]
    SentenceTransformer(modules=modules, device="cpu").save(str(folder))
    return folder


@case
def st(folder: Path, said: list[str]) -> dict[str, Pair]:
    """``SentenceTransformer.encode`` of a text model, and of CLIP on pictures."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Transformer

    clip, text = folder / "clip", write_minilm(folder / "text", said)
    clip.mkdir()
    write_clip(clip, said)
    SentenceTransformer(modules=[Transformer(str(clip))], device="cpu").save(str(folder / "st-clip"))
    found: dict[str, Pair] = {}
    for kind, path, convert in (("texts", text, list), ("images", folder / "st-clip", opened)):
        peer = SentenceTransformer(str(path), device="cpu")
        found[kind] = (
            load_model(f"st:{path}", device="cpu"),
            lambda items, peer=peer, convert=convert: peer.encode(convert(items), show_progress_bar=False),
        )
    return found


@case
def mteb(folder: Path, said: list[str]) -> dict[str, Pair]:
    """``encode`` of MTEB's wrapper for all-MiniLM-L6-v2, on the batches that MTEB's own loader gives it."""
    import datasets
    import mteb as library
    from huggingface_hub import constants
    from mteb._create_dataloaders import create_dataloader
    from mteb.types import PromptType

    from mrbench.models.mteb_model import _metadata

    name = "sentence-transformers/all-MiniLM-L6-v2"
    revision = str(library.get_model_meta(name).revision)
    place = folder / "hub" / f"models--{name.replace('/', '--')}"
    (place / "snapshots").mkdir(parents=True)
    write_minilm(folder / "text", said).rename(place / "snapshots" / revision)
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text(revision)
    datasets.disable_progress_bars()
    constants.HF_HUB_CACHE, constants.HF_HUB_OFFLINE = str(folder / "hub"), True
    model, module = load_model(f"mteb:{name}", device="cpu"), library.get_model(name, device="cpu")
    metadata = _metadata("t2t", "")

    def texts(items: list[str]) -> np.ndarray:
        rows = datasets.Dataset.from_dict({"id": [str(n) for n in range(len(items))], "text": items})
        loader = create_dataloader(rows, task_metadata=metadata, prompt_type=PromptType.document, batch_size=BATCH)
        where = {"hf_split": "test", "hf_subset": "default", "prompt_type": PromptType.document}
        return np.asarray(module.encode(loader, task_metadata=metadata, **where, show_progress_bar=False))

    return {"texts": (model, texts)}


@case
def open_clip(folder: Path, said: list[str]) -> dict[str, Pair]:
    """open_clip's ViT-B-32, as the readme has it; texts are filled up to 77 tokens."""
    import open_clip as library

    torch.manual_seed(0)
    save_file(library.create_model("ViT-B-32", load_weights=False).state_dict(), folder / "weights.safetensors")
    model = load_model(f"open_clip:ViT-B-32/{folder / 'weights.safetensors'}", device="cpu")
    module, _, preprocess = library.create_model_and_transforms(
        "ViT-B-32", pretrained=str(folder / "weights.safetensors")
    )
    module.eval()
    tokenizer = library.get_tokenizer("ViT-B-32")
    return {
        "texts": (model, in_batches(lambda part: module.encode_text(tokenizer(part)))),
        "images": (
            model,
            in_batches(lambda part: module.encode_image(torch.stack([preprocess(one) for one in part])), opened),
        ),
    }


@case
def timm(folder: Path, said: list[str]) -> dict[str, Pair]:
    """timm's vit_base_patch32_224, as its documentation extracts features."""
    import timm as library
    from timm.models import save_for_hf

    torch.manual_seed(0)
    save_for_hf(library.create_model("vit_base_patch32_224"), str(folder), safe_serialization=True)
    model = load_model(f"timm:{folder}", device="cpu")
    module = library.create_model(f"local-dir:{folder}", pretrained=True, num_classes=0).eval()
    transform = library.data.create_transform(**library.data.resolve_model_data_config(module), is_training=False)
    return {
        "images": (model, in_batches(lambda part: module(torch.stack([transform(one) for one in part])), opened)),
    }


def measure(name: str, kind: str, pair: Pair, items: list, rounds: int) -> None:
    model, peer = pair
    records = candidates(items, kind)
    runs = {"ours": lambda: ours(model, records), "library": lambda: peer(items)}
    mine, theirs = (run() for run in runs.values())  # also warms up
    theirs = theirs / np.linalg.norm(theirs, axis=1, keepdims=True)
    assert (mine * theirs).sum(axis=1).min() > 0.9999, (name, kind)
    seconds: dict[str, dict[str, list[float]]] = {what: {who: [] for who in runs} for what in ("wall", "cpu")}
    for number in range(rounds):
        for who, run in list(runs.items())[:: 1 if number % 2 == 0 else -1]:
            start, used = time.perf_counter(), time.process_time()
            run()
            seconds["wall"][who].append(time.perf_counter() - start)
            seconds["cpu"][who].append(time.process_time() - used)
    said = []
    for what, found in seconds.items():
        ratios = [theirs / mine for mine, theirs in zip(found["ours"], found["library"], strict=True)]
        middle = {who: statistics.median(values) for who, values in found.items()}
        for who, value in middle.items():
            record(f"{name}, {len(items)} {kind}", who, what, value, items=len(items), ratios=ratios)
        said.append(
            f"{what} {len(items) / middle['ours']:.1f} and {len(items) / middle['library']:.1f} items/s, library over "
            f"ours {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        )
    print(f"  {name:<10} {len(items):4} {kind:<7} {'; '.join(said)}", flush=True)


def main() -> None:
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    transformers.utils.logging.disable_progress_bar()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--texts", type=int, default=256)
    parser.add_argument("--images", type=int, default=192)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    rng = np.random.default_rng(0)
    items = {"texts": captions(asked.texts, rng), "images": pictures(asked.images, rng)}
    packages = ("torch", "transformers", "sentence-transformers", "mteb", "open_clip_torch", "timm")
    said = f"{machine(*packages)}; {torch.get_num_threads()} threads"
    print(f"{said}; medians of {asked.rounds}, lowest and highest; above 1 ours is faster")
    for name in asked.only:
        with tempfile.TemporaryDirectory() as folder:
            (made := Path(folder) / "model").mkdir()
            for kind, pair in CASES[name](made, items["texts"]).items():
                measure(name, kind, pair, items[kind], asked.rounds)
    write_records(asked.json, said)


if __name__ == "__main__":
    main()
