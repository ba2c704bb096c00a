"""What readers of composed retrieval share: queries of a photo and a text, from small JSON files that are read once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mrbench.benchmark import Contents, ImageRoot
from mrbench.errors import BenchmarkError
from mrbench.records import Modality, Split, Task
from mrbench.sources.files import files_digest, images_below, read_json
from mrbench.words import counted

_MOST_NAMED = 3  # ids in an error


@dataclass(frozen=True, slots=True)
class Triplet:
    """A query of a photo and a text, and its answers.

    Attributes:
        id: Its id.
        reference: Id of the photo.
        text: The text.
        targets: Ids of the relevant candidates.
        others: Ids of candidates that are judged not relevant.
        members: Ids of the candidates that it is searched among, where it has a list of its own.
        cluster: What it shares with other queries.
        where: File and item.
    """

    id: str
    reference: str
    text: str
    targets: tuple[str, ...]
    where: str
    others: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    cluster: str = ""


class References:
    """Ids that annotations name, checked against those that are there, so that one message counts all that are not.

    Args:
        known: The ids that are there.
        accepted: Where they come from, for the message.
    """

    def __init__(self, known: Iterable[str], accepted: object) -> None:
        self._known = frozenset(known)
        self._accepted = accepted
        self._lost: dict[str, str] = {}

    def check(self, ids: Iterable[str], where: str) -> None:
        """Note those that are not there."""
        for name in ids:
            if name not in self._known:
                self._lost.setdefault(name, where)

    def raise_lost(self) -> None:
        """Raise for all that were noted.

        Raises:
            BenchmarkError: There is one.
        """
        if self._lost:
            raise BenchmarkError(
                counted(len(self._lost), "image that the annotations name is", "images that the annotations name are")
                + " not listed",
                where=next(iter(self._lost.values())),
                got=", ".join(list(self._lost)[:_MOST_NAMED]),
                accepted=f"ids of {self._accepted}",
            )


class Composed(Contents):
    """The base of these readers.

    Args:
        root: Where the data set is.
        image_root: Where the user says that images lie.
        folders: Where they lie below the root otherwise: the first folder that is there, else the root.
        options: Those of the spec.
    """

    licence = ""
    corpora: Mapping[str, Modality] = {}
    tasks: Sequence[Task] = ()
    splits: Sequence[Split] = ()
    files: Sequence[Path] = ()

    def __init__(self, root: Path, image_root: Path | None, folders: Sequence[str], options: Mapping[str, str]) -> None:
        if not root.is_dir():
            raise BenchmarkError("there is no such folder", where=root, accepted=f"the folder of {self.title}")
        self.location = root
        default = next((root / folder for folder in folders if (root / folder).is_dir()), root)
        self.images: ImageRoot = images_below(default, image_root)
        self.options = dict(options)

    def digest(self) -> str:
        """Return the digest over the annotation files and the options."""
        return files_digest(sorted(self.files), self.location, self.options)


def find_file(root: Path, folders: Sequence[str], name: str) -> Path | None:
    """Return a file below one of some folders of a root, or below the root itself; packed as ``.gz`` or not."""
    places = (root / folder / packed for folder in (*folders, "") for packed in (name, f"{name}.gz"))
    return next((place for place in places if place.is_file()), None)


def require_file(root: Path, folders: Sequence[str], name: str) -> Path:
    """Return the same file.

    Raises:
        BenchmarkError: It is not there.
    """
    found = find_file(root, folders, name)
    if found is None:
        accepted = " or ".join(str(Path(folder, name)) for folder in (*folders, ""))
        raise BenchmarkError("an annotation file is missing", where=root, accepted=accepted)
    return found


def read_items(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """Return file and item, counted from 0, and the object of each item of a JSON list.

    Raises:
        BenchmarkError: It is not JSON, not a list, empty, or has an item that is no object.
    """
    value = read_json(path)
    if not isinstance(value, list) or not value:
        raise BenchmarkError("not a list of annotations", where=path, got=value, accepted="a JSON list of objects")
    for number, item in enumerate(value):
        if not isinstance(item, dict):
            raise BenchmarkError(
                "an annotation is no object", where=f"{path}, item {number}", got=item, accepted="a JSON object"
            )
    return [(f"{path}, item {number}", item) for number, item in enumerate(value)]


def read_names(path: Path) -> list[str]:
    """Return the texts of a JSON list, each once.

    Raises:
        BenchmarkError: It is something else.
    """
    value = read_json(path)
    if not isinstance(value, list) or not all(isinstance(name, str) and name for name in value):
        raise BenchmarkError("not a list of names", where=path, got=value, accepted="a JSON list of strings")
    return list(dict.fromkeys(value))


def id_of(row: Mapping[str, Any], key: str, where: str) -> str:
    """Return an id, a text or a whole number, as text.

    Raises:
        BenchmarkError: It is missing or something else.
    """
    value = row.get(key)
    if isinstance(value, bool) or not isinstance(value, int | str) or value == "":
        raise BenchmarkError(
            "an id is missing or malformed", where=f"{where}, {key}", got=value, accepted="text or number"
        )
    return str(value)


def text_of(row: Mapping[str, Any], key: str, where: str) -> str:
    """Return a text that is not empty.

    Raises:
        BenchmarkError: It is missing, empty or something else.
    """
    value = row.get(key)
    if not isinstance(value, str) or not value.strip():
        raise BenchmarkError("a text is missing or empty", where=f"{where}, {key}", got=value, accepted="text")
    return value.strip()


def ids_of(row: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    """Return a list of ids, each once.

    Raises:
        BenchmarkError: It is something else.
    """
    value = row.get(key)
    if not isinstance(value, list):
        raise BenchmarkError("a value is of another type", where=f"{where}, {key}", got=value, accepted="list")
    return tuple(dict.fromkeys(id_of({key: item}, key, where) for item in value))


def check_unique(triplets: Iterable[Triplet]) -> None:
    """Raise for an id that two queries have.

    Raises:
        BenchmarkError: Two have one.
    """
    seen: set[str] = set()
    for triplet in triplets:
        if triplet.id in seen:
            raise BenchmarkError("two queries have one id", where=triplet.where, got=triplet.id, accepted="each once")
        seen.add(triplet.id)
