"""The layouts of images with true and false texts: SugarCrepe, SugarCrepe++, VALSE, Winoground, ColorSwap, BiVLC."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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
from mrbench.words import counted

LAYOUTS = (
    "a CSV, TSV or JSON lines file with the columns image, true, false and kind, or the JSON of SugarCrepe, "
    "SugarCrepe++, VALSE, Winoground, ColorSwap or BiVLC, or a folder of such files, one a kind"
)
TRUE_KEYS = ("true", "true_texts", "positives", "positive", "captions", "caption")
FALSE_KEYS = (
    *("false", "false_texts", "negative_captions", "negative_caption", "negatives", "negative"),
    *("false_caption", "foils", "foil"),
)
KIND_KEYS = ("kind", "type", "collapsed_tag", "tag", "linguistic_phenomena", "phenomenon", "category")
_GROUPS = (
    (("image_0", "image_1"), ("caption_0", "caption_1")),  # Winoground
    (("image_1", "image_2"), ("caption_1", "caption_2")),  # ColorSwap
    (("image", "negative_image"), ("caption", "negative_caption")),  # BiVLC
)
_USED = (
    *IMAGE_KEYS,
    *TRUE_KEYS,
    *FALSE_KEYS,
    *KIND_KEYS,
    "id",
    "subtype",
    "negative_image",
    "mturk",
    "image",
    "caption",
)


@dataclass(frozen=True, slots=True)
class Item:
    """An image with true and false texts, or two images with a text each.

    Attributes:
        id: Unique in the data set.
        images: One image; or two, of which each is false for the other's text.
        true: The true texts; of two images one for each.
        false: The false texts, each with its kind; none where there are two images.
        kind: The kind of a group of two images; empty else.
        where: File and line that it was read from.
    """

    id: str
    images: tuple[str, ...]
    true: tuple[str, ...]
    false: tuple[tuple[str, str], ...] = ()
    kind: str = ""
    where: str = ""


@dataclass
class Pairs:
    """What a file or folder of pairs holds.

    Attributes:
        items: In file order.
        files: Where they were read.
        notes: Remarks on what was not read.
    """

    items: list[Item] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_pairs(location: Path, *, unchecked: bool = False) -> Pairs:
    """Read images with true and false texts.

    Args:
        location: A file, or a folder of files, whose names are then the kinds and begin the ids.
        unchecked: Keep the items of VALSE that fewer than two of three annotators accepted.

    Raises:
        BenchmarkError: Of no known layout or malformed; an empty text; an id twice.
    """
    paths = _files_of(location)
    pairs, faults, columns = Pairs(files=paths), Faults(), set[str]()
    seen: set[str] = set()
    rejected = 0
    for path in paths:
        stem = path.name.partition(".")[0]
        prefix = f"{stem}:" if location.is_dir() else ""
        for number, (where, named) in enumerate(_rows(path)):
            row = in_small_letters(named, _USED)
            columns.update(row)
            if not unchecked and _rejected(row):
                rejected += 1
                continue
            own = checked_id(row["id"], where) if row.get("id") not in (None, "") else str(number)
            item = _item(row, prefix + own, stem, where, faults)
            if item.id in seen:
                faults.add("an item id is there twice", f"{where}, {item.id}")
            seen.add(item.id)
            pairs.items.append(item)
    faults.raise_first()
    if not pairs.items:
        raise BenchmarkError("no item with true and false texts", where=location, accepted=LAYOUTS)
    if len({len(item.images) for item in pairs.items}) > 1:
        raise BenchmarkError("items with one image and items with two", where=location, accepted="one of the two")
    pairs.notes += ignored_columns(columns, _USED)
    both = [item.id for item in pairs.items if set(item.true) & {text for text, _ in item.false}]
    if both:
        pairs.notes.append(
            f"items with a text that is both true and false, which tie: {len(both)} ({', '.join(both[:3])})"
        )
    if rejected:
        pairs.notes.append(f"items left out that fewer than 2 of 3 annotators accepted: {rejected}")
    return pairs


def _files_of(location: Path) -> list[Path]:
    if location.is_file():
        return [location]
    if not location.is_dir():
        raise BenchmarkError("no such file or folder", where=location, accepted=LAYOUTS)
    found = sorted(p for p in location.iterdir() if p.is_file() and kind_of(p) in (".json", ".jsonl", ".csv", ".tsv"))
    if not found:
        raise BenchmarkError("no file of pairs", where=location, accepted=LAYOUTS)
    return found


def _rows(path: Path) -> Rows:
    kind = kind_of(path)
    if kind in (".jsonl", ".csv", ".tsv"):
        return rows_of(path)
    if kind != ".json":
        raise BenchmarkError("a file of another kind", where=path, got=path.name, accepted=LAYOUTS)
    value = files.read_json(path)
    if isinstance(value, dict) and value and all(isinstance(row, dict) for row in value.values()):
        return ((f"{path}, {key}", {**row, "id": key}) for key, row in value.items())
    if not isinstance(value, list) or not value:
        raise BenchmarkError("a JSON file of another layout", where=path, accepted=LAYOUTS)
    return rows_of(path, value)


def _rejected(row: Mapping[str, Any]) -> bool:
    """Return whether VALSE's annotators did not prefer the true text: fewer than two of three did."""
    votes = row.get("mturk")
    return isinstance(votes, Mapping) and isinstance(votes.get("caption"), int) and votes["caption"] < 2


def _item(row: Mapping[str, Any], item_id: str, stem: str, where: str, faults: Faults) -> Item:
    group = next((keys for keys in _GROUPS if all(name in row for part in keys for name in part)), None)
    if group is not None:
        images, texts = ([_text(row, name, where) for name in names] for names in group)
        if texts[0] == texts[1]:
            faults.add("the two texts of an item are equal", where)
        if not all(texts):
            faults.add("an empty text", where)
        return Item(item_id, tuple(images), tuple(texts), kind=_kinds(row, 1, stem, where)[0], where=where)
    true, false = (_texts(row, keys, where) for keys in (TRUE_KEYS, FALSE_KEYS))
    if not all((*true, *false)):
        faults.add("an empty text", where)
    kinds = _kinds(row, len(false), stem, where)
    # A text that is listed twice is one candidate.
    pairs = tuple(dict(zip(false, kinds, strict=True)).items())
    return Item(item_id, (image_name(row, where),), tuple(dict.fromkeys(true)), pairs, where=where)


def _texts(row: Mapping[str, Any], keys: Sequence[str], where: str) -> list[str]:
    texts = texts_of(row, keys, where)
    if not texts:
        got, accepted = sorted(row)[:20], f"one of {', '.join(keys)}"
        raise BenchmarkError(f"no {keys[0]} text", where=where, got=got, accepted=accepted)
    return texts


def _text(row: Mapping[str, Any], name: str, where: str) -> str:
    value = row[name]
    if not isinstance(value, str):
        raise BenchmarkError("a value is no text", where=f"{where}, {name}", got=value, accepted="a text")
    return value.strip()


def _kinds(row: Mapping[str, Any], number: int, stem: str, where: str) -> list[str]:
    """Return the kind of each false text: the row's, or the file's name where the row has none."""
    key = next((key for key in KIND_KEYS if row.get(key)), None)
    value: Any = stem if key is None else row[key]
    if isinstance(value, str):
        subtype = row.get("subtype")
        return [f"{value}_{subtype}" if isinstance(subtype, str) and subtype else value] * number
    if isinstance(value, list) and len(value) == number and all(isinstance(kind, str) and kind for kind in value):
        return list(value)
    accepted = f"a text, or a list of {counted(number, 'text')}, one for each false text"
    raise BenchmarkError("a malformed kind", where=f"{where}, {key}", got=value, accepted=accepted)


def kinds_of(items: Iterable[Item]) -> list[str]:
    """Return all kinds of false texts, sorted."""
    found = {kind for item in items for _, kind in item.false} | {item.kind for item in items if item.kind}
    return sorted(found)
