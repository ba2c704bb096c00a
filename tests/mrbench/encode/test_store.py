"""Embeddings survive kills, corruption and company: the bytes are those of one uninterrupted process."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import resource
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from small_units import make_small
from tiny_benchmark import Oracle

from mrbench import files
from mrbench.benchmark import Benchmark, decode, encode_png
from mrbench.encode import EmbeddingStore, Share
from mrbench.encode import store as store_module
from mrbench.encode import task_inputs as encode
from mrbench.encode import units as embed_module
from mrbench.encode.store import cached, clear
from mrbench.errors import InputError, OutputError
from mrbench.evaluation import embed, evaluate
from mrbench.models.common import embed_items
from mrbench.models.protocol import Item
from mrbench.records import Candidate

TASKS = ("it2i", "i2i")


class Sensitive(Oracle):
    """Vectors that show which batch they were made in, as those of real networks do in the last bits."""

    def embed_candidates(self, items):
        vectors = super().embed_candidates(items)
        return vectors + 0.01 * vectors.mean(axis=0)


@pytest.fixture(autouse=True)
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def whole_files(cache: Path) -> dict[str, bytes]:
    """What a cache holds but the temporary files that a killed process has left."""
    return {name: data for name, data in contents(cache).items() if not Path(name).name.startswith(".")}


def run_of(folder: Path) -> dict[str, object]:
    """Every byte of a run and a result; of the JSON files all but the times."""
    found: dict[str, object] = dict(contents(folder))
    return found | {name: without_times(json.loads(found[name])) for name in ("result.json", "run.json")}


def without_times(value: object) -> object:
    if isinstance(value, dict):
        timed = ("seconds", "started", "environment")
        return {name: without_times(part) for name, part in value.items() if name not in timed}
    return value


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
    """Die at the n-th point of a write: with half a temporary file, with a whole one, and right after the rename."""
    passed = [0]

    def pass_point(*, half: int | None = None) -> None:
        passed[0] += 1
        if passed[0] == point:
            if half is not None:
                os.truncate(half, os.fstat(half).st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)

    def dangerous(name: str) -> Callable[..., None]:
        true_call = getattr(os, name)

        def call(*args) -> None:
            pass_point(half=args[0] if name == "fsync" and os.access(f"/proc/self/fd/{args[0]}", os.W_OK) else None)
            true_call(*args)
            pass_point()

        return call

    for name in ("fsync", "replace", "rename"):  # the child's own copies
        setattr(files.os, name, dangerous(name))


@pytest.fixture(scope="module")
def whole(tiny: Benchmark, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], dict[str, object]]:
    """Cache and run of one process that nothing disturbs."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        make_small(patch)
        evaluate(tiny, Sensitive(), folder / "r", cache=folder / "c", tasks=TASKS)
    return contents(folder / "c"), run_of(folder / "r")


@pytest.mark.slow
def test_a_kill_at_any_write_changes_nothing(tiny: Benchmark, tmp_path: Path) -> None:
    def run(cache: Path, output: Path) -> None:
        evaluate(tiny, Sensitive(), output, cache=cache, tasks=["i2i"], overwrite=True)

    run(tmp_path / "c", tmp_path / "r")
    cached_files, results = contents(tmp_path / "c"), run_of(tmp_path / "r")
    for point in count(1):
        cache, output = tmp_path / f"c{point}", tmp_path / f"r{point}"

        def dying(point: int = point, cache: Path = cache, output: Path = output) -> None:
            kill_at(point)
            run(cache, output)

        if result_of(forked(dying)) == 0:
            break
        assert not output.exists() or run_of(output) == results
        run(cache, output)
        assert whole_files(cache) == cached_files
        assert run_of(output) == results
        shutil.rmtree(cache)
    assert point > 4 * len(cached_files) + 2 * len(results)


@pytest.mark.slow
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
    assert whole_files(cache) == whole[0]
    assert run_of(output) == whole[1]


@pytest.mark.parametrize("processes", [3, 8])
def test_processes_have_equal_parts(tiny: Benchmark, tmp_path: Path, processes: int) -> None:
    """All labels together: a task's queries are few, and must not all fall to the first process."""

    def one(process: int) -> None:
        model = Sensitive()
        embed(tiny, model, tmp_path / "c", Share(process, processes, 60.0), tasks=TASKS)
        (tmp_path / f"{process}").write_text(str(model.items))

    children = [forked(lambda n=n: one(n)) for n in range(processes)]
    assert [result_of(child) for child in children] == [0] * processes
    done = [int((tmp_path / f"{n}").read_text()) for n in range(processes)]
    alone = Sensitive()
    embed(tiny, alone, tmp_path / "alone", Share(), tasks=TASKS)
    assert sum(done) == alone.items
    assert max(done) < 1.6 * alone.items / processes


def test_who_did_not_come_is_not_waited_for_again(tiny: Benchmark, tmp_path: Path, whole, monkeypatch) -> None:
    in_vain = []
    wait = EmbeddingStore.wait

    def waits(self: EmbeddingStore, units: object) -> set[str]:
        late = wait(self, units)
        in_vain.append(bool(late))
        return late

    monkeypatch.setattr(EmbeddingStore, "wait", waits)
    evaluate(tiny, Sensitive(), tmp_path / "r", cache=tmp_path / "c", tasks=TASKS, share=Share(0, 3, 0.2))
    assert len(in_vain) > 4
    assert sum(in_vain) == 1
    assert whole_files(tmp_path / "c") == whole[0]
    assert run_of(tmp_path / "r") == whole[1]


def test_a_share_that_cannot_be_is_refused() -> None:
    for malformed in ((3, 3), (0, 0), (0, 1, 1.0, -1), (0, 1, float("nan"))):
        with pytest.raises(InputError, match="malformed share"):
            Share(*malformed)


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


def test_other_content_is_embedded_and_what_is_known_is_not(tiny: Benchmark, tmp_path: Path) -> None:
    records = list(tiny.corpus("image", "test"))[:6]

    def embedded(wanted: list[Candidate]) -> int:
        model = Oracle()
        store = EmbeddingStore(model, tmp_path / "c")

        def embed(_, items):
            return partial(model.embed_candidates, items)

        embed_module.encode_records(model, lambda: iter(wanted), len(wanted), "records", embed, store)
        return model.items

    assert embedded(records) == 6
    renamed = [replace(record, id=f"another-{record.id}") for record in records]
    assert embedded(renamed[::-1]) == 0
    changed = decode(records[0].image, where="")
    changed.putpixel((0, 0), (1, 2, 3))
    picture = encode_png(changed)
    assert embedded([replace(records[0], image=picture), *records[1:]]) == 1
    assert embedded([replace(records[0], text="more")]) == 1


def test_parts_that_add_up_are_embedded_once(tiny: Benchmark, tmp_path: Path) -> None:
    """Queries of picture and text, their variants and each half alone: every picture and every text once."""
    seen: list[Item] = []

    class Adding(Oracle):
        additive = symmetric = True

        def embed_candidates(self, items):
            seen.extend(items)
            return embed_items("adding", items, 8, embed_texts=hashed, embed_images=hashed)

        def embed_queries(self, items, instruction):
            return self.embed_candidates(items)

    model = Adding()
    model.dimension = 8
    evaluate(tiny, model, tmp_path / "r", tasks=["it2i", "i2i"])
    apart = [item.text if item.image is None else item.image.tobytes() for item in seen]
    assert all(item.text is None or item.image is None for item in seen)
    assert len(set(apart)) == len(apart)
    separate = Adding()
    separate.additive, separate.dimension = False, 8
    evaluate(tiny, separate, tmp_path / "whole", tasks=["it2i", "i2i"])
    assert contents(tmp_path / "r")["it2i.run.parquet"] == contents(tmp_path / "whole")["it2i.run.parquet"]


def hashed(parts: list) -> np.ndarray:
    """Any vectors that tell the parts apart."""
    data = [part.encode() if isinstance(part, str) else part.tobytes() for part in parts]
    digests = [np.frombuffer(hashlib.sha256(part).digest()[:8], np.uint8) for part in data]
    return np.stack(digests).astype(np.float32) - 127.5


def test_large_embeddings_are_mapped(tiny: Benchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "MAPPED", 1)
    folder = tmp_path / "c"
    found = encode.encode_corpus(Oracle(), tiny, "image", "test", EmbeddingStore(Oracle(), folder))
    assert isinstance(found, np.memmap)
    np.testing.assert_array_equal(found, encode.encode_corpus(Oracle(), tiny, "image", "test"))
    assert {path.suffix for path in folder.rglob("*") if path.is_file()} == {".unit", ".json"}


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
    assert Share(0, 2, 7.0, 4).patience == 7.0
    monkeypatch.setenv("WORLD_SIZE", "9")
    assert Share.from_environment(patience=7.0, workers=4) == Share(2, 9, 7.0, 4)
    for wrong in ("٣", "9" * 5000, "-1", "2.0", ""):
        monkeypatch.setenv("RANK", wrong)
        with pytest.raises(InputError, match="RANK"):
            Share.from_environment()
    with pytest.raises(InputError, match="a folder to share"):
        EmbeddingStore(Oracle(), None, Share(0, 2))


@pytest.mark.parametrize("processes", [1, 2])
def test_a_unit_of_another_model_or_name_is_made_again(tiny: Benchmark, tmp_path: Path, whole, processes: int) -> None:
    """Whole files, but not what stands on them: copied from another model's folder, or under another unit's name."""
    other = Sensitive()
    other.revision = "another"
    evaluate(tiny, other, tmp_path / "r0", cache=tmp_path / "other", tasks=TASKS)
    shutil.copytree(tmp_path / "other", tmp_path / "c")
    (of_other,) = (tmp_path / "c").iterdir()
    name = next(iter(whole[0])).split("/")[0]
    for path, data in whole[0].items():
        (tmp_path / "c" / path).parent.mkdir(exist_ok=True)
        (tmp_path / "c" / path).write_bytes(data)
    units = sorted((tmp_path / "c" / name).glob("*.unit"))
    shutil.copy(of_other / units[0].name, units[0])
    shutil.copy(units[2], units[1])
    children = [
        forked(lambda n=n: embed(tiny, Sensitive(), tmp_path / "c", Share(n, processes, 60.0), tasks=TASKS))
        for n in range(1, processes)
    ]
    evaluate(tiny, Sensitive(), tmp_path / "r", cache=tmp_path / "c", tasks=TASKS, share=Share(0, processes, 60.0))
    assert [result_of(child) for child in children] == [0] * (processes - 1)
    assert {path: data for path, data in contents(tmp_path / "c").items() if path.startswith(name)} == whole[0]
    assert run_of(tmp_path / "r") == whole[1]


def test_a_unit_under_another_name_is_removed(tmp_path: Path) -> None:
    model = Oracle()
    store = EmbeddingStore(model, tmp_path)
    for n in range(2):
        store.put([bytes([n]) * 32], np.ones((1, model.dimension), dtype=np.float32))
    one, other = sorted(tmp_path.rglob("*.unit"))
    shutil.copy(one, other)
    EmbeddingStore(model, tmp_path).refresh()
    assert list(tmp_path.rglob("*.unit")) == [one]


@pytest.mark.parametrize("lost", ["clear", "alter"])
@pytest.mark.parametrize("times", [1, 3])
def test_what_a_cache_loses_meanwhile_is_made_again(
    tiny: Benchmark, tmp_path: Path, whole, monkeypatch: pytest.MonkeyPatch, lost: str, times: int
) -> None:
    gather, left = EmbeddingStore.gather, [times]

    def lose_and_gather(self, *args):
        if left[0]:
            left[0] -= 1
            for path in (tmp_path / "c").rglob("*.unit"):
                path.unlink() if lost == "clear" else path.write_bytes(b"x" * path.stat().st_size)
        return gather(self, *args)

    monkeypatch.setattr(EmbeddingStore, "gather", lose_and_gather)
    if times == 3:
        with pytest.raises(OutputError, match="does not keep"):
            evaluate(tiny, Sensitive(), tmp_path / "r", cache=tmp_path / "c", tasks=TASKS)
        assert not (tmp_path / "r").exists()
        return
    evaluate(tiny, Sensitive(), tmp_path / "r", cache=tmp_path / "c", tasks=TASKS)
    assert contents(tmp_path / "c") == whole[0]
    assert run_of(tmp_path / "r") == whole[1]


def test_a_cache_has_more_units_than_a_process_may_open_files(tiny: Benchmark, tmp_path: Path, whole) -> None:
    def few_files() -> None:
        evaluate(tiny, Sensitive(), tmp_path / "r", cache=tmp_path / "c", tasks=TASKS)  # all is loaded that opens files
        held = len(list(Path("/proc/self/fd").iterdir()))
        resource.setrlimit(resource.RLIMIT_NOFILE, (held + 3, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        evaluate(tiny, Sensitive(), tmp_path / "r2", cache=tmp_path / "c", tasks=TASKS)

    assert result_of(forked(few_files)) == 0
    assert len(whole[0]) > 6
    assert contents(tmp_path / "c") == whole[0]
    assert run_of(tmp_path / "r2") == whole[1]


def test_a_unit_that_cannot_be_read_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, keys = Oracle(), [bytes(32)]
    EmbeddingStore(model, tmp_path / "c").put(keys, np.ones((1, model.dimension), dtype=np.float32))
    before = contents(tmp_path / "c")

    def too_many(_: Path) -> bytes:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    store = EmbeddingStore(model, tmp_path / "c")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", too_many)
        with pytest.raises(OutputError, match="cannot read the cache: Too many open"):
            store.refresh()
    assert contents(tmp_path / "c") == before


def test_a_full_disk_is_an_error_and_no_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(store_module, "MAPPED", 1)
    monkeypatch.setattr(store_module.os, "posix_fallocate", full)
    with pytest.raises(OutputError, match="disk full"):
        store_module.room(10, 10, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_digest_of_the_weights_is_their_name(tmp_path: Path) -> None:
    one, other = Oracle(), Oracle()
    other.name = "renamed"
    key = [bytes(32)]
    for digest in (False, True):
        one.revision_is_digest = other.revision_is_digest = digest
        EmbeddingStore(one, tmp_path / f"{digest}").put(key, np.ones((1, one.dimension), dtype=np.float32))
        store = EmbeddingStore(other, tmp_path / f"{digest}")
        store.refresh()
        assert (key[0] in store) == digest
