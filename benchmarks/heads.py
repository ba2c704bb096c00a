"""Objectives of `mrbench train head` at equal cost: scores by grain, each against InfoNCE, over several seeds.

python benchmarks/heads.py SUITE --cache embeddings                  # a suite with train, validation and test splits
python benchmarks/heads.py SUITE --also OTHER --cache embeddings     # the same heads on the test split of another

Of every query the mean over the seeds counts; the interval is that of the paired difference, over clusters of queries.
Prints Markdown.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from elva.heads.load_head import embed
from elva.mending.report import changed, table
from elva.tuning.data import PARTS, Split
from elva.tuning.objectives import OBJECTIVES, grid
from elva.tuning.read import read_split
from elva.tuning.train import Plan, train
from mrbench import statistics
from mrbench.models.zoo import load_model
from mrbench.sources.open import open_benchmark

CONTROL = "infonce"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("suite", type=Path)
    parser.add_argument("--also", type=Path, action="append", default=[])
    parser.add_argument("--objectives", default=",".join(OBJECTIVES))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--dimension", type=int, default=256)
    parser.add_argument("--cache", type=Path)
    args = parser.parse_args()
    encoders = {"image": load_model("efficientnet-lite0"), "text": load_model("minilm")}
    suite = open_benchmark(args.suite)
    data, validation = (read_split(suite, split, encoders, args.cache) for split in ("train", "validation"))
    tests = {
        str(path): read_split(open_benchmark(path), "test", encoders, args.cache) for path in (args.suite, *args.also)
    }
    rows = {}
    for objective in args.objectives.split(","):
        sums: dict[tuple[str, str, str, str], list[np.ndarray]] = {}
        for seed in range(args.seeds):
            plan = Plan(objective, args.dimension, grid(objective), steps=args.steps, seed=seed)
            made = train(data, validation, plan)
            print(f"<!-- {objective} seed {seed}: {made.setting}, step {made.step} -->", flush=True)
            for name, split in tests.items():
                for key, values in scores(made.heads, split).items():
                    sums.setdefault((name, *key), []).append(values)
        rows[objective] = {key: np.mean(values, axis=0) for key, values in sums.items()}
        spread = {key: float(np.std([value.mean() for value in values])) for key, values in sums.items()}
        print(f"<!-- {objective}: largest standard deviation over seeds {max(spread.values()):.3f} -->", flush=True)
    clusters = {(name, *key): codes for name, split in tests.items() for key, codes in codes_of(split).items()}
    control = CONTROL if CONTROL in rows else next(iter(rows))
    for objective in (name for name in rows if name != control):
        for name in tests:
            keys = [key for key in rows[objective] if key[0] == name]
            changes = [changed(*key[1:], rows[control][key], rows[objective][key], clusters[key]) for key in keys]
            lines = ["", f"{name}, trained on {args.suite}", "", *table(changes, (control, objective))]
            print("\n".join(lines), flush=True)


def scores(heads: dict[str, np.ndarray], split: Split) -> dict[tuple[str, str, str], np.ndarray]:
    """Return hits by query and right pairs by grain, by task, measure and grain."""
    found = {}
    for task in split.tasks:
        asked, answers = (embedded(heads, split, rows) for rows in (task.queries, task.candidates))
        similar = asked @ answers.T
        relevant = task.relevant_to(np.arange(len(similar)), np.arange(similar.shape[1]))
        best = np.where(relevant, similar, -np.inf).max(1)
        rank = 1 + ((similar >= best[:, None]) & ~relevant).sum(1)
        for k in (1, 5, 10):
            found[task.name, f"hit_rate@{k}", ""] = (rank <= k).astype(np.float64)
        query, kind, position = task.pairs
        own = similar[np.arange(len(similar)), task.pool.positives]
        right = (own[query] > similar[query, position]).astype(np.float64)
        for number in np.unique(kind):
            found[task.name, "pair_accuracy", task.pool.grain_types[number]] = right[kind == number]
    return found


def codes_of(split: Split) -> dict[tuple[str, str, str], np.ndarray]:
    """Return the cluster of every value of :func:`scores`."""
    found = {}
    for task in split.tasks:
        codes = statistics.cluster_codes(task.pool.clusters.tolist())
        for k in (1, 5, 10):
            found[task.name, f"hit_rate@{k}", ""] = codes
        query, kind, _ = task.pairs
        for number in np.unique(kind):
            some = np.unique(codes[query[kind == number]], return_inverse=True)[1].reshape(-1)
            found[task.name, "pair_accuracy", task.pool.grain_types[number]] = some
    return found


def embedded(heads: dict[str, np.ndarray], split: Split, rows: np.ndarray) -> np.ndarray:
    """Return unit vectors of items."""
    total = np.zeros((len(rows), len(heads["text.bias"])), dtype=np.float32)
    for part, features in split.tables.items():
        at = rows[:, PARTS.index(part)]
        if (at >= 0).any():
            total[at >= 0] += embed(heads, {part: features[at[at >= 0]]})
    return total / np.linalg.norm(total, axis=1, keepdims=True)


if __name__ == "__main__":
    main()
