"""Which queries a step has, with which negatives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from elva.config import Contrastive, Optimiser, Reinforcement, Sampling
from elva.data import Chosen, Pool
from elva.negatives import grades, sample_negatives
from elva.prompts import Input
from mrbench.arrays import Embeddings, Ints

Place = tuple[int, int]  # pool, query
Embed = Callable[[Sequence[Input]], Embeddings]


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
    """Queries with balanced negatives: a function of the seed, the step and, for mining, the model.

    Negatives are mined for the queries that come before the next refresh, and no others.

    Args:
        pools: Where to draw from.
        settings: Batch, balance and number of steps; negatives are mined for all steps if there is no refresh.
        sampling: How to draw negatives.
        seed: Decides every draw.
        embed: Returns the unit embeddings of inputs under the current model; candidates that pools share (the same
            object) are embedded once.
    """

    def __init__(
        self,
        pools: Sequence[Pool],
        settings: Contrastive | Reinforcement,
        sampling: Sampling,
        *,
        seed: int,
        embed: Embed,
    ) -> None:
        self.pools, self._settings, self._sampling, self._seed, self._embed = pools, settings, sampling, seed, embed
        self._places = balanced([len(pool.queries) for pool in pools], settings.balance)
        self._refresh, self._mined = -1, dict[Place, Ints]()

    def __len__(self) -> int:
        """Number of queries, those that come round twice counted twice."""
        return len(self._places)

    def draws(self, step: int) -> list[Draw]:
        """Return the queries of a batch, 0, 1, ... Every query comes once before any comes again."""
        every = self._sampling.refresh or steps_of(self._settings, len(self))
        every = -(-every // updates_of(self._settings))  # of batches
        refresh = step // every
        if self._refresh != refresh:
            ahead = range(refresh * every, (refresh + 1) * every)
            self._mined = dict(self._mine(sorted({place for later in ahead for place in self._at(later)}), refresh))
            self._refresh = refresh
        return [self._draw(place) for place in self._at(step)]

    def _at(self, step: int) -> list[Place]:
        return [self._places[row] for row in order(len(self._places), self._settings.batch, step, self._seed)]

    def _mine(self, places: Sequence[Place], refresh: int) -> Iterator[tuple[Place, Ints]]:
        asked = {number: [query for pool, query in places if pool == number] for number in range(len(self.pools))}
        sides: dict[int, tuple[Sequence[Input], set[int]]] = {}
        for number, queries in asked.items():
            pool = self.pools[number]
            _, rows = sides.setdefault(id(pool.candidates), (pool.candidates, set()))
            rows |= {int(row) for row in pool.positives[queries] if row >= 0}
        chosen = {key: self._choose(len(side), rows, refresh) for key, (side, rows) in sides.items()}
        found = {key: self._embed(Chosen(side, chosen[key].tolist())) for key, (side, _) in sides.items()}
        for number, queries in asked.items():
            if not queries:
                continue
            pool = self.pools[number]
            rows_of_side = chosen[id(pool.candidates)]
            known = np.searchsorted(rows_of_side, pool.positives[queries])
            negatives = sample_negatives(
                self._embed(Chosen(pool.queries, queries)),
                found[id(pool.candidates)],
                pool.query_grains[queries],
                pool.candidate_grains[rows_of_side],
                np.where(pool.positives[queries] < 0, -1, known),
                self._sampling,
                seed=self._seed + number,
                refresh=refresh,
                names=[pool.names[query] for query in queries],
            )
            for query, row in zip(queries, negatives, strict=True):
                yield (number, query), rows_of_side[row]

    def _choose(self, total: int, needed: set[int], refresh: int) -> Ints:
        """Return the rows of a corpus that are mined among, ascending; the positives belong to them."""
        if not self._sampling.pool or self._sampling.pool >= total:
            return np.arange(total)
        drawn = np.random.default_rng([self._seed, refresh, total]).choice(total, self._sampling.pool, replace=False)
        return np.union1d(drawn, np.array(sorted(needed), dtype=np.int64))

    def _draw(self, place: Place) -> Draw:
        pool = self.pools[place[0]]
        candidates = np.concatenate([pool.positives[[place[1]]], self._mined[place]])
        kept = grades(pool.query_grains[[place[1]]], pool.candidate_grains[candidates])[0]
        return Draw(*place, candidates, kept)

    def state(self) -> dict[str, Tensor]:
        """Return what an interrupted run needs to go on exactly: negatives mined with a model that has moved on."""
        places = torch.tensor(list(self._mined), dtype=torch.int64).reshape(-1, 2)
        rows = torch.from_numpy(np.stack(list(self._mined.values()))) if self._mined else places
        return {"refresh": torch.tensor(self._refresh), "places": places, "negatives": rows}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Go on from :meth:`state`."""
        self._refresh = int(state["refresh"])
        rows = zip(state["places"].tolist(), state["negatives"].numpy(), strict=True)
        self._mined = {(pool, query): negatives for (pool, query), negatives in rows}


def answers(pools: Sequence[Pool], draws: Sequence[Draw]) -> Tensor:
    """Return which candidate of which draw answers the query of a draw: it keeps all grains.

    Returns:
        Boolean, shape ``(num_draws, num_draws, 1 + num_negatives)``: query, owner of the candidate, candidate.
    """
    asked = torch.from_numpy(np.stack([pools[draw.pool].query_grains[draw.query] for draw in draws]))[:, None, None]
    has = torch.from_numpy(np.stack([pools[draw.pool].candidate_grains[draw.candidates] for draw in draws]))
    return ((asked == has) | (asked < 0)).all(-1)


def embed_pools(pools: Sequence[Pool], embed: Embed) -> list[tuple[Embeddings, Embeddings]]:
    """Return the embeddings of every pool's queries and candidates; what pools share is embedded once."""
    sides = {id(side): side for pool in pools for side in (pool.queries, pool.candidates)}
    found = {number: embed(side) for number, side in sides.items()}
    return [(found[id(pool.queries)], found[id(pool.candidates)]) for pool in pools]


def steps_of(settings: Optimiser, rows: int) -> int:
    """Return the number of steps of a stage over so many rows.

    >>> steps_of(Contrastive(epochs=2, batch=10), 50), steps_of(Reinforcement(epochs=2, batch=10, updates=2), 50)
    (10, 20)
    """
    return settings.steps or max(1, round(settings.epochs * rows / settings.batch)) * updates_of(settings)


def updates_of(settings: Optimiser) -> int:
    """Return the number of steps with one batch."""
    return settings.updates if isinstance(settings, Reinforcement) else 1


def order(total: int, batch: int, step: int, seed: int) -> list[int]:
    """Return the places of a step. Every place comes once before any comes again.

    >>> sorted(order(6, 4, 0, seed=1) + order(6, 4, 1, seed=1)[:2])
    [0, 1, 2, 3, 4, 5]
    """
    places = range(step * batch, (step + 1) * batch)
    epochs = {epoch: np.random.default_rng([seed, epoch]).permutation(total) for epoch in {p // total for p in places}}
    return [int(epochs[place // total][place % total]) for place in places]


def balanced(sizes: Sequence[int], balance: float) -> list[Place]:
    """Return (pool, row) for all rows of all pools, those of small pools several times.

    >>> balanced([4, 1], 0.5)
    [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 0)]
    """
    times = [round((max(sizes) / size) ** balance) if size else 0 for size in sizes]
    return [(number, row) for number, size in enumerate(sizes) for _ in range(times[number]) for row in range(size)]
