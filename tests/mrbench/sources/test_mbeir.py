"""M-BEIR as it lies on disk: every sub-task, every quirk, and what is wrong with a tree in one line."""

from __future__ import annotations

import json
import re
import runpy
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from realdata import realdata

from mrbench.benchmark import Benchmark
from mrbench.cli.app import main
from mrbench.errors import BenchmarkError, InputError
from mrbench.records import Judgement, Query
from mrbench.sources import mbeir_pools, open_benchmark
from mrbench.sources.mbeir_layout import SUB_TASKS
from mrbench.sources.mbeir_queries import read_instructions

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "mbeir_tree.py"
Counts = dict[tuple[str, int, str], tuple[int, int]]


@pytest.fixture(scope="module")
def generator() -> dict[str, Any]:
    return runpy.run_path(str(SCRIPT))


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory, generator: dict[str, Any]) -> tuple[Path, Counts]:
    root = tmp_path_factory.mktemp("mbeir") / "M-BEIR"
    return root, generator["write_tree"](root, 600, 120, splits=("test", "val", "train"))


@pytest.fixture
def own_tree(tree: tuple[Path, Counts], tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(tree[0], tmp_path / "M-BEIR"))


def edit(path: Path, number: int, **values: Any) -> None:
    """Change some values of a line of a JSON lines file."""
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[number] = json.dumps({**json.loads(lines[number]), **values})
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def read_all(benchmark: Benchmark, split: str = "test") -> None:
    for name in benchmark.corpora:
        list(benchmark.corpus(name, split))
    for task in benchmark.task_names:
        list(benchmark.queries(task, split))
        list(benchmark.judgements(task, split))


def test_tasks_are_those_of_uniir(tree: tuple[Path, Counts]) -> None:
    benchmark = open_benchmark(f"mbeir:{tree[0]}")
    assert benchmark.splits == ("train", "validation", "test")
    assert benchmark.task_names == (
        "visualnews_task0", "mscoco_task0", "fashion200k_task0", "webqa_task1", "edis_task2", "webqa_task2",
        "visualnews_task3", "mscoco_task3", "fashion200k_task3", "nights_task4", "oven_task6", "infoseek_task6",
        "fashioniq_task7", "cirr_task7", "oven_task8", "infoseek_task8",
    )  # fmt: skip
    categories = {name: benchmark.task(name).category for name in benchmark.task_names}
    assert categories["mscoco_task0"] == "t2i"
    assert categories["webqa_task2"] == "t2it"
    assert categories["infoseek_task8"] == "it2it"
    assert Counter(categories.values()) == {
        "t2i": 3,
        "t2t": 1,
        "t2it": 2,
        "i2t": 3,
        "i2i": 1,
        "it2t": 2,
        "it2i": 2,
        "it2it": 2,
    }
    assert benchmark.task("nights_task4").measures == ("hit_rate@1", "hit_rate@5", "hit_rate@10")
    for name in ("fashion200k_task0", "fashion200k_task3", "fashioniq_task7"):
        assert benchmark.task(name).measures == ("hit_rate@10", "hit_rate@20", "hit_rate@50")
        assert benchmark.task(name).main == "hit_rate@10"
    assert all(benchmark.task(name).judgements == "partial" for name in benchmark.task_names)


@pytest.mark.parametrize(("split", "folder"), [("test", "test"), ("validation", "val"), ("train", "train")])
def test_every_split_has_the_queries_and_candidates_written(tree: tuple[Path, Counts], split: str, folder: str) -> None:
    root, counts = tree
    benchmark = open_benchmark(f"mbeir:{root}")
    for task in SUB_TASKS:
        queries, candidates = counts[task.dataset, task.number, folder]
        shared = 1 + candidates // 100 if task.name == "infoseek_task6" and split != "train" else 0
        assert len(benchmark.queries(task.name, split)) == queries
        assert len(benchmark.corpus(task.name, split)) == candidates + shared
        assert {c.modality for c in benchmark.corpus(task.name, split)} == {task.modalities[1]}
        assert {q.modality for q in benchmark.queries(task.name, split)} == {task.modalities[0]}


def test_every_query_has_its_positives(tree: tuple[Path, Counts]) -> None:
    benchmark = open_benchmark(f"mbeir:{tree[0]}")
    for split, folder in (("test", "test"), ("validation", "val")):
        for task in SUB_TASKS:
            written = {}
            file = tree[0] / "query" / folder / f"mbeir_{task.name}_{folder}.jsonl"
            for row in map(json.loads, file.read_text(encoding="utf-8").splitlines()):
                ids = [[d["did"] if isinstance(d, dict) else d for d in row[f"{k}_cand_list"]] for k in ("pos", "neg")]
                written[row["qid"]] = {**dict.fromkeys(ids[1], 0), **dict.fromkeys(ids[0], 1)}
            found: dict[str, dict[str, int]] = {}
            for judgement in benchmark.judgements(task.name, split):
                found.setdefault(judgement.query_id, {})[judgement.candidate_id] = judgement.relevance
            assert found == written


def test_a_pool_of_two_modalities_becomes_two_corpora(tree: tuple[Path, Counts]) -> None:
    benchmark = open_benchmark(f"mbeir:{tree[0]}")
    assert benchmark.task("webqa_task2").corpora == ("webqa_task2", "webqa_task2_text")
    assert benchmark.corpora["webqa_task2_text"] == "text"
    size = tree[1]["webqa", 2, "test"][1]
    assert len(benchmark.corpus("webqa_task2", "test")) == size
    assert len(benchmark.corpus("webqa_task2_text", "test")) == 1 + size // 100
    assert len(benchmark.corpus("webqa_task2_text", "train")) == 0


def test_a_candidate_of_two_pools_is_the_same_in_both(tree: tuple[Path, Counts]) -> None:
    benchmark = open_benchmark(f"mbeir:{tree[0]}")
    oven, infoseek = ({c.id: c for c in benchmark.corpus(f"{name}_task6", "test")} for name in ("oven", "infoseek"))
    both = oven.keys() & infoseek.keys()
    assert both
    assert all(oven[name] == infoseek[name] for name in both)


def test_mscoco_has_a_pool_of_each_split(tree: tuple[Path, Counts]) -> None:
    benchmark = open_benchmark(f"mbeir:{tree[0]}?datasets=mscoco")
    test, validation = (set(benchmark.corpus("mscoco_task0", s).ids.to_pylist()) for s in ("test", "validation"))
    assert test
    assert validation
    assert not test & validation


def test_columns_and_records_say_the_same(tree: tuple[Path, Counts]) -> None:
    benchmark = open_benchmark(f"mbeir:{tree[0]}?splits=test")
    contents = benchmark._contents  # type: ignore[attr-defined]
    for name in benchmark.corpora:
        assert list(benchmark.corpus(name, "test")) == list(contents.candidates(name, "test"))


def test_candidates_are_read_again_in_parts(own_tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for split in ("test", "train"):
        whole = open_benchmark(f"mbeir:{own_tree}")
        expected = {name: list(whole.corpus(name, split)) for name in whole.corpora}
        with monkeypatch.context() as patched:
            patched.setattr(mbeir_pools, "ROWS", 7)
            benchmark = open_benchmark(f"mbeir:{own_tree}")
            for name, candidates in expected.items():
                corpus = benchmark.corpus(name, split)
                assert len(corpus) == len(candidates)
                assert list(corpus) == candidates
                assert [corpus[number] for number in reversed(range(len(corpus)))] == candidates[::-1]
                assert corpus.ids.to_pylist() == [c.id for c in candidates] if candidates else not len(corpus)


def test_a_pool_that_changes_while_it_is_in_use(own_tree: Path) -> None:
    corpus = open_benchmark(f"mbeir:{own_tree}?datasets=cirr").corpus("cirr_task7", "test")
    assert len(corpus) == len(corpus.ids)
    edit(own_tree / POOL, 1, did="8:999")
    with pytest.raises(BenchmarkError, match=r"a file was changed while it was in use.*cand_pool.jsonl:1"):
        list(corpus)


def test_a_byte_order_mark_is_no_text(own_tree: Path) -> None:
    for name in (POOL, QUERIES):
        (own_tree / name).write_bytes(b"\xef\xbb\xbf" + (own_tree / name).read_bytes())
    read_all(open_benchmark(f"mbeir:{own_tree}?datasets=cirr"))


def test_images_lie_below_the_root_and_are_not_opened(tree: tuple[Path, Counts], tmp_path: Path) -> None:
    root = tree[0]
    for image_root in (None, tmp_path):
        benchmark = open_benchmark(f"mbeir:{root}?splits=test", image_root=image_root)
        image = benchmark.queries("cirr_task7", "test")[0].image
        assert image is not None
        assert image.path == (image_root or root).absolute() / image.name
        assert image.name.startswith("mbeir_images/cirr_images/")
        assert not image.path.exists()


def test_oven_keeps_positives_of_infoseek_only_where_infoseek_is(tree: tuple[Path, Counts]) -> None:
    def others(spec: str) -> set[str]:
        judgements = open_benchmark(spec).judgements("oven_task6", "test")
        return {j.candidate_id for j in judgements if j.candidate_id.startswith("6:")}

    assert others(f"mbeir:{tree[0]}")
    assert not others(f"mbeir:{tree[0]}?datasets=oven")


def test_selections(tree: tuple[Path, Counts]) -> None:
    root = tree[0]
    kept = open_benchmark(f"mbeir:{root}?held_out=drop&splits=train")
    assert kept.splits == ("train",)
    assert len(kept.task_names) == 11
    assert not any(name.startswith(("nights", "oven", "infoseek")) for name in kept.task_names)
    read_all(kept, "train")
    assert len(open_benchmark(f"mbeir:{root}?held_out=only").task_names) == 5
    assert open_benchmark(f"mbeir:{root}?datasets=nights,mscoco").task_names == (
        "mscoco_task0",
        "mscoco_task3",
        "nights_task4",
    )
    for wrong in ("datasets=coco", "splits=dev", "held_out=yes", "instructions=all", "datasets=", "size=3"):
        with pytest.raises(InputError, match="option"):
            open_benchmark(f"mbeir:{root}?{wrong}")


def test_a_partial_tree_has_the_tasks_whose_queries_are_there(own_tree: Path) -> None:
    for path in (own_tree / "query").rglob("*.jsonl"):
        if "nights_task4_test" not in path.name:
            path.unlink()
    for path in (own_tree / "cand_pool").rglob("*.jsonl"):
        if "nights" not in path.name:
            path.unlink()
    benchmark = open_benchmark(f"mbeir:{own_tree}")
    assert (benchmark.task_names, benchmark.splits) == (("nights_task4",), ("test",))
    read_all(benchmark)
    (own_tree / "query" / "test" / "mbeir_nights_task4_test.jsonl").unlink()
    with pytest.raises(BenchmarkError, match=r"no query file of M-BEIR.*mbeir_mscoco_task0_test.jsonl"):
        open_benchmark(f"mbeir:{own_tree}")


def test_without_qrels_the_lists_of_the_queries_are_taken(own_tree: Path) -> None:
    with_qrels = set(open_benchmark(f"mbeir:{own_tree}").judgements("cirr_task7", "test"))
    shutil.rmtree(own_tree / "qrels")
    assert set(open_benchmark(f"mbeir:{own_tree}").judgements("cirr_task7", "test")) == with_qrels


def test_unions_stand_in_for_files_of_tasks_and_are_read_once(own_tree: Path) -> None:
    def contents() -> dict[tuple[str, str], tuple[list[Query], set[Judgement]]]:
        benchmark = open_benchmark(f"mbeir:{own_tree}?datasets=mscoco,webqa")
        return {
            (task, split): (list(benchmark.queries(task, split)), set(benchmark.judgements(task, split)))
            for task in benchmark.task_names
            for split in ("train", "validation")
        }

    before = contents()
    for folder, union in (("train", "mbeir_union_up_train.jsonl"), ("val", "mbeir_union_val.jsonl")):
        files = sorted((own_tree / "query" / folder).iterdir())
        lines = [line for path in files for line in path.read_text(encoding="utf-8").splitlines()]
        (own_tree / "query" / f"union_{folder}").mkdir()
        (own_tree / "query" / f"union_{folder}" / union).write_text("\n".join([*lines, *lines]), encoding="utf-8")
        shutil.rmtree(own_tree / "query" / folder)
    assert contents() == before
    assert all(queries and judged for queries, judged in before.values())


def test_a_training_file_without_task_numbers(own_tree: Path) -> None:
    for name in ("mscoco", "webqa"):
        path = own_tree / "query" / "train" / f"mbeir_{name}_train.jsonl"
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        path.write_text("\n".join(json.dumps({k: v for k, v in row.items() if k != "task_id"}) for row in rows))
    benchmark = open_benchmark(f"mbeir:{own_tree}?datasets=mscoco,webqa&splits=train")
    assert {q.modality for q in benchmark.queries("mscoco_task3", "train")} == {"image"}
    with pytest.raises(BenchmarkError, match=r"states no task.*webqa_train.jsonl:1"):
        list(benchmark.queries("webqa_task1", "train"))


def test_the_first_instruction_is_the_default(tree: tuple[Path, Counts]) -> None:
    benchmark = open_benchmark(f"mbeir:{tree[0]}")
    assert benchmark.instructions("webqa_task2")[0] == "Find the image,text of webqa, wording 1."
    assert {len(benchmark.instructions(name)) for name in benchmark.task_names} == {2, 3, 4}
    assert {q.instruction for q in benchmark.queries("webqa_task2", "test")} == {
        benchmark.instructions("webqa_task2")[0]
    }
    bare = open_benchmark(f"mbeir:{tree[0]}?instructions=none")
    assert bare.instructions("webqa_task2") == ()
    assert {q.instruction for q in bare.queries("webqa_task2", "test")} == {""}
    assert bare.digest != benchmark.digest


def test_instructions_may_be_quoted_and_of_any_number(own_tree: Path) -> None:
    path = own_tree / "instructions" / "query_instructions.tsv"
    path.write_text('a\tb\tc\td\te\ntext\timage\tMSCOCO\t9\t"Find ""it"", please."\t\tAgain.\t\n')
    assert read_instructions(path) == {(9, "text", "image"): ('Find "it", please.', "Again.")}
    benchmark = open_benchmark(f"mbeir:{own_tree}?datasets=mscoco")
    with pytest.raises(BenchmarkError, match="no instruction for mscoco_task3"):
        list(benchmark.queries("mscoco_task3", "test"))


def test_the_digest_follows_every_annotation_file(own_tree: Path) -> None:
    spec = f"mbeir:{own_tree}?datasets=mscoco&splits=test"
    digest = open_benchmark(spec).digest
    assert open_benchmark(spec).digest == digest
    edit(own_tree / "query" / "test" / "mbeir_nights_task4_test.jsonl", 0, qid="4:999")
    assert open_benchmark(spec).digest == digest
    seen = {digest}
    for name in ("cand_pool/local/mbeir_mscoco_task0_test_cand_pool.jsonl", "query/test/mbeir_mscoco_task3_test.jsonl"):
        edit(own_tree / name, 0, src_content="{}")
        seen.add(open_benchmark(spec).digest)
    with (own_tree / "qrels" / "test" / "mbeir_mscoco_task0_test_qrels.txt").open("a") as stream:
        stream.write("\n")
    seen.add(open_benchmark(spec).digest)
    assert len(seen) == 4


POOL = "cand_pool/local/mbeir_cirr_task7_cand_pool.jsonl"
QUERIES = "query/test/mbeir_cirr_task7_test.jsonl"
QRELS = "qrels/test/mbeir_cirr_task7_test_qrels.txt"


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        (POOL, {"modality": "video"}, r"unknown modality.*cirr.*'video'"),
        (POOL, {"img_path": "../../etc/passwd"}, r"leaves the image folder.*--image-root.*cand_pool.jsonl:2"),
        (POOL, {"img_path": "/etc/passwd"}, r"leaves the image folder.*--image-root.*cand_pool.jsonl:2"),
        (POOL, {"img_path": None}, r"an image has no path.*cand_pool.jsonl:2"),
        (POOL, {"did": 17}, r"another type.*cand_pool.jsonl:2, did"),
        (QUERIES, {"query_img_path": "a/../../b.jpg"}, r"leaves the image folder.*test.jsonl:2"),
        (QUERIES, {"query_modality": "text"}, r"not of cirr_task7.*test.jsonl:2.*text, task 7"),
        (QUERIES, {"task_id": 5}, r"not of cirr_task7.*task 5"),
        (QUERIES, {"pos_cand_list": "8:1"}, r"another type.*test.jsonl:2, pos_cand_list"),
        (QUERIES, {"neg_cand_list": [{"id": "8:1"}]}, r"a candidate has no id.*test.jsonl:2"),
        (QUERIES, {"query_txt": 3}, r"no text.*test.jsonl:2, query_txt"),
        (QUERIES, {"qid": "8:1"}, r"two queries have one id.*test.jsonl:2"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_line(own_tree: Path, name: str, values: dict[str, Any], said: str) -> None:
    edit(own_tree / name, 1, **values)
    with pytest.raises(BenchmarkError, match=said) as raised:
        read_all(open_benchmark(f"mbeir:{own_tree}?datasets=cirr"))
    assert "\n" not in str(raised.value)
    assert raised.value.exit_code == 2


def test_an_empty_text_is_named(own_tree: Path) -> None:
    edit(own_tree / "cand_pool/local/mbeir_webqa_task1_cand_pool.jsonl", 2, txt="  ")
    with pytest.raises(BenchmarkError, match=r"no text.*cand_pool.jsonl:3, txt"):
        read_all(open_benchmark(f"mbeir:{own_tree}?datasets=webqa"))


def test_lines_that_are_not_json_or_of_another_encoding(own_tree: Path) -> None:
    damaged = ((POOL, b'{"did": ', "JSON"), (QUERIES, '{"qid": "8:é"}'.encode("latin1"), "UTF-8"))
    for name, damage, kind in damaged:
        path = own_tree / name
        whole = path.read_bytes()
        path.write_bytes(whole + damage + b"\n")
        lines = whole.count(b"\n") + 1
        with pytest.raises(BenchmarkError, match=rf"not {kind}.*{path.name}:{lines}"):
            read_all(open_benchmark(f"mbeir:{own_tree}?datasets=cirr"))
        path.write_bytes(whole)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            "8:777 0 8:1 1 7\n8:778 0 8:1 1 7",
            r"2 judgements name a query that is not there.*qrels.txt:\d+.*8:777, 8:778",
        ),
        ("8:1 0 8:777 1 7\n8:1 0 8:778 1 7", r"2 relevant candidates are in no pool.*qrels.txt:\d+.*8:777, 8:778"),
        ("8:1 0 8:1 -1 7", r"malformed relevance.*'-1'"),
        ("8:1 0 8:1", r"another number of columns.*got: 3"),
        ("8:1 0 8:1 1 7\n8:1 0 8:1 2 7", "two judgements of one pair differ.*8:1 8:1"),
    ],
)
def test_what_is_wrong_with_judgements(own_tree: Path, rows: str, said: str) -> None:
    path = own_tree / QRELS
    path.write_text(f"{path.read_text()}{rows}\n")
    with pytest.raises(BenchmarkError, match=said):
        read_all(open_benchmark(f"mbeir:{own_tree}?datasets=cirr"))


def test_judgements_of_other_tasks_and_negatives_of_no_pool_are_left_out(own_tree: Path) -> None:
    spec = f"mbeir:{own_tree}?datasets=cirr"
    before = list(open_benchmark(spec).judgements("cirr_task7", "test"))
    path = own_tree / QRELS
    path.write_text(f"{path.read_text()}8:777 0 8:1 1 4\n")
    first = json.loads((own_tree / QUERIES).read_text().splitlines()[0])
    edit(own_tree / QUERIES, 0, neg_cand_list=[*first["neg_cand_list"], "8:777"])
    assert list(open_benchmark(spec).judgements("cirr_task7", "test")) == before


def test_a_positive_that_is_among_the_negatives_too_stays_relevant(own_tree: Path) -> None:
    first = json.loads((own_tree / QUERIES).read_text().splitlines()[0])
    both = [*first["neg_cand_list"], *first["pos_cand_list"]]
    edit(own_tree / QUERIES, 0, neg_cand_list=both)
    judgements = open_benchmark(f"mbeir:{own_tree}?datasets=cirr").judgements("cirr_task7", "test")
    said = [j.relevance for j in judgements if j.query_id == first["qid"]]
    assert sorted(said) == [0] * len(first["neg_cand_list"]) + [1] * len(first["pos_cand_list"])


def test_files_of_the_layout_that_are_missing(own_tree: Path) -> None:
    (own_tree / "instructions" / "query_instructions.tsv").unlink()
    with pytest.raises(BenchmarkError, match=r"missing.*query_instructions.tsv.*instructions=none"):
        list(open_benchmark(f"mbeir:{own_tree}?datasets=cirr").queries("cirr_task7", "test"))
    (own_tree / POOL).unlink()
    with pytest.raises(BenchmarkError, match=r"the pool of cirr_task7 is missing.*mbeir_cirr_task7_cand_pool.jsonl"):
        open_benchmark(f"mbeir:{own_tree}?datasets=cirr")
    with pytest.raises(BenchmarkError, match="no such folder"):
        open_benchmark(f"mbeir:{own_tree / 'nothing'}")


@pytest.mark.slow
def test_a_large_tree_is_read_in_little_memory(tmp_path: Path, generator: dict[str, Any]) -> None:
    import subprocess
    import sys

    generator["write_tree"](tmp_path / "tree", 100_000, 2_000)
    said = subprocess.run([sys.executable, SCRIPT, "read", tmp_path / "tree"], capture_output=True, check=True).stdout
    found = json.loads(said)
    assert found["queries"] == pytest.approx(2_000, abs=10)
    assert found["candidates"] == pytest.approx(100_000, rel=0.01)
    assert found["peak MiB"] < 220


def test_real_instructions_cover_all_sub_tasks() -> None:
    found = read_instructions(realdata("mbeir-instructions") / "query_instructions.rebuilt.tsv")
    assert {(task.dataset_id, *task.modalities) for task in SUB_TASKS} == set(found)
    assert sum(map(len, found.values())) == 63
    assert {len(wordings) for wordings in found.values()} == {3, 4}
    assert all(wording == wording.strip() for wordings in found.values() for wording in wordings)


def test_convert_says_that_it_keeps_one_wording(own_tree: Path, tmp_path: Path, capsys: Any) -> None:
    for options, said in (("datasets=cirr", True), ("datasets=cirr&instructions=none", False)):
        spec = f"mbeir:{own_tree}?{options}"
        benchmark = open_benchmark(spec)
        for split in benchmark.splits:
            tables = [benchmark.corpus(name, split) for name in benchmark.corpora]
            tables += [benchmark.queries(task, split) for task in benchmark.task_names]
            for path in {record.image.path for table in tables for record in table if record.image}:
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (2, 2)).save(path)
        with pytest.raises(SystemExit, match="0"):
            main(["convert", spec, "--output", str(tmp_path / options), "--workers", "1"])
        notes = re.findall(r"^note: of \d wordings of an instruction .*", capsys.readouterr().err, re.MULTILINE)
        assert len(notes) == said
        assert all(note.endswith(f"each query keeps one; evaluate {spec} with the others") for note in notes)
