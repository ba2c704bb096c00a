"""Time and memory of search and measures as the pool grows, over a memory map; draws docs/engine/growth.png.

The largest pool takes 10 GB of disk in the folder for temporary files.

pip install -e '.[benchmark]' && python benchmarks/growth.py --plot docs/engine/growth.png
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from harness import JUDGED
from peers import Median, machine, record, unit_vectors, write_records

from mrbench.measures.ranked import Judged, find_hits, ranked_measures
from mrbench.search.topk import top_k

QUERIES, LENGTH, DEPTH, PART = 512, 256, 100, 50_000
POOLS = (10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000)


def anonymous() -> float:
    """Memory of this process that no file backs, in MiB: a memory map does not count, what is computed does."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


def once(path: Path, pool: int) -> None:
    queries, candidates = unit_vectors(QUERIES, LENGTH, 0), np.load(path, mmap_mode="r")[:pool]
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.choice(pool, JUDGED, replace=False) for _ in range(QUERIES)])
    judged = Judged(np.repeat(np.arange(QUERIES), JUDGED), rows, np.ones(len(rows), dtype=np.int64), QUERIES)
    top_k(queries[:2], candidates[:5000], 10, bfloat16=True)  # what is loaded on first use; torch, as by any model
    peak, over = [anonymous()], threading.Event()

    def watch() -> None:
        while not over.wait(0.002):
            peak.append(anonymous())

    watcher = threading.Thread(target=watch)
    start, before = time.perf_counter(), anonymous()
    watcher.start()
    best, _ = top_k(queries, candidates, DEPTH)
    ranked_measures(find_hits(best, judged, pool), judged, [10, DEPTH])
    seconds = time.perf_counter() - start
    over.set()
    watcher.join()
    print(json.dumps({"seconds": seconds, "memory": max(peak) - before}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pools", type=int, nargs="+", default=POOLS)
    parser.add_argument("--rounds", type=int, default=3, help="processes for each pool: median time, highest peak")
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--once", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.once:
        return once(asked.once, asked.pools[0])
    said = machine()
    print(said)
    found: list[tuple[int, Median, Median]] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "candidates.npy"
        mapped = np.lib.format.open_memmap(path, "w+", np.float32, (max(asked.pools), LENGTH))
        for start in range(0, len(mapped), PART):
            mapped[start : start + PART] = unit_vectors(min(PART, len(mapped) - start), LENGTH, start + 1)
        mapped.flush()
        for pool in asked.pools:
            words = [sys.executable, __file__, "--once", str(path), "--pools", str(pool)]
            runs = [
                json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout)
                for _ in range(asked.rounds)
            ]
            run = {what: Median.of([one[what] for one in runs]) for what in runs[0]}
            found.append((pool, run["seconds"], run["memory"]))
            for what, value in run.items():
                record(f"{QUERIES} x {pool:,} x {LENGTH}, depth {DEPTH}", "ours", what, value, pool=pool)
            seconds, memory = run["seconds"], run["memory"]
            spread = f"{memory.low:+.1f} to {memory.high:+.1f}"
            print(f"  {pool:>9,} candidates: {seconds:7.2f} s, {memory:+6.1f} MiB ({spread})")
    if asked.plot:
        draw(found, asked.plot)
    return write_records(asked.json, said)


def draw(found: list[tuple[int, Median, Median]], path: Path) -> None:
    pools, seconds, memory = zip(*found, strict=True)
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
    left.loglog(pools, seconds, "o-", label="measured")
    left.loglog(pools, [seconds[-1] * pool / pools[-1] for pool in pools], ":", label="proportional")
    left.set(xlabel="candidates", ylabel="seconds", title=f"{QUERIES} queries, depth {DEPTH}, {LENGTH} d")
    left.legend()
    spread = [[value - value.low for value in memory], [value.high - value for value in memory]]
    right.errorbar(pools, memory, spread, fmt="o-", capsize=3)
    right.set(xscale="log", xlabel="candidates", ylabel="MiB beside the memory map", title="memory")
    right.set_ylim(0, 1.5 * max(value.high for value in memory))
    figure.savefig(path, dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main()
