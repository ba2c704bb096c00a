"""What others make of a folder: ``datasets``, MTEB's own loader, mlcroissant."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tiny_benchmark import QUERIES, TYPES, Guess, seen, write_tiny

from mrbench.benchmark import Benchmark, pixel_sha256, schema
from mrbench.models.protocol import Item


@pytest.fixture(scope="module")
def offline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache of our own, so that no older folder of the same name is served, and no network."""
    import datasets
    import huggingface_hub.constants

    home = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", home / "datasets")
        patch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
        patch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
        datasets.disable_progress_bars()
        yield
        datasets.enable_progress_bars()


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    ("config", "rows"),
    [
        ("queries", sum(QUERIES.values())),
        ("corpus", 72),
        ("t2i-corpus", 36),
        ("i2t-corpus", 36),
        ("it2i-queries", QUERIES["it2i"]),
        ("top_ranked", sum(QUERIES.values())),
        ("ladders", sum(QUERIES.values())),
    ],
)
def test_datasets_reads_every_configuration(tiny: Benchmark, config: str, rows: int) -> None:
    from datasets import load_dataset

    loaded = load_dataset(str(tiny.folder), config, split="test")
    assert len(loaded) == rows
    assert ("positive-id" in loaded.column_names) == (config == "ladders")


@pytest.mark.usefixtures("offline")
def test_datasets_decodes_the_pictures_of_their_ids(tiny: Benchmark) -> None:
    from datasets import load_dataset

    written = {c.id: c.image.sha256 for c in tiny.corpus("image", "test")}
    rows = load_dataset(str(tiny.folder), "t2i-corpus", split="test")
    assert {row["id"]: pixel_sha256(row["image"]) for row in rows} == written
    assert set(rows.column_names) == {"id", "image"}  # MTEB cannot batch lists of grains
    mixed = load_dataset(str(tiny.folder), "corpus", split="test")
    assert {row["id"] for row in mixed if row["image"] is None} == {c.id for c in tiny.corpus("text", "test")}
    for row in mixed:
        if row["image"] is not None:
            assert {g["type"]: g["value"] for g in row["grains"]} == seen(row["image"])


@pytest.mark.usefixtures("offline")
def test_datasets_reads_variants(tmp_path: Path) -> None:
    from datasets import load_dataset

    from mrbench.benchmark import write_benchmark
    from mrbench.records import Grain, Query, Variant

    with write_benchmark(tmp_path / "probes") as writer:
        writer.add_queries("test", [Query("q", "t2i", "", (Grain("entity", "cat"),), "a cat")])
        writer.add_variants("test", "t2i", [Variant("q", "degrained", "entity", "p", "a thing")])
        writer.add_variants("test", "i2i", [])
        writer.finish(
            name="t", title="T", builder={}, seed=0, tools={}, sources=(), licence="", split_rule={}, description=""
        )
    (row,) = load_dataset(str(tmp_path / "probes"), "variants", split="test")
    assert (row["query-id"], row["grain"], row["text"], row["image"]) == ("q", "entity", "a thing", None)


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("task", QUERIES)
@pytest.mark.parametrize("ladder", [False, True])
def test_mteb_reads_each_task(tiny: Benchmark, task: str, ladder: bool) -> None:
    from mteb.abstasks.retrieval_dataset_loaders import RetrievalDatasetLoader

    config = f"{task}_ladder" if ladder else task
    loaded = RetrievalDatasetLoader(str(tiny.folder), revision="1", config=config).load()
    queries = {query.id: query for query in tiny.queries(task, "test")}
    assert set(loaded["queries"]["id"]) == set(queries)
    assert set(loaded["queries"].column_names) == {"id", *tiny.task(task).query_modality.split(",")}
    if task in ("t2i", "it2i"):
        assert {row["id"]: row["text"] for row in loaded["queries"]} == {q.id: q.text for q in queries.values()}
    corpus = tiny.corpus(tiny.task(task).candidate_modality, "test")
    assert set(loaded["corpus"]["id"]) == {c.id for c in corpus}
    expected: dict[str, dict[str, int]] = {}
    for judgement in tiny.judgements(task, "test"):
        expected.setdefault(judgement.query_id, {})[judgement.candidate_id] = judgement.relevance
    assert loaded["relevant_docs"] == expected
    ladders = {record.query_id: list(record.candidate_ids) for record in tiny.ladders(task, "test")}
    assert loaded["top_ranked"] == (ladders if ladder else None)


@pytest.mark.usefixtures("offline")
@pytest.mark.filterwarnings("ignore")  # of MTEB, on models and tasks that it does not know
@pytest.mark.parametrize("task", QUERIES)
def test_mteb_gets_the_same_scores(tiny: Benchmark, tmp_path: Path, task: str) -> None:
    import mteb
    import torch
    from mteb.abstasks.retrieval import AbsTaskRetrieval
    from mteb.abstasks.task_metadata import TaskMetadata
    from mteb.models.abs_encoder import AbsEncoder
    from mteb.models.model_meta import ModelMeta

    from mrbench.evaluation import evaluate

    ours = Guess("guess")

    about = {"name": "test/guess", "revision": "1", "modalities": ["text", "image"]}

    class Theirs(AbsEncoder):
        mteb_model_meta = ModelMeta.create_empty(about)

        def encode(self, inputs, **_):
            found = []
            for batch in inputs:
                number = len(next(iter(batch.values())))
                columns = [batch.get(name, [None] * number) for name in ("text", "image")]
                found.append(ours.embed_candidates([Item(*pair) for pair in zip(*columns, strict=True)]))
            return np.concatenate(found)

        def similarity(self, one, other):
            units = [np.asarray(x, dtype=float) / np.linalg.norm(x, axis=1, keepdims=True) for x in (one, other)]
            return torch.as_tensor(units[0] @ units[1].T)

    class Task(AbsTaskRetrieval):
        metadata = TaskMetadata(
            name=f"Tiny{task}",
            description="",
            reference=None,
            dataset={"path": str(tiny.folder), "revision": "1"},
            type="Any2AnyRetrieval",
            category=task,
            modalities=["text", "image"],
            eval_splits=["test"],
            eval_langs={task: ["eng-Latn"]},
            main_score="map_at_1000",
        )

    result = mteb.evaluate(Theirs(), Task(), cache=None, overwrite_strategy="always", show_progress_bar=False)
    theirs = result.task_results[0].scores["test"][0]
    scores = evaluate(tiny, ours, tmp_path / "r", tasks=[task]).tasks[task].scores
    assert theirs["map_at_1000"] == pytest.approx(scores["map"], abs=1e-5)
    assert theirs["recall_at_5"] == pytest.approx(scores["recall@5"], abs=1e-5)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the libraries that mlcroissant calls
def test_croissant_is_valid_and_its_records_can_be_read(
    tiny: Benchmark, caplog: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlcroissant

    monkeypatch.setenv("CROISSANT_CACHE", str(tmp_path))
    with caplog.at_level(logging.WARNING):
        dataset = mlcroissant.Dataset(jsonld=str(tiny.folder / "croissant.json"))
        issues = dataset.metadata.ctx.issues
        assert (issues.errors, issues.warnings) == (set(), set())
        name = "queries/t2i-test-00000"
        rows = list(dataset.records(record_set=name))
    assert caplog.records == []
    queries = list(tiny.queries("t2i", "test"))
    assert [row[f"{name}/text"].decode() for row in rows] == [query.text for query in queries]
    grains = [[g[f"{name}/grains/value"].decode() for g in row[f"{name}/grains"]] for row in rows]
    assert grains == [[grain.value for grain in query.grains] for query in queries]
    name = "top_ranked/i2t-test-00000"
    members = next(iter(dataset.records(record_set=name)))[f"{name}/corpus-ids"]
    assert tuple(m.decode() for m in members) == tiny.ladders("i2t", "test")[0].candidate_ids
    name = "corpus/image-test-00000"
    row = next(iter(dataset.records(record_set=name)))
    first = tiny.corpus("image", "test")[0]
    assert pixel_sha256(row[f"{name}/image"]) == first.image.sha256


def test_croissant_names_every_file_with_its_digest(tiny: Benchmark) -> None:
    raw = json.loads((tiny.folder / "croissant.json").read_text())
    files = {item["contentUrl"]: item["sha256"] for item in raw["distribution"]}
    assert files == {name: entry.sha256 for name, entry in tiny.manifest.files.items()}
    assert len(raw["recordSet"]) == len(files)


def test_card_says_what_is_in_the_folder(tmp_path: Path) -> None:
    text = (write_tiny(tmp_path / "t").folder / "README.md").read_text()
    for words in ("| test | corpus/image | 36 |", f"Grain types: {', '.join(sorted(TYPES))}.", "CC0-1.0"):
        assert words in text


def test_lists_are_written_as_every_version_of_datasets_reads_them() -> None:
    """Version 3 knows no feature ``List``, version 4 no other; both read a list of one feature."""
    text = {"dtype": "string", "_type": "Value"}
    info = json.loads(schema.QRELS.schema().metadata[b"huggingface"])["info"]["features"]
    assert info["violates"] == [text]
    for table in (schema.queries_table("image,text"), schema.corpus_table("image"), schema.QRELS, schema.TOP_RANKED):
        assert b'"List"' not in table.schema().metadata[b"huggingface"]
