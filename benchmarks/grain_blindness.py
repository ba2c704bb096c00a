"""What training does to grain blindness: ELVA against contrastive baselines, from one pretrained model, several seeds.

    python benchmarks/grain_blindness.py data  --out OUT                       # both suites at 64 pixels
    python benchmarks/grain_blindness.py train --out OUT --seeds 0 1 2         # all arms; goes on where it stopped
    python benchmarks/grain_blindness.py train --out OUT --arms ablations      # the paper's ablations
    python benchmarks/grain_blindness.py table --out OUT                       # tables, plots

Stage 0 is run once: it stands for the pretrained model that the paper starts from. Seeds differ in everything after.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from elva import checkpoints
from elva.config import Recipe, load_recipe, parse_recipe
from elva.data import read_benchmarks, read_pools
from elva.train import read_data, train
from mrbench.benchmark import Benchmark
from mrbench.evaluate import evaluate
from mrbench.models.zoo import load_model
from mrbench.results import read_result

SUITES = ("scenes", "emoji")
BUILD = {
    "scenes-train": ["scenes", "--splits", "train", "--train-queries", "2000", "--train-pool", "20000"],
    "emoji-train": ["emoji", "--splits", "train"],
    "scenes": ["scenes", "--splits", "test"],
    "emoji": ["emoji", "--splits", "test"],
}
# Arm: (the arm it goes on from, stages, changes to the recipe). Sequences seen are counted in the table.
NO_MARGIN, NO_RANKING = {"alpha": 0.0}, {"epsilon": 0.0}
ARMS: dict[str, tuple[str | None, tuple[int, ...], dict[str, Any]]] = {
    "pretrained": (None, (0,), {}),
    "contrastive": ("pretrained", (1, 2), {}),
    "continued": ("contrastive", (2,), {"stage2": {"steps": 125}}),
    "balanced": ("contrastive", (2,), {"stage2": {"steps": 40, "sampling": {"hard": 4, "random": 4}}}),
    "generation": ("pretrained", (1, 2), {"stage2": {"generation": 0.5, "embedding": "summary"}}),
    "elva": ("contrastive", (3,), {}),
    "elva-on-generation": ("generation", (3,), {}),
    "graded": ("contrastive", (3,), {"stage3": {"reward": {"alpha": 0.0, "epsilon": 0.0, "graded": 1.0}}}),
    "graded-on-generation": (
        "generation",
        (3,),
        {"stage3": {"reward": {"alpha": 0.0, "epsilon": 0.0, "graded": 1.0}}},
    ),
    "pathwise-graded": (
        "generation",
        (3,),
        {"stage3": {"gradient": "both", "reward": {"alpha": 0.0, "epsilon": 0.0, "graded": 1.0}}},
    ),
}
ABLATIONS: dict[str, tuple[str | None, tuple[int, ...], dict[str, Any]]] = {
    "no-ranking": ("contrastive", (3,), {"stage3": {"reward": NO_RANKING}}),
    "no-margin": ("contrastive", (3,), {"stage3": {"reward": NO_MARGIN}}),
    "no-negative-term": ("contrastive", (3,), {"stage3": {"reward": {"gamma": 0.0}}}),
    "no-sampling-strategy": ("contrastive", (3,), {"stage3": {"sampling": {"hard": 0, "random": 8}}}),
    "no-random-negatives": ("contrastive", (3,), {"stage3": {"sampling": {"hard": 8, "random": 0}}}),
    "weights-0.6-0.4": ("contrastive", (3,), {"stage3": {"reward": {"alpha": 0.6, "epsilon": 0.4}}}),
    "weights-0.5-0.5": ("contrastive", (3,), {"stage3": {"reward": {"alpha": 0.5, "epsilon": 0.5}}}),
}
MEASURES = ("hit_rate@1", "hit_rate@5", "mrr", "pair_accuracy", "all_grains_accuracy", "strict_chain")


def build_data(out: Path) -> None:
    for name, words in BUILD.items():
        if not (out / name / "manifest.json").exists():
            command = [sys.executable, "-m", "mrbench", "build", *words, "--size", "64", "--output", str(out / name)]
            subprocess.run(command, check=True)


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    both = {
        key: merged(base[key], value) if isinstance(value, dict) and isinstance(base.get(key), dict) else value
        for key, value in changes.items()
    }
    return {**base, **both}


def recipe_of(arm: str, seed: int, base: str) -> Recipe:
    changes = {**ARMS, **ABLATIONS}[arm][2]
    seed = 0 if arm == "pretrained" else seed
    return parse_recipe({**merged(asdict(load_recipe(base)), changes), "seed": seed}, where=arm)


def folder_of(out: Path, arm: str, seed: int) -> Path:
    return out / "runs" / (arm if arm == "pretrained" else f"{arm}-{seed}")


def model_of(out: Path, arm: str, seed: int) -> Path:
    return folder_of(out, arm, seed) / f"stage{({**ARMS, **ABLATIONS})[arm][1][-1]}"


def run_arm(out: Path, arm: str, seed: int, base: str, data: Any) -> None:
    parent, stages, _ = {**ARMS, **ABLATIONS}[arm]
    if parent is not None:
        run_arm(out, parent, seed, base, data)
    folder = folder_of(out, arm, seed)
    if not (model_of(out, arm, seed) / checkpoints.MARKER).exists():
        start = None if parent is None else model_of(out, parent, seed)
        recipe = recipe_of(arm, seed, base)
        train(recipe, data, folder, stages=stages, start=start, resume=folder.exists())
    for suite in SUITES:
        target = folder / "results" / suite
        if not (target / "result.json").exists():
            model = load_model(f"elva:{model_of(out, arm, seed)}", batch_size=128)
            model.name = arm
            evaluate(Benchmark(out / suite), model, target, seed=seed)
    if not (folder / "named.json").exists():
        (folder / "named.json").write_text(json.dumps(named(out, arm, seed), indent=2) + "\n")


def named(out: Path, arm: str, seed: int, limit: int = 250) -> dict[str, dict[str, float]]:
    """Return how often the likeliest summary of a test candidate names each grain, by suite and modality."""
    model = checkpoints.load(model_of(out, arm, seed))[0]
    benchmarks = read_benchmarks([out / suite for suite in SUITES], "test")
    pools, summaries = read_pools(benchmarks, "test")
    sides = {id(pool.candidates): (pool.task.split("/")[0], pool.candidates) for pool in pools}
    found: dict[str, dict[str, float]] = {}
    for suite, side in sides.values():
        kind = "text" if side[0].image is None else "image"
        records = next(benchmark for benchmark in benchmarks if benchmark.name == suite).corpus(kind, "test")
        hits: dict[str, list[bool]] = {}
        for start in range(0, min(limit, len(side)), 64):
            rows = range(start, min(start + 64, limit, len(side)))
            said = model.summarise([side[row] for row in rows])[0]
            for row, text in zip(rows, said, strict=True):
                for grain, right in summaries.named(text, records[row].grains).items():
                    hits.setdefault(grain, []).append(right)
        found[f"{suite} {kind}"] = {grain: sum(rows) / len(rows) for grain, rows in sorted(hits.items())}
    return found


def sequences(recipe: Recipe, arm: str) -> int:
    """Return the sequences that the arm's own stages ran under gradient."""
    total = 0
    for number in {**ARMS, **ABLATIONS}[arm][1]:
        options = getattr(recipe, f"stage{number}")
        each = {0: 1, 3: 0}.get(number, 2 + getattr(options, "negatives", 0))
        sampling = getattr(options, "sampling", None)
        if sampling is not None:
            each = (2 + sampling.hard + sampling.random) * getattr(options, "rollouts", 1)
        total += options.steps * options.batch * each
    return total


def collect(out: Path, base: str) -> pd.DataFrame:
    rows = []
    for folder in sorted((out / "runs").glob("*")):
        arm, _, number = folder.name.rpartition("-") if folder.name != "pretrained" else (folder.name, "", "0")
        if arm not in {**ARMS, **ABLATIONS}:
            continue
        for suite in SUITES:
            path = folder / "results" / suite / "result.json"
            if not path.exists():
                continue
            seen = sequences(recipe_of(arm, int(number), base), arm)
            for task, result in read_result(path).tasks.items():
                row: dict[str, Any] = {"arm": arm, "seed": int(number), "suite": suite, "task": task, "sequences": seen}
                row |= {name: result.scores.get(name) for name in MEASURES}
                for name in ("grain_distance", "grain_sensitivity"):
                    cells = result.by_grain.get(name, {})
                    row[name] = sum(cell.score for cell in cells.values()) / len(cells) if cells else None
                row |= {f"pair {grain}": cell.score for grain, cell in result.pair_accuracy.items()}
                rows.append(row)
    return pd.DataFrame(rows)


def interval(values: pd.Series) -> str:
    """Return the mean over seeds and half the 95 % interval (Student)."""
    from scipy.stats import t

    values = values.dropna()
    if len(values) < 2:
        return "—" if values.empty else f"{values.iloc[0]:.3f}"
    half = t.ppf(0.975, len(values) - 1) * values.std() / math.sqrt(len(values))
    return f"{values.mean():.3f} ±{half:.3f}"


def table(frame: pd.DataFrame) -> str:
    order = [arm for arm in {**ARMS, **ABLATIONS} if arm in set(frame["arm"])]
    measures = [*MEASURES, "grain_distance", "grain_sensitivity"]
    lines = []
    for suite in SUITES:
        part = frame[frame["suite"] == suite]
        seeds = part.groupby(["arm", "seed"])[measures].mean().reset_index()
        lines += [f"### {suite}", "", "| arm | seeds | sequences | " + " | ".join(measures) + " |"]
        lines += ["| --- " + "| ---: " * (2 + len(measures)) + "|"]
        for arm in order:
            own = seeds[seeds["arm"] == arm]
            seen = int(part[part["arm"] == arm]["sequences"].iloc[0])
            cells = [interval(own[name]) for name in measures]
            lines.append(f"| {arm} | {len(own)} | {seen:,} | " + " | ".join(cells) + " |")
        grains = [name for name in part.columns if name.startswith("pair ") and part[name].notna().any()]
        each = part.groupby(["arm", "seed"])[grains].mean().reset_index()
        names = [name.removeprefix("pair ") for name in grains]
        lines += ["", f"Pair accuracy by grain type, {suite}:", "", "| arm | " + " | ".join(names) + " |"]
        lines += ["| --- " + "| ---: " * len(grains) + "|"]
        for arm in order:
            own = each[each["arm"] == arm]
            lines.append(f"| {arm} | " + " | ".join(interval(own[name]) for name in grains) + " |")
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step", choices=["data", "train", "table"])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--arms", nargs="*", default=["all"], help="names, all, or ablations")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--recipe", default="tiny")
    args = parser.parse_args()
    if args.step == "data":
        return build_data(args.out)
    if args.step == "table":
        frame = collect(args.out, args.recipe)
        frame.to_csv(args.out / "scores.csv", index=False)
        print(table(frame))
        return None
    torch.manual_seed(0)
    data = read_data([args.out / f"{suite}-train" for suite in SUITES])
    arms = {"all": list(ARMS), "ablations": list(ABLATIONS)}.get(args.arms[0], args.arms)
    for seed in args.seeds:
        for arm in arms:
            run_arm(args.out, arm, seed, args.recipe, data)
    return None


if __name__ == "__main__":
    main()
