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

FORMAT, FORMAT_VERSION = "mrbench-head", 2
"""Version 2 may have an adapter on the text encoder; folders without one are still written as version 1."""
ADAPTED, MERGED = "text-adapter", "text"
"""Folders of the adapter on the text encoder, and of the text side as sentence-transformers loads it."""
WEIGHTS, FACTS, LOADER = "heads.safetensors", "head.json", "load_head.py"
_COMPILED = r"__pycache__/load_head\.[\w.-]+\.pyc"  # what Python leaves where the loader was used
_NAMES = [re.escape(name) for name in (WEIGHTS, FACTS, LOADER, CARD, PLOT)]
FOLDER = FolderKind(FACTS, "|".join([*_NAMES, _COMPILED, rf"{ADAPTED}/[^/]+", rf"{MERGED}/.+"]), option="--out")


def write_heads(folder: Path, trained: Trained, plan: Plan, facts: dict[str, Any]) -> dict[str, Any]:
    """Write weights, facts and loader into an existing folder, and return the facts."""
    # Not save_file, whose file only its owner may read, whatever the umask.
    (folder / WEIGHTS).write_bytes(save(trained.weights, metadata={"format": FORMAT}))
    version = FORMAT_VERSION if ADAPTED in facts else 1
    said = {"format": FORMAT, "format_version": version, **facts, "training": trained.to_json(plan)}
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
        raise InputError(
            "no such folder of heads",
            where=f"head:{folder}",
            accepted="what mrbench train head wrote",
            hint="mrbench train head --image IMAGE --text TEXT --data DATA --out DIR",
        )
    facts = read_versioned_json(
        folder / FACTS, what="folder of heads", name=FORMAT, newest=FORMAT_VERSION, error=ModelError
    )
    encoders: Any = facts.get("encoders")
    whole = isinstance(encoders, dict) and encoders and set(encoders) <= set(PARTS)
    said = [encoders[part].get(key) for part in encoders for key in ("spec", "identity")] if whole else [None]
    if not all(isinstance(value, str) for value in said):
        raise ModelError(
            "the folder of heads does not say which encoders it is for",
            where=folder / FACTS,
            hint="copy the folder again, or train the heads again",
        )
    return facts
