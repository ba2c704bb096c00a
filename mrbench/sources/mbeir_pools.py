"""Reading the candidate files of M-BEIR: up to a million lines, of which the ids alone stay in memory."""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from mrbench.benchmark import ImageRoot, schema
from mrbench.errors import BenchmarkError
from mrbench.records import Modality
from mrbench.sources.files import field, json_line
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


@dataclass(frozen=True, slots=True)
class Row:
    """A candidate as the file has it.

    Attributes:
        line: Number of its line, from 1.
        end: Where the next line begins, in bytes.
    """

    id: str
    text: str | None
    path: str | None
    line: int
    end: int


def pool_rows(part: Part, images: ImageRoot, start: int = 0, line: int = 1) -> Iterator[Row]:
    """Yield the candidates of a part, from a line that begins at a byte.

    Raises:
        BenchmarkError: A line is malformed, lacks what its modality says, or names an image outside the folder.
    """
    prefix = "" if part.dataset_id is None else f"{part.dataset_id}:"
    sign = f'"{prefix}'.encode()  # a line without it is of another data set and need not be parsed
    with part.path.open("rb") as stream:
        stream.seek(start)
        for number, raw in enumerate(stream, line):
            start += len(raw)
            where = f"{part.path}:{number}"
            row = json_line(raw, where) if sign in raw or not prefix else None
            if row is None or modality_of(row.get("modality"), where) != part.modality:
                continue
            did = field(row, "did", where)
            if did.startswith(prefix):
                text, image = content(row, "txt", "img_path", part.modality, where)
                path = check_name(images, image, f"{where}, img_path") if "image" in part.modality else None
                yield Row(did, text, path, number, start)


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


@dataclass(frozen=True, slots=True)
class PoolChunk:
    """Some candidates of a part. Their ids are held; all else is read from the file when it is asked for.

    Attributes:
        part: The part.
        images: Where its images lie.
        ids: Their ids.
        start: Where the line of the first, or one before it, begins, in bytes.
        line: Number of that line.
    """

    part: Part
    images: ImageRoot
    ids: pa.Array
    start: int
    line: int

    @property
    def rows(self) -> int:
        """Number of candidates."""
        return len(self.ids)

    @property
    def where(self) -> Path:
        """The file."""
        return self.part.path

    def read(self, columns: list[str] | None = None) -> pa.Table:
        """Return the candidates, with all columns or some.

        Raises:
            BenchmarkError: The file was changed after it was opened.
        """
        if columns is not None and set(columns) == {"id"}:
            return pa.table({"id": self.ids})
        found = list(islice(pool_rows(self.part, self.images, self.start, self.line), self.rows))
        ids, texts, paths = [row.id for row in found], [row.text for row in found], [row.path for row in found]
        table = schema.candidate_table(self.part.modality, ids, texts, paths)
        if not self.ids.equals(table["id"].combine_chunks()):
            raise BenchmarkError(
                "a file was changed while it was in use", where=f"{self.where}:{self.line}", hint="run the same again"
            )
        return table if columns is None else table.select(columns)


def pool_chunks(part: Part, images: ImageRoot) -> list[PoolChunk]:
    """Return the candidates of a part in chunks; every line is checked.

    Raises:
        BenchmarkError: As :func:`pool_rows`.
    """
    chunks = []
    rows = pool_rows(part, images)
    start, line = 0, 1
    while some := list(islice(rows, ROWS)):
        chunks.append(PoolChunk(part, images, pa.array([row.id for row in some], pa.string()), start, line))
        start, line = some[-1].end, some[-1].line + 1
    return chunks
