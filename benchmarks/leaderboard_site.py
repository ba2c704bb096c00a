"""Measure a leaderboard of many models: makes results of made-up models, then publishes them in a process of its own.

    python benchmarks/leaderboard_site.py --models 50 --tasks 8 --queries 8000

Results are random, with a value per query for each of two measures; a theme is shared by queries of all tasks, as in
the suites. Prints seconds of the command, its CPU seconds, its peak memory, and the size of the first view.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from mrbench.results import GrainScore, Result, TaskResult, write_result

GRAINS = ("entity", "count", "colour", "place", "size", "relation")
FIRST = ("index.html", "assets/site.css", "assets/heat.css", "assets/core.js", "assets/table.js", "assets/icon.svg")


def make(folder: Path, models: int, tasks: int, queries: int) -> None:
    rng = np.random.default_rng(0)
    names = [f"task{n}" for n in range(tasks)]
    themes = [f"theme {n}" for n in rng.integers(0, max(2, queries // 4), queries)]
    hardness = rng.normal(size=(tasks, queries))
    for number in range(models):
        skill, parts = rng.normal(), {}
        for at, name in enumerate(names):
            hits = (skill + rng.normal(size=queries) > hardness[at]).astype(float)
            grains = {g: GrainScore(float(x), 400, (max(0, x - 0.05), min(1, x + 0.05))) for g, x in
                      zip(GRAINS, rng.uniform(0.4, 0.9, len(GRAINS)), strict=True)}  # fmt: skip
            steps = {str(n): GrainScore(3.0 - n * rng.uniform(0.2, 0.6), 1000) for n in range(6)}
            parts[name] = TaskResult(
                "scored", "", queries, 5 * queries,
                scores={"hit_rate@5": float(hits.mean()), "all_grains_accuracy": float(hits.mean()), "mrr": 0.3},
                by_grain={"pair_accuracy": grains, "grain_sensitivity": grains},
                by_loss={"standardised_score": steps},
                confusion={g: {h: GrainScore(0.5, 300) for h in GRAINS} for g in GRAINS},
                per_query={"hit_rate@5": tuple(hits.tolist()), "all_grains_accuracy": tuple(hits.tolist())},
                clusters=tuple(themes),
                task={"name": name, "title": f"task {at}: text to image", "category": "t2i"},
                chance={"hit_rate@5": 5 / (5 * queries)},
            )  # fmt: skip
        length = 2 ** int(rng.integers(6, 12))
        model = {"name": f"model-{number:02}", "revision": "1", "dimension": length, "dtype": "float32",
                 "modalities": ["text", "image"], "device": "cpu", "control": number < 2}  # fmt: skip
        benchmark = {"name": "made-up", "title": "Made up", "digest": "0" * 64, "split": "test", "pool": "task"}
        result = Result(model, benchmark, parts, 0, None, {"python": "3"}, "none", "2026-01-01T00:00:00Z", 10.0)
        write_result(folder / f"{number:02}.json", result)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("models", 50), ("tasks", 8), ("queries", 8000)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--keep", type=Path, help="folder to write to, and keep")
    parser.add_argument("command", nargs="*", default=["leaderboard", "build"], help="the command that publishes")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = options.keep or Path(made)
        results = folder / "results"
        if not results.exists():
            results.mkdir(parents=True)
            make(results, options.models, options.tasks, options.queries)
        output = folder / "site"
        start = time.perf_counter()
        command = [sys.executable, "-m", "mrbench", *options.command, str(results), "-o", str(output), "--overwrite"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        print(json.dumps({
            "models": options.models, "tasks": options.tasks, "queries per task": options.queries,
            "seconds": round(time.perf_counter() - start, 1),
            "CPU seconds": round(used.ru_utime + used.ru_stime, 1),
            "peak MiB": round(used.ru_maxrss / 1024),
            "first view KB": round(sum((output / name).stat().st_size for name in FIRST) / 1000),
            "site MB": round(sum(f.stat().st_size for f in output.rglob("*") if f.is_file()) / 1e6, 1),
        }))  # fmt: skip


if __name__ == "__main__":
    main()
