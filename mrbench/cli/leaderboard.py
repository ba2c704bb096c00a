"""``mrbench leaderboard``: turn result files into tables and a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mrbench.cli.common import ImageRootOption, Json, Overwrite, print_json
from mrbench.cli.streams import say


def leaderboard(
    results: Annotated[
        list[Path], typer.Argument(metavar="RESULT...", help="Result files, or folders that hold them.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write.")] = Path("leaderboard"),
    allow_limited: Annotated[
        bool, typer.Option("--allow-limited", help="Take results that were cut with --limit, and mark them.")
    ] = False,
    benchmarks: Annotated[
        list[str] | None,
        typer.Option(
            "--benchmarks",
            metavar="BENCHMARK",
            help="A benchmark of these results, whose queries the site then shows with what each run found; may be "
            "repeated. [default: no queries]",
            show_default=False,
        ),
    ] = None,
    pictures: Annotated[int, typer.Option("--pictures", min=0, help="Most pictures to write for a benchmark.")] = 4000,
    image_root: ImageRootOption = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Turn result files into Markdown, CSV, LaTeX and a site that opens without a server.

    Example: mrbench leaderboard results --output leaderboard
    """
    from mrbench.leaderboard import boards, find_runs, publish, read_reported, read_results, terminal
    from mrbench.sources.open import open_benchmark

    read = read_results(results)
    published = publish(
        read,
        output,
        overwrite=overwrite,
        allow_limited=allow_limited,
        benchmarks=[open_benchmark(spec, image_root=image_root) for spec in benchmarks or []],
        runs=find_runs(results) if benchmarks else [],
        reported=read_reported(results),
        pictures=pictures,
    )
    if as_json:
        print_json({name: str(path) for name, path in published.items()})
        return
    for board in boards(read, allow_limited=allow_limited):
        say(terminal(board))
    say(f"page: {published['html'].absolute()}")
