"""Audits of benchmarks, read from the reports that ``mrbench audit`` wrote, for the page on method."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mrbench.errors import ResultError
from mrbench.files import read_versioned_json
from mrbench.leaderboard.json_files import files_of_format
from mrbench.words import one_line

FORMAT = "mrbench-audit"  # written by mrbench.audit, which stands above this package
FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class AuditCheck:
    """A check: the question that it belongs to, its name, its verdict, and what it found, a sentence."""

    question: str
    name: str
    verdict: str
    summary: str


@dataclass(frozen=True, slots=True)
class Audit:
    """The audit of a benchmark.

    Attributes:
        digest: Of the benchmark.
        passed: Whether no check failed.
        command: What wrote it.
        checks: In the order of the report.
    """

    digest: str
    passed: bool
    command: str
    checks: tuple[AuditCheck, ...]

    @property
    def questions(self) -> list[tuple[str, list[AuditCheck]]]:
        """The questions in the order of the report, each with its checks."""
        found: dict[str, list[AuditCheck]] = {}
        for check in self.checks:
            found.setdefault(check.question, []).append(check)
        return list(found.items())

    @property
    def says(self) -> str:
        """How many checks came out how, in a phrase.

        >>> Audit("0", False, "", (AuditCheck("", "a", "passed", ""), AuditCheck("", "b", "failed", ""))).says
        '1 passed, 1 failed'
        """
        verdicts = [check.verdict for check in self.checks]
        return ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in dict.fromkeys(verdicts))


def read_audits(paths: Sequence[Path]) -> dict[str, Audit]:
    """Read every report of an audit among some files and below some folders, by the digest of its benchmark.

    Of two reports on one benchmark the first counts. Paths that do not exist hold none.

    Raises:
        ResultError: A file that says it is one is malformed.
        FormatVersionError: It was written by a newer version of MRBench.
    """
    found: dict[str, Audit] = {}
    for audit in map(_read, files_of_format(paths, FORMAT)):
        found.setdefault(audit.digest, audit)
    return found


def _read(file: Path) -> Audit:
    raw = read_versioned_json(file, what="audit", name=FORMAT, newest=FORMAT_VERSION, error=ResultError)
    try:
        checks = tuple(_checks(raw["checks"]))
        return Audit(_text(raw["benchmark"]["digest"]), raw["passed"] is True, _text(raw["command"]), checks)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        got = f"{type(error).__name__}: {error}"
        raise ResultError("malformed audit", where=file, got=got, hint="mrbench audit BENCHMARK") from error


def _checks(raw: dict[str, Any]) -> Iterator[AuditCheck]:
    for question, checks in raw.items():
        for check in checks:
            yield AuditCheck(one_line(question), *(_text(check[key]) for key in ("name", "verdict", "summary")))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, got {value!r}")
    return one_line(value)
