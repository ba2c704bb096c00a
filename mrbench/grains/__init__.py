"""Grains of real text: what a caption says, thing by thing, with spans."""

from mrbench.grains.description import Attribute, Description, Entity, Relation
from mrbench.grains.extract import KINDS, Grain, Slot, grains_of, numbered
from mrbench.grains.parser import MAX_CHARACTERS, describe_texts, versions

__all__ = [
    "KINDS",
    "MAX_CHARACTERS",
    "Attribute",
    "Description",
    "Entity",
    "Grain",
    "Relation",
    "Slot",
    "describe_texts",
    "grains_of",
    "numbered",
    "versions",
]
