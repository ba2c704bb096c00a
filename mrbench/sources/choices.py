"""Images with one true text among false ones: what NegBench's questions and CC-Neg share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mrbench.benchmark import ImageRoot
from mrbench.records import Candidate, CandidateList, Judgement, Query, Task
from mrbench.sources.image_names import image_file


@dataclass(frozen=True, slots=True)
class Choice:
    """An image and the texts that it is to be told apart by.

    Attributes:
        id: Its id.
        image: Name of the image below the image root.
        texts: The texts.
        right: Index of the true one.
        kind: What the false ones get wrong.
        where: File and line that it was read from.
    """

    id: str
    image: str
    texts: tuple[str, ...]
    right: int
    kind: str
    where: str

    @property
    def text_ids(self) -> tuple[str, ...]:
        """The ids of the texts."""
        return tuple(f"{self.id}#{number}" for number in range(len(self.texts)))


def choice_candidates(choices: Sequence[Choice]) -> Iterator[Candidate]:
    """Yield all texts."""
    for choice in choices:
        for name, text in zip(choice.text_ids, choice.texts, strict=True):
            yield Candidate(name, text=text)


def choice_queries(choices: Sequence[Choice], task: str, images: ImageRoot) -> Iterator[Query]:
    """Yield the images; questions on one image are a cluster."""
    for choice in choices:
        image = image_file(images, choice.image, choice.where)
        yield Query(choice.id, task, "", image=image, cluster=choice.image)


def choice_judgements(choices: Sequence[Choice]) -> Iterator[Judgement]:
    """Yield that one text is relevant, and what the others violate."""
    for choice in choices:
        for number, name in enumerate(choice.text_ids):
            true = number == choice.right
            yield Judgement(choice.id, name, int(true), violates=() if true else (choice.kind,))


def choice_lists(choices: Sequence[Choice]) -> Iterator[CandidateList]:
    """Yield the texts of each image."""
    return (CandidateList(choice.id, choice.text_ids) for choice in choices)


def choice_task(name: str, corpus: str, protocol: str) -> Task:
    """Return the task in which each image is searched among its own texts."""
    return Task(
        name, "image → true text", "image", "text", (corpus,), "partial", "lists", ("hit_rate@1", "mrr"), "hit_rate@1",
        protocol,
    )  # fmt: skip
