"""Writes files whole or not at all, reads JSON, and hashes files. For folders see :mod:`mrbench.folders`."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mrbench.errors import FormatVersionError, MRBenchError, OutputError


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes as 64 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def canonical_json(value: Any) -> str:
    """Return the canonical JSON of a value: sorted keys, no white space, UTF-8, no NaN.

    >>> canonical_json({"b": [1, "é"], "a": None})
    '{"a":null,"b":[1,"é"]}'
    """
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def no_file(look: Callable[[], os.stat_result]) -> bool:
    """Return whether something other than a regular file is at a path. It looks once, since files may come and go.

    Args:
        look: The path's ``stat``, or ``lstat`` if a link does not count as a file.
    """
    try:
        return not stat.S_ISREG(look().st_mode)
    except OSError:
        return False


FETCH = "fetch the content, for example with git lfs pull, git annex get or dvc pull"
_LONGEST_POINTER, _LONGEST_NAME = 1024, 200  # bytes
_POINTERS = (b"version https://git-lfs.github.com/spec/", b"/annex/objects/")


def absent_content(path: Path) -> str | None:
    """Return the reason why a file's content is missing: a dangling link, or a pointer of Git LFS or git-annex.

    Returns:
        A clause for a message; None if the content is there, if there is no file, or if it cannot be read.
    """
    try:
        if path.stat().st_size > _LONGEST_POINTER or not path.is_file():
            return None
        with path.open("rb") as stream:
            start = stream.read(max(map(len, _POINTERS)))
    except (FileNotFoundError, NotADirectoryError):
        link = next((part for part in (path, *path.parents) if part.is_symlink() and not part.exists()), None)
        return None if link is None else f"a link to what is not there ({link.readlink()})"
    except OSError as error:
        return "a link that leads to itself" if error.errno == errno.ELOOP else None
    return absent_bytes(start)


def absent_bytes(data: bytes) -> str | None:
    """Return a clause for a message if the bytes are a pointer of Git LFS or git-annex to their content; else None.

    >>> absent_bytes(b"version https://git-lfs.github.com/spec/v1")
    'a pointer without its content'
    """
    return "a pointer without its content" if data.startswith(_POINTERS) else None


def walk_files(folder: Path, *, hidden: bool = False) -> Iterator[Path]:
    """Yield all files below a folder in the order of their names; with ``hidden``, hidden files and folders too.

    Links are followed, and each folder is entered once. A dangling link is yielded like a file.

    Raises:
        OSError: A folder cannot be read.
    """
    entered: set[str] = set()

    def walk(part: Path) -> Iterator[Path]:
        real = os.path.realpath(part)
        entered.add(real)
        for path in sorted(part.iterdir()):
            if path.name.startswith(".") and not hidden:
                continue
            if not path.is_dir():
                yield path
                continue
            leads = os.path.realpath(path)
            if leads not in entered and not Path(real).is_relative_to(leads):
                yield from walk(path)

    yield from walk(folder)


def write_atomic(path: Path, data: str | bytes) -> None:
    """Write a file whole or not at all: under a temporary name, with fsync, then renamed.

    Raises:
        OutputError: The folder is missing or read-only, or the disk is full.
    """
    if no_file(path.lstat):
        hint = "choose another --output"
        raise OutputError("the output is not a regular file", where=path, accepted="a new file", hint=hint)
    temporary: Path | None = None
    try:
        handle, temporary = _temporary(path)
        with os.fdopen(handle, "wb") as stream:
            stream.write(data.encode() if isinstance(data, str) else data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        raise output_error(error, path) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def temporary_name(path: Path, kind: str = "") -> Path:
    """Return a new hidden name beside a path. It is cut if it would be longer than 255 bytes.

    >>> temporary_name(Path("a/out"), "partial-").name[:13]
    '.out.partial-'
    """
    return path.parent / f".{short_name(path.name)}.{kind}{secrets.token_hex(4)}"


def short_name(name: str, longest: int = _LONGEST_NAME) -> str:
    """Return a name that leaves room for a prefix and a suffix: a long name is cut and gets a digest.

    Args:
        name: The name.
        longest: Most bytes of the result, more than 17.

    >>> short_name("out")
    'out'
    """
    if len(os.fsencode(name)) <= longest:
        return name
    digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:16]
    return os.fsencode(name)[: longest - 17].decode(errors="ignore") + f"-{digest}"


def _temporary(path: Path) -> tuple[int, Path]:
    """Return the handle and path of a new file beside ``path``. It tries again if another process removes the folder.

    Its mode is 666 minus the umask, as for any new file.
    """
    for left in range(9, -1, -1):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = temporary_name(path)
        try:
            return os.open(
                temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0), 0o666
            ), temporary
        except (FileNotFoundError, FileExistsError):
            if not left:
                raise
    raise AssertionError


def write_json_atomic(path: Path, value: Any) -> None:
    """Write JSON with an indent of two spaces, sorted keys, lists of plain values on one line, and a final newline."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    # A line break never stands inside a string of JSON, so this touches nothing but layout.
    text = re.sub(r"\[\n\s+[^\[\]{}]*?\n\s+\]", _in_one_line, text)
    write_atomic(path, text + "\n")


def _in_one_line(found: re.Match[str]) -> str:
    return "[" + re.sub(r"\n *", " ", found[0][1:-1]).strip() + "]"


def read_versioned_json(path: Path, *, what: str, name: str, newest: int, error: type[MRBenchError]) -> dict[str, Any]:
    """Read a JSON object that states its format and version.

    Args:
        what: The kind of file, for messages.
        name: The required value of ``format``.
        newest: The newest ``format_version`` that this version of MRBench reads.
        error: The error to raise if the file is not such an object.

    Raises:
        MRBenchError: ``error``, if the file cannot be read, is not JSON (NaN is not JSON), or has another format.
        FormatVersionError: Written by a newer version of MRBench.
    """
    if absent := absent_content(path):
        raise error(absent, where=path, hint=FETCH)
    try:
        raw = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_constant)
    except (OSError, ValueError, RecursionError) as reason:
        raise error(f"unreadable {what}", where=path, got=str(reason), accepted="a JSON object") from reason
    if not isinstance(raw, dict) or raw.get("format") != name:
        raise error(f"not a {what} of MRBench", where=path, accepted=f'"format": "{name}"')
    version = raw.get("format_version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise error("malformed format version", where=path, got=version, accepted=f"1 to {newest}")
    if version > newest:
        raise FormatVersionError(
            f"the {what} was written by a newer MRBench",
            where=path,
            got=version,
            accepted=f"1 to {newest}",
            hint="pip install --upgrade mrbench",
        )
    return raw


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def output_error(error: OSError, path: Path) -> OutputError:
    """Return the error that says in one line why a path cannot be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError("disk full, nothing was written", where=path, hint="free space, or choose another folder")
    at = error.filename if isinstance(error.filename, str) and error.filename != str(path) else None
    what, hint = f"cannot write: {error.strerror or error}" + (f" at {at}" if at else ""), "choose another folder"
    return OutputError(what, where=path, hint=hint)
