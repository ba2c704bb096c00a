"""Write a leaderboard: Markdown, CSV, JSON and a page, all or nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mrbench.folders import FolderKind, replaced_folder
from mrbench.leaderboard.csv_file import render_csv
from mrbench.leaderboard.markdown import render_markdown
from mrbench.leaderboard.standings import boards
from mrbench.results import Result

FORMAT = "mrbench-leaderboard"
FORMAT_VERSION = 1
FILES = {"html": "index.html", "markdown": "leaderboard.md", "csv": "leaderboard.csv", "json": "leaderboard.json"}
FOLDER = FolderKind(FILES["json"], "|".join(map(re.escape, FILES.values())))


def publish(
    results: Sequence[Result], output: str | Path, *, overwrite: bool = False, allow_limited: bool = False
) -> dict[str, Path]:
    """Write the leaderboard of these results; the same results give the same bytes.

    Args:
        results: One or more, in any order.
        output: The folder to create.
        overwrite: Whether an older leaderboard may be replaced.
        allow_limited: Take results that were cut with ``--limit``.

    Returns:
        The path of each file: ``html``, ``markdown``, ``csv``, ``json``.

    Raises:
        ResultError: See :func:`mrbench.leaderboard.boards`.
        OutputError: The folder is not ours, holds other files too, or cannot be written.
    """
    from mrbench.leaderboard.html import render_html  # jinja2 only when a page is written

    output = Path(output)
    made = boards(results, allow_limited=allow_limited)
    texts = {
        "html": render_html(made),
        "markdown": render_markdown(made),
        "csv": render_csv(made),
        "json": _json([asdict(board) for board in made]),
    }
    with replaced_folder(output, FOLDER, overwrite=overwrite) as folder:
        for kind, text in texts.items():
            (folder / FILES[kind]).write_bytes(text.encode())
    return {kind: output / name for kind, name in FILES.items()}


def _json(boards_: list[dict[str, Any]]) -> str:
    value = {"format": FORMAT, "format_version": FORMAT_VERSION, "boards": boards_}
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
