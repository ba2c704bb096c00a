"""FashionIQ: garments and how another differs (Wu et al., CVPR 2021, arXiv 1905.12794)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path

from mrbench.benchmark import Contents
from mrbench.records import Candidate, Judgement, Query, Split, Task
from mrbench.sources.composed import (
    Composed,
    References,
    Triplet,
    find_file,
    id_of,
    read_items,
    read_names,
    require_file,
)
from mrbench.sources.garments import GARMENTS, NAMES, joined, key, photo_suffix
from mrbench.sources.image_names import image_file
from mrbench.spec_options import check_options

_MEASURES = ("hit_rate@10", "hit_rate@50")
_SAYS = "FashionIQ prints hit_rate@k as R@k and ranks by the mean of both over the three garments"


def read(location: str, image_root: Path | None, options: Mapping[str, str]) -> Contents:
    """Open FashionIQ.

    Args:
        location: The folder that holds ``captions`` and ``image_splits``, or their files.
        image_root: Where the photos lie; ``images`` by default.
        options: There are none.

    Raises:
        InputError: An option.
        BenchmarkError: A file is missing or malformed.
    """
    check_options(options, {})
    return FashionIQ(Path(location), image_root, options)


class FashionIQ(Composed):
    """Two tasks of each garment over the same queries: over the whole list of photos, and over those that are used.

    The photos that are a query or an answer are a corpus, ``dress_used``, and all others of the list another,
    ``dress_others``.
    """

    name = "fashioniq"
    title = "FashionIQ: composed retrieval of garments"
    licence = "CDLA (annotations); photos of Amazon are not licensed"

    def __init__(self, root: Path, image_root: Path | None, options: Mapping[str, str]) -> None:
        super().__init__(root, image_root, ("images",), options)
        self._held = {
            (garment, split): path
            for garment in GARMENTS
            for split, name in NAMES.items()
            if (path := find_file(root, ("captions",), f"cap.{garment}.{name}.json"))
        }
        if not self._held:
            require_file(root, ("captions",), "cap.dress.val.json")
        self.splits = tuple(split for split in NAMES if any(split == held for _, held in self._held))
        lists = [self._list(garment, split) for garment, split in self._held]
        self.files = [*self._held.values(), *lists]
        garments = [garment for garment in GARMENTS if any(garment == held for held, _ in self._held)]
        self.corpora = {f"{garment}_{part}": "image" for garment in garments for part in ("used", "others")}
        self.tasks = tuple(task for garment in garments for task in _tasks(garment))

    def _list(self, garment: str, split: Split) -> Path:
        return require_file(self.location, ("image_splits",), f"split.{garment}.{NAMES[split]}.json")

    @cached_property
    def _suffix(self) -> str:
        garment, split = next(iter(self._held))
        return photo_suffix(self.images, read_names(self._list(garment, split)))

    def _triplets(self, garment: str, split: str) -> list[Triplet]:
        at = next(known for known in NAMES if known == split)
        path = self._held.get((garment, at))
        if path is None:
            return []
        references = References(read_names(self._list(garment, at)), self._list(garment, at))
        triplets = []
        for number, (where, row) in enumerate(read_items(path)):
            reference, target = id_of(row, "candidate", where), id_of(row, "target", where)
            references.check((reference, target), where)
            text = joined(row.get("captions"), f"{where}, captions")
            triplets.append(Triplet(f"{garment}-{number}", reference, text, (target,), where))
        references.raise_lost()
        return triplets

    def candidates(self, corpus: str, split: str) -> Iterator[Candidate]:
        """Yield the photos of a garment that are used, or all others of its list, in the order of the list."""
        garment, _, part = corpus.rpartition("_")
        triplets = self._triplets(garment, split)
        if not triplets:
            return
        path = self._list(garment, next(known for known in NAMES if known == split))
        used = {name for triplet in triplets for name in (triplet.reference, *triplet.targets)}
        for name in read_names(path):
            if (name in used) == (part == "used"):
                image = image_file(self.images, f"{name}{self._suffix}", f"{path}, {name}")
                yield Candidate(key(garment, name), image=image)

    def queries(self, task: str, split: str) -> Iterator[Query]:
        """Yield the queries; those on one photo are a cluster."""
        garment = task.partition("_")[0]
        for triplet in self._triplets(garment, split):
            image = image_file(self.images, f"{triplet.reference}{self._suffix}", triplet.where)
            cluster = key(garment, triplet.reference)
            yield Query(triplet.id, task, "", text=triplet.text, image=image, cluster=cluster)

    def judgements(self, task: str, split: str) -> Iterator[Judgement]:
        """Yield the target of each query."""
        garment = task.partition("_")[0]
        for triplet in self._triplets(garment, split):
            yield Judgement(triplet.id, key(garment, triplet.targets[0]), 1)


def _tasks(garment: str) -> tuple[Task, Task]:
    used, others = f"{garment}_used", f"{garment}_others"
    whole = Task(
        f"{garment}_original",
        f"FashionIQ {garment}, whole list: (image, text) → image",
        "image,text",
        "image",
        corpora=(used, others),
        judgements="partial",
        measures=_MEASURES,
        main="hit_rate@10",
        protocol=f"The original protocol, over all photos of the garment's list, the query's own too; {_SAYS}.",
    )
    small = Task(
        f"{garment}_val_pool",
        f"FashionIQ {garment}, photos in use: (image, text) → image",
        "image,text",
        "image",
        corpora=(used,),
        judgements="partial",
        measures=_MEASURES,
        main="hit_rate@10",
        protocol=f"The protocol of VAL, over the photos that are a query or an answer, the query's own too; {_SAYS}.",
    )
    return whole, small
