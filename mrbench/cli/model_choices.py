"""Which models a command evaluates: options, or a YAML file for a whole table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mrbench.errors import InputError, redacted, redacted_spec

_KINDS = {str: "a text", int: "a whole number, 1 or more", bool: "true or false"}
_TYPES: dict[str, type] = {
    "model": str,
    "name": str,
    "dtype": str,
    "max_length": int,
    "device": str,
    "batch_size": int,
    "trust_remote_code": bool,
}


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model to evaluate.

    Attributes:
        model: The spec, as ``--model`` takes it.
        name: What to call it in results and folders; None takes the model's own name.
        dtype: Number format of its weights; None leaves it to the model.
        max_length: Tokens of a text that it reads at most; None leaves it to the model.
        device: Where it computes.
        batch_size: Items per forward pass at most.
        trust_remote_code: Whether code that comes with its weights may run.
    """

    model: str
    name: str | None = None
    dtype: str | None = None
    max_length: int | None = None
    device: str = "auto"
    batch_size: int = 1024
    trust_remote_code: bool = False

    @property
    def label(self) -> str:
        """What messages call it; no secret that the user typed is in it."""
        return redacted(self.name) if self.name else redacted_spec(self.model)


def chosen(models: Sequence[str], file: Path | None, *, name: str | None = None, **common: Any) -> list[ModelChoice]:
    """Return the models of the command line, and then those of a file.

    Args:
        models: Specs.
        file: A YAML file: a list of specs, or of mappings with ``model`` and any of ``name``, ``dtype``,
            ``max_length``, ``device``, ``batch_size`` and ``trust_remote_code``.
        name: What to call the model, where it is one.
        common: Options for all models that do not say otherwise.

    Raises:
        InputError: No model, a name for several, one model twice, or a malformed file; all its faults at once.
    """
    found = [ModelChoice(model, name, **common) for model in models]
    found += [ModelChoice(**{**common, **entry}) for entry in (_read(file) if file else [])]
    if not found:
        raise InputError("no model", accepted="--model SPEC, or --models FILE.yaml", hint="mrbench models list")
    if name is not None and len(found) > 1:
        raise InputError("a name for several models", where="--name", got=name, accepted="name: in a file for --models")
    if name is not None and not (name.strip() and name.isprintable() and len(name) <= 100):
        raise InputError("malformed name", where="--name", got=name, accepted="1 to 100 printable characters")
    for at, choice in enumerate(found):
        if choice in found[:at]:
            raise InputError("a model is there twice", got=choice.label, accepted="each once")
    return found


def _read(file: Path) -> list[dict[str, Any]]:
    import yaml

    if not file.is_file():
        hint = "list the models there, one a line: - hf:ORG/NAME"
        raise InputError("no such file of models", where="--models", got=str(file), hint=hint)
    try:
        said = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        accepted = "YAML in UTF-8, a list of models"
        raise InputError("cannot read the models", where=file, got=str(error), accepted=accepted) from error
    if not isinstance(said, list):
        accepted = "a list of specs or of mappings with model, name, dtype, ..."
        raise InputError("malformed file of models", where=file, got=type(said).__name__, accepted=accepted)
    entries = [{"model": entry} if isinstance(entry, str) else entry for entry in said]
    faults = [fault for number, entry in enumerate(entries, 1) if (fault := _fault(number, entry))]
    if faults:
        accepted = f"model, and any of {', '.join(list(_TYPES)[1:])}"
        raise InputError(f"malformed file of models: {'; '.join(faults)}", where=file, accepted=accepted)
    return entries


def _fault(number: int, entry: Any) -> str | None:
    """Return what is wrong with an entry of a file, as a clause; None where nothing is."""
    if not isinstance(entry, dict) or "model" not in entry:
        return f"entry {number} has no model"
    for key, value in entry.items():
        if key not in _TYPES:
            return f"entry {number} has an unknown key {key}"
        kind = _TYPES[key]
        small = kind is int and (isinstance(value, bool) or (isinstance(value, int) and value < 1))
        if not isinstance(value, kind) or small or value == "":
            return f"{key} of entry {number} is {value!r} and not {_KINDS[kind]}"
    return None
