"""A self-reported result never decides what a board says of its benchmark, and the forged file is the one named."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from result_samples import control, result, site_text, task, unsupported

from mrbench.benchmark.manifest import task_to_json
from mrbench.errors import MRBenchError, ResultError
from mrbench.evaluation import EntryCheck, check_entries
from mrbench.files import sha256_file
from mrbench.leaderboard import Board, boards, read_results
from mrbench.leaderboard.markdown import render_markdown
from mrbench.leaderboard.publish import publish
from mrbench.records import TASKS
from mrbench.results import Checked, Result, read_result, write_checked, write_result

HONEST = ("conse", "oracle", "zebra")
CLUSTERS = tuple(f"photo {n // 2}" for n in range(250))


def honest(name: str, level: float = 0.3) -> Result:
    parts = {}
    for kind in ("t2i", "i2t"):
        chance = {"hit_rate@5": 0.0012, "mrr": 0.004}
        values = tuple(1.0 if n < round(level * 250) else 0.0 for n in range(250))
        scores = {**task(level).scores, "hit_rate@5": sum(values) / 250}
        parts[kind] = replace(
            task(level),
            scores=scores,
            per_query={"hit_rate@5": values},
            clusters=CLUSTERS,
            chance=chance,
            task=task_to_json(TASKS[kind]),
            setting={"corpora": "image", "excluded candidates": 0},
        )
    return result(name, parts, tasks=["t2i", "i2t"])


def checked_folder(folder: Path, **others: Result) -> Path:
    """Write checked entries, and others that nobody computed again under the name of their keyword."""
    folder.mkdir(exist_ok=True)
    known = {}
    for number, name in enumerate(HONEST):
        write_result(folder / f"{name}.json", honest(name, 0.2 + number / 10))
        known[f"{name}.json"] = Checked(sha256_file(folder / f"{name}.json"), "0" * 64, 10, "0.1.0")
    write_checked(folder, known)
    for name, one in others.items():
        write_result(folder / f"{name}.json", one)
    return folder


def changed(one: Result, edit: Callable[[dict[str, Any]], object]) -> Result:
    """A result in whose JSON something was changed."""
    raw = json.loads(json.dumps(one.to_json()))
    edit(raw)
    with TemporaryDirectory() as folder:
        return read_result(_written(Path(folder) / "result.json", raw))


def in_task(key: str, value: Any, name: str = "t2i") -> Callable[[dict[str, Any]], object]:
    return lambda raw: raw["tasks"][name].update({key: value})


FORGED: dict[str, Callable[[dict[str, Any]], object]] = {
    "candidates": in_task("candidates", 3),
    "chance": in_task("chance", {"hit_rate@5": 0.99}),
    "main": lambda raw: raw["tasks"]["t2i"]["task"].update(main="of a stranger"),
    "category": lambda raw: raw["tasks"]["t2i"]["task"].update(category="t2t"),
    "judgements": lambda raw: raw["tasks"]["t2i"]["task"].update(judgements="partial"),
    "setting": in_task("setting", {"corpora": "nine million photos"}),
    "clusters": in_task("clusters", ["one thing"] * 250),
    "pairs": lambda raw: raw["tasks"]["t2i"]["by_grain"]["pair_accuracy"]["hair"].update(count=9),
    "a task": lambda raw: raw["tasks"].update(
        stranger={**raw["tasks"]["t2i"], "task": {"name": "x", "category": "t2i"}}
    ),
    "tasks": lambda raw: raw["benchmark"].update(tasks=["t2i", "i2t", "i2i"]),
}


@pytest.mark.parametrize("what", FORGED)
def test_the_forged_file_is_named_by_the_board_and_by_check(what: str, tmp_path: Path) -> None:
    forged = changed(honest("aaa", 0.9), FORGED[what])
    folder = checked_folder(tmp_path / "entries", forged=forged)
    with pytest.raises(ResultError, match=rf"where: {folder}/forged\.json; got") as caught:
        boards(read_results(folder))
    assert "next: remove" in str(caught.value)
    everything = dict(check_entries(sorted(folder.glob("*.json"))))
    alone = dict(check_entries([folder / "forged.json"]))
    for found in (everything, alone):
        failed = [path.name for path, check in found.items() if isinstance(check, MRBenchError)]
        assert failed == ["forged.json"]
    with pytest.raises(ResultError, match=r"forged\.json"):
        publish(read_results(folder), tmp_path / "board")
    assert not (tmp_path / "board").exists()


def test_an_honest_result_without_a_run_is_shown_and_decides_nothing(tmp_path: Path) -> None:
    def retitle(raw: dict[str, Any]) -> None:
        raw["benchmark"]["title"] = "FORGED TITLE"
        raw["tasks"]["t2i"]["task"]["title"] = "FORGED TASK"
        raw["tasks"]["t2i"]["chance"]["map"] = 0.99
        raw["tasks"]["t2i"]["scores"]["FORGED MEASURE"] = 1.0
        raw["tasks"]["t2i"]["scores"]["judged@5"] = 0.1

    folder = checked_folder(tmp_path / "entries", forged=changed(honest("aaa", 0.9), retitle))
    (board,) = boards(read_results(folder))
    assert [row.label for row in board.rows] == ["aaa (self-reported)", "zebra", "oracle", "conse"]
    assert board.title == "Emoji people"
    assert [head.chance for head in board.tasks] == [0.0012, 0.0012]
    assert not any(head.judged for head in board.tasks)
    for text in (render_markdown([board]), site_text([board])):
        assert "FORGED" not in text


def test_a_control_that_is_self_reported_is_no_yardstick(tmp_path: Path) -> None:
    from mrbench.leaderboard.site.view import views
    from mrbench.leaderboard.standings import boards_with_results

    cheat = changed(honest("random-2", 0.9), lambda raw: raw["model"].update(control=True))
    (made,) = boards_with_results(read_results(checked_folder(tmp_path / "entries", cheat=cheat)))
    (view,) = views([made])
    assert [scale.control for scale in view.scales] == [None, None]


def test_clusters_of_checked_rows_are_those_that_are_drawn(tmp_path: Path) -> None:
    def regrouped(raw: dict[str, Any]) -> None:
        for part in raw["tasks"].values():  # the same partition of each task, other photos over both
            part["clusters"] = [f"{part['task']['name']} {name}" for name in part["clusters"]]

    alone = boards(read_results(checked_folder(tmp_path / "honest")))[0]
    folder = checked_folder(tmp_path / "entries", forged=changed(honest("aaa", 0.9), regrouped))
    (board,) = boards(read_results(folder))

    def intervals(board: Board) -> dict[str, object]:
        return {row.model: row.overall.interval for row in board.rows if row.model in HONEST}

    assert intervals(board) == intervals(alone)


def test_a_self_reported_copy_of_a_checked_model_is_the_one_that_is_named(tmp_path: Path) -> None:
    folder = checked_folder(tmp_path / "entries", a_copy=honest("zebra", 0.9))
    with pytest.raises(
        ResultError, match=r"where: \S*a_copy\.json; got: 'zebra 1\.0'; next: remove it; \S*zebra\.json"
    ):
        read_results(folder)
    found = dict(check_entries([folder / "zebra.json", folder / "a_copy.json"]))
    assert isinstance(found[folder / "zebra.json"], EntryCheck)
    assert isinstance(found[folder / "a_copy.json"], ResultError)


def test_among_equals_the_majority_is_right_and_two_that_differ_are_both_named(tmp_path: Path) -> None:
    wrong = changed(honest("aaa"), FORGED["candidates"])
    with pytest.raises(ResultError, match=r"where: aaa on emoji, test; got: 3; accepted: 4200, as in"):
        boards([wrong, honest("b"), honest("c")])
    write_result(tmp_path / "a.json", wrong)
    write_result(tmp_path / "b.json", honest("b"))
    found = dict(check_entries([tmp_path / "a.json", tmp_path / "b.json"]))
    assert all(isinstance(check, ResultError) for check in found.values())
    assert "got: 4200; accepted: 3, as in" in str(found[tmp_path / "b.json"])


def test_a_board_of_self_reported_rows_alone_is_made(tmp_path: Path) -> None:
    for name in HONEST:
        write_result(tmp_path / f"{name}.json", honest(name))
    (board,) = boards(read_results(tmp_path))
    assert [head.chance for head in board.tasks] == [0.0012, 0.0012]


def test_a_task_that_no_checked_row_was_scored_on_has_the_chance_of_nobody(tmp_path: Path) -> None:
    folder = tmp_path / "entries"
    folder.mkdir()
    part = replace(unsupported(), task=task_to_json(TASKS["t2i"]))
    write_result(folder / "a.json", result("a", {"t2i": part, "i2t": honest("x").tasks["i2t"]}, tasks=["t2i", "i2t"]))
    write_checked(folder, {"a.json": Checked(sha256_file(folder / "a.json"), "0" * 64, 10, "0.1.0")})
    write_result(folder / "b.json", honest("b"))
    (board,) = boards(read_results(folder))
    assert [(head.queries, head.chance) for head in board.tasks] == [(250, None), (250, 0.0012)]


def test_check_prints_the_forged_file_first_hand(tmp_path: Path) -> None:
    folder = checked_folder(tmp_path / "entries", forged=changed(honest("aaa", 0.9), FORGED["candidates"]))
    words = [sys.executable, "-m", "mrbench", "leaderboard", "check", *map(str, sorted(folder.glob("*.json")))]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith(
        f"error: {folder}/forged.json: results of one benchmark disagree on the number of cand"
    )
    assert done.stdout.count("recomputed before") == len(HONEST)


ODD = (None, [], {}, "x", -1, 1e9, True, "<b>", [1], {"a": [None]})


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths to every value of JSON, of a list only to its first value."""
    found = [path] if path else []
    if isinstance(value, dict):
        found += [place for key, part in value.items() for place in _places(part, (*path, key))]
    if isinstance(value, list) and value:
        found += _places(value[0], (*path, 0))
    return found


def test_whatever_stands_in_a_result_the_error_is_one_of_ours(tmp_path: Path) -> None:
    """Every value of a result is replaced by odd ones; a board is made, or one line names the file."""
    raw = json.loads(json.dumps(control("random", 0.5).to_json()))
    raw["tasks"] = {"t2i": json.loads(json.dumps(honest("x").to_json()))["tasks"]["t2i"]}
    for key in ("per_query", "clusters"):
        raw["tasks"]["t2i"][key] = {} if key == "per_query" else []
    raw["model"] |= {"text_limit": 7, "seed": 1, "variant": "a=1", "source": "ab"}
    raw["benchmark"] |= {"tasks": ["t2i"], "distractors": 1000}
    good = read_results(_written(tmp_path / "good.json", honest("good").to_json()))
    lines = []
    for number, place in enumerate(_places(raw)):
        for odd in ODD:
            other = json.loads(json.dumps(raw))
            part = other
            for key in place[:-1]:
                part = part[key]
            part[place[-1]] = odd
            file = _written(tmp_path / f"{number}.json", other)
            try:
                render_markdown(boards([*good, *read_results(file)], allow_limited=True))
            except MRBenchError as error:
                lines.append((str(file) in str(error), place, odd, str(error)))
    assert len(lines) > 300
    assert [line for line in lines if not line[0]] == []


def _written(path: Path, raw: dict[str, Any]) -> Path:
    path.write_text(json.dumps(raw))
    return path
