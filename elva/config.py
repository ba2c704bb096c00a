"""Recipes read from YAML and checked at once; their fields are those of :mod:`elva.settings`."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import re
import types
import typing
from collections import Counter
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml

from elva.settings import (
    MOST,
    Architecture,
    Contrastive,
    Embedding,
    Lora,
    Optimiser,
    Pretraining,
    Prompt,
    Recipe,
    Reinforcement,
    Reward,
    Sampling,
)
from mrbench.errors import InputError

__all__ = [
    "RECIPES",
    "Architecture",
    "Contrastive",
    "Embedding",
    "Lora",
    "Optimiser",
    "Pretraining",
    "Prompt",
    "Recipe",
    "Reinforcement",
    "Reward",
    "Sampling",
    "load_recipe",
    "parse_recipe",
]

RECIPES = ("tiny", "qwen2-vl-2b", "qwen2-vl-7b")
T = TypeVar("T")


def load_recipe(source: str, **changes: Any) -> Recipe:
    """Read a recipe.

    Args:
        source: ``tiny``, ``qwen2-vl-2b``, ``qwen2-vl-7b``, or a YAML file.
        changes: Top-level fields to set instead of the file's.

    Raises:
        InputError: No such recipe, or malformed; all problems are named in one line.

    >>> load_recipe("tiny").stages()
    (0, 1, 2, 3)
    """
    try:
        if source in RECIPES:
            text = resources.files("elva").joinpath("recipes", f"{source}.yaml").read_text(encoding="utf-8")
        elif Path(source).is_file():
            text = Path(source).read_text(encoding="utf-8")
        else:
            raise InputError("no such recipe", got=source, accepted=f"{', '.join(RECIPES)}, or a YAML file")
        raw = yaml.load(text, _Loader)  # noqa: S506 - it is a SafeLoader
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise InputError("the recipe is not YAML", where=source, got=str(error)) from error
    if not isinstance(raw, dict):
        raise InputError("the recipe is no mapping", where=source, got=type(raw).__name__, accepted="fields: values")
    return parse_recipe({**raw, **changes}, where=source)


class _Loader(yaml.SafeLoader):
    """Refuses a field that stands twice; YAML would take the last in silence."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        names = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        twice = [name for name, times in names.items() if times > 1]
        if twice:
            raise yaml.YAMLError(f"twice: {', '.join(map(str, twice))}")
        return super().construct_mapping(node, deep)


def parse_recipe(raw: dict[str, Any], *, where: str = "recipe") -> Recipe:
    """Check a mapping and return the recipe.

    Raises:
        InputError: Unknown fields, values of another type or out of range; all in one line.

    >>> parse_recipe({"name": "x", "base": "B", "lora": {"rnak": 8}, "samples": 1.5}, where="R")
    Traceback (most recent call last):
    mrbench.errors.InputError: malformed recipe; where: R; got: 'samples=1.5 (accepted: int); lora.rnak: unknown'
    """
    problems: list[str] = []
    recipe = _parse(Recipe, raw, "", problems)
    problems = problems or list(_contradictions(recipe))
    if problems:
        raise InputError("malformed recipe", where=where, got="; ".join(problems))
    return recipe


def _contradictions(recipe: Recipe) -> Iterator[str]:
    """Yield what no stage could do, so that it is said before the first one runs."""
    if (recipe.base is None) == (recipe.architecture is None):
        yield "base, architecture: exactly one of them"
    shape = recipe.architecture
    if shape and shape.hidden % (4 * shape.heads):
        yield "architecture.hidden: no multiple of 4 * heads"
    if shape and shape.image_size < shape.patch * shape.merge:
        yield "architecture.image_size: less than patch * merge"
    if shape and recipe.dtype != "float32":
        yield f"dtype={recipe.dtype!r} (accepted with an architecture: float32)"
    pieces = Counter(re.findall(r"\{(\w+)\}", recipe.prompt.template))
    wanted = Counter(["image", "text", "ask", *["instruction"] * min(1, pieces["instruction"])])
    if pieces != wanted:
        yield "prompt.template: {image}, {text}, {ask} once each, {instruction} at most once, no other braces"
    for number in recipe.stages():
        options: Optimiser = getattr(recipe, f"stage{number}")
        if recipe.base is not None and options.train != "lora":
            yield f"stage{number}.train={options.train!r} (accepted with a base: lora)"
        if isinstance(options, Contrastive | Reinforcement) and options.sampling is not None:
            yield from _impossible(options.sampling, f"stage{number}.sampling")
    if recipe.stage3 is not None:
        yield from _unrewarded(recipe.stage3)


def _unrewarded(options: Reinforcement) -> Iterator[str]:
    reward = options.reward
    if options.rollouts < 2 and options.gradient != "pathwise":
        yield f"stage3.rollouts={options.rollouts} (accepted with gradient={options.gradient!r}: 2 or more)"
    if not (reward.alpha or reward.epsilon or reward.graded or reward.listwise):
        yield "stage3.reward: no part has a weight"
    if options.beta and options.train != "lora":
        yield "stage3.beta: the reference is the model without its adapters, so train has to be lora"


def _impossible(sampling: Sampling, name: str) -> Iterator[str]:
    wanted = sampling.hard + sampling.random
    if not wanted:
        yield f"{name}: hard + random is 0"
    elif 0 < sampling.pool < wanted:
        yield f"{name}.pool={sampling.pool} (accepted: 0, or hard + random = {wanted} or more)"


def _parse(kind: type[T], raw: Any, prefix: str, problems: list[str]) -> T:
    """Make a dataclass of a mapping; what is wrong with it goes into ``problems``."""
    if not isinstance(raw, dict):
        problems.append(f"{prefix[:-1]}: not a mapping")
        raw = {}
    hints = typing.get_type_hints(kind)
    fields = {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    problems += [f"{prefix}{name}: unknown" for name in raw if name not in fields]
    values = {}
    for name, spec in fields.items():
        if name in raw:
            values[name] = _value(hints[name], raw[name], prefix + name, spec.metadata, problems)
        elif spec.default is dataclasses.MISSING and spec.default_factory is dataclasses.MISSING:
            problems.append(f"{prefix}{name}: missing")
            values[name] = None
    return kind(**values)


def _value(hint: Any, value: Any, name: str, limits: Any, problems: list[str]) -> Any:
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if value is None and types.NoneType in options:
        return None
    hint = next(option for option in options if option is not types.NoneType)
    if dataclasses.is_dataclass(hint):
        return _parse(hint, value, f"{name}.", problems)  # type: ignore[arg-type]
    if typing.get_origin(hint) is Literal:
        if value not in typing.get_args(hint):
            problems.append(f"{name}={value!r} (accepted: {', '.join(typing.get_args(hint))})")
        return value
    kind = typing.get_origin(hint) or hint
    if kind is float and type(value) in (int, str):  # YAML reads 1e-4 as text
        with contextlib.suppress(ValueError, OverflowError):
            value = float(value)
    if type(value) is not kind or (kind is float and not math.isfinite(value)):
        problems.append(f"{name}={_short(value)} (accepted: {'a finite number' if kind is float else kind.__name__})")
    elif kind is str and value != value.encode("utf-8", "replace").decode():  # half a surrogate pair
        problems.append(f"{name}={_short(value)} (accepted: text in Unicode)")
    elif limits:
        high = min(limits["high"], MOST) if kind is int else limits["high"]
        if not limits["low"] <= value <= high:
            above = "or more" if high == math.inf else f"to {high:.10g}"
            problems.append(f"{name}={_short(value)} (accepted: {limits['low']:g} {above})")
    return value


def _short(value: Any) -> str:
    try:
        shown = repr(value)
        return shown if len(shown) <= 40 else f"{shown[:37]}..."
    except ValueError:  # Python prints no number of more than 4,300 digits
        return "a very long number"
