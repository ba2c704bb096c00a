"""``mrbench rescore``: the measures of a kept run again, without the model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mrbench.cli.common import BenchmarkSpec, ImageRootOption, Json, Overwrite, print_json
from mrbench.cli.streams import say
from mrbench.cli.summary import summary
from mrbench.errors import ResultError


def rescore(
    result: Annotated[Path, typer.Argument(metavar="RESULT", help="A folder of `evaluate`.", show_default=False)],
    spec: BenchmarkSpec,
    image_root: ImageRootOption = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Compute the scores of a result again from its run, and fail where the result has others; no model is read.

    With --overwrite, result.json is written anew, for a run that an older version of MRBench has scored.

    Example: mrbench rescore results/emoji/conse emoji
    """
    from mrbench.evaluation import RESULT
    from mrbench.evaluation import rescore as run
    from mrbench.results import difference, read_result, write_result
    from mrbench.sources.open import open_benchmark

    found = run(result, open_benchmark(spec, image_root=image_root))
    differs = None if overwrite else difference(read_result(result / RESULT), found)
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
