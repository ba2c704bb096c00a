"""What raw grain distance and calibrated grain sensitivity make of a change of the whole space.

Queries of a built suite and their variants are embedded by a random projection of their known grains, with noise that
stands for wording; then all embeddings are changed in one way, and both measures are computed again.

python benchmarks/sensitivity.py DIR [--task t2i] [--seeds 5]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mrbench import measures
from mrbench.audit.oracle import OracleSource
from mrbench.benchmark import Benchmark
from mrbench.pools import load_pool
from mrbench.pools.pool import TaskPool
from mrbench.retrieve.positive_ranks import unrelated

Vectors = np.ndarray[Any, np.dtype[np.float64]]
DIMENSION, NOISE = 64, 0.5
COMMON = (0.5, 1.0, 2.0, 4.0)
STRETCH = (2.0, 10.0)


def changes(mean_norm: float, rng: np.random.Generator) -> dict[str, Callable[[Vectors], Vectors]]:
    """Return the changes by name; each takes and returns rows of :data:`DIMENSION` numbers."""
    rotation = np.linalg.qr(rng.standard_normal((DIMENSION, DIMENSION)))[0]
    common = rng.standard_normal(DIMENSION)
    common *= mean_norm / np.linalg.norm(common)
    made: dict[str, Callable[[Vectors], Vectors]] = {
        "none": lambda x: x,
        "scaled by 3.7": lambda x: 3.7 * x,
        "rotated": lambda x: x @ rotation,
    }
    for times in COMMON:
        made[f"common vector, {times:g} mean norms"] = lambda x, times=times: x + times * common
    for most in STRETCH:
        axes = np.geomspace(1, most, DIMENSION)
        made[f"axes stretched by 1 to {most:g}"] = lambda x, axes=axes: x * axes
    return made


def measured(queries: Vectors, variants: Vectors, pool: TaskPool) -> Vectors:
    """Return raw distance and calibrated sensitivity, each a row with one column per grain type."""
    queries, variants = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (queries, variants))
    form = pool.variants
    distance = ((variants - queries[form.query]) ** 2).sum(axis=1) / 2
    dropped, reworded = form.kind == "degrained", form.kind == "paraphrased"
    moves = measures.Moves(form.query[dropped], form.grain[dropped], distance[dropped])
    number = len(queries)
    noise = np.bincount(form.query[reworded], distance[reworded], number) / np.bincount(
        form.query[reworded], None, number
    )
    found, missing = measures.grain_sensitivity(moves, noise, unrelated(queries, pool))
    if missing:
        raise SystemExit(f"no sensitivity: {missing}")
    raw = measures.grain_distance(moves)
    return np.array([[by_grain[grain][0] for grain in sorted(raw)] for by_grain in (raw, found)])


def experiment(folder: Path, task: str, seed: int) -> dict[str, Vectors]:
    """Return what :func:`measured` finds after each change, for one random projection."""
    benchmark, rng = Benchmark(folder), np.random.default_rng(seed)
    pool = load_pool(benchmark, task, "test", pool="task", limit=None, seed=0)
    source = OracleSource(benchmark, "test", noise=NOISE, seed=seed)
    queries, variants = source.queries(pool).astype(np.float64), source.variants(pool).astype(np.float64)
    projection = rng.standard_normal((queries.shape[1], DIMENSION)) / np.sqrt(DIMENSION)
    queries, variants = queries @ projection, variants @ projection
    mean_norm = float(np.linalg.norm(queries, axis=1).mean())
    return {name: measured(change(queries), change(variants), pool) for name, change in changes(mean_norm, rng).items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--task", default="t2i")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    runs = [experiment(options.folder, options.task, seed) for seed in range(options.seeds)]
    print("| change | raw distance | of the unchanged | calibrated sensitivity | largest change of a grain type |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name in runs[0]:
        before, after = (np.array([run[which] for run in runs]) for which in ("none", name))
        raw, calibrated = after.mean(axis=(0, 2))
        ratio, most = raw / before[:, 0].mean(), np.abs(after - before)[:, 1].max()
        print(f"| {name} | {raw:.4f} | {ratio:.3f} | {calibrated:.3f} | {most:.3f} |")


if __name__ == "__main__":
    main()
