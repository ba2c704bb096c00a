"""How much a candidate supports a grain, from 0 to 1: a soft count beside the hard one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mrbench.grains import Description, Grain
from mrbench.judge.meanings import TextEncoder
from mrbench.judge.verdicts import KEPT

HARD = 0.3
"""Share of the verdict in the support; the other share is the cosine. Best on the tuning half, flat from 0.2 to 0.4."""


class Support:
    """Supports grains by their verdict and by the cosine of their phrase with the candidate's captions.

    ``support = 0.3 * [kept] + 0.7 * max(0, max over captions of cos(phrase, caption))``, by MiniLM. The phrase of a
    grain is its slot in plain words: "2 brown dog" for a thing with all that is said of it, "dog run through snow" for
    an action or a relation.

    Args:
        encoder: Embeds phrases and captions; each is embedded once.
    """

    def __init__(self, encoder: TextEncoder) -> None:
        self._encoder = encoder
        self._vectors: dict[str, np.ndarray[tuple[int], np.dtype[np.float32]]] = {}

    def of(
        self,
        judged: Sequence[tuple[Description, tuple[str, ...], Sequence[str]]],
        grains: Mapping[str, Sequence[Grain]],
    ) -> list[tuple[float, ...]]:
        """Return the support of every grain.

        Args:
            judged: A query's description, the answers to its grains, and the candidate's captions.
            grains: The grains of every query text.
        """
        phrases = {
            text: [phrase(query, grain) for grain in grains[text]] for query, _, _ in judged for text in [query.text]
        }
        self._embed([*(p for found in phrases.values() for p in found), *(c for _, _, texts in judged for c in texts)])
        return [self._pair(phrases[query.text], answers, texts) for query, answers, texts in judged]

    def _pair(self, phrases: list[str], answers: tuple[str, ...], texts: Sequence[str]) -> tuple[float, ...]:
        if not texts or not phrases:
            return (0.0,) * len(phrases)
        captions = np.stack([self._vectors[text] for text in texts])
        cosines = (np.stack([self._vectors[p] for p in phrases]) @ captions.T).max(axis=1).clip(0, 1)
        kept = [answer == KEPT for answer in answers]
        return tuple(HARD * hard + (1 - HARD) * float(soft) for hard, soft in zip(kept, cosines, strict=True))

    def _embed(self, texts: list[str]) -> None:
        new = sorted({text for text in texts if text not in self._vectors}, key=lambda text: (len(text), text))
        if new:
            self._vectors.update(zip(new, np.asarray(self._encoder.embed_texts(new)), strict=True))


def phrase(query: Description, grain: Grain) -> str:
    """Return a grain in plain words, with the thing that it is said of."""
    table, row, _ = grain.slots[0]
    if table == "relation":
        relation = query.relations[row]
        ends = [query.entities[n].head if n is not None else "" for n in (relation.subject, relation.object)]
        no = "not" if relation.negated else ""
        return " ".join(f"{ends[0]} {no} {relation.predicate} {ends[1]}".split())
    if table in ("text", "negation"):
        return grain.value
    entity = query.entities[row]
    if table == "entity":
        return entity.head
    if grain.kind == "negation":
        return f"{grain.value} {entity.head}"
    count = [entity.count] if entity.count not in (None, "several", "few") and not entity.count_negated else []
    return " ".join([*(c for c in count if c), *(x.value for x in entity.attributes if not x.negated), entity.head])
