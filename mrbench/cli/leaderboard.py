"""``mrbench leaderboard``: turn result files into tables and a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mrbench.cli.common import Json, Overwrite, print_json
from mrbench.cli.streams import say


def leaderboard(
    results: Annotated[
        list[Path], typer.Argument(metavar="RESULT...", help="Result files, or folders that hold them.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write.")] = Path("leaderboard"),
    allow_limited: Annotated[
        bool, typer.Option("--allow-limited", help="Take results that were cut with --limit, and mark them.")
    ] = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Turn result files into Markdown, CSV and a page that opens without a server.

    Example: mrbench leaderboard results --output leaderboard
    """
    from mrbench.leaderboard import boards, publish, read_results, terminal

    read = read_results(results)
    published = publish(read, output, overwrite=overwrite, allow_limited=allow_limited)
    if as_json:
        print_json({name: str(path) for name, path in published.items()})
        return
    for board in boards(read, allow_limited=allow_limited):
        say(terminal(board))
    say(f"page: {published['html'].absolute()}")
