"""What is trained and how it is written: the seam between the loop and linear heads, adapters, and what else comes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from elva.tuning.data import Split
from elva.tuning.train import Plan, Start, Trained
from mrbench.benchmark import Benchmark
from mrbench.folders import FolderKind
from mrbench.models.protocol import EmbeddingModel


class Method(Protocol):
    """What is trained, such as linear heads or low-rank adapters, and how its result is written.

    Attributes:
        folder: What a folder of the result holds.
        prefix: Of the spec of the result: ``head`` or ``hf``.
        identity: Whether training starts from the model as it is.
        temperature: At which the model was trained, where that is known.
        one_thread: Whether torch computes with one thread, so that their number changes no weight.
        before: Spec of the model that training starts from.
        options: What decides the result beside the plan and the data, by name.
    """

    folder: FolderKind
    prefix: str
    identity: bool
    temperature: float | None
    one_thread: bool
    before: str
    options: Mapping[str, Any]

    def read(self, benchmark: Benchmark, split: str) -> Split:
        """Read a split to train on or to validate with."""
        ...

    def rehearse(self, benchmark: Benchmark, split: str) -> tuple[Split, float, float]:
        """Return a split of the same shape to time steps with, and the seconds that reading and embedding it takes.

        Both are measured on a sample; where reading embeds, they are the same.
        """
        ...

    def start(self, data: Split, seed: int) -> Start:
        """Return what makes the model as it is before the first step."""
        ...

    def facts(self) -> dict[str, Any]:
        """Return what the result's JSON file says of the models beneath it: ``encoders`` and more."""
        ...

    def write(self, folder: Path, trained: Trained, plan: Plan, facts: dict[str, Any]) -> dict[str, Any]:
        """Write the result into an existing folder, and return its JSON file."""
        ...

    def load(self, folder: Path) -> EmbeddingModel:
        """Load the result."""
        ...

    def usage(self, facts: Mapping[str, Any]) -> list[str]:
        """Return the lines of the card that show how to use the result."""
        ...
