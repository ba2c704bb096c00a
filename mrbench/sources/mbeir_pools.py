"""Reading the candidate files of M-BEIR: up to a million lines, so they become Arrow columns at once."""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from mrbench.benchmark import ImageRoot, schema
from mrbench.errors import BenchmarkError
from mrbench.records import Modality
from mrbench.sources.files import field, read_jsonl
from mrbench.sources.image_names import check_name

ROWS = 16_384  # candidates that are Python objects at a time
_SPELLINGS: dict[str, Modality] = {
    "text": "text",
    "image": "image",
    "image,text": "image,text",
    "text,image": "image,text",
}
_STATED = re.compile(rb'"modality"\s*:\s*"([^"]*)"')


def modality_of(value: object, where: str) -> Modality:
    """Return a modality; ``text,image`` is another spelling of ``image,text``.

    Raises:
        BenchmarkError: There is no such modality.
    """
    found = _SPELLINGS.get(value.replace(" ", "")) if isinstance(value, str) else None
    if found is None:
        raise BenchmarkError("unknown modality", where=where, got=value, accepted=", ".join(_SPELLINGS))
    return found


def other_modalities(path: Path, usual: Modality) -> tuple[Modality, ...]:
    """Return the modalities of a pool's candidates other than the usual one, without parsing the lines.

    Raises:
        BenchmarkError: A candidate states an unknown one.
    """
    if not path.stat().st_size:
        return ()
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as held:
        known = {spelling.encode(): modality for spelling, modality in _SPELLINGS.items()}
        stated = {match[1] for match in _STATED.finditer(held)}
    found = {known.get(text) or modality_of(text.decode(errors="replace"), str(path)) for text in stated}
    return tuple(modality for modality in ("text", "image", "image,text") if modality in found and modality != usual)


@dataclass(frozen=True, slots=True)
class Part:
    """Which candidates of a file make a corpus.

    Attributes:
        path: The file.
        modality: Their modality.
        dataset_id: The number of their data set, which their ids begin with; None for any.
    """

    path: Path
    modality: Modality
    dataset_id: int | None = None


def pool_rows(part: Part, images: ImageRoot) -> Iterator[tuple[str, str | None, str | None]]:
    """Yield the id, the text and the image path of each candidate of a part.

    Raises:
        BenchmarkError: A line is malformed, lacks what its modality says, or names an image outside the folder.
    """
    prefix = None if part.dataset_id is None else f"{part.dataset_id}:"
    for where, row in read_jsonl(part.path):
        if modality_of(row.get("modality"), where) != part.modality:
            continue
        did = field(row, "did", where)
        if prefix is not None and not did.startswith(prefix):
            continue
        text, image = content(row, "txt", "img_path", part.modality, where)
        yield did, text, check_name(images, image, f"{where}, img_path") if "image" in part.modality else None


def content(
    row: dict[str, Any], text_key: str, image_key: str, modality: Modality, where: str
) -> tuple[str | None, object]:
    """Return the text and the image path of a record, None where its modality has none.

    Raises:
        BenchmarkError: The text is no text, or empty where there is nothing else.
    """
    text = row.get(text_key)
    if "text" not in modality:
        text = None
    elif not isinstance(text, str | None) or (modality == "text" and not (text or "").strip()):
        raise BenchmarkError("a record has no text", where=f"{where}, {text_key}", got=text, accepted="text")
    else:
        text = text or ""
    return text, row.get(image_key) if "image" in modality else None


def pool_tables(part: Part, images: ImageRoot) -> Iterator[pa.Table]:
    """Yield the candidates of a part as tables of our format, some thousand at a time."""
    ids: list[str] = []
    texts: list[str | None] = []
    paths: list[str | None] = []
    for did, text, path in pool_rows(part, images):
        ids.append(did)
        texts.append(text)
        paths.append(path)
        if len(ids) == ROWS:
            yield schema.candidate_table(part.modality, ids, texts, paths)
            ids, texts, paths = [], [], []
    if ids:
        yield schema.candidate_table(part.modality, ids, texts, paths)
