"""A multi-vector model whose sight is known: its scores are counts of grains; its cache holds what it returned."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from tiny_benchmark import TYPES, VALUES, read, seen

from mrbench.arrays import Ragged, Rows
from mrbench.benchmark import Benchmark, decode
from mrbench.encode import EmbeddingStore, Share, open_store
from mrbench.encode.ragged_store import RaggedStore, stacked
from mrbench.encode.store import cached, clear
from mrbench.errors import ModelError
from mrbench.evaluation import embed, evaluate, rescore
from mrbench.models.protocol import Item
from mrbench.runs import read_run


def whole_files(cache: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in cache.rglob("*") if path.is_file()}


class Tokens:
    """A vector for each grain that it sees, and one for all; queries have one more, which is near to none."""

    name, revision, device, dtype = "tokens", "1", "cpu", "float32"
    modalities = frozenset(("text", "image"))
    dimension = 2 + sum(map(len, VALUES.values()))
    multi_vector = True
    embedded = 0

    def embed_queries(self, items: Sequence[Item], instruction: str) -> Ragged:
        return self._rows(items, [[*self._hot(item), self.dimension - 1] for item in items])

    def embed_candidates(self, items: Sequence[Item]) -> Ragged:
        return self._rows(items, [self._hot(item) for item in items])

    def _hot(self, item: Item) -> list[int]:
        grains = read(item.text) if item.text is not None else seen(item.image)
        every = [(kind, value) for kind in TYPES for value in VALUES[kind]]
        return [0, *(1 + every.index(one) for one in grains.items())]

    def _rows(self, items: Sequence[Item], hot: list[list[int]]) -> Ragged:
        self.embedded += len(items)
        flat = 3 * np.eye(self.dimension, dtype=np.float32)[np.concatenate(hot)]  # of length 3: divided by it
        return Ragged.of_counts(flat, np.array([len(one) for one in hot]))


def test_scores_are_the_number_of_grains_in_common(tiny: Benchmark, tmp_path: Path) -> None:
    result = evaluate(tiny, Tokens(), tmp_path / "out")
    assert result.tasks["it2i"].status == "not supported"
    assert result.model["multi_vector"] is True
    assert result.model["dimension"] == Tokens.dimension
    task = result.tasks["t2i"]
    per_item = [task.setting[f"vectors per {side}"] for side in ("query", "candidate")]
    assert per_item == ["4.5", "4.0"]  # one for each of two or three grains, one for all, one of queries alone
    assert task.scores["hit_rate@1"] == 1.0
    run = read_run(tmp_path / "out").tasks["t2i"]
    records = {record.id: read(record.text) for record in tiny.queries("t2i", "test")}
    candidates = {record.id: record for record in tiny.corpus("image", "test")}
    grains = {name: seen(decode(one.image, where=name)) for name, one in candidates.items()}
    for query, candidate, score in zip(
        *(run.top[name].to_pylist() for name in ("query-id", "corpus-id", "score")), strict=True
    ):
        assert score == 1 + len(records[query].items() & grains[candidate].items())
    rows = run.variants.to_pylist()
    dropped = [row for row in rows if row["kind"] == "degrained"]
    # Of a query with three grains one of five vectors is far from all four of the variant: (1/5 + 0/4) / 2.
    assert {round(row["distance"], 6) for row in dropped} == {0.1, 0.125}
    again = rescore(tmp_path / "out", tiny)
    assert again.tasks == result.tasks


def test_a_cache_keeps_several_vectors_an_item(tiny: Benchmark, tmp_path: Path) -> None:
    first, second = Tokens(), Tokens()
    alone = evaluate(tiny, Tokens(), tmp_path / "alone", tasks=["t2i"])
    one = evaluate(tiny, first, tmp_path / "one", tasks=["t2i"], cache=tmp_path / "cache")
    other = evaluate(tiny, second, tmp_path / "two", tasks=["t2i"], cache=tmp_path / "cache")
    assert first.embedded > 0 == second.embedded
    assert alone.tasks["t2i"].scores == one.tasks["t2i"].scores == other.tasks["t2i"].scores
    held = whole_files(tmp_path / "cache")
    assert all(data.startswith((b"MRBMUL01", b"{")) for data in held.values())
    shared = tmp_path / "shared"
    for process in (1, 0):
        share = Share(process, 2, patience=0.1 if process else 300.0)
        embed(tiny, Tokens(), shared, share, tasks=["t2i"])
    assert set(whole_files(shared)) == set(held)
    (entry,) = cached(tmp_path / "cache")
    assert entry.model["name"] == "tokens"
    clear(entry)
    assert cached(tmp_path / "cache") == []


@pytest.mark.parametrize("fault", ["cut", "altered", "counts"])
def test_a_damaged_unit_is_made_again(tiny: Benchmark, tmp_path: Path, fault: str) -> None:
    cache, model = tmp_path / "cache", Tokens()
    evaluate(tiny, model, tmp_path / "one", tasks=["t2i"], cache=cache)
    unit = max(cache.rglob("*.unit"), key=lambda path: path.stat().st_size)
    whole = unit.read_bytes()
    if fault == "cut":
        unit.write_bytes(whole[: len(whole) // 2])
    elif fault == "altered":
        unit.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
    else:  # a count of 0 under a right digest: no item is without a vector
        items, count = int.from_bytes(whole[8:16], "little"), 32
        at = 32 + items * count
        broken = whole[:at] + bytes(8) + whole[at + 8 : -32]
        unit.write_bytes(broken + hashlib.sha256(broken + RaggedStore(model, cache)._model).digest())
    again = Tokens()
    evaluate(tiny, again, tmp_path / "two", tasks=["t2i"], cache=cache)
    assert again.embedded > 0
    assert unit.read_bytes() == whole


def test_what_is_gathered_is_in_the_order_that_is_asked_for(tmp_path: Path) -> None:
    keys = [bytes([n]) * 32 for n in range(5)]
    flat = np.random.default_rng(0).standard_normal((9, Tokens.dimension)).astype(np.float32)
    rows = Ragged.of_counts(flat, np.array([1, 3, 2, 1, 2]))
    for folder in (None, tmp_path):
        store = open_store(Tokens(), folder)
        assert isinstance(store, RaggedStore)
        store.put(keys[:2], rows[:2])
        store.put(keys[2:], rows[2:])
        order = [4, 0, 1, 4, 2]
        found = store.gather([keys[n] for n in order])
        assert found.counts.tolist() == rows.counts[order].tolist()
        assert np.array_equal(found.flat, rows[order].flat)
    for path in tmp_path.rglob("*.unit"):
        path.unlink()
    assert store.gather(keys) is None
    assert keys[0] not in store
    single = type("One", (Tokens,), {"multi_vector": False})()
    assert type(open_store(single)) is EmbeddingStore
    parts: list[Rows] = [rows[:2], rows[2:]]
    assert np.array_equal(stacked(parts, None).flat, rows.flat)
    assert stacked(parts, None).counts.tolist() == rows.counts.tolist()


def test_faults_of_a_multi_vector_model_are_one_line(tiny: Benchmark, tmp_path: Path) -> None:
    class Flat(Tokens):
        def embed_queries(self, items: Sequence[Item], instruction: str) -> Ragged:
            return super().embed_queries(items, instruction).flat  # type: ignore[return-value]

    with pytest.raises(ModelError, match=r"not several vectors an item; where: tokens; got: 'ndarray'"):
        evaluate(tiny, Flat(), tmp_path / "out", tasks=["t2i"])
    summed = type("Summed", (Tokens,), {"additive": True})()
    with pytest.raises(ModelError, match="cannot be additive"):
        evaluate(tiny, summed, tmp_path / "out", tasks=["t2i"])
    assert not (tmp_path / "out").exists()
