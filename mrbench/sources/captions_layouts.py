"""The layouts of photos with captions: COCO, Karpathy, Flickr8k tokens, and people's own tables and JSON lines."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mrbench.benchmark import ImageRoot
from mrbench.errors import BenchmarkError
from mrbench.sources import files
from mrbench.sources.rows import (
    IMAGE_KEYS,
    Faults,
    Rows,
    checked_id,
    ignored_columns,
    image_name,
    in_small_letters,
    kind_of,
    rows_of,
    texts_of,
)

LAYOUTS = (
    "a CSV or TSV file (image, caption), JSON lines (image, captions), an imagefolder's metadata.jsonl, COCO's "
    "captions JSON, Karpathy's dataset JSON, or Flickr8k's token file"
)
CAPTION_KEYS = ("captions", "caption", "texts", "text", "sentences", "sentence", "raw")
_TOKEN = re.compile(r"([^\t]+)#(\d+)\t(.*)")
_USED = (*IMAGE_KEYS, *CAPTION_KEYS, "split")
RootOf = Callable[[str], ImageRoot]


@dataclass
class Photo:
    """A photo and its captions.

    Attributes:
        name: Its file, relative to the image root; also its id.
        split: The data set's name of its split; empty where it has none.
        captions: Id and text of each.
        grains: What the grain columns say of it, by column.
        where: File and line that name it first.
    """

    name: str
    split: str = ""
    captions: list[tuple[str, str]] = field(default_factory=list)
    grains: dict[str, str] = field(default_factory=dict)
    where: str = ""


@dataclass
class Photos:
    """What a file of captions holds.

    Attributes:
        photos: In file order.
        images: Where they lie.
        notes: Remarks on what was not read.
    """

    photos: list[Photo]
    images: ImageRoot
    notes: list[str]


def find_file(location: Path) -> Path:
    """Return the annotation file of a folder, or the file itself.

    Raises:
        BenchmarkError: There is none, or there are several.
    """
    if location.is_file():
        return location
    if not location.is_dir():
        raise BenchmarkError("no such file or folder", where=location, accepted=LAYOUTS)
    patterns = ("metadata.jsonl", "metadata.csv", "captions.*", "captions_*.json*", "dataset*.json*", "*token*.txt")
    for pattern in (*patterns, "*.jsonl*", "*.csv*", "*.tsv*", "*.json*"):
        found = sorted(path for path in location.glob(pattern) if path.is_file())
        if len(found) > 1:
            names = ", ".join(path.name for path in found[:6])
            raise BenchmarkError("several files may hold the captions", where=location, got=names, hint="name the file")
        if found:
            return found[0]
    raise BenchmarkError("no file of captions", where=location, accepted=LAYOUTS)


def read_photos(path: Path, root_of: RootOf, *, skip_empty: bool = False, grain_columns: Sequence[str] = ()) -> Photos:
    """Read a file of captions.

    Args:
        path: The file, in any of the layouts.
        root_of: Says where the photos lie, given the first one's name.
        skip_empty: Leave out empty captions, and photos without any.
        grain_columns: Columns that say what a photo shows, of layouts with a row for each photo or caption.

    Raises:
        BenchmarkError: It is of no known layout or malformed; a caption is empty; an id is there twice.
    """
    read = _Reading(path, root_of, skip_empty, grain_columns)
    kind = kind_of(path)
    if kind == ".json":
        _read_json(read, files.read_json(path))
    elif kind == ".txt":
        _read_text(read)
    elif kind in (".jsonl", ".csv", ".tsv"):
        _read_rows(read, rows_of(path))
    else:
        raise BenchmarkError("a file of another kind", where=path, got=path.name, accepted=LAYOUTS)
    return read.close()


class _Reading:
    """Collects the photos of a file in order, and its faults."""

    def __init__(self, path: Path, root_of: RootOf, skip_empty: bool, grain_columns: Sequence[str]) -> None:
        self.path = path
        self._root_of = root_of
        self._images: ImageRoot | None = None
        self._grain_columns = tuple(grain_columns)
        self._skip_empty = skip_empty
        self._photos: dict[str, Photo] = {}
        self._ids: set[str] = set()
        self._skipped = 0
        self.faults = Faults()
        self.columns: set[str] = set()

    def photo(self, name: str, split: str, where: str) -> Photo:
        """Return the photo of a name, absolute or relative to the image root: a new one or the one that is there."""
        if self._images is None:
            self._images = self._root_of(name)
        name = self._images.relative(name)
        photo = self._photos.setdefault(name, Photo(name, split, where=where))
        if photo.split != split:
            self.faults.add("a photo is in two splits", where)
        return photo

    def add(self, photo: Photo, text: str, where: str, caption_id: str | None = None) -> None:
        """Add a caption to a photo; its id is ``PHOTO#NUMBER`` where the data set has none."""
        if not text.strip():
            if self._skip_empty:
                self._skipped += 1
            else:
                self.faults.add("an empty caption", where)
            return
        made = f"{photo.name}#{len(photo.captions)}" if caption_id is None else checked_id(caption_id, where)
        if made in self._ids:
            self.faults.add("a caption id is there twice", where)
        self._ids.add(made)
        photo.captions.append((made, text.strip()))

    def add_grains(self, photo: Photo, row: Mapping[str, Any], where: str) -> None:
        """Take what the grain columns of a row say of a photo; an empty cell says nothing."""
        for name in self._grain_columns:
            value = row.get(name)
            said = "" if value is None else " ".join(str(value).lower().split())
            if said and photo.grains.setdefault(name, said) != said:
                self.faults.add(f"a photo has two values of {name}", where)

    def close(self) -> Photos:
        """Return what was read.

        Raises:
            BenchmarkError: A fault was found, or there is no photo.
        """
        missing = [name for name in self._grain_columns if name not in self.columns]
        if missing:
            known = ", ".join(sorted(self.columns)) or "none in this layout"
            raise BenchmarkError("no such grain column", where=self.path, got=missing[0], accepted=known)
        self.faults.raise_first(
            "?empty=skip leaves out empty captions" if "an empty caption" in self.faults.found else None
        )
        photos = list(self._photos.values())
        without = [photo.name for photo in photos if not photo.captions]
        if without and not self._skip_empty:
            got = ", ".join(without[:5])
            what = f"photos without a caption ({len(without)})"
            raise BenchmarkError(what, where=self.path, got=got, hint="?empty=skip leaves them out")
        both = self._ids.intersection(self._photos)
        if both:
            raise BenchmarkError(
                "a caption and a photo have one id",
                where=self.path,
                got=min(both),
                hint="rename the photo, or leave the ids of captions out",
            )
        if self._images is None or len(photos) == len(without):
            raise BenchmarkError("no photo with a caption", where=self.path, accepted=LAYOUTS)
        notes = ignored_columns(self.columns - set(self._grain_columns), _USED)
        if self._skipped:
            notes.append(f"empty captions left out: {self._skipped}")
        if without:
            notes.append(f"photos without a caption left out: {len(without)}")
        return Photos([photo for photo in photos if photo.captions], self._images, notes)


def _read_rows(read: _Reading, rows: Rows) -> None:
    for where, named in rows:
        row = in_small_letters(named, _USED)
        read.columns.update(row)
        split = row.get("split") or ""
        photo = read.photo(image_name(row, where), split if isinstance(split, str) else str(split), where)
        read.add_grains(photo, row, where)
        if not any(key in row or any(name.startswith(key) for name in row) for key in CAPTION_KEYS):
            accepted = f"one of the columns {', '.join(CAPTION_KEYS)}, or caption_1, caption_2, ..."
            raise BenchmarkError("no column holds captions", where=where, got=sorted(row)[:20], accepted=accepted)
        for text in texts_of(row, CAPTION_KEYS, where):
            read.add(photo, text, where)


def _read_text(read: _Reading) -> None:
    """Flickr8k's ``name.jpg#0<TAB>caption``, or the table ``image,caption`` under the same suffix."""
    text = files.read_text(read.path)
    first = text.partition("\n")[0].strip("\r")
    if not _TOKEN.fullmatch(first):
        delimiter = "\t" if "\t" in first else "|" if "|" in first else ","
        return _read_rows(read, files.read_table(read.path, delimiter=delimiter))
    for number, line in enumerate(text.split("\n"), 1):
        where = f"{read.path}:{number}"
        if not line.strip():
            continue
        match = _TOKEN.fullmatch(line.strip("\r"))
        if match is None:
            raise BenchmarkError("a malformed line", where=where, got=line, accepted="NAME.jpg#0<TAB>CAPTION")
        photo = read.photo(match[1], "", where)
        read.add(photo, match[3], where, f"{photo.name}#{match[2]}")
    return None


def _read_json(read: _Reading, value: Any) -> None:
    if isinstance(value, list):
        return _read_rows(read, rows_of(read.path, value))
    images = value.get("images") if isinstance(value, dict) else None
    if not isinstance(images, list) or not images or not all(isinstance(image, dict) for image in images):
        raise BenchmarkError("a JSON file of another layout", where=read.path, accepted=LAYOUTS)
    if "sentences" in images[0]:
        return _read_karpathy(read, images)
    if isinstance(value.get("annotations"), list):
        return _read_coco(read, images, value["annotations"])
    raise BenchmarkError("a JSON file of another layout", where=read.path, got=sorted(value)[:9], accepted=LAYOUTS)


def _read_coco(read: _Reading, images: list[dict[str, Any]], annotations: list[Any]) -> None:
    names: dict[Any, Photo] = {}
    for number, image in enumerate(images):
        where = f"{read.path}, images[{number}]"
        key = files.field(image, "id", where, kind=(int, str))
        if key in names:
            read.faults.add("an image id is there twice", f"{where}, {key}")
        names[key] = read.photo(image_name(image, where, ("file_name",)), "", where)
    for number, annotation in enumerate(annotations):
        where = f"{read.path}, annotations[{number}]"
        if not isinstance(annotation, dict):
            raise BenchmarkError(
                "an annotation is not a JSON object", where=where, got=annotation, accepted="a JSON object"
            )
        photo = names.get(files.field(annotation, "image_id", where, kind=(int, str)))
        if photo is None:
            read.faults.add("an annotation names an unknown image", f"{where}, image_id {annotation['image_id']}")
            continue
        caption_id = checked_id(annotation["id"], where) if "id" in annotation else None
        read.add(photo, files.field(annotation, "caption", where), where, caption_id)


def _read_karpathy(read: _Reading, images: list[dict[str, Any]]) -> None:
    for number, image in enumerate(images):
        where = f"{read.path}, images[{number}]"
        name = image_name(image, where, ("filename",))
        folder = image.get("filepath")  # COCO's train2014 or val2014
        split = image.get("split") or ""
        photo = read.photo(f"{folder}/{name}" if isinstance(folder, str) and folder else name, str(split), where)
        sentences = files.field(image, "sentences", where, kind=list)
        for place, sentence in enumerate(sentences):
            at = f"{where}, sentences[{place}]"
            if not isinstance(sentence, Mapping):
                raise BenchmarkError(
                    "a sentence is not a JSON object", where=at, got=sentence, accepted="a JSON object"
                )
            own = checked_id(sentence["sentid"], at) if "sentid" in sentence else None
            read.add(photo, files.field(sentence, "raw", at), at, own)
