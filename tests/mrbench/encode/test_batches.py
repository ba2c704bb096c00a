"""What a model is given: how much at a time, in which order, made ready ahead of it, and what it returns later."""

from __future__ import annotations

import gc
import os
import signal
import tempfile
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_units import make_small
from tiny_benchmark import Oracle

from mrbench.benchmark import Benchmark, encode_png
from mrbench.encode import batches
from mrbench.encode import task_inputs as encode
from mrbench.encode import units as embed_module
from mrbench.errors import ModelError, WorkerError
from mrbench.records import Candidate


@pytest.fixture(autouse=True)
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


class Small(Oracle):
    """Has memory for so many items."""

    room, error, refused = 1, MemoryError, 0

    def embed_candidates(self, items):
        if len(items) > self.room:
            self.refused += 1
            raise self.error("CUDA out of memory")
        return super().embed_candidates(items)


def test_a_batch_is_halved_until_it_fits(tiny: Benchmark) -> None:
    for error in (MemoryError, RuntimeError):
        model = Small()
        model.error = error
        found = encode.encode_corpus(model, tiny, "image", "test")
        np.testing.assert_array_equal(found, encode.encode_corpus(Oracle(), tiny, "image", "test"))
        assert model.refused == 2  # 5 and 2 fit no more; later batches are small from the start
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

    with pytest.raises(ModelError, match="raises ValueError: CUDA out of memory"):
        encode.encode_corpus(Wrong(), tiny, "image", "test")
    assert Wrong.calls == 1


def test_texts_of_like_length_meet(tiny: Benchmark) -> None:
    lengths = []

    class Noting(Oracle):
        def embed_candidates(self, items):
            lengths.append([len(item.text) for item in items])
            return super().embed_candidates(items)

    encode.encode_corpus(Noting(), tiny, "text", "test")
    flat = [length for batch in lengths for length in batch]
    for start in (0, 16):
        assert flat[start : start + 16] == sorted(flat[start : start + 16])


@pytest.mark.parametrize("workers", [0, 2])
def test_the_next_batch_is_read_while_one_is_in_use(tiny: Benchmark, tmp_path: Path, workers: int) -> None:
    records = list(tiny.corpus("image", "test"))[:10]
    ready = batches.read_ahead([records[:5], records[5:]], partial(note, tmp_path), workers)
    first = next(ready)[0]
    assert [record.id for record in first] == [record.id for record in records[:5]]
    for _ in range(600):
        if len(list(tmp_path.iterdir())) == 10:
            break
        time.sleep(0.05)
    assert len(list(tmp_path.iterdir())) == 10  # the second batch too, though nobody asked for it
    assert [item.image for item in next(ready)[1]] == [(9, 6)] * 5
    assert (os.getpid() in {int(path.read_text()) for path in tmp_path.iterdir()}) == (workers == 0)


def test_a_worker_that_is_killed_is_an_error_and_the_next_call_has_others(tiny: Benchmark) -> None:
    records = list(tiny.corpus("image", "test"))[:4]
    with pytest.raises(WorkerError, match="a worker process was killed"):
        list(batches.read_ahead([records], leave, 2))
    ((_, items),) = batches.read_ahead([records], size, 2)
    assert [item.image for item in items] == [(9, 6)] * 4


def leave(_: Image.Image) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def size(image: Image.Image) -> tuple[int, int]:
    return image.size


def note(folder: Path, image: Image.Image) -> tuple[int, int]:
    """Stands for what a model does to an image before its network; tells where it ran."""
    handle, _ = tempfile.mkstemp(dir=folder)
    os.write(handle, str(os.getpid()).encode())
    os.close(handle)
    return image.size


class Noting(Oracle):
    """Notes what it is given at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[list] = []

    def embed_candidates(self, items):
        self.given.append([item.image if item.text is None else item.text for item in items])
        return super().embed_candidates(items)


def test_a_gpu_gets_more_texts_at_a_time(tiny: Benchmark, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (embed_module, batches):
        monkeypatch.setattr(module, "GPU_TEXTS", 12)
    found = {}
    for device, modality in (("cpu", "text"), ("cuda:1", "text"), ("cuda:1", "image")):
        model = Noting()
        model.device = device
        vectors = encode.encode_corpus(model, tiny, modality, "test")
        found[device, modality] = [len(part) for part in model.given]
        np.testing.assert_array_equal(vectors, encode.encode_corpus(Oracle(), tiny, modality, "test"))
    assert found["cuda:1", "text"][:2] == [12, 4]  # of a window of 16: a unit of 12, and the rest
    assert found["cpu", "text"] == found["cuda:1", "image"]
    assert found["cpu", "text"][:4] == [5, 1, 5, 1]


def test_a_cpu_begins_with_few_images(tiny: Benchmark, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "FIRST_IMAGES", 2)
    images, texts = ([*tiny.corpus(modality, "test")] for modality in ("image", "text"))
    assert [len(batch) for batch in batches.batches(images[:13])] == [2, 5, 5, 1]
    assert [len(batch) for batch in batches.batches(images[:13], gpu=True)] == [5, 5, 3]
    assert [len(batch) for batch in batches.batches(texts[:13])] == [5, 5, 3]


def test_a_window_holds_images_of_some_size(tiny: Benchmark, monkeypatch: pytest.MonkeyPatch) -> None:
    records = list(tiny.corpus("image", "test"))
    sizes = [len(record.image.data) for record in records]
    monkeypatch.setattr(embed_module, "WINDOW_BYTES", max(sizes) + 1)
    assert min(sizes) * 2 > max(sizes)
    parts = iter(records)
    assert [len(embed_module._window(parts, 16)) for _ in range(3)] == [2, 2, 2]
    assert len(embed_module._window(parts, 1)) == 1
    assert embed_module._window(iter([]), 16) == []


def test_the_first_window_is_short(tiny: Benchmark, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, window = [], embed_module._window
    monkeypatch.setattr(embed_module, "FIRST_WINDOW", 7)
    monkeypatch.setattr(embed_module, "_window", lambda *given: (found := window(*given), sizes.append(len(found)))[0])
    vectors = encode.encode_corpus(Oracle(), tiny, "text", "test")
    assert sizes[:2] == [7, 16]
    np.testing.assert_array_equal(vectors, encode.encode_corpus(Oracle(), tiny, "text", "test"))


def test_what_is_there_is_not_searched_for_garbage_meanwhile(tiny: Benchmark) -> None:
    frozen = []

    class Counting(Oracle):
        def embed_candidates(self, items):
            frozen.append(gc.get_freeze_count())
            return super().embed_candidates(items)

    before = gc.get_freeze_count()
    assert before < embed_module._FROZEN
    encode.encode_corpus(Counting(), tiny, "text", "test")
    assert min(frozen) > embed_module._FROZEN
    assert gc.get_freeze_count() == 0
    try:
        gc.freeze()
        before = gc.get_freeze_count()
        encode.encode_corpus(Counting(), tiny, "text", "test")
        assert before - 1000 < gc.get_freeze_count() <= before  # who did so meant it, and no more
    finally:
        gc.unfreeze()


def test_what_is_here_is_checked_before_its_place_is_used_again(tiny: Benchmark) -> None:
    class Reusing(Oracle):
        place = np.empty((64, Oracle.dimension), dtype=np.float32)

        def embed_candidates(self, items):
            self.place[: len(items)] = super().embed_candidates(items)
            return self.place[: len(items)]

    found = encode.encode_corpus(Reusing(), tiny, "image", "test")
    np.testing.assert_array_equal(found, encode.encode_corpus(Oracle(), tiny, "image", "test"))


@pytest.mark.parametrize(
    "wrong", [lambda texts: {"input_ids": texts, "attention_mask": texts}, lambda texts: texts[1:]]
)
def test_texts_made_ready_wrongly_are_named(tiny: Benchmark, wrong) -> None:
    model = Oracle()
    model.prepare_texts = wrong
    with pytest.raises(ModelError, match="prepare_texts returns something else"):
        encode.encode_corpus(model, tiny, "text", "test")


def test_texts_are_made_ready_ahead_in_a_thread(tiny: Benchmark) -> None:
    class Tokenizing(Noting):
        def prepare_texts(self, texts):
            assert threading.current_thread() is not threading.main_thread()
            return [("tokens", text) for text in texts]

        def _embed(self, item):
            return super()._embed(type(item)(item.text[1], None) if item.text else item)

    model = Tokenizing()
    found = encode.encode_corpus(model, tiny, "text", "test")
    assert {kind for part in model.given for kind, _ in part} == {"tokens"}
    np.testing.assert_array_equal(found, encode.encode_corpus(Oracle(), tiny, "text", "test"))
    encode.encode_corpus(model, tiny, "image", "test")  # has nothing to tokenize


def test_vectors_are_waited_for_when_the_next_batches_have_been_given(tiny: Benchmark, monkeypatch) -> None:
    events: list[str] = []

    class Late:
        """As a tensor on a GPU, whose values are still worked on."""

        is_cuda = True

        def __init__(self, number: int, vectors: np.ndarray) -> None:
            self.number, self.vectors = number, vectors

    monkeypatch.setattr(batches, "_start_copy", lambda raw: (raw.vectors, lambda: events.append(f"wait {raw.number}")))

    class Slow(Oracle):
        calls = 0

        def embed_candidates(self, items):
            self.calls += 1
            events.append(f"give {self.calls}")
            return Late(self.calls, super().embed_candidates(items))

    found = encode.encode_corpus(Slow(), tiny, "image", "test")
    np.testing.assert_array_equal(found, encode.encode_corpus(Oracle(), tiny, "image", "test"))
    assert events[:5] == ["give 1", "give 2", "give 3", "wait 1", "give 4"]
    waits = [event for event in events if event.startswith("wait")]
    assert waits == [f"wait {n}" for n in range(1, len(waits) + 1)]


def test_an_image_and_a_text_of_one_record_are_made_ready_together() -> None:
    image = encode_png(Image.new("RGB", (4, 3)))
    record = Candidate("c", (), "a text", image)
    (item,) = batches._items(lambda shown: shown.size, lambda texts: [len(text) for text in texts], [record])
    assert (item.image, item.text) == ((4, 3), 6)
