"""``mrbench validate``: verify every grade, ladder, split and digest of a benchmark."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from mrbench.cli.common import BenchmarkSpec, ImageRootOption, Json, Workers, print_json
from mrbench.cli.datasets import run_check
from mrbench.cli.streams import note, say
from mrbench.errors import BenchmarkError
from mrbench.words import counted

if TYPE_CHECKING:
    from mrbench.validate import Report


def validate(
    spec: BenchmarkSpec,
    images: Annotated[bool, typer.Option(help="Decode every picture and compare its pixels.")] = True,
    image_root: ImageRootOption = None,
    workers: Workers = 1,
    as_json: Json = False,
) -> None:
    """Verify every grade, ladder, split and digest of a benchmark, with code that no builder uses.

    A folder with partial judgements is checked as far as it goes: files, digests, ids, judgements, lists and images.
    For a source, which has no digests, this is `mrbench datasets check`.

    Example: mrbench validate emoji
    """
    from mrbench.sources.open import open_benchmark, parse_spec

    source, location, _ = parse_spec(spec)
    if source is not None:
        opened = open_benchmark(spec, image_root=image_root)
        return run_check(spec, opened, decode=images, workers=workers, as_json=as_json)
    return _say(spec, _checked(Path(location), images, image_root, workers), as_json)


def _checked(folder: Path, images: bool, image_root: Path | None, workers: int) -> Report:
    from mrbench.benchmark import read_manifest
    from mrbench.validate import validate as check
    from mrbench.validate import validate_open

    manifest = read_manifest(folder)
    if any(task.judgements == "partial" for task in manifest.tasks):
        return validate_open(folder, manifest, images=images, workers=workers, image_root=image_root)[0]
    return check(folder, images=images)


def _say(spec: str, report: Report, as_json: bool) -> None:
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
        raise BenchmarkError(
            "the benchmark is not valid",
            where=spec,
            got=counted(problems, "problem"),
            hint=f"mrbench validate {quote(spec)} --json lists them all; docs/reference/format.md says what holds",
        )
    if not as_json:
        checked = ", ".join(f"{n:,} {what}" for what, n in report.checked.items())
        say(f"valid: {spec} ({checked})")
