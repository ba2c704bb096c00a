"""What a judge claims of a query and a candidate, and what people are asked about it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mrbench.benchmark import Benchmark
from mrbench.errors import BenchmarkError, InputError
from mrbench.records import Candidate, Judgement, Query

Key = tuple[str, str, str, str]
"""Names one judgement: task, split, id of the query, id of the candidate."""
_ORDINAL = re.compile(r"^(second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|\d+th) ")


@dataclass(frozen=True, slots=True)
class Claim:
    """A judgement with the query and the candidate that it is about."""

    key: Key
    query: Query
    candidate: Candidate
    judgement: Judgement

    @property
    def kind(self) -> str:
        """What acceptance is counted by: ``relevant``, the one grain type that is lost, or ``several grains``.

        Ordinals do not count: a lost ``second colour`` is of the kind ``colour``.
        """
        return kind_of(self.judgement)

    @property
    def text(self) -> str:
        """The claim in a sentence."""
        one = self.judgement
        if one.relevance > 0:
            return "The candidate is relevant" + (
                ": it keeps every grain of the query." if one.grade is not None else "."
            )
        values = {grain.type: grain.value for grain in self.query.grains}
        lost = [f"{name} ({values[name]})" if name in values else name for name in one.violates or ()]
        whole = one.grade is not None and one.asked == one.grade + len(lost)
        listed = ", ".join(lost[:-1]) + (" and " if len(lost) > 1 else "") + "".join(lost[-1:])
        if not lost:
            return "The candidate is not relevant."
        return f"The candidate contradicts the query's {listed}" + (", and keeps everything else." if whole else ".")


def kind_of(judgement: Judgement) -> str:
    """Return the kind of the claim; see :attr:`Claim.kind`.

    >>> kind_of(Judgement("q", "c", 0, violates=("second colour",))), kind_of(Judgement("q", "c", 1))
    ('colour', 'relevant')
    """
    if judgement.relevance > 0:
        return "relevant"
    lost = judgement.violates or ()
    return _ORDINAL.sub("", lost[0]) if len(lost) == 1 else "several grains"


def judged(benchmark: Benchmark) -> dict[Key, Judgement]:
    """Return every judgement that comes from a judge, in the order of the benchmark.

    Raises:
        InputError: There is none.
    """
    found: dict[Key, Judgement] = {}
    for split in benchmark.splits:
        for task in benchmark.task_names:
            for one in benchmark.judgements(task, split):
                if one.origin.startswith("judge:"):
                    found[task, split, one.query_id, one.candidate_id] = one
    if not found:
        raise InputError(
            "the benchmark has no judgement of a judge to review",
            where=benchmark.folder,
            accepted="a benchmark whose judgements come from a judge",
            hint="mrbench build captions captions:FILE --output DIR; mrbench review DIR --output review.html",
        )
    return found


def claims(benchmark: Benchmark, sample: int | None = None, kinds: Sequence[str] = ()) -> list[Claim]:
    """Return the claims that people review, in an order that tells nothing.

    Args:
        benchmark: The benchmark.
        sample: How many at most, chosen by a hash, so that every claim has the same chance; None for all.
        kinds: Of which kinds (:func:`kind_of`); all where none is named.

    Raises:
        InputError: The benchmark has no judgement of a judge, or none of a kind.
        BenchmarkError: A judgement names a query or a candidate that is not there.
    """
    found = judged(benchmark)
    if kinds:
        there = {kind_of(one) for one in found.values()}
        if unknown := [kind for kind in kinds if kind not in there]:
            accepted = ", ".join(sorted(there))
            raise InputError("no judgement of this kind", where=benchmark.folder, got=unknown[0], accepted=accepted)
        found = {key: one for key, one in found.items() if kind_of(one) in kinds}
    keys = sorted(found, key=lambda key: hashlib.sha256("\n".join((benchmark.digest, *key)).encode()).digest())
    return list(_whole(benchmark, [(key, found[key]) for key in keys[:sample]]))


def _whole(benchmark: Benchmark, rows: list[tuple[Key, Judgement]]) -> Iterator[Claim]:
    """Yield claims with their records; each table is read once."""
    queries: dict[tuple[str, str, str], Query] = {}
    candidates: dict[tuple[str, str, str], Candidate] = {}
    wanted = {(task, split) for (task, split, _, _), _ in rows}
    for task, split in sorted(wanted):
        asking = {key[2] for key, _ in rows if key[:2] == (task, split)}
        answering = {key[3] for key, _ in rows if key[:2] == (task, split)}
        queries |= {(task, split, q.id): q for q in benchmark.queries(task, split) if q.id in asking}
        for corpus in benchmark.task(task).own_corpora:
            candidates |= {(task, split, c.id): c for c in benchmark.corpus(corpus, split) if c.id in answering}
    for key, one in rows:
        query, candidate = queries.get((*key[:2], key[2])), candidates.get((*key[:2], key[3]))
        if query is None or candidate is None:
            name = key[2] if query is None else key[3]
            hint = f"mrbench validate {benchmark.folder}"
            raise BenchmarkError("a judgement names what is not there", where=benchmark.folder, got=name, hint=hint)
        yield Claim(key, query, candidate, one)
