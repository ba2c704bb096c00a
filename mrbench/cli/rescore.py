"""``mrbench rescore``: the measures of a kept run again, without the model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mrbench.cli.common import BenchmarkSpec, ImageRootOption, Json, OverlayOption, Overwrite, print_json
from mrbench.cli.streams import say
from mrbench.cli.summary import summary
from mrbench.errors import ResultError


def rescore(
    result: Annotated[Path, typer.Argument(metavar="RESULT", help="A folder of `evaluate`.", show_default=False)],
    spec: BenchmarkSpec,
    image_root: ImageRootOption = None,
    overlay: OverlayOption = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Compute the scores of a result again from its run, without the model; fail if they differ.

    With --overlay, further judgements are laid over the benchmark's. The run must have the scores of their pairs.

    With --overwrite, result.json is written again, for a run that an older version of MRBench scored.

    Example: mrbench rescore results/emoji/conse emoji
    """
    from mrbench.evaluation import RESULT
    from mrbench.evaluation import rescore as run
    from mrbench.results import difference, read_result, write_result
    from mrbench.sources.open import open_benchmark
    from mrbench.sources.overlay import read_overlay

    benchmark = open_benchmark(spec, image_root=image_root)
    written = read_result(result / RESULT)
    laid = read_overlay(overlay, written.benchmark["split"]) if overlay else None
    found = run(result, benchmark, overlay=laid)
    differs = None if overwrite else difference(written, found, overlay=not overlay)
    if overwrite:
        write_result(result / RESULT, found)
    if as_json:
        print_json(found.to_json())
    else:
        say(summary(found))
        if overwrite:
            say(f"result: {result / RESULT}")
    if differs:
        raise ResultError(
            "the result was changed, or scored by another version",
            where=result / RESULT,
            got=differs,
            hint="--overwrite writes what the run says",
        )
