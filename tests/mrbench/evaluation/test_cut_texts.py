"""What a model did not read to its end is counted, and no measure of grains takes it for blindness."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_benchmark import Guess, Oracle, queries, write_tiny

from mrbench.benchmark import Benchmark
from mrbench.errors import ModelError, ResultError
from mrbench.evaluation import evaluate, rescore
from mrbench.models.protocol import Item
from mrbench.results import Result, TaskResult, read_result
from mrbench.runs import read_run

WHOLE = 99


class Hasty(Oracle):
    """Reads the first words of a text alone, and does not say so."""

    def __init__(self, words: int, name: str = "hasty") -> None:
        super().__init__(name)
        self.words, self.preprocessing = words, str(words)

    def _embed(self, item: Item) -> list[float]:
        text = None if item.text is None else " ".join(item.text.split()[: self.words])
        return super()._embed(replace(item, text=text))


class Honest(Hasty):
    """Says so."""

    def cut_texts(self, texts: Sequence[str]) -> np.ndarray:
        return np.array([len(text.split()) > self.words for text in texts], dtype=np.bool_)


class HonestGuess(Guess):
    """Cuts what is longer than three words, and hears nothing anyway."""

    def cut_texts(self, texts: Sequence[str]) -> np.ndarray:
        return np.array([len(text.split()) > 3 for text in texts], dtype=np.bool_)


def without_cut(part: TaskResult) -> TaskResult:
    return replace(part, seconds={}, cut_texts={})


def evaluated(benchmark: Benchmark, model: Oracle, folder: Path, **options: object) -> Result:
    return evaluate(benchmark, model, folder, **options)


def test_a_pair_with_a_cut_text_is_left_out(tiny: Benchmark, tmp_path: Path) -> None:
    silent = evaluated(tiny, Hasty(3), tmp_path / "silent").tasks["t2i"]
    part = evaluated(tiny, Honest(3), tmp_path / "honest").tasks["t2i"]
    long = [query for query in queries("t2i") if len(query.text.split()) > 3]
    assert part.cut_texts == {"queries": len(long), "candidates": 0, "variants": part.cut_texts["variants"]}
    assert part.cut_texts["variants"] > 0
    assert part.cut_pairs == dict.fromkeys(("count", "entity", "place"), len(long))
    # Only the long queries state a place, and it is what is cut off: to the model that does not say so it is blindness.
    assert silent.pair_accuracy["place"].score == 0
    assert "place" not in part.pair_accuracy
    assert part.missing["pair_accuracy[place]"] == "the model cut a text of every pair"
    assert {grain: (p.score, p.count) for grain, p in part.pair_accuracy.items()} == {
        "count": (1, len(queries("t2i")) - len(long)),
        "entity": (1, len(queries("t2i")) - len(long)),
    }
    assert part.scores["pair_accuracy"] == part.scores["all_grains_accuracy"] == 1
    for name in ("pair_accuracy", "all_grains_accuracy", "concordance", "negatives_above", "grain_coverage@10"):
        assert part.left_out[name] == len(long)
    for name in ("grain_distance", "group_score", "p_mrr", "rank_change"):
        assert "place" in silent.by_grain[name]
        assert "place" not in part.by_grain[name]
        assert part.missing[f"{name}[place]"].startswith("the model cut a text of every")
    assert silent.by_grain["group_score"]["place"].score == 0


def test_rank_measures_keep_every_query(tiny: Benchmark, tmp_path: Path) -> None:
    silent = evaluated(tiny, Hasty(3), tmp_path / "silent").tasks["t2i"]
    part = evaluated(tiny, Honest(3), tmp_path / "honest").tasks["t2i"]
    for name in ("hit_rate@1", "hit_rate@5", "mrr", "ndcg@10", "map", "hit_rate_slope@5"):
        assert part.scores[name] == silent.scores[name]


def test_cut_candidates_count_too(tiny: Benchmark, tmp_path: Path) -> None:
    """Texts of candidates have four words; of i2t every pair has two of them."""
    part = evaluated(tiny, Honest(3), tmp_path / "r").tasks["i2t"]
    assert part.cut_texts == {"queries": 0, "candidates": 36, "variants": 0}
    assert part.missing["pair_accuracy"] == "the model cut a text of every pair"
    assert part.missing["concordance"] == "the model cut a text of every ladder"
    assert part.missing["group_score"] == "the model cut a text of every flipped query"
    assert not part.pair_accuracy
    assert part.by_grain["grain_distance"]  # of pictures, which nobody cuts


def test_who_cuts_everything_has_no_measure_of_grains(tiny: Benchmark, tmp_path: Path) -> None:
    part = evaluated(tiny, Honest(1), tmp_path / "r").tasks["t2i"]
    assert part.cut_texts["queries"] == part.queries
    assert not part.by_grain
    assert not part.confusion
    assert part.missing["grain_coverage@10"] == "the model cut a text of every query"
    assert part.missing["grain_sensitivity"] == "the model cut a text of every degrained query"


def test_a_cut_variant_is_left_out_alone(tiny: Benchmark, tmp_path: Path) -> None:
    """Each text query has two paraphrases, one of which begins with "please"."""
    model = Guess("guess")
    model.cut_texts = lambda texts: np.array([text.startswith("please") for text in texts])
    part = evaluated(tiny, model, tmp_path / "one").tasks["t2i"]
    assert part.cut_texts == {"queries": 0, "candidates": 0, "variants": part.queries}
    rows = read_run(tmp_path / "one").tasks["t2i"].variants.to_pylist()
    kept = [row["distance"] for row in rows if row["kind"] == "paraphrased" and row["number"] == 1]
    assert part.scores["paraphrase_distance"] == pytest.approx(np.mean(kept))
    model.cut_texts = lambda texts: np.array([text.startswith(("please", "give")) for text in texts])
    part = evaluated(tiny, model, tmp_path / "both").tasks["t2i"]
    for name in ("paraphrase_distance", "phrasing_flips@5", "worst_phrasing_hit_rate@5"):
        assert part.missing[name] == "the model cut a text of every paraphrased query"
    for name in ("calibrated_blindness_rate", "grain_sensitivity"):
        assert name in part.missing
    assert part.by_grain["grain_distance"]
    assert part.pair_accuracy


def test_who_cuts_nothing_has_the_scores_of_before(tiny: Benchmark, tmp_path: Path) -> None:
    silent, honest = evaluated(tiny, Hasty(WHOLE), tmp_path / "a"), evaluated(tiny, Honest(WHOLE), tmp_path / "b")
    for name, part in honest.tasks.items():
        assert part.cut_texts == {"queries": 0, "candidates": 0, "variants": 0}
        assert silent.tasks[name].cut_texts == {}
        assert without_cut(part) == without_cut(silent.tasks[name])


def test_no_query_of_a_guess_is_lost_or_counted_twice(tiny: Benchmark, tmp_path: Path) -> None:
    silent = evaluated(tiny, Guess("guess"), tmp_path / "a").tasks
    honest = evaluated(tiny, HonestGuess("guess"), tmp_path / "b").tasks
    for name, part in honest.items():
        pairs = {grain: p.count for grain, p in part.pair_accuracy.items()}
        for grain, p in silent[name].pair_accuracy.items():
            assert p.count == pairs.get(grain, 0) + part.cut_pairs.get(grain, 0)


@pytest.mark.parametrize("cache", [False, True])
def test_vectors_of_a_cache_have_the_same_counts(tiny: Benchmark, tmp_path: Path, cache: bool) -> None:
    folder = tmp_path / "cache" if cache else None
    first = evaluated(tiny, Honest(3), tmp_path / "a", cache=folder)
    again = Honest(3)
    second = evaluated(tiny, again, tmp_path / "b", cache=folder)
    assert (again.items == 0) == cache
    for name, part in second.tasks.items():
        assert replace(part, seconds={}) == replace(first.tasks[name], seconds={})


def test_rescoring_gives_the_same(tiny: Benchmark, tmp_path: Path) -> None:
    found = evaluated(tiny, Honest(3), tmp_path / "r", limit=4)
    assert found == rescore(tmp_path / "r", tiny) == read_result(tmp_path / "r" / "result.json")


def test_a_run_of_before_has_no_counts(tiny: Benchmark, tmp_path: Path) -> None:
    evaluated(tiny, Honest(3), tmp_path / "r")
    raw = json.loads((tmp_path / "r" / "run.json").read_text())
    for task in raw["tasks"]:
        (tmp_path / "r" / f"{task}.cut.parquet").unlink()
    with pytest.raises(ResultError, match="a table of a run is missing"):
        rescore(tmp_path / "r", tiny)
    raw["files"] = {name: digest for name, digest in raw["files"].items() if ".cut." not in name}
    (tmp_path / "r" / "run.json").write_text(json.dumps(raw))
    old = rescore(tmp_path / "r", tiny)
    expected = evaluated(tiny, Hasty(3), tmp_path / "silent")
    for name, part in old.tasks.items():
        assert replace(part, seconds={}) == replace(expected.tasks[name], seconds={})


def test_a_run_cannot_name_texts_of_others(tiny: Benchmark, tmp_path: Path) -> None:
    other = write_tiny(tmp_path / "other", salt="other")
    evaluated(tiny, Honest(3), tmp_path / "r")
    evaluated(other, Honest(3), tmp_path / "s")
    (tmp_path / "r" / "i2t.cut.parquet").write_bytes((tmp_path / "s" / "i2t.cut.parquet").read_bytes())
    raw = json.loads((tmp_path / "r" / "run.json").read_text())
    raw["files"] = {}
    (tmp_path / "r" / "run.json").write_text(json.dumps(raw))
    with pytest.raises(ResultError, match="a cut text is not in the task"):
        rescore(tmp_path / "r", tiny)


def test_a_model_that_says_something_else_is_named(tiny: Benchmark, tmp_path: Path) -> None:
    model = Oracle("odd")
    model.cut_texts = lambda texts: [0] * len(texts)
    with pytest.raises(ModelError, match="cut_texts returns something else"):
        evaluated(tiny, model, tmp_path / "r")
