"""The pool of a quick look: what the queries need, a sample of the rest, and the same scores from its run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_benchmark import Guess, Oracle, write_tiny

from mrbench.benchmark import Benchmark, write_benchmark
from mrbench.evaluation import evaluate, rescore
from mrbench.evaluation import evaluation as evaluation_module
from mrbench.leaderboard.standings import boards
from mrbench.pools import TaskPool, load_pool
from mrbench.records import Candidate, CandidateList, Judgement, Query, Task

LOOK = {"limit": 2, "distractors": 5, "seed": 3}


def needed(benchmark: Benchmark, pool: TaskPool) -> set[str]:
    """Ids of the candidates that the pool's queries name in any table, read record by record."""
    asked = set(pool.query_ids.tolist())
    found = {j.candidate_id for j in benchmark.judgements(pool.task, "test") if j.query_id in asked}
    found |= {
        i for ladder in benchmark.ladders(pool.task, "test") if ladder.query_id in asked for i in ladder.candidate_ids
    }
    found |= {v.positive_id for v in benchmark.variants(pool.task, "test") if v.query_id in asked}
    return found | {i for row in benchmark.lists(pool.task, "test") if row.query_id in asked for i in row.candidate_ids}


@pytest.fixture
def opened(tmp_path: Path) -> Benchmark:
    """40 texts in two corpora, c24 in both; graded judgements with exclusions, and a task with lists."""
    tasks = [
        Task("graded", "t → t", "text", "text", corpora=("a", "b"), judgements="partial"),
        Task("listed", "t → t", "text", "text", corpora=("a",), judgements="partial", pool="lists"),
    ]
    texts = [Candidate(f"c{n:02}", text=f"text {n}") for n in range(40)]
    with write_benchmark(tmp_path / "open", tasks=tasks, corpora={"a": "text", "b": "text"}) as writer:
        writer.add_candidates("test", texts[:25], corpus="a")
        writer.add_candidates("test", texts[24:], corpus="b")
        for task in ("graded", "listed"):
            writer.add_queries("test", [Query(f"q{n}", task, "find", text=f"text {n}") for n in range(6)])
            writer.add_judgements(
                "test",
                task,
                [Judgement(f"q{n}", f"c{(3 * n + k) % 20:02}", relevance=k) for n in range(6) for k in range(3)],
            )
        lists = [CandidateList(f"q{n}", tuple(f"c{(3 * n + k) % 20:02}" for k in range(5))) for n in range(6)]
        writer.add_lists("test", "listed", lists)
        writer.add_exclusions("test", "graded", [CandidateList(f"q{n}", ("c30", f"c{38 - n}")) for n in range(6)])
        writer.finish(name="open", title="Open", licence="CC0-1.0")
    return Benchmark(tmp_path / "open")


@pytest.mark.parametrize("union", ["task", "union"])
@pytest.mark.parametrize("task", ["t2i", "i2t", "i2i", "it2i"])
def test_a_closed_pool_keeps_what_its_queries_need_and_so_many_others(tiny: Benchmark, task: str, union: str) -> None:
    whole = load_pool(tiny, task, "test", pool=union, limit=2, seed=3)
    pool = load_pool(tiny, task, "test", pool=union, **LOOK)
    kept = set(pool.candidate_ids.tolist())
    assert needed(tiny, pool) <= kept <= set(whole.candidate_ids.tolist())
    assert len(kept) == len(needed(tiny, pool)) + 5
    assert pool.left_out == len(whole.candidate_ids) - len(kept) > 0
    assert pool.query_ids.tolist() == whole.query_ids.tolist()
    for _, position in zip(*pool.relevant, strict=True):  # the same candidates are relevant
        assert pool.candidate_ids[position] in kept
    names = [{(q, p.candidate_ids[c]) for q, c in zip(*p.relevant, strict=True)} for p in (whole, pool)]
    assert names[0] == names[1]
    assert (pool.judgements.gain_counts.sum(axis=1) == len(kept)).all()


def test_rows_point_at_the_candidates(tiny: Benchmark) -> None:
    for task, union in (("t2i", "task"), ("t2i", "union")):
        pool = load_pool(tiny, task, "test", pool=union, **LOOK)
        stacked: list[str] = []
        for name in pool.corpora:
            ids = np.array(tiny.corpus(name, "test").ids.to_pylist())
            stacked += ids[pool.corpus_rows.get(name, np.arange(len(ids)))].tolist()
        assert sorted(pool.row.tolist()) == list(range(len(stacked)))
        assert [stacked[row] for row in pool.row] == pool.candidate_ids.tolist()


def test_the_order_of_the_file_does_not_matter_and_the_seed_does(tiny: Benchmark, tmp_path: Path) -> None:
    other = write_tiny(tmp_path / "b", reverse=True)
    one, same = (load_pool(b, "t2i", "test", **LOOK) for b in (tiny, other))
    assert one.candidate_ids.tolist() == same.candidate_ids.tolist()
    whole = load_pool(tiny, "t2i", "test", limit=8, distractors=5, seed=0)
    drawn = [load_pool(tiny, "t2i", "test", limit=8, distractors=5, seed=seed) for seed in range(1, 4)]
    assert any(pool.candidate_ids.tolist() != whole.candidate_ids.tolist() for pool in drawn)


def test_an_open_pool_keeps_lists_judgements_and_exclusions(opened: Benchmark) -> None:
    for task in ("graded", "listed"):
        pool = load_pool(opened, task, "test", **LOOK)
        assert needed(opened, pool) <= set(pool.candidate_ids.tolist())
        assert len(pool.candidate_ids) == len(needed(opened, pool)) + 5
        assert (pool.judgements.gain_counts.sum(axis=1) == pool.sizes).all()
    whole, pool = (load_pool(opened, "graded", "test", limit=2, seed=3, distractors=n) for n in (None, 100))
    assert pool.left_out == 0
    assert {name: rows.tolist() for name, rows in pool.corpus_rows.items()} == {"b": list(range(1, 16))}
    assert whole.sizes.tolist() == pool.sizes.tolist() == [38, 38]


@pytest.mark.parametrize("kind", ["closed", "open"])
def test_a_quick_look_embeds_its_pool_alone_and_says_so(
    tiny: Benchmark, opened: Benchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(evaluation_module, "DISTRACTORS", 3)
    benchmark, task = (tiny, "t2i") if kind == "closed" else (opened, "graded")
    model = Guess("guess")
    result = evaluate(benchmark, model, tmp_path / "r", tasks=[task], limit=2)
    found = result.tasks[task]
    pool = load_pool(benchmark, task, "test", limit=2, distractors=3)
    assert found.candidates == len(pool.candidate_ids)
    assert model.items <= len(pool.candidate_ids) + 2 + len(pool.variants.row)
    assert found.setting["pool"].startswith(f"{found.candidates} of {found.candidates + pool.left_out} candidates")
    assert result.benchmark["distractors"] == 3
    again = rescore(tmp_path / "r", benchmark)
    assert again.tasks == result.tasks


def test_scores_are_those_of_the_smaller_pool(tiny: Benchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A constant ties all candidates, so the expected hit rate tells the size of the pool."""
    monkeypatch.setattr(evaluation_module, "DISTRACTORS", 3)
    result = evaluate(tiny, Oracle(blind_to=["count", "entity", "place"]), tmp_path / "r", tasks=["i2i"], limit=2)
    assert result.tasks["i2i"].scores["hit_rate@1"] == pytest.approx(1 / result.tasks["i2i"].candidates)


def test_looks_with_other_seeds_share_no_board(tiny: Benchmark, tmp_path: Path) -> None:
    made = [evaluate(tiny, Guess("guess"), tmp_path / str(seed), tasks=["i2i"], limit=2, seed=seed) for seed in (0, 1)]
    assert len(boards(made, allow_limited=True)) == 2


def test_a_candidate_of_two_corpora_is_searched_once(opened: Benchmark, tmp_path: Path) -> None:
    result = evaluate(opened, Guess("guess"), tmp_path / "r", tasks=["graded"])
    assert result.tasks["graded"].candidates == 40
    assert rescore(tmp_path / "r", opened).tasks == result.tasks
