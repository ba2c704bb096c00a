"""Images with true and false texts: does a model score the true text higher?"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from mrbench.benchmark import Contents, ImageRoot
from mrbench.records import Candidate, CandidateList, ImageFile, Judgement, Modality, Query, Task
from mrbench.sources.files import content_digest, images_below, plain_name
from mrbench.sources.image_names import check_name
from mrbench.sources.pairs_layouts import Item, Pairs, kinds_of, read_pairs
from mrbench.sources.rows import found_below, set_name
from mrbench.spec_options import check_options, choice, whole_number

OPTIONS = {
    "limit": "the first N items",
    "unchecked": "keep: keep VALSE's items that fewer than 2 of 3 annotators accepted; drop by default",
}
_INSTRUCTIONS = {"i2t": "Find the text that describes this image.", "t2i": "Find the image that this text describes."}
_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


def read(location: str, image_root: Path | None, options: Mapping[str, str]) -> Contents:
    """Open images with true and false texts.

    Args:
        location: A file, or a folder of files, one a kind.
        image_root: Folder below which the images lie; None takes the folder of the files, or the one in it that has the
            first image.
        options: See :data:`OPTIONS`.

    Raises:
        InputError: An unknown or malformed option.
        BenchmarkError: A file is missing, malformed or of another layout.
    """
    check_options(options, OPTIONS)
    path = Path(location)
    held = read_pairs(path, unchecked=choice(options, "unchecked", ("drop", "keep")) == "keep")
    held.items = held.items[: whole_number(options, "limit")]
    folder = path.absolute() if path.is_dir() else path.absolute().parent
    images = images_below(found_below(folder, held.items[0].images[0]), image_root)
    held.items = [
        replace(item, images=tuple(check_name(images, name, item.where) for name in item.images)) for item in held.items
    ]
    return ImageTextPairs(path, held, images, options)


class ImageTextPairs(Contents):
    """Images with true and false texts.

    With one image an item, there is the task ``i2t``, and each image is searched among its own texts. With two images
    and two texts, there are ``i2t`` and ``t2i``, and the four queries of an item share a cluster.

    Args:
        location: The file or folder they were read from.
        held: What it holds.
        images: Where the images lie.
        options: See :data:`OPTIONS`.
    """

    licence = "unknown"
    splits = ("test",)
    wordings: Mapping[str, str] = _INSTRUCTIONS

    def __init__(self, location: Path, held: Pairs, images: ImageRoot, options: Mapping[str, str]) -> None:
        self.location, self.images, self._options, self._held = location, images, dict(options), held
        self.title = location.absolute().name if location.is_dir() else set_name(location)
        self.name = plain_name(self.title)
        self._groups = len(held.items[0].images) > 1
        tasks = [_i2t(held.items, self._groups)]
        self.corpora: dict[str, Modality] = {"text": "text"}
        if self._groups:
            tasks.append(_t2i())
            self.corpora["image"] = "image"
        self.tasks: Sequence[Task] = tasks

    def digest(self) -> str:
        """Return the SHA-256 over ids, texts, kinds and names of images, and over the options."""
        items = ((item.id, item.images, item.true, item.false, item.kind) for item in self._held.items)
        return content_digest(items, self._options)

    def notes(self) -> list[str]:
        """Return the kinds of false texts and which columns were ignored."""
        kinds = kinds_of(self._held.items)
        shown = ", ".join(kinds[:20]) + (", ..." if len(kinds) > 20 else "")
        return [*self._held.notes, f"kinds of false texts ({len(kinds)}): {shown}"]

    def named_in(self, image: str) -> str | None:
        """Return the file and line of the first item with an image."""
        return self._places.get(image)

    @cached_property
    def _places(self) -> dict[str, str]:
        places: dict[str, str] = {}
        for item in self._held.items:
            for name in item.images:
                places.setdefault(self._image(name).name, item.where)
        return places

    def candidates(self, corpus: str, split: str) -> Iterator[Candidate]:
        """Yield the texts of all items, or the images of groups."""
        for item in self._held.items:
            if corpus == "image":
                for number in range(len(item.images)):
                    yield Candidate(_image_id(item, number), image=self._image(item.images[number]))
            else:
                yield from (Candidate(text_id, text=text) for text_id, text in _texts(item))

    def queries(self, task: str, split: str) -> Iterator[Query]:
        """Yield the images or the texts; the queries of a group, and those on one image, share a cluster."""
        said = self.wordings[task]
        for item in self._held.items:
            cluster = item.id if self._groups else item.images[0]
            if task == "t2i":
                yield from (Query(text_id, task, said, text=text, cluster=cluster) for text_id, text in _texts(item))
                continue
            for number, name in enumerate(item.images):
                own = _image_id(item, number) if self._groups else item.id
                yield Query(own, task, said, image=self._image(name), cluster=cluster)

    def judgements(self, task: str, split: str) -> Iterator[Judgement]:
        """Yield a judgement of each text, or image, for each query of its item."""
        for item in self._held.items:
            texts = [text_id for text_id, _ in _texts(item)]
            if not self._groups:
                kinds: list[tuple[str, ...]] = [() for _ in item.true] + [(kind,) for _, kind in item.false]
                for text_id, violated in zip(texts, kinds, strict=True):
                    yield Judgement(item.id, text_id, int(not violated), violates=violated)
                continue
            images = [_image_id(item, number) for number in range(2)]
            asking, answering = (images, texts) if task == "i2t" else (texts, images)
            for number, query_id in enumerate(asking):
                yield Judgement(query_id, answering[number], 1, violates=())
                yield Judgement(query_id, answering[1 - number], 0, violates=(item.kind,))

    def lists(self, task: str, split: str) -> Iterator[CandidateList]:
        """Yield the texts, or images, of each query's item."""
        for item in self._held.items:
            texts = tuple(text_id for text_id, _ in _texts(item))
            if not self._groups:
                yield CandidateList(item.id, texts)
                continue
            images = tuple(_image_id(item, number) for number in range(2))
            asking, answering = (images, texts) if task == "i2t" else (texts, images)
            yield from (CandidateList(query_id, answering) for query_id in asking)

    def _image(self, name: str) -> ImageFile:
        path = self.images.resolve(name)
        if not path.suffix:  # Winoground names its pictures without one
            added = next((suffix for suffix in _SUFFIXES if os.path.isfile(f"{path}{suffix}")), "")  # noqa: PTH113
            return ImageFile(Path(f"{path}{added}"), name + added)
        return ImageFile(path, name)


def _texts(item: Item) -> list[tuple[str, str]]:
    """Id and text of the true texts, then of the false ones."""
    true = [(f"{item.id}#true{number}", text) for number, text in enumerate(item.true)]
    return true + [(f"{item.id}#false{number}", text) for number, (text, _) in enumerate(item.false)]


def _image_id(item: Item, number: int) -> str:
    return f"{item.id}#image{number}"


def _i2t(items: list[Item], groups: bool) -> Task:
    several = not groups and any(len(item.true) > 1 for item in items)
    if groups:
        called = "Winoground calls it the text score where both images of a group are right."
    elif several:
        called = (
            "all_positives_accuracy, SugarCrepe++'s, counts images whose true texts all score above every false one."
        )
    else:
        called = "with one true and one false text, hit_rate@1 is the accuracy of SugarCrepe, VALSE and others."
    return Task(
        name="i2t",
        title="image → true or false text",
        query_modality="image",
        candidate_modality="text",
        corpora=("text",),
        judgements="partial",
        pool="lists",
        measures=("hit_rate@1", "mrr", "r_precision") if several else ("hit_rate@1", "mrr"),
        main="all_positives_accuracy" if several else "hit_rate@1",
        protocol=f"Each image is searched among the texts of its own item, k is 1; {called}",
    )


def _t2i() -> Task:
    return Task(
        name="t2i",
        title="text → one of two images",
        query_modality="text",
        candidate_modality="image",
        corpora=("image",),
        judgements="partial",
        pool="lists",
        measures=("hit_rate@1", "mrr"),
        main="hit_rate@1",
        protocol="Each text is searched among the two images of its group, k is 1; "
        "Winoground calls it the image score where both texts of a group are right.",
    )
