"""The search against a sort of all scores, for vectors with and without ties."""

from __future__ import annotations

from dataclasses import fields, replace
from urllib.parse import unquote

import numpy as np
import pytest
from tiny_benchmark import Oracle, write_tiny

from mrbench.benchmark import Benchmark
from mrbench.encode import store as store_module
from mrbench.encode.source import ModelSource, TaskEmbeddings
from mrbench.errors import BenchmarkError, InputError
from mrbench.evaluation import evaluate, rescore
from mrbench.pools import TaskPool, load_pool
from mrbench.pools.ids import sample
from mrbench.pools.pool import Pairs
from mrbench.records import judge
from mrbench.retrieve import run_tasks
from mrbench.retrieve import search_tasks as tasks_module
from mrbench.retrieve.search_tasks import search_task
from mrbench.runs.run import TaskRun
from mrbench.search.exact import TILE

TABLES = ("top", "ladder", "relevant", "gains")


def vectors(rows: int, *, distinct: int | None = None, seed: int = 0) -> np.ndarray:
    """Unit vectors; with ``distinct`` drawn again and again from so few."""
    rng = np.random.default_rng(seed)
    drawn = rng.standard_normal((distinct or rows, 16))
    drawn = drawn if distinct is None else drawn[rng.integers(distinct, size=rows)]
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def asked(
    pool: TaskPool, queries: np.ndarray, candidates: np.ndarray, *, distinct: int | None = None
) -> TaskEmbeddings:
    number = len(pool.variants.query)
    parts = {
        part: vectors(len(pool.query_ids), distinct=distinct, seed=seed) for part, seed in (("image", 3), ("text", 4))
    }
    return TaskEmbeddings(candidates, queries, vectors(number, distinct=distinct, seed=2), parts)


@pytest.fixture(params=["task", "union"])
def pool(tiny: Benchmark, request: pytest.FixtureRequest) -> TaskPool:
    return load_pool(tiny, "t2i", "test", pool=request.param)


def test_a_table_has_no_names_beyond_its_own(pool: TaskPool) -> None:
    queries, candidates = vectors(len(pool.query_ids), seed=1), vectors(len(pool.candidate_ids))
    run = search_task(asked(pool, queries, candidates), pool, depth=1)
    ids = run.top["corpus-id"].combine_chunks()
    assert len(ids.dictionary) <= len(ids) < len(pool.candidate_ids)


@pytest.mark.parametrize("many", [64, 1])
@pytest.mark.parametrize("distinct", [None, 5, 1])
def test_search_is_a_full_sort(
    tiny: Benchmark, pool: TaskPool, distinct: int | None, many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mrbench.search.counts._MANY", many)
    queries, candidates = vectors(len(pool.query_ids), seed=1), vectors(len(pool.candidate_ids), distinct=distinct)
    run = search_task(asked(pool, queries, candidates), pool, depth=12)
    names = [c.id for modality in pool.corpora for c in tiny.corpus(modality, "test")]
    images = {c.id: c for c in tiny.corpus("image", "test")}
    for number, query in enumerate(tiny.queries("t2i", "test")):
        cosine = (queries[number].astype(float) @ candidates.T.astype(float)).astype(np.float32)
        score = dict(zip(names, cosine.tolist(), strict=True))
        ranked = sorted(names, key=lambda name: (-score[name], name))
        judged = {name: judge(query, c) for name, c in images.items()}
        of = {t: [r for r in getattr(run, t).to_pylist() if r["query-id"] == query.id] for t in TABLES}
        assert [(r["corpus-id"], r["rank"], r["score"]) for r in of["top"]] == [
            (name, rank, score[name]) for rank, name in enumerate(ranked[:12], start=1)
        ]
        assert {r["corpus-id"]: (r["score"], r["greater"], r["equal"]) for r in of["relevant"]} == {
            name: (
                score[name],
                sum(other > score[name] for other in score.values()),
                sum(other == score[name] for other in score.values()),
            )
            for name, judgement in judged.items()
            if judgement.relevance
        }
        ladder = next(x for x in tiny.ladders("t2i", "test") if x.query_id == query.id)
        assert {r["corpus-id"]: (r["score"], r["greater"], r["equal"]) for r in of["ladder"]} == {
            c: (score[c], sum(s > score[c] for s in score.values()), sum(s == score[c] for s in score.values()))
            for c in ladder.candidate_ids
        }
        reaching = {score[name] for name in ranked[:10]}
        assert {r["score"]: (r["equal"], r["gain"]) for r in of["gains"]} == {
            value: (
                sum(other == value for other in score.values()),
                sum(judged[name].grade for name in names if score[name] == value and name in judged),
            )
            for value in reaching
        }


@pytest.mark.parametrize("distinct", [None, 5])
def test_places_are_counted_among_the_rest(tiny: Benchmark, pool: TaskPool, distinct: int | None) -> None:
    queries, candidates = vectors(len(pool.query_ids), seed=1), vectors(len(pool.candidate_ids), distinct=distinct)
    embeddings = asked(pool, queries, candidates, distinct=distinct)
    run = search_task(embeddings, pool)
    names = [c.id for modality in pool.corpora for c in tiny.corpus(modality, "test")]
    asking = {query.id: query for query in tiny.queries("t2i", "test")}
    images = {c.id: c for c in tiny.corpus("image", "test")}
    positive = {ladder.query_id: ladder.positive_id for ladder in tiny.ladders("t2i", "test")}

    def place(query_id: str, vector: np.ndarray) -> tuple[dict[str, float], tuple[float, int, int]]:
        cosine = (vector.astype(float) @ candidates.T.astype(float)).astype(np.float32)
        score = dict(zip(names, cosine.tolist(), strict=True))
        others = [score[n] for n in names if n not in images or not judge(asking[query_id], images[n]).relevance]
        own = score[positive[query_id]]
        return score, (own, sum(s > own for s in others), sum(s == own for s in others))

    def found(row: dict) -> tuple[float, int, int]:
        return row["score"], row["above"], row["tied"]

    for number, row in enumerate(run.queries.to_pylist()):
        score, expected = place(row["query-id"], queries[number])
        assert found(row) == expected
        assert row["mean"] == pytest.approx(np.mean(list(score.values())), abs=1e-6)
        assert row["deviation"] == pytest.approx(np.std(list(score.values())), abs=1e-6)
        own = {(g.type, g.value) for g in asking[row["query-id"]].grains}
        far = [
            1 - float(queries[number] @ queries[other])
            for other, query in enumerate(asking.values())
            if not own & {(g.type, g.value) for g in query.grains}
        ]
        assert row["unrelated"] == pytest.approx(np.mean(far), abs=1e-6)
    order = {name: number for number, name in enumerate(asking)}
    for variant, vector, row in zip(
        tiny.variants("t2i", "test"), embeddings.variants, run.variants.to_pylist(), strict=True
    ):
        key = (variant.query_id, variant.kind, variant.grain, variant.number)
        assert (row["query-id"], row["kind"], row["grain"], row["number"]) == key
        score, expected = place(variant.query_id, vector)
        assert (found(row), row["target"]) == (expected, score[variant.positive_id])
        assert row["distance"] == pytest.approx(1 - float(vector @ queries[order[variant.query_id]]), abs=1e-6)
    for number, row in enumerate(run.parts.to_pylist()):
        vector = embeddings.parts[row["part"]][number % len(asking)]
        assert found(row) == place(row["query-id"], vector)[1]


@pytest.mark.parametrize("distinct", [None, 5])
def test_first_results_hold_in_each_place_the_mean_of_the_tied(pool: TaskPool, distinct: int | None) -> None:
    queries, candidates = vectors(len(pool.query_ids), seed=1), vectors(len(pool.candidate_ids), distinct=distinct)
    run = search_task(asked(pool, queries, candidates), pool)
    first = {(r["query-id"], r["grain"]): (r["kept"], r["lost"]) for r in run.first.to_pylist()}
    for number, name in enumerate(pool.query_ids.tolist()):
        score = (queries[number].astype(float) @ candidates[pool.row].T.astype(float)).astype(np.float32)
        tied = [np.flatnonzero(score == value) for value in np.sort(score)[::-1][:10]]  # of each of the ten places
        wrong = np.mean([(~pool.right_modality[pool.corpus[group]]).mean() for group in tied])
        assert run.queries["wrong"][number].as_py() == pytest.approx(wrong)
        for kind in np.flatnonzero(pool.query_grains[number] >= 0):
            keeps = pool.candidate_grains[kind] == pool.query_grains[number, kind]
            kept, lost = first[name, pool.grain_types[kind]]
            assert kept == pytest.approx(np.mean([keeps[group].mean() for group in tied]))
            assert lost == pytest.approx(1 - keeps[tied[0]].mean())


def test_block_size_and_threads_change_nothing(pool: TaskPool) -> None:
    number = 3 * TILE + 5
    of = np.arange(number) % len(pool.query_ids)
    members = [pool.ladder.position[pool.ladder.query == query] for query in of]
    names = np.array([f"q{n}" for n in range(number)])
    many = replace(
        pool,
        query_ids=names,
        query_grains=pool.query_grains[of],
        judgements=replace(pool.judgements, query_grains=pool.query_grains[of], names=names),
        positives=pool.positives[of],
        ladder=Pairs(np.repeat(np.arange(number), list(map(len, members))), np.concatenate(members)),
    )
    everything = asked(many, vectors(number, seed=1), vectors(len(pool.candidate_ids)))
    runs = [search_task(everything, many, block=block) for block in (1, TILE, 2 * TILE, None)]
    runs += [search_task(everything, many, block=block, threads=threads) for block, threads in ((None, 1), (7, 5))]
    assert all(run == runs[0] for run in runs)


def test_equal_vectors_tie_exactly_wherever_they_are(pool: TaskPool) -> None:
    candidates = vectors(len(pool.candidate_ids), distinct=1)
    run = search_task(asked(pool, vectors(len(pool.query_ids), seed=1), candidates), pool)
    assert set(run.relevant["equal"].to_pylist()) == {len(pool.candidate_ids)}


def test_pairs_are_those_of_one_grain(tiny: Benchmark) -> None:
    pool = load_pool(tiny, "t2i", "test")
    images = {c.id: {g.type: g.value for g in c.grains} for c in tiny.corpus("image", "test")}
    found = []
    for query, kind, position in zip(pool.pairs.query, pool.pairs.kind, pool.pairs.position, strict=True):
        positive = images[pool.candidate_ids[pool.positives[query]]]
        other = images[pool.candidate_ids[position]]
        assert [t for t in positive if positive[t] != other[t]] == [pool.grain_types[kind]]
        found.append((pool.query_ids[query], pool.grain_types[kind]))
    assert sorted(found) == sorted((q.id, g.type) for q in tiny.queries("t2i", "test") for g in q.grains)


def test_sample_depends_on_ids_alone() -> None:
    ids = np.array([f"id{n}" for n in range(50)])
    ten = set(ids[sample(ids, 10, 0)])
    assert set(ids[::-1][sample(ids[::-1], 10, 0)]) == ten
    assert set(ids[sample(ids, 5, 0)]) < ten
    assert set(ids[sample(ids, 10, 1)]) != ten
    assert len(sample(ids, 99, 0)) == 50
    with pytest.raises(InputError, match="limit"):
        sample(ids, 0, 0)


@pytest.mark.parametrize("salt", ["../", "a b", "x/y", "9:#", "%41", "\N{NO-BREAK SPACE}"])
def test_ids_of_any_form_come_back_from_a_run(tmp_path, monkeypatch, salt: str) -> None:
    from tiny_benchmark import record_id as true_id

    monkeypatch.setattr("tiny_benchmark.record_id", lambda *parts, **more: salt + true_id(*parts, **more))
    benchmark = write_tiny(tmp_path / "b", tasks=["i2i"])
    result = evaluate(benchmark, Oracle(), tmp_path / "r")
    assert rescore(tmp_path / "r", benchmark) == result
    rows = [line.split() for line in (tmp_path / "r" / "i2i.trec").read_text().splitlines()]
    assert {len(row) for row in rows} == {6}
    assert {unquote(row[0]) for row in rows} == {query.id for query in benchmark.queries("i2i", "test")}


@pytest.mark.parametrize("salt", ["\x00", "a\nb"])
def test_ids_that_no_line_can_hold_are_refused(tmp_path, monkeypatch, salt: str) -> None:
    from tiny_benchmark import record_id as true_id

    monkeypatch.setattr("tiny_benchmark.record_id", lambda *parts, **more: salt + true_id(*parts, **more))
    with pytest.raises(BenchmarkError, match="malformed id"):
        load_pool(write_tiny(tmp_path / "b", tasks=["i2i"]), "i2i", "test")


def test_one_id_in_both_corpora_is_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("tiny_benchmark.record_id", lambda first, *rest, **_: f"{rest}".replace(" ", ""))
    benchmark = write_tiny(tmp_path / "b", tasks=["i2i"])
    load_pool(benchmark, "i2i", "test")
    with pytest.raises(BenchmarkError, match="duplicate id"):
        load_pool(benchmark, "i2i", "test", pool="union")


def test_two_modalities_are_mapped_where_they_are_large(tiny, tmp_path, monkeypatch) -> None:
    seen = []
    monkeypatch.setattr(
        tasks_module, "search_task", lambda found, *a, **k: (seen.append(found.candidates), _nothing())[1]
    )
    pools = {"t2i": load_pool(tiny, "t2i", "test", pool="union")}
    source = ModelSource(Oracle(), tiny, "test")
    run_tasks(source, pools, folder=tmp_path)
    monkeypatch.setattr(store_module, "MAPPED", 1)
    run_tasks(source, pools, folder=tmp_path)
    run_tasks(source, pools)
    in_memory, mapped, without_folder = seen
    assert isinstance(mapped, np.memmap)
    assert not isinstance(in_memory, np.memmap)
    assert not isinstance(without_folder, np.memmap)
    assert len(mapped) == sum(1 for modality in pools["t2i"].corpora for _ in tiny.corpus(modality, "test"))
    np.testing.assert_array_equal(mapped, in_memory)
    assert list(tmp_path.iterdir()) == []


def _nothing() -> TaskRun:
    return TaskRun(**dict.fromkeys((field.name for field in fields(TaskRun)), None))
