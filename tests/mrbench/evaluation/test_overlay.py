"""Judgements laid over those of a data set give the scores of a data set that has them from the start."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from tiny_benchmark import Constant

from mrbench.benchmark import Benchmark, Contents, ImageRoot, InMemoryBenchmark, write_benchmark
from mrbench.cli.app import main
from mrbench.errors import BenchmarkError, InputError, ResultError
from mrbench.evaluation import evaluate, rescore
from mrbench.models.protocol import Item
from mrbench.records import Candidate, CandidateList, Judgement, Query, Task
from mrbench.results import read_result
from mrbench.sources.overlay import read_overlay

QUERIES, CANDIDATES = 12, 40
MEASURES = ("hit_rate@1", "hit_rate@5", "recall@5", "capped_map@5", "map", "mrr", "map@r", "r_precision", "ndcg@10")
Rows = dict[tuple[str, str], int]


class Texts(Contents):
    """Texts that are searched by texts, with judgements as given."""

    name = title = "texts"
    location, licence, splits, images = Path("texts"), "CC0-1.0", ("test",), ImageRoot()

    def __init__(self, judged: Rows, *, lists: bool = False, exclusions: bool = False) -> None:
        self.judged, self._lists, self._exclusions = judged, lists, exclusions
        pool = "lists" if lists else "corpus"
        task = Task("t2t", "text", "text", "text", ("text",), "partial", pool, MEASURES, "hit_rate@1")  # type: ignore[arg-type]
        self.tasks, self.corpora = (task,), {"text": "text"}

    def digest(self) -> str:
        return hashlib.sha256(repr(sorted(self.judged.items())).encode()).hexdigest()

    def candidates(self, corpus: str, split: str) -> Iterator[Candidate]:
        return (Candidate(f"c {n}%", text=f"candidate {n}") for n in range(CANDIDATES))

    def queries(self, task: str, split: str) -> Iterator[Query]:
        for n in range(QUERIES):
            yield Query(f"q:{n}", task, "", text=f"query {n}", cluster=str(n // 2))

    def judgements(self, task: str, split: str) -> Iterator[Judgement]:
        return (Judgement(*pair, relevance) for pair, relevance in self.judged.items())

    def lists(self, task: str, split: str) -> Iterator[CandidateList]:
        for n in range(QUERIES if self._lists else 0):
            yield CandidateList(f"q:{n}", tuple(f"c {m}%" for m in range(CANDIDATES) if (m + n) % 3 or m == n))

    def exclusions(self, task: str, split: str) -> Iterator[CandidateList]:
        for n in range(QUERIES if self._exclusions else 0):
            yield CandidateList(f"q:{n}", (f"c {n + 20}%", f"c {n + 21}%"))


class Coarse:
    """Vectors of a few values, so that many candidates tie."""

    name, revision, device, dtype, dimension = "coarse", "1", "cpu", "float32", 3
    modalities = frozenset({"text"})

    def embed_queries(self, items: Sequence[Item], instruction: str) -> np.ndarray:
        return self.embed_candidates(items)

    def embed_candidates(self, items: Sequence[Item]) -> np.ndarray:
        digests = [hashlib.sha256(str(item.text).encode()).digest()[:3] for item in items]
        return np.array([[byte % 3 + 0.5 for byte in digest] for digest in digests], dtype=np.float32)


def drawn(seed: int, per_query: int) -> Rows:
    rng = np.random.default_rng(seed)
    return {(f"q:{n}", f"c {m}%"): int(rng.integers(0, 3)) for n in range(QUERIES) for m in rng.choice(40, per_query)}


def own(seed: int) -> Rows:
    return {**drawn(seed, 2), **{(f"q:{n}", f"c {n}%"): 1 for n in range(QUERIES)}}


def write_csv(path: Path, rows: Rows) -> Path:
    lines = [f"{query},{candidate},{relevance},human" for (query, candidate), relevance in rows.items()]
    path.write_text("\n".join(["query-id,corpus-id,score,origin", *lines]) + "\n")
    return path


@pytest.mark.parametrize("options", [{}, {"lists": True}, {"exclusions": True}], ids=str)
@pytest.mark.parametrize("model", [Coarse(), Constant("constant", modalities=["text"])], ids=["coarse", "constant"])
@pytest.mark.parametrize("seed", range(4))
def test_scores_are_those_of_the_merged_judgements(tmp_path: Path, seed: int, model, options: dict) -> None:
    before, laid = own(seed), drawn(seed + 100, 5)
    overlay = read_overlay(write_csv(tmp_path / "review.csv", laid))
    result = evaluate(InMemoryBenchmark(Texts(before, **options)), model, tmp_path / "r", overlay=overlay)
    merged = InMemoryBenchmark(Texts({**before, **laid}, **options))
    expected = evaluate(merged, model, tmp_path / "m").tasks["t2t"]
    plain = evaluate(InMemoryBenchmark(Texts(before, **options)), model, tmp_path / "p").tasks["t2t"]
    task = result.tasks["t2t"]
    ranked = set(task.overlay["scores"])
    assert ranked > set(MEASURES)
    assert "judged@10" in ranked
    for name in ranked:
        assert task.overlay["scores"][name] == pytest.approx(expected.scores[name], abs=1e-12), name
    assert task.overlay["chance"] == pytest.approx(expected.chance)
    assert task.overlay["intervals"].keys() <= expected.intervals.keys()
    for name, interval in task.overlay["intervals"].items():
        assert interval == pytest.approx(expected.intervals[name])
    assert task.overlay["queries"] == expected.queries
    assert task.scores == plain.scores  # and what stands beside them is untouched
    if isinstance(model, Constant):
        chance = {name: task.overlay["scores"][name] for name in task.overlay["chance"]}
        assert chance == pytest.approx(task.overlay["chance"])


def test_rescoring_gives_the_same_from_the_run_alone(tmp_path: Path) -> None:
    benchmark = InMemoryBenchmark(Texts(own(1)))
    overlay = read_overlay(write_csv(tmp_path / "review.csv", drawn(7, 4)))
    result = evaluate(benchmark, Coarse(), tmp_path / "r", overlay=overlay)
    assert result.tasks["t2t"].overlay["changed"]
    assert rescore(tmp_path / "r", benchmark) == result
    assert rescore(tmp_path / "r", benchmark, overlay=overlay) == result
    assert read_result(tmp_path / "r" / "result.json") == result


def test_a_run_without_the_scores_says_to_evaluate_again(tmp_path: Path) -> None:
    benchmark = InMemoryBenchmark(Texts({(f"q:{n}", f"c {n}%"): 1 for n in range(QUERIES)}))
    evaluate(benchmark, Coarse(), tmp_path / "r")
    overlay = read_overlay(write_csv(tmp_path / "new.csv", {("q:0", "c 7%"): 1, ("q:1", "c 8%"): 2}))
    with pytest.raises(ResultError, match=r"lacks the scores of 2 pairs of the overlay.*next: mrbench evaluate"):
        rescore(tmp_path / "r", benchmark, overlay=overlay)
    known = read_overlay(write_csv(tmp_path / "known.csv", {("q:0", "c 0%"): 0}))  # only takes back what was relevant
    task = rescore(tmp_path / "r", benchmark, overlay=known).tasks["t2t"]
    assert (task.overlay["queries"], task.overlay["without_relevant"]) == (QUERIES - 1, 1)
    assert task.overlay["judged_queries"]["queries"] == 0


def test_the_queries_that_it_judges_are_compared_by_themselves(tmp_path: Path) -> None:
    before = {(f"q:{n}", f"c {n}%"): 1 for n in range(QUERIES)}
    laid = {("q:3", f"c {m}%"): 1 for m in range(CANDIDATES)}
    overlay = read_overlay(write_csv(tmp_path / "review.csv", laid))
    result = evaluate(InMemoryBenchmark(Texts(before)), Coarse(), tmp_path / "r", overlay=overlay)
    over = result.tasks["t2t"].overlay
    assert (over["rows"], over["pairs"], over["changed"]) == (40, 40, 39)
    judged = over["judged_queries"]
    assert judged["queries"] == 1
    assert judged["with"]["hit_rate@1"] == judged["with"]["judged@10"] == 1.0
    assert judged["without"]["judged@10"] < 1
    gain = judged["with"]["hit_rate@1"] - judged["without"]["hit_rate@1"]
    assert over["scores"]["hit_rate@1"] - result.tasks["t2t"].scores["hit_rate@1"] == pytest.approx(gain / QUERIES)


def test_a_changed_overlay_of_a_run_is_found_out(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from mrbench.files import sha256_file

    benchmark = InMemoryBenchmark(Texts(own(1)))
    overlay = read_overlay(write_csv(tmp_path / "review.csv", drawn(7, 4)))
    evaluate(benchmark, Coarse(), tmp_path / "r", overlay=overlay)
    path = tmp_path / "r" / "t2t.overlay.parquet"
    table = pq.read_table(path, partitioning=None)
    at = table.column_names.index("greater")
    pq.write_table(table.set_column(at, "greater", pa.array([0] * len(table), pa.int64())), path)
    with pytest.raises(ResultError, match="altered"):
        rescore(tmp_path / "r", benchmark)
    raw = json.loads((tmp_path / "r" / "run.json").read_text())
    raw["files"][path.name] = sha256_file(path)
    (tmp_path / "r" / "run.json").write_text(json.dumps(raw))
    with pytest.raises(ResultError, match="contradicts itself; where: t2t, overlay"):
        rescore(tmp_path / "r", benchmark)


ROWS = {("q:1", "c 2%"): 1, ("q:2", "c 3%"): 0}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "query-id,corpus-id,score\nq:1,c 2%,1\nq:2,c 3%,0\n"),
        ("a.csv", "relevance,candidate,query,note\n1,c 2%,q:1,x\n0,c 3%,q:2,y\n"),
        ("a.tsv", 'query_id\tcandidate_id\trelevance\torigin\nq:1\t"c 2%"\t1\thuman\nq:2\tc 3%\t0\thuman\n'),
        ("a.jsonl", '{"query": "q:1", "candidate": "c 2%", "score": 1}\n{"query":"q:2","corpus_id":"c 3%","score":0}'),
        ("a.csv", "Query-ID,Corpus-ID,Score\nq:1,c 2%,1\nq:2,c 3%,0\n"),
        ("a.jsonl", '{"Query": "q:1", "CANDIDATE": "c 2%", "Score": 1}\n{"query":"q:2","corpus_id":"c 3%","score":0}'),
        ("a.csv", "query-id,corpus-id,score,relevance\nq:1,c 2%,1,1\nq:2,c 3%,0,\n"),
        ("a.qrels", "q:1 0 c%202%25 1\nq:2\t0\tc%203%25\t0\n\n"),
        ("a.csv.gz", "query-id,corpus-id,score\nq:1,c 2%,1\nq:2,c 3%,0\n"),
    ],
)  # fmt: skip
def test_every_format_says_the_same(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    overlay = read_overlay(path)
    found = dict(
        zip(zip(overlay.query.tolist(), overlay.candidate.tolist(), strict=True), overlay.relevance, strict=True)
    )
    assert found == ROWS
    assert set(overlay.origin.tolist()) == {"human"}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.csv", "query-id,score\nq:1,1\n", r"column is missing; where: .*a.csv:2; .*accepted: corpus-id"),
        ("a.csv", "query-id,corpus-id,score\nq:1,c,-1\n", r"malformed relevance; where: .*a.csv:2; got: '-1'"),
        ("a.csv", "query-id,corpus-id,score\nq:1,c,0.5\n", "malformed relevance"),
        (
            "a.csv",
            "query,candidate,score,relevance\nq,c,1,1\nq,d,0,1\n",
            r"two columns .*a.csv:3; .*score: 0; relevance: 1",
        ),
        ("a.csv", "query-id,corpus-id,score\n,c,1\n", r"a.csv:2, query"),
        ("a.csv", "query-id,corpus-id,score\n", "an overlay has no row"),
        ("a.jsonl", '{"query": "q:1", "candidate": ["c"], "score": 1}\n', r"a.jsonl:1, candidate"),
        ("a.jsonl", "[]\n", r"not a JSON object; where: .*a.jsonl:1"),
        ("a.qrels", "q:1 0 c\n", r"not a line of TREC qrels; where: .*a.qrels:1"),
        ("a.xlsx", "x", "unknown kind of overlay"),
    ],
)
def test_a_malformed_overlay_is_one_line(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(BenchmarkError, match=said):
        read_overlay(tmp_path / name)


def test_what_does_not_fit_is_refused_before_anything_is_embedded(tmp_path: Path, tiny: Benchmark) -> None:
    with pytest.raises(BenchmarkError, match="missing"):
        read_overlay(tmp_path / "not there.csv")
    strange = read_overlay(write_csv(tmp_path / "strange.csv", {("q 1", "c 2"): 1}))
    benchmark = InMemoryBenchmark(Texts(own(0)))
    with pytest.raises(InputError, match=r"no row of the overlay names .*got: 'q 1 c 2'; accepted: ids as q:0"):
        evaluate(benchmark, Coarse(), tmp_path / "r", overlay=strange)
    with pytest.raises(InputError, match="cannot change complete judgements"):
        evaluate(tiny, Constant(), tmp_path / "r", tasks=["t2i"], overlay=strange)
    (tmp_path / "two.csv").write_text("query-id,corpus-id,score\nq:1,c 2%,1\nq:1,c 2%,0\n")
    with pytest.raises(BenchmarkError, match=r"two judgements of one pair differ; where: two\.csv, q:1 c 2%"):
        evaluate(benchmark, Coarse(), tmp_path / "r", overlay=read_overlay(tmp_path / "two.csv"))
    assert not (tmp_path / "r").exists()


def write_folder(folder: Path, contents: Texts) -> Path:
    with write_benchmark(folder, tasks=contents.tasks, corpora=contents.corpora) as writer:
        writer.add_candidates("test", list(contents.candidates("text", "test")), corpus="text")
        writer.add_queries("test", list(contents.queries("t2t", "test")))
        writer.add_judgements("test", "t2t", list(contents.judgements("t2t", "test")))
        writer.finish(name="texts", title="Texts")
    return folder


def test_a_benchmark_is_an_overlay_of_another(tmp_path: Path) -> None:
    before, laid = own(0), drawn(9, 4)
    other = read_overlay(write_folder(tmp_path / "other", Texts(laid)))
    benchmark = InMemoryBenchmark(Texts(before))
    result = evaluate(benchmark, Coarse(), tmp_path / "r", overlay=other)
    of_file = evaluate(benchmark, Coarse(), tmp_path / "f", overlay=read_overlay(write_csv(tmp_path / "a.csv", laid)))
    assert result.tasks["t2t"].overlay["scores"] == of_file.tasks["t2t"].overlay["scores"]
    assert result.tasks["t2t"].overlay["name"] == "texts"


def run(words: list[str]) -> int:
    with pytest.raises(SystemExit) as left:
        main(words)
    return left.value.code or 0


def test_the_command_line_shows_both(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_folder(tmp_path / "texts", Texts(own(0)))
    overlay = write_csv(tmp_path / "review.csv", drawn(9, 4))
    out = tmp_path / "out"
    words = ["evaluate", str(folder), "--model", "random", "--output", str(out), "--overlay", str(overlay)]
    assert run(words) == 0
    said = capsys.readouterr().out
    scores = read_result(out / "result.json").tasks["t2t"]
    with_it, without = scores.overlay["scores"]["hit_rate@1"], scores.scores["hit_rate@1"]
    assert f"with review.csv (without): {scores.overlay['changed']:,} of " in said
    assert f"hit_rate@1 {with_it:.3f} ({without:.3f})" in said
    assert run(["rescore", str(out), str(folder)]) == 0
    assert f"hit_rate@1 {with_it:.3f} ({without:.3f})" in capsys.readouterr().out
    other = write_csv(tmp_path / "other.csv", {("q:0", "c 0%"): 2})
    assert run(["rescore", str(out), str(folder), "--overlay", str(other), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tasks"]["t2t"]["overlay"]["name"] == "other.csv"
