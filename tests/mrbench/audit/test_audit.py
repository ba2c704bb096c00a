"""The audit on a small benchmark: it passes what is sound, and names what leaks."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_benchmark import TYPES, write_tiny

from mrbench.audit import audit, render_html, render_markdown, write_into_card, write_report
from mrbench.audit.blind import PAIR_MARGIN, Outcome, _check, audit_blind, like_the_query
from mrbench.audit.composed import audit_composed
from mrbench.audit.content import audit_balance, audit_pictures, audit_texts
from mrbench.audit.diagnosis import audit_diagnosis, audit_solvable, score_oracle
from mrbench.audit.oracle import OracleSource
from mrbench.benchmark import Benchmark, write_benchmark
from mrbench.build.emoji import EmojiConfig, build_emoji
from mrbench.build.scenes import ScenesConfig, build_scenes
from mrbench.errors import InputError, OutputError
from mrbench.pools import load_pool
from mrbench.pools.judgements import LadderPairs
from mrbench.records import Candidate, Grain, Query


@pytest.fixture(scope="module")
def suites(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Benchmark]:
    folder = tmp_path_factory.mktemp("suites")
    build_scenes(folder / "scenes", ScenesConfig(size=64, splits=("test",), test_queries=40, pool=600), workers=1)
    build_emoji(folder / "emoji", EmojiConfig(size=32, splits=("test",), test_queries=40), workers=1)
    return {name: Benchmark(folder / name) for name in ("scenes", "emoji")}


def pools(benchmark: Benchmark) -> dict:
    return {task: load_pool(benchmark, task, "test") for task in benchmark.task_names}


@pytest.mark.slow
@pytest.mark.parametrize("suite", ["scenes", "emoji"])
def test_an_oracle_is_right_everywhere(suites: dict[str, Benchmark], suite: str) -> None:
    assert audit_solvable(suites[suite], "test", pools(suites[suite])).verdict == "passed"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("suite", "blind"),
    [
        *(("scenes", kind) for kind in ("background", "count", "entity", "relation", "second entity", "size")),
        *(("emoji", kind) for kind in ("direction", "gender", "hair", "role", "second skin tone", "skin tone")),
    ],
)
def test_a_blind_oracle_is_found_blind_to_that_grain_and_no_other(
    suites: dict[str, Benchmark], suite: str, blind: str
) -> None:
    benchmark = suites[suite]
    source = OracleSource(benchmark, "test", blind_to=[blind], noise=0.3)
    for task, result in score_oracle(benchmark, "test", pools(benchmark), source).items():
        pairs = result.pair_accuracy
        if blind not in pairs:
            continue
        allowed = 0.5 + 2 / pairs[blind].count ** 0.5  # four standard errors
        assert pairs[blind].score < allowed, (task, blind)
        assert all(pair.score > 0.9 for kind, pair in pairs.items() if kind != blind), (task, pairs)
        heard = {kind: part.score for kind, part in result.by_grain.get("grain_sensitivity", {}).items()}
        if blind in heard:
            others = [value for kind, value in heard.items() if kind != blind]
            assert abs(heard[blind]) < 0.25 * min(others), (task, heard)
        flips = {kind: part.score for kind, part in result.by_grain["group_score"].items()}
        if blind in flips:
            assert flips[blind] <= min(flips.values()) + 1e-9, (task, flips)


@pytest.mark.parametrize("kinds", [(), ("flipped", "paraphrased")], ids=str)
def test_a_suite_without_variants_can_be_audited(tmp_path: Path, kinds: tuple[str, ...]) -> None:
    report = audit(write_tiny(tmp_path / "b", kinds=kinds))
    diagnosis = next(c for part in report.checks.values() for c in part if c.name == "diagnosis")
    assert {row[4] for row in diagnosis.rows} == {None}, "there is no sensitivity without degrained queries"
    assert all(row[2] < 0.9 <= row[3] for row in diagnosis.rows)


def test_a_suite_of_one_grain_type_can_be_diagnosed(tiny: Benchmark) -> None:
    from dataclasses import replace

    pool = load_pool(tiny, "i2i", "test")
    only = pool.pairs.kind == 0
    narrow = replace(pool)
    narrow.__dict__["pairs"] = LadderPairs(pool.pairs.query[only], pool.pairs.kind[only], pool.pairs.position[only])
    assert {row[0] for row in audit_diagnosis(tiny, "test", {"i2i": narrow}).rows} == {pool.grain_types[0]}


class Deaf(OracleSource):
    """Ranks as if it were blind to nothing, but does not move where the grain is dropped."""

    def __init__(self, *args, blind_to=(), **options) -> None:
        super().__init__(*args, **options)
        self.deaf_to = blind_to

    def variants(self, pool):
        found = super().variants(pool)
        rows = np.isin(pool.variants.grain, list(self.deaf_to)) & (pool.variants.kind == "degrained")
        found[rows] = self.queries(pool)[pool.variants.query[rows]]
        return found


class BlindToMore(OracleSource):
    """Is blind to counts as well."""

    def __init__(self, *args, blind_to=(), **options) -> None:
        super().__init__(*args, blind_to=(*blind_to, "count"), **options)


class Startled(OracleSource):
    """Ranks as it should, but its queries without the grain that it is blind to go anywhere."""

    def variants(self, pool):
        found = super().variants(pool)
        rows = np.isin(pool.variants.grain, list(self._blind)) & (pool.variants.kind == "degrained")
        found[rows] = np.roll(found[rows], 3, axis=1)
        return found


EVERY = {"background", "count", "entity", "relation", "second entity", "size"}


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (Deaf, EVERY),
        (BlindToMore, EVERY - {"count"}),
        (Startled, {"background", "size"}),  # what picture queries can be asked without
        (OracleSource, set()),
    ],
)
def test_a_diagnosis_that_is_wrong_fails(
    suites: dict[str, Benchmark], monkeypatch, source: type, told: set[str]
) -> None:
    monkeypatch.setattr("mrbench.audit.diagnosis.OracleSource", source)
    check = audit_diagnosis(suites["scenes"], "test", {"i2i": load_pool(suites["scenes"], "i2i", "test")})
    assert {row[0] for row in check.rows if row[-1] == "wrong"} == told, check.rows
    assert check.verdict == ("failed" if told else "passed")
    assert all(f"i2i, {kind}" in check.summary for kind in told)


def test_a_diagnosis_that_few_pairs_cannot_fail_says_so(tmp_path: Path) -> None:
    benchmark = write_tiny(tmp_path / "b", kinds=())
    check = audit_diagnosis(benchmark, "test", {"i2i": load_pool(benchmark, "i2i", "test")})
    assert {row[-1] for row in check.rows} == {"too few pairs"}
    assert "too few pairs to tell: i2i, count" in check.summary


def test_what_an_oracle_cannot_solve_fails(tiny: Benchmark, monkeypatch) -> None:
    monkeypatch.setattr("mrbench.audit.diagnosis.OracleSource", lambda *args: BlindToMore(*args))
    check = audit_solvable(tiny, "test", {"i2i": load_pool(tiny, "i2i", "test")})
    assert (check.verdict, check.summary) == ("failed", "an oracle that reads the grains fails")


def test_a_leak_is_named(tiny: Benchmark) -> None:
    # Every positive of this benchmark comes first in its corpus: position tells the answer.
    found = {check.name: check for check in audit_blind(tiny, "test", pools(tiny))}
    pool = load_pool(tiny, "i2i", "test")
    leaky = dict(pools(tiny))
    order = np.argsort(~np.isin(np.arange(len(pool.candidate_ids)), pool.positives), kind="stable")
    row = np.empty_like(pool.row)
    row[order] = np.arange(len(order))
    from dataclasses import replace

    leaky["i2i"] = replace(pool, row=row)
    again = {check.name: check for check in audit_blind(tiny, "test", leaky)}
    first = next(r for r in again["blind solvers, i2i"].rows if r[0] == "hit rate@5")
    assert first[2] == "early in the file"
    assert again["blind solvers, i2i"].verdict == "failed"
    assert "early in the file finds candidates" in again["blind solvers, i2i"].summary
    assert set(found) == {f"blind solvers, {task}" for task in tiny.task_names}
    assert 0 < PAIR_MARGIN < 0.2


def test_positives_in_the_order_of_the_queries_are_a_leak(tiny: Benchmark) -> None:
    # No place of its own gives a positive away here, only that the n-th query has the n-th positive.
    from dataclasses import replace

    pool = load_pool(tiny, "i2i", "test")
    far = [p for p in range(len(pool.candidate_ids)) if p not in pool.positives]
    queries, candidates = len(pool.query_ids), len(pool.candidate_ids)
    assert len(set(pool.positives.tolist())) == queries
    places = {round(number * candidates / queries): at for number, at in enumerate(pool.positives.tolist())}
    order = [places.get(place, -1) for place in range(candidates)]
    order = [at if at >= 0 else far.pop() for at in order]
    row = np.empty_like(pool.row)
    row[order] = np.arange(candidates)
    check = next(iter(audit_blind(tiny, "test", {"i2i": replace(pool, row=row)})))
    assert check.verdict == "failed"
    assert "the same part of the file as the query finds candidates" in check.summary
    assert next(r for r in check.rows if r[0] == "hit rate@5")[3] == 1.0


def test_a_leak_is_told_by_solver() -> None:
    alone = dict.fromkeys("ab", 0.05)
    outcomes = [Outcome("constant", "t2i", 0.1, dict.fromkeys("ab", (0.5, 99)), alone)]
    outcomes.append(Outcome("long text", "t2i", 0.3, {"a": (0.9, 99), "b": (0.8, 99)}, alone))
    assert _check("t2i", outcomes, 2).summary == "leaks: long text tells a, b; long text finds candidates"
    outcomes[1] = replace(outcomes[1], deviations={"a": 0.05, "b": 0.3})
    assert "long text tells a;" in _check("t2i", outcomes, 2).summary, "pairs about one thing prove little"


def test_size_of_files_is_reported_where_pictures_ask_for_pictures(suites: dict[str, Benchmark]) -> None:
    outcome = like_the_query(suites["scenes"], "i2i", "test", load_pool(suites["scenes"], "i2i", "test"))
    assert outcome.pairs["size"][0] > 0.7, "large things make large files"


def test_one_half_of_a_query_that_is_enough_is_a_leak(tiny: Benchmark, suites: dict[str, Benchmark]) -> None:
    # In the tiny benchmark the picture differs from the answer in the count alone: two candidates are left.
    check = audit_composed(OracleSource(tiny, "test"), load_pool(tiny, "it2i", "test"))
    assert check.verdict == "failed"
    found = {row[0]: row[1] for row in check.rows}
    assert found["picture alone"] > 0.1
    assert found["text alone"] == round(1 / 36, 4), "no grain is said to be in the text, so that it tells nothing"


def test_few_pairs_are_named(tiny: Benchmark) -> None:
    pool = load_pool(tiny, "i2i", "test")
    assert "count in i2i (6)" in audit_balance({"i2i": pool}).summary


@pytest.mark.parametrize(
    ("said", "asked", "failed"),
    [
        (("a cat", "a dog"), ("see a cat", "a cat, please"), set()),
        (("a cat", "A cat!"), ("see a cat", "a cat, please"), {"duplicate texts"}),
        (("a cat", "a dog"), ("see a cat", "see a dog"), {"templates, t2i"}),  # one template for both
    ],
)
def test_texts_that_repeat(tmp_path: Path, said: tuple[str, ...], asked: tuple[str, ...], failed: set[str]) -> None:
    with write_benchmark(tmp_path / "b") as writer:
        writer.add_candidates("test", [Candidate(f"c{n}", (), text) for n, text in enumerate(said)])
        for n, text in enumerate(asked):
            start = text.index("a ") + 2
            grains = (Grain("entity", text[start : start + 3], start, start + 3),)
            writer.add_queries("test", [Query(f"q{n}", "t2i", "find", grains, text)])
        writer.finish(
            name="b", title="B", builder={}, seed=0, tools={}, sources=(), licence="CC0-1.0", split_rule={},
            description="B.",
        )  # fmt: skip
    checks = audit_texts(Benchmark(tmp_path / "b"), "test")
    assert {check.name for check in checks if check.verdict == "failed"} == failed


def test_pictures_that_look_alike_are_shown(tiny: Benchmark, tmp_path: Path, monkeypatch) -> None:
    checks, cases = audit_pictures(tiny, "test", pools(tiny), 1000)
    assert checks[0].verdict == "passed"
    assert {case.title for case in cases} <= {f"differ in {kind}" for kind in TYPES}
    monkeypatch.setattr("mrbench.audit.pictures.LEVELS", 255)  # nothing differs by more
    checks, cases = audit_pictures(tiny, "test", pools(tiny), 1000)
    assert [check.verdict for check in checks] == ["failed", "failed"]
    assert cases[0].difference == 0


def test_report_in_three_forms_and_in_the_card(tmp_path: Path) -> None:
    benchmark = write_tiny(tmp_path / "b")
    report = audit(benchmark, command="mrbench audit b")
    paths = write_report(tmp_path / "b" / "audit", report)
    raw = json.loads(paths["json"].read_text())
    assert raw["passed"] == (not report.failed)
    assert {check["name"] for part in raw["checks"].values() for check in part} >= {"solvable", "balance", "power"}
    for check in (check for part in report.checks.values() for check in part):
        assert f"### {check.name}: {check.verdict}" in render_markdown(report)
    assert render_html(report).count("<figure>") == len(report.cases)
    card = tmp_path / "b" / "README.md"
    before = card.read_text()
    write_into_card(card, report)
    write_into_card(card, report)
    assert card.read_text().startswith(before.rstrip("\n"))
    assert card.read_text().count("## Audit") == 1
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "report.md").write_text("mine")
    with pytest.raises(OutputError, match="did not write"):
        write_report(tmp_path / "other", report)
    with pytest.raises(InputError, match="unknown split"):
        audit(benchmark, split="train")
