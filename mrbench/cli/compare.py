"""``mrbench compare``: two to four models on the same queries."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mrbench.cli.common import ImageRootOption, Json, print_json
from mrbench.cli.streams import say
from mrbench.errors import InputError

if TYPE_CHECKING:
    from mrbench.benchmark import Benchmark
    from mrbench.comparison import ChangedQuery
    from mrbench.results import Results


def compare(
    results: Annotated[
        list[Path],
        typer.Argument(metavar="RESULT RESULT...", help="Two to four folders of `evaluate`, or result files."),
    ],
    queries: Annotated[
        int, typer.Option("--queries", min=0, help="Queries of each task that changed most, to list.")
    ] = 0,
    benchmark: Annotated[
        str | None,
        typer.Option(
            "--benchmark",
            metavar="BENCHMARK",
            help="The benchmark, for the texts of the queries. [default: ids alone]",
            show_default=False,
        ),
    ] = None,
    image_root: ImageRootOption = None,
    as_json: Json = False,
) -> None:
    """Compare models query by query: differences by task and grain type with intervals and p-values.

    Example: mrbench compare results/scenes/conse results/scenes/elva_tiny --queries 5
    """
    from mrbench.comparison import compare as compared
    from mrbench.comparison import comparison_text

    read = _read(results)
    found = compared(*read)
    opened = _open(benchmark, image_root)
    changed = _changed(results, read, queries, opened) if queries else [None] * len(found)
    if as_json:
        pairs = zip(found, changed, strict=True)
        listed = [c.to_json() | ({} if q is None else {"queries": [one.to_json() for one in q]}) for c, q in pairs]
        print_json(listed)
        return
    say("\n\n".join(comparison_text(c, q) for c, q in zip(found, changed, strict=True)))


def _read(paths: list[Path]) -> Results:
    """Return the results that the paths hold.

    Raises:
        InputError: Two paths hold results of one model on one benchmark: the same, or with an overlay and without.
    """
    from mrbench.leaderboard import read_results
    from mrbench.leaderboard.standings import contestant

    read = read_results(paths)
    held: dict[tuple[str | int, ...], Path] = {}
    for path in paths:
        for result in read_results(path):
            first = held.setdefault(contestant(result), path)
            if first is not path:
                raise InputError(
                    "two paths hold results of one model",
                    where=f"{first} and {path}",
                    got=" ".join(str(result.model[name]) for name in ("name", "revision")),
                    accepted="results of two to four models; one with an overlay holds the scores without it too",
                    hint="name one of the two, and the result of another model",
                )
    return read


def _open(spec: str | None, image_root: Path | None) -> Benchmark | None:
    from mrbench.sources.open import open_benchmark

    return None if spec is None else open_benchmark(spec, image_root=image_root)


def _changed(
    folders: list[Path], results: Results, number: int, benchmark: Benchmark | None
) -> list[list[ChangedQuery]]:
    """Return the queries that changed between every two models.

    Raises:
        InputError: A result is not in a folder of its own, beside its run, which knows the ids.
    """
    from mrbench.comparison import changed_queries
    from mrbench.runs import RUN, read_run

    if len(folders) != len(results):
        raise InputError("--queries takes a folder for each result", got=len(folders), accepted="folders of `evaluate`")
    for folder in folders:
        if not (folder / RUN).is_file():
            raise InputError(
                "no run beside the result, so the ids of its queries are not known",
                where=folder,
                accepted="a folder of `evaluate`",
                hint="leave out --queries",
            )
    runs = [read_run(folder) for folder in folders]
    return [
        changed_queries((results[a], results[b]), (runs[a], runs[b]), number, benchmark)
        for a, b in combinations(range(len(results)), 2)
    ]
