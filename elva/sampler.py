"""Which queries a step has, with which negatives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from elva.config import Sampling
from elva.data import Pool
from elva.negatives import Floats, Ints, grades, sample_negatives
from elva.prompts import Input


def embed_pools(pools: Sequence[Pool], embed: Callable[[Sequence[Input]], Floats]) -> list[tuple[Floats, Floats]]:
    """Return the embeddings of every pool's queries and candidates; what pools share is embedded once."""
    sides = {id(side): side for pool in pools for side in (pool.queries, pool.candidates)}
    found = {number: embed(side) for number, side in sides.items()}
    return [(found[id(pool.queries)], found[id(pool.candidates)]) for pool in pools]


@dataclass(frozen=True, slots=True)
class Draw:
    """One query of a step with its candidates.

    Attributes:
        pool: Index of the pool.
        query: Index of the query in it.
        candidates: The positive and the negatives, shape ``(1 + num_negatives,)``.
        grades: How many of the query's grains each keeps, same shape.
    """

    pool: int
    query: int
    candidates: Ints
    grades: Ints


class Sampler:
    """Which queries a step has, with which negatives: a function of the seed, the step and, for mining, the model.

    Args:
        pools: Where to draw from.
        sampling: How to draw negatives.
        batch: Queries of a step, over all processes.
        balance: How far small pools come round more often.
        seed: Decides every draw.
        embed: Returns the unit embeddings of inputs under the current model; pools that share their candidates (the
            same object) have them embedded once.
    """

    def __init__(
        self,
        pools: Sequence[Pool],
        sampling: Sampling,
        *,
        batch: int,
        balance: float = 0.0,
        seed: int,
        embed: Callable[[Sequence[Input]], Floats],
    ) -> None:
        self.pools, self._sampling, self._batch, self._seed, self._embed = pools, sampling, batch, seed, embed
        self._places = balanced([len(pool.queries) for pool in pools], balance)
        self._refresh, self._mined = -1, list[Ints]()

    def draws(self, step: int) -> list[Draw]:
        """Return the step's queries. Every query comes once before any comes again."""
        refresh = step // self._sampling.refresh if self._sampling.refresh else 0
        if self._refresh != refresh:
            embeddings = embed_pools(self.pools, self._embed)
            self._mined = [self._mine(number, *embeddings[number], refresh) for number in range(len(self.pools))]
            self._refresh = refresh
        return [self._draw(*self._places[place]) for place in order(len(self._places), self._batch, step, self._seed)]

    def _mine(self, number: int, queries: Floats, candidates: Floats, refresh: int) -> Ints:
        pool = self.pools[number]
        return sample_negatives(
            queries,
            candidates,
            pool.query_grains,
            pool.candidate_grains,
            pool.positives,
            self._sampling,
            seed=self._seed + number,
            refresh=refresh,
            names=pool.names,
        )

    def _draw(self, number: int, query: int) -> Draw:
        pool = self.pools[number]
        candidates = np.concatenate([pool.positives[[query]], self._mined[number][query]])
        kept = grades(pool.query_grains[[query]], pool.candidate_grains[candidates])[0]
        return Draw(number, query, candidates, kept)

    def state(self) -> dict[str, Tensor]:
        """Return what an interrupted run needs to go on exactly: negatives mined with a model that has moved on."""
        tensors = {f"negatives.{number}": torch.from_numpy(rows) for number, rows in enumerate(self._mined)}
        return {"refresh": torch.tensor(self._refresh), **tensors}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Go on from :meth:`state`."""
        self._refresh = int(state["refresh"])
        self._mined = [state[f"negatives.{number}"].numpy() for number in range(len(state) - 1)]


def order(total: int, batch: int, step: int, seed: int) -> list[int]:
    """Return the places of a step. Every place comes once before any comes again.

    >>> sorted(order(6, 4, 0, seed=1) + order(6, 4, 1, seed=1)[:2])
    [0, 1, 2, 3, 4, 5]
    """
    places = range(step * batch, (step + 1) * batch)
    epochs = {epoch: np.random.default_rng([seed, epoch]).permutation(total) for epoch in {p // total for p in places}}
    return [int(epochs[place // total][place % total]) for place in places]


def balanced(sizes: Sequence[int], balance: float) -> list[tuple[int, int]]:
    """Return (pool, row) for all rows of all pools, those of small pools several times.

    >>> balanced([4, 1], 0.5)
    [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 0)]
    """
    times = [round((max(sizes) / size) ** balance) if size else 0 for size in sizes]
    return [(number, row) for number, size in enumerate(sizes) for _ in range(times[number]) for row in range(size)]
