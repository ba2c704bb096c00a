"""Stage 0, for models from nothing: describe pictures, restate texts, work out composed queries.

The target is the canonical summary. Without this a model that starts from random weights would have nothing to
say before ``[RET]``, and stage 3 nothing to explore.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from elva.config import Pretraining
from elva.data import Pool
from elva.model import Elva, seeded_globally
from elva.processes import Processes
from elva.prompts import Input
from elva.sampler import balanced, order
from elva.stages.contrastive import generation_loss


class Generation:
    """The objective: ``backward`` adds one step's gradient.

    Args:
        model: The model.
        pools: Queries and candidates.
        settings: Of stage 0.
        seed: Decides the order of the inputs.
        processes: Every ``world``-th input is this process's.
    """

    def __init__(
        self,
        model: Elva,
        pools: Sequence[Pool],
        settings: Pretraining,
        *,
        seed: int,
        processes: Processes | None = None,
    ) -> None:
        self._model, self._settings, self._seed = model, settings, seed
        self._processes = processes or Processes()
        self._kinds: dict[str, list[tuple[Sequence[Input], int, str]]] = {"pictures": [], "others": []}
        sides = {id(s): (s, t) for p in pools for s, t in _sides(p) if len(s)}.values()
        for kind, rows in self._kinds.items():
            chosen = [(side, texts) for side, texts in sides if (side[0].text is None) == (kind == "pictures")]
            for number, row in balanced([len(side) for side, _ in chosen], settings.balance):
                rows.append((chosen[number][0], row, chosen[number][1][row]))

    def __len__(self) -> int:
        """Number of inputs."""
        return sum(map(len, self._kinds.values()))

    def backward(self, step: int) -> dict[str, float]:
        """Add the gradient of one step and return the ``generation`` loss per token."""
        settings = self._settings
        share = settings.pictures if all(self._kinds.values()) else float(bool(self._kinds["pictures"]))
        pictures = round(settings.batch * share)
        rows = []
        for number, (kind, size) in enumerate((("pictures", pictures), ("others", settings.batch - pictures))):
            if size:
                places = order(len(self._kinds[kind]), size, step, 2 * self._seed + number)
                rows += [self._kinds[kind][place] for place in places]
        rows = rows[self._processes.rank :: self._processes.world]
        total = torch.zeros((), device=self._model.device)
        for start in range(0, len(rows), settings.chunk):
            chunk = rows[start : start + settings.chunk]
            with seeded_globally(self._seed, step, self._processes.rank, start):
                inputs = [side[row] for side, row, _ in chunk]
                summaries = [text for *_, text in chunk]
                found, lengths, _ = self._model.forced(inputs, "summary", summaries, log_probs=True)
                loss = generation_loss(found, lengths) * len(chunk) / settings.batch
                loss.backward()  # type: ignore[no-untyped-call]
            total = total + loss.detach()
        return {"generation": float(self._processes.total(total))}

    def state(self) -> dict[str, Tensor]:
        """Return nothing: every step is a function of its number."""
        return {}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Do nothing."""


def _sides(pool: Pool) -> list[tuple[Sequence[Input], Sequence[str]]]:
    return [(pool.queries, pool.query_summaries), (pool.candidates, pool.candidate_summaries)]
