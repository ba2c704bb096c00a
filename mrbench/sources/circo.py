"""CIRCO: composed retrieval with several answers, over COCO's unlabeled photos (Baldrati et al., arXiv 2303.15247)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from mrbench.benchmark import Contents
from mrbench.errors import BenchmarkError
from mrbench.records import Candidate, CandidateList, Judgement, Modality, Query, Task
from mrbench.sources.composed import (
    Composed,
    References,
    Triplet,
    check_unique,
    find_file,
    id_of,
    ids_of,
    read_items,
    require_file,
    text_of,
)
from mrbench.sources.files import need_file, read_json
from mrbench.sources.image_names import image_file
from mrbench.spec_options import check_options, choice

OPTIONS = {
    "candidates": "a file with the candidates: COCO's image_info_unlabeled2017.json, or a JSON list of ids",
    "reference": "excluded: a query's own photo is no candidate of it, or kept, as CIRCO's own code has it",
}
_INFO = "image_info_unlabeled2017.json"
_FOLDERS = ("COCO2017_unlabeled/annotations", "annotations")


def read(location: str, image_root: Path | None, options: Mapping[str, str]) -> Contents:
    """Open CIRCO.

    Args:
        location: The folder that holds ``annotations``, or its files.
        image_root: Where the photos lie; ``COCO2017_unlabeled/unlabeled2017`` by default.
        options: See :data:`OPTIONS`.

    Raises:
        InputError: An unknown option or value.
        BenchmarkError: A file is missing or malformed.
    """
    check_options(options, OPTIONS)
    return Circo(Path(location), image_root, options)


class Circo(Composed):
    """The validation queries; the answers of the test are not published."""

    name = "circo"
    title = "CIRCO: composed retrieval of photos with several answers"
    licence = "CC-BY-NC-4.0"
    corpora: Mapping[str, Modality] = {"photos": "image"}
    splits = ("validation",)

    def __init__(self, root: Path, image_root: Path | None, options: Mapping[str, str]) -> None:
        super().__init__(root, image_root, ("COCO2017_unlabeled/unlabeled2017", "unlabeled2017"), options)
        self._excluded = choice(options, "reference", ("excluded", "kept")) == "excluded"
        self._queries = require_file(root, ("annotations",), "val.json")
        given = options.get("candidates")
        self._list = need_file(Path(given)) if given else find_file(root, _FOLDERS, _INFO)
        self._test = find_file(root, ("annotations",), "test.json")
        used = [self._list] if self._list else [self._test] if self._test else []
        self.files = [self._queries, *used]
        pool = "over COCO's unlabeled photos" if self._list else "over the photos that the annotations name alone"
        own = "without the query's own" if self._excluded else "with the query's own"
        self.tasks = (
            Task(
                "circo",
                "CIRCO: (image, text) → image",
                "image,text",
                "image",
                corpora=("photos",),
                judgements="partial",
                measures=("capped_map@5", "capped_map@10", "capped_map@25", "capped_map@50"),
                main="capped_map@5",
                protocol=f"{pool.capitalize()}, {own}; CIRCO prints capped_map@k as mAP@k.",
            ),
        )

    @cached_property
    def _photos(self) -> dict[str, str]:
        """The file name of every candidate by its id."""
        if self._list is None:
            return {name: _file_name(name, where) for name, where in self._named()}
        value = read_json(self._list)
        if isinstance(value, list):
            return {str(name): _file_name(str(name), str(self._list)) for name in value}
        images = value.get("images") if isinstance(value, dict) else None
        if not isinstance(images, list) or not all(isinstance(image, dict) for image in images):
            accepted = 'COCO\'s {"images": [{"id": 1, "file_name": "..."}]}, or a list of ids'
            raise BenchmarkError("not a list of candidates", where=self._list, got=value, accepted=accepted)
        photos = {}
        for number, image in enumerate(images):
            where = f"{self._list}, images, item {number}"
            name = id_of(image, "id", where)
            if name in photos:
                raise BenchmarkError("two candidates have one id", where=where, got=name, accepted="each once")
            photos[name] = text_of(image, "file_name", where)
        return photos

    def _named(self) -> Iterator[tuple[str, str]]:
        for path in (self._queries, *([self._test] if self._test else [])):
            for where, row in read_items(path):
                yield id_of(row, "reference_img_id", where), where
                if "gt_img_ids" in row:
                    yield from ((name, where) for name in ids_of(row, "gt_img_ids", where))

    @cached_property
    def _triplets(self) -> list[Triplet]:
        references = References(self._photos, self._list or "the annotations")
        triplets = [_triplet(where, row) for where, row in read_items(self._queries)]
        for triplet in triplets:
            references.check((triplet.reference, *triplet.targets), triplet.where)
        references.raise_lost()
        check_unique(triplets)
        return triplets

    def candidates(self, corpus: str, split: str) -> Iterator[Candidate]:
        """Yield the photos."""
        for name, place in self._photos.items():
            yield Candidate(name, image=image_file(self.images, place, f"{self._list or self._queries}, {name}"))

    def queries(self, task: str, split: str) -> Iterator[Query]:
        """Yield the queries; those on one photo are a cluster."""
        for triplet in self._triplets:
            image = image_file(self.images, self._photos[triplet.reference], triplet.where)
            yield Query(triplet.id, task, "", text=triplet.text, image=image, cluster=triplet.reference)

    def judgements(self, task: str, split: str) -> Iterator[Judgement]:
        """Yield all answers, the first that was found too, with relevance 1."""
        for triplet in self._triplets:
            yield from (Judgement(triplet.id, name, 1) for name in triplet.targets)

    def exclusions(self, task: str, split: str) -> Iterator[CandidateList]:
        """Yield each query's own photo, unless it is kept."""
        if self._excluded:
            yield from (CandidateList(triplet.id, (triplet.reference,)) for triplet in self._triplets)


def _triplet(where: str, row: dict[str, Any]) -> Triplet:
    targets = ids_of(row, "gt_img_ids", where)
    if not targets:
        raise BenchmarkError("a query has no answer", where=f"{where}, gt_img_ids", accepted="one id or more")
    return Triplet(
        id_of(row, "id", where),
        id_of(row, "reference_img_id", where),
        text_of(row, "relative_caption", where),
        targets,
        where,
    )


def _file_name(name: str, where: str) -> str:
    """Return the file of a photo of COCO.

    Raises:
        BenchmarkError: The id is no number.
    """
    if not name.isdecimal():
        raise BenchmarkError("an id of COCO is no number", where=where, got=name, accepted="digits alone")
    return f"{int(name):012d}.jpg"
