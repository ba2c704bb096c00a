"""CLIP's text tower on a CPU: as transformers runs it, and with what texts begin with alike computed once.

A CLIP ViT-B/32 of random weights embeds a block of the distinct texts of benchmarks, in the order in which the engine
gives them to a model. The two ways run in turn, there and back, in one process. CPU time is that of all threads; read
the ratios.

pip install -e '.[benchmark,models]' && python benchmarks/clip_tower.py emoji scenes captions:FOLDER/captions.jsonl
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
from encoding import write_clip
from peers import machine, record, write_records

from mrbench.benchmark import Benchmark
from mrbench.encode.batches import in_order
from mrbench.models.dual_encoder import DualEncoder
from mrbench.models.protocol import Item
from mrbench.sources.open import open_benchmark


def texts_of(benchmark: Benchmark, split: str, number: int) -> list[str]:
    """Return a block from the middle of the distinct texts, in the engine's order."""
    records = [one for name in benchmark.corpora for one in benchmark.corpus(name, split)]
    for task in benchmark.task_names:
        records += [*benchmark.queries(task, split), *benchmark.variants(task, split)]
    texts = list(dict.fromkeys(one.text for one in records if one.text is not None))
    ordered = [texts[row] for row in in_order(texts)]
    start = max(0, (len(ordered) - number) // 2)
    return ordered[start : start + number]


def compare(what: str, model: DualEncoder, items: list, rounds: int) -> None:
    ways = {"stock": None, "prefixes": model.faster_texts}

    def run(way: Callable | None) -> np.ndarray:
        model.faster_texts = way
        return model.embed_candidates(items)

    wall: dict[str, list[float]] = {name: [] for name in ways}
    cpu: dict[str, list[float]] = {name: [] for name in ways}
    first = {name: run(way) for name, way in ways.items()}  # also warms up
    for name, vectors in first.items():
        np.testing.assert_allclose(vectors, first["stock"], atol=1e-3, err_msg=name)
    for number in range(rounds):
        for name, way in list(ways.items())[:: 1 if number % 2 == 0 else -1]:
            start, used = time.perf_counter(), time.process_time()
            run(way)
            wall[name].append(time.perf_counter() - start)
            cpu[name].append(time.process_time() - used)
    for name in ways:
        said = []
        for kind, seconds in (("CPU", cpu), ("wall", wall)):
            ratio = statistics.median(a / b for a, b in zip(seconds["stock"], seconds[name], strict=True))
            record(what, name, kind, statistics.median(seconds[name]), items=len(items), stock_over_it=ratio)
            said.append(f"{kind} {statistics.median(seconds[name]):6.2f} s, {ratio:.2f} x")
        print(f"  {what:<34} {name:<11} {'; '.join(said)}", flush=True)


def timed(asked: argparse.Namespace, sets: dict[str, list[str]], folder: str) -> None:
    write_clip(Path(folder), [text for texts in sets.values() for text in texts])
    model = DualEncoder(folder, device="cpu")
    if model.faster_texts is None:
        raise SystemExit("the checkpoint does not share prefixes: nothing to compare")
    faster = model.faster_texts
    for name, texts in sets.items():
        model.faster_texts = faster
        compare(f"{len(texts)} texts of {name}", model, [Item(text) for text in texts], asked.rounds)


def main() -> None:
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    transformers.utils.logging.disable_progress_bar()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("benchmarks", nargs="*", help="folders or specs whose texts are taken")
    parser.add_argument("--texts", type=int, default=512, help="of each benchmark; the engine gives a model 512")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    sets = {}
    for spec in asked.benchmarks:
        benchmark = open_benchmark(spec)
        sets[benchmark.name or spec] = texts_of(benchmark, benchmark.default_split, asked.texts)
    said = machine("torch", "transformers")
    print(f"{said}; {torch.get_num_threads()} threads; medians of {asked.rounds}, stock over it: above 1 it gains")
    with tempfile.TemporaryDirectory() as folder:
        timed(asked, sets, folder)
    write_records(asked.json, said)


if __name__ == "__main__":
    main()
