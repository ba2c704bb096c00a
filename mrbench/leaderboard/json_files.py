"""JSON files of one format among files and below folders: audits, and numbers that others report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from mrbench.files import walk_files


def files_of_format(paths: Sequence[Path], name: str) -> list[Path]:
    """Return the ``*.json`` files that say they have a format, each file once, in the order of the paths.

    A file that cannot be read or parsed is left out: the reader of results says what is wrong with it.
    """
    files = [file for path in paths for file in (walk_files(path) if path.is_dir() else [path])]
    once = {file.resolve(): file for file in files if file.suffix == ".json"}
    return [file for file in once.values() if _format(file) == name]


def _format(file: Path) -> object:
    """Return what a JSON file says its format is, None where it says nothing."""
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return raw.get("format") if isinstance(raw, dict) else None
