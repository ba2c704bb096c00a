"""Stages 1 and 2: InfoNCE over a batch, with the memory of a chunk.

A batch larger than a chunk is run twice (GradCache, Gao et al., arXiv 2101.06983): once without gradient for all
embeddings, then, with the gradient of the loss in the embeddings at hand, a chunk at a time under gradient. The result
is the gradient of the whole batch, over all processes.

Two things may stand beside it: hard negatives of the query's ladder, and the generation loss on the canonical summary,
which keeps the model able to say what it sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from elva.config import Contrastive, Sampling
from elva.data import Pool
from elva.losses import info_nce
from elva.model import Elva, seeded_globally
from elva.processes import Processes
from elva.prompts import Input
from elva.sampler import Sampler, balanced, order
from mrbench.arrays import Embeddings, Ints


@dataclass(frozen=True, slots=True)
class _Row:
    """One input of a batch: of which pool and side, and its place there; a negative row pads the list."""

    pool: int
    side: str
    row: int


class InfoNCE:
    """The objective: ``backward`` adds one step's gradient.

    Args:
        model: The model.
        pools: Queries and candidates; one coding of grains for all.
        settings: Of the stage.
        seed: Decides the order of the queries.
        processes: Every ``world``-th query is this process's.
        sampling: Balanced negatives in the place of those of the ladder: mined with the model as it is at first, and
            after ``refresh`` steps; a control of stage 3.
    """

    def __init__(
        self,
        model: Elva,
        pools: Sequence[Pool],
        settings: Contrastive,
        *,
        seed: int,
        processes: Processes | None = None,
        sampling: Sampling | None = None,
    ) -> None:
        self._model, self._pools, self._settings, self._seed = model, pools, settings, seed
        self._processes = processes or Processes()
        self._places = balanced([len(pool.queries) for pool in pools], settings.balance)
        self._sampler = None
        if sampling is not None:
            self._sampler = Sampler(pools, settings, sampling, seed=seed, embed=self._embed_all)

    def __len__(self) -> int:
        """Number of queries, those that come round twice counted twice."""
        return len(self._places)

    def backward(self, step: int) -> dict[str, float]:
        """Add the gradient of one step and return ``loss``, ``top1`` and, where it counts, ``generation``."""
        rows, positives = self._batch(step)
        part = slice(self._processes.rank, None, self._processes.world)
        own = rows[part]
        chunks = [slice(start, start + self._settings.chunk) for start in range(0, len(own), self._settings.chunk)]
        if len(chunks) == 1 and self._processes.world == 1:
            embeddings, generation = self._run(own, step, 0)
            loss, top = self._loss(embeddings, rows, positives)
            (loss + self._settings.generation * generation).backward()  # type: ignore[no-untyped-call]
            return self._metrics(loss, top, generation.detach())
        with torch.no_grad():
            found = torch.cat([self._run(own[chunk], step, n, generate=False)[0] for n, chunk in enumerate(chunks)])
        everyone = self._processes.gather(found).reshape(self._processes.world, -1, found.shape[1])
        leaf = everyone.transpose(0, 1).flatten(0, 1).detach().requires_grad_()  # back in the order of the rows
        loss, top = self._loss(leaf, rows, positives)
        (gradient,) = torch.autograd.grad(loss, leaf)
        total = torch.zeros((), device=leaf.device)
        for number, chunk in enumerate(chunks):
            embeddings, generation = self._run(own[chunk], step, number)
            share = len(own[chunk]) / len(rows)
            surrogate = (embeddings * gradient[part][chunk]).sum() + self._settings.generation * share * generation
            surrogate.backward()  # type: ignore[no-untyped-call]
            total = total + share * generation.detach()
        return self._metrics(loss, top, self._processes.total(total))

    def _metrics(self, loss: Tensor, top: Tensor, generation: Tensor) -> dict[str, float]:
        more = {"generation": float(generation)} if self._settings.generation else {}
        return {"loss": float(loss.detach()), "top1": float(top), **more}

    def _batch(self, step: int) -> tuple[list[_Row], Ints]:
        """Return the rows of a step, queries first, and where each query's positive stands among the candidates.

        The list is padded with what the loss masks, so that every process has as many rows.
        """
        queries: list[_Row] = []
        candidates: dict[tuple[int, int], int] = {}
        rows: list[_Row] = []
        positives = []
        for number, query, members in self._draws(step):
            queries.append(_Row(number, "queries", query))
            side = id(self._pools[number].candidates)
            for place, row in enumerate(members):
                if (side, row) not in candidates:
                    candidates[side, row] = len(rows)
                    rows.append(_Row(number, "candidates", row))
                if not place:
                    positives.append(candidates[side, row])
        missing = -(len(queries) + len(rows)) % self._processes.world
        rows += [_Row(rows[0].pool, "padding", rows[0].row)] * missing
        return queries + rows, np.array(positives)

    def _draws(self, step: int) -> list[tuple[int, int, list[int]]]:
        if self._sampler is not None:
            return [(draw.pool, draw.query, draw.candidates.tolist()) for draw in self._sampler.draws(step)]
        found = []
        for place in order(len(self._places), self._settings.batch, step, self._seed):
            number, query = self._places[place]
            pool = self._pools[number]
            hard = [int(row) for row in pool.ladders[query][: self._settings.negatives] if row >= 0]
            found.append((number, query, [int(pool.positives[query]), *hard]))
        return found

    def _loss(self, embeddings: Tensor, rows: Sequence[_Row], positives: Ints) -> tuple[Tensor, Tensor]:
        queries, candidates = rows[: len(positives)], rows[len(positives) :]
        asked = torch.from_numpy(np.stack([self._pools[r.pool].query_grains[r.row] for r in queries]))
        has = torch.from_numpy(np.stack([self._pools[r.pool].candidate_grains[r.row] for r in candidates]))
        masked = ((asked.unsqueeze(1) == has) | (asked.unsqueeze(1) < 0)).all(-1)
        masked |= torch.tensor([row.side == "padding" for row in candidates])
        first, others = embeddings[: len(queries)], embeddings[len(queries) :]
        target = torch.from_numpy(positives).to(embeddings.device)
        masked = masked.to(embeddings.device)
        loss = info_nce(first, others, target, masked, temperature=self._settings.temperature)
        own = torch.nn.functional.one_hot(target, len(others)).bool()
        best = (first @ others.T).detach().masked_fill(masked & ~own, -torch.inf).argmax(-1)
        return loss, (best == target).float().mean()

    def _run(self, rows: Sequence[_Row], step: int, chunk: int, *, generate: bool = True) -> tuple[Tensor, Tensor]:
        """Return embeddings, and the mean generation loss a row (0 where it does not count)."""
        settings, model = self._settings, self._model
        inputs = [self._input(row) for row in rows]
        generate = generate and settings.generation > 0
        # Dropout, also in the pass without gradient: else the gradient of the loss would be that of other embeddings.
        with seeded_globally(self._seed, step, self._processes.rank, chunk):
            canonical = [self._summary(row) for row in rows] if generate or settings.embedding == "summary" else None
            if settings.embedding == "summary":
                summaries = canonical if settings.summaries == "canonical" else model.summarise(inputs)[0]
                found, lengths, embeddings = model.forced(
                    inputs, "summary", summaries, log_probs=generate and not settings.doubled, dropout=True
                )
            else:
                embeddings = model.forced(inputs, "word", dropout=True)[2]
            if not generate:
                return embeddings, embeddings.new_zeros(())
            if settings.doubled:
                found, lengths, _ = model.forced(inputs, "summary", canonical, log_probs=True, dropout=True)
            return embeddings, generation_loss(found, lengths)

    def _input(self, row: _Row) -> Input:
        pool = self._pools[row.pool]
        return pool.queries[row.row] if row.side == "queries" else pool.candidates[row.row]

    def _summary(self, row: _Row) -> str:
        pool = self._pools[row.pool]
        return pool.query_summaries[row.row] if row.side == "queries" else pool.candidate_summaries[row.row]

    def _embed_all(self, inputs: Sequence[Input]) -> Embeddings:
        starts = range(0, len(inputs), self._settings.chunk)
        chunks = (inputs[start : start + self._settings.chunk] for start in starts)
        return np.concatenate([self._model.embed(chunk, self._settings.embedding).cpu().numpy() for chunk in chunks])

    def state(self) -> dict[str, Tensor]:
        """Return what an interrupted run needs to go on exactly."""
        return {} if self._sampler is None else self._sampler.state()

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Go on from :meth:`state`."""
        if self._sampler is not None:
            self._sampler.load_state(state)


def generation_loss(log_probs: Tensor | None, lengths: Tensor) -> Tensor:
    """Return the mean over sequences of the negative log-probability per token, the end token included.

    Args:
        log_probs: Shape ``(num_sequences, length)``.
        lengths: Tokens of each, shape ``(num_sequences,)``.

    >>> generation_loss(torch.tensor([[-1.0, -3.0], [-4.0, -9.0]]), torch.tensor([2, 1]))
    tensor(3.)
    """
    if log_probs is None:
        raise TypeError("log-probabilities were not asked for")
    mask = torch.arange(log_probs.shape[1], device=lengths.device) < lengths.unsqueeze(1)
    return -((log_probs * mask).sum(1) / lengths).mean()
