"""Texts and images a second: our loop, sentence-transformers', MTEB's, the bare forward pass, and matrix products.

The last are square products of as many operations as the bare forward pass counts: only a loop that leaves some of them
out can exceed them.

A CLIP ViT-B/32 of random weights: speed does not depend on what it has learned. Every loop starts from the same PNG
bytes and texts. The peers run with batches of 32, which is their default, and with 16 on a CPU, 1,024 texts or
256 images on a GPU, which are ours; the bare forward pass is transformers' own, on the inputs that ours has, in batches
of 32 on a CPU and of ours on a GPU.

pip install -e '.[benchmark,models]' && python benchmarks/encoding.py
"""

from __future__ import annotations

import argparse
import io
import json
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch
import transformers
from mteb.models.model_implementations.clip_models import CLIPModel as MtebCLIP
from peers import done, machine, medians, record, write_records
from PIL import Image
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from torch.utils.flop_counter import FlopCounterMode

from mrbench.cli.evaluation_jobs import decoding_workers
from mrbench.encode.batches import fetch
from mrbench.encode.store import EmbeddingStore, Share
from mrbench.encode.units import encode_records
from mrbench.models.dual_encoder import DualEncoder
from mrbench.models.prefixes import find_prefixes
from mrbench.records import Candidate, ImageData
from mrbench.search.vectors import checked
from mrbench.workers import cores

BATCH, LETTERS = 32, "abcdefghijklmnopqrstuvwxyz"
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
TEXTS, IMAGES = (16, 16) if DEVICE == "cpu" else (1024, 256)  # batches of ours, and of the peers too
LOOPS = (
    "ours", "sentence-transformers", *{f"sentence-transformers, {own}" for own in (TEXTS, IMAGES)}, "mteb",
    "bare forward pass", "matrix products",
)  # fmt: skip
SPECIAL = 49406  # where CLIP has its two special tokens


def write_clip(folder: Path, said: list[str]) -> Path:
    """Write a checkpoint of the default configuration, which is that of ViT-B/32; its tokens are learned from texts."""
    torch.manual_seed(0)
    learned = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    learned.normalizer, learned.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.Whitespace()
    trainer = trainers.BpeTrainer(vocab_size=SPECIAL, end_of_word_suffix="</w>", show_progress=False)
    learned.train_from_iterator(said, trainer)
    learned.model.save(str(folder))
    vocabulary = json.loads((folder / "vocab.json").read_text())
    vocabulary |= {f"unused{index}": index for index in range(len(vocabulary), SPECIAL)}
    vocabulary |= {"<|startoftext|>": SPECIAL, "<|endoftext|>": SPECIAL + 1}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    tokenizer = transformers.CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=77)
    transformers.CLIPProcessor(transformers.CLIPImageProcessor(), tokenizer).save_pretrained(folder)
    transformers.CLIPModel(transformers.CLIPConfig()).save_pretrained(folder)
    return folder


def texts(number: int, rng: np.random.Generator) -> list[str]:
    """Texts of 4 to 60 letters, one token each: most are short, as captions are."""
    lengths = np.clip(rng.lognormal(2.7, 0.6, number), 4, 60).astype(int)
    return [" ".join("".join(rng.choice(list(LETTERS), size))) for size in lengths]


def pictures(number: int, rng: np.random.Generator) -> list[bytes]:
    """PNG files of smooth colours, 256 by 256."""
    drawn = rng.integers(0, 256, (number, 8, 8, 3), dtype=np.uint8)
    with ThreadPoolExecutor(cores()) as pool:
        return list(pool.map(_picture, drawn))


def _picture(drawn: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(drawn).resize((256, 256), Image.Resampling.BICUBIC).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def opened(data: list[bytes]) -> list[Image.Image]:
    return [Image.open(io.BytesIO(part)).convert("RGB") for part in data]


def ours(model: DualEncoder, records: list[Candidate]) -> np.ndarray:
    """As `mrbench evaluate` embeds: for a GPU up to 16 cores decode images ahead."""

    def embed(batch, items):
        check = partial(checked, dimension=model.dimension, names=[r.id for r in batch], where=model.name)
        return fetch(model.embed_candidates(items), check)

    store = EmbeddingStore(model, None, Share(workers=decoding_workers(model)))
    return encode_records(model, lambda: iter(records), len(records), "records", embed, store)[1]


def main() -> None:
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    transformers.utils.logging.disable_progress_bar()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--texts", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=LOOPS, help="some of the loops")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    rng = np.random.default_rng(0)
    said, shown = texts(asked.texts, rng), pictures(asked.images, rng)
    with tempfile.TemporaryDirectory() as folder:
        path = write_clip(Path(folder), said or texts(100, rng))
        model = DualEncoder(str(path))
        bare = transformers.CLIPModel.from_pretrained(path).to(DEVICE).eval()
        peer, other = SentenceTransformer(str(path)), MtebCLIP(str(path), revision=None)
    said_of_machine = machine("torch", "transformers", "sentence-transformers", "mteb", device=DEVICE)
    print(said_of_machine)
    for what, loops, items, own in (("texts", text_loops, said, TEXTS), ("images", image_loops, shown, IMAGES)):
        if not items:
            continue
        wanted = asked.only or LOOPS
        runs, first = (
            {name: loop for name, loop in loops(model, bare, peer, other, some).items() if name in wanted}
            for some in (items, items[: 2 * own])
        )
        check(model, peer, items[: 2 * BATCH], what)
        if what == "texts":
            print(f"{prefix_share(model, said):.2f} distinct prefixes a token")
        compare(what, asked.rounds, len(items), runs, first)
    write_records(asked.json, said_of_machine)


def check(model: DualEncoder, peer: SentenceTransformer, items: list, what: str) -> None:
    """Our vectors are those of sentence-transformers."""
    some = items if what == "texts" else opened(items)
    theirs = peer.encode(some, show_progress_bar=False, normalize_embeddings=True)
    np.testing.assert_allclose(ours(model, candidates(items, what)), theirs, atol=1e-4)


def prefix_share(model: DualEncoder, said: list[str]) -> float:
    """Return how many distinct prefixes there are in distinct texts, over how many tokens."""
    found = find_prefixes(sorted(model.prepare_texts(sorted(set(said)))))
    return len(found.tokens) / found.lengths.sum()


def candidates(items: list, what: str) -> list[Candidate]:
    if what == "texts":
        return [Candidate(str(number), (), text) for number, text in enumerate(items)]
    return [Candidate(str(number), (), None, ImageData(data, "")) for number, data in enumerate(items)]


def batched(values: list, size: int = BATCH) -> Iterator[list]:
    for start in range(0, len(values), size):
        yield values[start : start + size]


def text_loops(
    model: DualEncoder, module: transformers.CLIPModel, peer: SentenceTransformer, other: MtebCLIP, said: list[str]
) -> dict[str, Callable]:
    records = candidates(said, "texts")
    cut: dict = {"padding": True, "truncation": True, "max_length": 77, "return_tensors": "pt"}
    cut["return_attention_mask"] = False  # as ours runs CLIP
    sets = batched(sorted(said, key=len), max(BATCH, TEXTS))
    ready = [model._tokenizer(batch, **cut).to(model.device) for batch in sets]
    theirs = partial(peer.encode, said, show_progress_bar=False)

    @torch.no_grad()
    def bare() -> None:
        for tokens in ready:
            module.get_text_features(**tokens)

    return {
        "ours": lambda: ours(model, records),
        "sentence-transformers": partial(theirs, batch_size=BATCH),
        f"sentence-transformers, {TEXTS}": partial(theirs, batch_size=TEXTS),
        "mteb": lambda: other.get_text_embeddings([{"text": batch} for batch in batched(said)], False),
        "bare forward pass": bare,
        "matrix products": products_like(bare),
    }


def image_loops(
    model: DualEncoder, module: transformers.CLIPModel, peer: SentenceTransformer, other: MtebCLIP, shown: list[bytes]
) -> dict[str, Callable]:
    records, large = candidates(shown, "images"), max(BATCH, IMAGES)
    ready = [model.prepare(image)["pixel_values"] for image in opened(shown[:large])]
    pixels = torch.from_numpy(np.stack(ready)).to(model.device)

    def theirs(batch_size: int) -> None:
        peer.encode(opened(shown), batch_size=batch_size, show_progress_bar=False)

    @torch.no_grad()
    def bare() -> None:
        for batch in batched(shown, large):
            module.get_image_features(pixel_values=pixels[: len(batch)])

    return {
        "ours": lambda: ours(model, records),
        "sentence-transformers": partial(theirs, BATCH),
        f"sentence-transformers, {IMAGES}": partial(theirs, IMAGES),
        "mteb": lambda: other.get_image_embeddings(({"image": opened(batch)} for batch in batched(shown)), False),
        "bare forward pass": bare,
        "matrix products": products_like(bare),
    }


def products_like(work: Callable, side: int = 2048) -> Callable:
    """Return a loop of square float32 products with as many operations as `work` counts, to one product more."""
    with FlopCounterMode(display=False) as counter:
        work()
    times = round(counter.get_total_flops() / (2 * side**3)) + 1
    left, right = torch.rand(2, side, side, device=DEVICE).unbind()
    out = torch.empty_like(left)

    def loop() -> None:
        for _ in range(times):
            torch.matmul(left, right, out=out)

    return loop


def compare(what: str, rounds: int, number: int, loops: dict[str, Callable], first: dict[str, Callable]) -> None:
    loops, first = ({name: done(run, DEVICE) for name, run in runs.items()} for runs in (loops, first))
    found = medians(loops, rounds, first)
    print(f"{number:,} {what}, median of {rounds}")
    for name, seconds in found.items():
        record(f"{number:,} {what}", name, "wall", seconds, items=number)
        ratio = seconds / next(iter(found.values()))
        said = f"  {name:<26} {number / seconds:8.1f} {what}/s; {next(iter(found))} is {ratio:.2f} x as fast"
        print(said, flush=True)


if __name__ == "__main__":
    main()
