"""Results as tables, their short forms, and the counts of pairs that they hold by query."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_benchmark import Guess, Oracle

from mrbench.benchmark import Benchmark
from mrbench.errors import ResultError
from mrbench.evaluation import evaluate, rescore
from mrbench.results import Result, Results, difference, read_result


@pytest.fixture(scope="module")
def folder(tiny: Benchmark, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("results") / "blind"
    evaluate(tiny, Oracle("blind", blind_to=["place"], modalities=["text", "image"]), target)
    return target


@pytest.fixture(scope="module")
def result(folder: Path) -> Result:
    return read_result(folder / "result.json")


def test_scores_have_a_row_for_each_measure_and_a_reason_where_there_is_none(result: Result) -> None:
    table = result.scores().set_index(["task", "measure"])
    part = result.tasks["t2i"]
    row = table.loc[("t2i", "hit_rate@5")]
    assert (row["score"], row["low"], row["high"]) == (part.scores["hit_rate@5"], *part.intervals["hit_rate@5"])
    assert row["chance"] == part.chance["hit_rate@5"]
    refused = table.loc["it2i"]
    assert refused["score"].isna().all()
    assert refused["reason"].str.startswith("not supported: ").all()
    lacking = replace(part, missing={"margin": "no scale"})
    row = replace(result, tasks={"t2i": lacking}).scores().set_index("measure").loc["margin"]
    assert row["reason"] == "no scale"
    assert row["score"] != row["score"]  # not a number


def test_scores_by_query_average_to_the_scores(result: Result) -> None:
    table = result.per_query().groupby(["task", "measure"])["score"].mean()
    for task in ("t2i", "i2t", "i2i"):
        part = result.tasks[task]
        assert table[(task, "hit_rate@5")] == pytest.approx(part.scores["hit_rate@5"])
        for grain, score in part.pair_accuracy.items():  # a tiny query has one pair of a grain
            assert table[(task, f"pair_accuracy[{grain}]")] == pytest.approx(score.score)


def test_scores_by_grain_are_those_of_the_result(result: Result) -> None:
    table = result.per_grain().set_index(["task", "measure", "grain"])
    score = result.tasks["i2i"].pair_accuracy["place"]
    row = table.loc[("i2i", "pair_accuracy", "place")]
    assert (row["score"], row["count"], (row["low"], row["high"])) == (score.score, score.count, score.interval)


def test_several_results_are_stacked_and_an_empty_list_gives_an_empty_table(result: Result) -> None:
    other = replace(result, model={**result.model, "name": "other"})
    both = Results([result, other])
    assert len(both.scores()) == 2 * len(result.scores())
    assert set(both.per_grain()["model"]) == {"blind", "other"}
    assert Results([]).per_query().empty


def test_a_result_says_in_a_line_what_it_is(result: Result) -> None:
    said = repr(result)
    assert said.startswith("Result(blind on Tiny, test; i2i: hit_rate@5 1.000; ")
    assert "it2i: the model takes no image+text" in said
    assert "\n" not in said
    assert repr(Results([result])) == f"Results(1)\n  {said}"


def test_counts_of_pairs_are_written_by_query_and_say_which_pairs_are_right(result: Result) -> None:
    counts = result.tasks["i2i"].pair_counts
    assert counts["place"].right == (0,) * 6  # the model is blind to it, and a tie is wrong
    assert counts["count"].right == counts["count"].total == (1,) * 6
    assert set(result.tasks["t2i"].pair_counts["place"].total) == {0, 1}  # half of the queries ask for no place


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda counts: counts["right"].__setitem__(0, 5), "more pairs of place"),
        (lambda counts: counts["right"].__setitem__(0, 1), "is not that of its pairs"),
        (lambda counts: counts["total"].pop(), "for 5 queries"),
    ],
)
def test_counts_of_pairs_that_contradict_the_score_are_refused(
    folder: Path, tmp_path: Path, change: object, said: str
) -> None:
    raw = json.loads((folder / "result.json").read_text())
    change(raw["tasks"]["i2i"]["pair_counts"]["place"])  # type: ignore[operator]
    (tmp_path / "result.json").write_text(json.dumps(raw))
    with pytest.raises(ResultError, match=said):
        read_result(tmp_path / "result.json")


def test_results_without_counts_of_pairs_are_those_of_before(folder: Path, tiny: Benchmark, result: Result) -> None:
    older = replace(result, tasks={name: replace(part, pair_counts={}) for name, part in result.tasks.items()})
    again = rescore(folder, tiny)
    assert difference(older, again) is None
    assert again.tasks["t2i"].pair_counts


def test_counts_of_pairs_are_compared_with_the_run(folder: Path, tiny: Benchmark, tmp_path: Path) -> None:
    other = evaluate(tiny, Guess("blind", modalities=["text", "image"]), tmp_path / "guess")
    written = read_result(folder / "result.json")
    swapped = {n: replace(p, pair_counts=other.tasks[n].pair_counts) for n, p in written.tasks.items()}
    said = difference(replace(written, tasks=swapped), rescore(folder, tiny))
    assert said is not None
    assert "pair_counts" in said
