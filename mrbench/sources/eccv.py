"""ECCV Caption: more of what is true of COCO's test photos, found by machines and checked by people.

Chun et al., ECCV 2022, arXiv 2204.03359; files as in https://github.com/naver-ai/eccv-caption.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from mrbench.benchmark import Contents
from mrbench.errors import BenchmarkError, InputError
from mrbench.records import Candidate, Judgement, Modality, Query, Split, Task
from mrbench.sources.coco_test import CAPTIONS, FILE, Photos, caption_candidates, caption_texts, captions_file
from mrbench.sources.files import files_digest, images_below, read_json
from mrbench.sources.image_names import image_file
from mrbench.sources.image_text import RECALL, file_in, folder_of, image_to_text, text_to_image
from mrbench.spec_options import check_options, choice
from mrbench.words import counted

OPTIONS = {
    "captions": CAPTIONS,
    "judgements": "eccv: those of ECCV Caption; coco: COCO's own five captions a photo",
    "file": FILE,
}
OUTSIDE = frozenset({144675, 467259})
"""Captions that the published file calls positive and that are not among the 25,000 of the test photos."""
_LAYOUT = "the folder eccv_caption/data of naver-ai/eccv-caption"
_FOLDERS = ("eccv_caption/data", "data")
_MEASURES = ("hit_rate@1", "r_precision", "map@r")
Pairs = dict[int, list[int]]


def read(location: str, image_root: Path | None, options: Mapping[str, str]) -> Contents:
    """Open ECCV Caption.

    Args:
        location: The folder with the JSON files and ``coco_test_ids.npy``.
        image_root: Where the photos of COCO val2014 lie; the same folder by default.
        options: See :data:`OPTIONS`.

    Raises:
        InputError: An unknown or malformed option, or no captions.
        BenchmarkError: A file is missing.
    """
    check_options(options, OPTIONS)
    return Eccv(folder_of(location, _LAYOUT), image_root, options)


class Eccv(Contents):
    """COCO's 5,000 test photos and 25,000 captions under the judgements of ECCV Caption, or under COCO's own.

    Ids are those of COCO: file names of photos, numbers of captions. So its judgements can be laid over COCO as other
    readers have it.
    """

    licence = "MIT (annotations); captions CC-BY-4.0; photos as on Flickr"
    splits: Sequence[Split] = ("test",)
    corpora: Mapping[str, Modality] = {"image": "image", "text": "text"}

    def __init__(self, root: Path, image_root: Path | None, options: Mapping[str, str]) -> None:
        self.location, self._options = root, dict(options)
        self.images = images_below(root, image_root)
        self._photos = Photos(options)
        self._own = choice(options, "judgements", ("eccv", "coco")) == "coco"
        found = captions_file(options, root)
        if found is None:
            raise InputError("no captions", where="?captions=", accepted=CAPTIONS)
        self._captions = found
        kinds = ("original",) if self._own else ("original", "eccv")
        self._files = {
            f"{kind}_{way}": file_in(root, [f"{kind}_{way}.json"], _FOLDERS, _LAYOUT)
            for kind in kinds
            for way in ("caption_to_image", "image_to_caption")
        }
        self._ids = file_in(root, ["coco_test_ids.npy"], _FOLDERS, _LAYOUT)
        self.name = "coco-5k" if self._own else "eccv-caption"
        self.title = "COCO 5K" if self._own else "ECCV Caption"
        self.tasks: Sequence[Task] = _tasks(self._own)

    def digest(self) -> str:
        """Return a SHA-256 over all annotation files, the caption file included, and the options of the spec."""
        options = {name: value for name, value in self._options.items() if name != "captions"}
        return files_digest([*self._files.values(), self._ids, self._captions], self.location, options)

    def notes(self) -> list[str]:
        """Return what was left out."""
        if self._own:
            return []
        return [f"{len(OUTSIDE)} captions that are called positive are none of the test photos'; they were left out"]

    @cached_property
    def _numbers(self) -> list[int]:
        """The numbers of the 25,000 captions."""
        try:
            array = np.load(self._ids, allow_pickle=False)
        except (ValueError, OSError, EOFError) as error:
            raise BenchmarkError(
                "an array cannot be read", where=self._ids, got=str(error), hint="download the file again"
            ) from error
        if not isinstance(array, np.ndarray) or array.ndim != 1 or array.dtype.kind not in "iu":
            raise BenchmarkError(
                "not a list of numbers",
                where=self._ids,
                got=str(getattr(array, "dtype", array)),
                accepted="a whole number for each caption",
            )
        numbers: list[int] = array.tolist()
        if len(set(numbers)) < len(numbers):
            raise BenchmarkError("a number is there twice", where=self._ids, accepted="each once")
        return numbers

    @cached_property
    def _texts(self) -> dict[int, str]:
        return caption_texts(self._captions, self._numbers)

    @cached_property
    def _photo_of(self) -> dict[int, int]:
        """The photo of each caption."""
        path = self._files["original_caption_to_image"]
        own = _read_pairs(path)
        several = next((caption for caption, photos in own.items() if len(photos) != 1), None)
        if several is not None:
            raise BenchmarkError(
                "a caption has not one photo", where=f"{path}, {several}", got=own[several], accepted="one photo"
            )
        _expect_known(self._numbers, own, path, "caption")
        return {caption: own[caption][0] for caption in self._numbers}

    @cached_property
    def _photo_numbers(self) -> list[int]:
        """The numbers of the photos, by their first caption."""
        return list(dict.fromkeys(self._photo_of.values()))

    def _judged(self, task: str) -> Pairs:
        kind = "original" if self._own else "eccv"
        way = "caption_to_image" if task == "t2i" else "image_to_caption"
        path = self._files[f"{kind}_{way}"]
        pairs = _read_pairs(path)
        captions, photos = set(self._photo_of), set(self._photo_numbers)
        asking, answering = (captions, photos) if task == "t2i" else (photos, captions)
        _expect_known(pairs, asking, path, "query")
        if not self._own and task == "i2t":
            pairs = {query: [one for one in found if one not in OUTSIDE] for query, found in pairs.items()}
        _expect_known((one for found in pairs.values() for one in found), answering, path, "candidate")
        return pairs

    def candidates(self, corpus: str, split: str) -> Iterator[Candidate]:
        """Yield the photos or the captions."""
        if corpus == "text":
            yield from caption_candidates(self._texts, self._numbers)
            return
        for number in self._photo_numbers:
            name = self._photos.name(number)
            yield Candidate(name, image=image_file(self.images, name, str(self._ids)))

    def queries(self, task: str, split: str) -> Iterator[Query]:
        """Yield the queries that are judged; the captions of a photo are one cluster."""
        for number in self._judged(task):
            if task == "t2i":
                cluster = self._photos.name(self._photo_of[number])
                yield Query(str(number), task, "", text=self._texts[number], cluster=cluster)
            else:
                name = self._photos.name(number)
                yield Query(name, task, "", image=image_file(self.images, name, str(self._ids)), cluster=name)

    def judgements(self, task: str, split: str) -> Iterator[Judgement]:
        """Yield what is relevant."""
        for query, found in self._judged(task).items():
            for other in dict.fromkeys(found):
                if task == "t2i":
                    yield Judgement(str(query), self._photos.name(other), 1)
                else:
                    yield Judgement(self._photos.name(query), str(other), 1)


def _tasks(own: bool) -> tuple[Task, ...]:
    measures: tuple[str, ...]
    if own:
        said = "k is 1, 5 and 10 over the 5,000 test photos and their 25,000 captions; papers on COCO call these R@k."
        measures, main = (*RECALL, "r_precision", "map@r"), "hit_rate@1"
    else:
        said = (
            "The pool is that of COCO's 5,000 test photos; only judged queries ask; its authors call our map@r mAP@R, "
            "r_precision R-P and hit_rate@1 R@1."
        )
        measures, main = _MEASURES, "map@r"
    return text_to_image("t2i", measures, main, said), image_to_text("i2t", measures, main, said)


def _read_pairs(path: Path) -> Pairs:
    """Return the relevant candidates of every query.

    Raises:
        BenchmarkError: Not an object of lists of whole numbers.
    """
    value = read_json(path)
    if not isinstance(value, dict):
        raise BenchmarkError("not a JSON object", where=path, got=type(value).__name__, accepted="a JSON object")
    pairs: Pairs = {}
    for query, found in value.items():
        where = f"{path}, {query}"
        whole = isinstance(found, list) and all(isinstance(one, int) and not isinstance(one, bool) for one in found)
        if not query.isdecimal() or not whole:
            raise BenchmarkError(
                "not a number with a list of numbers", where=where, got=found, accepted="NUMBER: [NUMBER, ...]"
            )
        pairs[int(query)] = found
    return pairs


def _expect_known(numbers: object, known: object, path: Path, what: str) -> None:
    lost = sorted({number for number in numbers if number not in known})  # type: ignore[attr-defined, operator]
    if lost:
        raise BenchmarkError(
            counted(len(lost), f"number of a {what} is", f"numbers of a {what} are")
            + " not among those of the test photos",
            where=path,
            got=lost[:3],
            hint="take the annotations of COCO val2014 test, 5,000 photos",
        )
