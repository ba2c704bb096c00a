"""The board of open tasks: each by its own main measure, beside chance and what was judged."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from open_benchmarks import write_open
from result_samples import site_text

from mrbench.errors import ResultError
from mrbench.evaluation import evaluate, rescore
from mrbench.leaderboard import Board, boards, publish, read_results, terminal
from mrbench.leaderboard.csv_file import render_csv
from mrbench.leaderboard.markdown import render_markdown
from mrbench.models.zoo import load_model
from mrbench.results import GrainScore, Result
from mrbench.sources.overlay import read_overlay

MODELS = ("random", "constant", "minilm", "conse")
BENCHMARKS = ("photos", "answers", "pairs", "ranked pairs", "true pairs", "mixed")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Result]]:
    """Results of four models on all open benchmarks, as they are read from files; each rescored."""
    folder = tmp_path_factory.mktemp("open")
    models = [load_model(name) for name in MODELS]
    for name in BENCHMARKS:
        benchmark = write_open(folder / "benchmarks" / name, name)
        for model in models:
            written = evaluate(benchmark, model, folder / name / model.name)
            assert rescore(folder / name / model.name, benchmark) == written
    return {name: read_results([folder / name]) for name in BENCHMARKS}


def board(results: list[Result]) -> Board:
    (made,) = boards(results)
    return made


def renderings(made: Board) -> dict[str, str]:
    return {"terminal": terminal(made), "markdown": render_markdown([made]), "html": site_text([made])}


@pytest.mark.slow
def test_a_task_is_ranked_by_its_own_measure(results: dict[str, list[Result]]) -> None:
    made = board(results["answers"])
    (head,) = made.tasks
    assert (made.main, head.main, head.judged) == ("ndcg@10", "ndcg@10", "judged@10")
    by_model = {result.model["name"]: result.tasks["answers"] for result in results["answers"]}
    for row in made.rows:
        part = by_model[row.model]
        assert row.overall.score == row.tasks[0].score == part.scores["ndcg@10"]
        assert row.tasks[0].judged == part.scores["judged@10"] < 1
    assert [row.model for row in made.rows if row.control] == ["constant", "random"]
    assert all(
        row.group and row.ranks for row in made.rows if not row.control
    )  # values of queries are those of the task
    assert head.chance == pytest.approx(by_model["constant"].scores["ndcg@10"], abs=1e-9)
    for text in renderings(made).values():
        assert "Relevance 0 to 2, as the judges gave it." in text
        assert "a random order gives" in text
        assert f"{head.chance:.3f}" in text
        assert f"{by_model['conse'].scores['judged@10']:.3f}" in text


def test_without_grains_nothing_is_said_of_grains(results: dict[str, list[Result]]) -> None:
    for name in ("photos", "answers"):
        made = board(results[name])
        assert not made.grains
        assert not made.panels
        for text in renderings(made).values():
            for word in ("no pair was scored", "blindest", "air accuracy", "Which grain", "Blind spots"):
                assert word not in re.sub(r"<style>.*</style>", "", text, flags=re.DOTALL), word


def test_pairs_alone_are_read_by_kind(results: dict[str, list[Result]]) -> None:
    made = board(results["pairs"])
    assert made.noun == "kind"
    assert made.grains == ("replace colour", "replace thing", "swap")
    assert [panel.task for panel in made.panels] == ["swaps"]
    (head,) = made.tasks
    assert (head.main, head.chance, head.judged) == ("pair_accuracy", 0.5, "")
    constant = next(row for row in made.rows if row.model == "constant")
    assert constant.overall.score == 0
    for text in renderings(made).values():
        assert "blindest kind" in text
        assert "accuracy by kind" in text
        assert "Every result is judged (80 by dataset)" in text
        assert "among its own 2 candidates" in text
        assert "grain type" not in text.replace("grain types", "")


def test_tasks_of_different_measures_have_no_mean(results: dict[str, list[Result]]) -> None:
    made = board(results["mixed"])
    assert made.main is None
    assert [head.main for head in made.tasks] == ["hit_rate@1", "ndcg@10", "pair_accuracy"]
    for row in made.rows:
        assert row.overall.score is None
        assert row.overall.reason == "the tasks have different main measures"
        assert (row.rank, row.ranks, row.group) == (None, None, "")
    minilm = next(row for row in made.rows if row.model == "minilm")
    assert [cell.score is None for cell in minilm.tasks] == [True, False, True]
    assert [panel.task for panel in made.panels] == ["swaps"]  # the only task with pairs
    for text in renderings(made).values():
        assert "different" in text
        assert "nDCG@10" in text
    assert "Overall" not in site_text([made])
    assert "overall |" not in render_markdown([made])
    rows = list(csv.DictReader(io.StringIO(render_csv([made]))))
    assert {(r["measure"], r["score"]) for r in rows if r["task"] == "all"} == {("", "")}
    assert any(r["task"] == "photos" and r["measure"] == "judged@1" and r["score"] for r in rows)


def test_low_ranks_are_good_where_the_main_measure_is_a_rank(results: dict[str, list[Result]]) -> None:
    def by_rank(result: Result) -> Result:
        part = result.tasks["photos"]
        described = {**part.task, "main": "median_rank"} if part.task else {}
        return replace(result, tasks={"photos": replace(part, task=described)})

    made = board([by_rank(result) for result in results["photos"]])
    scores = [row.overall.score for row in made.rows if row.overall.score is not None]
    assert scores == sorted(scores)
    assert scores[0] < scores[-1]
    page = site_text([made])
    assert "lower is better" in page
    assert 'aria-sort="ascending"' in page
    assert '<rect class="bar"' not in page  # a bar is a share


def test_results_that_disagree_on_the_measure_are_refused(results: dict[str, list[Result]]) -> None:
    first, *others = results["answers"]
    part = first.tasks["answers"]
    other = replace(first, tasks={"answers": replace(part, task={**part.task, "main": "map"})})
    with pytest.raises(ResultError, match="disagree on the main measure"):
        boards([other, *others])


def test_every_true_text_has_to_win(results: dict[str, list[Result]]) -> None:
    for result in results["true pairs"]:
        part = result.tasks["swaps"]
        if part.status == "scored":
            every = part.by_grain["all_positives_accuracy"]
            assert all(every[kind].score <= pair.score for kind, pair in part.pair_accuracy.items())
            assert set(every) == set(part.pair_accuracy)


def test_all_is_published(results: dict[str, list[Result]], tmp_path: Path) -> None:
    publish([result for name in BENCHMARKS for result in results[name]], tmp_path / "board")
    said = json.loads((tmp_path / "board" / "leaderboard.json").read_text())
    assert len(said["boards"]) == len(BENCHMARKS)


def cut(result: Result) -> Result:
    part = result.tasks["swaps"]
    pairs = dict(part.by_grain["pair_accuracy"])
    lost = pairs.pop("swap")
    pairs["replace thing"] = GrainScore(0.5, pairs["replace thing"].count - 2)
    changed = replace(
        part,
        by_grain={"pair_accuracy": pairs},
        cut_texts={"queries": 0, "candidates": 9, "variants": 0},
        cut_pairs={"replace thing": 2, "swap": lost.count},
    )
    return replace(result, tasks={"swaps": changed})


def test_cut_texts_are_told_and_the_pairs_still_agree(results: dict[str, list[Result]]) -> None:
    one = [cut(result) if result.model["name"] == "conse" else result for result in results["pairs"]]
    made = board(one)  # other models have all pairs: the numbers of pairs agree with those left out
    row = next(row for row in made.rows if row.model == "conse")
    lines = [line for line in made.panels[0].lines if line.label == "conse"]
    assert [cell.reason for cell in lines[0].cells] == ["", "", "the model cut a text of every pair"]
    assert row.cut == ("swaps: 9 of 80 candidates; pairs left out: replace thing 2, swap 13",)
    assert not any(other.cut for other in made.rows if other is not row)
    for text in renderings(made).values():
        assert "9 of 80 candidates; pairs left out: replace thing 2, swap 13" in text
        assert "no measure of kinds" in text
    for text in renderings(board(results["pairs"])).values():
        assert "are cut" not in text


def test_a_result_with_an_overlay_stands_for_the_one_without_and_shows_both_scores(
    results: dict[str, list[Result]], tmp_path: Path
) -> None:
    benchmark = write_open(tmp_path / "photos", "photos")
    rows = [f"caption#{n % 8},photo {n}.png,1" for n in range(1, 40)]
    (tmp_path / "review.csv").write_text("\n".join(["query,candidate,score", *rows]) + "\n")
    overlay, model = read_overlay(tmp_path / "review.csv"), load_model("constant")
    with_it = evaluate(benchmark, model, tmp_path / "b" / "with", overlay=overlay)
    without = evaluate(benchmark, model, tmp_path / "b" / "alone")
    for order in ([with_it, without], [without, with_it], read_results([tmp_path / "b"])):
        (row,) = board(list(order)).rows
        main = without.tasks["photos"].definition("photos").main
        scores = [with_it.tasks["photos"].overlay["scores"][main], without.tasks["photos"].scores[main]]
        assert scores[0] > scores[1]
        assert len(row.overlaid) == 1
        assert row.overlaid[0].startswith(f"photos, with review.csv laid over: {main} {scores[0]:.3f} over ")
        assert f"{scores[1]:.3f} without it" in row.overlaid[0]
        assert row.tasks[0].score == scores[1]  # ranks are those without
    for text in renderings(board([with_it])).values():
        assert "With further judgements" in text
        assert "review.csv laid over" in text.replace("\\", "")
    for text in renderings(board([without])).values():
        assert "further judgements" not in text
    (tmp_path / "other.csv").write_text("query,candidate,score\ncaption#0,photo 9.png,2\n")
    evaluate(benchmark, model, tmp_path / "b" / "other", overlay=read_overlay(tmp_path / "other.csv"))
    with pytest.raises(ResultError, match=r"two files .*, each with an overlay; .* next: name only one of them"):
        read_results([tmp_path / "b"])


def test_an_overlay_does_not_hide_a_result_of_other_scores(results: dict[str, list[Result]]) -> None:
    result = results["photos"][0]
    part = result.tasks["photos"]
    over = {"name": "x", "scores": {}, "judged_queries": {"with": {}, "without": {}, "queries": 0}}
    with_it = replace(result, tasks={"photos": replace(part, overlay=over)})
    changed = {name: value / 2 for name, value in part.scores.items()}
    assert len(boards([with_it, result])) == 1
    with pytest.raises(ResultError, match="results of one model"):
        boards([with_it, replace(result, tasks={"photos": replace(part, scores=changed)})])
