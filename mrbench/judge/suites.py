"""Our own suites: texts whose grains are known, judged as texts."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from mrbench.benchmark import Benchmark
from mrbench.errors import InputError
from mrbench.judge.check import Item
from mrbench.judge.halves import REPORT
from mrbench.judge.verdicts import VIOLATED, Judge
from mrbench.records import Candidate, Grain

LADDERS = 250
_HINT = "mrbench build scenes --output scenes; mrbench judge check --suite scenes"


def check_suite(judge: Judge, benchmark: Benchmark, *, split: str = "test", ladders: int = LADDERS) -> list[Item]:
    """Measure a judge on a benchmark's texts.

    The positive text of a ladder is the query. A member that differs in one grain has to violate something: the item's
    kind is that grain's type. A paraphrase of a text query must violate nothing: kind ``paraphrase``. Nothing is tuned
    on suites, so all items stand in the half to report.

    Args:
        judge: Any judge.
        benchmark: With the tasks ``i2t`` (ladders of texts) and ``t2i`` (paraphrases).
        split: Which split.
        ladders: How many ladders and paraphrased queries at most, the first ones.

    Raises:
        InputError: The benchmark lacks a task.
    """
    for task in ("i2t", "t2i"):
        if task not in benchmark.task_names:
            raise InputError(
                "the benchmark has no texts to judge", where=benchmark.folder, accepted=f"the task {task}", hint=_HINT
            )
    changed = list(_changed(benchmark, split, ladders))
    verdicts = judge.judge([(query, [text]) for query, text, _ in changed])
    items = []
    for (_, _, kind), verdict in zip(changed, verdicts, strict=True):
        found = VIOLATED in verdict.answers
        items.append(Item(kind, REPORT, found, found))
    same = list(_paraphrased(benchmark, split, ladders))
    verdicts = judge.judge([(query, [text]) for query, text in same])
    return items + [Item("paraphrase", REPORT, alarm=VIOLATED in verdict.answers) for verdict in verdicts]


def _changed(benchmark: Benchmark, split: str, ladders: int) -> Iterator[tuple[str, str, str]]:
    """Yield the positive text, the text of a member that differs from it in one grain, and that grain's type."""
    corpus = {candidate.id: candidate for candidate in benchmark.corpus("text", split)}
    for ladder in islice(benchmark.ladders("i2t", split), ladders):
        positive = corpus[ladder.positive_id]
        for member in (corpus[name] for name in ladder.candidate_ids):
            types = _differing(positive, member)
            if len(types) == 1 and positive.text is not None and member.text is not None:
                yield positive.text, member.text, types[0]


def _differing(positive: Candidate, member: Candidate) -> list[str]:
    values = _values(positive.grains), _values(member.grains)
    return [name for name in {**values[0], **values[1]} if values[0].get(name) != values[1].get(name)]


def _values(grains: tuple[Grain, ...]) -> dict[str, str]:
    return {grain.type: grain.value for grain in grains}


def _paraphrased(benchmark: Benchmark, split: str, queries: int) -> Iterator[tuple[str, str]]:
    texts = {query.id: query.text for query in islice(benchmark.queries("t2i", split), queries)}
    for variant in benchmark.variants("t2i", split):
        query = texts.get(variant.query_id)
        if variant.kind == "paraphrased" and query is not None and variant.text is not None:
            yield query, variant.text
