"""Embeddings survive kills, corruption and company: the bytes are those of one uninterrupted process."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_benchmark import Oracle

from mrbench import files
from mrbench.benchmark import Benchmark
from mrbench.errors import InputError
from mrbench.evaluate import embed, evaluate
from mrbench.retrieve import EmbeddingStore, Share, batches, encode
from mrbench.retrieve import embed as embed_module
from mrbench.retrieve.store import cached, clear

TASKS = ("it2i", "i2i")


class Sensitive(Oracle):
    """Vectors that show which batch they were made in, as those of real networks do in the last bits."""

    def embed_candidates(self, items):
        vectors = super().embed_candidates(items)
        return vectors + 0.01 * vectors.mean(axis=0)


@pytest.fixture(autouse=True)
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embed_module, "WINDOW", 16)
    monkeypatch.setattr(batches, "BATCH", 5)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def run_of(folder: Path) -> dict[str, bytes]:
    return {name: data for name, data in contents(folder).items() if not name.endswith(".json")}  # those tell times


def forked(work: Callable[[], object]) -> int:
    """Start a process that does the work and leaves without cleaning up."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return child


def result_of(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def kill_at(point: int) -> None:
    """Die at the n-th point of a write: before the rename, with a whole temporary file, and right after it."""
    true_replace, passed = os.replace, [0]

    def replace(*paths) -> None:
        for action in (None, lambda: true_replace(*paths)):
            if action:
                action()
            passed[0] += 1
            if passed[0] == point:
                os.kill(os.getpid(), signal.SIGKILL)

    files.os.replace = replace  # the child's own copy


@pytest.fixture(scope="module")
def whole(tiny: Benchmark, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Cache and run of one process that nothing disturbs."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embed_module, "WINDOW", 16)
        patch.setattr(batches, "BATCH", 5)
        evaluate(tiny, Sensitive(), folder / "r", cache=folder / "c", tasks=TASKS)
    return contents(folder / "c"), run_of(folder / "r")


def test_a_kill_at_any_write_changes_nothing(tiny: Benchmark, tmp_path: Path, whole) -> None:
    point = 0
    while True:
        point += 1
        cache, output = tmp_path / f"c{point}", tmp_path / f"r{point}"

        def dying(point: int = point, cache: Path = cache, output: Path = output) -> None:
            kill_at(point)
            evaluate(tiny, Sensitive(), output, cache=cache, tasks=TASKS)

        if result_of(forked(dying)) == 0:
            break
        assert not output.exists() or run_of(output) == whole[1]
        evaluate(tiny, Sensitive(), output, cache=cache, tasks=TASKS, overwrite=True)
        assert {name: data for name, data in contents(cache).items() if not Path(name).name.startswith(".")} == whole[0]
        assert run_of(output) == whole[1]
    assert point > 2 * len(whole[0])


@pytest.mark.parametrize("processes", [1, 3, 8])
@pytest.mark.parametrize("accident", ["none", "restarted", "lost"])
def test_any_number_of_processes_gives_the_same(
    tiny: Benchmark, tmp_path: Path, whole, processes: int, accident: str
) -> None:
    cache, output = tmp_path / "c", tmp_path / "r"

    def share(process: int, patience: float = 60.0) -> Share:
        return Share(process, processes, 0.2 if accident == "lost" else patience)

    def other(process: int) -> None:
        embed(tiny, Sensitive(), cache, share(process), tasks=TASKS)

    def dying() -> None:
        kill_at(3)
        other(1)

    def restarted() -> None:
        assert result_of(forked(dying)) == -signal.SIGKILL
        other(1)

    unlucky = {"none": lambda: other(1), "restarted": restarted, "lost": dying}[accident]
    children = [forked(unlucky if n == 1 else lambda n=n: other(n)) for n in range(1, processes)]
    evaluate(tiny, Sensitive(), output, cache=cache, tasks=TASKS, share=share(0))
    codes = [result_of(child) for child in children]
    assert codes == [-signal.SIGKILL if accident == "lost" and n == 0 else 0 for n in range(processes - 1)]
    assert {name: data for name, data in contents(cache).items() if not Path(name).name.startswith(".")} == whole[0]
    assert run_of(output) == whole[1]


def test_a_second_run_asks_no_model(tiny: Benchmark, tmp_path: Path, whole) -> None:
    evaluate(tiny, Sensitive(), tmp_path / "r", cache=tmp_path / "c", tasks=["i2i"])
    model = Sensitive()
    evaluate(tiny, model, tmp_path / "r2", cache=tmp_path / "c", tasks=["i2i"], pool="task", depth=7)
    assert model.items == 0


def test_a_broken_unit_is_made_again(tiny: Benchmark, tmp_path: Path, whole) -> None:
    evaluate(tiny, Sensitive(), tmp_path / "r", cache=tmp_path / "c", tasks=TASKS)
    units = sorted((tmp_path / "c").rglob("*.unit"))
    flipped = bytearray(units[0].read_bytes())
    flipped[len(flipped) // 2] ^= 1
    units[0].write_bytes(flipped)
    units[1].write_bytes(units[1].read_bytes()[:-1])
    units[2].write_bytes(b"")
    units[3].write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
    model = Sensitive()
    evaluate(tiny, model, tmp_path / "r2", cache=tmp_path / "c", tasks=TASKS)
    assert 0 < model.items <= 4 * 16
    assert contents(tmp_path / "c") == whole[0]
    assert run_of(tmp_path / "r2") == whole[1]


@pytest.mark.parametrize("what", ["revision", "dtype", "preprocessing", "seed", "name"])
def test_another_model_has_another_folder(tiny: Benchmark, tmp_path: Path, what: str) -> None:
    first, second = Oracle(), Oracle()
    setattr(second, what, "another")
    for number, model in enumerate((first, second, first)):
        model.items = 0
        evaluate(tiny, model, tmp_path / f"r{number}", cache=tmp_path / "c", tasks=["i2i"])
        assert (model.items > 0) == (number < 2)
    entries = cached(tmp_path / "c")
    assert len(entries) == 2
    clear(entries[0])
    assert cached(tmp_path / "c") == entries[1:]


class Small(Oracle):
    """Has memory for so many items."""

    room, error = 3, MemoryError

    def embed_candidates(self, items):
        if len(items) > self.room:
            raise self.error("CUDA out of memory")
        return super().embed_candidates(items)


def test_a_batch_is_halved_until_it_fits(tiny: Benchmark) -> None:
    for error in (MemoryError, RuntimeError):
        model = Small()
        model.error = error
        found = encode.encode_corpus(model, tiny, "image", "test")
        np.testing.assert_array_equal(found, encode.encode_corpus(Oracle(), tiny, "image", "test"))
    model.room = 0
    with pytest.raises(RuntimeError, match="out of memory"):
        encode.encode_corpus(model, tiny, "image", "test")


def test_other_errors_pass_through(tiny: Benchmark) -> None:
    class Wrong(Small):
        error = ValueError
        calls = 0

        def embed_candidates(self, items):
            Wrong.calls += 1
            return super().embed_candidates(items)

    with pytest.raises(ValueError, match="memory"):
        encode.encode_corpus(Wrong(), tiny, "image", "test")
    assert Wrong.calls == 1


def test_texts_of_like_length_meet(tiny: Benchmark) -> None:
    lengths = []

    class Noting(Oracle):
        def embed_candidates(self, items):
            lengths.append([len(item.text) for item in items])
            return super().embed_candidates(items)

    encode.encode_corpus(Noting(), tiny, "text", "test")
    for window in (lengths[:4], lengths[4:8]):
        flat = [length for batch in window for length in batch]
        assert flat == sorted(flat)


@pytest.mark.parametrize("workers", [0, 2])
def test_the_next_batch_is_read_while_one_is_in_use(tiny: Benchmark, tmp_path: Path, workers: int) -> None:
    records = list(tiny.corpus("image", "test"))[:10]
    ready = batches.read_ahead(records, partial(note, tmp_path), workers)
    first = next(ready)[0]
    assert [record.id for record in first] == [record.id for record in records[:5]]
    for _ in range(600):
        if len(list(tmp_path.iterdir())) == 10:
            break
        time.sleep(0.05)
    assert len(list(tmp_path.iterdir())) == 10  # the second batch too, though nobody asked for it
    assert [item.image for item in next(ready)[1]] == [(9, 6)] * 5
    assert (os.getpid() in {int(path.read_text()) for path in tmp_path.iterdir()}) == (workers == 0)


def note(folder: Path, image: Image.Image) -> tuple[int, int]:
    """Stands for what a model does to an image before its network; tells where it ran."""
    handle, _ = tempfile.mkstemp(dir=folder)
    os.write(handle, str(os.getpid()).encode())
    os.close(handle)
    return image.size


def test_what_torchrun_says_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert Share.from_environment() == Share(0, 1)
    monkeypatch.setenv("RANK", "2")
    monkeypatch.setenv("WORLD_SIZE", "3")
    assert Share.from_environment() == Share(2, 3)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="RANK"):
        Share.from_environment()
    with pytest.raises(InputError, match="a folder to share"):
        EmbeddingStore(Oracle(), None, Share(0, 2))
