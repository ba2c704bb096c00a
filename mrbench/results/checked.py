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
_SHA256 = re.compile(r"[0-9a-f]{64}"), "a SHA-256 in small hexadecimal digits"
_FORMS = {
    "file": (re.compile(r"[^/\\\x00-\x1f<>]{1,200}\.json"), "the name of a JSON file in this folder"),
    "sha256": _SHA256,
    "run": _SHA256,
    "scores": (re.compile(r"\d{1,9}"), "a number from 0"),
    "mrbench": (re.compile(r"\d[0-9A-Za-z.+!-]{0,50}"), "a version"),
}


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
    where = f"{path}, line 1"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        _check_head(_json(lines[0]) if lines else None, path)
        found: dict[str, Checked] = {}
        for number, line in enumerate(lines[1:], start=2):
            where = f"{path}, line {number}"
            if line.strip():
                name, entry = _entry(_json(line))
                if name in found:
                    raise ValueError(f"a second line for {name}")
                found[name] = entry
    except (OSError, ValueError, RecursionError) as error:
        hint = f"git checkout {path}, or enter the evaluations again with mrbench leaderboard enter"
        raise ResultError("malformed file of checked results", where=where, got=str(error), hint=hint) from error
    return found


def write_checked(folder: Path, entries: Mapping[str, Checked]) -> None:
    """Write what is known of the results of a folder, by file name: a line for each."""
    head = {"format": FORMAT, "format_version": FORMAT_VERSION}
    lines = [head, *({"file": name, **asdict(entry)} for name, entry in sorted(entries.items()))]
    write_atomic(folder / CHECKED, "".join(json.dumps(line) + "\n" for line in lines))


def _json(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        raise ValueError(f"not JSON: {line[:60]!r}") from None


def _check_head(head: Any, path: Path) -> None:
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise ValueError(f'the first line is not {{"format": "{FORMAT}", "format_version": {FORMAT_VERSION}}}')
    version = head.get("format_version")
    if type(version) is not int or version < 1:
        raise ValueError(f"format_version is {version!r}, not a number from 1")
    if version > FORMAT_VERSION:
        hint = "pip install --upgrade mrbench"
        raise FormatVersionError("the file was written by a newer MRBench", where=path, got=version, hint=hint)


def _entry(part: Any) -> tuple[str, Checked]:
    """Return the name of the file that a line is about, and what it says.

    Raises:
        ValueError: A key is missing or unknown, or a value is not of the accepted form.
    """
    if not isinstance(part, dict) or part.keys() != _FORMS.keys():
        raise ValueError(f"a line holds {', '.join(_FORMS)}, and nothing else")
    for key, (form, said) in _FORMS.items():
        value = part[key]
        whole = type(value) is int if key == "scores" else isinstance(value, str)
        if not whole or not form.fullmatch(str(value)):
            raise ValueError(f"{key} is {value!r}, not {said}")
    return part.pop("file"), Checked(**part)
