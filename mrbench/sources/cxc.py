"""Crisscrossed Captions (CxC): how similar people find captions and photos of COCO, from 0 to 5.

Parekh et al., EACL 2021, arXiv 2004.15020; files as in https://github.com/google-research-datasets/Crisscrossed-Captions.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mrbench.benchmark import Contents
from mrbench.errors import BenchmarkError
from mrbench.records import Candidate, CandidateList, Judgement, Modality, Query, Split, Task
from mrbench.sources.coco_test import CAPTIONS, FILE, Photos, caption_candidates, caption_texts, captions_file
from mrbench.sources.files import files_digest, images_below, read_table
from mrbench.sources.image_names import image_file
from mrbench.sources.image_text import RECALL, folder_of
from mrbench.spec_options import check_options

OPTIONS = {"captions": f"{CAPTIONS}; without it there is only i2i", "file": FILE}
POSITIVE = 3.0
"""A pair of this rating or more is relevant, as in the paper."""
_LAYOUT = "a folder with sits_test.csv.gz, sis_test.csv.gz and sts_test.csv.gz, or those of val; one of them is enough"
_SPLITS: dict[Split, str] = {"validation": "val", "test": "test"}
_CAPTION = re.compile(r"COCO_(?:val|train)2014:sentid:([0-9]{1,12})")
_PHOTO = re.compile(r"COCO_(?:val|train)2014_([0-9]{12})\.jpg")
_KINDS = {"t2i": "sits", "i2t": "sits", "i2i": "sis", "t2t": "sts"}
Ratings = dict[tuple[int, int], float]


@dataclass(frozen=True)
class _Sits:
    """Ratings of captions and photos, and the photo that each caption was written for."""

    ratings: Ratings
    own: dict[int, int]
    photos: tuple[int, ...]


def read(location: str, image_root: Path | None, options: Mapping[str, str]) -> Contents:
    """Open CxC.

    Args:
        location: The folder with the CSV files, packed or not.
        image_root: Where the photos of COCO val2014 lie; the same folder by default.
        options: See :data:`OPTIONS`.

    Raises:
        InputError: An unknown or malformed option.
        BenchmarkError: No file is there that a task can be made of.
    """
    check_options(options, OPTIONS)
    return Cxc(folder_of(location, _LAYOUT), image_root, options)


class Cxc(Contents):
    """Photos and captions of COCO with graded similarity; ids are those of COCO, as for ECCV Caption.

    A pair of rating 3 or more is relevant; its relevance is the whole part of the rating minus 2, so 1, 2 or 3. Pairs
    rated lower are judged not relevant, COCO's own ones too.
    """

    name, title = "cxc", "Crisscrossed Captions"
    licence = "may be used for any purpose (annotations); captions CC-BY-4.0; photos as on Flickr"

    def __init__(self, root: Path, image_root: Path | None, options: Mapping[str, str]) -> None:
        self.location, self._options = root, dict(options)
        self.images = images_below(root, image_root)
        self._photos = Photos(options)
        self._captions = captions_file(options, root)
        places = [(kind, split) for split in _SPLITS for kind in ("sits", "sis", "sts")]
        self._files = {place: path for place in places if (path := self._find(*place)) is not None}
        kinds = {kind for kind, _ in self._files}
        usable = [task for task, kind in _KINDS.items() if kind in kinds and (task == "i2i" or self._captions)]
        if "sits" not in kinds:
            usable = [task for task in usable if task == "i2i"]
        if not usable:
            got = ", ".join(path.name for path in self._files.values()) or None
            hint = None if self._captions else f"?captions=FILE names {CAPTIONS}"
            raise BenchmarkError("no task can be made of a folder", where=root, got=got, accepted=_LAYOUT, hint=hint)
        self.tasks: Sequence[Task] = [_task(name) for name in usable]
        self.corpora: dict[str, Modality] = {"image": "image"}
        if self._captions:
            self.corpora["text"] = "text"
        self.splits: Sequence[Split] = [split for split in _SPLITS if any(self._has(task, split) for task in usable)]
        self._sits, self._pairs, self._texts = cache(self._read_sits), cache(self._read_pairs), cache(self._read_texts)

    def _find(self, kind: str, split: Split) -> Path | None:
        names = (f"{kind}_{_SPLITS[split]}.csv{end}" for end in (".gz", ""))
        places = (self.location / folder / name for name in names for folder in ("", "data", f"data/{kind}", kind))
        return next((path for path in places if path.is_file()), None)

    def _has(self, task: str, split: str) -> bool:
        """Return whether the ratings of a task are there for a split: sets of val and test need not be the same."""
        return (_KINDS[task], split) in self._files

    def digest(self) -> str:
        """Return a SHA-256 over all annotation files, the caption file included, and the options of the spec."""
        options = {name: value for name, value in self._options.items() if name != "captions"}
        files = [*self._files.values(), *([self._captions] if self._captions else [])]
        return files_digest(files, self.location, options)

    def _read_sits(self, split: str) -> _Sits:
        """Read the ratings of captions and photos.

        Raises:
            BenchmarkError: A row is malformed, or a caption has two photos of its own.
        """
        ratings: Ratings = {}
        own: dict[int, int] = {}
        path = self._files.get(("sits", split))  # type: ignore[arg-type]
        for where, pair, rating, method in _rows(path, (_CAPTION, _PHOTO)) if path else ():
            if pair in ratings:
                raise BenchmarkError("a pair is rated twice", where=where, accepted="each once")
            ratings[pair] = rating
            if method == "c2i_original" and own.setdefault(*pair) != pair[1]:
                raise BenchmarkError(
                    "a caption has two photos of its own",
                    where=where,
                    accepted="one row of sits-intramodal for each caption",
                )
        return _Sits(ratings, own, tuple(dict.fromkeys([*own.values(), *(photo for _, photo in ratings)])))

    def _read_pairs(self, kind: str, split: str) -> Ratings:
        """Return the ratings of pairs of photos, or of captions, in both orders; the mean where both were rated."""
        form = _PHOTO if kind == "sis" else _CAPTION
        found: dict[tuple[int, int], list[float]] = {}
        for where, (one, other), rating, _ in _rows(self._files[kind, split], (form, form)):  # type: ignore[index]
            if one == other:
                raise BenchmarkError("a pair of one and the same", where=where, accepted="two different items")
            found.setdefault((min(one, other), max(one, other)), []).append(rating)
        means = {pair: sum(values) / len(values) for pair, values in found.items()}
        return {**means, **{(other, one): rating for (one, other), rating in means.items()}}

    def _read_texts(self, split: str) -> dict[int, str]:
        return caption_texts(self._captions, self._caption_numbers(split))  # type: ignore[arg-type]

    def _caption_numbers(self, split: str) -> list[int]:
        sits = self._sits(split)
        return list(dict.fromkeys([*sits.own, *(caption for caption, _ in sits.ratings)]))

    def _photo_numbers(self, split: str) -> list[int]:
        if self._has("t2i", split) or not self._has("i2i", split):
            return list(self._sits(split).photos)
        return sorted({photo for pair in self._pairs("sis", split) for photo in pair})

    def candidates(self, corpus: str, split: str) -> Iterator[Candidate]:
        """Yield the photos or the captions."""
        if corpus == "text":
            yield from caption_candidates(self._texts(split), self._caption_numbers(split))
            return
        for number in self._photo_numbers(split):
            name = self._photos.name(number)
            yield Candidate(name, image=image_file(self.images, name, str(self.location)))

    def queries(self, task: str, split: str) -> Iterator[Query]:
        """Yield the photos or captions that are rated; what is about one photo is one cluster."""
        if task.startswith("t"):
            own = self._sits(split).own
            for number in self._asking(task, split):
                photo = own.get(number)
                cluster = "" if photo is None else self._photos.name(photo)
                yield Query(str(number), task, "", text=self._texts(split)[number], cluster=cluster)
            return
        for number in self._asking(task, split):
            name = self._photos.name(number)
            yield Query(name, task, "", image=image_file(self.images, name, str(self.location)), cluster=name)

    def _asking(self, task: str, split: str) -> list[int]:
        if not self._has(task, split):
            return []
        if task == "i2i":
            return list(dict.fromkeys(one for one, _ in self._pairs("sis", split)))
        return self._photo_numbers(split) if task == "i2t" else self._caption_numbers(split)

    def judgements(self, task: str, split: str) -> Iterator[Judgement]:
        """Yield every rated pair, and for captions the others of their photo."""
        for (one, other), rating in self._rated(task, split).items():
            relevance = max(0, math.floor(rating) - 2) if rating >= POSITIVE else 0
            asking, answering = (other, one) if task == "i2t" else (one, other)
            yield Judgement(self._id(task[0], asking), self._id(task[-1], answering), relevance, origin="human")

    def _rated(self, task: str, split: str) -> Ratings:
        if not self._has(task, split):
            return {}
        if task in ("t2i", "i2t"):
            return self._sits(split).ratings
        rated = dict(self._pairs(_KINDS[task], split))
        if task == "t2t":
            by_photo: dict[int, list[int]] = {}
            for caption, photo in self._sits(split).own.items():
                by_photo.setdefault(photo, []).append(caption)
            for captions in by_photo.values():
                for one in captions:
                    for other in captions:
                        if one != other:
                            rated.setdefault((one, other), POSITIVE)
        return rated

    def exclusions(self, task: str, split: str) -> Iterator[CandidateList]:
        """Yield that nothing finds itself among its like."""
        if task in ("i2i", "t2t"):
            for number in self._asking(task, split):
                name = self._id(task[0], number)
                yield CandidateList(name, (name,))

    def _id(self, side: str, number: int) -> str:
        return self._photos.name(number) if side == "i" else str(number)


def _rows(
    path: Path, forms: tuple[re.Pattern[str], re.Pattern[str]]
) -> Iterator[tuple[str, tuple[int, int], float, str]]:
    """Yield where, the numbers of the pair, its rating and how it was sampled.

    The first two columns name the pair, whatever they are called.
    """
    for where, row in read_table(path):
        cells = list(row.values())
        if len(cells) < 3 or "agg_score" not in row:
            raise BenchmarkError("a column is missing", where=where, got=list(row), accepted="two ids and agg_score")
        numbers = []
        for cell, form in zip(cells[:2], forms, strict=True):
            match = form.fullmatch(cell)
            if match is None:
                raise BenchmarkError("malformed id of COCO", where=where, got=cell, accepted=form.pattern)
            numbers.append(int(match[1]))
        try:
            rating = float(row["agg_score"])
        except ValueError:
            rating = math.nan
        if not 0 <= rating <= 5:
            raise BenchmarkError("malformed rating", where=where, got=row["agg_score"], accepted="0 to 5")
        yield where, (numbers[0], numbers[1]), rating, row.get("sampling_method", "")


def _task(name: str) -> Task:
    sides: dict[str, Modality] = {"t": "text", "i": "image"}
    asks, answers = sides[name[0]], sides[name[-1]]
    own = {
        "i2i": " The query's own photo is not searched. A pair that was rated in both orders counts with the mean.",
        "t2t": " The query itself is not searched. The other captions of its photo are relevant unless rated below 3.",
    }
    said = "Pairs of rating 3 or more are relevant, k is 1, 5 and 10; the paper calls these R@k."
    return Task(
        name, f"{asks} → {answers}", asks, answers, (answers,), "partial", "corpus", RECALL, "hit_rate@1",
        said + own.get(name, ""),
    )  # fmt: skip
