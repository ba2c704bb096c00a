"""Items a second of an ELVA model that embeds after summaries: one by one, in passes side by side, and bare.

"One by one" is a pass for each item, on one thread: several would wait for one another at every small product, and on
a busy machine take many times as long. "Ours" is what ``mrbench evaluate`` does: passes of
many items, one thread each; a picture that comes with several texts encoded once; prompts whose summaries have ended
taken out. "Bare" is one forward pass over prompt and ``[RET]``, without a summary: what no way of sampling can beat.

mrbench build scenes --output SCENES && python benchmarks/elva_embedding.py SCENES
"""

from __future__ import annotations

import argparse
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from peers import machine, medians

from elva.prompts import Input
from elva.zoo import tiny
from mrbench.benchmark import Benchmark, decode
from mrbench.models.common import batches
from mrbench.models.protocol import Item

KINDS = ("pictures", "texts", "pictures with texts")


def main() -> None:
    """Print a table of items a second, and whether all ways give the same vectors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("benchmark", type=Path, help="folder of the scenes or the emoji suite")
    parser.add_argument("--items", type=int, default=128, help="of each kind")
    parser.add_argument("--alone", type=int, default=16, help="of these, embedded one by one: the first")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(machine("torch", "transformers"), f"; {torch.get_num_threads()} threads", sep="")
    model = tiny(device="cpu")
    for kind, items in zip(KINDS, read(Benchmark(options.benchmark), options.items), strict=True):
        print(measure(model, kind, items, options.alone, options.rounds), flush=True)


def read(benchmark: Benchmark, number: int) -> list[list[Item]]:
    """Return the first pictures and texts of the corpora, and the first variants of composed queries."""
    corpora = (islice(benchmark.corpus(name, "test"), number) for name in ("image", "text"))
    records = [*map(list, corpora), list(islice(benchmark.variants("it2i", "test"), number))]
    return [[Item(r.text, None if r.image is None else decode(r.image, where="")) for r in part] for part in records]


def one_thread(run):
    """Return a run that has one of torch's threads."""

    def alone():
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return run()
        finally:
            torch.set_num_threads(threads)

    return alone


def measure(model, kind: str, items: list[Item], alone: int, rounds: int) -> str:
    """Return a line of the table."""

    def ours() -> np.ndarray:
        model._model.forget()  # no picture is known of an earlier round
        return model.embed_candidates(items)

    @one_thread
    def one_by_one() -> np.ndarray:
        inputs = [Input(item.text, item.image) for item in items[:alone]]
        embed = model._model.embed
        return np.concatenate([embed([one], "summary", samples=model._samples).numpy() for one in inputs])

    @one_thread
    @torch.inference_mode()
    def bare() -> None:
        for batch in batches([Input(item.text, item.image) for item in items], 32):
            model._model.forced(batch, "word")

    differ = float(np.abs(ours()[:alone] - one_by_one()).max())
    seconds = medians({"ours": ours, "one by one": one_by_one, "bare": bare}, rounds)
    counts = {"ours": len(items), "one by one": min(alone, len(items)), "bare": len(items)}
    rates = {name: counts[name] / value for name, value in seconds.items()}
    said = ", ".join(f"{name} {rate:,.0f}" for name, rate in rates.items())
    return (
        f"{len(items)} {kind}: items/s {said}; ours {rates['ours'] / rates['one by one']:.1f} times one by one, "
        f"{rates['ours'] / rates['bare']:.2f} of the bare forward pass; vectors differ by {differ:.0e} at most"
    )


if __name__ == "__main__":
    main()
