"""``mrbench worst``: the queries that a model answers worst."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mrbench.cli.common import BenchmarkSpec, ImageRootOption, Json, print_json
from mrbench.cli.streams import say
from mrbench.errors import InputError


def worst(
    result: Annotated[Path, typer.Argument(metavar="RESULT", help="A folder of `evaluate`.", show_default=False)],
    spec: BenchmarkSpec,
    grain: Annotated[
        str | None,
        typer.Option(
            "--grain",
            help="A grain type: by margin over the candidate that loses it alone. [default: by rank of the answer]",
            show_default=False,
        ),
    ] = None,
    task: Annotated[str | None, typer.Option("--task", "-t", help="A task. [default: all]", show_default=False)] = None,
    number: Annotated[int, typer.Option("--number", "-n", min=1, help="Queries to show.")] = 20,
    sheet: Annotated[
        Path | None,
        typer.Option("--sheet", metavar="FILE.png", help="PNG to write, 30 queries at most.", show_default=False),
    ] = None,
    image_root: ImageRootOption = None,
    as_json: Json = False,
) -> None:
    """Show the queries that a model answers worst: the query, the right answer, and what is ranked above it.

    Example: mrbench worst results/scenes/conse scenes --grain count --sheet worst.png
    """
    from mrbench.files import write_atomic
    from mrbench.sources.open import open_benchmark
    from mrbench.words import one_line
    from mrbench.worst import draw_sheet, worst_queries, worst_text

    if sheet is not None and sheet.suffix.lower() != ".png":
        raise InputError("the sheet is a PNG", where="--sheet", got=str(sheet), accepted="a name that ends in .png")
    benchmark = open_benchmark(spec, image_root=image_root)
    found = worst_queries(result, benchmark, grain=grain, task=task, number=number)
    if sheet is not None:
        by = f"by margin of {grain}" if grain else "by rank of the right answer"
        write_atomic(sheet, draw_sheet(found, f"Worst queries of {one_line(result.resolve().name)}, {by}"))
    if as_json:
        print_json([one.to_json() for one in found])
        return
    say(worst_text(found))
    if sheet is not None:
        say(f"sheet: {sheet}")
