"""Which queries a step trains on and what they are scored with: a function of the seed and the step."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch

from elva.sampler import order
from elva.tuning.data import Split, TrainTask
from elva.tuning.objectives import Batch
from elva.tuning.trainable import Noise, Trainable, embed
from mrbench.arrays import Ints


class Draws:
    """A task and queries of it for each step: tasks by their size, every query once before any comes again.

    Args:
        tasks: The tasks.
        batch: Queries of a step.
        steps: Steps that there will be at most.
        seed: Decides every draw.
    """

    def __init__(self, tasks: Sequence[TrainTask], batch: int, steps: int, seed: int) -> None:
        self._tasks, self._batch, self._seed = tasks, batch, seed
        sizes = np.array([len(task.queries) for task in tasks], dtype=np.float64)
        self._numbers = np.random.default_rng([seed, 1]).choice(len(tasks), size=steps, p=sizes / sizes.sum())

    def __call__(self, step: int) -> tuple[TrainTask, Ints]:
        """Return the task and the queries of a step."""
        number = int(self._numbers[step])
        before = int((self._numbers[:step] == number).sum())
        task = self._tasks[number]
        size = min(self._batch, len(task.queries))
        return task, np.array(order(len(task.queries), size, before, self._seed + number))


def make_batch(
    model: Trainable, split: Split, task: TrainTask, queries: Ints, negatives: int, *, objective: str, noise: Noise
) -> Batch:
    """Draw a positive and further candidates for each query, and score all queries with all candidates.

    Args:
        model: Embeds, under gradient.
        split: Holds the items.
        task: The task.
        queries: Its queries, shape ``(num_queries,)``.
        negatives: Further candidates of each query: of its ladder, or random ones.
        objective: Name of the objective; ``infonce`` looks at no ladder, and only ``graded`` at grades.
        noise: Seed and step.
    """
    rng = np.random.default_rng([*noise, 2])
    positive = task.relevant.draw(queries, 1, rng)
    other = rng.integers(0, len(task.candidates), (len(queries), negatives))
    own = task.ladder.draw(queries, negatives, rng)
    if objective == "infonce":
        own[:] = -1
    columns = np.concatenate([positive, np.where(own >= 0, own, other)], axis=1)
    candidates, listed = np.unique(columns, return_inverse=True)
    listed = listed.reshape(columns.shape)
    asked, found = (
        embed(partial(model.outputs, split, noise=(*noise, side)), rows)
        for side, rows in enumerate((task.queries[queries], task.candidates[candidates]))
    )
    masked = task.relevant_to(queries, candidates)
    first, second = np.nonzero(task.alike(queries))
    masked[first, listed[second, 0]] = True
    kept = np.full(masked.shape, -1, dtype=np.int64)
    if objective == "graded":
        pairs = np.repeat(queries, len(candidates)), np.tile(candidates, len(queries))
        kept = task.kept_of(*pairs)[0].reshape(masked.shape)
    there = np.concatenate([positive >= 0, own >= 0], axis=1)
    scores = asked @ found.T
    return Batch(scores, *(torch.from_numpy(array).to(scores.device) for array in (listed, there, masked, kept)))
