"""Winoground's scores of two tasks that hold the same groups of two pairs."""

from __future__ import annotations

from mrbench.results import TaskResult
from mrbench.score.scoring import add_group_scores


def part(category: str, right: tuple[float, ...], clusters: str, **more: object) -> TaskResult:
    task = {"name": category, "category": category, "pool": "lists"}
    values = {"all_grains_accuracy": right} if right else {}
    return TaskResult("scored", "", len(clusters), 4, per_query=values, clusters=tuple(clusters), task=task, **more)


def test_a_group_is_right_where_both_of_its_queries_are() -> None:
    results = {
        "texts": part("i2t", (1, 1, 1, 0), "aabb", missing={"group_score": "the benchmark has no flipped queries"}),
        "images": part("t2i", (1, 0, 1, 1), "aabb"),
    }
    add_group_scores(results)
    assert results["texts"].scores == {"text_score": 0.5, "group_score": 0}
    assert results["images"].scores == {"image_score": 0.5, "group_score": 0}
    assert not results["texts"].missing


def test_two_questions_on_one_image_are_no_group() -> None:
    results = {"texts": part("i2t", (1, 1, 1, 0), "aabb")}
    add_group_scores(results)
    assert results["texts"].scores == {}


def test_groups_with_cut_texts_have_no_score() -> None:
    results = {"texts": part("i2t", (), "aabb", cut_pairs={"swap": 1}), "images": part("t2i", (1, 0, 1, 1), "aabb")}
    add_group_scores(results)
    assert results["texts"].missing == {"group_score": "the model cut texts of some groups"}
    assert not results["images"].scores
