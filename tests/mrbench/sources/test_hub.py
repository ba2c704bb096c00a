"""Hub data sets: MTEB's, BEIR's and NanoBEIR's layouts, the hub's cache, mixed modalities, and bad input."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import pytrec_eval
from photos import opened, relevant, texts, write_jsonl
from PIL import Image

from mrbench.benchmark import Benchmark
from mrbench.errors import BenchmarkError, InputError
from mrbench.evaluation import evaluate
from mrbench.models.controls import ConstantModel
from mrbench.records import ImageData, ImageFile
from mrbench.sources.files import read_jsonl, read_table
from mrbench.validate import Report, check_contents

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def png(level: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), (level, 0, 0)).save(buffer, "PNG")
    return buffer.getvalue()


def write_parquet(path: Path, rows: list[dict[str, Any]], *, rows_per_group: int = 2, **types: pa.DataType) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist(rows)
    for name, kind in types.items():
        column = pa.array([row.get(name) for row in rows], kind)
        table = table.set_column(table.column_names.index(name), name, column)
    pq.write_table(table, path, row_group_size=rows_per_group)
    return path


def write_beir(folder: Path, *, qrels: str = "q 1\td/1\t2\nq 1\td:2\t0\nq2\td#3\t1\n") -> Path:
    corpus = [
        {"_id": "d/1", "title": "Cats", "text": "They purr.", "metadata": {}},
        {"_id": "d:2", "title": "", "text": " Dogs bark. "},
        {"_id": "d#3", "title": "Owls", "text": ""},
    ]
    write_jsonl(folder / "corpus.jsonl", corpus)
    write_jsonl(folder / "queries.jsonl", [{"_id": name, "text": f"text {name}"} for name in ("q 1", "q2", "other")])
    (folder / "qrels").mkdir(exist_ok=True)
    (folder / "qrels/test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{qrels}", encoding="utf-8")
    return folder


def write_card(folder: Path, **configs: dict[str, str]) -> None:
    lines = ["---", "license: mit", "configs:"]
    for name, splits in configs.items():
        lines += [f"- config_name: {name.replace('__', '-')}", "  data_files:"]
        lines += [line for split, path in splits.items() for line in (f"  - split: {split}", f"    path: {path}")]
    (folder / "README.md").write_text("\n".join([*lines, "---", "", "# A data set", ""]), encoding="utf-8")


def test_beir_s_layout(tmp_path: Path) -> None:
    benchmark = opened("hub", write_beir(tmp_path))
    assert (benchmark.task_names, benchmark.splits, benchmark.corpora) == (("t2t",), ("test",), {"corpus": "text"})
    assert texts(benchmark, "corpus") == {"d/1": "Cats They purr.", "d:2": "Dogs bark.", "d#3": "Owls"}
    assert [query.id for query in benchmark.queries("t2t", "test")] == ["q 1", "q2"]
    judgements = [(j.query_id, j.candidate_id, j.relevance) for j in benchmark.judgements("t2t", "test")]
    assert judgements == [("q 1", "d/1", 2), ("q 1", "d:2", 0), ("q2", "d#3", 1)]
    assert benchmark.task("t2t").main == "ndcg@10"
    assert benchmark.notes() == ("test: queries without a judgement left out: 1",)


def test_titles_are_joined_as_mteb_joins_them() -> None:
    from mteb._create_dataloaders import _corpus_to_dict

    from mrbench.sources.hub_tables import row_text

    for row in (
        {"title": "A", "text": "b "},
        {"title": "", "text": " b"},
        {"title": "A ", "text": ""},
        {"text": "b\n"},
    ):
        assert row_text(row, "") == _corpus_to_dict({"id": "1", **row})["text"]


def test_several_splits_and_grades(tmp_path: Path) -> None:
    folder = write_beir(tmp_path)
    (folder / "qrels/dev.tsv").write_text("query-id\tcorpus-id\tscore\nother\td:2\t3\n")
    benchmark = opened("hub", folder)
    assert benchmark.splits == ("validation", "test")
    assert [query.id for query in benchmark.queries("t2t", "validation")] == ["other"]
    assert benchmark.judgements("t2t", "validation")[0].relevance == 3
    assert opened("hub", folder, "split=dev").splits == ("test",)


def test_a_data_card_s_configurations_subsets_and_lists(tmp_path: Path) -> None:
    write_parquet(tmp_path / "c.parquet", [{"id": "1", "text": "one"}, {"id": "2", "text": "two"}])
    write_parquet(tmp_path / "q.parquet", [{"id": 7, "text": "which?", "instruction": "Answer."}])
    write_parquet(tmp_path / "r.parquet", [{"query-id": 7, "corpus-id": "2", "score": 1.0}])
    write_parquet(tmp_path / "t.parquet", [{"query-id": 7, "corpus-ids": ["2", "1"]}])
    tables = {"corpus": "c", "queries": "q", "qrels": "r", "top_ranked": "t"}
    write_card(tmp_path, **{f"en__{name}": {"test": f"{file}.parquet"} for name, file in tables.items()})
    with pytest.raises(BenchmarkError, match=r"no corpus.*subset=NAME, one of en"):
        opened("hub", tmp_path)
    with pytest.raises(InputError, match=r"unknown subset.*'de'.*en"):
        opened("hub", tmp_path, "subset=de&split=test")
    benchmark = opened("hub", tmp_path, "subset=en")
    assert benchmark.manifest.licence == "mit"
    query = benchmark.queries("t2t", "test")[0]
    assert (query.id, query.text, query.instruction) == ("7", "which?", "Answer.")
    assert benchmark.task("t2t").pool == "lists"
    assert benchmark.lists("t2t", "test")[0].candidate_ids == ("2", "1")
    assert benchmark.judgements("t2t", "test")[0].relevance == 1
    whole = opened("hub", tmp_path, "subset=en&top_ranked=ignore")
    assert (whole.task("t2t").pool, len(whole.lists("t2t", "test"))) == ("corpus", 0)


def test_what_a_list_lacks_is_not_relevant_there_and_counts_against_a_model_in_mteb(tmp_path: Path) -> None:
    folder = write_beir(tmp_path / "data", qrels="q 1\td/1\t1\nq 1\td:2\t1\nq2\td#3\t1\n")
    write_jsonl(
        folder / "top_ranked.jsonl",
        [{"query-id": "q 1", "corpus-ids": ["d/1", "d#3"]}, {"query-id": "q2", "corpus-ids": ["d/1", "d:2"]}],
    )
    tables = {"corpus": "corpus", "queries": "queries", "qrels": "qrels/test", "top_ranked": "top_ranked"}
    endings = {"qrels": "tsv"}
    write_card(folder, **{name: {"test": f"{path}.{endings.get(name, 'jsonl')}"} for name, path in tables.items()})
    benchmark = opened("hub", folder)
    task = evaluate(benchmark, ConstantModel(), tmp_path / "r").tasks["t2t"]
    assert (task.queries, task.setting["queries without a relevant candidate"]) == (1, 1)
    assert task.scores["map@1000"] == task.chance["map@1000"] == pytest.approx((1 + 1 / 2) / 2)  # one relevant of two
    qrels = {"q 1": {"d/1": 1, "d:2": 1}, "q2": {"d#3": 1}}
    run = {"q 1": {"d/1": 1.0, "d#3": 0.5}, "q2": {"d/1": 1.0, "d:2": 0.5}}
    best = pytrec_eval.RelevanceEvaluator(qrels, {"map"}).evaluate(run)
    assert [best[query]["map"] for query in run] == [0.5, 0]
    report = Report()
    check_contents(benchmark, report)
    assert report.notes["lists t2t, test: relevant candidates outside of the lists"] == 2


def test_instructions_of_a_table_of_their_own(tmp_path: Path) -> None:
    folder = write_beir(tmp_path)
    write_jsonl(folder / "instruction.jsonl", [{"query-id": "q 1", "instruction": "Find a cat."}])
    queries = list(opened("hub", folder, "instruction=Search.").queries("t2t", "test"))
    assert [query.instruction for query in queries] == ["Find a cat.", "Search."]


def test_nanobeir_s_single_split_and_qrels_without_scores(tmp_path: Path) -> None:
    write_parquet(
        tmp_path / "corpus/train-00000-of-00001.parquet", [{"_id": "a", "text": "x"}, {"_id": "b", "text": "y"}]
    )
    write_parquet(tmp_path / "queries/train-00000-of-00001.parquet", [{"_id": "q", "text": "x?"}])
    write_parquet(tmp_path / "qrels/train-00000-of-00001.parquet", [{"query-id": "q", "corpus-id": "a"}])
    benchmark = opened("hub", tmp_path)
    assert benchmark.splits == ("test",)
    assert relevant(benchmark, "t2t") == {"q": {"a"}}


def write_mixed(folder: Path) -> Path:
    rows = [
        {"id": "i1", "image": {"bytes": png(10), "path": None}, "text": None},
        {"id": "t1", "image": None, "text": "a text"},
        {"id": "b1", "image": {"bytes": png(20), "path": "b.png"}, "text": "both"},
        {"id": "i2", "image": {"bytes": png(30), "path": None}, "text": ""},
        {"id": "t2", "image": None, "text": ""},
    ]
    write_parquet(folder / "corpus/test-00000-of-00001.parquet", rows, image=IMAGE)
    queries = [
        {"id": "q1", "image": {"bytes": png(40), "path": None}, "text": None},
        {"id": "q2", "image": {"bytes": png(50), "path": None}, "text": "like this"},
        {"id": "not judged", "image": {"bytes": png(60), "path": None}, "text": None},
    ]
    write_parquet(folder / "queries/test-00000-of-00001.parquet", queries, image=IMAGE)
    qrels = [{"query-id": q, "corpus-id": c, "score": 1} for q, c in (("q1", "i1"), ("q2", "t1"), ("q2", "b1"))]
    write_parquet(folder / "qrels/test-00000-of-00001.parquet", qrels)
    return folder


def test_mixed_modalities_are_a_corpus_each_and_images_stay_in_the_file(tmp_path: Path) -> None:
    benchmark = opened("hub", write_mixed(tmp_path))
    assert benchmark.corpora == {"corpus.text": "text", "corpus.image": "image", "corpus.image_text": "image,text"}
    assert [c.id for c in benchmark.corpus("corpus.image", "test")] == ["i1", "i2"]
    assert [c.id for c in benchmark.corpus("corpus.text", "test")] == ["t1", "t2"]
    both = benchmark.corpus("corpus.image_text", "test")[0]
    assert (both.id, both.text, both.image) == ("b1", "both", ImageData(png(20), ""))
    assert benchmark.task_names == ("i2it", "it2it")
    assert [query.id for query in benchmark.queries("i2it", "test")] == ["q1"]
    assert relevant(benchmark, "it2it") == {"q2": {"t1", "b1"}}
    # Ids are read without the images, and nothing is held: each chunk is read anew.
    chunks = benchmark.corpus("corpus.image", "test")._chunks
    assert [chunk.read(["id"]).column_names for chunk in chunks] == [["id"], ["id"]]
    assert benchmark.corpus("corpus.image", "test").ids.to_pylist() == ["i1", "i2"]


def test_mixed_modalities_in_json_lines_and_images_by_path(tmp_path: Path) -> None:
    folder = write_beir(tmp_path, qrels="q 1\tp\t1\n")
    (folder / "pictures").mkdir()
    (folder / "pictures/p.png").write_bytes(png(3))
    rows = [{"_id": "p", "image": "pictures/p.png"}, {"_id": "t", "text": 'says "image" too'}]
    write_jsonl(folder / "corpus.jsonl", rows)
    benchmark = opened("hub", folder)
    assert benchmark.corpora == {"corpus.text": "text", "corpus.image": "image"}
    image = benchmark.corpus("corpus.image", "test")[0].image
    assert isinstance(image, ImageFile)
    assert image.data == png(3)
    write_jsonl(folder / "corpus.jsonl", [{"_id": "p", "image": "../p.png"}])
    with pytest.raises(BenchmarkError, match="leaves the image folder"):
        list(opened("hub", folder).corpus("corpus", "test"))


def test_the_hub_s_cache_is_read_and_the_revision_is_the_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    commit, old = "a" * 40, "b" * 40
    folder = tmp_path / "datasets--org--set"
    for revision, name in ((commit, "main"), (old, "v1")):
        snapshot = folder / "snapshots" / revision
        snapshot.mkdir(parents=True)
        write_beir(snapshot)
        (folder / "refs").mkdir(exist_ok=True)
        (folder / "refs" / name).write_text(revision)
    corpus = folder / "snapshots" / commit / "corpus.jsonl"
    digest = hashlib.sha256(corpus.read_bytes()).hexdigest()
    (folder / "blobs").mkdir()
    corpus.rename(folder / "blobs" / digest)
    corpus.symlink_to(f"../../blobs/{digest}")
    benchmark = opened("hub", "org/set")
    assert benchmark.name == "set"
    assert benchmark.notes()[0] == f"revision {commit}"
    assert opened("hub", "org/set@v1").notes()[0] == f"revision {old}"
    # The same files have the same digest, in the cache and in a folder.
    assert benchmark.digest == opened("hub", "org/set@v1").digest == opened("hub", write_beir(tmp_path / "x")).digest
    with pytest.raises(BenchmarkError, match=r"not in the local hub cache.*hf download org/other --repo-type dataset"):
        opened("hub", "org/other")
    with pytest.raises(BenchmarkError, match="hf download org/set --repo-type dataset --revision nope"):
        opened("hub", "org/set@nope")


def test_judgements_in_a_data_set_of_their_own(tmp_path: Path) -> None:
    folder = write_beir(tmp_path / "a")
    (tmp_path / "b").mkdir()
    (folder / "qrels/test.tsv").rename(tmp_path / "b/test.tsv")
    (folder / "qrels").rmdir()
    with pytest.raises(BenchmarkError, match="has no qrels"):
        opened("hub", folder)
    benchmark = opened("hub", folder, f"qrels={tmp_path / 'b'}")
    assert relevant(benchmark, "t2t") == {"q 1": {"d/1"}, "q2": {"d#3"}}
    (tmp_path / "b").rename(tmp_path / "moved")
    assert opened("hub", folder, f"qrels={tmp_path / 'moved'}").digest == benchmark.digest


@pytest.mark.parametrize(
    ("qrels", "said"),
    [
        (
            "q 1\td/1\t1\nq 1\tx1\t1\nq2\tx2\t1\nq2\tx2\t1\n",
            r"3 judgements name unknown candidates \(2\).*x1, x2.*unknown=drop",
        ),
        (
            "q 1\td/1\t1\nq9\tx1\t1\nq8\td/1\t1\n",
            r"2 judgements name unknown queries \(2\) and 1 judgement names unknown candidates \(1\); .*'q9, q8; x1'",
        ),
        ("q 1\td/1\t1\nq9\td/1\t1\n", r"1 judgement names unknown queries \(1\).*q9"),
        ("q 1\td/1\t-1\n", r"negative relevance; where: .*test.tsv:2"),
        ("q 1\td/1\t1\nq2\td/1\t0.5\n", r"relevance is no whole number; where: .*test.tsv:3"),
        ("q 1\td/1\t99999999999\n", r"relevance is too large; where: .*test.tsv:2"),
        ("q 1\td/1\tgood\n", r"relevance is no whole number; where: .*test.tsv:2"),
        ("q 1\td/1\t1\nq 1\td/1\t0\n", r"two different judgements \(1\).*'q 1 d/1: 0 and 1'"),
        (
            "q 1\td/1\t1\t\nq2\td/1\t1\t0\n",
            r"two columns .* differ; where: .*test.tsv:3; got: 'score: 1; relevance: 0'",
        ),
        ("q 1\td/1\n", r"another number of cells.*test.tsv:2"),
        ("", r"no judgement"),
    ],
)
def test_bad_judgements_are_named(tmp_path: Path, qrels: str, said: str) -> None:
    folder = write_beir(tmp_path, qrels=qrels)
    if "two columns" in said:
        path = folder / "qrels/test.tsv"
        path.write_text(path.read_text().replace("score\n", "score\trelevance\n"))
    benchmark = opened("hub", folder)
    with pytest.raises(BenchmarkError, match=said):
        list(benchmark.judgements("t2t", "test"))


def test_headers_in_capitals_are_read(tmp_path: Path) -> None:
    """A score that is not read would make every pair relevant."""
    plain = opened("hub", write_beir(tmp_path / "plain"))
    folder = write_beir(tmp_path / "loud")
    path = folder / "qrels/test.tsv"
    path.write_text(path.read_text().replace("query-id\tcorpus-id\tscore", "Query-ID\tCorpus-ID\tScore"))
    for name in ("corpus", "queries"):
        path = folder / f"{name}.jsonl"
        path.write_text(
            path.read_text().replace('"_id"', '"_ID"').replace('"text"', '"Text"').replace('"title"', '"TITLE"')
        )
    check_alike(opened("hub", folder), plain)


def test_headers_of_parquet_files_in_capitals_are_read(tmp_path: Path) -> None:
    plain = write_beir(tmp_path / "plain")
    for kind in ("low", "High"):
        (tmp_path / kind).mkdir()
        for name in ("corpus", "queries", "qrels"):
            path = plain / (f"{name}.jsonl" if name != "qrels" else "qrels/test.tsv")
            rows = [row for _, row in (read_table if name == "qrels" else read_jsonl)(path)]
            rows = [{key.title() if kind == "High" else key: row.get(key, "") for key in rows[-1]} for row in rows]
            write_parquet(tmp_path / kind / f"{name}/test.parquet", rows)
    check_alike(opened("hub", tmp_path / "High"), opened("hub", tmp_path / "low"))
    check_alike(opened("hub", tmp_path / "High"), opened("hub", plain))


def check_alike(benchmark: Benchmark, plain: Benchmark) -> None:
    assert texts(benchmark, "corpus") == texts(plain, "corpus")
    assert [query.text for query in benchmark.queries("t2t", "test")] == [q.text for q in plain.queries("t2t", "test")]
    found, wanted = (
        [(j.query_id, j.candidate_id, j.relevance) for j in one.judgements("t2t", "test")] for one in (benchmark, plain)
    )
    assert found == wanted
    assert 0 in {relevance for _, _, relevance in found}


def test_unknown_ids_can_be_left_out_and_are_counted(tmp_path: Path) -> None:
    benchmark = opened(
        "hub", write_beir(tmp_path, qrels="q 1\td/1\t1\nq 1\td/1\t1\nq2\tx\t1\nz\td/1\t1\n"), "unknown=drop"
    )
    assert relevant(benchmark, "t2t") == {"q 1": {"d/1"}}
    assert len(benchmark.judgements("t2t", "test")) == 1
    assert set(benchmark.notes()) >= {
        "test: judgements of unknown queries left out: 1 (z)",
        "test: judgements of unknown candidates left out: 1 (x)",
        "test: judgements that are there twice: 1",
    }


def test_a_tsv_file_with_quotes(tmp_path: Path) -> None:
    benchmark = opened("hub", write_beir(tmp_path, qrels='"q 1"\t"d/1"\t"1"\n'))
    assert relevant(benchmark, "t2t") == {"q 1": {"d/1"}}


def test_malformed_corpora_are_named(tmp_path: Path) -> None:
    folder = write_beir(tmp_path)
    good = (folder / "corpus.jsonl").read_text()
    (folder / "corpus.jsonl").write_text(good + good.splitlines()[0] + "\n")
    with pytest.raises(BenchmarkError, match=r"ids that are there twice \(1\).*d/1"):
        list(opened("hub", folder).judgements("t2t", "test"))
    (folder / "corpus.jsonl").write_text(good + "{oops\n")
    with pytest.raises(BenchmarkError, match=r"not JSON; where: .*corpus.jsonl:4"):
        list(opened("hub", folder).corpus("corpus", "test"))
    (folder / "corpus.jsonl").write_text('{"text": "no id"}\n')
    with pytest.raises(BenchmarkError, match=r"a row has no id; where: .*corpus.jsonl:1"):
        list(opened("hub", folder).corpus("corpus", "test"))
    (folder / "corpus.jsonl").write_text('{"_id": "a", "text": 3}\n')
    with pytest.raises(BenchmarkError, match="a text is of another type"):
        list(opened("hub", folder).corpus("corpus", "test"))
    (folder / "corpus.jsonl").unlink()
    with pytest.raises(BenchmarkError, match="has no corpus"):
        opened("hub", folder)


def test_damaged_parquet_and_other_layouts(tmp_path: Path) -> None:
    folder = write_mixed(tmp_path / "a")
    path = folder / "corpus/test-00000-of-00001.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(BenchmarkError, match="a file cannot be read"):
        opened("hub", folder)
    (tmp_path / "none").mkdir()
    with pytest.raises(BenchmarkError, match=r"another layout.*corpus.jsonl"):
        opened("hub", tmp_path / "none")
    with pytest.raises(BenchmarkError, match="no such folder"):
        opened("hub", "no-folder")
    write_card(tmp_path / "none", corpus={"test": "../../etc/*.parquet"})
    with pytest.raises(BenchmarkError, match="leaves its folder"):
        opened("hub", tmp_path / "none")
    write_card(tmp_path / "none", corpus={"test": "gone-*.parquet"})
    with pytest.raises(BenchmarkError, match=r"files of a configuration are missing.*gone"):
        opened("hub", tmp_path / "none")
    (tmp_path / "none/README.md").write_text("---\nconfigs: [\n---\n")
    with pytest.raises(BenchmarkError, match="not YAML"):
        opened("hub", tmp_path / "none")


def test_a_list_with_an_unknown_candidate_is_named(tmp_path: Path) -> None:
    folder = write_beir(tmp_path)
    write_jsonl(folder / "top_ranked.jsonl", [{"query-id": "q 1", "corpus-ids": ["d/1", "zz"]}])
    with pytest.raises(BenchmarkError, match=r"unknown candidates \(1\); where: .*top_ranked.jsonl:1; got: 'zz'"):
        list(opened("hub", folder).lists("t2t", "test"))


def test_two_splits_that_are_one_of_ours_have_to_be_chosen(tmp_path: Path) -> None:
    folder = write_beir(tmp_path)
    (folder / "qrels/test_hard.tsv").write_text((folder / "qrels/test.tsv").read_text())
    with pytest.raises(InputError, match=r"two splits are test.*test, test_hard.*split=NAME"):
        opened("hub", folder)
    assert opened("hub", folder, "split=test_hard").splits == ("test",)


@pytest.mark.slow
def test_a_large_corpus_is_streamed(tmp_path: Path) -> None:
    """Reading 400 MB of texts in Parquet takes less than 300 MB, all of Python and Arrow included."""
    folder = tmp_path / "big"
    (folder / "corpus").mkdir(parents=True)
    schema = pa.schema([("id", pa.string()), ("text", pa.string())])
    with pq.ParquetWriter(folder / "corpus/test-00000-of-00001.parquet", schema) as writer:
        for start in range(0, 200_000, 2_000):
            ids = [f"d{n}" for n in range(start, start + 2_000)]
            # 2,000 characters each: the whole corpus would take 400 MB of Arrow, and more as Python texts.
            writer.write_table(pa.table({"id": ids, "text": [(name * 2000)[:2000] for name in ids]}, schema=schema))
    write_parquet(folder / "queries/test-00000-of-00001.parquet", [{"id": "q", "text": "x"}])
    write_parquet(folder / "qrels/test-00000-of-00001.parquet", [{"query-id": "q", "corpus-id": "d5", "score": 1}])
    code = """
    import sys
    from mrbench.sources.open import open_benchmark
    benchmark = open_benchmark("hub:" + sys.argv[1])
    assert len(list(benchmark.judgements("t2t", "test"))) == 1
    assert sum(1 for _ in benchmark.corpus("corpus", "test")) == 200_000
    # Of this program alone; ru_maxrss begins with the size of what started it, here the tests.
    print(next(int(line.split()[1]) // 1024 for line in open("/proc/self/status") if line.startswith("VmHWM")))
    """
    words = [sys.executable, "-c", textwrap.dedent(code), str(folder)]
    run = subprocess.run(words, capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert int(run.stdout) < 300
