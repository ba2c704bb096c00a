"""Records, errors, files, the registry and result files."""

from __future__ import annotations

import json
import os
import pickle
import threading
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrbench import registry as registry_module
from mrbench.errors import (
    FormatVersionError,
    InputError,
    MissingExtraError,
    MRBenchError,
    OutputError,
    ResultError,
    advised,
)
from mrbench.files import canonical_json, no_file, sha256_file, write_atomic, write_json_atomic
from mrbench.records import TASKS, Candidate, Grain, ImageData, Query, judge
from mrbench.registry import Entry, Registry
from mrbench.results import GrainScore, Result, TaskResult, read_result, write_result

grain_sets = st.dictionaries(st.sampled_from("abcd"), st.sampled_from("xyz"), max_size=4)


def grains(values: dict[str, str]) -> tuple[Grain, ...]:
    return tuple(Grain(kind, value) for kind, value in values.items())


@given(grain_sets.filter(bool), grain_sets)
def test_judgement_is_set_arithmetic(asked: dict[str, str], shown: dict[str, str]) -> None:
    judgement = judge(Query("q", "t2i", "", grains(asked), "x"), Candidate("c", grains(shown), "x"))
    kept = asked.items() & shown.items()
    assert judgement.grade == len(kept)
    assert set(judgement.violates) == asked.keys() - dict(kept).keys()
    assert list(judgement.violates) == sorted(judgement.violates)
    assert judgement.relevance == int(len(kept) == len(asked))


def test_modality_follows_from_the_content() -> None:
    image = ImageData(b"", "")
    assert Candidate("c", (), "x").modality == "text"
    assert Candidate("c", (), None, image).modality == "image"
    assert Query("q", "it2i", "", (), "x", image).modality == TASKS["it2i"].query_modality == "image,text"


def test_error_is_one_short_line() -> None:
    error = MRBenchError("it\nfailed", where=Path("a"), got="x" * 999, accepted="y", hint="z")
    assert "\n" not in str(error)
    assert str(error).startswith("it failed; where: a; got: 'xxx")
    assert str(error).endswith("...; accepted: y; next: z")
    assert len(str(error)) < 260


def test_what_is_no_file_is_told_from_what_is_gone(tmp_path: Path) -> None:
    file, link = tmp_path / "file", tmp_path / "link"
    file.write_text("x")
    link.symlink_to(file)
    for look, expected in (
        (tmp_path.stat, True), (link.lstat, True), (link.stat, False), (file.stat, False),
        ((tmp_path / "gone").stat, False), ((file / "below").stat, False),
    ):  # fmt: skip
        assert no_file(look) is expected


def test_a_file_that_others_remove_and_write_again_is_a_file(tmp_path: Path) -> None:
    path, done = tmp_path / "unit", threading.Event()

    def others() -> None:
        while not done.is_set():
            path.unlink(missing_ok=True)
            os.close(os.open(path, os.O_CREAT))

    thread = threading.Thread(target=others)
    thread.start()
    try:
        assert not any(no_file(path.lstat) for _ in range(5000))
    finally:
        done.set()
        thread.join()


def test_every_error_is_in_the_tree() -> None:
    import mrbench.errors as module

    found = [item for item in vars(module).values() if isinstance(item, type) and issubclass(item, Exception)]
    assert len(found) > 6
    assert all(issubclass(error, MRBenchError) and error.exit_code == 2 for error in found)


def test_canonical_json_is_one_text_per_value() -> None:
    assert canonical_json({"b": 1, "a": "é"}) == canonical_json({"a": "é", "b": 1}) == '{"a":"é","b":1}'
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(float("nan"))


def test_atomic_write_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.json"
    write_json_atomic(path, {"b": 1, "a": [2]})
    assert path.read_text() == '{\n  "a": [2],\n  "b": 1\n}\n'
    assert path.stat().st_mode & 0o777 == 0o644
    with pytest.raises(ValueError, match="JSON"):
        write_json_atomic(path, float("inf"))
    with pytest.raises(OutputError, match="not a regular file"):
        write_atomic(path.parent, b"over a folder")
    with pytest.raises(OutputError, match="cannot write"):
        write_atomic(path / "below a file", b"")
    assert [p.name for p in path.parent.iterdir()] == ["file.json"]
    assert json.loads(path.read_text())["b"] == 1
    assert len(sha256_file(path)) == 64


class _Points(list):
    """Stands in for installed packages with entry points."""

    def __call__(self, *, group: str):
        return [point for point in self if point.group == group]


PLUGIN = Entry("plugin", "third party", "json:dumps")
TWO = [Entry("b", "", "json:loads"), Entry("c", "", "json:loads")]


def test_registry_loads_lazily_and_takes_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    group = "mrbench.models"
    points = _Points([EntryPoint(n, f"test_core:{v}", group) for n, v in (("x", "PLUGIN"), ("y", "TWO"))])
    monkeypatch.setattr(registry_module, "_points", lambda group: points(group=group))
    zoo = Registry("model", [Entry("broken", "never imported", "no_such_module:x")])
    assert zoo.names() == ["broken", "plugin", "b", "c"]
    assert "plugin" in zoo
    assert zoo.get("plugin").load() is json.dumps
    assert [entry.summary for entry in zoo][:2] == ["never imported", "third party"]
    with pytest.raises(InputError, match=r"unknown model.*'nope'.*broken, plugin, b, c"):
        zoo.get("nope")
    with pytest.raises(InputError, match=r"two models have one name.*'b'"):
        zoo.add(TWO[0])


def test_missing_package_names_the_extra() -> None:
    with pytest.raises(MissingExtraError, match=r'no_such_module.*pip install "mrbench\[models\]"'):
        Entry("m", "", "no_such_module:x", extra="models").load()
    for path in ("no_such_module:x", "json:no_such_object", "json"):
        with pytest.raises(InputError, match=f"m cannot be loaded; where: {path}; got: "):
            Entry("m", "", path).load()


RESULT = Result(
    model={"name": "m", "revision": "1", "dimension": 2, "modalities": ["text"], "device": "cpu", "dtype": "float32"},
    benchmark={"name": "b", "title": "B", "digest": "0" * 64, "split": "test", "pool": "task"},
    tasks={
        "t2i": TaskResult(
            "scored", "", 3, 9, {"mrr": 0.5}, {"pair_accuracy": {"count": GrainScore(1.0, 3)}}, seconds={"search": 0.1}
        ),
        "i2t": TaskResult("not supported", "no images"),
    },
    seed=0,
    limit=None,
    environment={"python": "3"},
    command="mrbench evaluate b",
    started="2026-01-01T00:00:00Z",
    seconds=1.5,
)


def test_result_comes_back_as_it_was(tmp_path: Path) -> None:
    write_result(tmp_path / "r.json", RESULT)
    assert read_result(tmp_path / "r.json") == RESULT
    limited = replace(RESULT, limit=7)
    write_result(tmp_path / "r.json", limited)
    assert read_result(tmp_path / "r.json") == limited
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"]


@pytest.mark.parametrize(
    ("path", "value", "error", "words"),
    [
        (("format",), "other", ResultError, "not a result file"),
        (("format_version",), 3, FormatVersionError, "newer"),
        (("format_version",), "1", ResultError, "format version"),
        (("tasks", "t2i", "scores", "mrr"), 1.5, ResultError, "outside 0 to 1"),
        (("tasks", "t2i", "scores", "hit_rate@50"), 1.5, ResultError, "outside 0 to 1"),
        (("tasks", "t2i", "scores", "mean_rank"), 0.5, ResultError, "outside 1 to inf"),
        (("tasks", "t2i", "scores", "mrr"), True, ResultError, "not a number"),
        (("tasks", "t2i", "scores", "mrr"), "0.5", ResultError, "not a number"),
        (("tasks", "t2i", "by_grain", "pair_accuracy", "count"), {"score": 0.5}, ResultError, "count"),
        (("tasks", "t2i", "status"), "failed", ResultError, "unknown status"),
        (("tasks", "x 2 y"), {}, ResultError, "malformed name of a task"),
        (("model", "name"), 7, ResultError, "expected text"),
        (("benchmark",), [], ResultError, "malformed"),
        (("seed",), None, ResultError, "malformed"),
    ],
)
def test_malformed_result(tmp_path: Path, path: tuple[str, ...], value, error: type[Exception], words: str) -> None:
    raw = RESULT.to_json()
    raw = json.loads(json.dumps(raw))
    part = raw
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    (tmp_path / "r.json").write_text(json.dumps(raw))
    with pytest.raises(error, match=words):
        read_result(tmp_path / "r.json")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a": NaN}', "[" * 100_000])
def test_unreadable_result(tmp_path: Path, text: str) -> None:
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(ResultError):
        read_result(tmp_path / "r.json")
    with pytest.raises(ResultError, match="unreadable"):
        read_result(tmp_path / "absent.json")


def test_an_error_gets_the_next_command_where_the_paths_are_known() -> None:
    with pytest.raises(InputError) as raised, advised("mrbench validate 'my scenes'"):
        raise InputError("malformed id", got="a")
    assert str(raised.value) == "malformed id; got: 'a'; next: mrbench validate 'my scenes'"


def test_an_error_keeps_the_next_command_that_it_has() -> None:
    with pytest.raises(InputError, match=r"malformed id; next: near$"), advised("far"), advised("farther"):
        raise InputError("malformed id", hint="near")


def test_other_errors_than_those_meant_get_no_next_command() -> None:
    with pytest.raises(InputError, match=r"^malformed id$"), advised("mrbench validate scenes", OutputError):
        raise InputError("malformed id")


def test_an_error_with_a_next_command_survives_the_way_from_a_worker() -> None:
    error = InputError("malformed id")
    error.advise("near")
    copy = pickle.loads(pickle.dumps(error))
    copy.advise("far")
    assert str(copy) == "malformed id; next: near"
