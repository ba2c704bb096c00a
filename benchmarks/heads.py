"""Objectives of `mrbench train head` and `mend --head` at equal cost: scores by grain, before and after, over seeds.

python benchmarks/heads.py SUITE --cache embeddings                  # a suite with train, validation and test splits
python benchmarks/heads.py SUITE --also OTHER --cache embeddings     # the same heads on the test split of another
python benchmarks/heads.py SUITE --mend conse --guard 0 --guard 1    # a model that takes both, held by a guard or not
python benchmarks/heads.py SUITE --mend conse --guard 1 --keep OTHER # and what it keeps on another suite

Of every query the mean over the seeds counts; the interval is that of the paired difference, over clusters of queries.
The control is InfoNCE with as many candidates and steps. Prints Markdown.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from elva.heads.linear import Heads
from elva.heads.load_head import embed
from elva.mending.report import changed, table
from elva.tuning.data import PARTS, Split
from elva.tuning.encoders import load_encoder, parts_of
from elva.tuning.objectives import OBJECTIVES, grid
from elva.tuning.read import read_split
from elva.tuning.train import Plan, one_thread, train
from mrbench import statistics
from mrbench.sources.open import open_benchmark


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("suite", type=Path)
    parser.add_argument("--also", type=Path, action="append", default=[])
    parser.add_argument("--mend", help="a model that takes both sides; else heads on two encoders")
    parser.add_argument("--guard", type=float, action="append", default=[])
    parser.add_argument("--keep", type=Path, help="what the guard holds to, in the place of the training data")
    parser.add_argument("--objectives", default=",".join(OBJECTIVES))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--dimension", type=int, default=256)
    parser.add_argument("--cache", type=Path)
    args = parser.parse_args()
    before = parts_of(load_encoder(args.mend or "conse"))
    pair = {"image": load_encoder("efficientnet-lite0"), "text": load_encoder("minilm")}
    encoders = before if args.mend else pair
    suite = open_benchmark(args.suite)
    data, validation = (read_split(suite, split, encoders, args.cache) for split in ("train", "validation"))
    keep = None if args.keep is None else read_split(open_benchmark(args.keep), "train", encoders, args.cache)
    others = {str(path): open_benchmark(path) for path in (args.suite, *args.also, *([args.keep] if args.keep else []))}
    tests = {name: read_split(other, "test", encoders, args.cache) for name, other in others.items()}
    rows: dict[str, dict] = {}
    tested = {name: read_split(other, "test", before, args.cache) for name, other in others.items()}
    identity = Heads(tested[str(args.suite)].tables, 0, identity=True).export()
    rows["before"] = {(name, *key): v for name, split in tested.items() for key, v in scores(identity, split).items()}
    for objective in args.objectives.split(","):
        for guard in args.guard or [0.0]:
            row = objective if len(args.guard) < 2 else f"{objective}, guard {guard:g}"
            sums: dict[tuple[str, str, str, str], list[np.ndarray]] = {}
            for seed in range(args.seeds):
                settings = grid(objective, identity=bool(args.mend))
                plan = Plan(objective, settings, identity=bool(args.mend), steps=args.steps, guard=guard, seed=seed)
                made = trained(args, data, validation, plan, keep)
                print(f"<!-- {row} seed {seed}: {made.setting}, step {made.step} -->", flush=True)
                for name, split in tests.items():
                    for key, values in scores(made.weights, split).items():
                        sums.setdefault((name, *key), []).append(values)
            rows[row] = {key: np.mean(values, axis=0) for key, values in sums.items()}
            spread = {key: float(np.std([value.mean() for value in values])) for key, values in sums.items()}
            print(f"<!-- {row}: largest standard deviation over seeds {max(spread.values()):.3f} -->", flush=True)
    clusters = {(name, *key): codes for name, split in tests.items() for key, codes in codes_of(split).items()}
    names = [row for row in rows if row != "before"]
    for one, other in [("before", row) for row in names] + [(names[0], row) for row in names[1:]]:
        for name in tests:
            keys = [key for key in rows[other] if key[0] == name and key in rows[one]]
            changes = [changed(*key[1:], rows[one][key], rows[other][key], clusters[key]) for key in keys]
            print("\n".join(["", f"{name}, trained on {args.suite}", "", *table(changes, (one, other))]), flush=True)


def trained(args, data: Split, validation: Split, plan: Plan, keep: Split | None):
    """Return heads that one seed trains."""
    with one_thread():
        return train(
            data,
            validation,
            plan,
            lambda setting: Heads(
                data.tables, args.dimension, identity=bool(args.mend), drop=setting.drop, seed=plan.seed
            ),
            keep,
        )


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
