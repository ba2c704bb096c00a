"""``mrbench show``: look at one query with its positive and its ladder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mrbench.cli.common import BenchmarkSpec, ImageRootOption, Json, print_json
from mrbench.cli.streams import say
from mrbench.errors import InputError


def show(
    spec: BenchmarkSpec,
    query_id: Annotated[str, typer.Argument(metavar="QUERY_ID", help="Id of a query.", show_default=False)],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="PNG to write. [default: QUERY_ID.png]", show_default=False)
    ] = None,
    image_root: ImageRootOption = None,
    as_json: Json = False,
) -> None:
    """Print a query and write a picture of it with its positive and its ladder of graded negatives.

    Example: mrbench show emoji 0123456789abcdef --output query.png
    """
    from mrbench.show import describe
    from mrbench.show import show as draw
    from mrbench.sources.open import open_benchmark

    path = output or Path(f"{query_id}.png")
    if path.suffix.lower() != ".png":
        raise InputError("the picture is a PNG", where="--output", got=str(path), accepted="a name that ends in .png")
    shown = draw(open_benchmark(spec, image_root=image_root), query_id, path)
    if as_json:
        print_json({**shown, "picture": str(path)})
        return
    say(describe(shown))
    say(f"picture: {path}")
