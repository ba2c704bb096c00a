"""Looks up the measure of a score's name: title, meaning, range, direction, chance level, needs.

Measures are declared by family in :mod:`mrbench.measures.declarations`, with ``@k`` for any number of places.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from difflib import get_close_matches
from functools import lru_cache

from mrbench.errors import ResultError
from mrbench.measures.declarations import DECLARATIONS, STANDARD, Measure

_AT = re.compile(r"([a-z_]+)@([1-9][0-9]{0,8})")
_WORDS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def parse_name(name: str) -> tuple[str, int | None]:
    """Return the family of a score and its k; None where the name has no k.

    >>> parse_name("hit_rate@50"), parse_name("map@r"), parse_name("mrr")
    (('hit_rate', 50), ('map@r', None), ('mrr', None))
    """
    match = _AT.fullmatch(name)
    return (match[1], int(match[2])) if match else (name, None)


def find_measure(name: str) -> Measure | None:
    """Return the declaration of a measure with its k filled in, or None where no measure has that name."""
    k = parse_name(name)[1]
    if k is None:
        return None if name.endswith("@k") else DECLARATIONS.get(name)
    declaration = DECLARATIONS.get(_key(name))
    return None if declaration is None else _filled(declaration, k)


def declared(name: str) -> Measure:
    """Return the declaration of a measure with its k filled in.

    Args:
        name: Name of a score: ``mrr``, ``map@r``, or a family with any k, such as ``hit_rate@50``.

    Raises:
        ResultError: No measure has that name.

    >>> declared("hit_rate@5").meaning
    'the share of queries with a relevant candidate among the first five'
    >>> declared("recall@1").title, declared("recall@1").meaning
    ('recall@1', "the share of a query's relevant candidates that are in the first place")
    """
    declaration = find_measure(name)
    if declaration is None:
        close = get_close_matches(_key(name), DECLARATIONS, n=3, cutoff=0.5)
        raise ResultError(
            "unknown measure", got=name, accepted=f"for example {', '.join(close or ('hit_rate@k', 'mrr', 'ndcg@k'))}"
        )
    return declaration


def fixed_chance(name: str) -> float:
    """Return the chance level of a measure whose chance level does not depend on the data.

    Raises:
        ResultError: No measure has that name, or its chance level depends on the data.

    >>> fixed_chance("pair_accuracy")
    0.5
    """
    declaration = declared(name)
    if declaration.chance is None:
        rule = declaration.chance_rule or "none is defined"
        raise ResultError("the chance level depends on the data", where=name, got=rule)
    return declaration.chance


def in_order(names: Iterable[str]) -> list[str]:
    """Return names of scores in the order of leaderboards: by family, then by k; unknown names last.

    >>> in_order(["map", "hit_rate@10", "of_a_plugin", "hit_rate@5"])
    ['hit_rate@5', 'hit_rate@10', 'map', 'of_a_plugin']
    """
    positions = {key: number for number, key in enumerate(DECLARATIONS)}

    def position(name: str) -> tuple[int, int, str]:
        return positions.get(_key(name), len(positions)), parse_name(name)[1] or 0, name

    return sorted(names, key=position)


def _key(name: str) -> str:
    """Return the key of a name in the declarations: ``hit_rate@k`` for ``hit_rate@50``."""
    family, k = parse_name(name)
    return family if k is None else f"{family}@k"


@lru_cache(maxsize=512)
def _filled(measure: Measure, k: int) -> Measure:
    first = "in the first place" if k == 1 else f"among the first {_WORDS[k - 2] if k <= 10 else f'{k:,}'}"
    texts = (measure.title, measure.meaning, measure.chance_rule, measure.others)
    title, meaning, rule, others = (text.replace("{k}", str(k)).replace("{among}", first) for text in texts)
    return replace(measure, title=title, meaning=meaning, chance_rule=rule, others=others)


CATALOGUE: dict[str, Measure] = {name: declared(name) for name in STANDARD}
"""The scores of a suite with grains, in the order of a result file. For any other name see :func:`declared`."""
