"""Recipes read from YAML and checked at once; their fields are those of :mod:`elva.settings`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

from elva.settings import (
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
from mrbench.fields import parse_fields, read_yaml

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
            raise InputError(
                "no such recipe",
                got=source,
                accepted=f"{', '.join(RECIPES)}, or a YAML file",
                hint="check the path, or take --recipe tiny",
            )
    except (OSError, ValueError) as error:
        raise InputError(
            "the recipe cannot be read",
            where=source,
            got=str(error),
            accepted="YAML in UTF-8",
            hint="save the file as UTF-8, or take --recipe tiny",
        ) from error
    raw = read_yaml(text, what="recipe", where=source)
    if not isinstance(raw, dict):
        raise InputError(
            "the recipe is no mapping",
            where=source,
            got=type(raw).__name__,
            accepted="fields: values",
            hint="write name: and the stages as fields, or take --recipe tiny",
        )
    return parse_recipe({**raw, **changes}, where=source)


def parse_recipe(raw: dict[str, Any], *, where: str = "recipe") -> Recipe:
    """Check a mapping and return the recipe.

    Raises:
        InputError: Unknown fields, values of another type or out of range; all in one line.

    >>> parse_recipe({"name": "x", "base": "B", "lora": {"rnak": 8}}, where="R")
    Traceback (most recent call last):
    mrbench.errors.InputError: malformed recipe; where: R; got: 'lora.rnak: unknown'; next: mend these fields
    """
    problems: list[str] = []
    recipe = parse_fields(Recipe, raw, problems)
    problems = problems or list(_contradictions(recipe))
    if problems:
        raise InputError(
            "malformed recipe",
            where=where,
            got="; ".join(problems),
            hint="mend these fields",
        )
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
