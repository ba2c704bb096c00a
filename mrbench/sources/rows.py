"""What the readers of people's own tables share: names of columns, lists in cells, faults that are counted."""

from __future__ import annotations

import ast
import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mrbench.benchmark.ids import ID_FORM, is_id
from mrbench.errors import BenchmarkError
from mrbench.sources.files import check_unicode, read_jsonl, read_table

IMAGE_KEYS = ("image", "file_name", "filename", "image_path", "filepath", "image_file", "file", "path")
"""Columns that name a picture."""
Rows = Iterator[tuple[str, dict[str, Any]]]


@dataclass
class Faults:
    """Faults of a file, collected so that one message names and counts them."""

    found: dict[str, list[str]] = field(default_factory=dict)

    def add(self, what: str, where: str) -> None:
        """Add a fault of one kind."""
        self.found.setdefault(what, []).append(where)

    def raise_first(self, hint: str | None = None) -> None:
        """Raise for the first kind of fault, with the number of them and the first five places.

        Raises:
            BenchmarkError: There is one.
        """
        for what, places in self.found.items():
            more = f" and {len(places) - 5} more" if len(places) > 5 else ""
            raise BenchmarkError(f"{what} ({len(places)})", where=", ".join(places[:5]) + more, hint=hint)


def rows_of(path: Path, value: Any = None) -> Rows:
    """Yield ``file:line``, or ``file, item N``, and the row of a JSONL, CSV or TSV file, or of a JSON list."""
    if value is not None:
        for number, row in enumerate(value):
            where = f"{path}, item {number}"
            if not isinstance(row, dict):
                raise BenchmarkError("an item is not a JSON object", where=where, got=row, accepted="a JSON object")
            yield where, row
    elif kind_of(path) == ".jsonl":
        yield from read_jsonl(path)
    else:
        yield from read_table(path)


def kind_of(path: Path) -> str:
    """Return the suffix of a file without ``.gz``.

    >>> kind_of(Path("a.json.gz"))
    '.json'
    """
    return Path(path.stem).suffix.lower() if path.suffix == ".gz" else path.suffix.lower()


def in_small_letters(row: Mapping[str, Any], known: Sequence[str]) -> dict[str, Any]:
    """Return a row whose known columns, and those numbered after any of them, are named in small letters.

    Where two columns would have one name, both stay as they are.

    >>> in_small_letters({"Image": "a.jpg", "Caption_1": "a cat", "Shop": "x"}, ["image", "caption"])
    {'image': 'a.jpg', 'caption_1': 'a cat', 'Shop': 'x'}
    """
    if not any(name != name.lower() for name in row):
        return dict(row)
    kept = _numbered(known)
    named = Counter(name.lower() for name in row)

    def renamed(name: str) -> str:
        low = name.lower()
        return low if kept.fullmatch(low) and named[low] == 1 else name

    return {renamed(name): value for name, value in row.items()}


def _numbered(names: Sequence[str]) -> re.Pattern[str]:
    """Return what matches some names, with a number behind or without."""
    return re.compile(rf"(?:{'|'.join(map(re.escape, names))})(?:_?\d+)?")


def only_column(row: Mapping[str, Any], keys: Sequence[str], where: str) -> str | None:
    """Return the first of some columns for one thing that a row has; None where it has none.

    Raises:
        BenchmarkError: It has two that say different things.
    """
    there = [key for key in keys if key in row]
    said = [key for key in there if row[key] not in (None, "", [])]
    other = next((key for key in said if row[key] != row[said[0]]), None)
    if other is not None:
        raise BenchmarkError(
            "two columns are for one thing and differ",
            where=where,
            got=f"{said[0]}: {row[said[0]]}; {other}: {row[other]}",
            accepted=f"one of {', '.join(keys)}",
            hint="remove one of the two columns, or rename it to what no reader looks for",
        )
    return next(iter(said or there), None)


def image_name(row: Mapping[str, Any], where: str, keys: Sequence[str] = IMAGE_KEYS) -> str:
    """Return the name of a row's picture.

    Raises:
        BenchmarkError: No column names one, two name different ones, or its value is no text.
    """
    key = only_column(row, keys, where)
    if key is None:
        accepted = f"one of the columns {', '.join(keys)}"
        raise BenchmarkError("no column names the picture", where=where, got=sorted(row)[:20], accepted=accepted)
    value = row[key]
    if not isinstance(value, str) or not value.strip():
        raise BenchmarkError("a picture has no name", where=f"{where}, {key}", got=value, accepted="a file name")
    return checked_id(value.strip(), f"{where}, {key}")


def checked_id(value: object, where: str) -> str:
    """Return an id as text.

    Raises:
        BenchmarkError: It is neither text nor a whole number, or :func:`mrbench.benchmark.ids.is_id` refuses it.
    """
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise BenchmarkError(
            "an id is neither text nor a whole number", where=where, got=value, accepted="a text or a whole number"
        )
    text = str(value)
    if not is_id(text):
        raise BenchmarkError("malformed id", where=where, got=text, accepted=ID_FORM)
    return text


def texts_of(row: Mapping[str, Any], keys: Sequence[str], where: str) -> list[str]:
    """Return the texts of a row: of the one of some columns that is there, and of those numbered after any of them.

    A text that is one string counts as one text. A cell of a table that holds a list (``["a", "b"]``) is taken apart.

    Args:
        row: The row.
        keys: Names of the columns, for example ``captions`` and ``caption``; ``caption_1`` and ``caption2`` follow.
        where: The place, for messages.

    Raises:
        BenchmarkError: A value is neither a text nor a list of texts, or two of the columns differ.
    """
    first = [only_column(row, keys, where) or ""]
    numbered = re.compile(rf"(?:{'|'.join(map(re.escape, keys))})_?\d+")
    texts: list[str] = []
    for key in [*filter(None, first), *sorted(filter(numbered.fullmatch, row), key=_number)]:
        value = row[key]
        if value is None and key != first[0]:
            continue
        texts += _texts(value, f"{where}, {key}", empty_counts=key == first[0])
    return texts


def _number(key: str) -> int:
    return int(re.sub(r"\D", "", key))


def _texts(value: Any, where: str, *, empty_counts: bool) -> list[str]:
    if isinstance(value, str) and value.strip()[:1] == "[" and value.strip()[-1:] == "]":
        value = _parsed(value.strip())
    if isinstance(value, str):
        text = value.strip()
        return [text] if text or empty_counts else []
    if isinstance(value, list) and all(isinstance(text, str) for text in value):
        check_unicode(value, where)
        return [text.strip() for text in value]
    got = "null" if value is None else value
    raise BenchmarkError("a caption is no text", where=where, got=got, accepted="a text or a list of texts")


def _parsed(cell: str) -> Any:
    """Return the list that a cell holds as JSON or as Python writes it; the cell itself where it holds none."""
    for parse in (json.loads, ast.literal_eval):
        try:
            value = parse(cell)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(value, list):
            return value
    return cell


def ignored_columns(seen: Iterable[str], used: Sequence[str]) -> list[str]:
    """Return the remark on columns that a reader has no use for; none where there are none."""
    kept = _numbered(used)
    others = sorted(name for name in set(seen) if not kept.fullmatch(name))
    if not others:
        return []
    return [f"columns that are not read: {', '.join(others[:12])}{', ...' if len(others) > 12 else ''}"]


def found_below(folder: Path, name: str) -> Path:
    """Return the folder below which a picture of this name lies: the folder itself, else one in it, else itself."""
    # os.path says no to names that a file system cannot have; a Path raises.
    if not os.path.isfile(folder / name) and folder.is_dir():  # noqa: PTH113
        for below in sorted(path for path in folder.iterdir() if path.is_dir()):
            if os.path.isfile(below / name):  # noqa: PTH113
                return below
    return folder


def set_name(path: Path) -> str:
    """Return the name of a data set: that of its file, or of its folder where the file's is a common word.

    >>> set_name(Path("shop/captions.jsonl")), set_name(Path("shop/winter.csv.gz"))
    ('shop', 'winter')
    """
    stem = path.name
    while Path(stem).suffix in (".gz", ".json", ".jsonl", ".csv", ".tsv", ".txt", ".token"):
        stem = Path(stem).stem
    common = {"captions", "metadata", "photos", "data", "pairs", "test", "train", "val", "annotations"}
    return path.absolute().parent.name if stem.lower() in common else stem
