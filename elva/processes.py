"""What the processes of one run say to each other; alone, a process is its own company."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import broadcast, gather, gather_object, reduce
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Processes:
    """Started by ``accelerate launch`` or torchrun, on one machine or on many.

    Attributes:
        rank: Of this process, 0 to ``world - 1``.
        world: Number of processes.
    """

    rank: int = 0
    world: int = 1

    @classmethod
    def here(cls) -> Processes:
        """Join the others."""
        state: Any = PartialState(cpu=not torch.cuda.is_available())
        return cls(state.process_index, state.num_processes)

    @property
    def first(self) -> bool:
        """Whether this process writes."""
        return self.rank == 0

    def gather(self, rows: Tensor) -> Tensor:
        """Return the rows of all processes, in their order; every process must have as many."""
        found: Tensor = rows if self.world == 1 else gather(rows.contiguous())
        return found

    def gather_shares(self, rows: Tensor, number: int) -> Tensor:
        """Return ``number`` rows, of which every process has each ``world``-th, in their order.

        >>> Processes().gather_shares(torch.arange(3), 3)
        tensor([0, 1, 2])
        """
        most = -(-number // self.world)
        padded = torch.cat([rows, rows[:1].expand(most - len(rows), *rows.shape[1:])])
        shares = self.gather(padded).reshape(self.world, most, *rows.shape[1:])
        return shares.transpose(0, 1).flatten(0, 1)[:number]

    def total(self, value: Tensor) -> Tensor:
        """Return the sum over processes."""
        found: Tensor = value if self.world == 1 else reduce(value, reduction="sum")
        return found

    def add_gradients(self, weights: Iterable[torch.nn.Parameter]) -> None:
        """Give every process the sum of all gradients; a weight without one counts as zero."""
        if self.world == 1:
            return
        weights = list(weights)
        flat = [(w.grad if w.grad is not None else torch.zeros_like(w)).flatten() for w in weights]
        for weight, grad in zip(weights, torch.split(self.total(torch.cat(flat)), [len(f) for f in flat]), strict=True):
            weight.grad = grad.view_as(weight).clone()

    def agree(self, weights: Iterable[Tensor]) -> None:
        """Give every process the weights of the first."""
        if self.world > 1:
            for weight in weights:
                weight.data.copy_(broadcast(weight.data))

    def same(self, value: int) -> bool:
        """Return whether all processes have this value."""
        return self.world == 1 or len(set(gather_object([value]))) == 1

    def wait(self) -> None:
        """Wait until all are here."""
        if self.world > 1:
            PartialState().wait_for_everyone()
