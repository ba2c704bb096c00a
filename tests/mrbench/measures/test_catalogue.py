"""Every score has one declaration, whatever its k, and every declaration is sound."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mrbench import measures
from mrbench.errors import ResultError
from mrbench.measures import (
    CATALOGUE,
    DECLARATIONS,
    Quadruples,
    all_positives_above,
    chance_of_all_above,
    declared,
    find_measure,
    fixed_chance,
    in_order,
    parse_name,
    rank_measure,
    winoground,
)

TOOLS = {
    name for name in measures.__all__ if name[0].isupper()
} | {
    "chance",
    "chance_ndcg",
    "chance_of_all_above",
    "chance_of_one_part",
    "confusion",
    "dcg",
    "declared",
    "find_measure",
    "fixed_chance",
    "gain_of",
    "hit_of_positive",
    "ideal_dcg",
    "ideal_dcg_listed",
    "in_order",
    "mean",
    "mean_by_grain",
    "mean_scale",
    "median",
    "parse_name",
    "rank_measure",
    "refused_names",
}  # fmt: skip
"""Exported, but no score of its own; the confusion is a table."""
OTHER_NAMES = {
    "above_positive": "negatives_above",
    "all_positives_above": "all_positives_accuracy",
    "among_first": "negatives_in_top",
    "any_among_first": "one_off_in_top",
    "average_precision": "map",
    "average_precision_at_r": "map@r",
    "capped_average_precision": "capped_map",
    "first_rank": "mean_rank",
    "grade_curve": "standardised_score",
    "judged_share": "judged",
    "margins": "margin",
    "reciprocal_rank": "mrr",
    "winoground": "text_score",
    "worst_grain": "worst_grain_accuracy",
    "worst_phrasing": "worst_phrasing_hit_rate",
}
OF_ANOTHER = {
    "paraphrase_distance",
    "unrelated_distance",
    "image_only_hit_rate",
    "text_only_hit_rate",
    "wrong_modality",
    "median_rank",
    "ndcg_exp",
    "image_score",
}
"""Distances that come as they are, and what a function of another name computes too."""


def test_every_measure_is_declared_and_no_other() -> None:
    exported = {OTHER_NAMES.get(name, name) for name in set(measures.__all__) - TOOLS}
    assert exported | OF_ANOTHER == {name.removesuffix("@k") for name in DECLARATIONS}


@pytest.mark.parametrize("name", [name.replace("@k", "@7") for name in DECLARATIONS] + list(CATALOGUE))
def test_declarations_are_sound(name: str) -> None:
    measure = declared(name)
    low = -math.inf if measure.low is None else measure.low
    high = math.inf if measure.high is None else measure.high
    assert low < high
    texts = (measure.title, measure.meaning, measure.chance_rule, measure.others)
    assert measure.title
    assert measure.meaning
    assert not any("{" in text or "\n" in text for text in texts)
    assert not measure.meaning.endswith(".")
    assert measure.chance is None or (low <= measure.chance <= high and not measure.chance_rule)
    assert measure.needs


def test_titles_tell_measures_apart() -> None:
    named = [*CATALOGUE, *(name.replace("@k", "@7") for name in DECLARATIONS if name.endswith("@k"))]
    named += [name for name in DECLARATIONS if not name.endswith("@k") and name not in CATALOGUE]
    assert len({declared(name).title for name in named}) == len(named)


def test_any_number_of_places_is_known() -> None:
    assert declared("hit_rate@50").title == "hit rate@50"
    assert declared("hit_rate@1000").meaning.endswith("among the first 1,000")
    assert declared("ndcg@10") == CATALOGUE["ndcg@10"]
    assert "recall" not in declared("hit_rate@50").title
    assert parse_name("capped_recall@20") == ("capped_recall", 20)


@pytest.mark.parametrize(
    "name", ["hit_rate@0", "hit_rate@05", "hit_rate@-1", "hit_rate@k", "hit_rate", "map@R", "mrr@", "@5", "nothing", ""]
)
def test_other_names_are_unknown(name: str) -> None:
    assert find_measure(name) is None
    with pytest.raises(ResultError, match="unknown measure"):
        declared(name)


def test_an_unknown_name_is_answered_with_one_that_is_like_it() -> None:
    with pytest.raises(ResultError, match="hit_rate@k"):
        declared("hitrate@5")


def test_functions_by_name() -> None:
    with pytest.raises(ResultError, match="not a rank measure"):
        rank_measure("ndcg@10")
    with pytest.raises(ResultError, match="unknown measure"):
        rank_measure("hit_rates@10")


def test_the_order_is_by_family_and_then_by_number() -> None:
    names = ["one_off_in_top@10", "x", "recall@5", "hit_rate@100", "hit_rate@20", "mrr", "mrr@10", "judged@5"]
    expected = ["hit_rate@20", "hit_rate@100", "recall@5", "mrr", "mrr@10", "judged@5", "one_off_in_top@10", "x"]
    assert in_order(names) == expected


def test_chance_levels_are_what_random_scores_get() -> None:
    rng = np.random.default_rng(11)
    scores = rng.normal(size=(60_000, 2, 2))
    error = 4 * 0.5 / math.sqrt(len(scores))
    for name, values in winoground(scores).items():
        assert values.mean() == pytest.approx(fixed_chance(name), abs=error), name
    quads = Quadruples.from_matrices(np.zeros(len(scores)), scores)
    assert measures.candidate_score(quads)["0.0"][0] == pytest.approx(fixed_chance("candidate_score"), abs=error)
    assert measures.query_score(quads)["0.0"][0] == pytest.approx(fixed_chance("query_score"), abs=error)
    item = np.arange(len(scores))
    right = all_positives_above(np.repeat(item, 2), scores[:, 0].reshape(-1), item, scores[:, 1, 0], len(item))
    assert right.mean() == pytest.approx(chance_of_all_above(2, 1), abs=error)
    assert (scores[:, 0, 0] > scores[:, 1, 0]).mean() == pytest.approx(fixed_chance("pair_accuracy"), abs=error)


def test_a_chance_level_that_depends_on_the_data_is_no_number() -> None:
    with pytest.raises(ResultError, match="random order"):
        fixed_chance("hit_rate@5")
    with pytest.raises(ResultError, match="none is defined"):
        fixed_chance("grain_distance")
