"""The state that a run goes on from: weights and the optimiser's moments, as safetensors with a digest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from mrbench.errors import ModelError
from mrbench.files import write_atomic

MOMENTS = ("exp_avg", "exp_avg_sq", "step")  # the step too: a weight without a gradient does not take it


def write_state(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, str]) -> None:
    """Write a state, or nothing at all."""
    held = {name: tensor.contiguous().cpu().clone() for name, tensor in tensors.items()}
    write_atomic(path, save(held, metadata={**facts, "sha256": _sha256(held, facts)}))


def read_state(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Return facts and tensors of a state.

    Raises:
        ModelError: It cannot be read, or was altered.
    """
    try:
        with safe_open(path, "pt") as file:
            facts = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dict
    except (OSError, SafetensorError) as error:
        raise ModelError(
            "cannot read the state to go on from", where=path, got=str(error), hint="remove it to start the stage anew"
        ) from error
    digest = facts.pop("sha256", None)
    if digest != _sha256(tensors, facts):
        hint = "remove it to start the stage anew"
        raise ModelError("the state to go on from was altered or is of an older version", where=path, hint=hint)
    return facts, tensors


def of_training(weights: Mapping[str, Tensor], optimiser: Any) -> dict[str, Tensor]:
    """Return weights and moments as they are now, by name."""
    tensors: dict[str, Tensor] = {}
    for name, weight in weights.items():
        tensors[f"weight.{name}"] = weight.detach()
        for moment in MOMENTS if weight in optimiser.state else ():  # what never had a gradient has none
            tensors[f"{moment}.{name}"] = optimiser.state[weight][moment]
    return tensors


def restore(weights: Mapping[str, Tensor], optimiser: Any, tensors: Mapping[str, Tensor], where: object) -> None:
    """Put back what :func:`of_training` returned.

    Raises:
        ModelError: It is of other weights.
    """
    if {name for name in tensors if name.startswith("weight.")} != {f"weight.{name}" for name in weights}:
        raise ModelError(
            "the state lacks weights or has some too many",
            where=where,
            hint="give the same model again, or remove the state to start the stage anew",
        )
    for name, weight in weights.items():
        weight.data.copy_(tensors[f"weight.{name}"])
        if f"exp_avg.{name}" in tensors:
            # AdamW keeps its count of steps on the CPU. It works in place: what is put back must stay as it was.
            places = {moment: "cpu" if moment == "step" else weight.device for moment in MOMENTS}
            optimiser.state[weight] = {m: tensors[f"{m}.{name}"].to(place, copy=True) for m, place in places.items()}


def _sha256(tensors: Mapping[str, Tensor], facts: Mapping[str, str]) -> str:
    digest = hashlib.sha256(repr(sorted(facts.items())).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
