"""MaxSim of ours against transformers' ``score_retrieval``, in one run: seconds, pairs a second, and their ratio.

pip install -e '.[models]' && python benchmarks/maxsim.py
python benchmarks/maxsim.py --queries 64 --candidates 4000 --tokens 10 30 --rounds 5

Both score every query against every candidate with one thread. Ours also finds the best 100 and settles each score
that is asked for to the last bit; theirs returns the table, with what fills up a batch of candidates in it. CPU time,
median of rounds that take turns.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from transformers import ColPaliProcessor

from mrbench.arrays import Ragged
from mrbench.search.maxsim import TOKENS, maxsim_error, maxsim_products
from mrbench.search.maxsim_searcher import QUERY_TOKENS, MaxSimSearcher
from mrbench.search.products import one_thread
from mrbench.search.requests import ScoreRequest


class Silent:
    """A progress bar that shows nothing."""

    def update(self, number: int) -> None:
        """Do nothing."""


def unit_items(number: int, least: int, most: int, length: int, seed: int) -> Ragged:
    """Items of random unit vectors."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(least, most + 1, size=number)
    flat = rng.standard_normal((int(counts.sum()), length), dtype=np.float32)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    return Ragged.of_counts(flat, counts)


def ours(queries: Ragged, candidates: Ragged) -> None:
    """Search as an evaluation does: the best 100, and the place of one candidate of each query."""
    own = ScoreRequest(np.arange(len(queries)), np.arange(len(queries)) % len(candidates), counted=True)
    with ThreadPoolExecutor(1) as executor:
        searcher = MaxSimSearcher(candidates, np.arange(len(candidates)), executor, Silent(), threads=1)
        searcher.search(queries, [own], min(100, len(candidates)))


def theirs(queries: list[torch.Tensor], candidates: list[torch.Tensor]) -> torch.Tensor:
    """Score as the library's page has it."""
    return ColPaliProcessor.score_retrieval(None, queries, candidates)


def tensors(rows: Ragged) -> list[torch.Tensor]:
    """Return a tensor for each item."""
    return [torch.from_numpy(rows[n].flat) for n in range(len(rows))]


def measured(work: Callable[[], object]) -> float:
    """Return CPU seconds."""
    started = time.process_time()
    work()
    return time.process_time() - started


def main() -> None:
    """Measure both in turns, and compare their scores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=32)
    parser.add_argument("--query-tokens", type=int, nargs=2, default=[15, 30])
    parser.add_argument("--candidates", type=int, default=1000)
    parser.add_argument("--tokens", type=int, nargs=2, default=[700, 1030], help="of a candidate, from and to")
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    said = parser.parse_args()
    torch.set_num_threads(1)
    queries = unit_items(said.queries, *said.query_tokens, said.length, 0)
    candidates = unit_items(said.candidates, *said.tokens, said.length, 1)
    wide = tensors(queries), tensors(candidates)
    with one_thread():
        table = maxsim_products(queries, candidates)
        apart = float(np.abs(table - theirs(*wide).numpy()).max())
        rounds = [
            (measured(lambda: ours(queries, candidates)), measured(lambda: theirs(*wide))) for _ in range(said.rounds)
        ]
    mine, other = (statistics.median(column) for column in zip(*rounds, strict=True))
    products = len(queries.flat) * len(candidates.flat)
    pairs = said.queries * said.candidates
    held, most, error = products / 2**18, QUERY_TOKENS * TOKENS / 2**18, maxsim_error(queries).max()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{said.queries} queries x {said.candidates:,} candidates, {products:,} products of length {said.length}")
    print(f"ours    {mine:8.2f} s  {pairs / mine:12,.0f} pairs/s, with the best 100 and exact scores")
    print(f"theirs  {other:8.2f} s  {pairs / other:12,.0f} pairs/s, the table alone")
    print(f"ratio   {other / mine:8.2f}    of their time to ours, median of {said.rounds} rounds in turns, one thread")
    print(f"scores  {apart:.1e} apart at most, by padding too; ours are within {error:.1e} before they are settled")
    print(
        f"memory  {most:.0f} MiB of products at a time at most, of {held:,.0f} MiB; {peak:,.0f} MiB at the peak of both"
    )


if __name__ == "__main__":
    main()
