"""The records of a benchmark: tasks, queries, candidates, judgements, grains, ladders and variants.

A judgement is the relevance of a candidate to a query. The judgements of a task are *complete* (they follow from the
grains of all candidates) or *partial* (a list; other pairs are unjudged). Grains, ladders and variants are optional.
Where grains are known, these definitions hold (ELVA, arXiv 2606.20280, section on grains; the counting rules are ours):

* A **grain** is the smallest semantic unit of a query. A query is a set of grains, at most one of each type.
* A candidate **keeps** a grain when it has a grain of the same type and the same value.
* The **grade** of a candidate is the number of the query's grains that it keeps.
* With complete judgements a candidate is **relevant** exactly when its grade equals the number of the query's grains,
  and it **violates** the types of the query's grains that it does not keep.
* With partial judgements a candidate keeps a grain, violates it, or this is unknown. Unknown never counts as 0.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mrbench.errors import BenchmarkError

Modality = Literal["text", "image", "image,text"]
MODALITIES: tuple[Modality, ...] = ("text", "image", "image,text")
Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
VariantKind = Literal["degrained", "flipped", "paraphrased"]
PARTS: tuple[Literal["image", "text"], ...] = ("image", "text")
"""The parts of a composed query."""
VARIANT_KINDS: tuple[VariantKind, ...] = ("degrained", "flipped", "paraphrased")


Completeness = Literal["complete", "partial"]
PoolKind = Literal["corpus", "lists"]
_SIDES: dict[str, Modality] = {"t": "text", "i": "image", "it": "image,text"}
CATEGORIES = tuple(f"{query}2{candidate}" for query in _SIDES for candidate in _SIDES)
"""MTEB's category codes: the modality of queries, and the modality of candidates."""


@dataclass(frozen=True, slots=True)
class Task:
    """A retrieval task: the modalities of queries and candidates, its judgements and its measures.

    Attributes:
        name: Letters, digits, ``_``, ``.`` and ``-``.
        title: Title for people, for example ``"(image, text) → image"``.
        query_modality: Modality of the queries.
        candidate_modality: Modality of the candidates. ``image,text`` means both, or a corpus of several modalities.
        corpora: Names of the corpora that are the task's pool; empty takes the one named like the candidates' modality.
        judgements: ``complete``: they follow from the grains; ``partial``: a list, other pairs are unjudged.
        pool: ``corpus``: every query is searched among all candidates; ``lists``: among its own list of candidates.
        measures: Names of the rank measures to report; empty takes the default ones.
        main: The measure that ranks models.
        protocol: One sentence on the data set's own protocol and its names for these measures.
    """

    name: str
    title: str
    query_modality: Modality
    candidate_modality: Modality
    corpora: tuple[str, ...] = ()
    judgements: Completeness = "complete"
    pool: PoolKind = "corpus"
    measures: tuple[str, ...] = ()
    main: str = "hit_rate@5"
    protocol: str = ""

    @property
    def category(self) -> str:
        """MTEB's category code.

        >>> TASKS["it2i"].category
        'it2i'
        """
        codes = {modality: code for code, modality in _SIDES.items()}
        return f"{codes[self.query_modality]}2{codes[self.candidate_modality]}"

    @property
    def own_corpora(self) -> tuple[str, ...]:
        """Names of the corpora that make the task's pool."""
        return self.corpora or (self.candidate_modality,)


def category_sides(category: str) -> tuple[Modality, Modality]:
    """Return the modality of queries and of candidates.

    Raises:
        ValueError: The category is not one of :data:`CATEGORIES`.

    >>> category_sides("it2t")
    ('image,text', 'text')
    """
    if category not in CATEGORIES:
        raise ValueError(f"unknown category {category!r}, accepted: {', '.join(CATEGORIES)}")
    query, _, candidate = category.partition("2")
    return _SIDES[query], _SIDES[candidate]


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task("t2i", "text → image", "text", "image"),
        Task("i2t", "image → text", "image", "text"),
        Task("i2i", "image → image", "image", "image"),
        Task("it2i", "(image, text) → image", "image,text", "image"),
    )
}
"""The tasks of the suites that MRBench draws."""


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
    """An encoded image (PNG, JPEG or WebP), not yet decoded.

    Attributes:
        data: The encoded bytes.
        sha256: Digest of the decoded pixels, see :func:`mrbench.benchmark.images.pixel_sha256`; empty if unknown.
    """

    data: bytes
    sha256: str

    @property
    def size(self) -> int:
        """Number of encoded bytes."""
        return len(self.data)


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An image in a file of its own, read on demand.

    Attributes:
        path: The file.
        name: Its path below the image root, as in the data set.
        sha256: As for :class:`ImageData`.
    """

    path: Path
    name: str
    sha256: str = ""

    @property
    def data(self) -> bytes:
        """The encoded bytes, read now.

        Raises:
            BenchmarkError: The file is missing, cannot be read, or is not a regular file (a pipe would never end).
        """
        try:
            self._regular()
            return self.path.read_bytes()
        except OSError as error:
            raise self._unreadable(error) from error

    @property
    def size(self) -> int:
        """Number of encoded bytes.

        Raises:
            BenchmarkError: The file is missing, cannot be read, or is not a regular file.
        """
        try:
            return self._regular().st_size
        except OSError as error:
            raise self._unreadable(error) from error

    def _regular(self) -> os.stat_result:
        entry = self.path.stat()
        if not stat.S_ISREG(entry.st_mode):
            raise BenchmarkError("an image is not a regular file", where=self.path, hint=self._hint)
        return entry

    def _unreadable(self, error: OSError) -> BenchmarkError:
        missing = isinstance(error, FileNotFoundError | NotADirectoryError)
        return BenchmarkError(
            "an image file is missing" if missing else "an image file cannot be read",
            where=self.path,
            got=None if missing else error.strerror,
            hint=self._hint,
        )

    @property
    def _hint(self) -> str:
        return f"--image-root FOLDER, the folder that has {self.name}"


AnyImage = ImageData | ImageFile


@dataclass(frozen=True, slots=True)
class Query:
    """A query and the grains that it asks for.

    Attributes:
        grains: The grains that a relevant candidate must keep; empty if unknown. For a composed query these are the
            grains of the *target*: those that the text changes have a span, the others come from the picture.
        image_grains: The grains of the query's own picture; empty without a picture.
        more_images: Further images of a query with several (turns of a dialogue, frames of a video).
        cluster: Name of the query's cluster: queries of one cluster share content and are not independent, such as the
            captions of one photo. Empty if the query is a cluster of its own.
    """

    id: str
    task: str
    instruction: str
    grains: tuple[Grain, ...] = ()
    text: str | None = None
    image: AnyImage | None = None
    image_grains: tuple[Grain, ...] = ()
    more_images: tuple[AnyImage, ...] = ()
    cluster: str = ""

    @property
    def modality(self) -> Modality:
        """The modality of the query: ``text``, ``image`` or ``image,text``."""
        return _modality(self.text, self.image)


@dataclass(frozen=True, slots=True)
class Variant:
    """A query in another form, to measure how its embedding and its results change.

    There are three kinds: ``degrained``, without one of its grains (the f(q without g) of the paper's Definition 2);
    ``flipped``, with another value of one grain; and ``paraphrased``, with all grains in other words or drawn anew. The
    half of a composed query that does not change is repeated.

    Attributes:
        query_id: The query it was made from.
        kind: One of the three kinds.
        grain: The grain type that was dropped or flipped; empty for a paraphrase.
        number: 0, 1, ... among variants of one query, kind and grain.
        positive_id: The candidate that it asks for: the query's own positive, or for a flipped query the ladder member
            that differs from it only in this grain.
        text: The text; that of a degrained query lacks the grain.
        image: The picture; that of a degrained query is neutral.
    """

    query_id: str
    kind: VariantKind
    grain: str
    positive_id: str
    text: str | None = None
    image: AnyImage | None = None
    number: int = 0


@dataclass(frozen=True, slots=True)
class Candidate:
    """A member of a corpus.

    Attributes:
        grains: The grains that it shows or states; empty if unknown.
        more_images: Further images of a candidate with several (frames of a video).
    """

    id: str
    grains: tuple[Grain, ...] = ()
    text: str | None = None
    image: AnyImage | None = None
    more_images: tuple[AnyImage, ...] = ()

    @property
    def modality(self) -> Modality:
        """The modality of the candidate: ``text``, ``image`` or ``image,text``."""
        return _modality(self.text, self.image)


@dataclass(frozen=True, slots=True)
class Judgement:
    """The relevance of one candidate to one query.

    Attributes:
        relevance: 0 for not relevant; 1 or more for relevant, higher values if the data set grades relevance.
        grade: Number of the query's grains that the candidate keeps; None if unknown.
        violates: Types of the query's grains that it violates, sorted; None if unknown.
        asked: Number of grains that ``grade`` counts from; None if unknown.
        origin: Who judged: ``grains``, ``dataset``, ``judge:NAME`` or ``human``.
    """

    query_id: str
    candidate_id: str
    relevance: int
    grade: int | None = None
    violates: tuple[str, ...] | None = None
    asked: int | None = None
    origin: str = "dataset"


@dataclass(frozen=True, slots=True)
class Ladder:
    """The graded candidates of one query.

    Attributes:
        query_id: The query.
        positive_id: The relevant candidate that the others were made or chosen for.
        candidate_ids: All members, including the positive, sorted by id so that the order reveals nothing. In built
            suites, for each grain of the query exactly one member differs from the positive only in it; others differ
            in two, three and more grains, and the rest are random. Elsewhere a ladder may cover only some grains.
    """

    query_id: str
    positive_id: str
    candidate_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CandidateList:
    """Candidates that one query is searched among (a list), or that it is not searched among (an exclusion)."""

    query_id: str
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
    Judgement(query_id='q', candidate_id='c', relevance=0, grade=1, violates=('count',), asked=2, origin='grains')
    """
    has = grain_values(candidate.grains)
    violates = tuple(sorted(g.type for g in query.grains if has.get(g.type) != g.value))
    return Judgement(
        query_id=query.id,
        candidate_id=candidate.id,
        relevance=int(not violates),
        grade=len(query.grains) - len(violates),
        violates=violates,
        asked=len(query.grains),
        origin="grains",
    )


def _modality(text: str | None, image: AnyImage | None) -> Modality:
    if image is None:
        return "text"
    return "image" if text is None else "image,text"
