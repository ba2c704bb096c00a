"""Train linear heads. Options and the stopping point are picked on validation data; nothing else is tuned.

Every setting of a small grid trains for a quarter of the steps. The one that validates best goes on, from where it is,
until it has not improved for a while. What is kept is the point at which it validated best.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import kl_div
from tqdm import tqdm

from elva.heads.data import Split, TrainTask
from elva.heads.linear import Heads, Tables
from elva.heads.objectives import OBJECTIVES, Batch, Setting
from mrbench.arrays import Bools, Embeddings, Ints
from mrbench.errors import ModelError

WARMUP, PATIENCE = 20, 6
GUARD_TEMPERATURE = 0.05
MOST_VALIDATED = 2000
"""Queries of a task that validate, at most."""


@dataclass(frozen=True)
class Plan:
    """How heads are trained.

    Attributes:
        objective: One of :data:`elva.heads.objectives.OBJECTIVES`.
        dimension: Length of an embedding.
        grid: Settings to try.
        identity: Whether heads start as the identity, so that step 0 is the frozen model itself.
        steps: Steps of a run, at most.
        every: Steps between two looks at the validation data.
        batch: Queries of a step.
        negatives: Further candidates that a step has for every query: of its ladder, or random ones.
        drop: Share of the features that a step leaves out.
        guard: Weight of the divergence from the similarities of the frozen model; for heads that start as it.
        seed: Decides every draw.
    """

    objective: str
    dimension: int
    grid: tuple[Setting, ...]
    identity: bool = False
    steps: int = 800
    every: int = 20
    batch: int = 128
    negatives: int = 4
    drop: float = 0.5
    guard: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class Trained:
    """Trained heads and how they came about.

    Attributes:
        heads: Weight and bias by part, as :meth:`elva.heads.linear.Heads.export` returns them.
        setting: What the validation split picked.
        step: The step that was kept; 0 where training did not help.
        curve: Step and validation score of the run that was kept.
        tried: The best validation score of each setting after a quarter of the steps.
        validation: Scores on the validation split, by task and measure, at the step that was kept.
    """

    heads: dict[str, Embeddings]
    setting: Setting
    step: int
    curve: tuple[tuple[int, float], ...]
    tried: tuple[tuple[Setting, float], ...]
    validation: dict[str, float]


def train(data: Split, validation: Split, plan: Plan, keep: Split | None = None) -> Trained:
    """Train heads on a split.

    One thread of the processor computes, so that the result does not depend on how many there are.

    Args:
        data: What to train on.
        validation: What picks the setting and the step.
        plan: How.
        keep: What the guard holds fast to; None takes the training data.

    Raises:
        ModelError: The loss is not finite.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _train(data, validation, plan, keep)
    finally:
        torch.set_num_threads(threads)


def _train(data: Split, validation: Split, plan: Plan, keep: Split | None) -> Trained:
    trial = max(plan.every, plan.steps // 4 // plan.every * plan.every)
    runs = [_Run(data, validation, plan, setting, keep) for setting in plan.grid]
    total = trial * len(runs) + plan.steps - trial
    with tqdm(total=total, desc=f"train {plan.objective}", unit="step", leave=False, disable=None) as bar:
        for run in runs:
            run.advance(trial, bar)
        tried = tuple((run.setting, run.best[0]) for run in runs)
        chosen = max(runs, key=lambda run: run.best[0])  # the first of equals
        chosen.advance(plan.steps, bar, patience=PATIENCE)
    _, step, heads = chosen.best
    return Trained(heads, chosen.setting, step, tuple(chosen.curve), tried, chosen.scores)


@dataclass
class _Run:
    """Heads under one setting; it can go on from where it is."""

    data: Split
    validation: Split
    plan: Plan
    setting: Setting
    keep: Split | None
    curve: list[tuple[int, float]] = field(default_factory=list)
    scores: dict[str, float] = field(default_factory=dict)
    step: int = 0

    def __post_init__(self) -> None:
        self.tables, self.valid = as_tensors(self.data), as_tensors(self.validation)
        plan = self.plan
        self.heads = Heads(self.tables, plan.dimension, identity=plan.identity, seed=plan.seed)
        self.guard = _Guard(self.keep or self.data, plan) if plan.guard else None
        self.optimiser = torch.optim.AdamW(self.heads.parameters(), lr=self.setting.rate, weight_decay=0.0)
        self.drawn = draws(self.data.tasks, plan.batch, np.random.default_rng([plan.seed, 1]))
        self.generator = torch.Generator().manual_seed(plan.seed + 1)
        self.rng = np.random.default_rng([plan.seed, 2])
        self.best: tuple[float, int, dict[str, Embeddings]] = (-np.inf, 0, {})
        if plan.identity:  # random heads are no result
            self.look()

    def advance(self, until: int, bar: Any, patience: int | None = None) -> None:
        """Train until a step, or until the validation score has not risen for some looks."""
        while self.step < until and not (patience and self._idle() >= patience):
            task, queries = next(self.drawn)
            loss = self.loss(task, queries)
            for group in self.optimiser.param_groups:
                group["lr"] = self.setting.rate * min(1.0, (self.step + 1) / WARMUP)
            self.optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimiser.step()
            self._check_finite(loss)
            self.step += 1
            bar.update()
            if self.step % self.plan.every == 0:
                self.look()

    def _check_finite(self, loss: Tensor) -> None:
        """Raise where the loss, or the length of a weight, is no number any more."""
        lengths = [tensor.detach().norm() for tensor in self.heads.parameters()]
        if not torch.isfinite(torch.stack([loss.detach(), *lengths])).all():
            raise ModelError(
                "training diverged, nothing is written: the loss or a weight is not finite",
                where=f"{self.plan.objective}, step {self.step}, learning rate {self.setting.rate:g}",
                got=float(loss.detach()),
                hint="lower --rate",
            )

    def loss(self, task: TrainTask, queries: Ints) -> Tensor:
        """Return the loss of a step."""
        batch = self.batch(task, queries)
        loss = OBJECTIVES[self.plan.objective](batch, self.setting, self.generator)
        if self.guard is not None:
            loss = loss + self.plan.guard * self.guard(self.heads)
        return loss

    def batch(self, task: TrainTask, queries: Ints) -> Batch:
        """Draw a positive and further candidates for each query, and score all queries with all candidates."""
        plan = self.plan
        positive = task.relevant.draw(queries, 1, self.rng)
        other = self.rng.integers(0, len(task.candidates), (len(queries), plan.negatives))
        own = task.ladder.draw(queries, plan.negatives, self.rng)
        if plan.objective == "infonce":
            own[:] = -1
        columns = np.concatenate([positive, np.where(own >= 0, own, other)], axis=1)
        candidates, listed = np.unique(columns, return_inverse=True)
        listed = listed.reshape(columns.shape)
        asked, found = (
            self.heads.embed(self.tables, torch.from_numpy(rows), plan.drop, self.generator)
            for rows in (task.queries[queries], task.candidates[candidates])
        )
        masked = task.relevant_to(queries, candidates)
        first, second = np.nonzero(task.alike(queries))
        masked[first, listed[second, 0]] = True
        kept = np.full(masked.shape, -1, dtype=np.int64)
        if plan.objective == "graded":
            pairs = np.repeat(queries, len(candidates)), np.tile(candidates, len(queries))
            kept = task.kept_of(*pairs)[0].reshape(masked.shape)
        there = np.concatenate([positive >= 0, own >= 0], axis=1)
        return Batch(asked @ found.T, *map(torch.from_numpy, (listed, there, masked, kept)))

    def look(self) -> None:
        """Validate, and remember the heads where they are the best so far."""
        scores = quality(self.heads, self.valid, self.validation.tasks)
        score = float(np.mean(list(overall(scores).values())))
        self.curve.append((self.step, score))
        if score > self.best[0]:
            self.best, self.scores = (score, self.step, self.heads.export()), scores

    def _idle(self) -> int:
        return (self.step - self.best[1]) // self.plan.every


class _Guard:
    """How far similarities have moved from those of the frozen model."""

    def __init__(self, split: Split, plan: Plan) -> None:
        self._tables = as_tensors(split)
        self._frozen = Heads(self._tables, plan.dimension, identity=True)
        self._drawn = draws(split.tasks, plan.batch, np.random.default_rng([plan.seed, 3]))
        self._rng = np.random.default_rng([plan.seed, 4])

    def __call__(self, heads: Heads) -> Tensor:
        """Return the mean divergence KL(frozen || now) of softmaxes over the candidates of a draw."""
        task, queries = next(self._drawn)
        positives = np.unique(task.relevant.draw(queries, 1, self._rng))
        rows = torch.from_numpy(task.queries[queries]), torch.from_numpy(task.candidates[positives])
        with torch.no_grad():
            before = self._scores(self._frozen, *rows).log_softmax(-1)
        now = self._scores(heads, *rows).log_softmax(-1)
        return kl_div(now, before, reduction="batchmean", log_target=True)

    def _scores(self, heads: Heads, queries: Tensor, candidates: Tensor) -> Tensor:
        return heads.embed(self._tables, queries) @ heads.embed(self._tables, candidates).T / GUARD_TEMPERATURE


def as_tensors(split: Split) -> Tables:
    """Return the frozen encoders' features of a split as tensors, a table for each kind of item."""
    return {part: torch.from_numpy(table) for part, table in split.tables.items()}


def draws(tasks: Sequence[TrainTask], batch: int, rng: np.random.Generator) -> Iterator[tuple[TrainTask, Ints]]:
    """Yield a task and queries of it, without end: tasks by their size, every query once before any comes again."""
    sizes = np.array([len(task.queries) for task in tasks], dtype=np.float64)
    waiting = [np.empty(0, dtype=np.int64) for _ in tasks]
    while True:
        number = int(rng.choice(len(tasks), p=sizes / sizes.sum()))
        size = min(batch, len(tasks[number].queries))
        if len(waiting[number]) < size:
            waiting[number] = np.concatenate([waiting[number], rng.permutation(len(tasks[number].queries))])
        queries, waiting[number] = waiting[number][:size], waiting[number][size:]
        yield tasks[number], queries


@torch.no_grad()
def quality(heads: Heads, tables: Tables, tasks: Sequence[TrainTask]) -> dict[str, float]:
    """Return by ``task measure`` the mean reciprocal rank and, where there are pairs, pair accuracy over grain types.

    A tie is wrong. Of a task with more than :data:`MOST_VALIDATED` queries an even sample is looked at.
    """
    found: dict[str, float] = {}
    for task in tasks:
        chosen = np.unique(np.linspace(0, len(task.queries) - 1, MOST_VALIDATED).astype(np.int64))
        asked = heads.embed(tables, torch.from_numpy(task.queries[chosen]))
        scores = (asked @ heads.embed(tables, torch.from_numpy(task.candidates)).T).numpy()
        outside = _outside(task, chosen)
        if outside is not None:
            scores[outside] = -np.inf
        right = task.relevant_to(chosen, np.arange(len(task.candidates)))
        best = np.where(right, scores, -np.inf).max(1)
        rank = 1 + ((scores >= best[:, None]) & ~right).sum(1)
        found[f"{task.name} mrr"] = float((1 / rank).mean())
        query, kind, position = task.pairs
        row = np.searchsorted(chosen, query)
        some = (row < len(chosen)) & (chosen[np.minimum(row, len(chosen) - 1)] == query)
        if some.any():
            ahead = best[row[some]] > scores[row[some], position[some]]
            by_kind = [ahead[kind[some] == number].mean() for number in np.unique(kind[some])]
            found[f"{task.name} pair_accuracy"] = float(np.mean(by_kind))
    return found


def overall(scores: dict[str, float]) -> dict[str, float]:
    """Return one validation score for every task: the mean of its scores.

    >>> overall({"t2i mrr": 0.25, "t2i pair_accuracy": 0.75, "i2t mrr": 0.5})
    {'t2i': 0.5, 'i2t': 0.5}
    """
    by_task: dict[str, list[float]] = {}
    for name, score in scores.items():
        by_task.setdefault(name.rpartition(" ")[0], []).append(score)
    return {task: float(np.mean(values)) for task, values in by_task.items()}


def _outside(task: TrainTask, queries: Ints) -> Bools | None:
    """Return which candidates each query is not searched among; None where it is searched among all."""
    pool = task.pool
    held = pool.excluded or pool.lists
    if held is None:
        return None
    listed = np.zeros((len(queries), len(task.candidates)), dtype=np.bool_)
    query = np.full(len(pool.query_ids), -1)
    query[task.query_rows[queries]] = np.arange(len(queries))
    column = np.full(len(pool.candidate_ids), -1)
    column[task.candidate_rows] = np.arange(len(task.candidates))
    row, place = query[held.query], column[held.position]
    listed[row[(row >= 0) & (place >= 0)], place[(row >= 0) & (place >= 0)]] = True
    return listed if pool.excluded is not None else ~listed
