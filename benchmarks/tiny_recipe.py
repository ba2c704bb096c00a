"""How long the tiny recipe takes from nothing to evaluated.

python benchmarks/tiny_recipe.py OUT                # all of it
python benchmarks/tiny_recipe.py OUT --share 0.01   # a hundredth of the steps, and what they make of the whole

OUT is a folder that ``grain_blindness.py data`` filled. A step's time does not depend on how many there are, so a stage
is its number of steps times the median of those that ran, and what it does before and after them once (mining,
naming, writing). Evaluation is whole in both cases.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from grain_blindness import SUITES
from peers import machine

from elva.config import load_recipe
from elva.inputs import read_data
from elva.train import train
from mrbench.benchmark import Benchmark
from mrbench.evaluation import evaluate
from mrbench.models.zoo import load_model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--least", type=int, default=10, help="steps that a stage runs at least")
    args = parser.parse_args()
    print(machine("torch", "transformers"))
    recipe, folder = load_recipe("tiny"), args.out / "timed"
    shutil.rmtree(folder, ignore_errors=True)
    start = time.perf_counter()
    data = read_data([args.out / f"{suite}-train" for suite in SUITES])
    whole = {"read": time.perf_counter() - start}
    for number in recipe.stages():
        options: Any = getattr(recipe, f"stage{number}")
        steps = options.steps if args.share >= 1 else max(args.least, round(options.steps * args.share))
        short = replace(recipe, **{f"stage{number}": replace(options, steps=steps)})
        before = folder / f"stage{number - 1}" if number else None
        start = time.perf_counter()
        model = train(short, data, folder / f"run{number}", stages=[number], start=before, quiet=True)
        wall = time.perf_counter() - start
        model.rename(folder / f"stage{number}")
        each = pd.read_json(folder / f"run{number}" / "metrics.jsonl", lines=True)["seconds"].tolist()
        whole[f"stage {number}"] = (
            wall - sum(each) + options.steps * statistics.median(each) if args.share < 1 else wall
        )
        print(
            f"stage {number}: {steps} of {options.steps} steps in {wall:.0f} s, a step {statistics.median(each):.3f} s"
        )
    for suite in SUITES:
        start = time.perf_counter()
        embedder = load_model(f"elva:{folder / f'stage{recipe.stages()[-1]}'}", batch_size=128)
        evaluate(Benchmark(args.out / suite), embedder, folder / suite)
        whole[f"evaluate {suite}"] = time.perf_counter() - start
    for name, seconds in whole.items():
        print(f"{name:<16} {seconds:7.0f} s")
    print(f"{'in all':<16} {sum(whole.values()) / 60:7.1f} min{'' if args.share >= 1 else ', scaled to all steps'}")


if __name__ == "__main__":
    main()
