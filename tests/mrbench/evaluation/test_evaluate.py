"""From a benchmark and a model to a result: what must come out for models whose sight is known."""

from __future__ import annotations

import json
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from tiny_benchmark import QUERIES, VALUES, Constant, Guess, Oracle, write_tiny

from mrbench.benchmark import Benchmark
from mrbench.encode import Share
from mrbench.errors import BenchmarkError, InputError, ModelError, OutputError
from mrbench.evaluation import embed, evaluate, evaluation
from mrbench.results import Result, read_result

RANK_MEASURES = [f"{name}@{k}" for name in ("hit_rate", "recall") for k in (1, 5, 10)] + ["mrr", "ndcg@10", "map"]


def without_times(result: Result) -> dict:
    return {name: replace(task, seconds={}) for name, task in result.tasks.items()}


def test_a_model_on_a_gpu_is_searched_there(tiny: Benchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The search takes torch's CPU device for the GPU; the run is the same to the last byte."""
    asked: list[str] = []
    monkeypatch.setattr(evaluation, "_gpus", lambda: 2)
    whole = evaluation.run_tasks
    monkeypatch.setattr(
        evaluation, "run_tasks", lambda *a, device, **k: (asked.append(device), whole(*a, device="cpu:0", **k))[1]
    )
    for device in ("cuda:1", "cpu", "mps", "cuda:2"):
        model = Oracle()
        model.device = device
        evaluate(tiny, model, tmp_path / device)
    assert asked == ["cuda:1", "cpu", "cpu", "cpu"]
    monkeypatch.undo()
    if evaluation._gpus() == 0:  # the model has a GPU, and torch has none
        model.device = "cuda"
        assert evaluation._search_device(model) == "cpu"
    evaluate(tiny, Oracle(), tmp_path / "here")
    for path in (tmp_path / "here").glob("*.parquet"):
        assert (tmp_path / "cuda:1" / path.name).read_bytes() == path.read_bytes()


def test_oracle_is_right_everywhere(tiny: Benchmark, tmp_path: Path) -> None:
    result = evaluate(tiny, Oracle(), tmp_path / "r", command="mrbench evaluate tiny")
    assert {name: task.queries for name, task in result.tasks.items()} == QUERIES
    for task in result.tasks.values():
        assert list(task.scores)[: len(RANK_MEASURES) + 2] == [*RANK_MEASURES, "pair_accuracy", "all_grains_accuracy"]
        for measure in ("hit_rate@1", "mrr", "map", "ndcg@10", "pair_accuracy", "all_grains_accuracy"):
            assert task.scores[measure] == pytest.approx(1)
        assert set(task.pair_accuracy) == set(VALUES)
    # Half of the text queries leave out the place, so that three pictures are right and one fits the first rank.
    assert result.tasks["t2i"].scores["recall@1"] == pytest.approx((1 + 1 / 3) / 2)
    assert read_result(tmp_path / "r" / "result.json") == result
    assert result.command == "mrbench evaluate tiny"


@pytest.mark.parametrize("grain", VALUES)
def test_a_blind_model_is_found_out(tiny: Benchmark, tmp_path: Path, grain: str) -> None:
    result = evaluate(tiny, Oracle(blind_to=[grain]), tmp_path / "r")
    for task in result.tasks.values():
        assert {kind: pair.score for kind, pair in task.pair_accuracy.items()} == {
            kind: float(kind != grain) for kind in VALUES
        }
        assert task.scores["pair_accuracy"] == pytest.approx(2 / 3)
    number = len(VALUES[grain])  # so many candidates are tied
    assert result.tasks["i2i"].scores["hit_rate@1"] == pytest.approx(1 / number)
    assert result.tasks["i2i"].scores["mrr"] == pytest.approx(sum(1 / rank for rank in range(1, number + 1)) / number)


@pytest.mark.parametrize(("pool", "size"), [("task", 36), ("union", 72)])
def test_a_constant_gets_chance(tiny: Benchmark, tmp_path: Path, pool: str, size: int) -> None:
    result = evaluate(tiny, Constant("constant"), tmp_path / "r", pool=pool)
    for name in ("i2t", "i2i", "it2i"):  # one relevant candidate per query
        task = result.tasks[name]
        chance = sum(1 / rank for rank in range(1, size + 1)) / size
        expected = {f"{m}@{k}": k / size for m in ("hit_rate", "recall") for k in (1, 5, 10)}
        expected |= {"mrr": chance, "map": chance, "pair_accuracy": 0, "all_grains_accuracy": 0}
        assert task.candidates == size
        assert {m: task.scores[m] for m in expected} == pytest.approx(expected)


@pytest.mark.slow
@pytest.mark.parametrize("pool", ["task", "union"])
@pytest.mark.parametrize(
    "model", [Guess("guess"), Constant("constant"), Oracle(blind_to=["entity"])], ids=lambda m: m.name
)
def test_order_and_names_of_candidates_change_nothing(tiny, tmp_path: Path, model: Oracle, pool: str) -> None:
    expected = without_times(evaluate(tiny, model, tmp_path / "r", pool=pool))
    for number, change in enumerate(({"reverse": True}, {"salt": "x"}, {"salt": "y", "reverse": True})):
        other = write_tiny(tmp_path / f"b{number}", **change)
        assert without_times(evaluate(other, model, tmp_path / f"r{number}", pool=pool)) == expected


def test_the_union_is_harder_and_keeps_the_pairs(tiny: Benchmark, tmp_path: Path) -> None:
    one = evaluate(tiny, Oracle(), tmp_path / "task").tasks["i2t"]
    both = evaluate(tiny, Oracle(), tmp_path / "union", pool="union").tasks["i2t"]
    assert (one.scores["hit_rate@1"], both.scores["hit_rate@1"]) == (1, 0.5)  # a picture shows the same
    assert both.pair_accuracy == one.pair_accuracy


def test_what_a_model_cannot_take_is_not_zero(tiny: Benchmark, tmp_path: Path) -> None:
    result = evaluate(tiny, Oracle(modalities=["image"]), tmp_path / "image")
    assert {name: task.status == "scored" for name, task in result.tasks.items()} == {
        "t2i": False,
        "i2t": False,
        "i2i": True,
        "it2i": False,
    }
    assert result.tasks["t2i"] == replace(result.tasks["t2i"], scores={}, by_grain={}, queries=0)
    assert result.tasks["t2i"].reason == "the model takes no text"
    assert result.tasks["it2i"].reason == "the model takes no image+text"
    union = evaluate(tiny, Oracle(modalities=["image"]), tmp_path / "union", pool="union")
    assert union.tasks["i2i"].reason == "the model takes no text"
    none = evaluate(tiny, Oracle(modalities=["text"]), tmp_path / "text")
    assert {task.status for task in none.tasks.values()} == {"not supported"}
    assert set(read_result(tmp_path / "text" / "result.json").tasks) == set(QUERIES)


def test_limit_is_a_sample_that_the_seed_decides(tiny: Benchmark, tmp_path: Path) -> None:
    model = Guess("guess")
    results = [evaluate(tiny, model, tmp_path / f"{seed}{n}", limit=2, seed=seed) for n, seed in enumerate((0, 0, 7))]
    assert {task.queries for task in results[0].tasks.values()} == {2}
    assert results[0].limit == 2
    assert without_times(results[0]) == without_times(results[1])
    assert without_times(results[0]) != without_times(results[2])


class Counting(Oracle):
    """Notes what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[tuple] = []
        self.asked = ""

    def embed_queries(self, items, instruction):
        self.asked = f"query {instruction}"
        found = super().embed_queries(items, instruction)
        self.asked = ""
        return found

    def _embed(self, item):
        self.given.append((self.asked, item.text, item.image and item.image.tobytes()))
        return super()._embed(item)


@pytest.mark.parametrize("symmetric", [False, True])
def test_what_is_equal_is_embedded_once(tiny: Benchmark, tmp_path: Path, symmetric: bool) -> None:
    model = Counting()
    model.symmetric = symmetric
    evaluate(tiny, model, tmp_path / "r")
    given = [content[1:] if symmetric else content for content in model.given]
    assert len(set(given)) == len(given)
    asked = sum(len(tiny.variants(task, "test")) + QUERIES[task] for task in QUERIES) + 2 * QUERIES["it2i"]
    assert 72 < len(given) < 72 + asked  # two corpora, and some of the rest is there twice


def test_depth_changes_no_score(tiny: Benchmark, tmp_path: Path) -> None:
    deep = evaluate(tiny, Guess("guess"), tmp_path / "deep", depth=1000)
    shallow = evaluate(tiny, Guess("guess"), tmp_path / "shallow", depth=1)
    assert without_times(deep) == without_times(shallow)
    assert len((tmp_path / "shallow" / "i2i.trec").read_text().splitlines()) == QUERIES["i2i"]


def test_result_says_what_it_is(tiny: Benchmark, tmp_path: Path) -> None:
    result = evaluate(tiny, Oracle(), tmp_path / "r", tasks=["i2i"])
    assert result.benchmark == {
        "name": "tiny",
        "title": "Tiny",
        "digest": tiny.digest,
        "split": "test",
        "pool": "task",
        "tasks": ["t2i", "i2t", "i2i", "it2i"],
    }
    assert result.model["modalities"] == ["image", "image,text", "text"]
    assert {"python", "mrbench", "numpy", "pyarrow", "platform", "processors", "threads"} <= set(result.environment)
    assert result.started.endswith("Z")
    assert set(result.tasks["i2i"].seconds) == {
        "embed candidates",
        "embed queries",
        "embed variants",
        "find cut texts",
        "search",
        "score",
    }
    assert str(tmp_path) not in (tmp_path / "r" / "result.json").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tasks": ["t2x"]}, "unknown task"),
        ({"tasks": []}, "no task"),
        ({"split": "train"}, "unknown split"),
        ({"pool": "all"}, "unknown pool"),
        ({"limit": 0}, "malformed limit"),
        ({"depth": 0}, "malformed depth"),
        ({"depth": 1.5}, "malformed depth"),
        ({"limit": "9"}, "malformed limit"),
    ],
)
def test_bad_options_are_named_before_any_work(tiny: Benchmark, tmp_path: Path, options: dict, message: str) -> None:
    model = Oracle()
    with pytest.raises(InputError, match=message):
        evaluate(tiny, model, tmp_path / "r", **options)
    assert model.items == 0
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("output", ["file/r", "/proc/r", "benchmark", "benchmark/r"])
def test_an_output_that_cannot_be_is_named_before_any_work(tmp_path: Path, output: str) -> None:
    benchmark, model = write_tiny(tmp_path / "benchmark"), Oracle()
    (tmp_path / "file").write_text("")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises((InputError, OutputError), match=r"cannot write|in the benchmark folder"):
        evaluate(benchmark, model, tmp_path / output)
    assert model.items == 0
    assert sorted(tmp_path.rglob("*")) == before


def test_a_cache_in_the_benchmark_is_refused(tmp_path: Path) -> None:
    benchmark = write_tiny(tmp_path / "b")
    (tmp_path / "link").symlink_to(benchmark.folder)
    for cache in (benchmark.folder, tmp_path / "link" / "c"):
        with pytest.raises(InputError, match="the cache is in the benchmark folder"):
            evaluate(benchmark, Oracle(), tmp_path / "r", cache=cache)
        with pytest.raises(InputError, match="the cache is in the benchmark folder"):
            embed(benchmark, Oracle(), cache, Share())


def test_paths_may_be_words(tiny: Benchmark, tmp_path: Path) -> None:
    evaluate(tiny, Oracle(), str(tmp_path / "r"), cache=str(tmp_path / "c"), tasks=["i2i"])  # type: ignore[arg-type]
    assert (tmp_path / "r" / "result.json").exists()
    assert list((tmp_path / "c").rglob("*.unit"))


@pytest.mark.parametrize(
    ("name", "value"), [("dimension", None), ("dimension", 0), ("modalities", "text"), ("modalities", {"txt"})]
)
def test_a_malformed_model_is_named_before_any_work(tiny: Benchmark, tmp_path: Path, name: str, value: object) -> None:
    model = Oracle()
    setattr(model, name, value)
    with pytest.raises(ModelError, match=f"malformed {name}"):
        evaluate(tiny, model, tmp_path / "r")
    assert model.items == 0


def test_a_benchmark_without_tasks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="no task"):
        evaluate(write_tiny(tmp_path / "b", tasks=[]), Oracle(), tmp_path / "r")


def test_no_model_is_named(tiny: Benchmark, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not an embedding model"):
        evaluate(tiny, object(), tmp_path / "r")


def test_output_that_is_not_ours_is_left_alone(tiny: Benchmark, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    model = Oracle()
    with pytest.raises(OutputError):
        evaluate(tiny, model, tmp_path, overwrite=True)
    assert model.items == 0
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_failure_leaves_the_earlier_result(tiny: Benchmark, tmp_path: Path) -> None:
    class Interrupted(Oracle):
        def embed_queries(self, items, instruction):
            signal.raise_signal(signal.SIGINT)  # as Ctrl-C does

    evaluate(tiny, Oracle(), tmp_path / "r", tasks=["i2i"])
    before = {path.name: path.read_bytes() for path in (tmp_path / "r").iterdir()}
    with pytest.raises(OutputError, match="exists"):
        evaluate(tiny, Oracle(), tmp_path / "r", tasks=["i2i"])
    with pytest.raises(KeyboardInterrupt):
        evaluate(tiny, Interrupted(), tmp_path / "r", overwrite=True)
    assert {path.name: path.read_bytes() for path in (tmp_path / "r").iterdir()} == before
    evaluate(tiny, Guess("guess"), tmp_path / "r", overwrite=True)
    assert json.loads((tmp_path / "r" / "result.json").read_text())["model"]["name"] == "guess"
    assert [path.name for path in tmp_path.iterdir()] == ["r"]


def test_judgements_that_contradict_the_grains_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tiny_benchmark

    true = tiny_benchmark.judge
    monkeypatch.setattr("tiny_benchmark.judge", lambda q, c: replace(true(q, c), relevance=0))
    wrong = write_tiny(tmp_path / "b", tasks=["i2i"])
    with pytest.raises(BenchmarkError, match="judgements are not those"):
        evaluate(wrong, Oracle(), tmp_path / "r")


def test_a_suite_without_variants_says_which_measures_it_cannot_have(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("tiny_benchmark.variants", lambda *_: [])
    result = evaluate(write_tiny(tmp_path / "b"), Guess("guess"), tmp_path / "r")
    missing = result.tasks["t2i"].missing
    assert missing["grain_sensitivity"] == missing["grain_distance"] == "the benchmark has no degrained queries"
    assert missing["p_mrr"] == "the benchmark has no flipped queries"
    assert missing["phrasing_flips@5"] == "the benchmark has no paraphrased queries"
    assert not set(missing) & (set(result.tasks["t2i"].scores) | set(result.tasks["t2i"].by_grain))
    assert "hit_rate@5" in result.tasks["t2i"].scores


def test_a_result_keeps_which_composed_queries_each_half_solves(tmp_path: Path) -> None:
    tasks = evaluate(write_tiny(tmp_path / "b"), Guess("guess"), tmp_path / "r").tasks
    kept = read_result(tmp_path / "r" / "result.json").tasks["it2i"]
    for half in ("image_only_hit_rate@1", "text_only_hit_rate@1"):
        assert len(kept.per_query[half]) == kept.queries
        assert sum(kept.per_query[half]) / kept.queries == pytest.approx(kept.scores[half], abs=1e-5)
        assert half not in tasks["t2i"].per_query
    assert kept.confusion == tasks["it2i"].confusion
    assert min(cell.count for row in kept.confusion.values() for cell in row.values()) > 0


def test_a_model_that_takes_no_text_alone_says_which_half_it_lacks(tiny: Benchmark, tmp_path: Path) -> None:
    part = evaluate(tiny, Oracle(modalities=["image", "image,text"]), tmp_path / "r").tasks["it2i"]
    assert "image_only_hit_rate@1" in part.scores
    assert not {"text_only_hit_rate@1", "solved_by_one_part"} & set(part.scores)
    assert part.missing["text_only_hit_rate@1"] == "the model takes no text alone"
    assert "solved_by_one_part" in part.missing
    assert not any("_only_" in name for name in evaluate(tiny, Oracle(), tmp_path / "s").tasks["i2i"].missing)


def test_results_of_the_wrong_modality_are_counted_in_a_union_pool(tiny: Benchmark, tmp_path: Path) -> None:
    part = evaluate(tiny, Guess("guess"), tmp_path / "r", pool="union").tasks["i2t"]
    pictures = {c.id for c in tiny.corpus("image", "test")}
    run = pq.read_table(tmp_path / "r" / "i2t.run.parquet", partitioning=None).to_pylist()
    wrong = [row["corpus-id"] in pictures for row in run if row["rank"] <= 10]
    assert 0 < part.scores["wrong_modality@10"] < 1
    assert part.scores["wrong_modality@10"] == pytest.approx(sum(wrong) / len(wrong))
    tied = evaluate(tiny, Constant("constant"), tmp_path / "s", pool="union").tasks["i2t"]
    assert tied.scores["wrong_modality@10"] == pytest.approx(0.5), "half of the pool, whatever the order of the tied"


def test_one_off_in_the_top_counts_candidates_that_lose_one_grain_alone(tiny: Benchmark, tmp_path: Path) -> None:
    part = evaluate(tiny, Guess("guess"), tmp_path / "r").tasks["i2i"]
    rows = pq.read_table(tmp_path / "r" / "i2i.run.parquet", partitioning=None).to_pylist()
    top = {(row["query-id"], row["corpus-id"]) for row in rows if row["rank"] <= 10}
    grains = {c.id: {(g.type, g.value) for g in c.grains} for c in tiny.corpus("image", "test")}
    asked = {q.id: {(g.type, g.value) for g in q.grains} for q in tiny.queries("i2i", "test")}
    found = [
        any(
            len(asked[step.query_id] - grains[name]) == 1 and (step.query_id, name) in top
            for name in step.candidate_ids
        )
        for step in tiny.ladders("i2i", "test")
    ]
    assert 0 < sum(found) < len(found)
    assert part.scores["one_off_in_top@10"] == pytest.approx(np.mean(found))
