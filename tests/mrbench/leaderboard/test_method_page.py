"""The page on method: the card of a benchmark, its licences, and what its audit found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from result_samples import DIGEST, HOSTILE, samples
from tiny_benchmark import Guess

from mrbench.benchmark import Benchmark
from mrbench.errors import ResultError
from mrbench.evaluation import evaluate
from mrbench.leaderboard import publish, read_audits, read_results

AUDITS = Path(__file__).parents[3] / "docs/audit"


def _audit(**changes: Any) -> dict[str, Any]:
    checks = [{"name": "blind solvers", "verdict": "passed", "summary": "none beats chance", "columns": [], "rows": []}]
    raw = {"format": "mrbench-audit", "format_version": 1, "passed": True, "command": "mrbench audit emoji"}
    return raw | {"benchmark": {"digest": DIGEST}, "checks": {"Can it be solved blind?": checks}} | changes


def _method(folder: Path, **options: Any) -> str:
    published = publish(samples(), folder / "board", overwrite=True, **options)
    return published["html"].with_name("method.html").read_text(encoding="utf-8")


def test_an_audit_is_shown_beside_its_benchmark_alone(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(json.dumps(_audit()))
    said = _method(tmp_path, audits=read_audits([tmp_path]))
    assert "Audit: 1 passed" in said
    assert "none beats chance" in said
    assert "<code>mrbench audit emoji</code>" in said
    (tmp_path / "report.json").write_text(json.dumps(_audit(benchmark={"digest": "1" * 64})))
    said = _method(tmp_path, audits=read_audits([tmp_path]))
    assert "none beats chance" not in said
    assert "No audit of it is here" in said


def test_the_committed_audits_are_read() -> None:
    found = read_audits([AUDITS])
    assert {audit.passed for audit in found.values()} == {True}
    assert {audit.command for audit in found.values()} == {"mrbench audit emoji", "mrbench audit scenes"}
    assert all(len(audit.checks) > 10 for audit in found.values())


@pytest.mark.slow
@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_of_an_audit_stays_text(text: str, tmp_path: Path) -> None:
    checks = {text: [{"name": text, "verdict": text, "summary": text}]}
    (tmp_path / "report.json").write_text(json.dumps(_audit(command=text, checks=checks)))
    said = _method(tmp_path, audits=read_audits([tmp_path]))
    calm = _method(tmp_path, audits={})
    assert said.count("<script") == calm.count("<script")
    assert "<img" not in said
    assert "\u202e" not in said
    assert "\x1b" not in said


@pytest.mark.parametrize(
    "changes",
    [{"benchmark": {}}, {"checks": []}, {"checks": {"a": [{"name": "b"}]}}, {"command": None}, {"format_version": "1"}],
)
def test_a_malformed_audit_is_named(changes: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(json.dumps(_audit(**changes)))
    with pytest.raises(ResultError, match=r"report\.json"):
        read_audits([tmp_path])


def test_the_card_and_the_licences_of_an_opened_benchmark_are_shown(tiny: Benchmark, tmp_path: Path) -> None:
    evaluate(tiny, Guess("guess"), tmp_path / "run")
    results = read_results([tmp_path / "run"])
    published = publish(results, tmp_path / "board", benchmarks=[tiny])
    said = published["html"].with_name("method.html").read_text(encoding="utf-8")
    assert tiny.manifest.licence in said
    assert f"<dd>{', '.join(tiny.manifest.grain_types)}</dd>" in said
    queries = tiny.manifest.counts["test"]["queries"]
    assert ", ".join(f"{task} {number:,}" for task, number in sorted(queries.items())) in said
    alone = publish(results, tmp_path / "alone")["html"].with_name("method.html").read_text(encoding="utf-8")
    assert tiny.manifest.licence not in alone
