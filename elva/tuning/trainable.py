"""What can be trained on a benchmark, and how items are embedded with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import normalize

from elva.tuning.data import PARTS, Split
from mrbench.arrays import Embeddings, Ints
from mrbench.records import Modality

Outputs = Callable[[Modality, Tensor], Tensor]
"""What some rows of the table of a part are embedded as, shape ``(num_rows, dimension)``."""
Noise = tuple[int, ...]
"""Numbers that decide what is left out at random in one pass."""


class Trainable(Protocol):
    """A model under training, such as linear heads or the adapters of two towers."""

    def weights(self) -> dict[str, Tensor]:
        """Return what trains, by name."""
        ...

    def outputs(self, split: Split, part: Modality, rows: Tensor, noise: Noise | None = None) -> Tensor:
        """Embed rows of the table of a part, under gradient where that is on; not yet of unit length.

        Args:
            split: Holds the table.
            part: The part.
            rows: Which rows, shape ``(num_rows,)``.
            noise: Decides what is left out at random; None leaves nothing out.
        """
        ...

    def frozen(self, split: Split, part: Modality, rows: Tensor) -> Tensor:
        """Embed the same as the model did before training."""
        ...

    def share_gradients(self) -> None:
        """Give every process the gradient of the whole batch, where there are several."""
        ...

    def export(self) -> dict[str, Embeddings]:
        """Return what training made, by name, as it is written down."""
        ...


def embed(outputs: Outputs, rows: Ints) -> Tensor:
    """Return unit vectors of items; an item of two parts is the normalised sum of what they are embedded as.

    Args:
        outputs: Embeds rows of one part.
        rows: Row of each item in the table of each of :data:`PARTS`, -1 for none, shape ``(num_items, 3)``.
    """
    total: Tensor | None = None
    for number, part in enumerate(PARTS):
        some = torch.from_numpy((rows[:, number] >= 0).nonzero()[0])
        if len(some):
            found = outputs(part, torch.from_numpy(rows[:, number])[some])
            if total is None:
                total = found.new_zeros(len(rows), found.shape[1])
            total = total.index_add(0, some.to(found.device), found)
    assert total is not None  # noqa: S101 - every item has a part
    return normalize(total, dim=-1)
