"""Items with several images: models that take them get them together, others get the mean of the single ones."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from PIL import Image
from small_units import make_small

from mrbench.benchmark import Contents, ImageRoot, InMemoryBenchmark, encode_png
from mrbench.encode import EmbeddingStore
from mrbench.encode.task_inputs import encode_corpus, encode_part, encode_queries
from mrbench.errors import ModelError
from mrbench.evaluation import evaluate, rescore
from mrbench.models.controls import ConstantModel
from mrbench.models.protocol import Item
from mrbench.pools import load_pool
from mrbench.records import MODALITIES, Candidate, Judgement, Query, Task

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "grey": (90, 90, 90)}
VIDEOS = {"a": "red green", "b": "green red", "c": "red", "d": "blue grey red", "e": "red green blue"}
ASKED = {"t2i": ("text", "image"), "it2i": ("image,text", "image"), "i2t": ("image", "text")}


@pytest.fixture(autouse=True)
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


def frames(colours: str) -> list:
    return [encode_png(Image.new("RGB", (4, 4), COLOURS[name])) for name in colours.split()]


class Videos(Contents):
    """Videos of one to three frames, and queries that show the same frames or tell them."""

    name = title = "videos"
    location, licence, splits, images = Path("videos"), "CC0-1.0", ("test",), ImageRoot()
    corpora = MappingProxyType({"image": "image", "text": "text"})
    tasks = tuple(
        Task(name, name, *sides, judgements="partial", measures=("hit_rate@1",), main="hit_rate@1")
        for name, sides in ASKED.items()
    )

    def digest(self) -> str:
        return "0" * 64

    def candidates(self, corpus: str, split: str) -> Iterator[Candidate]:
        for name, colours in VIDEOS.items():
            if corpus == "text":
                yield Candidate(f"t{name}", text=colours)
            else:
                first, *rest = frames(colours)
                yield Candidate(name, image=first, more_images=tuple(rest))

    def queries(self, task: str, split: str) -> Iterator[Query]:
        for name, colours in VIDEOS.items():
            first, *rest = frames(colours)
            query = Query(name, task, "", text=colours, image=first, more_images=tuple(rest))
            if "i" not in task.partition("2")[0]:
                query = replace(query, image=None, more_images=())
            yield replace(query, text=None) if "t" not in task.partition("2")[0] else query

    def judgements(self, task: str, split: str) -> Iterator[Judgement]:
        for name in VIDEOS:
            yield Judgement(name, f"t{name}" if task == "i2t" else name, 1)


class Eyes:
    """The colour of each image and what a text names, in order where several are seen at once."""

    name, revision, device, dtype = "eyes", "1", "cpu", "float32"
    modalities = frozenset(MODALITIES)
    dimension = 10

    def __init__(self, **attributes: object) -> None:
        self.items: list[Item] = []
        for name, value in attributes.items():
            setattr(self, name, value)

    def embed_queries(self, items: Sequence[Item], instruction: str) -> np.ndarray:
        return self.embed_candidates(items)

    def embed_candidates(self, items: Sequence[Item]) -> np.ndarray:
        self.items += items
        return np.array([self.vector(item) for item in items], dtype=np.float32)

    def vector(self, item: Item) -> np.ndarray:
        found = np.full(self.dimension, 0.1)
        shown = [np.array(image.getpixel((0, 0))) / 255 for image in item.images]
        if not shown and item.text is not None:
            shown = [np.array(COLOURS[name]) / 255 for name in item.text.split()]
        elif item.text is not None:
            found[0] += len(item.text)
        for place, colour in enumerate(shown):
            found[1 + 3 * place : 4 + 3 * place] += colour
        return found


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


@pytest.fixture
def videos() -> InMemoryBenchmark:
    return InMemoryBenchmark(Videos())


def test_a_model_that_takes_several_gets_them_together_and_in_order(videos: InMemoryBenchmark) -> None:
    model = Eyes(takes_several_images=True)
    found = encode_corpus(model, videos, "image", "test")
    assert sorted(len(item.images) for item in model.items) == [1, 2, 2, 3, 3]
    assert all(item.images[0] is item.image for item in model.items)
    assert len(np.unique(found, axis=0)) == 5  # red green is not green red


def test_others_get_each_image_alone_and_the_mean_of_unit_vectors(videos: InMemoryBenchmark) -> None:
    model = Eyes()
    found = encode_corpus(model, videos, "image", "test")
    assert [len(item.images) for item in model.items] == [1] * 4  # each distinct frame once
    alone = {name: unit(model.vector(Item(image=Image.new("RGB", (4, 4), COLOURS[name])))) for name in COLOURS}
    for row, colours in zip(found, VIDEOS.values(), strict=True):
        np.testing.assert_allclose(row, unit(np.mean([alone[name] for name in colours.split()], axis=0)), rtol=1e-5)
    np.testing.assert_array_equal(found[0], found[1])  # without an order
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-6)


def test_the_mean_is_of_normalised_embeddings(videos: InMemoryBenchmark) -> None:
    class Loud(Eyes):
        def vector(self, item: Item) -> np.ndarray:
            return super().vector(item) * (100 if item.image.getpixel((0, 0))[0] == 255 else 1)

    np.testing.assert_allclose(
        encode_corpus(Loud(), videos, "image", "test"), encode_corpus(Eyes(), videos, "image", "test"), rtol=1e-5
    )


@pytest.mark.parametrize("additive", [False, True])
def test_the_text_goes_with_each_image(videos: InMemoryBenchmark, additive: bool) -> None:
    class Sum(Eyes):
        def vector(self, item: Item) -> np.ndarray:
            parts = [Item(text=item.text)] if item.text is not None else []
            parts += [Item(image=item.image)] if item.image is not None else []
            return sum(super(Sum, self).vector(part) for part in parts)

    model = Sum(additive=additive)
    found = encode_queries(model, videos, "it2i", "test", list(VIDEOS))
    both = sum(item.text is not None and item.image is not None for item in model.items)
    assert both == (0 if additive else 11)  # as many as there are frames, or parts that add up
    for row, colours in zip(found, VIDEOS.values(), strict=True):
        single = [
            unit(model.vector(Item(colours, Image.new("RGB", (4, 4), COLOURS[name])))) for name in colours.split()
        ]
        np.testing.assert_allclose(row, unit(np.mean(single, axis=0)), rtol=1e-5)


def test_an_additive_model_that_takes_several_adds_the_text_once(videos: InMemoryBenchmark) -> None:
    model = Eyes(additive=True, takes_several_images=True)
    found = encode_queries(model, videos, "it2i", "test", list(VIDEOS))
    pictures = [tuple(Image.new("RGB", (4, 4), COLOURS[n]) for n in colours.split()) for colours in VIDEOS.values()]
    summed = [
        model.vector(Item(text=colours)) + model.vector(Item(image=shown[0], more_images=shown[1:]))
        for colours, shown in zip(VIDEOS.values(), pictures, strict=True)
    ]
    np.testing.assert_allclose(found, unit(np.array(summed)), rtol=1e-5)


@pytest.mark.parametrize("together", [False, True])
def test_parts_of_a_query_keep_all_images_or_none(videos: InMemoryBenchmark, together: bool) -> None:
    model = Eyes(takes_several_images=together)
    pool = load_pool(videos, "it2i", "test")
    shown = encode_part(model, videos, pool, "test", "image")
    assert max(len(item.images) for item in model.items) == (3 if together else 1)
    np.testing.assert_array_equal(shown, encode_corpus(model, videos, "image", "test"))
    model.items.clear()
    encode_part(model, videos, pool, "test", "text")
    assert not any(item.images for item in model.items)


def test_the_cache_tells_items_apart_that_differ_in_a_further_image(videos: InMemoryBenchmark, tmp_path: Path) -> None:
    model = Eyes(takes_several_images=True, symmetric=True)
    whole = encode_corpus(model, videos, "image", "test")
    kept = encode_corpus(model, videos, "image", "test", EmbeddingStore(model, tmp_path))
    again = Eyes(takes_several_images=True, symmetric=True)
    reused = encode_corpus(again, videos, "image", "test", EmbeddingStore(again, tmp_path))
    assert not again.items
    np.testing.assert_array_equal(whole, kept)
    np.testing.assert_array_equal(whole, reused)
    one_by_one = Eyes(symmetric=True)  # the same revision: what it is given has other keys, but for single images
    mean = encode_corpus(one_by_one, videos, "image", "test", EmbeddingStore(one_by_one, tmp_path))
    np.testing.assert_array_equal(mean, encode_corpus(Eyes(), videos, "image", "test"))


def test_images_that_cancel_out_are_an_error_that_names_the_item(videos: InMemoryBenchmark) -> None:
    class Opposed(Eyes):
        def vector(self, item: Item) -> np.ndarray:
            red = item.image.getpixel((0, 0))[0] == 255
            return np.eye(self.dimension)[0] * (1 if red else -1)

    with pytest.raises(ModelError, match="all zeros; where: eyes, a"):
        encode_corpus(Opposed(), videos, "image", "test")


@pytest.mark.parametrize(
    ("together", "said"),
    [(True, "embedded together"), (False, "mean of the normalised embeddings of the single images")],
)
def test_the_score_says_how_several_images_were_embedded(
    videos: InMemoryBenchmark, tmp_path: Path, together: bool, said: str
) -> None:
    model = Eyes(takes_several_images=together)
    result = evaluate(videos, model, tmp_path / "r")
    assert {task.setting["items of several images"] for task in result.tasks.values()} == {said}
    assert rescore(tmp_path / "r", videos) == result
    assert json.loads((tmp_path / "r" / "run.json").read_text())["tasks"]["t2i"]["setting"]
    assert (result.tasks["t2i"].scores["hit_rate@1"] == 1.0) == together  # the order tells a from b


def test_tasks_of_single_images_do_not_say_it(tmp_path: Path, tiny) -> None:
    result = evaluate(tiny, ConstantModel(), tmp_path / "r", tasks=["i2i"])
    assert "items of several images" not in result.tasks["i2i"].setting
    assert "setting" not in json.loads((tmp_path / "r" / "run.json").read_text())["tasks"]["i2i"]
