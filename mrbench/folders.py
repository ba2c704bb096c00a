"""Writes folders whole or not at all; a new folder may replace an older one that MRBench wrote."""

from __future__ import annotations

import ctypes
import errno
import glob
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from mrbench.errors import OutputError, command_line
from mrbench.files import absent_content, output_error, short_name, temporary_name

try:
    import fcntl
except ImportError:  # Windows has no locks: there the leftovers of killed runs stay
    fcntl = None  # type: ignore[assignment]

_MOUNTS = Path("/proc/self/mountinfo")
_HERE, _EXCHANGE = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of Linux


@dataclass(frozen=True, slots=True)
class FolderKind:
    """A kind of folder that MRBench writes.

    Attributes:
        marker: Name of the file by which it is recognised: JSON whose ``format`` begins with our name.
        holds: Regular expression of the paths that MRBench writes there, with ``/`` between their parts. A folder with
            any other path is never replaced.
        option: Option of the command line that names the folder, for messages.
    """

    marker: str
    holds: str
    option: str = "--output"


@contextmanager
def replaced_folder(target: Path, kind: FolderKind, *, overwrite: bool) -> Iterator[Path]:
    """Yield an empty temporary folder that becomes ``target`` when the block succeeds.

    On a failure or Ctrl-C, the temporary folder is removed and ``target`` stays as it was. If the process is killed,
    ``target`` is the old or the new folder, and the next run removes the leftovers beside it.

    Args:
        target: The folder to create or replace, or a link to it. The umask decides its mode.
        kind: The kind of folder.
        overwrite: Whether a folder that MRBench wrote may be replaced. One that holds something else never is.

    Raises:
        OutputError: The target exists and may not be replaced, or the disk is full.
    """
    check_replaceable(target, kind, overwrite=overwrite)
    target = _real(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(target)
        temporary, handle = _temporary(target)
    except OSError as error:
        raise output_error(error, target) from error
    try:
        yield temporary
        for path in sorted(temporary.rglob("*")):
            if path.is_file():
                with path.open("rb") as stream:
                    os.fsync(stream.fileno())
        check_replaceable(target, kind, overwrite=overwrite)  # another run may have finished meanwhile
        _swap(temporary, target)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EFBIG):
            raise output_error(error, target) from error
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if handle is not None:
            os.close(handle)


def check_replaceable(target: Path, kind: FolderKind, *, overwrite: bool) -> None:
    """Raise :class:`OutputError` unless ``target`` is missing, empty, or MRBench's own and may be overwritten."""
    other_folder = f"choose another {kind.option}"
    if os.path.realpath(target) == os.path.realpath(os.curdir):
        hint = command_line(kind.option, target / "NAME")
        raise OutputError("the output is the current folder", where=target, accepted="a folder of its own", hint=hint)
    if absent := absent_content(target) if target.is_symlink() else None:
        raise OutputError(f"the output is {absent}", where=target, accepted="a new or empty folder", hint=other_folder)
    if target.exists() and not target.is_dir():
        raise OutputError(
            "the output is not a folder", where=target, accepted="a new or empty folder", hint=other_folder
        )
    if _mounted(_real(target)):
        what, hint = "the output is a mount point, which cannot be replaced", command_line(kind.option, target / "NAME")
        raise OutputError(what, where=target, accepted="a folder inside it", hint=hint)
    if not target.exists() or not any(target.iterdir()):
        return
    if not _wrote(target / kind.marker):
        if any(_wrote(child / kind.marker) for child in target.iterdir()):
            raise OutputError(
                "the output folder holds the outputs of other runs, and is left alone",
                where=target,
                accepted="a folder of its own",
                hint=f"{command_line(kind.option, target / 'NAME')} puts the new one beside them",
            )
        raise OutputError(
            "the output folder holds something that MRBench did not write, and is left alone",
            where=target,
            accepted=f"a new or empty folder, or one with {kind.marker}",
            hint=other_folder,
        )
    other = _not_ours(target, kind)
    if other is not None:
        raise OutputError(
            "the output folder holds something else beside what MRBench wrote, and is left alone",
            where=target,
            got=other,
            hint=f"move it away, or choose another {kind.option}",
        )
    if not overwrite:
        hint = f"add --overwrite, or choose another {kind.option}"
        raise OutputError("the output folder exists", where=target, hint=hint)


def _real(target: Path) -> Path:
    """Return the real path of a folder that may not exist yet, with links resolved."""
    return Path(os.path.realpath(target))


def _mounted(folder: Path) -> bool:
    """Return whether a file system or a folder is mounted here, as is common in containers."""
    if os.path.ismount(folder):
        return True
    try:
        lines = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:  # not on Linux
        return False
    return str(folder) in (re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), line.split()[4]) for line in lines)


def check_writable(target: Path) -> None:
    """Raise :class:`OutputError` unless ``target`` can be created. Call it before long work."""
    target = _real(target)
    above = next(path for path in target.parents if os.path.lexists(path))
    try:
        made = temporary_name(above / target.name, "partial-")
        made.mkdir()
        with suppress(FileNotFoundError):  # another run may take it for a leftover
            made.rmdir()
    except OSError as error:
        raise output_error(error, target) from error


def _wrote(marker: Path) -> bool:
    """Return whether MRBench wrote this file: JSON whose ``format`` begins with our name."""
    try:
        raw = json.loads(marker.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(raw, dict) and str(raw.get("format", "")).startswith("mrbench")


def _not_ours(folder: Path, kind: FolderKind) -> str | None:
    """Return the first path in a folder that does not belong to its kind (a file, link or empty folder), or None."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_dir() and not path.is_symlink():
            ours = any(path.iterdir())  # what is in it is looked at
        else:
            ours = not path.is_symlink() and re.fullmatch(kind.holds, name) is not None
        if not ours:
            return name
    return None


def _temporary(target: Path) -> tuple[Path, int | None]:
    """Return a new folder beside ``target``, and the lock that shows other runs that it is in use."""
    while True:
        made = temporary_name(target, "partial-")
        made.mkdir()
        try:
            handle = _hold(made)
        except (BlockingIOError, FileNotFoundError):
            continue  # another run took it for a leftover and removed it
        if made.exists():
            return made, handle
        if handle is not None:
            os.close(handle)


def _remove_leftovers(target: Path) -> None:
    """Remove the leftovers of killed runs beside ``target``: temporary folders that no process has locked."""
    for left in target.parent.glob(f".{glob.escape(short_name(target.name))}.partial-????????"):
        try:
            handle = _hold(left)
        except OSError:
            continue
        if handle is not None:
            shutil.rmtree(left, ignore_errors=True)
            os.close(handle)


def _hold(folder: Path) -> int | None:
    """Lock a folder until the returned handle is closed or this process ends.

    Returns:
        The handle; None if the system has no locks.

    Raises:
        BlockingIOError: Another process has locked it.
    """
    if fcntl is None:
        return None
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        if isinstance(error, BlockingIOError):
            raise
        return None  # a file system without locks
    return handle


def _swap(temporary: Path, target: Path) -> None:
    """Replace ``target`` by ``temporary``. The old folder is then removed, or has the temporary name."""
    if not target.exists():
        os.rename(temporary, target)
        return
    if _exchange(temporary, target):
        return
    old = temporary_name(target, "old-")
    old.mkdir()
    try:
        os.rename(target, old / "folder")  # a run that is killed here leaves the old folder there
        try:
            os.rename(temporary, target)
        except BaseException:
            os.rename(old / "folder", target)
            raise
        shutil.rmtree(old / "folder", ignore_errors=True)
    finally:
        with suppress(OSError):  # the old folder is still in it
            old.rmdir()


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in one step; return False if the system or the file system cannot."""
    rename = getattr(ctypes.CDLL(None), "renameat2", None) if os.name == "posix" else None
    return rename is not None and rename(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0
