"""The records that everything else stands on: grains, queries, candidates, judgements, ladders, tasks.

Definitions (ELVA, arXiv 2606.20280, section on grains; the counting rules are ours):

* A **grain** is the smallest semantic unit of a query. A query is a set of grains, at most one of each type.
* A candidate **keeps** a grain when it has a grain of the same type and the same value.
* The **grade** of a candidate is the number of the query's grains that it keeps.
* A candidate is **relevant** exactly when its grade equals the number of the query's grains.
* It **violates** the types of the query's grains that it does not keep.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Modality = Literal["text", "image", "image,text"]
MODALITIES: tuple[Modality, ...] = ("text", "image", "image,text")
Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
VariantKind = Literal["degrained", "flipped", "paraphrased"]
PARTS: tuple[Literal["image", "text"], ...] = ("image", "text")
"""The parts of a composed query."""
VARIANT_KINDS: tuple[VariantKind, ...] = ("degrained", "flipped", "paraphrased")


@dataclass(frozen=True, slots=True)
class Task:
    """A retrieval task: which modality asks and which modality answers.

    Attributes:
        name: MTEB's category code, for example ``"it2i"``.
        title: What people read, for example ``"(image, text) → image"``.
    """

    name: str
    title: str
    query_modality: Modality
    candidate_modality: Literal["text", "image"]


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task("t2i", "text → image", "text", "image"),
        Task("i2t", "image → text", "image", "text"),
        Task("i2i", "image → image", "image", "image"),
        Task("it2i", "(image, text) → image", "image,text", "image"),
    )
}


@dataclass(frozen=True, slots=True)
class Grain:
    """One grain.

    Attributes:
        type: Grain type, for example ``"skin tone"``.
        value: Value of that type, for example ``"dark"``.
        start: First character of the span in the text that states the grain; None where no text states it.
        end: One past the last character of that span.
    """

    type: str
    value: str
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True, slots=True)
class ImageData:
    """An encoded image (PNG, JPEG or WebP) that nobody has decoded yet.

    Attributes:
        data: The encoded bytes.
        sha256: Digest over the decoded pixels, see :func:`mrbench.benchmark.images.pixel_sha256`.
    """

    data: bytes
    sha256: str


@dataclass(frozen=True, slots=True)
class Query:
    """A query and the grains that it asks for.

    Attributes:
        grains: What a relevant candidate has to keep. For a composed query these are the grains of the
            *target*; those that the text changes carry a span, the others come from the picture.
        image_grains: What the query's own picture shows (empty without a picture).
    """

    id: str
    task: str
    instruction: str
    grains: tuple[Grain, ...]
    text: str | None = None
    image: ImageData | None = None
    image_grains: tuple[Grain, ...] = ()

    @property
    def modality(self) -> Modality:
        """The modality of the query: ``text``, ``image`` or ``image,text``."""
        return _modality(self.text, self.image)


@dataclass(frozen=True, slots=True)
class Variant:
    """A query in another form, to see what moves its embedding and its results.

    Three kinds: ``degrained``, without one of its grains (the f(q without g) of the paper's Definition 2);
    ``flipped``, one grain with another value; ``paraphrased``, all grains kept, in other words or drawn anew. The half
    of a composed query that does not change is repeated.

    Attributes:
        query_id: The query it was made from.
        kind: Which of the three.
        grain: The grain type that was dropped or flipped; empty for a paraphrase.
        number: 0, 1, ... among variants of one query, kind and grain.
        positive_id: The candidate it asks for: the query's own positive, or, flipped, the member of the ladder that
            differs from it in this grain alone.
        text: The text; without the grain, of a degrained text.
        image: The picture; neutral art, of a degrained picture.
    """

    query_id: str
    kind: VariantKind
    grain: str
    positive_id: str
    text: str | None = None
    image: ImageData | None = None
    number: int = 0


@dataclass(frozen=True, slots=True)
class Candidate:
    """A member of the corpus, with the grains that it shows or states."""

    id: str
    grains: tuple[Grain, ...]
    text: str | None = None
    image: ImageData | None = None

    @property
    def modality(self) -> Modality:
        """The modality of the candidate: ``text``, ``image`` or ``image,text``."""
        return _modality(self.text, self.image)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one candidate is worth for one query.

    Attributes:
        relevance: 1 when every grain of the query is kept, else 0.
        grade: Number of the query's grains that the candidate keeps, 0 to K.
        violates: Types of the query's grains that it does not keep, sorted.
    """

    query_id: str
    candidate_id: str
    relevance: int
    grade: int
    violates: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ladder:
    """The graded candidates of one query.

    Attributes:
        query_id: The query.
        positive_id: The relevant candidate that the others were made from.
        candidate_ids: All members (the positive too), sorted by id so that position tells nothing.
            For every grain of the query exactly one member differs from the positive in that grain alone;
            others differ in two, three and more grains; the rest are random.
    """

    query_id: str
    positive_id: str
    candidate_ids: tuple[str, ...]


def grain_values(grains: Iterable[Grain]) -> dict[str, str]:
    """Return ``{type: value}``.

    >>> grain_values([Grain("entity", "dog", 2, 5), Grain("count", "one")])
    {'entity': 'dog', 'count': 'one'}
    """
    return {grain.type: grain.value for grain in grains}


def judge(query: Query, candidate: Candidate) -> Judgement:
    """Judge a candidate by the definitions at the top of this module.

    >>> query = Query("q", "t2i", "", (Grain("entity", "dog"), Grain("count", "two")), text="two dogs")
    >>> judge(query, Candidate("c", (Grain("entity", "dog"), Grain("count", "one")), text="a dog"))
    Judgement(query_id='q', candidate_id='c', relevance=0, grade=1, violates=('count',))
    """
    has = grain_values(candidate.grains)
    violates = tuple(sorted(g.type for g in query.grains if has.get(g.type) != g.value))
    return Judgement(
        query_id=query.id,
        candidate_id=candidate.id,
        relevance=int(not violates),
        grade=len(query.grains) - len(violates),
        violates=violates,
    )


def _modality(text: str | None, image: ImageData | None) -> Modality:
    if image is None:
        return "text"
    return "image" if text is None else "image,text"
