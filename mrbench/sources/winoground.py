"""Winoground: two images and two captions of the same words (Thrush et al., CVPR 2022, arXiv 2204.03162)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mrbench.benchmark import Contents, ImageRoot
from mrbench.errors import BenchmarkError
from mrbench.records import Modality, Task
from mrbench.sources.files import field, images_below, read_jsonl
from mrbench.sources.image_names import check_name
from mrbench.sources.image_text import file_in, folder_of, text_of
from mrbench.sources.pairs import ImageTextPairs
from mrbench.sources.pairs_layouts import Item, Pairs
from mrbench.spec_options import check_options

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
    path = file_in(folder_of(location, _LAYOUT), ["examples.jsonl"], ("data",), _LAYOUT)
    images = images_below(path.parent / "images", image_root)
    items = list(_items(path, images, options.get("kind", "collapsed_tag")))
    if not items:
        raise BenchmarkError("a file has no example", where=path, accepted=_LAYOUT)
    return Winoground(path, Pairs(items, [path]), images, options)


class Winoground(ImageTextPairs):
    """Two tasks over lists of two; the four queries of an example share a cluster, so group scores are made of them.

    Searched and judged as any other groups of two images and two texts, without instructions, as in the paper.
    """

    licence = "Winoground's own (research only); images by Getty"
    wordings: Mapping[str, str] = {"i2t": "", "t2i": ""}

    def __init__(self, location: Path, held: Pairs, images: ImageRoot, options: Mapping[str, str]) -> None:
        super().__init__(location, held, images, options)
        self.name, self.title = "winoground", "Winoground"
        self.tasks: Sequence[Task] = (_task("i2t", "image", "text"), _task("t2i", "text", "image"))


def _items(path: Path, images: ImageRoot, kind: str) -> Iterator[Item]:
    """Yield the examples.

    Raises:
        BenchmarkError: A row is malformed, or an example is there twice.
    """
    seen: set[str] = set()
    for where, row in read_jsonl(path):
        name = str(field(row, "id", where, kind=(int, str)))
        if name in seen:
            raise BenchmarkError("an example is there twice", where=where, got=name, accepted="each once")
        seen.add(name)
        pictures = tuple(check_name(images, _picture(field(row, f"image_{n}", where)), where) for n in (0, 1))
        texts = tuple(text_of(field(row, f"caption_{n}", where), f"{where}, caption_{n}") for n in (0, 1))
        yield Item(name, pictures, texts, kind=str(row.get(kind) or "swap"), where=where)


def _picture(name: str) -> str:
    return name if Path(name).suffix else f"{name}.png"


def _task(name: str, asks: Modality, answers: Modality) -> Task:
    return Task(
        name, f"{asks} → {answers} of two", asks, answers, (answers,), "partial", "lists", ("hit_rate@1",),
        "hit_rate@1", _SAID[name],
    )  # fmt: skip
