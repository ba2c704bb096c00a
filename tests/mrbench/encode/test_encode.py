"""Embeddings are asked for in batches, in order, and none that cannot be scored gets through."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_benchmark import Oracle, queries

from mrbench.benchmark import Benchmark
from mrbench.encode import batches
from mrbench.encode.task_inputs import encode_corpus, encode_queries
from mrbench.errors import ModelError


def ids(task: str) -> list[str]:
    return [query.id for query in queries(task)]


@pytest.mark.parametrize("limits", [(1, 1 << 26), (5, 1 << 26), (256, 100)])
def test_batches_change_nothing(tiny: Benchmark, monkeypatch: pytest.MonkeyPatch, limits: tuple[int, int]) -> None:
    model = Oracle()
    whole = encode_corpus(model, tiny, "image", "test"), encode_queries(model, tiny, "it2i", "test", ids("it2i"))
    for name in ("BATCH", "FIRST_IMAGES", "TEXTS"):
        monkeypatch.setattr(batches, name, limits[0])
    monkeypatch.setattr(batches, "BATCH_PIXELS", limits[1])
    again = encode_corpus(model, tiny, "image", "test"), encode_queries(model, tiny, "it2i", "test", ids("it2i"))
    for one, other in zip(whole, again, strict=True):
        np.testing.assert_array_equal(one, other)


def test_queries_keep_the_order_asked_for_across_instructions(tiny: Benchmark) -> None:
    model = Oracle()
    forwards = encode_queries(model, tiny, "t2i", "test", ids("t2i"))
    assert model.instructions == ["find t2i 0", "find t2i 1"]
    backwards = encode_queries(model, tiny, "t2i", "test", ids("t2i")[::-1])
    np.testing.assert_array_equal(forwards, backwards[::-1])
    alone = [encode_queries(model, tiny, "t2i", "test", [name])[0] for name in ids("t2i")]
    np.testing.assert_array_equal(forwards, alone)
    assert len(np.unique(forwards, axis=0)) > 4


def test_only_the_queries_asked_for_are_embedded(tiny: Benchmark) -> None:
    model = Oracle()
    encode_queries(model, tiny, "i2i", "test", ids("i2i")[2:4])
    assert model.items == 2


def test_vectors_have_length_one(tiny: Benchmark) -> None:
    embeddings = encode_corpus(Oracle(), tiny, "text", "test")
    assert embeddings.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, rtol=1e-6)


class Spoiled(Oracle):
    """Returns what the function makes of the oracle's vectors."""

    def __init__(self, spoil) -> None:
        super().__init__("spoiled")
        self.spoil = spoil

    def embed_candidates(self, items):
        return self.spoil(super().embed_candidates(items))


def set_row(row: int, value: float):
    def spoil(vectors: np.ndarray) -> np.ndarray:
        vectors[row] = value
        return vectors

    return spoil


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_a_vector_that_cannot_be_scored_is_named(tiny: Benchmark, value: float) -> None:
    what = "all zeros" if value == 0 else "NaN or infinity"
    with pytest.raises(ModelError, match=f"{what}; where: spoiled, candidate {tiny.corpus('image', 'test')[3].id}"):
        encode_corpus(Spoiled(set_row(3, value)), tiny, "image", "test")
    name = ids("i2i")[2]  # the second of its instruction
    with pytest.raises(ModelError, match=f"{what}; where: spoiled, query {name}"):
        encode_queries(Spoiled(set_row(1, value)), tiny, "i2i", "test", ids("i2i"))


@pytest.mark.parametrize(
    "spoil", [lambda v: v[:, :-1], lambda v: v[:-1], lambda v: v[None], lambda v: v[0]], ids=["dim", "row", "3d", "1d"]
)
def test_another_shape_is_refused(tiny: Benchmark, spoil) -> None:
    with pytest.raises(ModelError, match=r"another shape.*candidate .*got: \(.*accepted: \(32, 11\)"):
        encode_corpus(Spoiled(spoil), tiny, "image", "test")


@pytest.mark.parametrize("spoil", [lambda v: [["x"] * 11] * len(v), lambda v: [[1.0], [1.0, 2.0]], lambda v: v * 1j])
def test_no_numbers_are_refused(tiny: Benchmark, spoil) -> None:
    with pytest.raises(ModelError, match="not an array of numbers"):
        encode_corpus(Spoiled(spoil), tiny, "image", "test")


@pytest.mark.parametrize("kind", ["sparse", "meta", "masked"])
def test_what_has_no_numbers_everywhere_is_refused(tiny: Benchmark, kind: str) -> None:
    torch = pytest.importorskip("torch")
    spoil = {
        "sparse": lambda v: torch.tensor(v).to_sparse(),
        "meta": lambda v: torch.tensor(v).to("meta"),
        "masked": lambda v: np.ma.masked_less(v, 0.1),
    }[kind]
    with pytest.raises(ModelError, match="not an array of numbers"):
        encode_corpus(Spoiled(spoil), tiny, "image", "test")


def test_half_precision_is_scored_in_single(tiny: Benchmark) -> None:
    def halved(vectors: np.ndarray) -> np.ndarray:
        return (vectors * 0.3371).astype(np.float16)

    half = encode_corpus(Spoiled(halved), tiny, "image", "test")
    single = encode_corpus(Spoiled(lambda v: halved(v).astype(np.float32)), tiny, "image", "test")
    assert half.dtype == np.float32
    np.testing.assert_array_equal(half, single)


def test_tensors_are_taken(tiny: Benchmark) -> None:
    torch = pytest.importorskip("torch")
    tensors = encode_corpus(Spoiled(lambda v: torch.tensor(v).bfloat16().requires_grad_()), tiny, "image", "test")
    np.testing.assert_allclose(tensors, encode_corpus(Oracle(), tiny, "image", "test"), rtol=1e-6)


def test_huge_values_of_double_precision_are_refused(tiny: Benchmark) -> None:
    with pytest.raises(ModelError, match="NaN or infinity"):
        encode_corpus(Spoiled(lambda v: v.astype(np.float64) * 1e300), tiny, "image", "test")
