"""What an approximate index of FAISS finds of the exact best, and how much sooner.

pip install -e '.[benchmark]' && python benchmarks/approximate.py

Vectors gather around centres, as those of a trained model do; ``--centres 0`` draws them anywhere, the hardest case.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from peers import machine, medians, unit_vectors

from mrbench.search.approximate import approximate_top_k, build_index
from mrbench.search.topk import top_k


def gathered(rows: int, length: int, centres: np.ndarray, seed: int) -> np.ndarray:
    """Return unit vectors about as far from a centre as from zero."""
    drawn = unit_vectors(rows, length, seed)
    if len(centres):
        drawn += centres[np.random.default_rng(seed).integers(len(centres), size=rows)]
        drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    return drawn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs=3, default=(1000, 200_000, 256), help="queries, candidates, length")
    parser.add_argument("--centres", type=int, default=2000)
    parser.add_argument("--depth", type=int, default=100)
    parser.add_argument("--indexes", nargs="+", default=("IVF512,Flat", "IVF512,SQ8", "HNSW32"))
    parser.add_argument("--probes", type=int, nargs="+", default=(4, 16, 64), help="cells or neighbours looked at")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    number, pool, length = asked.sizes
    centres = unit_vectors(asked.centres, length, 0)
    queries, candidates = gathered(number, length, centres, 1), gathered(pool, length, centres, 2)
    print(machine("faiss-cpu"))
    exact = medians({"exact": lambda: top_k(queries, candidates, asked.depth)}, asked.rounds)["exact"]
    print(f"{number:,} x {pool:,} x {length}, depth {asked.depth}, {asked.centres} centres; exact {exact:.2f} s")
    for factory in asked.indexes:
        start = time.perf_counter()
        index = build_index(candidates, factory)
        print(f"  {factory}, built in {time.perf_counter() - start:.1f} s")
        for probes in asked.probes:
            if hasattr(index, "nprobe"):
                index.nprobe = probes
            else:
                index.hnsw.efSearch = max(probes, asked.depth)
            seconds = medians({"index": lambda index=index: index.search(queries, asked.depth)}, asked.rounds)["index"]
            found = approximate_top_k(queries, candidates, asked.depth, index)
            print(f"    {probes:>4} probes: recall {found.recall:.3f}, {seconds:.2f} s, {exact / seconds:.1f} x faster")


if __name__ == "__main__":
    main()
