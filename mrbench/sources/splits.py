"""From the names that data sets give their splits to ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mrbench.errors import InputError
from mrbench.records import SPLITS, Split
from mrbench.spec_options import choice

_BEGINNINGS: tuple[tuple[str, Split], ...] = (
    ("train", "train"),
    ("restval", "train"),
    ("val", "validation"),
    ("dev", "validation"),
    ("test", "test"),
)


def our_split(name: str) -> Split | None:
    """Return the split that a data set's own name stands for; None where it stands for none.

    >>> our_split("val2017"), our_split("dev"), our_split("restval"), our_split("corpus")
    ('validation', 'validation', 'train', None)
    """
    low = name.lower().lstrip("-_ ")
    return next((split for beginning, split in _BEGINNINGS if low.startswith(beginning)), None)


def assign_splits(names: Iterable[str], options: Mapping[str, str], *, where: object) -> dict[str, Split]:
    """Return the split of ours that each split of a data set becomes.

    A single split becomes ``test``, or what the option ``as`` says. So does the one that the option ``split`` names,
    and all others are left out; ``split=all`` makes all of them one.

    Args:
        names: The data set's own names; an empty one where it has none.
        options: Those of the spec.
        where: The file or folder, for messages.

    Raises:
        InputError: There is no split of that name, or a name stands for none of ours.

    >>> assign_splits(["val2017", "train2017"], {}, where="x")
    {'train2017': 'train', 'val2017': 'validation'}
    >>> assign_splits(["val2017", "train2017"], {"split": "validation"}, where="x")
    {'val2017': 'test'}
    >>> assign_splits([""], {"as": "train"}, where="x")
    {'': 'train'}
    """
    found = sorted(set(names))
    wanted = options.get("split")
    alone: Split = choice(options, "as", ("test", "train", "validation"))  # type: ignore[assignment]
    if wanted == "all":
        return dict.fromkeys(found, alone)
    if wanted is not None:
        chosen = [name for name in found if name == wanted] or [n for n in found if our_split(n) == wanted]
        if not chosen:
            accepted = ", ".join([*(name for name in found if name), "all"])
            raise InputError("unknown split of a data set", where=where, got=wanted, accepted=accepted)
        return dict.fromkeys(chosen, alone)
    if len(found) <= 1:
        return dict.fromkeys(found, alone)
    if "as" in options:
        raise InputError(
            "the option as is for photos of one split",
            where=where,
            got=", ".join(found),
            hint="?split=NAME or split=all",
        )
    made: dict[str, Split] = {}
    for name in found:
        split = our_split(name)
        if split is None:
            raise InputError(
                "the name of a split is not known",
                where=where,
                got=name,
                accepted=", ".join(SPLITS),
                hint="?split=NAME",
            )
        made[name] = split
    return made


def in_order(splits: Iterable[str]) -> tuple[Split, ...]:
    """Return splits in the order train, validation, test, each once."""
    held = set(splits)
    return tuple(split for split in SPLITS if split in held)
