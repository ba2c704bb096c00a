"""``mrbench export mteb`` and the others that write results for elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mrbench.cli.common import ImageRootOption, Json, Overwrite, print_json
from mrbench.cli.streams import say
from mrbench.errors import InputError

if TYPE_CHECKING:
    from mrbench.benchmark import Benchmark
    from mrbench.results import Result

ResultPaths = Annotated[
    list[Path], typer.Argument(metavar="RESULT...", help="Result files, or folders that hold them.")
]
Folders = Annotated[
    list[Path], typer.Argument(metavar="RESULT...", help="Folders of `evaluate`, or folders that hold them.")
]
Folder = Annotated[Path, typer.Option("--output", "-o", help="Folder to write.", show_default=False)]
File = Annotated[Path, typer.Option("--output", "-o", help="File to write.", show_default=False)]


def mteb(results: ResultPaths, output: Folder, overwrite: Overwrite = False, as_json: Json = False) -> None:
    """Write results as MTEB keeps them; mteb.ResultCache(FOLDER) reads them.

    Example: mrbench export mteb results --output for-mteb
    """
    from mrbench.export import write_mteb_results
    from mrbench.leaderboard import read_results

    _tell(output, write_mteb_results(read_results(results), output, overwrite=overwrite), as_json)


def hub(
    results: ResultPaths,
    output: Folder,
    dataset: Annotated[
        str, typer.Option("--dataset", help="Id of the data set's repository on the Hub, ORG/NAME.", show_default=False)
    ],
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Write what the Hugging Face Hub shows: .eval_results of the models, eval.yaml of the data set.

    Example: mrbench export hub results/scenes --dataset ORG/scenes --output for-the-hub
    """
    from mrbench.export import write_hub_results
    from mrbench.leaderboard import read_results

    _tell(output, write_hub_results(read_results(results), output, dataset, overwrite=overwrite), as_json)


def eee(
    results: ResultPaths,
    output: Folder,
    organization: Annotated[
        str, typer.Option("--organization", help="Who ran the evaluation, for the record.", show_default=False)
    ],
    relation: Annotated[
        str,
        typer.Option(
            "--relation",
            help="Relation of the publisher to the model's makers: first_party, third_party, collaborative or other.",
        ),
    ] = "other",
    benchmark: Annotated[
        str | None,
        typer.Option(
            "--benchmark",
            metavar="BENCHMARK",
            help="The benchmark, to write a row for each query; results are then folders of `evaluate`.",
            show_default=False,
        ),
    ] = None,
    image_root: ImageRootOption = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Write results in the schema of Every Eval Ever, with intervals, and with --benchmark rows by query.

    Example: mrbench export eee results/scenes/conse --organization ORG --benchmark scenes --output for-eee
    """
    from mrbench.export import Publisher, QueryRows, write_every_eval_ever
    from mrbench.leaderboard import read_results

    publisher = Publisher(organization, relation)
    if benchmark is None:
        written = write_every_eval_ever(read_results(results), output, publisher, overwrite=overwrite)
    else:
        opened = _open(benchmark, image_root)
        rows = [QueryRows(folder, opened) for folder in _with_runs(results)]
        found = [source.result for source in rows]
        written = write_every_eval_ever(found, output, publisher, rows=rows, overwrite=overwrite)
    _tell(output, written, as_json)


def trec(
    results: Folders,
    output: Folder,
    benchmark: Annotated[
        str,
        typer.Option("--benchmark", metavar="BENCHMARK", help="The benchmark, for the judgements.", show_default=False),
    ],
    image_root: ImageRootOption = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Write runs and judgements for trec_eval, ir_measures and ranx.

    Example: mrbench export trec results/scenes/conse --benchmark scenes --output for-trec-eval
    """
    from mrbench.export import write_trec

    written = write_trec(_with_runs(results), _open(benchmark, image_root), output, overwrite=overwrite)
    _tell(output, written, as_json)


def latex(results: ResultPaths, output: File, overwrite: Overwrite = False, as_json: Json = False) -> None:
    """Write the ranking and the pair accuracy by grain as LaTeX tables.

    Example: mrbench export latex results --output table.tex
    """
    from mrbench.export import write_latex

    _table(write_latex, results, output, overwrite, as_json)


def markdown(results: ResultPaths, output: File, overwrite: Overwrite = False, as_json: Json = False) -> None:
    """Write the tables of a model card.

    Example: mrbench export markdown results/scenes/conse --output card.md
    """
    from mrbench.export import write_markdown

    _table(write_markdown, results, output, overwrite, as_json)


def csv(results: ResultPaths, output: File, overwrite: Overwrite = False, as_json: Json = False) -> None:
    """Write a CSV file with a line for each score.

    Example: mrbench export csv results --output scores.csv
    """
    from mrbench.export import write_csv

    _table(write_csv, results, output, overwrite, as_json)


def _table(
    write: Callable[[Sequence[Result], Path], None], results: list[Path], output: Path, overwrite: bool, as_json: bool
) -> None:
    from mrbench.leaderboard import read_results

    write(read_results(results), output, overwrite=overwrite)  # type: ignore[call-arg]
    _tell(output, [], as_json)


def _open(spec: str, image_root: Path | None) -> Benchmark:
    from mrbench.sources.open import open_benchmark

    return open_benchmark(spec, image_root=image_root)


def _with_runs(folders: list[Path]) -> list[Path]:
    """Return every folder with a run, among the given ones and below them."""
    from mrbench.runs import RUN

    found = []
    for folder in folders:
        runs = sorted(path.parent for path in folder.rglob(RUN))
        if not runs:
            raise InputError(
                "no run in the folder",
                where=folder,
                accepted="folders of `evaluate`, or a folder that holds some",
                hint="mrbench evaluate BENCHMARK --model SPEC --output DIR",
            )
        found += runs
    return found


def _tell(output: Path, files: list[str], as_json: bool) -> None:
    if as_json:
        print_json({"output": str(output), "files": files})
        return
    for file in files:
        say(f"{output / file}")
    if not files:
        say(f"written: {output}")
