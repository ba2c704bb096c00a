"""Pair accuracy by grain type, all-grains accuracy, the worst grain, and margins."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mrbench.arrays import Floats, Ints
from mrbench.errors import ResultError
from mrbench.measures.grain_distance import ByGrain, mean_by_grain


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of a positive and a candidate that differs from it in one grain only, arrays of shape ``(num_pairs,)``.

    Attributes:
        query: Index of the query, 0 to ``num_queries - 1``.
        grain: The type of that grain.
        right: Whether the positive scores strictly above the other; a tie is wrong.
        num_queries: Number of queries.
    """

    query: Ints
    grain: np.ndarray[Any, Any]
    right: np.ndarray[Any, np.dtype[np.bool_]]
    num_queries: int


def pair_accuracy(pairs: Pairs) -> dict[str, tuple[float, int]]:
    """Return, by grain type, the share of pairs that are right and the number of pairs.

    P[score(positive) > score(candidate that differs only in this grain)]. A tie fails, because equal scores do not tell
    the two apart. A model that guesses gets 1/2, and one that gives all candidates the same score gets 0.

    Returns:
        ``{grain type: (0 to 1, higher is better; number of pairs)}``, sorted by type.

    Raises:
        ResultError: There is no pair.

    >>> pairs = Pairs(np.array([0, 1]), np.array(["count", "count"]), np.array([True, False]), 2)
    >>> pair_accuracy(pairs)
    {'count': (0.5, 2)}
    """
    if not len(pairs.query):
        raise ResultError("no pair to score", accepted="a ladder for every query")
    by_grain = {}
    for grain in np.unique(pairs.grain):
        right = pairs.right[pairs.grain == grain]
        by_grain[str(grain)] = (float(right.mean()), len(right))
    return by_grain


def all_grains_accuracy(pairs: Pairs) -> Floats:
    """Return 1 for each query whose pairs are all right and 0 for the others, shape ``(num_queries,)``.

    Raises:
        ResultError: A query has no pair.

    >>> pairs = Pairs(np.array([0, 0]), np.array(["count", "size"]), np.array([True, False]), 1)
    >>> all_grains_accuracy(pairs)
    array([0.])
    """
    number = np.bincount(pairs.query, minlength=pairs.num_queries)
    if (number == 0).any():
        raise ResultError("a query has no pair", where=f"query {int(np.argmin(number))}")
    wrong = np.bincount(pairs.query, weights=~pairs.right, minlength=pairs.num_queries)
    right: Floats = (wrong == 0).astype(np.float64)
    return right


def all_positives_above(
    item: Ints, positive: Floats, item_of_negative: Ints, negative: Floats, num_items: int
) -> Floats:
    """Return 1 for each item whose every true text scores strictly above its every false one, else 0; ties fail.

    With one true and one false text this is the accuracy of SugarCrepe, with two true ones the image-to-text score of
    SugarCrepe++. For its text-only score give as ``positive`` the similarity of the two true texts, and as ``negative``
    that of each of them with the false one.

    Args:
        item: Item of each true text, 0 to ``num_items - 1``, shape ``(num_positives,)``, in any order.
        positive: Its score, with the image of the item.
        item_of_negative: Item of each false text, shape ``(num_negatives,)``.
        negative: Its score.
        num_items: Number of items.

    Returns:
        Shape ``(num_items,)``, 0 or 1, higher is better. For the mean by kind see
        :func:`mrbench.measures.mean_by_grain`; for chance :func:`chance_of_all_above`.

    Raises:
        ResultError: An item has no true or no false text, or a score is not a number.

    Source: Hsieh et al., SugarCrepe, arXiv 2306.14610; Dumpala et al., SugarCREPE++, arXiv 2406.11171.

    >>> all_positives_above(np.array([0, 0]), np.array([0.9, 0.4]), np.array([0]), np.array([0.5]), 1)
    array([0.])
    """
    if not (np.isfinite(positive).all() and np.isfinite(negative).all()):
        raise ResultError("a score is not a number", accepted="finite scores")
    for name, items in (("true", item), ("false", item_of_negative)):
        number = np.bincount(items, minlength=num_items)
        if len(number) > num_items:
            raise ResultError("an item is out of range", got=len(number) - 1, accepted=f"0 to {num_items - 1}")
        if (number == 0).any():
            raise ResultError(f"an item has no {name} text", where=f"item {int(np.argmin(number))}")
    lowest, highest = np.full(num_items, np.inf), np.full(num_items, -np.inf)
    np.minimum.at(lowest, item, positive)
    np.maximum.at(highest, item_of_negative, negative)
    right: Floats = (lowest > highest).astype(np.float64)
    return right


def chance_of_all_above(positives: int, negatives: int) -> float:
    """Return the probability that random scores put all true texts above all false ones.

    ``1 / C(positives + negatives, positives)``: 1/2 for a pair, 1/3 for two true texts and a false one.

    Raises:
        ResultError: No true or no false text.

    >>> chance_of_all_above(1, 1), round(chance_of_all_above(2, 1), 4)
    (0.5, 0.3333)
    """
    if positives < 1 or negatives < 1:
        raise ResultError("no chance to compute", got=f"{positives} true, {negatives} false", accepted="1 or more")
    return 1 / math.comb(positives + negatives, positives)


def worst_grain(by_grain: Mapping[str, tuple[float, int]]) -> tuple[str, float]:
    """Return the grain type of the lowest pair accuracy, the first by name where several have it, and its accuracy.

    Raises:
        ResultError: There is no grain type.

    >>> worst_grain({"count": (0.6, 9), "size": (0.5, 9)})
    ('size', 0.5)
    """
    if not by_grain:
        raise ResultError("no pair to score", accepted="a ladder for every query")
    kind = min(sorted(by_grain), key=lambda name: by_grain[name][0])
    return kind, by_grain[kind][0]


def margins(grain: np.ndarray[Any, Any], positive: Floats, other: Floats, deviation: Floats) -> ByGrain:
    """Return the mean margin of pairs by grain type, in standard deviations of the query's scores over the pool.

    ``(score(positive) - score(other)) / deviation``: any real number, higher is better, 0 at chance. It can be compared
    between models with different ranges of scores. Pairs of a query whose scores are all equal are left out.

    Args:
        grain: The grain type of each pair, shape ``(num_pairs,)``.
        positive: Score of the positive.
        other: Score of the candidate that differs only in this grain.
        deviation: Standard deviation of the scores of the pair's query over the pool.

    Raises:
        ResultError: No pair, or none left.

    >>> margins(np.array(["count"]), np.array([0.5]), np.array([0.3]), np.array([0.1]))["count"][0].__round__(3)
    2.0
    """
    return mean_by_grain(*standardised(grain, positive - other, deviation))


def standardised(kind: np.ndarray[Any, Any], value: Floats, deviation: Floats) -> tuple[np.ndarray[Any, Any], Floats]:
    """Return the values divided by their deviations, and their kinds, without values whose deviation is 0.

    Args:
        kind: Kind of each value, shape ``(num_values,)``.
        value: The values.
        deviation: Standard deviation of the scores of the value's query over the pool.

    Raises:
        ResultError: There are values, and all deviations are 0.
    """
    known = deviation > 0
    if len(known) and not known.any():
        raise ResultError("all candidates have the same score for every query, so that there is no spread")
    return kind[known], value[known] / deviation[known]
