"""Write a leaderboard: Markdown, CSV, JSON, LaTeX and a site, all or nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mrbench.folders import FolderKind, replaced_folder
from mrbench.leaderboard.audits import Audit
from mrbench.leaderboard.csv_file import render_csv
from mrbench.leaderboard.latex import render_latex
from mrbench.leaderboard.markdown import render_markdown
from mrbench.leaderboard.reported import Reported
from mrbench.leaderboard.standings import boards_with_results
from mrbench.results import Result

if TYPE_CHECKING:
    from mrbench.benchmark import Benchmark

FORMAT = "mrbench-leaderboard"
FORMAT_VERSION = 2
FILES = {
    "html": "index.html",
    "markdown": "leaderboard.md",
    "csv": "leaderboard.csv",
    "json": "leaderboard.json",
    "latex": "leaderboard.tex",
}
_SITE = (
    r"(grains|explore|compare|method)\.html|models/[a-z0-9-]+\.html|assets/[a-z]+\.(css|js|svg)"
    r"|data/[a-z0-9/-]+\.js|pictures/[0-9a-f]{2}/[0-9a-f]{32}\.(png|jpg|webp)"
)
FOLDER = FolderKind(FILES["json"], "|".join((*map(re.escape, FILES.values()), _SITE)))
PICTURES = 4000
"""Most pictures that are written for a benchmark."""


def publish(
    results: Sequence[Result],
    output: str | Path,
    *,
    overwrite: bool = False,
    allow_limited: bool = False,
    benchmarks: Sequence[Benchmark] = (),
    runs: Sequence[Path] = (),
    reported: Sequence[Reported] = (),
    audits: Mapping[str, Audit] | None = None,
    pictures: int = PICTURES,
) -> dict[str, Path]:
    """Write the leaderboard of these results; the same results give the same bytes.

    Args:
        results: One or more, in any order.
        output: The folder to create.
        overwrite: Whether an older leaderboard may be replaced.
        allow_limited: Take results that were cut with ``--limit``.
        benchmarks: Benchmarks of these results, whose queries the site then shows.
        runs: Folders of runs; those of these results and benchmarks say what each model found.
        reported: What others report, shown apart.
        audits: Audits of benchmarks by digest.
        pictures: Most pictures that are written for a benchmark. Those in files of their own are shown from there.

    Returns:
        The path of each file: ``html``, ``markdown``, ``csv``, ``json``, ``latex``.

    Raises:
        ResultError: See :func:`mrbench.leaderboard.boards`; or a run that was altered.
        OutputError: The folder is not ours, holds other files too, or cannot be written.
    """
    from mrbench.leaderboard.site.write import write_site  # jinja2 only when pages are written

    output = Path(output)
    made = boards_with_results(results, allow_limited=allow_limited)
    boards = [board for board, _ in made]
    texts = {
        "markdown": render_markdown(boards),
        "csv": render_csv(boards),
        "json": _json([asdict(board) for board in boards]),
        "latex": render_latex(boards),
    }
    with replaced_folder(output, FOLDER, overwrite=overwrite) as folder:
        for kind, text in texts.items():
            (folder / FILES[kind]).write_bytes(text.encode())
        write_site(
            folder,
            output,
            made,
            benchmarks=benchmarks,
            runs=runs,
            reported=reported,
            audits=audits or {},
            pictures=pictures,
        )
    return {kind: output / name for kind, name in FILES.items()}


def _json(boards_: list[dict[str, Any]]) -> str:
    value = {"format": FORMAT, "format_version": FORMAT_VERSION, "boards": boards_}
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
