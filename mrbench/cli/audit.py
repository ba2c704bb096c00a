"""``mrbench audit``: can a benchmark be solved blind, and can what should be told apart be told apart?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mrbench.cli.common import BenchmarkSpec, Json, command_line, print_json
from mrbench.cli.streams import note, say
from mrbench.errors import BenchmarkError, InputError, OutputError
from mrbench.files import no_file

if TYPE_CHECKING:
    from mrbench.audit import Report
    from mrbench.benchmark import Benchmark


def has_ladders(benchmark: Benchmark) -> bool:
    """Return whether a benchmark has something to audit."""
    return any(sum(counts.get("top_ranked", {}).values()) for counts in benchmark.manifest.counts.values())


def audit_into_card(benchmark: Benchmark, command: str) -> Report:
    """Audit a benchmark that was just built, and put the report into its folder and a summary into its data card."""
    from dataclasses import replace

    from mrbench.audit import audit as run
    from mrbench.audit import write_into_card, write_report
    from mrbench.benchmark.card import CARD
    from mrbench.evaluation.environment import environment

    report = replace(run(benchmark, command=command), environment=environment())
    write_report(benchmark.folder / "audit", report)
    write_into_card(benchmark.folder / CARD, report)
    return report


def audit(
    spec: BenchmarkSpec,
    split: Annotated[
        str | None,
        typer.Option(help="The split to look at. [default: test, else validation, else train]", show_default=False),
    ] = None,
    sample: Annotated[int, typer.Option(min=1, help="Most pictures of the corpus to compare.")] = 10_000,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Folder for the report; without it, DIR/audit and a summary in the data card.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Run blind solvers, oracles and checks of the content; fail if an answer leaks.

    Example: mrbench audit emoji
    """
    from dataclasses import replace

    from mrbench.audit import audit as run
    from mrbench.audit import one_line, write_into_card, write_report
    from mrbench.benchmark import Benchmark
    from mrbench.benchmark.card import CARD
    from mrbench.evaluation.environment import environment
    from mrbench.sources.open import parse_spec

    folder = Path(parse_spec(spec)[1])
    benchmark = None if parse_spec(spec)[0] else Benchmark(folder)
    if benchmark is None or not has_ladders(benchmark):
        raise InputError(
            "the audit is for benchmarks with ladders, and this benchmark has partial judgements without any",
            where=spec,
            accepted="a folder that `mrbench build` wrote",
            hint=f"mrbench datasets check {spec}",
        )
    if output is None and no_file((folder / CARD).lstat):  # before the work: what it leads to is not ours to change
        raise OutputError("the data card is a link", where=folder / CARD, hint="--output DIR writes the report alone")
    report = run(benchmark, split=split, sample=sample, command=command_line("mrbench", "audit", folder.name))
    report = replace(report, environment=environment())
    paths = write_report(folder / "audit" if output is None else output, report)
    if output is None:
        write_into_card(folder / CARD, report)
    if as_json:
        print_json({"paths": {kind: str(path) for kind, path in paths.items()}, **report.to_json()})
    else:
        for checks in report.checks.values():
            for check in checks:
                (note if report.failed else say)(one_line(check))
        (note if report.failed else say)(f"report: {paths['html']}")
    if report.failed:
        raise BenchmarkError(
            f"the audit found leaks or faults: {', '.join(check.name for check in report.failed)}",
            where=folder,
            hint=f"read {paths['markdown']}",
        )
