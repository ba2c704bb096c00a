"""Reading JSON Lines that a user wrote: whole, checked, with the line in every message."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mrbench.errors import InputError


def read_lines(path: Path, accepted: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the objects of a file with their places (``file:line``); blank lines are skipped.

    Args:
        path: A file of JSON Lines in UTF-8.
        accepted: What a line has to be, for messages.

    Raises:
        InputError: The file cannot be read, is not UTF-8, is empty, or a line is no JSON object.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(
            "cannot read the file", where=path, got=error.strerror, accepted="a JSON Lines file"
        ) from error
    found = []
    for number, line in enumerate(raw.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if line.strip():
            where = f"{path}:{number}"
            found.append((where, _object(line, where, accepted)))
    if not found:
        raise InputError("the file has no lines", where=path, accepted=f"lines {accepted}")
    return found


def _object(line: bytes, where: str, accepted: str) -> dict[str, Any]:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError("the line is not UTF-8", where=where, got=str(error), accepted="UTF-8") from error
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError("the line is not JSON", where=where, got=text[:80], accepted=accepted) from error
    if not isinstance(value, dict):
        raise InputError("the line is not a JSON object", where=where, got=text[:80], accepted=accepted)
    return value


def text_of(record: dict[str, Any], key: str, where: str, accepted: str) -> str:
    """Return a text of a line.

    Raises:
        InputError: The key is missing, or its value is no text.
    """
    if key not in record:
        raise InputError(f'no key "{key}"', where=where, got=sorted(record), accepted=accepted)
    return _text(record[key], key, where)


def texts_of(record: dict[str, Any], key: str, where: str, accepted: str) -> list[str]:
    """Return one text or a list of them.

    Raises:
        InputError: The key is missing, or its value is neither.
    """
    value = record.get(key)
    if isinstance(value, list):
        return [_text(part, key, where) for part in value]
    return [text_of(record, key, where, accepted)]


def _text(value: Any, key: str, where: str) -> str:
    from mrbench.grains import MAX_CHARACTERS

    if not isinstance(value, str):
        raise InputError(f'"{key}" is no text', where=where, got=value, accepted="a text in quotation marks")
    if len(value) > MAX_CHARACTERS:
        got = f"{len(value)} characters"
        raise InputError(f'"{key}" is too long', where=where, got=got, accepted=f"at most {MAX_CHARACTERS} characters")
    return value
