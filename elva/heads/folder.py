"""The folder of trained heads: ``heads.safetensors``, ``head.json``, a loader, a report and a model card."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from safetensors.numpy import save

from elva.heads import load_head
from elva.tuning.data import PARTS
from elva.tuning.encoders import CARD, PLOT
from elva.tuning.train import Plan, Trained
from mrbench.errors import InputError, ModelError
from mrbench.files import read_versioned_json, write_json_atomic
from mrbench.folders import FolderKind

FORMAT, FORMAT_VERSION = "mrbench-head", 1
WEIGHTS, FACTS, LOADER = "heads.safetensors", "head.json", "load_head.py"
_COMPILED = r"__pycache__/load_head\.[\w.-]+\.pyc"  # what Python leaves where the loader was used
FOLDER = FolderKind(FACTS, "|".join([*map(re.escape, (WEIGHTS, FACTS, LOADER, CARD, PLOT)), _COMPILED]))


def write_heads(folder: Path, trained: Trained, plan: Plan, facts: dict[str, Any]) -> dict[str, Any]:
    """Write weights, facts and loader into an existing folder, and return the facts."""
    # Not save_file, whose file only its owner may read, whatever the umask.
    (folder / WEIGHTS).write_bytes(save(trained.weights, metadata={"format": FORMAT}))
    said = {"format": FORMAT, "format_version": FORMAT_VERSION, **facts, "training": trained.to_json(plan)}
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
