"""``mrbench export``: benchmarks for other harnesses, and results for elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mrbench.cli import export_results
from mrbench.cli.common import Json, Overwrite, print_json
from mrbench.cli.streams import say

app = typer.Typer(help="Write results, or a benchmark, in the formats of other tools.", no_args_is_help=True)


@app.command("mteb-task")
def mteb_task(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A benchmark in our format.", show_default=False)],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="Python file to write, or a folder for it.", show_default=False),
    ],
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Write a Python module with an MTEB task for every task of a benchmark.

    The tasks read the benchmark folder; the module needs mteb and mrbench.

    Example: mrbench export mteb-task scenes --output scenes_tasks.py
    """
    from mrbench.benchmark import Benchmark
    from mrbench.export import write_mteb_module

    found = write_mteb_module(Benchmark(folder), output, overwrite=overwrite)
    if as_json:
        print_json({"output": str(output), "tasks": found})
        return
    for task, said in found.items():
        say(f"{task}: {said}")
    say(f"written: {output}")


for _command in (
    export_results.mteb,
    export_results.hub,
    export_results.eee,
    export_results.trec,
    export_results.latex,
    export_results.markdown,
    export_results.csv,
):
    app.command(_command.__name__)(_command)
