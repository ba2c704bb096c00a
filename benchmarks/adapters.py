"""Objectives of `mrbench train mend --lora` at equal cost: scores by grain, before and after, over seeds.

python benchmarks/adapters.py SUITE --model hf:DIR               # adapters on both towers of a dual encoder
python benchmarks/adapters.py SUITE --model head:DIR             # on the text encoder of trained heads
python benchmarks/adapters.py SUITE --model hf:DIR --also OTHER  # and what they do to the test split of another

The controls: InfoNCE with as many candidates and steps, and, with --heads, linear heads on the same model for as many
steps. Of every query the mean over the seeds counts; the interval is that of the paired difference, over clusters of
queries. Prints Markdown, and what the steps took.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
from heads import codes_of, scores

from elva.heads.linear import Heads
from elva.heads.method import HeadMethod
from elva.lora.method import LoraMethod
from elva.lora.text import TextMethod
from elva.mending.report import changed, table
from elva.tuning.encoders import load_encoder, parts_of
from elva.tuning.method import Method
from elva.tuning.objectives import grid
from elva.tuning.read import read_split
from elva.tuning.train import Plan, one_thread, train
from mrbench.benchmark import Benchmark
from mrbench.models.protocol import EmbeddingModel
from mrbench.sources.open import open_benchmark

Values = dict[tuple[str, str, str, str], np.ndarray]


def main() -> None:
    args = parsed()
    suites = {str(path): opened(path, args.tasks) for path in (args.suite, *args.also)}
    before = load_encoder(args.model, device="cpu")
    rows: dict[str, Values] = {"before": tested(before, suites)}
    makers: dict[str, Callable[[], Method]] = {
        f"adapters, {name}": lambda: adapters(args) for name in args.objectives.split(",")
    }
    if args.heads:
        makers["heads, infonce"] = lambda: HeadMethod({"text": args.model}, mend=True, cache=args.cache, device="cpu")
    for row, maker in makers.items():
        found: dict[tuple[str, str, str, str], list[np.ndarray]] = {}
        for seed in range(args.seeds):
            made, seconds = trained(args, maker(), row.rpartition(" ")[2], seed)
            print(f"<!-- {row} seed {seed}: {seconds:.0f} s of CPU -->", flush=True)
            for key, values in tested(made, suites).items():
                found.setdefault(key, []).append(values)
        rows[row] = {key: np.mean(values, axis=0) for key, values in found.items()}
        spread = {key: float(np.std([value.mean() for value in values])) for key, values in found.items()}
        print(f"<!-- {row}: largest standard deviation over seeds {max(spread.values()):.3f} -->", flush=True)
        report(suites, rows, before, "before", row)
    first = next(iter(makers))
    for row in list(makers)[1:]:
        report(suites, rows, before, first, row)


def parsed() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("suite", type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--also", type=Path, action="append", default=[])
    parser.add_argument("--objectives", default="infonce,graded")
    parser.add_argument("--heads", action="store_true")
    parser.add_argument("--guard", type=float, default=0.0)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--tasks", help="names with commas between them; without it all")
    parser.add_argument("--cache", type=Path)
    return parser.parse_args()


def opened(path: Path, tasks: str | None) -> Benchmark:
    """Return a benchmark with some of its tasks."""
    suite = open_benchmark(path)
    if tasks:
        kept = tuple(task for task in suite.manifest.tasks if task.name in tasks.split(","))
        suite.manifest = replace(suite.manifest, tasks=kept)
    return suite


def adapters(args: argparse.Namespace) -> Method:
    """Return the method that puts adapters on the model."""
    if args.model.startswith("head:"):
        return TextMethod(args.model, rank=args.rank, cache=args.cache, device="cpu")
    return LoraMethod(args.model, rank=args.rank, device="cpu")


def trained(args: argparse.Namespace, method: Method, objective: str, seed: int) -> tuple[EmbeddingModel, float]:
    """Return what one seed trains, and the seconds of CPU that its steps and looks took."""
    suite = opened(args.suite, args.tasks)
    data, validation = (method.read(suite, split) for split in ("train", "validation"))
    settings = grid(objective, identity=True, rate=args.rate, temperature=method.temperature)
    plan = Plan(objective, settings, True, args.steps, batch=args.batch, guard=args.guard, seed=seed)
    begun = time.process_time()
    with one_thread() if method.one_thread else nullcontext():
        made = train(data, validation, plan, method.start(data, seed))
    seconds = time.process_time() - begun
    print(f"<!-- {made.setting}, step {made.step}, validation {made.curve} -->", flush=True)
    with tempfile.TemporaryDirectory() as name:
        method.write(Path(name), made, plan, {"name": "trained", **method.facts()})
        return method.load(Path(name)), seconds


def tested(model: EmbeddingModel, suites: dict) -> Values:
    """Return hits and right pairs on the test splits, by suite, task, measure and grain."""
    found = {}
    for name, suite in suites.items():
        split = read_split(suite, "test", parts_of(model))
        as_is = Heads(split.tables, 0, identity=True).export()
        found |= {(name, *key): values for key, values in scores(as_is, split).items()}
    return found


def report(suites: dict, rows: dict[str, Values], model: EmbeddingModel, one: str, other: str) -> None:
    """Print the changes from one row to another."""
    for name, suite in suites.items():
        codes = codes_of(read_split(suite, "test", parts_of(model)))
        changes = [
            changed(*key[1:], rows[one][key], rows[other][key], codes[key[1:]])
            for key in rows[other]
            if key[0] == name and key in rows[one]
        ]
        print("\n".join(["", name, "", *table(changes, (one, other))]), flush=True)


if __name__ == "__main__":
    main()
