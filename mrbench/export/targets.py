"""Where exports go: folders and files that are replaced only where an export wrote them, and names that are safe."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mrbench.errors import OutputError, ResultError
from mrbench.files import absent_content, short_name, write_atomic, write_json_atomic
from mrbench.folders import FolderKind, replaced_folder
from mrbench.results import Result

MARKER = "mrbench-export.json"
_UNSAFE = re.compile(r"[^A-Za-z0-9._+:-]")
_LONGEST = 120


@contextmanager
def exported_folder(target: Path, what: str, holds: str, *, overwrite: bool) -> Iterator[Path]:
    """Yield an empty folder that takes the place of ``target`` when the block succeeds; it gets our marker file.

    Args:
        target: The folder to write.
        what: The format, written into the marker.
        holds: Regular expression of the paths that an export of this format may contain.
        overwrite: Whether an earlier export may be replaced.

    Raises:
        OutputError: The folder holds what no export of this format wrote, or cannot be written.
    """
    kind = FolderKind(MARKER, rf"{re.escape(MARKER)}|{holds}")
    with replaced_folder(target, kind, overwrite=overwrite) as folder:
        yield folder
        write_json_atomic(folder / MARKER, {"format": "mrbench-export", "format_version": 1, "kind": what})


def write_text(path: Path, text: str, signature: str, *, overwrite: bool) -> None:
    """Write a file that begins with a signature; an older file is replaced only if it begins with the same one.

    Raises:
        OutputError: The file is there and is not ours, or is and may not be replaced, or cannot be written.
    """
    if absent := absent_content(path):
        raise OutputError(f"the output is {absent}", where=path, accepted="a new file", hint="choose another --output")
    if path.is_file():
        with path.open("rb") as stream:
            ours = stream.read(len(signature.encode())) == signature.encode()
        if not ours:
            what = "the output is a file that no export wrote, and is left alone"
            raise OutputError(what, where=path, accepted="a new file", hint="choose another --output")
        if not overwrite:
            raise OutputError("the output file exists", where=path, hint="add --overwrite, or choose another --output")
    write_atomic(path, text)


def safe_name(text: str) -> str:
    """Return a text as the name of a file: without separators, spaces or a leading dot, and not too long.

    >>> safe_name("../a b"), safe_name("sha256:0f"), safe_name("org/name")
    ('_.__a_b', 'sha256:0f', 'org__name')
    """
    name = _UNSAFE.sub("_", text.replace("/", "__"))
    if name.startswith(".") or not name:
        name = "_" + name[1:]
    return short_name(name, _LONGEST)


def hub_name(result: Result) -> str:
    """Return the name of a model as ORG/NAME; the organisation is ``local`` if the model has none."""
    name = str(result.model["name"])
    return name if "/" in name.strip("/") else f"local/{name}"


def check_whole(results: Sequence[Result]) -> None:
    """Raise for a result that was cut: only whole results are exported.

    Raises:
        ResultError: A result was cut with ``--limit``.
    """
    for result in results:
        if result.limit is not None:
            raise ResultError(
                "a result that was cut with --limit is not exported",
                where=f"{result.model['name']} on {result.benchmark['name']}",
                got=f"{result.limit} queries per task",
                hint="evaluate without --limit",
            )
