"""Two models compared query by query, against the same numbers computed another way."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_benchmark import Guess, Oracle, write_tiny

from mrbench.benchmark import Benchmark
from mrbench.comparison import changed_queries, compare, comparison_text
from mrbench.errors import ResultError
from mrbench.evaluation import evaluate
from mrbench.results import Result, read_result
from mrbench.runs import read_run


def mrbench(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mrbench", *map(str, words)], capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def folders(tiny: Benchmark, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = tmp_path_factory.mktemp("results")
    models = {
        "whole": Oracle("whole"),
        "blind": Oracle("blind", blind_to=["place"]),
        "guess": Guess("guess"),
        "pictures": Oracle("pictures", modalities=["image"]),
    }
    for name, model in models.items():
        evaluate(tiny, model, made / name)
    return {name: made / name for name in models}


def result(folder: Path) -> Result:
    return read_result(folder / "result.json")


def exact_p(one: np.ndarray, other: np.ndarray, clusters: np.ndarray) -> float:
    """The p-value over all ways to change the signs of the clusters, without the library."""
    moved = [float((one - other)[clusters == c].sum()) for c in np.unique(clusters)]
    sums = [
        abs(sum(s * m for s, m in zip(signs, moved, strict=True)))
        for signs in itertools.product([1, -1], repeat=len(moved))
    ]
    return sum(total >= abs(sum(moved)) - 1e-9 for total in sums) / len(sums)


def test_differences_are_those_of_the_values_by_query(folders: dict[str, Path]) -> None:
    one, other = result(folders["whole"]), result(folders["guess"])
    (found,) = compare(one, other)
    row = next(d for d in found.differences if (d.task, d.measure) == ("t2i", "hit_rate@5"))
    first, second = (np.array(r.tasks["t2i"].per_query["hit_rate@5"]) for r in (one, other))
    clusters = np.array(one.tasks["t2i"].clusters)
    assert row.difference == pytest.approx(first.mean() - second.mean())
    assert (row.wins, row.ties, row.losses) == tuple(
        int(n) for n in ((first > second).sum(), (first == second).sum(), (first < second).sum())
    )
    assert row.interval is not None
    assert row.interval[0] <= row.difference <= row.interval[1]
    assert row.p == pytest.approx(exact_p(first, second, clusters), abs=0.02)
    assert row.p_holm is not None
    assert row.p_holm >= row.p


def test_a_model_that_is_blind_to_one_grain_differs_in_this_grain_alone(folders: dict[str, Path]) -> None:
    (found,) = compare(result(folders["whole"]), result(folders["blind"]))
    pairs = {(d.task, d.grain): d for d in found.differences if d.grain}
    assert {grain for (_, grain), d in pairs.items() if d.difference} == {"place"}
    assert pairs["i2i", "place"].wins == pairs["i2i", "place"].first * 6 == 6
    assert pairs["t2i", "place"].wins + pairs["t2i", "place"].ties == 4  # half of the queries ask for a place
    assert pairs["i2i", "place"].difference == 1


def test_pairs_of_a_query_whose_texts_one_model_cut_are_left_out(folders: dict[str, Path]) -> None:
    one, other = result(folders["whole"]), result(folders["guess"])
    part = other.tasks["i2i"]
    counts = part.pair_counts["count"]
    fewer = replace(counts, right=(0, *counts.right[1:]), total=(0, *counts.total[1:]))
    other = replace(other, tasks={"i2i": replace(part, pair_counts={"count": fewer})})
    (found,) = compare(one, other)
    (row,) = [d for d in found.differences if d.grain == "count"]
    assert (row.left_out, row.wins + row.ties + row.losses) == (1, 5)
    assert row.second == sum(counts.right[1:]) / 5


def test_lower_is_better_turns_wins_into_losses(folders: dict[str, Path]) -> None:
    one, other = (
        replace(r, tasks={"t2i": replace(r.tasks["t2i"], per_query={"mean_rank": ranks}, pair_counts={})})
        for r, ranks in ((result(folders["whole"]), (1.0,) * 8), (result(folders["guess"]), (3.0,) * 7 + (1.0,)))
    )
    (row,) = compare(one, other)[0].differences
    assert (row.wins, row.ties, row.losses) == (7, 1, 0)
    assert row.difference == -1.75


def test_what_only_one_has_is_said(folders: dict[str, Path]) -> None:
    (found,) = compare(result(folders["whole"]), result(folders["pictures"]))
    assert {d.task for d in found.differences} == {"i2i"}
    assert "t2i: not supported by pictures, the model takes no text" in found.absent
    one = result(folders["whole"])
    part = one.tasks["i2i"]
    fewer = {name: score for name, score in part.scores.items() if name != "map"}
    other = replace(one, tasks={"i2i": replace(part, scores=fewer, missing={"map": "nobody knows"}, pair_counts={})})
    (found,) = compare(one, replace(other, model={**other.model, "name": "less"}))
    assert "i2i: less has no map, nobody knows" in found.absent
    assert any("has no pairs by query" in said for said in found.absent)
    assert "t2i: not evaluated for less" in found.absent


def test_what_is_neither_good_nor_bad_is_not_tested(folders: dict[str, Path]) -> None:
    (found,) = compare(result(folders["whole"]), result(folders["guess"]), resamples=100)
    assert "image_only_hit_rate@1" in result(folders["whole"]).tasks["it2i"].per_query
    assert not [d for d in found.differences if d.measure.startswith(("image_only", "text_only"))]
    assert any("image_only_hit_rate@1 is not tested" in said for said in found.absent)


def test_several_models_are_compared_two_by_two(folders: dict[str, Path]) -> None:
    found = compare(*(result(folders[name]) for name in ("whole", "blind", "guess")), resamples=100)
    assert [(c.first, c.second) for c in found] == [("whole", "blind"), ("whole", "guess"), ("blind", "guess")]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"digest": "0" * 64}, "results of different benchmarks"),
        ({"split": "validation"}, "results of different splits"),
        ({"pool": "union"}, "results of different pools"),
    ],
)
def test_other_queries_are_not_compared(folders: dict[str, Path], change: dict[str, str], said: str) -> None:
    one = result(folders["whole"])
    other = replace(one, benchmark=one.benchmark | change)
    with pytest.raises(ResultError, match=said):
        compare(one, other)


def test_a_cut_result_is_not_compared_with_a_whole_one_nor_one_alone(folders: dict[str, Path]) -> None:
    one = result(folders["whole"])
    with pytest.raises(ResultError, match="cut differently"):
        compare(one, replace(one, limit=3))
    with pytest.raises(ResultError, match="two to four"):
        compare(one)


def test_changed_queries_are_named_with_ranks_grains_and_texts(folders: dict[str, Path], tiny: Benchmark) -> None:
    names = ("whole", "guess")
    results, runs = (tuple(f(folders[n]) for n in names) for f in (result, read_run))
    found = changed_queries(results, runs, 3, tiny)  # type: ignore[arg-type]
    assert len(found) <= 12
    first = next(q for q in found if q.task == "t2i")
    part = [r.tasks["t2i"] for r in results]
    ids = runs[0].tasks["t2i"].queries["query-id"].to_pylist()
    at = ids.index(first.query_id)
    assert ids == [query.id for query in tiny.queries("t2i", "test")]  # results by query are in this order
    assert (first.first, first.second) == tuple(p.per_query["hit_rate@5"][at] for p in part)
    assert first.text == tiny.queries("t2i", "test").find(first.query_id).text
    right = [{g for g, c in p.pair_counts.items() if c.right[at]} for p in part]
    assert set(first.gained) == right[0] - right[1]
    assert set(first.lost) == right[1] - right[0]
    largest = max(abs(a - b) for a, b in zip(*(p.per_query["hit_rate@5"] for p in part), strict=True))
    assert abs(first.first - first.second) == largest


def test_the_texts_of_another_benchmark_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    other = write_tiny(tmp_path / "other", salt="other")
    results, runs = (tuple(f(folders[n]) for n in ("whole", "guess")) for f in (result, read_run))
    with pytest.raises(ResultError, match="of another benchmark"):
        changed_queries(results, runs, 3, other)  # type: ignore[arg-type]


def test_the_command(folders: dict[str, Path], tiny: Benchmark) -> None:
    done = mrbench("compare", folders["whole"], folders["blind"], "--queries", 2, "--benchmark", tiny.folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert "pairs: place" in done.stdout
    assert "queries that changed most" in done.stdout
    assert "+place" in done.stdout
    done = mrbench("compare", folders["whole"], folders["blind"], "--json")
    (said,) = json.loads(done.stdout)
    assert said["first"] == "whole"
    assert {d["grain"] for d in said["differences"]} == {"", "count", "entity", "place"}


@pytest.mark.slow
def test_the_command_refuses_in_one_line(folders: dict[str, Path], tmp_path: Path) -> None:
    raw = json.loads((folders["whole"] / "result.json").read_text())
    raw["benchmark"]["digest"] = "1" * 64
    (tmp_path / "result.json").write_text(json.dumps(raw))
    for words, said in (
        ([folders["guess"], tmp_path], "results of different benchmarks"),
        ([folders["guess"], folders["guess"]], "two to four"),
        ([folders["guess"], folders["whole"] / "result.json", "--queries", 1], "no run beside the result"),
    ):
        done = mrbench("compare", *words)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert said in done.stderr


def test_a_hostile_name_stays_in_its_line(folders: dict[str, Path]) -> None:
    one, other = result(folders["whole"]), result(folders["guess"])
    hostile = replace(other, model={**other.model, "name": "a\x1b[31m\nb\u202e"})
    said = comparison_text(compare(one, hostile, resamples=100)[0])
    assert "\x1b" not in said
    assert "\u202e" not in said
