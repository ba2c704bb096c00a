"""Winoground: two images and two captions of the same words (Thrush et al., CVPR 2022, arXiv 2204.03162)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mrbench.benchmark import Contents
from mrbench.errors import BenchmarkError
from mrbench.records import Candidate, CandidateList, Judgement, Modality, Query, Split, Task
from mrbench.sources.files import field, files_digest, images_below, read_jsonl
from mrbench.sources.image_names import image_file
from mrbench.sources.image_text import file_in, folder_of, text_of
from mrbench.sources.open import check_options

OPTIONS = {"kind": "the column whose value names what a false pair gets wrong; collapsed_tag by default"}
_LAYOUT = "data/examples.jsonl with image_0, image_1, caption_0 and caption_1, and data/images"
_SAID = {
    "i2t": "Each image is searched among the two captions of its example; text_score counts examples in which both "
    "images prefer their own caption, group_score those in which both captions prefer their own image too; a tie is "
    "wrong.",
    "t2i": "Each caption is searched among the two images of its example; image_score counts examples in which both "
    "captions prefer their own image, group_score those in which both images prefer their own caption too; a tie is "
    "wrong.",
}


@dataclass(frozen=True, slots=True)
class _Example:
    id: str
    images: tuple[str, str]
    captions: tuple[str, str]
    kind: str
    where: str

    def ids(self, side: str) -> tuple[str, str]:
        return f"{self.id}#{side}0", f"{self.id}#{side}1"


def read(location: str, image_root: Path | None, options: Mapping[str, str]) -> Contents:
    """Open Winoground.

    Args:
        location: The folder that holds ``examples.jsonl``, or ``data`` with it.
        image_root: Folder in which the images lie; ``images`` beside the file by default.
        options: See :data:`OPTIONS`.

    Raises:
        InputError: An unknown option.
        BenchmarkError: The file is missing.
    """
    check_options(options, OPTIONS)
    root = folder_of(location, _LAYOUT)
    return Winoground(root, file_in(root, ["examples.jsonl"], ("data",), _LAYOUT), image_root, options)


class Winoground(Contents):
    """Two tasks over lists of two; the four queries of an example share a cluster, so group scores are made of them."""

    name, title, licence = "winoground", "Winoground", "Winoground's own (research only); images by Getty"
    splits: Sequence[Split] = ("test",)
    corpora: Mapping[str, Modality] = {"image": "image", "text": "text"}

    def __init__(self, root: Path, path: Path, image_root: Path | None, options: Mapping[str, str]) -> None:
        self.location, self._path, self._options = root, path, dict(options)
        self.images = images_below(path.parent / "images", image_root)
        self._kind = options.get("kind", "collapsed_tag")
        self.tasks: Sequence[Task] = (_task("i2t", "image", "text"), _task("t2i", "text", "image"))

    def digest(self) -> str:
        """Return the digest over the file and the options."""
        return files_digest([self._path], self.location, self._options)

    @cached_property
    def _examples(self) -> list[_Example]:
        made: dict[str, _Example] = {}
        for where, row in read_jsonl(self._path):
            name = str(field(row, "id", where, kind=(int, str)))
            if name in made:
                raise BenchmarkError("an example is there twice", where=where, got=name)
            first, second = (_picture(field(row, f"image_{n}", where)) for n in (0, 1))
            captions = tuple(text_of(field(row, f"caption_{n}", where), f"{where}, caption_{n}") for n in (0, 1))
            kind = str(row.get(self._kind) or "swap")
            made[name] = _Example(name, (first, second), (captions[0], captions[1]), kind, where)
        return list(made.values())

    def candidates(self, corpus: str, split: str) -> Iterator[Candidate]:
        """Yield the images or the captions."""
        for example in self._examples:
            for number, name in enumerate(example.ids(corpus)):
                if corpus == "text":
                    yield Candidate(name, text=example.captions[number])
                else:
                    yield Candidate(name, image=image_file(self.images, example.images[number], example.where))

    def queries(self, task: str, split: str) -> Iterator[Query]:
        """Yield the images or the captions."""
        side = "image" if task == "i2t" else "text"
        for example in self._examples:
            for number, name in enumerate(example.ids(side)):
                if side == "text":
                    yield Query(name, task, "", text=example.captions[number], cluster=example.id)
                else:
                    image = image_file(self.images, example.images[number], example.where)
                    yield Query(name, task, "", image=image, cluster=example.id)

    def judgements(self, task: str, split: str) -> Iterator[Judgement]:
        """Yield that like goes with like, and what the other violates."""
        for example in self._examples:
            asking, answering = example.ids(_sides(task)[0]), example.ids(_sides(task)[1])
            for number in (0, 1):
                yield Judgement(asking[number], answering[number], 1, violates=())
                yield Judgement(asking[number], answering[1 - number], 0, violates=(example.kind,))

    def lists(self, task: str, split: str) -> Iterator[CandidateList]:
        """Yield the two of each example."""
        for example in self._examples:
            for name in example.ids(_sides(task)[0]):
                yield CandidateList(name, example.ids(_sides(task)[1]))


def _sides(task: str) -> tuple[str, str]:
    return ("image", "text") if task == "i2t" else ("text", "image")


def _picture(name: str) -> str:
    return name if Path(name).suffix else f"{name}.png"


def _task(name: str, asks: Modality, answers: Modality) -> Task:
    return Task(
        name, f"{asks} → {answers} of two", asks, answers, (answers,), "partial", "lists", ("hit_rate@1",),
        "hit_rate@1", _SAID[name],
    )  # fmt: skip
