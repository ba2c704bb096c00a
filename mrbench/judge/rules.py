"""The judge ``rules``: compares the slots of captions, and tells contradiction from silence. Offline, deterministic."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from mrbench.grains import Description, Grain, describe_texts, grains_of, versions
from mrbench.judge.comparison import Comparison
from mrbench.judge.meanings import Meanings, TextEncoder
from mrbench.judge.support import Support
from mrbench.judge.verdicts import KEPT, VIOLATED, Verdict, read_together

VERSION = "3"
"""Raised whenever a verdict changes."""


class Rules:
    """Judges captions by rules on their parse, by WordNet, and by MiniLM for words of near meaning.

    Args:
        encoder: Embeds words, phrases and captions; None for WordNet alone.
        soft: Also give every grain its support, for which every caption is embedded.
        keep: Keep the parse of every caption, some kilobytes each, for callers that judge the same captions many times.

    Raises:
        MissingExtraError: spaCy or its model is not installed.
    """

    name = "rules"
    sees_photos = False

    def __init__(self, encoder: TextEncoder | None, *, soft: bool = False, keep: bool = False) -> None:
        self._kept: dict[str, Description] | None = {} if keep else None
        self._meanings = Meanings(encoder)
        self._support = Support(encoder) if soft and encoder is not None else None
        self.versions = {"rules": VERSION, **versions()}
        if encoder is not None:
            self.versions[encoder.name] = encoder.revision

    def judge(self, pairs: Sequence[tuple[str, Sequence[str]]]) -> list[Verdict]:
        """Judge queries against candidates; see :class:`mrbench.judge.verdicts.Judge`."""
        described = self._describe(dict.fromkeys(text for query, texts in pairs for text in (query, *texts)))
        queries = {query: grains_of(described[query]) for query, _ in pairs}
        found = [
            self._verdict(described[query], queries[query], [described[text] for text in texts])
            for query, texts in pairs
        ]
        if self._support is None:
            return found
        judged = [
            (described[query], verdict.answers, texts) for (query, texts), verdict in zip(pairs, found, strict=True)
        ]
        support = self._support.of(judged, queries)
        return [replace(verdict, support=soft) for verdict, soft in zip(found, support, strict=True)]

    def _describe(self, texts: Iterable[str]) -> dict[str, Description]:
        """Return the parse of every text, and embed the words of those that are new."""
        described = {} if self._kept is None else self._kept
        new = [text for text in texts if text not in described]
        described.update(zip(new, describe_texts(new), strict=True))
        self._meanings.prepare(_words(described[text] for text in new))
        return described

    def _verdict(self, query: Description, grains: list[Grain], candidate: list[Description]) -> Verdict:
        comparisons = [Comparison(query, caption, self._meanings) for caption in candidate]
        said = [[one.grain(grain) for one in comparisons] for grain in grains]
        votes = tuple((answers.count(KEPT), answers.count(VIOLATED)) for answers in said)
        return Verdict(tuple(grains), tuple(map(read_together, said)), votes=votes)


def _words(descriptions: Iterable[Description]) -> set[str]:
    """Return every word that may be compared by its embedding."""
    found: set[str] = set()
    for description in descriptions:
        for entity in description.entities:
            found.add(entity.head)
            found.update(x.value for x in entity.attributes)
        found.update(r.predicate for r in description.relations if r.kind == "action")
    return found
