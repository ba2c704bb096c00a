"""GeneCIS: similarity under a condition, a gallery for each query (Vaze et al., CVPR 2023, arXiv 2306.07969)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from mrbench.benchmark import Contents
from mrbench.errors import BenchmarkError
from mrbench.records import Candidate, CandidateList, Judgement, Query, Task
from mrbench.sources.composed import Composed, Triplet, find_file, read_items, require_file, text_of
from mrbench.sources.image_names import image_file
from mrbench.spec_options import check_options

TASKS = ("focus_attribute", "change_attribute", "focus_object", "change_object")
CROPS = "crops"
"""Folder of the crops that :mod:`mrbench.sources.genecis_crops` makes."""
_FOLDERS = ("genecis",)


def read(location: str, image_root: Path | None, options: Mapping[str, str]) -> Contents:
    """Open GeneCIS.

    Args:
        location: The folder that holds the four files, or ``genecis`` with them; those that are there are read.
        image_root: Where ``val2017`` (photos of COCO) and ``crops`` lie; the same folder by default.
        options: There are none.

    Raises:
        InputError: An option.
        BenchmarkError: No file is there, or one is malformed.
    """
    check_options(options, {})
    return Genecis(Path(location), image_root, options)


class Genecis(Composed):
    """The tasks whose file is there, each with a gallery for every query."""

    name = "genecis"
    title = "GeneCIS: similarity under a condition"
    licence = "CC-BY-NC-4.0"
    splits = ("test",)

    def __init__(self, root: Path, image_root: Path | None, options: Mapping[str, str]) -> None:
        super().__init__(root, image_root, (), options)
        found = {task: find_file(root, _FOLDERS, f"{task}.json") for task in TASKS}
        self._held = {task: path for task, path in found.items() if path}
        if not self._held:
            require_file(root, _FOLDERS, "focus_object.json")
        self.files = list(self._held.values())
        self.corpora = {name: "image" for name in ("photos", "crops") if any(_corpus(t) == name for t in self._held)}
        self.tasks = tuple(_task(name) for name in self._held)
        self._triplets = cache(self._read)

    def _read(self, task: str) -> list[Triplet]:
        items = read_items(self._held[task])
        return [_triplet(f"{task}-{number}", row, where, _corpus(task)) for number, (where, row) in enumerate(items)]

    def candidates(self, corpus: str, split: str) -> Iterator[Candidate]:
        """Yield the photos, or the crops, of all galleries, each once."""
        seen: set[str] = set()
        for task in self._held:
            for triplet in self._triplets(task) if _corpus(task) == corpus else ():
                for name in triplet.members:
                    if name not in seen:
                        seen.add(name)
                        yield Candidate(name, image=image_file(self.images, _file(corpus, name), triplet.where))

    def queries(self, task: str, split: str) -> Iterator[Query]:
        """Yield the queries; those on one photo are a cluster."""
        corpus = _corpus(task)
        for triplet in self._triplets(task):
            image = image_file(self.images, _file(corpus, triplet.reference), triplet.where)
            yield Query(triplet.id, task, "", text=triplet.text, image=image, cluster=triplet.reference)

    def judgements(self, task: str, split: str) -> Iterator[Judgement]:
        """Yield the target with relevance 1 and the rest of the gallery with 0."""
        for triplet in self._triplets(task):
            for name in triplet.members:
                yield Judgement(triplet.id, name, int(name in triplet.targets))

    def lists(self, task: str, split: str) -> Iterator[CandidateList]:
        """Yield the gallery of each query, with its target, sorted by id so that position tells nothing."""
        for triplet in self._triplets(task):
            yield CandidateList(triplet.id, triplet.members)


def _corpus(task: str) -> str:
    return "crops" if task.endswith("attribute") else "photos"


def _file(corpus: str, name: str) -> str:
    return f"val2017/{name}.jpg" if corpus == "photos" else f"{CROPS}/{name}.png"


def _triplet(name: str, row: Mapping[str, Any], where: str, corpus: str) -> Triplet:
    gallery = row.get("gallery")
    if not isinstance(gallery, list) or not gallery:
        raise BenchmarkError("a query has no gallery", where=f"{where}, gallery", got=gallery, accepted="a list")
    of = photo_id if corpus == "photos" else crop_id
    target, reference = of(row.get("target"), f"{where}, target"), of(row.get("reference"), f"{where}, reference")
    members = {target, *(of(item, f"{where}, gallery") for item in gallery)}  # one gallery repeats its target
    text = text_of(row, "condition", where)
    return Triplet(name, reference, text, (target,), where, members=tuple(sorted(members)))


def photo_id(item: object, where: str) -> str:
    """Return the id of a photo of COCO's validation set of 2017: twelve digits, as its file is named.

    Raises:
        BenchmarkError: It has none.

    >>> photo_id({"val_image_id": 189213}, "")
    '000000189213'
    """
    number = item.get("val_image_id") if isinstance(item, dict) else None
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        raise BenchmarkError("a photo has no id", where=where, got=item, accepted='{"val_image_id": number}')
    return f"{number:012d}"


def crop_id(item: object, where: str) -> str:
    """Return the id of a crop of Visual Genome: the number of the photo, then left, top, width and height.

    Raises:
        BenchmarkError: It has no number, or no box.

    >>> crop_id({"image_id": 7, "instance_bbox": [1, 2.5, 30, 40]}, "")
    '7_1_2.5_30_40'
    """
    number, box = (item.get(key) for key in ("image_id", "instance_bbox")) if isinstance(item, dict) else (None, None)
    sides = box if isinstance(box, list) and len(box) == 4 else [None]
    if not all(isinstance(side, int | float) and not isinstance(side, bool) for side in sides) or not isinstance(
        number, int | str
    ):
        accepted = '{"image_id": number, "instance_bbox": [left, top, width, height]}'
        raise BenchmarkError("a crop has no number or no box", where=where, got=item, accepted=accepted)
    return "_".join([str(number), *(f"{side:g}" for side in sides)])


def _task(name: str) -> Task:
    return Task(
        name,
        f"GeneCIS {name.replace('_', ' ')}: (image, text) → image",
        "image,text",
        "image",
        corpora=(_corpus(name),),
        judgements="partial",
        pool="lists",
        measures=("hit_rate@1", "hit_rate@2", "hit_rate@3"),
        main="hit_rate@1",
        protocol="Over each query's gallery with its target; GeneCIS prints hit_rate@k as Recall@k.",
    )
