"""The catalogue names every measure there is, and no other."""

from __future__ import annotations

import math

from mrbench import measures
from mrbench.measures import CATALOGUE

TOOLS = {"Measure", "ByGrain", "CATALOGUE", "GainGroups", "Ladders", "Moves", "Pairs", "Quadruples", "TieGroups"} | {
    "chance_of_one_part",
    "confusion",
    "dcg",
    "hit_of_positive",
    "ideal_dcg",
    "mean",
    "mean_by_grain",
    "mean_scale",
}
"""Exported, but no score of its own; the confusion is a table."""
OTHER_NAMES = {
    "above_positive": "negatives_above",
    "among_first": "negatives_in_top",
    "any_among_first": "one_off_in_top",
    "average_precision": "map",
    "grade_curve": "standardised_score",
    "margins": "margin",
    "reciprocal_rank": "mrr",
    "worst_grain": "worst_grain_accuracy",
    "worst_phrasing": "worst_phrasing_hit_rate",
}
OF_ANOTHER = {"paraphrase_distance", "unrelated_distance", "image_only_hit_rate", "text_only_hit_rate"}
"""Distances that come as they are, and the hit rate of half a query."""


def test_every_measure_is_in_the_catalogue() -> None:
    exported = {OTHER_NAMES.get(name, name) for name in set(measures.__all__) - TOOLS}
    assert exported | OF_ANOTHER | {"wrong_modality"} == {name.partition("@")[0] for name in CATALOGUE}


def test_entries_are_sound() -> None:
    assert len({measure.title for measure in CATALOGUE.values()}) == len(CATALOGUE)
    for name, measure in CATALOGUE.items():
        low = -math.inf if measure.low is None else measure.low
        high = math.inf if measure.high is None else measure.high
        assert low < high, name
        assert measure.meaning, name
        assert measure.chance is None or low <= measure.chance <= high, name
