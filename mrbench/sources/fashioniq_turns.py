"""Multi-turn FashionIQ: conversations of two to four turns that lead to a garment (Yuan & Lam, SIGIR 2021).

Layout and protocol as in the authors' repository, https://github.com/yfyuan01/MultiturnFashionRetrieval (arXiv
2106.04128).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mrbench.benchmark import Contents
from mrbench.errors import BenchmarkError
from mrbench.records import Candidate, Judgement, Query, Split, Task
from mrbench.sources.composed import Composed, References, find_file, read_items, read_names, require_file
from mrbench.sources.garments import GARMENTS, NAMES, joined, key, photo_suffix
from mrbench.sources.image_names import image_file
from mrbench.spec_options import check_options

_FOLDERS = ("data", "Multiturn")


def read(location: str, image_root: Path | None, options: Mapping[str, str]) -> Contents:
    """Open multi-turn FashionIQ.

    Args:
        location: The folder that holds ``data`` and ``image_splits``, or their files.
        image_root: Where the photos lie; ``images`` by default.
        options: There are none.

    Raises:
        InputError: An option.
        BenchmarkError: A file is missing or malformed.
    """
    check_options(options, {})
    return FashionIQTurns(Path(location), image_root, options)


@dataclass(frozen=True, slots=True)
class Conversation:
    """Photos and what was said of each, first turn first, and the garment that is meant."""

    id: str
    photos: tuple[str, ...]
    texts: tuple[str, ...]
    target: str
    where: str


class FashionIQTurns(Composed):
    """A task of each garment. A query holds the photos and the texts of all turns."""

    name = "fashioniq-turns"
    title = "Multi-turn FashionIQ: conversations about garments"
    licence = "not stated (annotations); photos of Amazon are not licensed"

    def __init__(self, root: Path, image_root: Path | None, options: Mapping[str, str]) -> None:
        super().__init__(root, image_root, ("images",), options)
        self._held = {
            (garment, split): path
            for garment in GARMENTS
            for split, name in NAMES.items()
            if (path := find_file(root, _FOLDERS, f"{garment}.{name}.json"))
        }
        if not self._held:
            require_file(root, _FOLDERS, "dress.val.json")
        self.splits = tuple(split for split in NAMES if any(split == held for _, held in self._held))
        self.files = [*self._held.values(), *(self._list(garment, split) for garment, split in self._held)]
        garments = [garment for garment in GARMENTS if any(garment == held for held, _ in self._held)]
        self.corpora = dict.fromkeys(garments, "image")
        self.tasks = tuple(_task(garment) for garment in garments)

    def _list(self, garment: str, split: Split) -> Path:
        return require_file(self.location, ("image_splits",), f"split.{garment}.{NAMES[split]}.json")

    @cached_property
    def _suffix(self) -> str:
        garment, split = next(iter(self._held))
        return photo_suffix(self.images, read_names(self._list(garment, split)))

    def _conversations(self, garment: str, split: str) -> list[Conversation]:
        at = next(known for known in NAMES if known == split)
        path = self._held.get((garment, at))
        if path is None:
            return []
        references = References(read_names(self._list(garment, at)), self._list(garment, at))
        found = [
            _conversation(f"{garment}-{number}", row, where) for number, (where, row) in enumerate(read_items(path))
        ]
        for conversation in found:
            references.check((*conversation.photos, conversation.target), conversation.where)
        references.raise_lost()
        return found

    def candidates(self, corpus: str, split: str) -> Iterator[Candidate]:
        """Yield the photos of a garment."""
        at = next(known for known in NAMES if known == split)
        if (corpus, at) in self._held:
            path = self._list(corpus, at)
            for name in read_names(path):
                image = image_file(self.images, f"{name}{self._suffix}", f"{path}, {name}")
                yield Candidate(key(corpus, name), image=image)

    def queries(self, task: str, split: str) -> Iterator[Query]:
        """Yield the conversations: the photo of the first turn, those of the others, and the texts of all turns.

        Conversations about one garment are a cluster.
        """
        for conversation in self._conversations(task, split):
            first, *others = (
                image_file(self.images, f"{name}{self._suffix}", conversation.where) for name in conversation.photos
            )
            yield Query(
                conversation.id,
                task,
                "",
                text=". ".join(conversation.texts),
                image=first,
                more_images=tuple(others),
                cluster=key(task, conversation.target),
            )

    def judgements(self, task: str, split: str) -> Iterator[Judgement]:
        """Yield the target of each conversation."""
        for conversation in self._conversations(task, split):
            yield Judgement(conversation.id, key(task, conversation.target), 1)


def _conversation(name: str, row: Mapping[str, Any], where: str) -> Conversation:
    """Return a conversation: ``target`` is an address and an id, a turn an address, sentences and an id."""
    turns, target = row.get("reference"), row.get("target")
    if not isinstance(turns, list) or not turns or not all(isinstance(turn, list) and len(turn) == 3 for turn in turns):
        raise BenchmarkError(
            "a conversation has no turns",
            where=f"{where}, reference",
            got=turns,
            accepted="[[address, [text], id], ...]",
        )
    if not isinstance(target, list) or len(target) != 2:
        raise BenchmarkError(
            "a conversation has no target", where=f"{where}, target", got=target, accepted="[address, id]"
        )
    ids = [target[1], *(turn[2] for turn in turns)]
    if not all(isinstance(photo, str) and photo for photo in ids):
        raise BenchmarkError("an id is missing or malformed", where=where, got=ids, accepted="text")
    texts = tuple(joined(turn[1], f"{where}, turn {number}") for number, turn in enumerate(turns))
    return Conversation(name, tuple(ids[1:]), texts, ids[0], where)


def _task(garment: str) -> Task:
    return Task(
        garment,
        f"Multi-turn FashionIQ {garment}: (images, texts) → image",
        "image,text",
        "image",
        corpora=(garment,),
        judgements="partial",
        measures=("hit_rate@5", "hit_rate@10", "hit_rate@50"),
        main="hit_rate@5",
        protocol="Over all photos of the garment's list, those of the turns too; the authors print hit_rate@k as R@k.",
    )
