"""``mrbench validate``: verify every grade, ladder, split and digest of a benchmark."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from mrbench.cli.common import BenchmarkFolder, Json, print_json
from mrbench.cli.streams import note, say
from mrbench.errors import BenchmarkError


def validate(
    folder: BenchmarkFolder,
    images: Annotated[bool, typer.Option(help="Decode every picture and compare its pixels.")] = True,
    as_json: Json = False,
) -> None:
    """Verify every grade, ladder, split and digest of a benchmark, with code that no builder uses.

    Example: mrbench validate emoji
    """
    from mrbench.validate import validate as check

    report = check(folder, images=images)
    problems = len(report.problems) + sum(report.omitted.values())
    if as_json:
        print_json(
            {
                "valid": not problems,
                "checked": report.checked,
                "notes": report.notes,
                "problems": [asdict(problem) for problem in report.problems],
                "omitted": report.omitted,
            }
        )
    for remark in report.notes:
        note(f"note: {remark}")
    if problems:
        for problem in report.problems[:20]:
            note(f"problem: {problem}")
        raise BenchmarkError("the benchmark is not valid", where=folder, got=f"{problems} problems")
    if not as_json:
        checked = ", ".join(f"{n:,} {what}" for what, n in report.checked.items())
        say(f"valid: {folder} ({checked})")
