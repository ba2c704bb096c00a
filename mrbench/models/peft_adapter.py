"""Adapter folders of PEFT: weights that are added to those of a base model."""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from mrbench.errors import InputError, MissingExtraError, ModelError
from mrbench.models.checkpoint_folders import conversion_of, find_checkpoint
from mrbench.models.common import tensors_digest
from mrbench.models.hub import Checkpoint
from mrbench.models.pretrained import check_keys, loading

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_BASE = "?base="


@dataclass(frozen=True, slots=True)
class Parts:
    """What a spec names: a whole model, or an adapter and its base.

    Attributes:
        base: The whole model.
        adapter: The adapter; None where there is none.
    """

    base: Checkpoint
    adapter: Checkpoint | None = None

    @property
    def name(self) -> str:
        """The name of the model: the adapter's, where there is one."""
        return (self.adapter or self.base).name

    @property
    def at_commits(self) -> bool:
        """Whether commits of the hub say all that the model is."""
        return self.base.commit is not None and (self.adapter is None or self.adapter.commit is not None)

    def revision(self, base: str) -> str:
        """Return the revision of the model, from that of its base.

        Of an adapter and a base of the hub it is ``COMMIT on COMMIT``; where one of them is a folder, a digest of both.
        """
        if self.adapter is None:
            return base
        if self.at_commits:
            return f"{self.adapter.commit} on {base}"
        said = json.loads((self.adapter.folder / CONFIG).read_text(encoding="utf-8"))
        idle = ("base_model_name_or_path", "inference_mode", "revision", "task_type", "auto_mapping", "peft_version")
        kept = json.dumps({name: value for name, value in said.items() if name not in idle}, sort_keys=True)
        parts = f"{base} {tensors_digest([self.adapter.folder / WEIGHTS])} {kept}"
        return f"sha256:{hashlib.sha256(parts.encode()).hexdigest()[:16]}"


def find_parts(source: str) -> Parts:
    """Return what a spec names.

    Args:
        source: A folder or a hub id. What has ``adapter_config.json`` is an adapter; its base is
            the one that the file names, or ``SOURCE?base=SOURCE``.

    Raises:
        InputError: Neither a folder nor of the form of a hub id, or a base without an adapter.
        ModelError: The hub does not have it, or the adapter names no base or has no safetensors.
    """
    path, _, named = source.partition(_BASE)
    found = find_checkpoint(path)
    adapter = found.folder
    if not (adapter / CONFIG).is_file():
        if named:
            raise InputError("a base without an adapter", where="model", got=source, accepted=f"a folder with {CONFIG}")
        return Parts(found)
    with loading(path, CONFIG):
        said = json.loads((adapter / CONFIG).read_text(encoding="utf-8"))
        base, revision = said.get("base_model_name_or_path"), said.get("revision")
    if not (adapter / WEIGHTS).is_file():
        pickles = ", ".join(sorted(file.name for file in adapter.glob("*.bin")))
        raise ModelError(
            "the adapter has no safetensors weights",
            where=adapter,
            got=pickles or None,
            accepted=WEIGHTS,
            hint=conversion_of(path) if pickles else None,
        )
    if not named and not (isinstance(base, str) and base):
        raise ModelError("the adapter names no base", where=adapter / CONFIG, hint=f"hf:{path}{_BASE}SOURCE")
    try:
        there = not named and Path(str(base)).is_dir()
        return Parts(find_checkpoint(named or (base if there or not revision else f"{base}@{revision}")), found)
    except (InputError, ModelError) as error:
        what = f"the base of the adapter is not there: {error}"
        raise ModelError(what, where=adapter, hint=f"hf:{path}{_BASE}SOURCE names another place") from error


def merged(module: Any, adapter: Path, *, old_names: Iterable[tuple[str, str]] = ()) -> Any:
    """Return a model with an adapter's weights added to its own.

    Args:
        module: The base.
        adapter: The folder of the adapter.
        old_names: Regular expressions for parts of keys that versions before wrote, and what stands there now. PEFT
            would leave the weights behind keys that it does not find at zero.

    Raises:
        MissingExtraError: PEFT is not installed.
        ModelError: A key is missing or unexpected, as where an adapter was written for another model or by a version
            of PEFT with other names: its weights would be left at zero.
    """
    try:
        from peft import PeftConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
    except ModuleNotFoundError as error:
        raise MissingExtraError("an adapter needs the package peft", hint='pip install "mrbench[adapters]"') from error
    source = str(adapter)
    with loading(source), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what matters is checked below
        config = PeftConfig.from_pretrained(source)
        config.inference_mode = True
        adapted = get_peft_model(module, config)
        expected = set(get_peft_model_state_dict(adapted, save_embedding_layers=False))
        held = {_renamed(name, old_names): tensor for name, tensor in load_file(adapter / WEIGHTS).items()}
    check_keys(source, expected - set(held), set(held) - expected)
    with loading(source), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        set_peft_model_state_dict(adapted, held)
    with loading(source):
        return adapted.merge_and_unload().eval()


def _renamed(name: str, old_names: Iterable[tuple[str, str]]) -> str:
    for old, new in old_names:
        name = re.sub(old, new, name)
    return name
