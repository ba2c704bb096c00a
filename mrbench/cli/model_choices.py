"""Which models a command evaluates: options, or a YAML file for a whole table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from mrbench.errors import InputError, redacted, redacted_spec
from mrbench.fields import limits, parse_fields, ranged, read_yaml


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

    model: str = field(metadata=limits(1))
    name: str | None = ranged(None, 1)
    dtype: str | None = ranged(None, 1)
    max_length: int | None = ranged(None, 1)
    device: str = ranged("auto", 1)
    batch_size: int = ranged(1024, 1)
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
    found += _read(file, common) if file else []
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


def _read(file: Path, common: Mapping[str, Any]) -> list[ModelChoice]:
    """Return the models of a file; what an entry leaves out is ``common`` to all."""
    if not file.is_file():
        hint = "list the models there, one a line: - hf:ORG/NAME"
        raise InputError("no such file of models", where="--models", got=str(file), hint=hint)
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("cannot read the models", where=file, got=str(error), accepted="YAML in UTF-8") from error
    said = read_yaml(text, what="list of models", where=file)
    if not isinstance(said, list):
        accepted = "a list of specs or of mappings with model, name, dtype, ..."
        raise InputError("malformed file of models", where=file, got=type(said).__name__, accepted=accepted)
    problems: list[str] = []
    found = []
    for number, entry in enumerate(said, 1):
        one = {"model": entry} if isinstance(entry, str) else entry
        whole = {**common, **one} if isinstance(one, dict) else one
        found.append(parse_fields(ModelChoice, whole, problems, f"entry {number}: "))
    if problems:
        accepted = f"model, and any of {', '.join(one.name for one in fields(ModelChoice)[1:])}"
        raise InputError("malformed file of models", where=file, got="; ".join(problems), accepted=accepted)
    return found
