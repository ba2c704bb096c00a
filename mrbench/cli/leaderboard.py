"""``mrbench leaderboard``: turn result files into tables and a page, and check an entry."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from mrbench.cli.common import ImageRootOption, Json, Overwrite, print_json
from mrbench.cli.streams import note, say
from mrbench.errors import MRBenchError

if TYPE_CHECKING:
    from mrbench.benchmark import Benchmark


class BuildByDefault(TyperGroup):
    """Takes ``mrbench leaderboard RESULT...`` for ``mrbench leaderboard build RESULT...``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the name of the command in front of words that name none."""
        if not args or (args[0] not in self.commands and args[0] != "--help"):
            args = ["build", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(help="Publish results, and check an entry before it is published.", cls=BuildByDefault)


@app.command("build")
def build(
    results: Annotated[
        list[Path], typer.Argument(metavar="RESULT...", help="Result files, or folders that hold them.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write.")] = Path("leaderboard"),
    allow_limited: Annotated[
        bool, typer.Option("--allow-limited", help="Accept results that were cut with --limit, and mark them.")
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

    Numbers that others report and reports of `mrbench audit` that lie among the results are on the site too.

    Example: mrbench leaderboard build results --output leaderboard
    """
    from mrbench.leaderboard import boards, find_runs, publish, read_audits, read_reported, read_results, terminal
    from mrbench.sources.open import open_benchmark

    read = read_results(results)
    opened = [open_benchmark(spec, image_root=image_root) for spec in benchmarks or []]
    published = publish(
        read,
        output,
        overwrite=overwrite,
        allow_limited=allow_limited,
        benchmarks=opened,
        runs=find_runs(results) if benchmarks else [],
        reported=read_reported(results),
        audits=read_audits([*results, *(benchmark.folder / "audit" for benchmark in opened)]),
        pictures=pictures,
    )
    if as_json:
        print_json({name: str(path) for name, path in published.items()})
        return
    for board in boards(read, allow_limited=allow_limited):
        say(terminal(board))
    say(f"page: {published['html'].absolute()}")


@app.command("check")
def check(
    entries: Annotated[list[Path], typer.Argument(metavar="ENTRY...", help="Folders of `evaluate`, or result files.")],
    benchmark: Annotated[
        list[str] | None,
        typer.Option(
            "--benchmark",
            metavar="BENCHMARK",
            help="The benchmark of the entries, to compute every score from the run; may be repeated. "
            "[default: runs are checked and not scored]",
            show_default=False,
        ),
    ] = None,
    image_root: ImageRootOption = None,
    as_json: Json = False,
) -> None:
    """Check entries: the file, the run, and every score from the run; an entry without a run is self-reported.

    An entry that `leaderboard enter` wrote has no run; it passes as long as nothing of it is changed. Entries have to
    agree on their benchmark with each other and with the checked entries beside them. The exit code is 2 where an entry
    fails.

    Example: mrbench leaderboard check results/scenes/conse --benchmark scenes
    """
    from mrbench.evaluation import check_entries

    checked = check_entries(entries, _opened(benchmark or [], image_root))
    found = [check for _, check in checked if not isinstance(check, MRBenchError)]
    failed = [(path, check) for path, check in checked if isinstance(check, MRBenchError)]
    if as_json:
        errors = [{"path": str(path), "status": "failed", "error": str(error)} for path, error in failed]
        print_json([*(entry.to_json() for entry in found), *errors])
    else:
        for entry in found:
            say(f"{entry.path}: {entry.says}")
    for path, error in failed:
        note(f"error: {path}: {error}")
    if failed:
        raise typer.Exit(2)


@app.command("enter")
def enter(
    evaluations: Annotated[
        list[Path], typer.Argument(metavar="RESULT...", help="Folders of `evaluate`, with their runs.")
    ],
    benchmark: Annotated[
        list[str],
        typer.Option("--benchmark", metavar="BENCHMARK", help="The benchmark of the results; may be repeated."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of entries; others in it stay.")],
    image_root: ImageRootOption = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Write entries to commit: results without their runs, after every score was computed again from the run.

    Model, command, time and versions are written as the evaluation states them. Names of clusters from open data, such
    as file names of photos, become numbers. `checked.jsonl` in the folder holds a digest of each entry and of its run.

    Example: mrbench leaderboard enter results/scenes/conse --benchmark scenes --output leaderboards/entries
    """
    from mrbench.evaluation import enter as write_entries

    made = write_entries(evaluations, _opened(benchmark, image_root), output, overwrite=overwrite)
    if as_json:
        print_json([{**check.to_json(), "entry": str(file)} for check, file in made])
        return
    for check, file in made:
        say(f"{file}: {check.says}")


def _opened(specs: list[str], image_root: Path | None) -> list[Benchmark]:
    from mrbench.sources.open import open_benchmark

    return [open_benchmark(spec, image_root=image_root) for spec in specs]
