"""Finding and reading result files: what is taken, what is refused, and what the message says."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest
from result_samples import result, samples, task
from tiny_benchmark import Guess

from mrbench.benchmark import Benchmark
from mrbench.errors import FormatVersionError, ResultError
from mrbench.evaluation import evaluate
from mrbench.leaderboard import boards, read_results
from mrbench.results import write_result


def _raw() -> dict[str, Any]:
    return json.loads(json.dumps(result("conse", {"t2i": task(0.3)}).to_json()))


def _change(*path: str, value: Any) -> str:
    raw = _raw()
    part = raw
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    return json.dumps(raw)


MALFORMED = {
    "empty": "",
    "truncated": json.dumps(_raw())[:200],
    "NaN": _change("tasks", "t2i", "scores", "mrr", value=float("nan")),
    "infinite": _change("seed", value=0).replace('"seed": 0', '"seed": 1e999'),
    "score above 1": _change("tasks", "t2i", "scores", "hit_rate@5", value=1.7),
    "score below 0": _change(
        "tasks", "t2i", "by_grain", "pair_accuracy", "hair", value={"score": -0.1, "count": 3, "interval": None}
    ),
    "score is not the mean of its queries": _change(
        "tasks",
        "t2i",
        value=_raw()["tasks"]["t2i"] | {"queries": 2, "clusters": ["a", "b"], "per_query": {"mrr": [0, 1]}},
    ),
    "no task": _change("tasks", value={}),
    "score is text": _change("tasks", "t2i", "scores", "mrr", value="0.5"),
    "score is a truth value": _change("tasks", "t2i", "scores", "mrr", value=True),
    "name is a list": _change("model", "name", value=["conse"]),
    "name is a book": _change("model", "name", value="x" * 100_000),
    "name is empty": _change("benchmark", "title", value=""),
    "tasks is a list": _change("tasks", value=[]),
    "unknown task": _change("tasks", value={"t2x": _raw()["tasks"]["t2i"]}),
    "no digest": _change("benchmark", value={"name": "emoji", "split": "test", "pool": "task"}),
    "deep": "[" * 200_000,
    "other format": json.dumps({"format": "something"}),
    "version is text": _change("format_version", value="1"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_file_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "result.json").write_text(MALFORMED[name])
    for given in (tmp_path, tmp_path / "result.json"):
        with pytest.raises(ResultError, match=r"result\.json") as caught:
            read_results([given])
        assert "\n" not in str(caught.value)


def test_a_newer_version_says_so(tmp_path: Path) -> None:
    (tmp_path / "later.json").write_text(_change("format_version", value=3))
    with pytest.raises(FormatVersionError, match=r"newer.*later\.json"):
        read_results([tmp_path])


def test_a_folder_is_searched_and_other_json_passed_over(tmp_path: Path) -> None:
    for one in samples():
        write_result(tmp_path / "deep" / one.model["name"] / "result.json", one)
    write_result(tmp_path / "entry.json", result("extra", {"t2i": task(0.1)}))
    (tmp_path / "manifest.json").write_text('{"format": "mrbench-benchmark"}')
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "result.json").write_text("torn")
    names = {one.model["name"] for one in read_results([tmp_path])}
    assert names == {one.model["name"] for one in samples()} | {"extra"}


def test_a_torn_file_of_any_name_is_not_passed_over(tmp_path: Path) -> None:
    write_result(tmp_path / "a.json", result("conse", {"t2i": task(0.3)}))
    (tmp_path / "b.json").write_text(MALFORMED["truncated"])
    with pytest.raises(ResultError, match=r"b\.json"):
        read_results([tmp_path])


def test_a_file_named_twice_is_read_once(tmp_path: Path) -> None:
    write_result(tmp_path / "a.json", result("conse", {"t2i": task(0.3)}))
    assert len(read_results([tmp_path, tmp_path / "a.json"])) == 1


def test_linked_results_are_read_once_and_cycles_end(tmp_path: Path) -> None:
    away, results = tmp_path / "away", tmp_path / "results"
    for number, name in enumerate(("one", "two", "three")):
        write_result(away / name / "result.json", result(name, {"t2i": task(number / 10)}))
    results.mkdir()
    (results / "one").symlink_to(away / "one", target_is_directory=True)
    (results / "again").symlink_to(away / "one", target_is_directory=True)
    (results / "two.json").symlink_to(away / "two" / "result.json")
    (results / ".store").symlink_to(away / "three", target_is_directory=True)  # hidden, as every hidden folder
    (results / "all").symlink_to(results, target_is_directory=True)
    (results / "up").symlink_to(tmp_path, target_is_directory=True)  # a cycle too: not a way to "away/three"
    (results / "t2i.run.parquet").symlink_to("not-fetched")
    (tmp_path / "name").symlink_to(results, target_is_directory=True)
    for given in ([results], [tmp_path / "name"], [results, tmp_path / "name"]):
        assert [one.model["name"] for one in read_results(given)] == ["one", "two"]


@pytest.mark.parametrize("name", ["siglip2-1.5", "result.json"])
@pytest.mark.parametrize(("to", "said"), [("/no/such/disk", "what is not there .*no/such/disk"), (None, "to itself")])
def test_a_link_that_leads_nowhere_is_not_passed_over(tmp_path: Path, name: str, to: str | None, said: str) -> None:
    write_result(tmp_path / "a.json", result("conse", {"t2i": task(0.3)}))
    (tmp_path / name).symlink_to(to or name)
    for given in (tmp_path, tmp_path / name):
        with pytest.raises(ResultError, match=rf"a link .*{said}.*{name}.*git annex get"):
            read_results([given])


def test_a_folder_that_cannot_be_read_is_not_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_result(tmp_path / "a.json", result("conse", {"t2i": task(0.3)}))
    closed = tmp_path / "closed"
    closed.mkdir(0)
    if os.access(closed, os.R_OK):  # for root every folder is open
        scan = os.listdir

        def as_for_others(path: Path) -> list[str]:
            if Path(path) == closed:
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return scan(path)

        monkeypatch.setattr(os, "listdir", as_for_others)
    with pytest.raises(ResultError, match=r"cannot read: Permission denied; where: .*closed"):
        read_results([tmp_path])


def test_duplicates_name_both_files(tmp_path: Path) -> None:
    write_result(tmp_path / "a.json", result("conse", {"t2i": task(0.3)}))
    write_result(tmp_path / "b.json", result("conse", {"t2i": task(0.4)}))
    with pytest.raises(ResultError, match=r"a\.json and .*b\.json"):
        read_results([tmp_path])


def test_another_revision_or_pool_is_no_duplicate(tmp_path: Path) -> None:
    write_result(tmp_path / "a.json", result("conse", {"t2i": task(0.3)}))
    write_result(tmp_path / "b.json", result("conse", {"t2i": task(0.4)}, revision="2"))
    write_result(tmp_path / "c.json", result("conse", {"t2i": task(0.4)}, pool="union"))
    assert len(read_results([tmp_path])) == 3


def test_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="no result file found"):
        read_results([tmp_path])
    with pytest.raises(ResultError, match="no result file found"):
        read_results([])
    with pytest.raises(ResultError, match="no such result file"):
        read_results([tmp_path / "absent"])


def test_a_result_says_what_stands_behind_it(tiny: Benchmark, tmp_path: Path) -> None:
    evaluate(tiny, Guess("guess"), tmp_path / "run")
    evaluate(tiny, Guess("other"), tmp_path / "other")
    made = (tmp_path / "run/result.json").read_text(encoding="utf-8")
    places = {"run": "run/result.json", "alone": "alone/result.json", "another model's": "other/result.json"}
    places |= {"another name": "run/entry.json", "not a run": "broken/result.json"}
    found = {}
    for name, place in places.items():
        path = tmp_path / place
        path.parent.mkdir(exist_ok=True)
        path.write_text(made, encoding="utf-8")
        if name == "not a run":
            path.with_name("run.json").write_text("{}")
        (result,) = read_results([path])
        found[name] = result.evidence
    assert found.pop("run") == "run"
    assert set(found.values()) == {"self-reported"}


def test_no_file_says_of_itself_what_stands_behind_it(tmp_path: Path) -> None:
    raw = _raw() | {"evidence": "recomputed", "committed": True}
    raw["model"] |= {"evidence": "recomputed", "committed": True}
    (tmp_path / "entry.json").write_text(json.dumps(raw))
    (result,) = read_results([tmp_path])
    assert (result.evidence, result.committed) == ("self-reported", False)
    (board,) = boards([result])
    assert board.rows[0].label == "conse (self-reported)"
    assert not {"evidence", "committed"} & set(result.to_json())
