"""``mrbench datasets``: the sources of benchmarks, and a complete check of a data set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mrbench.cli.common import BenchmarkSpec, ImageRootOption, Json, Workers, print_json
from mrbench.cli.streams import note, say
from mrbench.errors import BenchmarkError

if TYPE_CHECKING:
    from mrbench.benchmark import Benchmark

app = typer.Typer(help="List the sources of benchmarks, and check a data set.", rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def datasets(context: typer.Context, as_json: Json = False) -> None:
    """List the sources of benchmarks, and check a data set.

    Example: mrbench datasets
    """
    if context.invoked_subcommand is None:
        _list(as_json)


@app.command("list")
def list_sources(as_json: Json = False) -> None:
    """List the sources: what may stand before the colon of a benchmark's name.

    Example: mrbench datasets list
    """
    _list(as_json)


@app.command("check")
def check(
    spec: BenchmarkSpec,
    images: Annotated[bool, typer.Option("--images", help="Decode every image; else only look for the files.")] = False,
    image_root: ImageRootOption = None,
    workers: Workers = 1,
    as_json: Json = False,
) -> None:
    """Read a data set completely: counts, faults, duplicates, and which measures it supports.

    Example: mrbench datasets check captions:photos/captions.jsonl --images
    """
    from mrbench.sources.open import open_benchmark

    run_check(spec, open_benchmark(spec, image_root=image_root), decode=images, workers=workers, as_json=as_json)


def run_check(spec: str, benchmark: Benchmark, *, decode: bool, workers: int, as_json: bool) -> None:
    """Check a benchmark and print what was found.

    Raises:
        BenchmarkError: Something is wrong.
    """
    from dataclasses import asdict

    from mrbench.validate import Report, check_contents, summary

    report = Report()
    facts = check_contents(benchmark, report, decode=decode, workers=workers)
    remarks = [*benchmark.notes(), *(f"{what}: {number}" for what, number in report.notes.items())]
    problems = len(report.problems) + sum(report.omitted.values())
    if as_json:
        print_json(
            {
                "name": benchmark.name,
                "title": benchmark.manifest.title,
                "licence": benchmark.manifest.licence,
                "digest": benchmark.digest,
                "valid": not problems,
                "splits": facts,
                "checked": report.checked,
                "notes": remarks,
                "problems": [asdict(problem) for problem in report.problems],
                "omitted": report.omitted,
            }
        )
    elif not problems:
        say("\n".join(summary(benchmark, facts)))
    else:
        note("\n".join(summary(benchmark, facts)))
    for remark in remarks:
        note(f"note: {remark}")
    if problems:
        counts = report.by_rule()
        for rule in counts:
            for problem in [problem for problem in report.problems if problem.rule == rule][:5]:
                note(f"problem: {problem}")
        kinds = ", ".join(f"{rule} ({number:,})" for rule, number in counts.items())
        hint = None
        if "missing image" in counts:
            hint = "--image-root FOLDER says where images lie"
        raise BenchmarkError("the data set has faults", where=spec, got=kinds, hint=hint)


def _list(as_json: bool) -> None:
    from mrbench.sources.open import SOURCES

    entries = list(SOURCES)
    if as_json:
        print_json([{"name": e.name, "summary": e.summary, "extra": e.extra, **dict(e.facts)} for e in entries])
        return
    width = max(len(entry.name) for entry in entries) + 4
    say(f"{'DIR':<{width}}  a folder in MRBench's own format")
    for entry in entries:
        say(f"{f'{entry.name}:...':<{width}}  {entry.summary}")
