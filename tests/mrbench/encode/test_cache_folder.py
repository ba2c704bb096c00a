"""A cache's folder: whose it says that it is, what is listed of it, and what clearing removes."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tiny_benchmark import Oracle

from mrbench.encode import EmbeddingStore
from mrbench.encode.store import cached, clear
from mrbench.errors import OutputError


def test_a_cache_that_is_cleared_meanwhile_says_again_whose_it_is(tmp_path: Path) -> None:
    model = Oracle()
    store = EmbeddingStore(model, tmp_path / "c")
    keys = [hashlib.sha256(bytes([n])).digest() for n in range(3)]
    vectors = np.ones((3, model.dimension), dtype=np.float32)
    store.put(keys[:2], vectors[:2])
    clear(cached(tmp_path / "c")[0])
    store.put(keys[2:], vectors[2:])
    (entry,) = cached(tmp_path / "c")
    assert (entry.units, entry.model["name"]) == (1, model.name)
    assert store.gather(keys) is None
    assert [key in store for key in keys] == [False, False, True]
    store.put(keys[:2], vectors[:2])
    np.testing.assert_array_equal(store.gather(keys), vectors)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_named(tmp_path: Path, make: Callable[[Path], None]) -> None:
    store = EmbeddingStore(Oracle(), tmp_path / "c")
    (folder,) = (tmp_path / "c").iterdir()
    make(folder / f"{'0' * 32}.unit")
    with pytest.raises(OutputError, match=r"not a file.*000\.unit"):
        store.refresh()


@pytest.mark.parametrize(
    "said",
    [None, "", "{}"]
    + [f'{{"format": "mrbench-cache", "format_version": 1, "model": {said}}}' for said in ("{}", "[1]", '{"name": 5}')],
)
def test_a_folder_that_does_not_say_whose_it_is_can_be_cleared(tmp_path: Path, said: str | None) -> None:
    store = EmbeddingStore(Oracle(), tmp_path)
    store.put([bytes(32)], np.ones((1, Oracle().dimension), dtype=np.float32))
    damaged = tmp_path / ("0" * 32)
    shutil.copytree(next(tmp_path.iterdir()), damaged)
    (damaged / "model.json").unlink()
    if said is not None:
        (damaged / "model.json").write_text(said)
    mine = tmp_path / "mine" / "model.json"  # not in a folder of a cache
    mine.parent.mkdir()
    mine.write_text("{}")
    entries = cached(tmp_path)
    assert {entry.model["name"]: entry.units for entry in entries} == {Oracle().name: 1, "unknown": 1}
    for entry in entries:
        clear(entry)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["mine", "model.json"]


def test_clearing_removes_what_is_the_cache_s_alone(tmp_path: Path) -> None:
    store = EmbeddingStore(Oracle(), tmp_path)
    store.put([bytes(32)], np.ones((1, Oracle().dimension), dtype=np.float32))
    (entry,) = cached(tmp_path)
    abandoned, begun = (entry.folder / f".{digit * 32}.unit.x1y2" for digit in "01")
    for path in (abandoned, begun):
        path.write_bytes(b"begun by a process")
    os.utime(abandoned, (0, 0))  # which was killed long ago
    (entry.folder / "thesis.txt").write_text("mine")
    assert cached(tmp_path)[0].bytes > entry.bytes
    clear(entry)
    assert sorted(path.name for path in entry.folder.iterdir()) == [begun.name, "thesis.txt"]


@pytest.mark.parametrize("said", ["", '{"format": "mrbench-cache", "format_version": 99}'])
def test_a_damaged_name_is_written_again_and_one_of_a_newer_version_is_left(tmp_path: Path, said: str) -> None:
    model = Oracle()
    EmbeddingStore(model, tmp_path).put([bytes(32)], np.ones((1, model.dimension), dtype=np.float32))
    (path,) = tmp_path.rglob("model.json")
    path.write_text(said)
    assert [entry.model["name"] for entry in cached(tmp_path)] == ["unknown"]
    EmbeddingStore(model, tmp_path)
    assert [entry.model["name"] for entry in cached(tmp_path)] == ["unknown" if said else model.name]


def test_looking_at_a_cache_while_others_write_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Oracle()
    EmbeddingStore(model, tmp_path).put([bytes(32)], np.ones((1, model.dimension), dtype=np.float32))
    listed, gone = Path.glob, tmp_path / f".{'0' * 32}.unit.x1y2"
    monkeypatch.setattr(Path, "glob", lambda self, pattern: [*listed(self, pattern), self / gone.name])
    (entry,) = cached(tmp_path)
    assert entry.units == 1
