"""The grains of emojis, read from their code points."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property

from mrbench.build import art
from mrbench.build.emoji import roles
from mrbench.build.emoji.roles import Kind, Role
from mrbench.errors import MissingExtraError
from mrbench.records import Grain

TYPES = ("role", "gender", "skin tone", "second skin tone", "hair", "direction")
Key = tuple[tuple[str, str], ...]
"""A grain combination: its (type, value) pairs, in the order of :data:`TYPES`."""


def key_of(values: Mapping[str, str]) -> Key:
    """Return the combination of some values.

    >>> key_of({"gender": "man", "role": "running"})
    (('role', 'running'), ('gender', 'man'))
    """
    return tuple((kind, values[kind]) for kind in (*TYPES, "object") if kind in values)


@dataclass(frozen=True)
class Item:
    """An emoji and its grains.

    Attributes:
        emoji: The code points.
        key: Its grain combination.
        kind: The kind of subject of sentences about it.
    """

    emoji: str
    key: Key
    kind: Kind

    @cached_property
    def values(self) -> dict[str, str]:
        """Its grains as ``{type: value}``."""
        return dict(self.key)

    @cached_property
    def grains(self) -> tuple[Grain, ...]:
        """Its grains, without spans."""
        return tuple(Grain(kind, value) for kind, value in self.key)


def parse(emoji: str) -> Item | None:
    """Return the item of an emoji of people or hands; None if a sentence cannot state what it shows.

    A neutral person has no gender, the default yellow no skin tone. Of two people, ``skin tone`` is the left one's
    and ``second skin tone`` the right one's; both artists keep this order.

    >>> parse(chr(0x1F468) + chr(0x1F3FF) + chr(0x200D) + chr(0x1F692)).key
    (('role', 'firefighter'), ('gender', 'man'), ('skin tone', 'dark'))
    """
    points = art.code_points(emoji).split("-")
    tones = [roles.TONES[p] for p in points if p in roles.TONES]
    base = "-".join(p for p in points if p not in roles.TONES)
    pair = _pair(base)
    if pair is not None:
        role, gender = pair
        return _item(emoji, role, {"gender": gender, **_both(tones)})
    person = _person(base)
    if person is None or len(tones) > 1:
        return None
    found, further = person
    tone = tones[0] if tones else None
    if (further.get("hair", ""), tone) in roles.SAME_AS_DEFAULT:
        return None
    return _item(emoji, found, {**further, "skin tone": tone})


def _item(emoji: str, role: Role | None, further: Mapping[str, str | None]) -> Item | None:
    values = {"role": role.value if role else None, **further}
    key = key_of({kind: value for kind, value in values.items() if value is not None})
    return Item(emoji, key, role.kind if role else "portrait") if key else None


def _both(tones: list[str]) -> dict[str, str]:
    return {"skin tone": tones[0], "second skin tone": tones[-1]} if tones else {}


def _pair(base: str) -> tuple[Role, str | None] | None:
    if base in ("1f91d", "1faf1-200d-1faf2"):
        return roles.HANDSHAKE, None
    if base in roles.OWN_PAIRS:
        joint, gender = roles.OWN_PAIRS[base]
        return roles.PAIR_ROLES[joint], gender
    match = re.fullmatch(r"(1f468|1f469|1f9d1)-200d-(.+)-200d-(1f468|1f469|1f9d1)", base)
    if match is None:
        return None
    left, joint, right = match.groups()
    role = roles.PAIR_ROLES.get(roles.JOINTS.get(joint, joint))
    return None if role is None else (role, roles.PAIR_GENDERS.get((left, right)))


def _person(base: str) -> tuple[Role | None, dict[str, str]] | None:
    """Return role and further grains of a single person, hand or portrait, tone aside."""
    further: dict[str, str] = {}
    parts = base.split("-200d-")
    if len(parts) > 1 and parts[-1] == "27a1":
        further["direction"] = "right"
        parts.pop()
    if len(parts) > 1 and parts[-1] in ("2640", "2642"):
        further["gender"] = roles.GENDERS[parts.pop()]
    if parts[0] in (roles.MAN, roles.WOMAN, roles.PERSON):
        if parts[0] != roles.PERSON:
            further["gender"] = roles.GENDERS[parts[0]]
        parts = [f"+{part}" for part in parts[1:]] or ["portrait"]
    if len(parts) != 1:
        return None
    (key,) = parts
    if key in roles.OWN:
        key, own = roles.OWN[key]
        further |= own
    if key in roles.HAIR:
        return None, {**further, "hair": roles.HAIR[key]}
    if key == "portrait":
        return None, further
    if key in roles.FACING_LEFT:
        further.setdefault("direction", "left")
    return (roles.ROLES[key], further) if key in roles.ROLES else None


@cache
def people() -> tuple[Item, ...]:
    """Return one item for each combination of people and hands that both artists drew and sentences can state."""
    items = [item for emoji in _emojis() if (item := parse(emoji)) is not None]
    return tuple(sorted({item.key: item for item in items}.values(), key=lambda item: item.key))


@cache
def _emojis() -> dict[str, str]:
    """Return the English name of every emoji that both artists drew, without presentation selectors."""
    try:
        from emoji import EMOJI_DATA, STATUS
    except ModuleNotFoundError as error:
        raise MissingExtraError("the names of emojis are not installed", hint='pip install "mrbench[build]"') from error
    qualified = {
        emoji.replace("\ufe0f", ""): facts["en"].strip(":").replace("_", " ")
        for emoji, facts in EMOJI_DATA.items()
        if facts["status"] == STATUS["fully_qualified"]
    }
    return {
        emoji: name
        for emoji, name in sorted(qualified.items())
        if all(art.exists(artist, emoji) for artist in art.ARTISTS)
    }


@cache
def objects() -> tuple[Item, ...]:
    """Return animals, plants, food and things that both artists drew, with one grain each, for the pool."""
    items = []
    for emoji, name in _emojis().items():
        point = ord(emoji[0])
        if (
            len(emoji) == 1
            and any(first <= point <= last for first, last in roles.OBJECT_BLOCKS)
            and parse(emoji) is None
            and emoji + "\U0001f3fb" not in _emojis()
            and re.fullmatch(r"[a-z]+(?:[ -][a-z]+)*", name)
            and not re.search(roles.NOT_AN_OBJECT, name)
            and not re.search(roles.UNCOUNTED + r"$", name)
            and not name.startswith(("person", "people"))
        ):
            items.append(Item(emoji, (("object", name),), "object"))
    return tuple(items)
