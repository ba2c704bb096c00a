"""Embeddings computed elsewhere: ``vectors:DIR``."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import save_file
from tiny_benchmark import Oracle

from mrbench.benchmark import Benchmark, decode
from mrbench.encode import variant_id
from mrbench.errors import InputError, ModelError
from mrbench.evaluation import evaluate, rescore
from mrbench.models.protocol import Item
from mrbench.models.zoo import load_model

Tables = dict[str, tuple[list[str], np.ndarray[Any, Any]]]


def embed_all(benchmark: Benchmark, model: Oracle) -> Tables:
    """Return what a model makes of every record of a benchmark, by table."""

    def embed(records: list[tuple[str, Any]]) -> tuple[list[str], np.ndarray[Any, Any]]:
        items = [Item(r.text, r.image and decode(r.image, where=name)) for name, r in records]
        return [name for name, _ in records], model.embed_candidates(items)

    found = {f"corpus-{m}": embed([(c.id, c) for c in benchmark.corpus(m, "test")]) for m in ("image", "text")}
    for task in benchmark.task_names:
        queries = list(benchmark.queries(task, "test"))
        found[f"queries-{task}"] = embed([(q.id, q) for q in queries])
        named = [(variant_id(v.query_id, v.kind, v.grain, v.number), v) for v in benchmark.variants(task, "test")]
        found[f"variants-{task}"] = embed(named)
        if task == "it2i":
            parts = [(f"{q.id}/image", replace(q, text=None)) for q in queries]
            found[f"parts-{task}"] = embed(parts + [(f"{q.id}/text", replace(q, image=None)) for q in queries])
    return found


def write_parquet(path: Path, ids: list[str], vectors: Any) -> None:
    pq.write_table(pa.table({"id": ids, "vector": list(vectors)}), path.with_suffix(".parquet"))


def write_fixed(path: Path, ids: list[str], vectors: Any) -> None:
    flat = pa.array(np.ascontiguousarray(vectors).reshape(-1))
    lists = pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
    pq.write_table(pa.table({"id": pa.array(ids, pa.large_string()), "vector": lists}), path.with_suffix(".parquet"))


def write_npy(path: Path, ids: list[str], vectors: Any) -> None:
    np.save(path.with_suffix(".npy"), vectors)
    path.with_suffix(".ids.txt").write_text("\n".join(ids) + "\n")


def write_safetensors(path: Path, ids: list[str], vectors: Any) -> None:
    save_file({"vectors": vectors}, path.with_suffix(".safetensors"))
    path.with_suffix(".ids.txt").write_text("\n".join(ids))


def write(folder: Path, tables: Tables, writer: Callable[[Path, list[str], Any], None] = write_npy) -> Path:
    folder.mkdir(exist_ok=True)
    for name, (ids, vectors) in tables.items():
        backwards = slice(None, None, -1)  # the order of a file must not matter
        writer(folder / name, ids[backwards], np.ascontiguousarray(vectors[backwards]))
    return folder


@pytest.fixture(scope="module")
def tables(tiny: Benchmark) -> Tables:
    return embed_all(tiny, Oracle(blind_to=["count"]))


def scores(result: Any) -> dict[str, Any]:
    return {name: replace(task, seconds={}) for name, task in result.tasks.items()}


@pytest.mark.parametrize("writer", [write_parquet, write_fixed, write_npy, write_safetensors])
def test_vectors_score_as_the_model_that_made_them(
    tiny: Benchmark, tables: Tables, tmp_path: Path, writer: Callable[..., None]
) -> None:
    model = load_model(f"vectors:{write(tmp_path / 'mine', tables, writer)}")
    found = evaluate(tiny, model, tmp_path / "result")
    expected = evaluate(tiny, Oracle(blind_to=["count"]), tmp_path / "expected")
    assert scores(found) == scores(expected)
    assert found.model["name"] == "mine"
    assert found.model["modalities"] == ["image", "image,text", "text"]
    assert scores(rescore(tmp_path / "result", tiny)) == scores(found)


def test_a_sample_needs_the_vectors_of_its_queries_alone(tiny: Benchmark, tables: Tables, tmp_path: Path) -> None:
    asked = evaluate(tiny, Oracle(), tmp_path / "sample", tasks=["t2i"], limit=2)
    lacking = tables | {"queries-t2i": tuple(part[:1] for part in tables["queries-t2i"])}
    folder = write(tmp_path / "v", lacking)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="of 2 ids have no vector"):
        evaluate(tiny, load_model(f"vectors:{folder}"), tmp_path / "r", tasks=["t2i"], limit=2)
    assert asked.tasks["t2i"].queries == 2


def test_tables_that_are_not_there_are_tasks_that_the_model_does_not_take(
    tiny: Benchmark, tables: Tables, tmp_path: Path
) -> None:
    some = {name: table for name, table in tables.items() if "image" in name or ("i2i" in name and "it2i" not in name)}
    result = evaluate(tiny, load_model(f"vectors:{write(tmp_path / 'v', some)}"), tmp_path / "r")
    assert {name: task.status for name, task in result.tasks.items()} == {
        "t2i": "not supported",
        "i2t": "not supported",
        "i2i": "scored",
        "it2i": "not supported",
    }


def test_missing_ids_are_named_and_counted(tiny: Benchmark, tables: Tables, tmp_path: Path) -> None:
    ids, vectors = tables["corpus-image"]
    folder = write(tmp_path / "v", tables | {"corpus-image": (ids[5:], vectors[5:])})
    named = f"{ids[0]}, {ids[1]}, {ids[2]} and 2 more"
    line = rf"5 of {len(ids)} ids have no vector; where: .*corpus-image.npy; got: '{named}'"
    with pytest.raises(ModelError, match=line):
        evaluate(tiny, load_model(f"vectors:{folder}"), tmp_path / "r")
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("table", ["queries-t2i", "variants-t2i", "parts-it2i"])
def test_a_missing_table_is_named(tiny: Benchmark, tables: Tables, tmp_path: Path, table: str) -> None:
    folder = write(tmp_path / "v", tables)
    (folder / f"{table}.npy").unlink()
    (folder / "model.json").write_text(json.dumps({"modalities": ["text", "image", "image,text"]}))
    with pytest.raises(ModelError, match=f"lacks a table.*{table}"):
        evaluate(tiny, load_model(f"vectors:{folder}"), tmp_path / "r")


@pytest.mark.parametrize(("value", "message"), [(np.nan, "NaN or infinity"), (np.inf, "NaN"), (0.0, "all zeros")])
def test_vectors_that_cannot_be_scored_are_named(
    tiny: Benchmark, tables: Tables, tmp_path: Path, value: float, message: str
) -> None:
    ids, vectors = tables["queries-i2t"]
    wrong = vectors.copy()
    wrong[3] = value
    folder = write(tmp_path / "v", tables | {"queries-i2t": (ids, wrong)})
    with pytest.raises(ModelError, match=f"{message}.*queries-i2t, {ids[3]}"):
        evaluate(tiny, load_model(f"vectors:{folder}"), tmp_path / "r")


def test_the_revision_follows_what_the_tables_hold(tables: Tables, tmp_path: Path) -> None:
    folder = write(tmp_path / "v", tables)
    before = load_model(f"vectors:{folder}").revision
    assert load_model(f"vectors:{folder}").revision == before
    ids, vectors = tables["queries-t2i"]
    write_npy(folder / "queries-t2i", ids, vectors * np.float32(1.0001))
    assert load_model(f"vectors:{folder}").revision != before


def test_settings(tiny: Benchmark, tables: Tables, tmp_path: Path) -> None:
    folder = write(tmp_path / "v", tables)
    said = {"name": "clip-large", "revision": "main", "benchmark": tiny.digest[:12], "modalities": ["text", "image"]}
    (folder / "model.json").write_text(json.dumps(said))
    result = evaluate(tiny, load_model(f"vectors:{folder}"), tmp_path / "r", tasks=["t2i", "it2i"])
    assert (result.model["name"], result.model["revision"][:12]) == ("clip-large", "main sha256:")
    assert result.tasks["it2i"].status == "not supported"
    (folder / "model.json").write_text(json.dumps(said | {"benchmark": "0123"}))
    with pytest.raises(ModelError, match="of another benchmark; where: clip-large; got: '0123'"):
        evaluate(tiny, load_model(f"vectors:{folder}"), tmp_path / "r2")


class Canary:
    """Leaves a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_a_pickle_is_refused_and_never_runs(tmp_path: Path) -> None:
    folder, ran = tmp_path / "v", tmp_path / "ran"
    folder.mkdir()
    np.save(folder / "corpus-image.npy", np.array([[Canary(ran)]], dtype=object), allow_pickle=True)
    (folder / "corpus-image.ids.txt").write_text("a")
    with pytest.raises(ModelError, match="pickled objects are not read"):
        load_model(f"vectors:{folder}")
    assert not ran.exists()


ONE = np.ones((2, 3), dtype=np.float32)


@pytest.mark.parametrize(
    ("ids", "vectors", "message"),
    [
        (["a"], ONE, "another number of ids than of vectors.*got: 1; accepted: 2"),
        (["a", "a"], ONE, "an id is there twice.*got: 'a'"),
        (["a", "b"], ONE[0], "not a table of vectors.*shape"),
        (["a", "b"], ONE.astype(np.int64), "not a table of vectors.*int64"),
    ],
)
def test_malformed_tables(tmp_path: Path, ids: list[str], vectors: Any, message: str) -> None:
    write_npy(tmp_path / "corpus-image", ids, vectors)
    with pytest.raises(ModelError, match=message):
        load_model(f"vectors:{tmp_path}")


def test_malformed_files(tmp_path: Path) -> None:
    def refused(message: str) -> None:
        with pytest.raises((ModelError, InputError), match=message):
            load_model(f"vectors:{folder}")

    folder = tmp_path / "v"
    refused("no such folder")
    folder.mkdir()
    refused("holds no table of vectors.*got: 'nothing'")
    (folder / "corpus-text.parquet").write_bytes(b"PAR1")
    refused("cannot read the vectors")
    pq.write_table(pa.table({"id": ["a"], "embedding": [[1.0]]}), folder / "corpus-text.parquet")
    refused("lacks a column.*embedding")
    write_parquet(folder / "corpus-text", ["a", "b"], [[1.0, 2.0], [1.0]])
    refused("differ in length")
    pq.write_table(pa.table({"id": [1], "vector": [[1.0]]}), folder / "corpus-text.parquet")
    refused("a column of another type")
    write_parquet(folder / "corpus-text", ["a", "b"], ONE)
    write_npy(folder / "corpus-image", ["a", "b"], ONE[:, :2])
    refused("differ in dimension.*got: 3; accepted: 2")
    write_npy(folder / "corpus-image", ["a", "b"], ONE)
    load_model(f"vectors:{folder}")
    write_npy(folder / "corpus-text", ["a", "b"], ONE)
    refused("a table is there twice")
    (folder / "corpus-text.parquet").unlink()
    (folder / "corpus-text.ids.txt").unlink()
    refused("the vectors have no ids")
    (folder / "corpus-text.npy").unlink()
    (folder / "corpus-text.safetensors").write_bytes(b"\x00" * 20)
    (folder / "corpus-text.ids.txt").write_text("a\nb")
    refused("cannot read the vectors")
    (folder / "corpus-text.safetensors").unlink()
    for text, message in (("[]", "unreadable settings"), ("{", "unreadable"), ('{"name": 3}', "malformed setting")):
        (folder / "model.json").write_text(text)
        refused(message)
    (folder / "model.json").write_text('{"modalities": ["sound"]}')
    refused("malformed setting.*modalities")


def test_16_bit_vectors(tiny: Benchmark, tables: Tables, tmp_path: Path) -> None:
    half = {name: (ids, vectors.astype(np.float16)) for name, (ids, vectors) in tables.items()}
    result = evaluate(tiny, load_model(f"vectors:{write(tmp_path / 'v', half)}"), tmp_path / "r", tasks=["t2i"])
    assert result.model["dtype"] == "float16"
    assert result.tasks["t2i"].status == "scored"
