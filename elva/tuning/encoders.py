"""Models that training starts from: loaded, checked, and named in what it writes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from elva.tuning.data import PARTS
from elva.tuning.read import Encoders
from mrbench.errors import ModelError
from mrbench.models.protocol import EmbeddingModel, is_multi_vector
from mrbench.models.vectors import VectorFolder
from mrbench.models.zoo import load_model
from mrbench.records import Modality

CARD, PLOT = "README.md", "before-after.png"
"""Files that every result has."""


def load_encoder(spec: str, takes: Modality | None = None, *, device: str = "auto", **options: Any) -> EmbeddingModel:
    """Load an encoder.

    Args:
        spec: As ``mrbench models`` lists them.
        takes: What it has to take; None for anything.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        options: Further ones of :func:`mrbench.models.zoo.load_model`.

    Raises:
        ModelError: It embeds nothing, or not this.
    """
    model = load_model(spec, device=device, **options)
    if isinstance(model, VectorFolder) or is_multi_vector(model):
        raise ModelError(
            "not an encoder with one vector an item",
            where=spec,
            got=type(model).__name__,
            accepted="a model that embeds texts or images as one vector each",
            hint="mrbench models list",
        )
    if takes is not None and takes not in model.modalities:
        raise ModelError(
            f"the encoder takes no {takes}",
            where=spec,
            got=", ".join(sorted(model.modalities)),
            accepted=f"a model that embeds {takes}s alone",
            hint="mrbench models list",
        )
    return model


def parts_of(model: EmbeddingModel) -> Encoders:
    """Return what a model gets heads for: each part, and items of two parts where it does not add up their parts."""
    added = getattr(model, "additive", False) is True
    return {part: model for part in PARTS if part in model.modalities and not (part == "image,text" and added)}


def facts_of(encoders: Encoders, specs: dict[Modality, str]) -> dict[str, Any]:
    """Return what ``head.json`` says of the encoders, by part."""
    return {
        part: {"spec": _absolute(specs[part]), "name": str(model.name), "identity": identity(model)}
        | {"licence": str(getattr(model, "licence", "") or "unknown")}
        for part, model in encoders.items()
    }


def identity(model: EmbeddingModel) -> str:
    """Return all that decides an encoder's vectors: heads are good for no other."""
    said = (model.revision, model.dtype, getattr(model, "preprocessing", ""), getattr(model, "seed", ""))
    return " ".join(str(part) for part in said if str(part))


def _absolute(spec: str) -> str:
    """Return a spec that means the same from any folder."""
    prefix, colon, rest = spec.partition(":")
    path = os.path.expanduser(rest)  # noqa: PTH111 - as the zoo reads it
    return f"{prefix}:{Path(path).absolute()}" if colon and Path(path).exists() else spec
