"""CIRR: composed image retrieval on real-life images (Liu et al., ICCV 2021, arXiv 2108.04024)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from mrbench.benchmark import Contents
from mrbench.errors import BenchmarkError
from mrbench.records import SPLITS, Candidate, CandidateList, Judgement, Modality, Query, Split, Task
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
from mrbench.sources.files import read_json
from mrbench.sources.image_names import image_file
from mrbench.spec_options import check_options, choice

OPTIONS = {
    "version": "that the names of the files have; rc2 by default",
    "targets": "hard, the one target, or soft, also those that annotators accepted",
    "auxiliary": "append: the auxiliary sentences after the text",
}
_NAMES: dict[Split, str] = {"train": "train", "validation": "val", "test": "test1"}


def read(location: str, image_root: Path | None, options: Mapping[str, str]) -> Contents:
    """Open CIRR.

    Args:
        location: The folder that holds ``captions`` and ``image_splits``, or their files.
        image_root: Where ``dev``, ``train`` and ``test1`` lie; ``img_raw`` by default.
        options: See :data:`OPTIONS`.

    Raises:
        InputError: An unknown option or value.
        BenchmarkError: A file is missing or malformed.
    """
    check_options(options, OPTIONS)
    return Cirr(Path(location), image_root, options)


class Cirr(Composed):
    """Two tasks over the same queries: over a whole split, and over the set of six similar photos."""

    name = "cirr"
    title = "CIRR: composed retrieval of real-life photos"
    licence = "MIT (annotations); photos of NLVR2 are not licensed"
    corpora: Mapping[str, Modality] = {"photos": "image"}
    tasks = (
        Task(
            "cirr",
            "CIRR: (image, text) → image",
            "image,text",
            "image",
            corpora=("photos",),
            judgements="partial",
            measures=("hit_rate@1", "hit_rate@5", "hit_rate@10", "hit_rate@50"),
            main="hit_rate@5",
            protocol="Over all photos of the split without the query's own; CIRR prints hit_rate@k as Recall@k.",
        ),
        Task(
            "cirr_subset",
            "CIRR, sets of six: (image, text) → image",
            "image,text",
            "image",
            corpora=("photos",),
            judgements="partial",
            pool="lists",
            measures=("hit_rate@1", "hit_rate@2", "hit_rate@3"),
            main="hit_rate@1",
            protocol="Over the five other photos of the query's set; CIRR prints hit_rate@k as Recall_subset@k.",
        ),
    )

    def __init__(self, root: Path, image_root: Path | None, options: Mapping[str, str]) -> None:
        super().__init__(root, image_root, ("img_raw",), options)
        self._version = options.get("version", "rc2")
        self._soft = choice(options, "targets", ("hard", "soft")) == "soft"
        self._append = choice(options, "auxiliary", ("none", "append")) == "append"
        self._items = {split: items for split in SPLITS if (items := self._read(split))}
        if not self._items:
            require_file(root, ("captions",), f"cap.{self._version}.val.json")
        self.splits = tuple(self._items)
        self.files = [self._file(kind, split) for split in self.splits for kind in self._kinds]

    @property
    def _kinds(self) -> tuple[str, ...]:
        return ("cap", "split", *(["cap.ext"] if self._append else []))

    def _file(self, kind: str, split: Split) -> Path:
        folder = {"cap": "captions", "cap.ext": "captions_ext", "split": "image_splits"}[kind]
        return require_file(self.location, (folder,), f"{kind}.{self._version}.{_NAMES[split]}.json")

    def _read(self, split: Split) -> list[tuple[str, dict[str, Any]]]:
        """Return the items of a split; none where its file is not there, or, in the test, has no targets."""
        name = f"cap.{self._version}.{_NAMES[split]}.json"
        path = find_file(self.location, ("captions",), name)
        items = read_items(path) if path else []
        return [] if split == "test" and items and "target_hard" not in items[0][1] else items

    @cached_property
    def _auxiliary(self) -> dict[str, str]:
        """The auxiliary sentences of every query, without the remarks that there is none."""
        found = {}
        for split in self.splits if self._append else ():
            for where, row in read_items(self._file("cap.ext", split)):
                said = row.get("caption_extend")
                if not isinstance(said, dict):
                    raise BenchmarkError(
                        "a value is of another type",
                        where=f"{where}, caption_extend",
                        got=said,
                        accepted="an object of texts",
                    )
                texts = [text.strip() for _, text in sorted(said.items()) if isinstance(text, str)]
                found[id_of(row, "pairid", where)] = ". ".join(t for t in texts if t and not t.startswith("["))
        return found

    def _photos(self, split: Split) -> dict[str, str]:
        path = self._file("split", split)
        photos = read_json(path)
        if not isinstance(photos, dict) or not all(isinstance(name, str) for name in photos.values()):
            raise BenchmarkError("not a list of photos", where=path, got=photos, accepted='{"id": "path", ...}')
        return photos

    def _triplets(self, split: str) -> list[Triplet]:
        at = next(known for known in SPLITS if known == split)
        references = References(self._photos(at), self._file("split", at))
        triplets = [self._triplet(where, row) for where, row in self._items[at]]
        for triplet in triplets:
            references.check((triplet.reference, *triplet.targets, *triplet.others, *triplet.members), triplet.where)
        references.raise_lost()
        check_unique(triplets)
        return triplets

    def _triplet(self, where: str, row: dict[str, Any]) -> Triplet:
        pair, reference = id_of(row, "pairid", where), id_of(row, "reference", where)
        target = id_of(row, "target_hard", where)
        members = row.get("img_set")
        if not isinstance(members, dict):
            raise BenchmarkError(
                "a value is of another type", where=f"{where}, img_set", got=members, accepted="object"
            )
        said = row.get("target_soft", {}) if self._soft else {}
        if not isinstance(said, dict) or not all(isinstance(grade, int | float) for grade in said.values()):
            raise BenchmarkError(
                "a value is of another type", where=f"{where}, target_soft", got=said, accepted="an object of numbers"
            )
        good = [name for name, grade in said.items() if grade == 1.0 and name != reference]
        targets = tuple(dict.fromkeys([target, *good]))
        text = text_of(row, "caption", where)
        more = self._auxiliary.get(pair, "")
        return Triplet(
            id=pair,
            reference=reference,
            text=f"{text}. {more}" if more else text,
            targets=targets,
            where=where,
            others=tuple(name for name in said if name not in targets and name != reference),
            members=tuple(name for name in ids_of(members, "members", where) if name != reference),
            cluster=f"set {id_of(members, 'id', where)}",
        )

    def candidates(self, corpus: str, split: str) -> Iterator[Candidate]:
        """Yield the photos of a split."""
        at = next(known for known in SPLITS if known == split)
        path = self._file("split", at)
        for name, place in self._photos(at).items():
            yield Candidate(name, image=image_file(self.images, place, f"{path}, {name}"))

    def queries(self, task: str, split: str) -> Iterator[Query]:
        """Yield the queries; those on one set of photos are a cluster."""
        photos = self._photos(next(known for known in SPLITS if known == split))
        for triplet in self._triplets(split):
            image = image_file(self.images, photos[triplet.reference], triplet.where)
            yield Query(triplet.id, task, "", text=triplet.text, image=image, cluster=triplet.cluster)

    def judgements(self, task: str, split: str) -> Iterator[Judgement]:
        """Yield the targets with relevance 1; with soft targets also those that were not accepted, with 0."""
        for triplet in self._triplets(split):
            for name in triplet.targets:
                yield Judgement(triplet.id, name, 1)
            for name in triplet.others:
                yield Judgement(triplet.id, name, 0)

    def lists(self, task: str, split: str) -> Iterator[CandidateList]:
        """Yield the other photos of each query's set."""
        if task == "cirr_subset":
            yield from (CandidateList(triplet.id, triplet.members) for triplet in self._triplets(split))

    def exclusions(self, task: str, split: str) -> Iterator[CandidateList]:
        """Yield each query's own photo."""
        if task == "cirr":
            yield from (CandidateList(triplet.id, (triplet.reference,)) for triplet in self._triplets(split))
