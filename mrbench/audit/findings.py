"""What an audit says: checks that passed or failed, with the numbers behind them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Row = tuple[str | int | float | None, ...]
Verdict = Literal["passed", "failed", "reported", "not applicable"]


@dataclass(frozen=True, slots=True)
class Check:
    """One question that was put to a benchmark.

    Attributes:
        name: The question in a few words.
        verdict: ``reported`` where there is nothing to pass; ``not applicable`` where it cannot be asked.
        summary: The answer in a sentence.
        columns: Names of the columns of ``rows``.
        rows: The numbers.
    """

    name: str
    verdict: Verdict
    summary: str
    columns: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """Two pictures that are hard to tell apart.

    Attributes:
        title: What they are to each other.
        left: PNG bytes of the first.
        right: PNG bytes of the second.
        captions: What each shows.
        difference: Share of the pixels that differ, 0 to 1.
    """

    title: str
    left: bytes
    right: bytes
    captions: tuple[str, str]
    difference: float


@dataclass(frozen=True, slots=True)
class Report:
    """The audit of one split of a benchmark.

    Attributes:
        benchmark: ``{"name", "title", "digest", "split"}``.
        checks: By section, in the order in which they are to be read.
        cases: The worst pairs of pictures.
        command: How it was made.
        environment: Versions.
    """

    benchmark: dict[str, str]
    checks: dict[str, tuple[Check, ...]]
    cases: tuple[Case, ...] = ()
    command: str = ""
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for part in self.checks.values() for check in part if check.verdict == "failed")

    def to_json(self) -> dict[str, Any]:
        """Return the report without its pictures."""
        return {
            "format": "mrbench-audit",
            "format_version": 1,
            "passed": not self.failed,
            "benchmark": self.benchmark,
            "checks": {section: [asdict(check) for check in checks] for section, checks in self.checks.items()},
            "worst_pairs": [{"title": c.title, "captions": c.captions, "difference": c.difference} for c in self.cases],
            "command": self.command,
            "environment": self.environment,
        }
