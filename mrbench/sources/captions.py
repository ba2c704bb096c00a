"""Photos with captions: text → photo and photo → text, as COCO and Flickr are scored."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from mrbench.benchmark import Contents
from mrbench.errors import InputError
from mrbench.records import Candidate, Grain, ImageFile, Judgement, Modality, Query, Task
from mrbench.sources.captions_layouts import Photo, Photos, find_file, read_photos
from mrbench.sources.files import content_digest, images_below, plain_name
from mrbench.sources.image_names import image_file
from mrbench.sources.rows import found_below, set_name
from mrbench.sources.splits import assign_splits, in_order
from mrbench.spec_options import check_options, choice, whole_number
from mrbench.words import counted

OPTIONS = {
    "split": "the one split to read, as the data set names it, or all",
    "as": "the split that photos of one split become: test (default), train or validation",
    "limit": "the first N photos of each split",
    "folds": "N: tasks of their own over N equal parts of the photos in file order (COCO 1K: folds=5)",
    "equal": "relevant (default): an equal caption of another photo is relevant too; ignore: it is not",
    "grains": "columns that say what a photo shows, separated by commas: colour,material",
    "empty": "skip: leave out empty captions instead of refusing them",
}
MEASURES = ("hit_rate@1", "hit_rate@5", "hit_rate@10", "mrr")
_INSTRUCTIONS = {
    "t2i": "Find the photo that this caption describes.",
    "i2t": "Find a caption that describes this photo.",
}
_SAID = {
    "t2i": "Each caption is a query and its photo is relevant",
    "i2t": "Each photo is a query and all of its captions are relevant",
}


def read(location: str, image_root: Path | None, options: Mapping[str, str]) -> Contents:
    """Open photos with captions.

    Args:
        location: The file of captions, or its folder.
        image_root: Folder below which the photos lie; None takes the file's folder, or the one in it that has the
            first photo.
        options: See :data:`OPTIONS`.

    Raises:
        InputError: An unknown or malformed option.
        BenchmarkError: The file is missing, malformed or of another layout.
    """
    check_options(options, OPTIONS)
    path = find_file(Path(location))
    columns = [name.strip() for name in options.get("grains", "").split(",") if name.strip()]
    skip_empty = choice(options, "empty", ("refuse", "skip")) == "skip"
    folder = path.absolute().parent
    held = read_photos(
        path,
        lambda first: images_below(found_below(folder, first), image_root),
        skip_empty=skip_empty,
        grain_columns=columns,
    )
    return Captions(path, held, options)


@dataclass(frozen=True)
class _Part:
    """Some photos that are searched among each other, with the captions by text."""

    photos: tuple[Photo, ...]

    @cached_property
    def by_text(self) -> dict[str, list[tuple[str, str]]]:
        """Photo and caption id of every caption by its text."""
        found: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for photo in self.photos:
            for caption_id, text in photo.captions:
                found[text].append((photo.name, caption_id))
        return found


class Captions(Contents):
    """Photos with captions.

    Args:
        path: The file they were read from.
        held: What it holds.
        options: See :data:`OPTIONS`.
    """

    licence = "unknown"

    def __init__(self, path: Path, held: Photos, options: Mapping[str, str]) -> None:
        self.location, self.images, self._options = path, held.images, dict(options)
        self.title = set_name(path)
        self.name = plain_name(self.title)
        self._equal = choice(options, "equal", ("relevant", "ignore")) == "relevant"
        self._folds = whole_number(options, "folds") or 0
        self._notes, self._photos = held.notes, held.photos
        self._parts = self._divided(held.photos)
        self.splits = in_order(self._parts)
        folds = [f"_fold{n + 1}" for n in range(self._folds)] if self._folds else [""]
        self.tasks = [_task(kind, fold, self._folds, self._equal) for kind in ("t2i", "i2t") for fold in folds]
        self.corpora: dict[str, Modality] = {f"image{fold}": "image" for fold in folds}
        self.corpora |= {f"text{fold}": "text" for fold in folds}

    def _divided(self, photos: list[Photo]) -> dict[str, list[_Part]]:
        limit = whole_number(self._options, "limit")
        names = assign_splits((photo.split for photo in photos), self._options, where=self.location)
        parts: dict[str, list[_Part]] = {}
        for split in set(names.values()):
            own = [photo for photo in photos if names.get(photo.split) == split][: limit or None]
            size, rest = divmod(len(own), self._folds or 1)
            if rest or not size:
                got = f"{len(own)} photos in {self._folds} folds"
                raise InputError(
                    "folds of unequal size", where="?folds=", got=got, hint="?limit=N drops the last photos"
                )
            parts[split] = [_Part(tuple(own[at : at + size])) for at in range(0, len(own), size)]
        return parts

    def digest(self) -> str:
        """Return the SHA-256 over names of photos, splits, captions and grains, and over the options."""
        photos = ((photo.name, photo.split, photo.captions, photo.grains) for photo in self._photos)
        return content_digest(photos, self._options)

    def notes(self) -> list[str]:
        """Return which columns were ignored, and how many captions stand at several photos."""
        notes = list(self._notes)
        for split in self.splits:
            shared = [held for part in self._parts[split] for held in part.by_text.values() if _photos_of(held) > 1]
            if shared:
                count = sum(map(len, shared))
                does = "all their photos are relevant" if self._equal else "only a caption's own photo is relevant"
                said = counted(count, "caption stands", "captions stand")
                notes.append(f"{split}: {said} at several photos word for word; {does}")
        return notes

    def named_in(self, image: str) -> str | None:
        """Return the file and line that name a photo first."""
        return self._places.get(image)

    @cached_property
    def _places(self) -> dict[str, str]:
        parts = (part for split in self._parts.values() for part in split)
        return {self._image(photo).name: photo.where for part in parts for photo in part.photos}

    def candidates(self, corpus: str, split: str) -> Iterator[Candidate]:
        """Yield the photos or the captions."""
        kind, part = self._part(corpus, split)
        for photo in part.photos:
            if kind == "image":
                grains = tuple(Grain(name, value) for name, value in sorted(photo.grains.items()))
                yield Candidate(photo.name, grains, image=self._image(photo))
            else:
                for caption_id, text in photo.captions:
                    yield Candidate(caption_id, text=text)

    def queries(self, task: str, split: str) -> Iterator[Query]:
        """Yield the captions or the photos; what is about one photo is one cluster."""
        kind, part = self._part(task, split)
        said = _INSTRUCTIONS[kind]
        for photo in part.photos:
            if kind == "i2t":
                yield Query(photo.name, task, said, image=self._image(photo), cluster=photo.name)
            else:
                for caption_id, text in photo.captions:
                    yield Query(caption_id, task, said, text=text, cluster=photo.name)

    def judgements(self, task: str, split: str) -> Iterator[Judgement]:
        """Yield what is relevant."""
        kind, part = self._part(task, split)
        for photo in part.photos:
            relevant: dict[str, None] = {}
            for caption_id, text in photo.captions:
                same = part.by_text[text] if self._equal else [(photo.name, caption_id)]
                if kind == "i2t":
                    relevant |= dict.fromkeys(other for _, other in same)
                else:
                    yield from (Judgement(caption_id, name, 1) for name in dict.fromkeys(name for name, _ in same))
            yield from (Judgement(photo.name, other, 1) for other in relevant)

    def _part(self, stem: str, split: str) -> tuple[str, _Part]:
        kind, _, fold = stem.partition("_fold")
        return kind, self._parts[split][int(fold or 1) - 1]

    def _image(self, photo: Photo) -> ImageFile:
        return image_file(self.images, photo.name, photo.where)


def _task(kind: str, fold: str, folds: int, equal: bool) -> Task:
    text, image = ("text", "image") if kind == "t2i" else ("image", "text")
    title = "caption → photo" if kind == "t2i" else "photo → caption"
    protocol = f"{_SAID[kind]}; k is 1, 5 and 10, and papers on COCO and Flickr30k call these hit rates R@k."
    if equal:
        protocol += (
            " Equal captions of different photos are relevant to all of these photos; papers count the own photo."
        )
    if folds:
        protocol += f" This is one of {folds} equal parts in file order; papers report the mean over the parts."
    made = Task(f"{kind}{fold}", title, text, image, (f"{image}{fold}",), "partial")  # type: ignore[arg-type]
    return replace(made, measures=MEASURES, main="hit_rate@1", protocol=protocol)


def _photos_of(held: list[tuple[str, str]]) -> int:
    return len({name for name, _ in held})
