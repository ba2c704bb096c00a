"""Which committed results were computed again from their runs: a file beside them, with a digest of each.

A run takes megabytes and stays out of a repository. What is committed is the result, and the word of whoever had both:
this file. A result that was changed afterwards has another digest, so the word no longer holds for it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mrbench.errors import FormatVersionError, ResultError
from mrbench.files import write_atomic

CHECKED = "checked.jsonl"
FORMAT = "mrbench-checked"
FORMAT_VERSION = 1
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Checked:
    """What is known of a committed result.

    Attributes:
        sha256: Of the result file.
        run: SHA-256 of the ``run.json`` that its scores were computed from, which holds the digests of all tables.
        scores: How many scores were computed again.
        mrbench: The version that did it.
    """

    sha256: str
    run: str
    scores: int
    mrbench: str


def read_checked(folder: Path) -> dict[str, Checked]:
    """Return what a folder says of its results, by file name; nothing where it has no such file.

    Raises:
        ResultError: The file is malformed.
        FormatVersionError: It was written by a newer version of MRBench.
    """
    path = folder / CHECKED
    if not path.is_file():
        return {}
    try:
        head, *lines = map(json.loads, path.read_text(encoding="utf-8").splitlines())
        if head["format"] != FORMAT:
            raise ValueError(f"the first line does not say {FORMAT}")
        if head["format_version"] > FORMAT_VERSION:
            hint = "pip install --upgrade mrbench"
            raise FormatVersionError(
                "the file was written by a newer MRBench", where=path, got=head["format_version"], hint=hint
            )
        return {str(line.pop("file")): _entry(line) for line in lines}
    except (OSError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        got = f"{type(error).__name__}: {error}"
        raise ResultError("malformed file of checked results", where=path, got=got) from error


def write_checked(folder: Path, entries: Mapping[str, Checked]) -> None:
    """Write what is known of the results of a folder, by file name: a line for each."""
    head = {"format": FORMAT, "format_version": FORMAT_VERSION}
    lines = [head, *({"file": name, **asdict(entry)} for name, entry in sorted(entries.items()))]
    write_atomic(folder / CHECKED, "".join(json.dumps(line) + "\n" for line in lines))


def _entry(part: dict[str, Any]) -> Checked:
    entry = Checked(**part)
    if not (_SHA256.fullmatch(entry.sha256) and _SHA256.fullmatch(entry.run)):
        raise ValueError("a digest is not a SHA-256")
    if type(entry.scores) is not int or not isinstance(entry.mrbench, str):
        raise TypeError("scores is a number, mrbench a version")
    return entry
