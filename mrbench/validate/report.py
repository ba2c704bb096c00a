"""The report of a check: what was checked, and the problems."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

MOST_PER_RULE = 100


@dataclass(frozen=True, slots=True)
class Problem:
    """One rule that a benchmark breaks in one place.

    Attributes:
        rule: The rule, in a few words that stay the same.
        where: File or table, and record.
        got: The value found.
        accepted: What would be right.
    """

    rule: str
    where: str
    got: str = ""
    accepted: str = ""

    def __str__(self) -> str:
        named = (("where", self.where), ("got", self.got), ("accepted", self.accepted))
        return "; ".join([self.rule, *(f"{name}: {_short(value)}" for name, value in named if value)])


@dataclass
class Report:
    """The outcome of a check.

    Attributes:
        checked: Number of checked things, by kind.
        notes: Counts of things that are allowed but worth knowing.
        problems: The problems; at most 100 of each rule.
        omitted: Number of further problems, by rule.
    """

    checked: dict[str, int] = field(default_factory=Counter)
    notes: dict[str, int] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)
    omitted: dict[str, int] = field(default_factory=Counter)
    _by_rule: Counter[str] = field(default_factory=Counter, repr=False)

    @property
    def rules(self) -> set[str]:
        """The rules that are broken."""
        return {problem.rule for problem in self.problems}

    def by_rule(self) -> dict[str, int]:
        """Return the number of problems of each rule, including omitted ones."""
        return dict(self._by_rule)

    def count(self, what: str, number: int = 1) -> None:
        """Count something that was checked."""
        self.checked[what] = self.checked.get(what, 0) + number

    def note(self, what: str, number: int = 1) -> None:
        """Count something that is allowed but worth knowing."""
        self.notes[what] = self.notes.get(what, 0) + number

    def problem(self, rule: str, where: object, got: object = "", accepted: object = "") -> None:
        """Add a problem."""
        self._by_rule[rule] += 1
        if self._by_rule[rule] > MOST_PER_RULE:
            self.omitted[rule] = self.omitted.get(rule, 0) + 1
        else:
            self.problems.append(Problem(rule, str(where), str(got), str(accepted)))

    def expect(self, holds: bool, rule: str, where: object, got: object = "", accepted: object = "") -> None:
        """Add a problem unless a condition holds."""
        if not holds:
            self.problem(rule, where, got, accepted)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 200 else f"{line[:197]}..."
