"""Captions without one of their grains: the adjective or phrase dropped, the noun generalised."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mrbench.build.captions.words import with_articles
from mrbench.grains import KINDS, Grain, wordnet
from mrbench.grains.words import NUMBERS, PEOPLE

_BE = frozenset({"is", "are", "was", "were", "be", "being", "been", "'s"})
_JOINING = frozenset({"and", "or", ",", "to", "that", "who", "which", "while", "not", "than", "very", "as"})
_FIELDS = {"person": ("person", "people"), "animal": ("animal", "animals"), "food": ("food", "food")}
_FIELDS |= {"artifact": ("object", "objects"), "plant": ("plant", "plants")}
_PLURALS = frozenset({"people", "men", "women", "children", "sheep"})


def without(text: str, grain: Grain, grains: Sequence[Grain]) -> str | None:
    """Return a caption without one grain, None where the words cannot simply go.

    Args:
        text: The caption.
        grain: One of its grains.
        grains: All of them.
    """
    if grain.kind in ("entity", "scene"):
        return _general(text, grain)
    if grain.kind == "relation":
        return _apart(text, grain, grains)
    if grain.kind == "count":
        single = text[grain.start : grain.end].lower() in NUMBERS or grain.value in ("several", "few")
        return _dropped(text, grain.start, grain.end) if single else None
    if grain.kind == "action":
        return _inactive(text, grain, grains)
    if KINDS[grain.kind] == "attribute" and grain.kind != "text":
        return _dropped(text, grain.start, grain.end)
    return None


def _before(text: str, at: int) -> str:
    found = re.search(r"(\S+)\s*$", text[:at])
    return found[1].lower() if found else ""


def _after(text: str, at: int) -> str:
    found = re.match(r"\s*([\w']+|[^\w\s])", text[at:])
    return found[1].lower() if found else ""


def _dropped(text: str, start: int, end: int) -> str | None:
    """Drop a word before a noun; not one of a list, and not what a verb says of its subject."""
    before, after = _before(text, start), _after(text, end)
    if before in _JOINING | _BE or before.endswith(",") or after in _JOINING | {"of", ".", ""} or not after.isalpha():
        return None
    return _tidy(text[:start] + text[end:])


def _general(text: str, grain: Grain) -> str | None:
    word = text[grain.start : grain.end].lower()
    field = "person" if grain.value in PEOPLE else (wordnet.fields(grain.value) or ("",))[0]
    if field not in _FIELDS or grain.kind == "scene":
        return None
    plural = word in _PLURALS or (word.endswith("s") and word != grain.value)
    return _tidy(text[: grain.start] + _FIELDS[field][plural] + text[grain.end :])


def _apart(text: str, grain: Grain, grains: Sequence[Grain]) -> str | None:
    """Return a text without how two things stand: "a dog under a table" becomes "a dog and a table"."""
    inside = [g.start for g in grains if grain.start < g.start < grain.end]
    if not inside:
        return None
    words = text[grain.start : min(inside)].split()
    article = words[-1] if words and words[-1].lower() in ("a", "an", "the", "his", "her", "its", "their") else ""
    if _before(text, grain.start) in _BE | _JOINING:
        return None
    return _tidy(f"{text[: grain.start]}and {article} {text[min(inside) :]}")


def _inactive(text: str, grain: Grain, grains: Sequence[Grain]) -> str | None:
    if any(grain.start < g.start < grain.end for g in grains):
        return None
    start = grain.start
    if _before(text, start) in _BE:
        start = text[:start].rstrip().rfind(" ") + 1
    before = _before(text, start)
    if not before or before in _JOINING or before.endswith(("ly", ",")) or before == "there":
        return None
    return _tidy(text[:start] + text[grain.end :])


def _tidy(text: str) -> str:
    text = re.sub(r"\s+", " ", text).strip()
    text = re.sub(r"\s+([.,])(?=\s|$)", r" \1" if " ." in text else r"\1", text)
    return with_articles(text[:1].upper() + text[1:] if text[:1].isalpha() else text)
