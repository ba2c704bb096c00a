"""A pool on a device of torch, such as a GPU: its scores, counts and best are those of the processor, to the last bit.

Products in float32 find there who may be among the best and who may be above a value, with the bound on their error
that :mod:`mrbench.search.products` has; where only the best are wanted, products in bfloat16 do. What is near is summed
in float64, and what could round another way without error, there too. Where many are too near to tell, whole tables are
summed in float64.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np

from mrbench.errors import InputError
from mrbench.measures.ties import Floats, Ints
from mrbench.search.exact import Scores, exact_sums, pair_scores
from mrbench.search.precision import full_precision
from mrbench.search.products import margin, need_torch
from mrbench.search.vectors import Embeddings

QUERIES = 4096  # in one product at most
SAMPLE = 32  # every so many candidates are looked at first, to guess how high the best reach
WORDS = 255  # of eight flags that are added at a time: no byte of their sum carries into the next
TABLE = 1 << 28  # numbers of a table at most, and
SHARE = 64  # bytes of free memory that one number of a table takes, with all that is made of it
HELD = 4096  # and four times as many as are wanted: candidates held for a query; where more are near, tables are exact
PAIRS = 1 << 27  # numbers of the vectors of pairs that are summed at a time, at most
SPREAD = 1 << 22  # numbers of the candidates whose mean and covariance are summed at a time
WAITING = 1 << 22  # pairs that wait to be settled
DENSE = 256  # one in so many pairs to settle costs more than an exact table
MANY = 64  # values of a query for which sorting exact scores is faster than a pass for each
COST = 256  # one candidate more to score exactly costs what bfloat16 saves on fewer products than this
UPLOAD = 1 << 22  # numbers that one thread sends to the device at a time
THREADS = 8
_U, _U_FLOAT32, _U_BFLOAT16 = 2.0**-53, 2.0**-24, 2.0**-8
_SPLIT = 1.5 * 2.0**12  # a number of 1 or less plus this less this is a multiple of 2**-40, whose sums are exact


class DevicePool:
    """Candidates, on a device where they fit into half of its free memory; else they are sent there chunk by chunk.

    Args:
        candidates: float32 unit vectors, shape ``(num_candidates, dimension)``; may be a memory map.
        device: Of torch, for example ``cuda``.
        place: The order of the tied: place of each candidate, each once; None takes the rows.
        weights: How often each candidate counts; None counts each once.
        bfloat16: Whether products may be of vectors rounded to bfloat16; None asks it of devices made for that.

    Raises:
        InputError: Torch has no such device here.
        MissingExtraError: Torch is not installed.
    """

    def __init__(
        self,
        candidates: Embeddings,
        device: str,
        *,
        place: Ints | None = None,
        weights: Ints | None = None,
        bfloat16: bool | None = None,
    ) -> None:
        need_torch()
        import torch

        self._torch: Any = torch
        try:
            self._device = torch.empty(0, device=device).device
            if self._device.type not in ("cpu", "cuda"):  # others lack float64, or values at all
                raise RuntimeError
        except (RuntimeError, AssertionError) as fault:
            accepted = "cpu, cuda, cuda:N, where there"
            raise InputError("torch has no such device", got=device, accepted=accepted) from fault
        self._candidates = candidates
        free = _free_memory(torch, self._device)
        fits = candidates.nbytes * 2 <= free
        self._whole: Any = self._upload(candidates) if fits else None
        free -= fits * candidates.nbytes
        self._table = max(1 << 16, min(TABLE, free // SHARE))
        self._at_once = max(1 << 16, min(PAIRS, free // SHARE))
        self._bound = 1.01 * _U * candidates.shape[1]
        self._margin = margin(candidates.shape[1])
        number = len(candidates)
        self._place: Any = torch.arange(number, device=self._device) if place is None else self._to(place)
        self._weights: Any = None if weights is None else self._to(weights)
        self._bfloat16 = fits and (_multiplies_bfloat16(torch, self._device) if bfloat16 is None else bfloat16)
        self._residual: float | None = None

    def pair_scores(self, queries: Embeddings, rows: Ints, ends: Ints) -> Scores:
        """Score queries, each against some candidates of its own; see :func:`mrbench.search.exact.pair_scores`."""
        if self._whole is None:
            return pair_scores(queries, self._candidates, rows, ends)
        with self._computing():
            mine = _Queries(self, queries)
            query = np.repeat(np.arange(len(queries)), np.diff(ends))
            found: Scores = self._pairs(mine, self._to(query), self._to(rows)).cpu().numpy()
        return found

    def search(self, queries: Embeddings, depth: int, values: Scores | None = None) -> tuple[Ints, Scores, Ints, Ints]:
        """Find the best candidates of every query, and count how many score above each of some values, and the same.

        Args:
            queries: Unit vectors, shape ``(num_queries, dimension)``.
            depth: Candidates wanted per query, at most as many as there are; 0 counts only.
            values: Scores of each query, shape ``(num_queries, num_values)``, filled up with infinity;
                None counts none.

        Returns:
            Places and scores of the best, by falling score, the tied by place, both of shape ``(num_queries, depth)``;
            how many candidates score higher than each value, and how many the same.
        """
        values = np.empty((len(queries), 0), dtype=np.float32) if values is None else values
        places, scores = (np.empty((len(queries), depth), dtype=kind) for kind in (np.int64, np.float32))
        counts = np.zeros((2, *values.shape), dtype=np.int64)
        with self._computing():
            size = self.block(len(queries), 1, depth)
            for start in range(0, len(queries), size):
                some = slice(start, start + size)
                mine = _Queries(self, queries[some])
                keys, found = self._search(mine, depth, self._to(values[some]))
                if keys is not None:
                    places[some], scores[some] = (part.cpu().numpy() for part in self._key_parts(keys))
                if found is not None:
                    counts[:, some] = found.cpu().numpy()
        return places, scores, counts[0], counts[1]

    def block(self, number: int, threads: int, depth: int) -> int:
        """Return how many queries to ask at a time, whatever their number and the threads: fewer for a great depth."""
        return max(1, min(QUERIES, self._table // (8 * depth + 2 * HELD)))

    def spread(self, queries: Embeddings) -> tuple[Floats, Floats]:
        """Return mean and standard deviation of every query's scores, in float64; see :mod:`mrbench.search.spread`."""
        dimension = self._candidates.shape[1]
        few = len(queries) < dimension
        number = len(self._candidates) if self._weights is None else int(self._weights.sum())
        with self._computing():
            wide: Any = self._to(queries).double()
            total: Any = 0.0
            square: Any = 0.0
            for start, part in self._chunks(dimension, SPREAD):
                total = total + (part.double() if self._weights is None else self._weighted(start, part)).sum(0)
            centre = total / number
            for start, part in self._chunks(dimension, SPREAD):
                rows = part.double() - centre
                if self._weights is not None:
                    rows *= self._weights[start : start + len(part), None].double().sqrt()
                square = square + ((rows @ wide.T).square().sum(0) if few else rows.T @ rows)
            if not few:
                square = ((wide @ square) * wide).sum(1)
            deviation = (square / number).clamp_(min=0).sqrt()
            mean, deviation = (each.float().double().cpu().numpy() for each in (wide @ centre, deviation))
        return mean, deviation

    def _weighted(self, start: int, part: Any) -> Any:
        return part.double() * self._weights[start : start + len(part), None]

    def residual(self) -> float:
        """Return the length of what rounding to bfloat16 takes from a candidate, the largest of all."""
        if self._residual is None:
            parts = [(part - part.bfloat16()).norm(dim=1).max() for _, part in self._chunks(1)]
            self._residual = 1.001 * float(self._torch.stack(parts).max())
        return self._residual

    def _search(self, queries: _Queries, depth: int, values: Any) -> tuple[Any, Any]:
        """Return keys of the best and both counts, on the device; None of what is not asked for."""
        best = _Best(self, queries, depth) if depth else None
        counts = _Counts(self, queries, values) if values.shape[1] else None
        guessed = best is not None and best.guess(coarse=counts is None)
        if guessed or counts:
            for start, part in self._chunks(len(queries.narrow)):
                if guessed and best.coarse is not None:  # type: ignore[union-attr]
                    best.look(start, best.coarse @ part.bfloat16().T)  # type: ignore[union-attr]
                    continue
                scores = queries.narrow @ part.T
                if counts:
                    counts.look(start, part, scores)
                if guessed:
                    best.look(start, scores)  # type: ignore[union-attr]
        if counts:
            counts.finish()
        return best.keys() if best else None, counts.found if counts else None

    def _chunks(self, height: int, numbers: int | None = None) -> Iterator[tuple[int, Any]]:
        """Yield the candidates on the device, as many at a time as a table may have columns.

        Args:
            height: Rows of the table; or numbers of a candidate, where these are more.
            numbers: Of the table at most; None takes what memory allows.
        """
        step = max(1, (numbers or self._table) // max(height, self._candidates.shape[1]))
        step -= step % (8 * WORDS) if step > 8 * WORDS else 0
        for start in range(0, len(self._candidates), step):
            if self._whole is not None:
                yield start, self._whole[start : start + step]
            else:
                yield start, self._to(self._candidates[start : start + step])

    def _pairs(self, queries: _Queries, query: Any, rows: Any) -> Any:
        """Return the scores of pairs, float32, where query and row of each are on the device, by query."""
        torch = self._torch
        if self._whole is None:
            ends = torch.searchsorted(query, torch.arange(len(queries.narrow) + 1, device=self._device))
            host = pair_scores(queries.host, self._candidates, rows.cpu().numpy(), ends.cpu().numpy())
            return self._to(host)
        sums = self._sums(queries, query, rows)
        unsure = _rounds_differently(sums, self._bound).nonzero()[:, 0]
        scores = sums.float()
        scores[unsure] = self._settled(queries, query[unsure], rows[unsure])
        return scores.add_(0.0)  # -0 becomes 0

    def _sums(self, queries: _Queries, query: Any, rows: Any) -> Any:
        """Return the products of pairs, summed in float64."""
        torch, dimension = self._torch, self._candidates.shape[1]
        if not len(rows):
            return rows.double()
        some, each = query.unique_consecutive(return_inverse=True)
        column, width = _table(torch, each, len(some))
        # As tables of vectors, one a query, where that leaves not more empty than full.
        if len(some) * width <= 2 * len(rows) and width * dimension <= self._at_once:
            table = rows.new_zeros((len(some), width))
            table[each, column] = rows
            step = max(1, self._at_once // (width * dimension))
            parts = [
                torch.bmm(
                    self._whole[table[start : start + step]].double(), queries.wide[some[start : start + step], :, None]
                )
                for start in range(0, len(some), step)
            ]
            return torch.cat(parts)[each, column, 0]
        step = max(1, self._at_once // dimension)
        parts = []
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            parts.append(self._whole[rows[part]].double().mul_(queries.narrow[query[part]]).sum(1))
        return torch.cat(parts)

    def _settled(self, queries: _Queries, query: Any, rows: Any) -> Any:
        """Return the scores of pairs, float32, whose sums in float64 could round either way."""
        torch = self._torch
        scores = torch.empty(len(rows), device=self._device)
        step = max(1, self._at_once // self._candidates.shape[1])
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
                scores[part][still] = self._to(np.array(exact_sums(products[still].cpu().numpy()), dtype=np.float32))
        return scores

    def _rows(self, rows: Any) -> Any:
        return self._to(self._candidates[rows.cpu().numpy()]) if self._whole is None else self._whole[rows]

    def _exact(self, queries: _Queries, start: int, part: Any) -> Any:
        """Return the scores of queries and candidates from a row on, as a table."""
        wide = part.double().T
        sums = queries.wide @ wide
        unsure = _rounds_differently(sums, self._bound).nonzero()
        if len(unsure) * DENSE > sums.numel():  # sums of few products, or of none: a bound for each
            error = (queries.wide.abs() @ wide.abs_()).mul_(1.01 * self._bound)
            unsure = _rounds_differently(sums, error).nonzero()
        scores = sums.float()
        query, column = unsure.T
        scores[query, column] = self._settled(queries, query, column + start)
        return scores.add_(0.0)

    def _keys(self, scores: Any, places: Any) -> Any:
        """Return :func:`mrbench.search.exact.order_keys` less 2**63, since torch compares signed numbers."""
        bits = scores.contiguous().view(self._torch.int32).long()
        falling = self._torch.where(bits < 0, bits, bits.bitwise_not() & 0x7FFFFFFF)  # the upper half is shifted out
        return ((falling - (1 << 31)) << 32) | places

    def _key_parts(self, keys: Any) -> tuple[Any, Any]:
        """Return the places and the scores that :meth:`_keys` put together."""
        falling = (keys >> 32).int() ^ -(1 << 31)
        bits = self._torch.where(falling < 0, falling, falling.bitwise_not() & 0x7FFFFFFF)
        return keys & 0xFFFFFFFF, bits.view(self._torch.float32)

    def _to(self, array: np.ndarray[Any, Any]) -> Any:
        return self._torch.from_numpy(np.array(array, order="C")).to(self._device)

    def _upload(self, candidates: Embeddings) -> Any:
        """Send all to the device, by threads, whose copies into memory that the device reads are what takes time."""
        torch, pinned = self._torch, self._device.type == "cuda"
        whole = torch.empty(candidates.shape, device=self._device)
        stream = torch.cuda.current_stream(self._device) if pinned else None  # threads have another
        step = max(1, UPLOAD // candidates.shape[1])

        def send(start: int) -> None:
            part = candidates[start : start + step]
            staged = torch.empty(part.shape, pin_memory=pinned)
            np.copyto(staged.numpy(), part)
            with torch.cuda.stream(stream):
                whole[start : start + step].copy_(staged, non_blocking=True)
            if stream is not None:
                stream.synchronize()

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(send, range(0, len(candidates), step)))
        return whole

    @contextmanager
    def _computing(self) -> Iterator[None]:
        torch = self._torch
        with torch.inference_mode(), torch.autocast(self._device.type, enabled=False), full_precision(torch):
            yield


class _Queries:
    """Queries here, on the device, and there in float64."""

    def __init__(self, pool: DevicePool, queries: Embeddings) -> None:
        self.host = queries
        self.narrow = pool._to(queries)
        self.wide = self.narrow.double()

    def of(self, some: Any) -> _Queries:
        """Return some of them."""
        part = object.__new__(_Queries)
        part.host, part.narrow, part.wide = self.host[some.cpu().numpy()], self.narrow[some], self.wide[some]
        return part


class _Counts:
    """How many candidates score above values, and the same, a table of products after the other."""

    def __init__(self, pool: DevicePool, queries: _Queries, values: Any) -> None:
        self._pool, self._queries, self._values = pool, queries, values
        self.found = values.new_zeros((2, *values.shape), dtype=pool._torch.int64)
        self._unsure: list[tuple[Any, Any]] = []  # place of the value among all, row
        self._waiting = 0

    def look(self, start: int, part: Any, scores: Any) -> None:
        """Look at the products with the candidates from a row on."""
        torch, pool, number = self._pool._torch, self._pool, self._values.shape[1]
        if number > MANY:
            return self._exactly(start, part, 0)
        near, above = _Flags(torch, scores), _Flags(torch, scores)
        for column in range(number):
            value = self._values[:, column, None]
            torch.ge(scores, value - pool._margin, out=near.flags)
            torch.gt(scores, value + pool._margin, out=above.flags)
            near.words ^= above.words
            query, row = near.places()
            if len(query) * DENSE > scores.numel() + WAITING:
                return self._exactly(start, part, column)
            self.found[0, :, column] += self._sums(start, above)
            self._unsure.append((query * number + column, row + start))
            self._waiting += len(query)
            if self._waiting > WAITING:
                self.finish()
        return None

    def _exactly(self, start: int, part: Any, column: int) -> None:
        """Count by exact scores, for the values from a column on."""
        step = max(1, len(part) // 4)  # numbers twice as long
        for first in range(0, len(part), step):
            scores = self._pool._exact(self._queries, start + first, part[first : first + step])
            if self._values.shape[1] > MANY:
                self._sort(start + first, scores)
                continue
            flags = _Flags(self._pool._torch, scores)
            for at in range(column, self._values.shape[1]):
                for counts, compare in zip(self.found, (self._pool._torch.gt, self._pool._torch.eq), strict=True):
                    compare(scores, self._values[:, at, None], out=flags.flags)
                    counts[:, at] += self._sums(start + first, flags)

    def _sort(self, start: int, scores: Any) -> None:
        """Count by sorting exact scores."""
        torch, weights = self._pool._torch, self._pool._weights
        ascending, order = scores.sort(1)
        left, right = (torch.searchsorted(ascending, self._values, right=right) for right in (False, True))
        whole = scores.shape[1]
        if weights is not None:
            upto = torch.zeros((len(scores), whole + 1), dtype=torch.int64, device=scores.device)
            torch.cumsum(weights[start : start + whole][order], 1, out=upto[:, 1:])
            left, right, whole = upto.gather(1, left), upto.gather(1, right), upto[:, -1:]
        self.found[0] += whole - right
        self.found[1] += right - left

    def _sums(self, start: int, flags: _Flags) -> Any:
        if self._pool._weights is None:
            return flags.sums()
        return (flags.flags * self._pool._weights[start : start + flags.flags.shape[1]]).sum(1)

    def finish(self) -> None:
        """Settle what was too close to tell."""
        if not self._unsure:
            return
        torch, number = self._pool._torch, self._values.shape[1]
        at, row = (torch.cat(parts) for parts in zip(*self._unsure, strict=True))
        self._unsure, self._waiting = [], 0
        at, order = at.sort()
        row = row[order]
        scores, value = self._pool._pairs(self._queries, at // number, row), self._values.reshape(-1)[at]
        for counts, true in zip(self.found, (scores > value, scores == value), strict=True):
            weights = true.long() if self._pool._weights is None else true * self._pool._weights[row]
            counts.view(-1).index_add_(0, at, weights)


class _Best:
    """The best of queries: those that reach a guess are held and settled; who guessed wrong is searched exactly.

    Attributes:
        coarse: The queries rounded to bfloat16, where products of these are to be looked at; else None.
    """

    coarse: Any = None

    def __init__(self, pool: DevicePool, queries: _Queries, depth: int) -> None:
        self._pool, self._queries, self._depth = pool, queries, depth
        self._held: list[tuple[Any, Any, Any]] = []  # query, row, product

    def guess(self, *, coarse: bool) -> bool:
        """Guess from every n-th candidate a score that a few more than are wanted reach, or say that they are few.

        Args:
            coarse: Whether products in bfloat16 would do, where few candidates more are held for it.
        """
        torch, pool, number = self._pool._torch, self._pool, len(self._queries.narrow)
        step = max(SAMPLE, -(-len(pool._candidates) * number // pool._table))
        expected = self._depth / step
        rank = round(expected + 3.5 * expected**0.5 + 3)
        if 2 * rank > -(-len(pool._candidates) // step):
            return False
        sample = pool._to(pool._candidates[::step]) if pool._whole is None else pool._whole[::step]
        scores = self._queries.narrow @ sample.T
        self._guess = scores.topk(rank, dim=1).values[:, -1:].contiguous()
        self._limit = self._guess - self._error(self._guess)
        if coarse and pool._bfloat16:
            rounded = self._queries.narrow.bfloat16()
            lost = float((self._queries.narrow - rounded).norm(dim=1).max()) + pool.residual()
            # As of Bfloat16Product; units that multiply bfloat16 may cut where others round.
            self._lost = 1.01 * lost + 8.4 * (rounded.shape[1] + 2) * _U_FLOAT32
            limit = self._guess - self._coarse_error(self._guess)
            more = (scores >= limit).sum() - (scores >= self._guess).sum()
            if bool((limit > 0).all()) and int(more) * COST < scores.numel():
                self.coarse = rounded
                # The upper half of a positive float32 is the bfloat16 at or below it.
                self._limit = (limit.view(torch.int32) >> 16 << 16).view(torch.float32).bfloat16()
        self._number = torch.zeros(number, dtype=torch.int64, device=pool._device)
        return True

    def _error(self, level: Any) -> Any:
        return 2 * self._pool._margin if self.coarse is None else self._coarse_error(level)

    def _coarse_error(self, level: Any) -> Any:
        return (2 * self._lost + 2 * _U_BFLOAT16 * level.abs()) * 1.02

    def look(self, start: int, scores: Any) -> None:
        """Hold who reaches the limit; a query that holds too many is left to :meth:`_surely`."""
        torch = self._pool._torch
        reach = _Flags(torch, scores)
        torch.ge(scores, self._limit, out=reach.flags)
        query, column = reach.places()
        self._number += torch.bincount(query, minlength=len(self._number))
        hungry = self._number > HELD + 4 * self._depth
        if bool(hungry.any()):
            self._limit[hungry] = float("inf")
            rest = ~hungry[query]
            query, column = query[rest], column[rest]
        self._held.append((query, column + start, scores[query, column].float()))

    def keys(self) -> Any:
        """Return the keys of the best, shape ``(num_queries, depth)``."""
        torch = self._pool._torch
        if not self._held:
            return self._surely(self._queries)
        query, rows, values = (torch.cat(parts) for parts in zip(*self._held, strict=True))
        if len(self._held) > 1:
            query, order = torch.sort(query.int(), stable=True)
            query, rows, values = query.long(), rows[order], values[order]
        self._held = []
        reached = torch.bincount(query[values >= self._guess[query, 0]], minlength=len(self._limit))
        sure = (reached >= self._depth) & (self._limit[:, 0] < float("inf"))
        some, rest = sure.nonzero()[:, 0], (~sure).nonzero()[:, 0]
        if not len(rest):
            return self._settle(some, query, rows, values)
        found = rows.new_empty((len(sure), self._depth))
        found[rest] = self._surely(self._queries.of(rest))
        if len(some):
            kept = sure[query]
            number = torch.cumsum(sure, 0) - 1
            found[some] = self._settle(some, number[query[kept]], rows[kept], values[kept])
        return found

    def _settle(self, some: Any, query: Any, rows: Any, values: Any) -> Any:
        """Return keys of the best of some queries, from what they hold, which stands by query."""
        torch, pool = self._pool._torch, self._pool
        table, width = _table(torch, query, len(some))
        products = values.new_full((len(some), width), float("-inf"))
        products[query, table] = values
        level = products.topk(self._depth, dim=1, sorted=False).values.min(1).values
        level -= self._error(level)
        close = values >= level[query]
        query, rows = query[close], rows[close]
        keys = pool._keys(pool._pairs(self._queries, some[query], rows), pool._place[rows])
        table, width = _table(torch, query, len(some))
        filled = keys.new_full((len(some), width), torch.iinfo(torch.int64).max)
        filled[query, table] = keys
        return filled.sort(1).values[:, : self._depth]

    def _surely(self, queries: _Queries) -> Any:
        """Return the keys of the best from tables of exact scores."""
        torch, pool, keys = self._pool._torch, self._pool, None
        for start, part in pool._chunks(len(queries.narrow), pool._table // 4):
            more = pool._keys(pool._exact(queries, start, part), pool._place[start : start + len(part)])
            keys = more if keys is None else torch.cat([keys, more], 1)
            keys = keys.topk(min(self._depth, keys.shape[1]), dim=1, largest=False).values
        return keys.sort(1).values  # type: ignore[union-attr]


class _Flags:
    """Flags of a table, eight a word.

    Attributes:
        flags: A place for them, of the shape of the table.
        words: The same as int64; what is beside the table is 0.
    """

    def __init__(self, torch: Any, table: Any) -> None:
        height, width = table.shape
        whole = -(-width // (8 * WORDS)) * 8 * WORDS
        every = torch.empty((height, whole), dtype=torch.bool, device=table.device)
        every[:, width:] = False
        self._torch, self.flags, self.words = torch, every[:, :width], every.view(torch.int64)

    def sums(self) -> Any:
        """Return how many flags of each row are set."""
        some = self.words.view(len(self.words), -1, WORDS).sum(2)
        return some.view(self._torch.uint8).sum(1)

    def places(self) -> tuple[Any, Any]:
        """Return row and column of those that are set, by row; few are, so words are looked at first."""
        at = self.words.reshape(-1).nonzero()[:, 0]
        inside = self.words.reshape(-1)[at].view(self._torch.bool).nonzero()[:, 0]
        at = at[inside >> 3]
        width = self.words.shape[1]
        return at // width, at % width * 8 + (inside & 7)


def _table(torch: Any, query: Any, number: int) -> tuple[Any, int]:
    """Return in which column of its row each stands, where they are sorted by row, and how many columns that takes."""
    counts = torch.bincount(query, minlength=number)
    starts = torch.cumsum(counts, 0) - counts
    return torch.arange(len(query), device=query.device) - starts[query], int(counts.max()) if number else 0


def _rounds_differently(sums: Any, error: Any) -> Any:
    """Say where both ends of what a sum may be do not round to the same float32; rounding is monotone."""
    return (sums - error).float() != (sums + error).float()


def _multiplies_bfloat16(torch: Any, device: Any) -> bool:
    return device.type == "cuda" and bool(torch.cuda.get_device_capability(device) >= (8, 0))


def _free_memory(torch: Any, device: Any) -> int:
    if device.type != "cuda":
        return 1 << 32
    torch.cuda.empty_cache()
    return int(torch.cuda.mem_get_info(device)[0])
