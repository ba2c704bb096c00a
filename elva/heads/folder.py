"""The folder of trained heads: ``heads.safetensors``, ``head.json``, a loader, a report and a model card."""

from __future__ import annotations

import os
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors.numpy import save

from elva.heads import load_head
from elva.heads.data import PARTS, Encoders
from elva.heads.train import Plan, Trained
from mrbench.errors import InputError, ModelError
from mrbench.files import read_versioned_json, write_json_atomic
from mrbench.folders import FolderKind
from mrbench.models.protocol import EmbeddingModel, is_multi_vector
from mrbench.models.vectors import VectorFolder
from mrbench.models.zoo import load_model
from mrbench.records import Modality

FORMAT, FORMAT_VERSION = "mrbench-head", 1
WEIGHTS, FACTS, LOADER, CARD, PLOT = "heads.safetensors", "head.json", "load_head.py", "README.md", "before-after.png"
_COMPILED = r"__pycache__/load_head\.[\w.-]+\.pyc"  # what Python leaves where the loader was used
FOLDER = FolderKind(FACTS, "|".join([*map(re.escape, (WEIGHTS, FACTS, LOADER, CARD, PLOT)), _COMPILED]))


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
        )
    if takes is not None and takes not in model.modalities:
        raise ModelError(
            f"the encoder takes no {takes}",
            where=spec,
            got=", ".join(sorted(model.modalities)),
            accepted=f"a model that embeds {takes}s alone",
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


def write_heads(folder: Path, trained: Trained, plan: Plan, facts: dict[str, Any]) -> dict[str, Any]:
    """Write weights, facts and loader into an existing folder, and return the facts."""
    # Not save_file, whose file only its owner may read, whatever the umask.
    (folder / WEIGHTS).write_bytes(save(trained.heads, metadata={"format": FORMAT}))
    settings = {name: value for name, value in asdict(plan).items() if name != "grid"}
    said = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        **facts,
        "training": {
            **settings,
            "setting": asdict(trained.setting),
            "step": trained.step,
            "curve": [list(point) for point in trained.curve],
            "tried": [{**asdict(setting), "validation": score} for setting, score in trained.tried],
            "validation": trained.validation,
        },
    }
    write_json_atomic(folder / FACTS, said)
    (folder / LOADER).write_bytes(Path(load_head.__file__).read_bytes())
    return said


def read_facts(folder: Path) -> dict[str, Any]:
    """Return what a folder of heads says of itself.

    Raises:
        InputError: There is no such folder.
        ModelError: It is malformed.
    """
    if not folder.is_dir():
        raise InputError("no such folder of heads", where=f"head:{folder}", accepted="what mrbench train head wrote")
    facts = read_versioned_json(
        folder / FACTS, what="folder of heads", name=FORMAT, newest=FORMAT_VERSION, error=ModelError
    )
    encoders: Any = facts.get("encoders")
    whole = isinstance(encoders, dict) and encoders and set(encoders) <= set(PARTS)
    said = [encoders[part].get(key) for part in encoders for key in ("spec", "identity")] if whole else [None]
    if not all(isinstance(value, str) for value in said):
        raise ModelError("the folder of heads does not say which encoders it is for", where=folder / FACTS)
    return facts
