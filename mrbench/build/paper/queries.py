"""Selects the queries of a task that hold two grains or more, and makes their rows."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from mrbench.benchmark import Benchmark
from mrbench.build.captions.asking import parts_of
from mrbench.build.captions.asks import stated
from mrbench.build.captions.degrain import without
from mrbench.build.captions.ladders import LEAST, why_no_query
from mrbench.build.captions.photos import plain
from mrbench.grains import Grain as TextGrain
from mrbench.judge import KEPT, VIOLATED, Judge
from mrbench.records import Grain, Judgement, Query, Variant

_CHUNK = 1024
"""Texts that are judged together."""
NO_TEXT = "no text says what the picture shows"


@dataclass(frozen=True, slots=True)
class Ask:
    """A query that fits the recipe.

    Attributes:
        query: The query of the data set.
        text: The text whose grains it asks for: its own, or a caption or description of its picture.
        stated: All grains of the text.
        grains: The grains that no other text of the picture contradicts.
    """

    query: Query
    text: str
    stated: tuple[TextGrain, ...]
    grains: tuple[TextGrain, ...]


@dataclass
class Chosen:
    """The rows of one task, and counts for the data card."""

    queries: list[Query] = field(default_factory=list)
    judgements: list[Judgement] = field(default_factory=list)
    variants: list[Variant] = field(default_factory=list)
    counts: dict[str, Any] = field(default_factory=dict)


class Queries:
    """The queries of one task.

    Args:
        benchmark: M-BEIR.
        task: Name of the task.
        split: Its split.
        judge: Finds the grains of a text.
        descriptions: Descriptions of the pictures of queries, by the query's id.

    Attributes:
        left_out: Number of queries that do not fit the recipe, by reason.
    """

    def __init__(
        self, benchmark: Benchmark, task: str, split: str, judge: Judge, descriptions: Mapping[str, str]
    ) -> None:
        self._benchmark, self._task, self._split, self._judge = benchmark, task, split, judge
        self._descriptions = descriptions
        self.left_out: Counter[str] = Counter()

    def fit(self) -> Iterator[Ask]:
        """Yield the queries with two grains or more.

        A picture with several captions is asked for by the caption whose grains the others state most often. Grains
        that another caption contradicts are dropped.
        """
        for some in parts_of(self._benchmark.queries(self._task, self._split), _CHUNK):
            told = [(query, text, others) for query in some for text, others in self._texts(query)]
            self.left_out[NO_TEXT] += len(some) - len({query.id for query, _, _ in told})
            verdicts = self._judge.judge([(text, others) for _, text, others in told])
            best: dict[str, tuple[tuple[int, int, str], Ask]] = {}
            reasons: dict[str, str] = {}
            for (query, text, _), verdict in zip(told, verdicts, strict=True):
                pairs = list(zip(verdict.grains, verdict.answers, strict=True))
                grains = tuple(grain for grain, answer in pairs if answer != VIOLATED)
                why = why_no_query(verdict.grains)
                if why is None and len(grains) < LEAST:
                    why = "fewer than two grains that no other caption contradicts"
                if why is not None:
                    reasons.setdefault(query.id, why)
                    continue
                key = (-sum(answer == KEPT for _, answer in pairs), -len(grains), text)
                if query.id not in best or key < best[query.id][0]:
                    best[query.id] = (key, Ask(query, text, verdict.grains, grains))
            self.left_out.update(why for name, why in reasons.items() if name not in best)
            yield from (ask for _, ask in best.values())

    def pictures(self) -> Iterator[Query]:
        """Yield the queries without a text in the data set."""
        queries = self._benchmark.queries(self._task, self._split)
        return (query for query in queries if query.text is None and not self._answers.get(query.id))

    def chosen(self, asks: Sequence[Ask]) -> Chosen:
        """Return the rows of some queries."""
        found = Chosen([_with_grains(ask) for ask in asks])
        found.judgements = [j for ask in asks for j in self._judgements[ask.query.id]]
        found.variants = [v for ask in asks for v in self._paraphrases(ask)] + list(self._degrained(asks))
        grains = Counter(grain.type for ask in asks for grain in ask.grains)
        found.counts = {
            "queries": len(asks),
            "left_out": {why: number for why, number in sorted(self.left_out.items()) if number},
            "grains": dict(sorted(grains.items())),
            "grains_of_a_query": dict(sorted(Counter(str(len(ask.grains)) for ask in asks).items())),
            "variants": dict(sorted(Counter(variant.kind for variant in found.variants).items())),
        }
        return found

    def _texts(self, query: Query) -> list[tuple[str, tuple[str, ...]]]:
        """Return each text that may state the grains of a query, with the other texts of the same picture."""
        if query.text is not None:
            return [(query.text, tuple(t for t in self._said[query.cluster] if plain(t) != plain(query.text)))]
        texts = self._answers.get(query.id) or list(filter(None, [self._descriptions.get(query.id)]))
        return [(text, tuple(other for other in texts if other != text)) for text in texts]

    @cached_property
    def _judgements(self) -> dict[str, list[Judgement]]:
        """The judgements of each query, as the data set has them."""
        found: dict[str, list[Judgement]] = defaultdict(list)
        for judgement in self._benchmark.judgements(self._task, self._split):
            found[judgement.query_id].append(judgement)
        return found

    @cached_property
    def _said(self) -> dict[str, list[str]]:
        """The captions of each picture, where the queries are captions; nothing for composed queries."""
        found: dict[str, list[str]] = defaultdict(list)
        if self._benchmark.task(self._task).query_modality == "text":
            for query in self._benchmark.queries(self._task, self._split):
                found[query.cluster].append(query.text or "")
        return found

    @cached_property
    def _answers(self) -> dict[str, list[str]]:
        """The texts that answer each query, where the candidates are captions of its picture."""
        task = self._benchmark.task(self._task)
        if task.candidate_modality != "text":
            return {}
        texts = {c.id: c.text or "" for corpus in task.corpora for c in self._benchmark.corpus(corpus, self._split)}
        return {
            name: [texts[j.candidate_id] for j in judged if j.relevance > 0 and j.candidate_id in texts]
            for name, judged in self._judgements.items()
        }

    def _positive(self, query: Query) -> str:
        return next(j.candidate_id for j in self._judgements[query.id] if j.relevance > 0)

    def _paraphrases(self, ask: Ask) -> Iterator[Variant]:
        """Yield the picture's other captions as other wordings of a caption."""
        others = (text for text in self._said[ask.query.cluster] if plain(text) != plain(ask.text))
        for number, text in enumerate(dict.fromkeys(others)):
            yield Variant(ask.query.id, "paraphrased", "", self._positive(ask.query), text=text, number=number)

    def _degrained(self, asks: Sequence[Ask]) -> Iterator[Variant]:
        """Yield each query with one grain dropped from its text, where the new text lacks this grain alone."""
        asks = [ask for ask in asks if ask.query.text is not None]
        for some in parts_of(asks, _CHUNK):
            tried = [
                (ask, grain, text)
                for ask in some
                for grain in ask.grains
                if (text := without(ask.text, grain, ask.stated))
            ]
            verdicts = self._judge.judge([(ask.text, (text,)) for ask, _, text in tried])
            for (ask, grain, text), verdict in zip(tried, verdicts, strict=True):
                if set(verdict.types(KEPT)) == {g.type for g in verdict.grains} - {grain.type}:
                    query = ask.query
                    yield Variant(
                        query.id, "degrained", grain.type, self._positive(query), text=text, image=query.image
                    )


def _with_grains(ask: Ask) -> Query:
    """Return a query with its grains; they have spans where the text is its own."""
    if ask.query.text is not None:
        return replace(ask.query, grains=stated(ask.grains))
    return replace(ask.query, grains=tuple(Grain(grain.type, grain.value) for grain in ask.grains))
