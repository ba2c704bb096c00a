"""The scores follow from the kept run alone, and a run that was changed is found out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import pytrec_eval
from tiny_benchmark import Constant, Guess, Oracle, write_tiny
from valid_benchmark import not_utf8

from mrbench.benchmark import Benchmark
from mrbench.errors import FormatVersionError, ResultError
from mrbench.evaluation import evaluate, rescore
from mrbench.files import sha256_file
from mrbench.results import difference, read_result
from mrbench.runs import read_run
from mrbench.runs import run as run_module


@pytest.mark.parametrize("options", [{}, {"pool": "union", "limit": 3, "seed": 4}, {"depth": 3}], ids=str)
@pytest.mark.parametrize("model", [Guess("guess"), Constant("constant"), Oracle(modalities=["image"])])
def test_rescoring_gives_the_same(tiny: Benchmark, tmp_path: Path, model: Oracle, options: dict) -> None:
    assert evaluate(tiny, model, tmp_path / "r", **options) == rescore(tmp_path / "r", tiny)


@pytest.fixture
def folder(tiny: Benchmark, tmp_path: Path) -> Path:
    evaluate(tiny, Guess("a guess"), tmp_path / "r", depth=12)
    return tmp_path / "r"


def test_trec_eval_reads_the_run(tiny: Benchmark, tmp_path: Path) -> None:
    result = evaluate(tiny, Guess("a guess"), tmp_path / "r").tasks["t2i"]
    run: dict[str, dict[str, float]] = {}
    for line in (tmp_path / "r" / "t2i.trec").read_text().splitlines():
        query, zero, candidate, rank, score, tag = line.split()
        assert (zero, tag) == ("Q0", "a-guess")
        run.setdefault(query, {})[candidate] = float(score)
        assert len(run[query]) == int(rank)
    qrels: dict[str, dict[str, int]] = {}
    for judgement in tiny.judgements("t2i", "test"):
        qrels.setdefault(judgement.query_id, {})[judgement.candidate_id] = judgement.relevance
    by_query = pytrec_eval.RelevanceEvaluator(qrels, {"map", "recip_rank", "recall.10", "success.10"}).evaluate(run)
    names = {"map": "map", "recip_rank": "mrr", "recall_10": "recall@10", "success_10": "hit_rate@10"}
    for theirs, ours in names.items():
        assert np.mean([row[theirs] for row in by_query.values()]) == pytest.approx(result.scores[ours], abs=1e-6)


Change = Callable[[pa.Table], pa.Table]


def change(folder: Path, name: str, how: Change) -> None:
    """Change a table, and its digest too: what remains is whether the numbers fit each other."""
    path = folder / name
    pq.write_table(how(pq.read_table(path, partitioning=None)), path)
    raw = json.loads((folder / "run.json").read_text())
    raw["files"][name] = sha256_file(path)
    (folder / "run.json").write_text(json.dumps(raw))


def with_cell(column: str, row: int, value: object) -> Change:
    def how(table: pa.Table) -> pa.Table:
        cells = table[column].to_pylist()
        cells[row] = value(cells[row]) if callable(value) else value
        at = table.column_names.index(column)
        return table.set_column(at, column, pa.array(cells, table.schema.field(column).type))

    return how


def without_query(table: pa.Table) -> pa.Table:
    return table.filter(pc.not_equal(table["query-id"], table["query-id"][0]))


@pytest.mark.parametrize("table", ["run", "ladder", "relevant", "gains"])
def test_a_missing_query_is_named_and_never_averaged_away(tiny: Benchmark, folder: Path, table: str) -> None:
    name = tiny.queries("i2i", "test")[0].id
    change(folder, f"i2i.{table}.parquet", without_query)
    with pytest.raises(ResultError, match=f"lacks 1 of 6 queries.*{name}"):
        rescore(folder, tiny)


def joined_groups(table: pa.Table) -> pa.Table:
    """The first two groups of the first query, as one that stays within the ranking and keeps all sums."""
    query = table["query-id"][0].as_py()
    rows = table.to_pylist()
    one, two = sorted((row for row in rows if row["query-id"] == query), key=lambda row: row["greater"])[:2]
    both = {name: one[name] + two[name] for name in ("equal", "gain", "judged")}
    kept = [row for row in rows if row not in (one, two)]
    return pa.Table.from_pylist([one | both, *kept], schema=table.schema)


def uncounted(table: pa.Table) -> pa.Table:
    """Flipped queries for which nothing is above the positive, though the candidate that they ask for is."""
    for row, one in enumerate(table.to_pylist()):
        if one["kind"] == "flipped" and one["target"] > one["score"]:
            table = with_cell("above", row, 0)(table)
    return table


CHANGES: dict[str, tuple[str, Change, str]] = {
    "a better rank of a relevant candidate": (
        "t2i.relevant",
        with_cell("greater", 0, lambda n: n - 1 if n else 1),
        "contradicts itself",
    ),
    "a bigger gain": ("t2i.gains", with_cell("gain", 0, lambda gain: gain + 1), "contradicts itself"),
    "a group of gains of nobody": ("t2i.gains", with_cell("equal", 0, 0), "contradicts itself"),
    "a group of gains beyond the pool": ("t2i.gains", with_cell("equal", -1, 1 << 62), "contradicts itself"),
    "the last gain lost": ("t2i.gains", lambda table: table.slice(1), "contradicts itself"),
    "a gain lost": ("t2i.gains", lambda table: table.filter(pc.not_equal(table["greater"], 4)), "contradicts itself"),
    "a better score of a ladder": ("t2i.ladder", with_cell("score", 0, 0.99), "contradicts itself"),
    "a better score in the run": ("t2i.run", with_cell("score", 5, 0.99), "contradicts itself"),
    "the first line of the run lost": ("t2i.run", lambda table: table.slice(1), "contradicts itself"),
    "the last line of the run lost": ("t2i.run", lambda table: table.slice(0, len(table) - 1), "contradicts itself"),
    "a lost member of a ladder": ("i2i.ladder", lambda table: table.slice(1), "lacks a member of a ladder"),
    "a lost negative of a ladder": ("i2i.ladder", lambda table: table.slice(0, len(table) - 1), "lacks a member"),
    "a place of a ladder that is none": ("t2i.ladder", with_cell("greater", 3, -5), "contradicts itself"),
    "a place of a ladder beyond the pool": ("t2i.ladder", with_cell("equal", 3, 1000), "contradicts itself"),
    "a better score of a positive": ("t2i.queries", with_cell("score", 0, lambda s: s + 0.01), "contradicts itself"),
    "a better place of a positive": ("t2i.queries", with_cell("above", 0, lambda n: n + 1), "contradicts itself"),
    "a positive that ties with another": (
        "t2i.queries",
        with_cell("tied", 0, lambda n: n + 1),
        "contradicts itself",
    ),
    "an endless mean": ("t2i.queries", with_cell("mean", 0, float("inf")), "mean is out of range"),
    "an endless deviation": ("t2i.queries", with_cell("deviation", 0, float("inf")), "deviation is out of range"),
    "no distance of unrelated queries": (
        "t2i.queries",
        with_cell("unrelated", 0, float("nan")),
        "unrelated is out of range",
    ),
    "more than all of another modality": ("t2i.queries", with_cell("wrong", 0, 1.5), "wrong is out of range"),
    "a higher mean": ("t2i.queries", with_cell("mean", 0, lambda n: n + 0.5), "mean contradicts"),
    "no deviation": ("t2i.queries", with_cell("deviation", 0, 0.0), r"deviation contradicts.*t2i\.queries\.parquet"),
    "a variant that scores far from its query": (
        "t2i.variants",
        lambda table: with_cell("distance", 0, 0.0)(with_cell("score", 0, lambda n: n - 0.1)(table)),
        r"score contradicts.*t2i\.variants\.parquet",
    ),
    "a score beyond a cosine": ("t2i.variants", with_cell("target", 0, 1.5), "target is out of range"),
    "a half with a score beyond a cosine": ("it2i.parts", with_cell("score", 0, -1.5), "score is out of range"),
    "a rank of a half beyond the pool": ("it2i.parts", with_cell("above", 0, 36), "above, tied is out of range"),
    "a variant whose target is not counted": ("t2i.variants", lambda table: uncounted(table), "above contradicts"),
    "a picture among the texts": ("t2i.queries", with_cell("wrong", 0, 0.1), r"wrong is not .*t2i\.queries\.parquet"),
    "a grain kept more often": ("t2i.first", with_cell("kept", 0, lambda n: n + 0.1 if n < 0.9 else 0), "kept is not"),
    "a grain lost less often": ("t2i.first", with_cell("lost", 0, lambda n: 1 - n), "lost is not what"),
    "a group of gains of two scores": ("t2i.gains", lambda table: joined_groups(table), "contradicts itself"),
    "no queries without text or picture": ("it2i.parts", lambda table: table.slice(0, 0), "lacks 6 of 6 rows"),
    "none with the text alone": (
        "it2i.parts",
        lambda table: table.filter(pc.equal(table["part"], "image")),
        "parts, text",
    ),
    "a lost relevant candidate": ("t2i.relevant", None, "not the benchmark's"),
    "a stranger": ("t2i.run", with_cell("corpus-id", 0, "nobody"), "not in the pool"),
    "a strange query": ("t2i.run", with_cell("query-id", 0, "nobody"), "not asked"),
    "a candidate twice": ("t2i.ladder", lambda table: pa.concat_tables([table, table]), "twice"),
    "no number": ("t2i.ladder", with_cell("score", 2, float("nan")), "not a number"),
    "an empty cell": ("t2i.ladder", with_cell("score", 2, None), "empty cells"),
    "no UTF-8": ("t2i.ladder", lambda table: table.set_column(0, "query-id", [not_utf8(len(table))]), "unreadable"),
    "no column": ("t2i.ladder", lambda table: table.drop_columns(["score"]), "unreadable table"),
}


def all_kept(table: pa.Table) -> pa.Table:
    for column, value in (("kept", 1.0), ("lost", 0.0)):
        table = table.set_column(table.column_names.index(column), column, pa.array([value] * len(table)))
    return table


@pytest.mark.parametrize("depth", [3, 12])
@pytest.mark.parametrize("pool", ["task", "union"])
@pytest.mark.parametrize("model", [Guess("guess"), Constant("constant")])
def test_first_results_that_keep_all_grains_are_found_out(
    tiny: Benchmark, tmp_path: Path, model: Oracle, pool: str, depth: int
) -> None:
    folder = tmp_path / "r"
    evaluate(tiny, model, folder, depth=depth, pool=pool)
    for task in ("t2i", "i2i", "it2i"):  # of the last two, the query itself is excluded, or texts are no answer
        shutil.copytree(folder, tmp_path / task)
        change(tmp_path / task, f"{task}.first.parquet", all_kept)
        query = r"[0-9a-f]{16}, (count|entity|place)"
        with pytest.raises(ResultError, match=rf"is not what the first.*{task}\.first\.parquet, {query}; got"):
            rescore(tmp_path / task, tiny)


def test_of_results_that_the_run_lacks_what_is_possible_is_accepted(tiny: Benchmark, tmp_path: Path) -> None:
    evaluate(tiny, Guess("guess"), tmp_path / "r", depth=3)
    rows = pq.read_table(tmp_path / "r" / "t2i.first.parquet", partitioning=None).to_pylist()
    row = next(number for number, one in enumerate(rows) if 0.2 < one["kept"] < 0.6)
    change(tmp_path / "r", "t2i.first.parquet", with_cell("kept", row, lambda share: share + 0.1))
    rescore(tmp_path / "r", tiny)
    change(tmp_path / "r", "t2i.first.parquet", with_cell("kept", row, 1.0))
    with pytest.raises(ResultError, match=r"kept is not.*accepted: 0\.?\d* to 0?\.\d+"):
        rescore(tmp_path / "r", tiny)


def test_the_order_of_rows_says_nothing(tiny: Benchmark, folder: Path) -> None:
    expected = read_result(folder / "result.json")
    for path in folder.glob("*.parquet"):
        change(folder, path.name, lambda table: table.take(np.random.default_rng(0).permutation(len(table))))
    assert difference(expected, rescore(folder, tiny)) is None


def test_lines_of_trec_have_the_scores_of_the_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "_TREC_ROWS", 7)
    run = read_run(folder)
    run_module.write_run(folder, run)
    lines = [line.split(" ") for line in (folder / "t2i.trec").read_text().splitlines()]
    rows = [[r["query-id"], "Q0", r["corpus-id"], str(r["rank"])] for r in run.tasks["t2i"].top.to_pylist()]
    assert [line[:4] for line in lines] == rows
    assert [np.float32(line[4]) for line in lines] == run.tasks["t2i"].top["score"].to_pylist()
    assert {line[5] for line in lines} == {"a-guess"}


@pytest.mark.slow
@pytest.mark.parametrize("case", CHANGES)
def test_a_changed_run_is_found_out(tiny: Benchmark, folder: Path, case: str) -> None:
    name, how, message = CHANGES[case]
    if case == "a lost relevant candidate":
        table = pq.read_table(folder / f"{name}.parquet", partitioning=None)
        several = next(q["values"] for q in table["query-id"].value_counts().to_pylist() if q["counts"] > 1)
        row = table["query-id"].to_pylist().index(several)
        keep = [number for number in range(len(table)) if number != row]
        how = lambda table: table.take(keep)  # noqa: E731
    if case == "a lost member of a ladder":
        pool_positive = tiny.ladders("i2i", "test")[0].positive_id
        how = lambda table: table.filter(pc.not_equal(table["corpus-id"], pool_positive))  # noqa: E731
    change(folder, f"{name}.parquet", how)
    with pytest.raises(ResultError, match=message):
        rescore(folder, tiny)


@pytest.mark.slow
@pytest.mark.parametrize("table", ["run", "ladder", "relevant", "gains", "queries", "variants", "first", "parts"])
def test_a_table_of_another_model_is_found_out(tiny: Benchmark, folder: Path, tmp_path: Path, table: str) -> None:
    evaluate(tiny, Oracle("another", blind_to=["count"]), tmp_path / "other", depth=12)
    shutil.copy(tmp_path / "other" / f"it2i.{table}.parquet", folder)
    with pytest.raises(ResultError, match=f"altered.*it2i.{table}"):
        rescore(folder, tiny)
    (folder / f"it2i.{table}.parquet").unlink()
    with pytest.raises(ResultError, match=f"missing.*it2i.{table}"):
        rescore(folder, tiny)


def test_a_run_of_an_earlier_version_has_no_digests(tiny: Benchmark, folder: Path) -> None:
    expected = rescore(folder, tiny)
    raw = json.loads((folder / "run.json").read_text())
    del raw["files"]
    (folder / "run.json").write_text(json.dumps(raw))
    assert rescore(folder, tiny) == expected


@pytest.mark.parametrize("why", [None, "the model takes no image"])
def test_a_run_that_lost_a_task_is_refused(tiny: Benchmark, folder: Path, why: str | None) -> None:
    raw = json.loads((folder / "run.json").read_text())
    del raw["tasks"]["t2i"]
    raw["not_supported"] |= {"t2i": why} if why else {}
    (folder / "run.json").write_text(json.dumps(raw))
    with pytest.raises(ResultError, match="disagree on t2i"):
        rescore(folder, tiny)


def test_a_result_of_another_model_is_refused(tiny: Benchmark, folder: Path, tmp_path: Path) -> None:
    evaluate(tiny, Guess("another"), tmp_path / "other", depth=12)
    shutil.copy(tmp_path / "other" / "result.json", folder)
    with pytest.raises(ResultError, match="two evaluations: another model"):
        rescore(folder, tiny)


def test_another_benchmark_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="another benchmark"):
        rescore(folder, write_tiny(tmp_path / "other", salt="x"))


@pytest.mark.parametrize(
    ("key", "value", "error", "message"),
    [
        ("format", "other", ResultError, "not a run of MRBench"),
        ("format_version", 99, FormatVersionError, "newer MRBench"),
        ("format_version", True, ResultError, "format version"),
        ("tasks", {"../x": {"seconds": {}}}, ResultError, "malformed name of a task"),
        ("tasks", [], ResultError, "malformed run"),
        ("seed", None, ResultError, "malformed run"),
        ("benchmark", {}, ResultError, "malformed run"),
    ],
)
def test_a_malformed_run_is_refused(folder: Path, key: str, value: object, error: type, message: str) -> None:
    raw = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(raw | {key: value}))
    with pytest.raises(error, match=message):
        read_run(folder)


def test_a_half_written_run_is_refused(folder: Path) -> None:
    path = folder / "i2t.gains.parquet"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ResultError, match=r"table of a run is altered.*i2t\.gains"):
        read_run(folder)
    raw = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({key: value for key, value in raw.items() if key != "files"}))
    with pytest.raises(ResultError, match=r"unreadable table.*i2t\.gains"):
        read_run(folder)
    (folder / "run.json").write_text("{")
    with pytest.raises(ResultError, match="unreadable run"):
        read_run(folder)


def test_members_of_ladders_beyond_the_kept_results_count_for_the_deviation(tiny: Benchmark, folder: Path) -> None:
    def pairs(name: str) -> set[tuple[str, str]]:
        rows = pq.read_table(folder / f"t2i.{name}.parquet", partitioning=None).to_pylist()
        return {(row["query-id"], row["corpus-id"]) for row in rows}

    known = pairs("relevant") | pairs("run")

    def sunk(table: pa.Table) -> pa.Table:
        for row, one in enumerate(table.to_pylist()):
            if (one["query-id"], one["corpus-id"]) not in known:
                table = with_cell("score", row, -0.99)(table)
        return table

    assert not pairs("ladder") <= known
    change(folder, "t2i.ladder.parquet", sunk)
    with pytest.raises(ResultError, match=r"(mean|deviation) contradicts the scores of the run.*t2i\.queries"):
        rescore(folder, tiny)
