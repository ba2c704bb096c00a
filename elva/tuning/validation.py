"""How well a model under training does on the validation split."""

from __future__ import annotations

import numpy as np
import torch

from elva.tuning.data import Split, TrainTask
from elva.tuning.trainable import Trainable, embed
from mrbench.arrays import Bools, Ints
from mrbench.records import Modality

MOST_VALIDATED = 2000
"""Queries of a task that validate, at most."""


@torch.no_grad()
def quality(model: Trainable, split: Split) -> dict[str, float]:
    """Return by ``task measure`` the mean reciprocal rank and, where there are pairs, pair accuracy over grain types.

    A tie is wrong. Of a task with more than :data:`MOST_VALIDATED` queries an even sample is looked at.
    """
    found: dict[str, float] = {}
    known: dict[Modality, torch.Tensor] = {}

    def outputs(part: Modality, rows: torch.Tensor) -> torch.Tensor:
        if part not in known:  # tasks share most items: each is embedded once
            known[part] = model.outputs(split, part, torch.arange(len(split.tables[part])))
        return known[part][rows.to(known[part].device)]

    for task in split.tasks:
        chosen = np.unique(np.linspace(0, len(task.queries) - 1, MOST_VALIDATED).astype(np.int64))
        asked, answers = embed(outputs, task.queries[chosen]), embed(outputs, task.candidates)
        scores = (asked @ answers.T).float().cpu().numpy()
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


def overall(scores: dict[str, float]) -> float:
    """Return one validation score: the mean over tasks of the mean of a task's scores.

    >>> overall({"t2i mrr": 0.25, "t2i pair_accuracy": 0.75, "i2t mrr": 0.25})
    0.375
    """
    by_task: dict[str, list[float]] = {}
    for name, score in scores.items():
        by_task.setdefault(name.rpartition(" ")[0], []).append(score)
    return float(np.mean([np.mean(values) for values in by_task.values()]))


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
