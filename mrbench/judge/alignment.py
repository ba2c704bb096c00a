"""Which thing of a candidate is which thing of a query."""

from __future__ import annotations

from mrbench.grains import Description
from mrbench.judge.meanings import Meanings

_SUPPORT = {"same": 1.0, "near": 0.9, "general": 0.7}
_SAME_ATTRIBUTE, _SAME_ACTION, _SAME_WORD, _SAME_NUMBER, _ORDER = 0.05, 0.03, 0.1, 0.05, 0.02
"""What makes one of several possible partners the better one; none outweighs a step of ``_SUPPORT`` but the word."""


class Alignment:
    """The things of two captions, matched as charitably as their nouns allow.

    Args:
        query, candidate: The captions.
        meanings: Compares nouns.
    """

    def __init__(self, query: Description, candidate: Description, meanings: Meanings) -> None:
        self.q, self.c, self.m = query, candidate, meanings
        self.how = [[meanings.noun(a, b) for b in candidate.entities] for a in query.entities]
        self.match: dict[int, int] = {}
        self._align()
        self.taken = {c: q for q, c in self.match.items()}

    def _align(self) -> None:
        scored = [
            (-self._score(i, j), i, j) for i, row in enumerate(self.how) for j, how in enumerate(row) if how in _SUPPORT
        ]
        used: set[int] = set()
        for _, i, j in sorted(scored):
            if i not in self.match and j not in used:
                self.match[i] = j
                used.add(j)
        for _, i, j in sorted(scored):  # two words of the query for one thing of the candidate
            if i not in self.match and self.how[i][j] in ("same", "near"):
                self.match[i] = j

    def _score(self, i: int, j: int) -> float:
        a, b = self.q.entities[i], self.c.entities[j]
        values = {(y.value, y.negated) for y in b.attributes}
        actions = {(s.predicate, s.negated) for s in self.c.relations if s.subject == j}
        return (
            _SUPPORT[self.how[i][j]]
            + _SAME_ATTRIBUTE * sum((x.value, x.negated) in values for x in a.attributes)
            + _SAME_ACTION * len({(r.predicate, r.negated) for r in self.q.relations if r.subject == i} & actions)
            + _SAME_WORD * (a.head == b.head)
            + _SAME_NUMBER * (a.plural == b.plural)
            - _ORDER * abs(i / len(self.q.entities) - j / len(self.c.entities))
        )

    def partners(self, i: int | None) -> list[int]:
        """Return every thing of the candidate that a thing of the query may be, the best first; none for None."""
        if i is None or i not in self.match:
            return []
        first = self.match[i]
        others = [j for j, how in enumerate(self.how[i]) if how in ("same", "near") and j != first]
        return [first, *(j for j in others if self._is_free(j))]

    def _is_free(self, j: int) -> bool:
        """Return True where no thing of the query has the very word of a thing of the candidate."""
        owner = self.taken.get(j)
        return owner is None or self.q.entities[owner].head != self.c.entities[j].head

    def replaces(self, j: int, i: int) -> bool:
        """Return True where a thing of the candidate, standing in a place, excludes a thing of the query from it."""
        owner = self.taken.get(j)
        if self.c.entities[j].negated:
            return False
        if self.how[i][j] != "distinct":  # "person" and "child", where both captions have both
            return (
                owner is not None
                and owner != i
                and i in self.match
                and self.how[owner][j] == "same"
                and self.q.entities[owner].head == self.c.entities[j].head != self.q.entities[i].head
            )
        if i not in self.match:
            return not self.m.mentions(self.q.entities[i].base, self.c.words)
        return owner is not None and owner != i  # the candidate puts another thing of the query there
