"""Exact search against FAISS, against torch, and against the bare matrix product, which is the limit.

On a GPU: from arrays here to arrays here, and with the candidates there already; against torch there; and what square
products of float32 and copies reach.

pip install -e '.[benchmark]' && python benchmarks/search.py
python benchmarks/search.py --device cuda --sizes 10000 1000000 512
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
from pathlib import Path

import numpy as np
import torch
from peers import done, machine, medians, record, unit_vectors, write_records

from mrbench.search.best import Best
from mrbench.search.gpu import DevicePool
from mrbench.search.products import one_thread, residual, usable
from mrbench.search.topk import top_k

CHUNK = 8192
SIDE = 8192  # of the square products and copies that a GPU is measured with


def bare_numpy(queries: np.ndarray, candidates: np.ndarray) -> None:
    """The product alone, by chunks into one buffer."""
    out = np.empty(len(queries) * CHUNK, dtype=np.float32)
    for start in range(0, len(candidates), CHUNK):
        part = candidates[start : start + CHUNK]
        np.matmul(queries, part.T, out=out[: len(queries) * len(part)].reshape(len(queries), -1))


def bare_torch(queries: torch.Tensor, candidates: torch.Tensor, chunk: int = CHUNK) -> None:
    for start in range(0, len(candidates), chunk):
        queries @ candidates[start : start + chunk].T


def on_device(sizes: list[int], depths: list[int], rounds: int, device: str) -> None:
    """Measure on a GPU, in float32 without TensorFloat-32."""
    number, pool, length = sizes
    queries, candidates = unit_vectors(number, length, 0), unit_vectors(pool, length, 1)
    there = torch.from_numpy(queries).to(device), torch.from_numpy(candidates).to(device)
    held = DevicePool(candidates, device)
    chunk = max(CHUNK, (1 << 28) // number)  # a table of 1 GiB
    for depth in depths:
        ours, _ = top_k(queries, candidates, depth, device=device)
        rows = torch_topk(*there, depth, chunk).cpu().numpy()
        same = np.mean([len(np.intersect1d(*both)) for both in zip(ours, rows, strict=True)]) / depth
        runs = {
            "ours": lambda depth=depth: top_k(queries, candidates, depth, device=device),
            "ours, pool there": lambda depth=depth: held.search(queries, depth),
            "torch topk": lambda depth=depth: torch_topk(
                *(torch.from_numpy(each).to(device) for each in (queries, candidates)), depth, chunk
            ).cpu(),
            "torch topk, pool there": lambda depth=depth: torch_topk(*there, depth, chunk).cpu(),
            "bare product": lambda: bare_torch(*there, chunk),
        }
        found = medians({name: done(run, device) for name, run in runs.items()}, rounds)
        print(f"{number:,} x {pool:,} x {length}, depth {depth}; {same:.6f} of the rows are torch's too")
        for name, seconds in found.items():
            record(f"{number:,} x {pool:,} x {length}, depth {depth:,}", name, "wall", seconds)
            rate = 2e-12 * number * pool * length / seconds
            beside = f"{seconds / found['bare product']:6.2f} x the bare product  {seconds / found['ours']:5.2f} x ours"
            print(f"  {name:<22} {1e3 * seconds:8.1f} ms  {rate:5.1f} TFLOP/s  {beside}", flush=True)


def ceilings(device: str) -> None:
    """Measure square products of float32 and copies on a GPU."""
    left, right = torch.rand(2, SIDE, SIDE, device=device).unbind()
    out, more = torch.empty_like(left), torch.rand(1 << 29, device=device)
    other, host = torch.empty_like(more), torch.empty(1 << 28, pin_memory=True)
    runs = {
        "square products, TFLOP/s": (2e-12 * SIDE**3, lambda: torch.matmul(left, right, out=out)),
        "copies there, GB/s": (8e-9 * len(more), lambda: other.copy_(more)),
        "copies from pinned memory, GB/s": (4e-9 * len(host), lambda: other[: len(host)].copy_(host)),
    }
    found = medians({name: done(run, device) for name, (_, run) in runs.items()}, 5)
    for name, seconds in found.items():
        what, unit = name.split(", ")
        record(what, unit, "rate", runs[name][0] / seconds)
        print(f"  {what}: {runs[name][0] / seconds:.1f} {unit}")


def torch_topk(queries: torch.Tensor, candidates: torch.Tensor, depth: int, chunk: int = CHUNK) -> torch.Tensor:
    """Chunks, the best of each beside the best so far."""
    values = torch.empty(len(queries), 0, device=queries.device)
    rows = torch.empty(len(queries), 0, dtype=torch.int64, device=queries.device)
    for start in range(0, len(candidates), chunk):
        scores = queries @ candidates[start : start + chunk].T
        value, row = scores.topk(min(depth, scores.shape[1]), dim=1)
        values, rows = torch.cat([values, value], 1), torch.cat([rows, row + start], 1)
        values, kept = values.topk(min(depth, values.shape[1]), dim=1)
        rows = rows.gather(1, kept)
    return rows


def profile(queries: np.ndarray, candidates: np.ndarray, depth: int, block: int = 256) -> None:
    """Print where one thread spends its time: share by function, with and without what it calls."""
    profiler = cProfile.Profile()
    lost = residual(candidates) if usable(2.0 * len(queries) * candidates.size, candidates.shape[1]) else None
    with one_thread():
        profiler.enable()
        for start in range(0, len(queries), block):
            Best(queries[start : start + block], candidates, depth, lost=lost).search()
        profiler.disable()
    stats = pstats.Stats(profiler)
    print(f"depth {depth}, one thread, {stats.total_tt:.2f} s")  # type: ignore[attr-defined]
    rows = [
        (whole / stats.total_tt, own / stats.total_tt, name)  # type: ignore[attr-defined]
        for (_, _, name), (_, _, own, whole, _) in stats.stats.items()  # type: ignore[attr-defined]
    ]
    for whole, own, name in sorted(rows, reverse=True):
        if whole > 0.02:
            print(f"  {whole:4.0%} with what it calls  {own:4.0%} itself  {name}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs=3, default=(2000, 100_000, 256), help="queries, candidates, length")
    parser.add_argument("--depths", type=int, nargs="+", default=(100, 1000))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--device", default="cpu", help="cpu, or a GPU of torch such as cuda")
    parser.add_argument("--profile", action="store_true", help="say where our time goes, and measure nothing else")
    asked = parser.parse_args()
    number, pool, length = asked.sizes
    if asked.device != "cpu":
        said = machine("torch", device=asked.device)
        print(said)
        ceilings(asked.device)
        on_device(asked.sizes, asked.depths, asked.rounds, asked.device)
        return write_records(asked.json, said)
    queries, candidates = unit_vectors(number, length, 0), unit_vectors(pool, length, 1)
    if asked.profile:
        for depth in asked.depths:
            profile(queries, candidates, depth)
        return None
    import faiss

    tensors = torch.from_numpy(queries), torch.from_numpy(candidates)
    index = faiss.IndexFlatIP(length)
    index.add(candidates)
    said = machine("torch", "faiss-cpu")
    print(said)
    for depth in asked.depths:
        ours, _ = top_k(queries, candidates, depth)
        same = np.mean([len(np.intersect1d(*rows)) for rows in zip(ours, index.search(queries, depth)[1], strict=True)])
        found = medians(
            {
                "ours": lambda depth=depth: top_k(queries, candidates, depth),
                "faiss": lambda depth=depth: index.search(queries, depth),
                "torch topk": lambda depth=depth: torch_topk(*tensors, depth),
                "bare, numpy": lambda: bare_numpy(queries, candidates),
                "bare, torch": lambda: bare_torch(*tensors),
            },
            asked.rounds,
        )
        limit = min(found["bare, numpy"], found["bare, torch"])
        print(f"{number:,} x {pool:,} x {length}, depth {depth}; {same / depth:.6f} of the rows are FAISS's too")
        for name, seconds in found.items():
            record(f"{number:,} x {pool:,} x {length}, depth {depth:,}", name, "wall", seconds)
            beside = f"{seconds / limit:5.2f} x the bare product  {seconds / found['ours']:5.2f} x ours"
            print(f"  {name:<12} {seconds:7.3f} s  {beside}")
    return write_records(asked.json, said)


if __name__ == "__main__":
    main()
