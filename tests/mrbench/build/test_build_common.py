"""What both suites share: splits, sentences, selection, mixing, parallel drawing."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mrbench.benchmark import Benchmark, write_benchmark
from mrbench.build.sentence import Part, compose
from mrbench.build.splits import Shares, SplitLedger, combination_sha256
from mrbench.build.suite import (
    PlannedCandidate,
    PlannedQuery,
    SplitPlan,
    record_id,
    select_queries,
    write_split,
)
from mrbench.errors import BenchmarkError, InputError
from mrbench.records import Grain
from mrbench.workers import ordered_map

ALL_TEST = Shares(0, 0, 1)


def grains(**values: str) -> tuple[Grain, ...]:
    return tuple(Grain(kind, value) for kind, value in values.items())


def picture(number: int, **values: str) -> PlannedCandidate:
    return PlannedCandidate(record_id(number, sorted(values.items())), grains(**values), picture=number)


def draw(number: int) -> Image.Image:
    return Image.new("RGB", (4, 4), (number % 256, number // 256, 7))


def query(name: str, positive: PlannedCandidate, *negatives: PlannedCandidate, shown: bool = False) -> PlannedQuery:
    return PlannedQuery(
        id=record_id(name),
        task="i2i" if shown else "t2i",
        instruction="Find it.",
        grains=positive.grains,
        positive=positive,
        negatives=negatives,
        text=None if shown else name,
        picture=9000 if shown else None,
        image_grains=positive.grains if shown else (),
    )


@given(st.dictionaries(st.sampled_from("abcd"), st.text(min_size=1, max_size=3), min_size=1))
def test_a_combination_has_one_split_whatever_the_order(values: dict[str, str]) -> None:
    shares = Shares(0.3, 0.2, 0.5)
    forwards = grains(**values)
    assert combination_sha256(forwards) == combination_sha256(reversed(forwards))
    assert shares.split_of(forwards) == shares.split_of(reversed(forwards))


def test_shares_are_met() -> None:
    shares = Shares(0.5, 0.2, 0.3)
    seen = Counter(shares.split_of([Grain("n", str(n))]) for n in range(10_000))
    assert abs(seen["train"] - 5000) < 200
    assert abs(seen["test"] - 3000) < 200


@pytest.mark.parametrize("shares", [(0.5, 0.5, 0.5), (-0.1, 0.1, 1.0), (1.0, 0.0, 0.1)])
def test_malformed_shares_are_refused(shares: tuple[float, float, float]) -> None:
    with pytest.raises(InputError, match="sum to 1"):
        Shares(*shares)


def test_the_ledger_refuses_a_combination_of_another_split() -> None:
    with pytest.raises(InputError, match="not its own"):
        SplitLedger(ALL_TEST).add("train", grains(entity="dog"))


def test_spans_quote_the_words() -> None:
    text, found = compose(
        [Part("two", "count"), Part("dogs", "entity"), ", ", Part("in the snow", "background")],
        {"count": "two", "entity": "dog", "background": "snow", "size": "small"},
    )
    quoted = {g.type: None if g.start is None else text[g.start : g.end] for g in found}
    assert quoted == {"count": "Two", "entity": "dogs", "background": "in the snow", "size": None}


def test_ordered_map_keeps_the_order_with_any_number_of_workers() -> None:
    assert list(ordered_map(abs, range(-200, 0), 2)) == list(ordered_map(abs, range(-200, 0), 1))


def test_a_query_with_a_picture_gives_way_to_a_candidate_that_shows_more() -> None:
    plain, more = picture(1, entity="dog", count="one"), picture(2, entity="dog", count="one", background="sea")
    other = picture(3, entity="cat", count="one")
    plan = SplitPlan(
        "test",
        {"i2i": [query("a", plain, more, shown=True), query("b", other, plain, shown=True)]},
        wanted=1,
        fill={},
        pool=None,
    )
    assert [q.positive.id for q in select_queries(plan)["i2i"]] == [other.id]


def build(folder: Path, workers: int, fill: int = 40) -> Benchmark:
    positive = picture(1, entity="dog", count="one")
    negatives = (picture(2, entity="cat", count="one"), picture(3, entity="dog", count="two"))
    filling = [picture(10 + n, entity="dog", count="one", background=f"b{n}") for n in range(fill)]
    plan = SplitPlan("test", {"t2i": [query("a dog", positive, *negatives)]}, 1, {"image": filling}, pool=30)
    ledger = SplitLedger(ALL_TEST)
    with write_benchmark(folder) as writer:
        write_split(writer, plan, draw, ledger, seed=0, workers=workers)
        writer.finish(
            name="toy",
            title="toy",
            builder={"name": "toy", "version": "1", "config": {}},
            seed=0,
            tools={},
            sources=(),
            licence="CC0-1.0",
            split_rule=ledger.rule(),
            description="",
        )
    return Benchmark(folder)


def test_everything_that_keeps_all_grains_is_judged_relevant(tmp_path: Path) -> None:
    benchmark = build(tmp_path / "b", workers=1)
    judgements = list(benchmark.judgements("t2i", "test"))
    assert sum(j.relevance for j in judgements) == 28  # the positive and the 27 of the fill that found room
    assert len(benchmark.corpus("image", "test")) == 30
    assert sorted(j.grade for j in judgements if not j.relevance) == [1, 1]
    assert {j.violates for j in judgements if not j.relevance} == {("count",), ("entity",)}


def test_ladder_members_are_strewn_among_the_fill(tmp_path: Path) -> None:
    benchmark = build(tmp_path / "b", workers=1)
    ladder = benchmark.ladders("t2i", "test")[0]
    ids = benchmark.corpus("image", "test").ids.to_pylist()
    places = sorted(ids.index(member) for member in ladder.candidate_ids)
    assert places != [0, 1, 2]
    assert list(ladder.candidate_ids) == sorted(ladder.candidate_ids)


def test_bytes_do_not_depend_on_the_number_of_workers(tmp_path: Path) -> None:
    one, two = build(tmp_path / "one", workers=1), build(tmp_path / "two", workers=2)
    assert one.digest == two.digest
    assert one.manifest.files == two.manifest.files


def test_a_pool_smaller_than_the_fill_ends_and_a_short_fill_is_taken_whole(tmp_path: Path) -> None:
    assert len(build(tmp_path / "short", workers=1, fill=5).corpus("image", "test")) == 8


def test_a_task_without_queries_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="no query"), write_benchmark(tmp_path / "b") as writer:
        write_split(writer, SplitPlan("test", {"t2i": []}, 1, {}, None), draw, SplitLedger(ALL_TEST), seed=0, workers=1)
    assert list(tmp_path.iterdir()) == []
