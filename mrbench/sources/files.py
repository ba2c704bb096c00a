"""Reading other people's annotation files: JSON, JSON lines, CSV and TSV, with the line in every error."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from mrbench.benchmark import ImageRoot
from mrbench.errors import BenchmarkError
from mrbench.files import canonical_json, sha256_file

_LONGEST = 1 << 24  # bytes of a line or characters of a cell: far beyond any caption, and not all of memory
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_LONE = re.compile(r"(?<!\\)(?:\\u[dD][89abAB]..(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB]..)\\u[dD][c-fC-F])")


def need_file(path: Path, *, hint: str | None = None) -> Path:
    """Return the path of a file that has to be there.

    Raises:
        BenchmarkError: It is not.
    """
    if not path.is_file():
        raise BenchmarkError("an annotation file is missing", where=path, hint=hint)
    return path


def open_bytes(path: Path) -> BinaryIO:
    """Open a file to read its bytes; one that ends in ``.gz`` is unpacked on the way."""
    return gzip.open(need_file(path), "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


def read_text(path: Path) -> str:
    """Return a whole text file: UTF-8, with or without a byte order mark, or UTF-16 with one.

    Raises:
        BenchmarkError: It is missing, damaged, or in another encoding.
    """
    need_file(path)
    try:
        with open_bytes(path) as stream:
            raw = stream.read()
    except (OSError, EOFError) as error:
        raise BenchmarkError(
            "a file cannot be read", where=path, got=str(error), hint="download the file again"
        ) from error
    encoding = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise _not_utf8(raw, error.start, f"{path}:{line}") from error


def lines_of(text: str) -> Iterator[str]:
    """Yield the lines of a text with their ends, which are a line feed, a carriage return, or both.

    :meth:`str.splitlines` also cuts at separators that captions hold, such as U+2028.

    >>> list(lines_of("one\\u2028two\\r\\nthree"))
    ['one\\u2028two\\r\\n', 'three']
    """
    yield from io.StringIO(text, newline="")


def _not_utf8(raw: bytes, at: int, where: str) -> BenchmarkError:
    """Return the error of bytes that are not UTF-8 from a place on, with the command that makes them so."""
    encoding = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in raw[:4] else "latin1"
    return BenchmarkError(
        "a file is not UTF-8",
        where=where,
        got=raw[max(0, at - 10) : at + 10],
        accepted="UTF-8",
        hint=f"iconv -f {encoding} -t utf-8 {shlex.quote(where.rpartition(':')[0])} > NEW",
    )


def read_json(path: Path) -> Any:
    """Return the value of a JSON file.

    Raises:
        BenchmarkError: It is missing, not JSON, or has a text that is not Unicode.
    """
    text = read_text(path)
    try:
        value = json.loads(text)
        if escape := _SURROGATE.search(text):
            at = (_LONE.search(text) or escape).start()
            check_unicode(value, f"{path}:{text.count(chr(10), 0, at) + 1}")
        return value
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 1)
        raise BenchmarkError(
            "a file is not JSON", where=f"{path}:{line}", got=str(error), accepted="JSON in UTF-8"
        ) from error


def read_jsonl(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield ``file:line`` and the object of every line that is not empty; the file is not held in memory.

    Raises:
        BenchmarkError: A line is not a JSON object, or not UTF-8.
    """
    need_file(path)
    with open_bytes(path) as stream:
        for number, raw in enumerate(_lines(stream, path), 1):
            where = f"{path}:{number}"
            value = json_line(raw, where)
            if value is not None:
                yield where, value


def json_line(raw: bytes, where: str) -> dict[str, Any] | None:
    """Return the object of a line, with or without a byte order mark; None of an empty one.

    Raises:
        BenchmarkError: It is not a JSON object, not UTF-8, too long, or has a text that is not Unicode.
    """
    if len(raw) > _LONGEST:
        raise BenchmarkError("a line is too long", where=where, got=len(raw), accepted=f"{_LONGEST} bytes")
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    if not raw.strip():
        return None
    if b"\0" in raw[:4]:
        raise _not_utf8(raw, 0, where)
    try:
        value = json.loads(raw.decode())
        if b"\\ud" in raw or b"\\uD" in raw:
            check_unicode(value, where)
    except UnicodeDecodeError as error:
        raise _not_utf8(raw, error.start, where) from error
    except (ValueError, RecursionError) as error:
        raise BenchmarkError("a line is not JSON", where=where, got=str(error), accepted="UTF-8 JSON") from error
    if not isinstance(value, dict):
        raise BenchmarkError(
            "a line is not a JSON object", where=where, got=type(value).__name__, accepted="{...} on each line"
        )
    return value


def check_unicode(value: Any, where: str) -> None:
    """Refuse a JSON value with a text that cannot be written, since it holds one half of a surrogate pair.

    Raises:
        BenchmarkError: It has one.
    """
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise BenchmarkError(
            "a text is not Unicode: it holds one half of a surrogate pair",
            where=where,
            got=error.object[max(0, error.start - 20) : error.start + 20],
            accepted="both halves, as in \\ud83d\\ude00, or the character itself",
        ) from error


def _lines(stream: BinaryIO, path: Path) -> Iterator[bytes]:
    try:
        yield from stream
    except (OSError, EOFError) as error:
        raise BenchmarkError(
            "a file cannot be read", where=path, got=str(error), hint="download the file again"
        ) from error


def read_table(
    path: Path, *, columns: list[str] | None = None, delimiter: str | None = None
) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield ``file:line`` and the cells of every row of a CSV or TSV file by column name.

    Cells may be quoted as RFC 4180 says, in TSV files too. The delimiter is a tab for ``.tsv`` and ``.txt``, else a
    comma, or a semicolon where the header has one and no comma.

    Args:
        path: The file.
        columns: Names of the columns of a file without a header; None takes them from its first line.
        delimiter: What stands between cells; None decides as said above.

    Raises:
        BenchmarkError: No header, a column twice, or a row of another number of cells.
    """
    text = read_text(path)
    header = text.partition("\n")[0]
    kind = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    if delimiter is None:
        delimiter = "\t" if kind in (".tsv", ".txt") else ";" if ";" in header and "," not in header else ","
    rows = csv.reader(lines_of(text), delimiter=delimiter, strict=True)
    try:
        names = columns or [name.strip() for name in _next_row(rows) or []]
        if not any(names):
            raise BenchmarkError("a table has no header", where=path, accepted="a first line with the names of columns")
        if len(set(names)) < len(names):
            raise BenchmarkError("a table has a column twice", where=path, got=names, accepted="each once")
        while True:
            where = f"{path}:{rows.line_num + 1}"
            cells = _next_row(rows)
            if cells is None:
                return
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(names):
                what = "a row has another number of cells than the header"
                raise BenchmarkError(what, where=where, got=len(cells), accepted=len(names))
            yield where, dict(zip(names, cells, strict=True))
    except csv.Error as error:
        accepted = 'a cell that begins with a quote ends with one, and quotes in it are doubled: """quoted"" word"'
        raise BenchmarkError(
            "a table cannot be read", where=f"{path}:{rows.line_num}", got=str(error), accepted=accepted
        ) from error


def _next_row(rows: Iterator[list[str]]) -> list[str] | None:
    """Return the next row of a table, whose cells may be long; None at its end.

    The limit of Python's reader belongs to the process, so it is put back at once.
    """
    before = csv.field_size_limit(_LONGEST)
    try:
        return next(rows, None)
    finally:
        csv.field_size_limit(before)


def field(row: Mapping[str, Any], name: str, where: str, *, kind: type | tuple[type, ...] = str) -> Any:
    """Return a value of a row.

    Raises:
        BenchmarkError: It is missing or of another type.
    """
    if name not in row:
        raise BenchmarkError("a value is missing", where=where, got=sorted(row)[:20], accepted=f"a key {name!r}")
    value = row[name]
    if not isinstance(value, kind) or isinstance(value, bool):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        accepted = " or ".join(k.__name__ for k in kinds)
        raise BenchmarkError("a value is of another type", where=f"{where}, {name}", got=value, accepted=accepted)
    return value


def files_digest(files: Iterable[Path], root: Path, options: Mapping[str, Any]) -> str:
    """Return a SHA-256 over the names and bytes of annotation files and over the options they are read with.

    Args:
        files: The files.
        root: The folder that their names are relative to.
        options: All else that decides what is read.
    """
    said = {
        str(path.relative_to(root) if path.is_relative_to(root) else path.name): sha256_file(path) for path in files
    }
    return hashlib.sha256(canonical_json({"files": said, "options": dict(options)}).encode()).hexdigest()


def content_digest(items: Iterable[Any], options: Mapping[str, Any]) -> str:
    """Return a SHA-256 over what was read, in its order, and over the options it was read with.

    For people's own tables, which may have absolute paths: two machines with the same data get the same digest, however
    their files are laid out and wherever they lie.

    Args:
        items: All that was read, ready for JSON; names of images are relative to the image root.
        options: All else that decides what is read.
    """
    digest = hashlib.sha256(canonical_json(dict(options)).encode())
    for item in items:
        digest.update(b"\n" + canonical_json(item).encode())
    return digest.hexdigest()


def images_below(default: Path, named: Path | None) -> ImageRoot:
    """Return where a source's images lie: below the folder that the user names, else below a default.

    Raises:
        BenchmarkError: The named folder is not there.
    """
    if named is not None and not named.is_dir():
        raise BenchmarkError(
            "the image folder is not there", where="--image-root", got=str(named), accepted="an existing folder"
        )
    return ImageRoot.below(named or default)


def plain_name(text: str) -> str:
    """Return a name made of letters, digits, ``_`` and ``.``, for tasks and corpora.

    >>> plain_name("CIRR val-1")
    'CIRR_val_1'
    """
    made = "".join(c if c.isascii() and (c.isalnum() or c in "_.") else "_" for c in text).strip("_.")
    return made[:100] or "data"
