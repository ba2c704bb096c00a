"""Data as scripts: a page that was opened from a folder may load a script, and may not fetch a file."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

_NAME = re.compile(r"[a-z0-9-]+(/[a-z0-9-]+)*")


def write_script(folder: Path, name: str, value: Any) -> None:
    """Write ``data/NAME.js``, which hands a value to the page under its name.

    The text is ASCII, so that no character of the data means anything to JavaScript.

    Args:
        folder: The folder of the site.
        name: Lower-case letters, digits, ``-`` and ``/``.
        value: What JSON can say.

    Raises:
        ValueError: Another name, or a number that JSON does not have.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"no name of a script: {name!r}")
    path = folder / "data" / f"{name}.js"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    path.write_text(f'mrbench.give("{name}",{text});\n', encoding="ascii")
