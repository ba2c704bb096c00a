"""Ranks, aggregates, what is missing, and the sentence on the blindest grain."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from result_samples import DIGEST, TASKS, control, result, samples, task, unsupported

from mrbench.errors import ResultError
from mrbench.leaderboard import boards
from mrbench.leaderboard.data import Board, Row
from mrbench.leaderboard.read import read_results
from mrbench.pools.corpora import NOTHING
from mrbench.results import GrainScore, TaskResult, write_result


def _row(board: Board, model: str) -> Row:
    return next(row for row in board.rows if row.model == model)


def test_order_ranks_and_means() -> None:
    (board,) = boards(samples())
    assert [(row.rank, row.model) for row in board.rows] == [
        (1, "big/clip-vit"),
        (2, "conse"),
        (None, "constant"),
        (None, "random"),
        (None, "colour-histogram"),
        (None, "efficientnet-lite0"),
        (None, "minilm"),
    ]
    assert _row(board, "conse").overall.score == pytest.approx((0.31 + 0.27 + 0.62 + 0.44) / 4)
    assert [row.model for row in board.rows if row.control] == ["constant", "random"]
    assert [head.name for head in board.tasks] == list(TASKS)
    assert board.digest == DIGEST


def test_the_order_of_the_results_does_not_matter() -> None:
    results = samples() + samples(pool="union")
    expected = boards(results)
    for seed in range(5):
        assert boards(random.Random(seed).sample(results, len(results))) == expected
    two = [result("a", {"t2i": task(0.3)}, title="One"), result("b", {"t2i": task(0.3)}, title="Other")]
    assert boards(two) == boards(two[::-1])


def test_a_missing_task_gives_no_aggregate_and_no_zero() -> None:
    (board,) = boards(samples())
    row = _row(board, "efficientnet-lite0")
    assert row.overall.score is None
    assert row.overall.reason == "no score on t2i, i2t, it2i"
    assert [cell.score for cell in row.tasks] == [None, None, 0.71, None]
    assert row.tasks[0].reason == "not supported: the model takes no text"
    lines = {panel.task: [line.label for line in panel.lines] for panel in board.panels}
    assert "efficientnet-lite0" not in lines["all"]
    assert "efficientnet-lite0" in lines["i2i"]
    assert not any("minilm" in labels for labels in lines.values())


def test_a_task_that_was_not_run_is_missing_too() -> None:
    results = [result("whole", {"t2i": task(0.2), "i2t": task(0.2)}), result("half", {"t2i": task(0.9)})]
    (board,) = boards(results)
    assert [row.model for row in board.rows] == ["whole", "half"]
    assert _row(board, "half").overall.score is None
    assert _row(board, "half").tasks[1].reason == "not evaluated"


def test_a_task_that_nobody_ran_is_missing_where_the_result_tells_of_it() -> None:
    (board,) = boards([result("half", {"t2i": task(0.9)}, tasks=["t2i", "i2t"])])
    assert _row(board, "half").overall.score is None


def test_a_malformed_list_of_tasks_is_refused_where_it_is_read(tmp_path: Path) -> None:
    for number, names in enumerate((["<b>"], "t2i", [["t2i"]])):
        file = tmp_path / f"{number}.json"
        write_result(file, result("half", {"t2i": task(0.9)}, tasks=names))
        with pytest.raises(ResultError, match=rf"{file.name}.*malformed list of tasks"):
            read_results(file)


def test_partial_models_are_listed_by_number_of_tasks_then_name() -> None:
    two = {"t2i": task(0.1), "i2i": task(0.1), "i2t": unsupported()}
    one = {"t2i": task(0.9), "i2i": unsupported(), "i2t": unsupported()}
    (board,) = boards([result("b", one), result("a", one), result("c", two)])
    assert [row.model for row in board.rows] == ["c", "a", "b"]


def test_ties_share_a_rank_whatever_the_order_of_the_sum() -> None:
    levels = {"a": (0.1, 0.2, 0.3), "b": (0.3, 0.2, 0.1), "c": (0.05, 0.05, 0.05), "top": (0.9, 0.9, 0.9)}
    results = [result(name, {t: task(x) for t, x in zip(TASKS, parts, strict=False)}) for name, parts in levels.items()]
    (board,) = boards([*results, result("random", {t: task(0.5) for t in TASKS[:3]})])
    assert [(row.rank, row.model) for row in board.rows] == [
        (1, "top"), (None, "random"), (2, "a"), (2, "b"), (4, "c"),
    ]  # fmt: skip


def test_pair_accuracy_over_tasks_is_weighted_by_pairs() -> None:
    def part(score: float, pairs: int) -> TaskResult:
        return TaskResult(
            "scored", "", 10, 100, {"hit_rate@5": 0.5}, {"pair_accuracy": {"hair": GrainScore(score, pairs)}}
        )

    (board,) = boards([result("m", {"t2i": part(1.0, 30), "i2i": part(0.0, 10)})])
    cell = board.panels[0].lines[0].cells[0]
    assert (cell.score, cell.count, cell.blindest) == (0.75, 40, False)


def test_a_grain_without_pairs_has_no_score() -> None:
    first, second = task(0.5, {"hair": 0.8}), task(0.5, {"gender": 0.4})
    (board,) = boards([result("m", {"t2i": first, "i2i": second})])
    assert board.grains == ("gender", "hair")
    t2i = board.panels[1].lines[0].cells
    assert (t2i[0].score, t2i[0].reason) == (None, "no pairs")


def test_the_sentence_names_the_blindest_grain() -> None:
    grains = {"hair": GrainScore(0.9, 50), "gender": GrainScore(0.48, 70), "pose": GrainScore(0.48, 30)}
    part = TaskResult("scored", "", 10, 100, {"hit_rate@5": 0.5}, {"pair_accuracy": grains})
    (board,) = boards([result("m", {"t2i": part, "i2i": unsupported()})])
    assert board.rows[0].reading == (
        "blindest grain: gender and pose (0.48 over 100 pairs, chance 0.50); sharpest: hair (0.90), on t2i only"
    )
    (line,) = board.panels[1].lines
    assert [cell.blindest for cell in line.cells] == [True, False, True]


def test_controls_and_models_without_pairs_get_no_blindest_grain() -> None:
    (board,) = boards(samples())
    assert _row(board, "random").reading.startswith("control: 0.50 on every grain")
    assert _row(board, "minilm").reading == "takes none of these tasks"
    marked = {line.label for panel in board.panels for line in panel.lines if any(c.blindest for c in line.cells)}
    assert marked == {"big/clip-vit", "conse", "colour-histogram", "efficientnet-lite0"}


def test_cut_results_are_refused_unless_allowed_and_never_mixed() -> None:
    mixed = [result("a", {"t2i": task(0.3)}), result("a", {"t2i": task(0.4)}, limit=20)]
    with pytest.raises(ResultError, match="--allow-limited"):
        boards(mixed)
    assert [board.limit for board in boards(mixed, allow_limited=True)] == [None, 20]


def test_groups_by_benchmark_split_and_pool() -> None:
    results = [control("random", 0.5), control("random", 0.5, pool="union"), control("random", 0.5, split="validation")]
    results.append(control("random", 0.5, digest="ff" * 32))
    assert len(boards(results)) == 4


def test_two_results_of_one_model_are_an_error() -> None:
    with pytest.raises(ResultError, match="results of one model"):
        boards([result("a", {"t2i": task(0.3)}), result("a", {"t2i": task(0.3)})])
    (board,) = boards([result("a", {"t2i": task(0.3)}), result("a", {"t2i": task(0.4)}, revision="2")])
    assert [row.label for row in board.rows] == ["a @ 2", "a @ 1.0"]


def test_results_in_two_number_formats_are_two_entries() -> None:
    half = result("a", {"t2i": task(0.2)})
    half.model["dtype"] = "bfloat16"
    older = result("a", {"t2i": task(0.1)}, revision="0")
    (board,) = boards([half, result("a", {"t2i": task(0.3)}), older])
    assert [row.label for row in board.rows] == ["a @ 1.0 (float32)", "a @ 1.0 (bfloat16)", "a @ 0"]
    (board,) = boards([half, result("a", {"t2i": task(0.3)})])
    assert [row.label for row in board.rows] == ["a (float32)", "a (bfloat16)"]


def test_results_of_one_benchmark_have_to_agree_on_its_size() -> None:
    other = TaskResult("scored", "", 249, 4200, task(0.3).scores, task(0.3).by_grain)
    with pytest.raises(ResultError, match="disagree"):
        boards([result("a", {"t2i": task(0.3)}), result("b", {"t2i": other})])


def test_no_result() -> None:
    with pytest.raises(ResultError, match="no result"):
        boards([])


ENTRIES = Path(__file__).parents[3] / "leaderboards" / "entries"


def test_the_controls_of_earlier_results_are_known_by_name_and_revision() -> None:
    results = read_results([path for path in sorted(ENTRIES.glob("*.json")) if "-elva-" not in path.name])
    for one in results:
        del one.model["control"]  # which results of before did not say
    for board in boards(results):
        assert {row.model for row in board.rows if row.control} == {"random", "constant"}
        assert {row.rank for row in board.rows if row.control} == {None}


@pytest.mark.parametrize("said", [{"control": False}, {}, {"control": "yes"}])
def test_a_checkpoint_in_a_folder_called_random_is_no_control(said: dict[str, object]) -> None:
    checkpoint = result("random", dict.fromkeys(TASKS, task(0.3)), revision="sha256:0123456789abcdef")
    checkpoint.model.pop("control")
    checkpoint.model.update(said)
    (board,) = boards([*samples(), checkpoint])
    shown = {row.label: row for row in board.rows if row.model == "random"}
    assert {label: row.control for label, row in shown.items()} == {
        "random @ 1.0": True,
        "random @ sha256:0123456789abcdef": False,
    }
    assert shown["random @ sha256:0123456789abcdef"].rank is not None
    assert shown["random @ sha256:0123456789abcdef"].reading.startswith("blindest grain")


def test_a_task_without_queries_in_the_split_costs_no_model_its_rank() -> None:
    empty = TaskResult("not supported", f"{NOTHING}; where: photos, test, it2i")
    one, other = (result(name, {"t2i": task(score), "it2i": empty}) for name, score in (("a", 0.7), ("b", 0.3)))
    (board,) = boards([one, other])
    assert [head.name for head in board.tasks] == ["t2i"]
    assert [(row.model, row.rank) for row in board.rows] == [("a", 1), ("b", 2)]
