"""Writing files so that nothing is lost or half-written, and hashing them."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mrbench.errors import FormatVersionError, MRBenchError, OutputError


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes as 64 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def canonical_json(value: Any) -> str:
    """Return the one JSON text that this value has: sorted keys, no white space, UTF-8, no NaN.

    >>> canonical_json({"b": [1, "é"], "a": None})
    '{"a":null,"b":[1,"é"]}'
    """
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def no_file(look: Callable[[], os.stat_result]) -> bool:
    """Whether there is something at a path, and no file; looked at once, as others may write and remove it meanwhile.

    Args:
        look: The path's ``stat``, or ``lstat`` where a link is no file.
    """
    try:
        return not stat.S_ISREG(look().st_mode)
    except OSError:
        return False


def write_atomic(path: Path, data: str | bytes) -> None:
    """Write a whole file or nothing: temporary name, fsync, rename.

    Raises:
        OutputError: The folder is missing or read-only, or the disk is full.
    """
    if no_file(path.lstat):
        raise OutputError("the output is not a plain file", where=path, accepted="a new file")
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as stream:
            stream.write(data.encode() if isinstance(data, str) else data)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        raise output_error(error, path) from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def write_json_atomic(path: Path, value: Any) -> None:
    """Write JSON for people and programs: two spaces, sorted keys, lists of plain values in a line, a final newline."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    # A line break never stands inside a string of JSON, so this touches nothing but layout.
    text = re.sub(r"\[\n\s+[^\[\]{}]*?\n\s+\]", _in_one_line, text)
    write_atomic(path, text + "\n")


def _in_one_line(found: re.Match[str]) -> str:
    return "[" + re.sub(r"\n *", " ", found[0][1:-1]).strip() + "]"


def read_versioned_json(path: Path, *, what: str, name: str, newest: int, error: type[MRBenchError]) -> dict[str, Any]:
    """Read a JSON object that states its format and version.

    Args:
        what: What the file is, for messages.
        name: The value of ``format`` that it has to have.
        newest: The newest ``format_version`` that this version of MRBench reads.
        error: What to raise when the file is not such an object.

    Raises:
        MRBenchError: ``error``, when the file cannot be read, is not JSON (NaN is not) or of another format.
        FormatVersionError: Written by a newer version of MRBench.
    """
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
    """Say in one line why this path could not be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError("disk full, nothing was written", where=path, hint="free space, or choose another folder")
    return OutputError(f"cannot write: {error.strerror or error}", where=path)


@contextmanager
def replaced_folder(target: Path, *, marker: str, overwrite: bool) -> Iterator[Path]:
    """Yield an empty temporary folder that takes the place of ``target`` when the block succeeds.

    On any failure, and on Ctrl-C, the temporary folder is removed and ``target`` is as it was.

    Args:
        target: The folder to create or replace.
        marker: Name of the file by which a folder is recognised as ours.
        overwrite: Whether a folder of ours may be replaced. A foreign folder never is.

    Raises:
        OutputError: The target exists and may not be replaced, or the disk is full.
    """
    target = target.absolute()
    check_replaceable(target, marker=marker, overwrite=overwrite)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.partial-"))
    except OSError as error:
        raise output_error(error, target) from error
    try:
        yield temporary
        for path in sorted(temporary.rglob("*")):
            if path.is_file():
                with path.open("rb") as stream:
                    os.fsync(stream.fileno())
        os.chmod(temporary, 0o755)  # noqa: S103 - mkdtemp makes it private; a benchmark is for sharing
        check_replaceable(target, marker=marker, overwrite=overwrite)  # another run may have finished meanwhile
        _swap(temporary, target)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EFBIG):
            raise output_error(error, target) from error
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_replaceable(target: Path, *, marker: str, overwrite: bool) -> None:
    """Raise :class:`OutputError` unless ``target`` is free, empty, or ours and to be overwritten."""
    if target.resolve() == Path.cwd():
        raise OutputError("the output is the current folder", where=target, accepted="a folder of its own")
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise OutputError("the output is not a folder", where=target, accepted="a new or empty folder")
    if not target.exists() or not any(target.iterdir()):
        return
    if not _wrote(target / marker):
        raise OutputError(
            "the output folder holds something that MRBench did not write, and is left alone",
            where=target,
            accepted=f"a new or empty folder, or one with {marker}",
        )
    if not overwrite:
        raise OutputError("the output folder exists", where=target, hint="add --overwrite, or choose another --output")


def _wrote(marker: Path) -> bool:
    """Whether MRBench wrote this file: JSON whose ``format`` begins with our name."""
    try:
        raw = json.loads(marker.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(raw, dict) and str(raw.get("format", "")).startswith("mrbench")


def _swap(temporary: Path, target: Path) -> None:
    if not target.exists():
        os.rename(temporary, target)
        return
    old = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.old-"))
    os.rename(target, old / "folder")
    try:
        os.rename(temporary, target)
    except BaseException:
        os.rename(old / "folder", target)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)
