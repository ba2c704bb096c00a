"""Results in the formats of others, read with the libraries that own them."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import mteb
import pytest
import pytrec_eval
import yaml
from huggingface_hub import parse_eval_result_entries
from mteb._hf_integration.eval_result_model import HFEvalResults
from mteb.models.model_meta import ModelMeta
from tiny_benchmark import Guess, Oracle, write_tiny

from mrbench.benchmark import Benchmark
from mrbench.errors import InputError, MRBenchError, OutputError, ResultError
from mrbench.evaluation import evaluate
from mrbench.export import (
    Publisher,
    QueryRows,
    write_csv,
    write_every_eval_ever,
    write_hub_results,
    write_latex,
    write_markdown,
    write_mteb_results,
    write_trec,
)
from mrbench.results import Result, read_result

HOSTILE = '=cmd|" /C calc"!A0 \\input{x} 100% a_b #$&~^{} | <script>alert(1)</script> \u202egnp ../../etc'


@pytest.fixture(scope="module")
def folders(tiny: Benchmark, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    made = tmp_path_factory.mktemp("results")
    for model in (Oracle("org/blind", blind_to=["place"]), Guess("guess", modalities=["text", "image"])):
        evaluate(tiny, model, made / model.name.replace("/", "-"))
    return [made / "org-blind", made / "guess"]


@pytest.fixture(scope="module")
def results(folders: list[Path]) -> list[Result]:
    return [read_result(folder / "result.json") for folder in folders]


@pytest.fixture
def hostile(results: list[Result]) -> Result:
    one = results[1]
    return replace(
        one,
        model={**one.model, "name": HOSTILE, "revision": "../../r"},
        benchmark={**one.benchmark, "name": "../up", "title": HOSTILE},
    )


def test_mteb_reads_its_results_and_models(results: list[Result], tmp_path: Path) -> None:
    files = write_mteb_results(results, tmp_path / "cache")
    assert len(files) == 4 + 3  # guess takes no composed query
    cache = mteb.ResultCache(tmp_path / "cache")
    digest = results[0].benchmark["digest"][:12]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a task that MTEB does not know
        found = cache.load_task_result(f"tiny-t2i-{digest}", "org/blind", "1")
    assert found is not None
    part = results[0].tasks["t2i"]
    scores = found.scores["test"][0]
    assert scores["main_score"] == found.get_score() == part.scores["hit_rate@5"]
    assert scores["mrbench_ndcg_at_10"] == part.scores["ndcg@10"]  # over grades: not what MTEB calls nDCG
    assert "ndcg_at_10" not in scores
    assert scores["pair_accuracy[place]"] == part.pair_accuracy["place"].score
    assert found.dataset_revision == results[0].benchmark["digest"]
    assert set(cache.get_models()) == {("local__guess", "1"), ("org__blind", "1")}
    loaded = cache.load_results(tasks=[f"tiny-t2i-{digest}"])
    assert {model.model_name for model in loaded.model_results} == {"local/guess", "org/blind"}
    for meta in (tmp_path / "cache").rglob("model_meta.json"):
        read = ModelMeta(**json.loads(meta.read_text()))
        assert read.embed_dim == 11
        assert read.modalities == ["image", "text"]


def test_two_results_that_mteb_cannot_tell_apart_are_refused(results: list[Result], tmp_path: Path) -> None:
    other = replace(results[0], benchmark={**results[0].benchmark, "pool": "union"})
    with pytest.raises(ResultError, match="would be one file of MTEB"):
        write_mteb_results([results[0], other], tmp_path / "cache")
    assert not list(tmp_path.iterdir())


def test_the_hub_has_an_id_for_each_task_and_grain(results: list[Result], tmp_path: Path) -> None:
    write_hub_results(results, tmp_path / "hub", "org/tiny")
    data = yaml.safe_load((tmp_path / "hub/dataset/eval.yaml").read_text())
    assert set(data) == {"name", "description", "evaluation_framework", "tasks"}
    ids = [task["id"] for task in data["tasks"]]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"\w+", task_id) for task_id in ids)
    text = (tmp_path / "hub/models/org__blind/.eval_results/org__tiny.yaml").read_text()
    found = {entry.task_id: entry for entry in parse_eval_result_entries(yaml.safe_load(text))}
    assert set(found) <= set(ids)
    part = results[0].tasks["i2i"]
    assert found["i2i_hit_rate_at_5"].value == pytest.approx(100 * part.scores["hit_rate@5"], abs=1e-3)
    assert found["i2i_pair_accuracy_place"].value == 0
    assert {entry.dataset_id for entry in found.values()} == {"org/tiny"}
    loaded = [{**e, "dataset": {"revision": None, **e["dataset"]}} for e in yaml.safe_load(text)]
    assert len(HFEvalResults.model_validate(loaded)) == len(found)


def test_the_hub_wants_an_id_and_one_benchmark(results: list[Result], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="ORG/NAME"):
        write_hub_results(results, tmp_path / "hub", "tiny")
    other = replace(results[1], benchmark={**results[1].benchmark, "digest": "0" * 64})
    with pytest.raises(ResultError, match="several benchmarks"):
        write_hub_results([results[0], other], tmp_path / "hub", "org/tiny")


def test_every_eval_ever_has_intervals_and_a_row_for_each_query(
    folders: list[Path], results: list[Result], tiny: Benchmark, tmp_path: Path
) -> None:
    rows = [QueryRows(folder, tiny) for folder in folders]
    (first, _) = write_every_eval_ever(results, tmp_path / "eee", Publisher("Us"), rows=rows)
    record = json.loads((tmp_path / "eee" / first).read_text())
    result = next(r for r in results if r.model["name"].endswith(record["model_info"]["name"]))
    entries = {entry["evaluation_result_id"]: entry for entry in record["evaluation_results"]}
    part = result.tasks["t2i"]
    entry = entries["t2i/hit_rate@5"]
    sure = entry["score_details"]["uncertainty"]["confidence_interval"]
    assert entry["score_details"]["score"] == part.scores["hit_rate@5"]
    assert (sure["lower"], sure["upper"]) == part.intervals["hit_rate@5"]
    assert "t2i/image_only_hit_rate@1" not in entries  # neither high nor low is good
    about = record["detailed_evaluation_results"]
    lines = [json.loads(line) for line in (tmp_path / "eee" / about["file_path"]).read_text().splitlines()]
    assert len(lines) == about["total_rows"]
    mine = [line for line in lines if line["evaluation_result_id"] == "t2i/hit_rate@5"]
    assert [line["evaluation"]["score"] for line in mine] == list(part.per_query["hit_rate@5"])
    grain = [line["evaluation"]["score"] for line in lines if line["evaluation_result_id"] == "t2i/pair_accuracy/place"]
    assert sum(grain) / len(grain) == pytest.approx(part.pair_accuracy["place"].score)
    query = tiny.queries("t2i", "test").find(mine[0]["sample_id"].partition("/")[2])
    assert mine[0]["input"]["raw"].endswith(query.text)
    assert mine[0]["output"]["raw"][0] == mine[0]["answer_attribution"][0]["extracted_value"]


def test_a_record_keeps_to_the_schema_of_every_eval_ever(
    folders: list[Path], results: list[Result], hostile: Result, tiny: Benchmark, tmp_path: Path
) -> None:
    """Validate against the published schemas, where MRBENCH_EEE_SCHEMAS names the folder that holds them."""
    place = os.environ.get("MRBENCH_EEE_SCHEMAS")
    if not place:
        pytest.skip("MRBENCH_EEE_SCHEMAS does not name every_eval_ever/schemas of a checkout")
    jsonschema = pytest.importorskip("jsonschema")
    rows = [*(QueryRows(folder, tiny) for folder in folders), None]
    files = write_every_eval_ever([*results, hostile], tmp_path / "eee", Publisher("Us", "other"), rows=rows)
    log, instance = (
        jsonschema.Draft7Validator(json.loads(Path(place, name).read_text()))
        for name in ("eval.schema.json", "instance_level_eval.schema.json")
    )
    for file in files:
        log.validate(json.loads((tmp_path / "eee" / file).read_text()))
    for path in (tmp_path / "eee").rglob("*_samples.jsonl"):
        for line in path.read_text().splitlines():
            instance.validate(json.loads(line))


def test_the_same_result_has_the_same_record(results: list[Result], tmp_path: Path) -> None:
    one, two = (write_every_eval_ever(results, tmp_path / name, Publisher("Us")) for name in ("a", "b"))
    assert one == two
    assert all((tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes() for file in one)
    with pytest.raises(InputError, match="first_party"):
        write_every_eval_ever(results, tmp_path / "c", Publisher("Us", "friend"))


def test_trec_eval_and_ir_measures_find_our_scores(folders: list[Path], tiny: Benchmark, tmp_path: Path) -> None:
    write_trec(folders, tiny, tmp_path / "trec")
    part = read_result(folders[1] / "result.json").tasks["t2i"]  # a guesser has no ties
    with (tmp_path / "trec/t2i.qrels").open() as qrels, (tmp_path / "trec/guess/t2i.run").open() as run:
        judged, ranked = pytrec_eval.parse_qrel(qrels), pytrec_eval.parse_run(run)
    names = {"success_5": "hit_rate@5", "recall_5": "recall@5", "recip_rank": "mrr", "map": "map"}
    found = pytrec_eval.RelevanceEvaluator(judged, {"success", "recall", "recip_rank", "map"}).evaluate(ranked)
    for theirs, ours in names.items():
        mean = sum(query[theirs] for query in found.values()) / len(found)
        assert mean == pytest.approx(part.scores[ours], abs=1e-6), ours


def test_ir_measures_reads_the_files(folders: list[Path], tiny: Benchmark, tmp_path: Path) -> None:
    ir_measures = pytest.importorskip("ir_measures", reason='pip install "mrbench[test]"')
    write_trec(folders, tiny, tmp_path / "trec")
    part = read_result(folders[1] / "result.json").tasks["i2i"]
    qrels = list(ir_measures.read_trec_qrels(str(tmp_path / "trec/i2i.qrels")))
    run = list(ir_measures.read_trec_run(str(tmp_path / "trec/guess/i2i.run")))
    found = ir_measures.calc_aggregate([ir_measures.Success @ 5, ir_measures.RR, ir_measures.AP], qrels, run)
    assert found[ir_measures.RR] == pytest.approx(part.scores["mrr"], abs=1e-6)
    assert found[ir_measures.AP] == pytest.approx(part.scores["map"], abs=1e-6)


def test_a_run_of_another_benchmark_has_no_judgements(folders: list[Path], tmp_path: Path) -> None:
    other = write_tiny(tmp_path / "other", salt="x")
    for write in (lambda: write_trec(folders, other, tmp_path / "t"), lambda: QueryRows(folders[0], other)):
        with pytest.raises(ResultError, match="another benchmark"):
            write()


def test_a_latex_table_is_a_table_and_shows_names_as_they_are(
    results: list[Result], hostile: Result, tmp_path: Path
) -> None:
    macrospec = pytest.importorskip("pylatexenc.latexwalker", reason='pip install "mrbench[test]"')
    from pylatexenc.latex2text import LatexNodes2Text

    write_latex([*results, hostile], tmp_path / "t.tex")
    text = (tmp_path / "t.tex").read_text()
    nodes, *_ = macrospec.LatexWalker(text, tolerant_parsing=False).get_latex_nodes()
    tables = [node for node in nodes if node.isNodeType(macrospec.LatexEnvironmentNode)]
    assert {node.environmentname for node in tables} == {"tabular"}
    assert len(tables) == 2
    for node in tables:
        body = node.latex_verbatim()
        rows = [line for line in body.splitlines() if line.endswith(r"\\")]
        assert len({len(re.findall(r"(?<!\\)&", row)) for row in rows}) == 1  # as many cells in every row
    assert r"\input" not in re.sub(r"^%.*$", "", text, flags=re.MULTILINE)  # a comment runs nothing
    assert "\u202e" not in text
    plain = " ".join(LatexNodes2Text().latex_to_text(text).split())
    assert "100% a_b #$&" in plain
    assert f"{results[0].tasks['i2i'].scores['hit_rate@5']:.3f}" in plain


def test_a_markdown_table_is_not_broken_by_names(results: list[Result], hostile: Result, tmp_path: Path) -> None:
    write_markdown([*results, hostile], tmp_path / "t.md")
    text = (tmp_path / "t.md").read_text()
    assert "<script" not in text
    assert "\u202e" not in text
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1
    low, high = results[1].tasks["i2i"].intervals["hit_rate@5"]
    assert f"{low:.3f} to {high:.3f}" in text


def test_a_csv_runs_nothing_in_a_spreadsheet(hostile: Result, tmp_path: Path) -> None:
    write_csv([hostile], tmp_path / "t.csv")
    cells = [cell for row in csv.reader(io.StringIO((tmp_path / "t.csv").read_text())) for cell in row]
    assert any("cmd" in cell for cell in cells)
    numbers = re.compile(r"-?\d+(\.\d+)?(e-\d+)?")
    assert [cell for cell in cells if cell.startswith(("=", "+", "-", "@")) and not numbers.fullmatch(cell)] == []


def test_hostile_names_stay_in_the_folder(hostile: Result, tmp_path: Path) -> None:
    write_mteb_results([hostile], tmp_path / "a/mteb")
    write_hub_results([hostile], tmp_path / "a/hub", "org/tiny")
    write_every_eval_ever([hostile], tmp_path / "a/eee", Publisher("Us"))
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert {path.name for path in (tmp_path / "a").iterdir()} == {"mteb", "hub", "eee"}
    found = [path for path in (tmp_path / "a").rglob("*") if path.is_file()]
    assert len(found) == 3 + 4 + 2 + 1
    assert all(path.resolve().is_relative_to(tmp_path / "a") for path in found)


WRITERS: dict[str, Any] = {
    "mteb": lambda results, path, **more: write_mteb_results(results, path, **more),
    "hub": lambda results, path, **more: write_hub_results(results, path, "org/tiny", **more),
    "eee": lambda results, path, **more: write_every_eval_ever(results, path, Publisher("Us"), **more),
    "latex": write_latex,
    "markdown": write_markdown,
    "csv": write_csv,
}


@pytest.mark.parametrize("name", WRITERS)
def test_only_what_an_export_wrote_is_replaced(name: str, results: list[Result], tmp_path: Path) -> None:
    write, target = WRITERS[name], tmp_path / "out"
    write(results, target)
    with pytest.raises(OutputError, match="--overwrite"):
        write(results, target)
    write(results[:1], target, overwrite=True)
    if target.is_dir():
        (target / "mine.txt").write_text("mine")
    else:
        target.write_text("mine")
    with pytest.raises(OutputError, match="left alone"):
        write(results, target, overwrite=True)
    assert (target / "mine.txt" if target.is_dir() else target).read_text() == "mine"


@pytest.mark.parametrize("name", WRITERS)
def test_a_cut_result_is_not_exported(name: str, results: list[Result], tmp_path: Path) -> None:
    with pytest.raises(MRBenchError, match="--limit"):
        WRITERS[name]([replace(results[0], limit=3)], tmp_path / "out")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_commands(folders: list[Path], tiny: Benchmark, tmp_path: Path) -> None:
    commands = {
        "mteb": [],
        "hub": ["--dataset", "org/tiny"],
        "eee": ["--organization", "Us", "--benchmark", tiny.folder],
        "trec": ["--benchmark", tiny.folder],
        "latex": [],
    }
    for name, more in commands.items():
        words = ["export", name, *folders, *more, "--output", tmp_path / name, "--json"]
        done = subprocess.run(
            [sys.executable, "-m", "mrbench", *map(str, words)], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, ""), name
        said = json.loads(done.stdout)
        assert all((tmp_path / name / file).is_file() for file in said["files"])
        assert (tmp_path / name).exists()
    above = ["export", "trec", str(folders[0].parent), "--benchmark", str(tiny.folder), "--output", "above"]
    subprocess.run([sys.executable, "-m", "mrbench", *above], check=True, cwd=tmp_path, capture_output=True)
    runs = [
        sorted(path.relative_to(found) for path in found.rglob("*.run"))
        for found in map(tmp_path.joinpath, ("above", "trec"))
    ]
    assert runs[0] == runs[1] != []
    words = ["export", "trec", str(folders[0] / "result.json"), "--benchmark", str(tiny.folder), "--output", "x"]
    done = subprocess.run(
        [sys.executable, "-m", "mrbench", *words], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "no run in the folder" in done.stderr
