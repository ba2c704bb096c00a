"""Candidates on a device of torch, by chunks, and their exact scores.

Scores are summed in float64. A sum whose error could change its rounding is taken again in two halves, of which the
upper is exact. The CPU sums the very few that are still undecided.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np

from mrbench.arrays import Embeddings, Ints
from mrbench.errors import InputError, MissingExtraError
from mrbench.search.exact import exact_sums, pair_scores
from mrbench.search.gpu.precision import full_precision
from mrbench.search.gpu.tables import WORDS, columns, rounds_differently, row_ends
from mrbench.search.products import margin

TABLE = 1 << 28  # most numbers in a table
SHARE = 64  # bytes of free memory needed for each number of a table, with everything computed from it
LEAST = 1 << 16  # numbers that a table may have even if memory is short
PAIRS = 1 << 27  # most numbers in the vectors of the pairs that are summed at a time
DENSE = 256  # if more than one in 256 sums is undecided, an exact table is faster
UPLOAD = 1 << 22  # numbers that a thread sends to the device at a time
FETCH = 1 << 19  # numbers that a thread copies from the device at a time
THREADS = 8
_U = 2.0**-53
_SPLIT = 1.5 * 2.0**12  # (x + this) - this rounds x, at most 1, to a multiple of 2**-40; sums of those are exact


class DeviceCandidates:
    """Candidates on a device. If they do not fit into half of its free memory, they are sent there chunk by chunk.

    Args:
        candidates: float32 unit vectors, shape ``(num_candidates, dimension)``; may be a memory map.
        device: A device of torch, for example ``cuda``.
        position: Position of each candidate in the pool, which orders ties; None takes the rows.
        weights: Copies of each candidate in the pool; None takes 1 for each.

    Attributes:
        torch: The module torch.
        device: The device.
        host: The candidates as given, in main memory.
        whole: All candidates on the device; None if they do not fit.
        table: Most numbers in a table.
        margin: Largest difference of a float32 product and its score (:func:`mrbench.search.products.margin`).
        position: The positions, on the device.
        weights: The weights, on the device; None if not given.

    Raises:
        InputError: Torch has no such device here.
        MissingExtraError: Torch is not installed.
    """

    def __init__(
        self, candidates: Embeddings, device: str, *, position: Ints | None = None, weights: Ints | None = None
    ) -> None:
        try:
            import torch
        except ModuleNotFoundError as error:
            raise MissingExtraError("search on a device needs torch", hint='pip install "mrbench[models]"') from error
        self.torch: Any = torch
        try:
            self.device = torch.empty(0, device=device).device
            if self.device.type not in ("cpu", "cuda"):  # other devices lack float64, or hold no values
                raise RuntimeError
        except (RuntimeError, AssertionError) as fault:
            accepted = "cpu, cuda or cuda:N, if torch finds it"
            raise InputError("torch has no such device", got=device, accepted=accepted, hint="--device auto") from fault
        self.host = candidates
        free = _free_memory(torch, self.device)
        fits = candidates.nbytes * 2 <= free
        self.whole: Any = self._upload(candidates) if fits else None
        free -= fits * candidates.nbytes
        free -= 16 * len(candidates)  # positions and weights
        self.table = max(LEAST, min(TABLE, free // SHARE))
        self._at_once = max(LEAST, min(PAIRS, free // SHARE))
        self._bound = 1.01 * _U * candidates.shape[1]
        self.margin = margin(candidates.shape[1])
        number = len(candidates)
        self.position: Any = torch.arange(number, device=self.device) if position is None else self.to(position)
        self.weights: Any = None if weights is None else self.to(weights)

    def chunks(self, height: int, numbers: int | None = None) -> Iterator[tuple[int, Any]]:
        """Yield first row and vectors of chunks of candidates, on the device.

        A chunk has as many candidates as a table may have columns.

        Args:
            height: Rows of the table.
            numbers: Most numbers in the table; None takes what memory allows.
        """
        step = max(1, (numbers or self.table) // max(height, self.host.shape[1]))
        step -= step % (8 * WORDS) if step > 8 * WORDS else 0
        for start in range(0, len(self.host), step):
            if self.whole is not None:
                yield start, self.whole[start : start + step]
            else:
                yield start, self.to(self.host[start : start + step])

    def pairs(self, queries: Queries, query: Any, rows: Any) -> Any:
        """Return the exact scores of pairs, float32; ``query`` (ascending) and ``rows`` are on the device."""
        torch = self.torch
        if self.whole is None:
            ends = row_ends(torch, query, len(queries.narrow)).cpu().numpy()
            host = pair_scores(queries.host, self.host, rows.cpu().numpy(), ends)
            return self.to(host)
        sums = self._sums(queries, query, rows)
        unsure = rounds_differently(sums, self._bound).nonzero()[:, 0]
        scores = sums.float()
        scores[unsure] = self._settled(queries, query[unsure], rows[unsure])
        return scores.add_(0.0)  # -0 becomes 0

    def _sums(self, queries: Queries, query: Any, rows: Any) -> Any:
        """Return the inner products of pairs, summed in float64."""
        torch, dimension = self.torch, self.host.shape[1]
        if not len(rows):
            return rows.double()
        some, each = query.unique_consecutive(return_inverse=True)
        column, width = columns(torch, each, len(some))
        # One table of vectors for each query, unless more than half of the tables would be empty.
        if len(some) * width <= 2 * len(rows) and width * dimension <= self._at_once:
            table = rows.new_zeros((len(some), width))
            table[each, column] = rows
            step = max(1, self._at_once // (width * dimension))
            parts = [
                torch.bmm(
                    self.whole[table[start : start + step]].double(), queries.wide[some[start : start + step], :, None]
                )
                for start in range(0, len(some), step)
            ]
            return torch.cat(parts)[each, column, 0]
        step = max(1, self._at_once // dimension)
        parts = []
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            parts.append(self.whole[rows[part]].double().mul_(queries.narrow[query[part]]).sum(1))
        return torch.cat(parts)

    def _settled(self, queries: Queries, query: Any, rows: Any) -> Any:
        """Return the exact scores, float32, of pairs whose float64 sums are undecided."""
        torch = self.torch
        scores = torch.empty(len(rows), dtype=torch.float32, device=self.device)
        step = max(1, self._at_once // self.host.shape[1])
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            products = self._rows(rows[part]).double()
            products *= queries.narrow[query[part]]
            high = (products + _SPLIT) - _SPLIT
            low = products - high  # 2**-41 or less
            error = low.abs().sum(1) * (2 * self._bound)
            high, low = high.sum(1), low.sum(1)
            lower, upper = (high + (low - error)).float(), (high + (low + error)).float()
            scores[part] = lower
            still = (lower != upper).nonzero()[:, 0]
            if len(still):
                scores[part][still] = self.to(np.array(exact_sums(products[still].cpu().numpy()), dtype=np.float32))
        return scores

    def _rows(self, rows: Any) -> Any:
        return self.to(self.host[rows.cpu().numpy()]) if self.whole is None else self.whole[rows]

    def exact(self, queries: Queries, start: int, part: Any) -> Any:
        """Return the exact scores of queries with a chunk of candidates, as a table."""
        wide = part.double().T
        sums = queries.wide @ wide
        unsure = rounds_differently(sums, self._bound).nonzero()
        if len(unsure) * DENSE > sums.numel():  # many sums of few nonzero products: a bound for each sum
            error = (queries.wide.abs() @ wide.abs_()).mul_(1.01 * self._bound)
            unsure = rounds_differently(sums, error).nonzero()
        scores = sums.float()
        query, column = unsure.T
        scores[query, column] = self._settled(queries, query, column + start)
        return scores.add_(0.0)

    def keys(self, scores: Any, positions: Any) -> Any:
        """Return :func:`mrbench.search.exact.order_keys` minus 2**63, because torch compares signed integers."""
        bits = scores.contiguous().view(self.torch.int32).long()
        falling = self.torch.where(bits < 0, bits, bits.bitwise_not() & 0x7FFFFFFF)  # the upper half is shifted out
        return ((falling - (1 << 31)) << 32) | positions

    def key_parts(self, keys: Any) -> tuple[Any, Any]:
        """Return the positions and the scores that :meth:`keys` packed."""
        falling = (keys >> 32).int() ^ -(1 << 31)
        bits = self.torch.where(falling < 0, falling, falling.bitwise_not() & 0x7FFFFFFF)
        return keys & 0xFFFFFFFF, bits.view(self.torch.float32)

    def to(self, array: np.ndarray[Any, Any]) -> Any:
        """Return an array as a tensor on the device."""
        return self.torch.from_numpy(np.array(array, order="C")).to(self.device)

    def _upload(self, candidates: Embeddings) -> Any:
        """Return all candidates on the device. Threads send them, since copying into pinned memory takes the time."""
        torch, pinned = self.torch, self.device.type == "cuda"
        whole = torch.empty(candidates.shape, dtype=torch.float32, device=self.device)
        stream = torch.cuda.current_stream(self.device) if pinned else None  # new threads have another current stream
        step = max(1, UPLOAD // candidates.shape[1])

        def send(start: int) -> None:
            part = candidates[start : start + step]
            staged = torch.empty(part.shape, dtype=torch.float32, device="cpu", pin_memory=pinned)
            np.copyto(staged.numpy(), part)
            with torch.inference_mode(whole.is_inference()), torch.cuda.stream(stream):  # both are settings of a thread
                whole[start : start + step].copy_(staged, non_blocking=True)
            if stream is not None:
                stream.synchronize()

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(send, range(0, len(candidates), step)))
        return whole

    def fetch(self, tensor: Any, out: np.ndarray[Any, Any]) -> None:
        """Copy a tensor of the device into an array, in threads, as :meth:`_upload` does."""
        torch, pinned = self.torch, self.device.type == "cuda"
        stream = torch.cuda.current_stream(self.device) if pinned else None
        step = max(1, FETCH // max(1, tensor[:1].numel()))

        def bring(start: int) -> None:
            part = tensor[start : start + step]
            staged = torch.empty(part.shape, dtype=part.dtype, device="cpu", pin_memory=pinned)
            with torch.inference_mode(), torch.cuda.stream(stream):
                staged.copy_(part, non_blocking=True)
            if stream is not None:
                stream.synchronize()
            np.copyto(out[start : start + step], staged.numpy())

        starts = range(0, len(tensor), step)
        if len(starts) == 1:
            bring(0)
        else:
            with ThreadPoolExecutor(THREADS) as pool:
                list(pool.map(bring, starts))

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Compute in the block without gradients, without autocast, and with float32 products in full precision."""
        torch = self.torch
        with torch.inference_mode(), torch.autocast(self.device.type, enabled=False), full_precision(torch):
            yield


class Queries:
    """A block of queries in main memory, on the device in float32, and on the device in float64."""

    def __init__(self, candidates: DeviceCandidates, queries: Embeddings) -> None:
        self.host = queries
        self.narrow = candidates.to(queries)
        self.wide = self.narrow.double()

    def of(self, some: Any) -> Queries:
        """Return some of the queries."""
        part = object.__new__(Queries)
        part.host, part.narrow, part.wide = self.host[some.cpu().numpy()], self.narrow[some], self.wide[some]
        return part


def _free_memory(torch: Any, device: Any) -> int:
    if device.type != "cuda":
        return 1 << 32
    torch.cuda.empty_cache()
    return int(torch.cuda.mem_get_info(device)[0])
