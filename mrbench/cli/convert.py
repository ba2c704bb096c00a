"""``mrbench convert``: write any data set as a folder in our format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mrbench.cli.common import WORKERS, BenchmarkSpec, ImageRootOption, Json, Overwrite, print_json
from mrbench.cli.streams import note, say
from mrbench.errors import InputError
from mrbench.words import counted, one_line


def convert(
    spec: BenchmarkSpec,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write.", show_default=False)],
    images: Annotated[
        str, typer.Option("--images", help="copy: into the Parquet files; reference: by path below the image root.")
    ] = "copy",
    image_root: ImageRootOption = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes that decode images.")] = WORKERS,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Write a data set as a folder in our format, with the digest of every image.

    Example: mrbench convert captions:photos/captions.jsonl --output photos-benchmark
    """
    from mrbench.sources.convert import convert as run
    from mrbench.sources.open import open_benchmark

    if images not in ("copy", "reference"):
        raise InputError("unknown way to keep images", where="--images", got=images, accepted="copy, reference")
    benchmark = open_benchmark(spec, image_root=image_root)
    manifest = run(benchmark, output, images=images, workers=workers, overwrite=overwrite)  # type: ignore[arg-type]
    most = max((len(benchmark.instructions(task)) for task in benchmark.task_names), default=0)
    if most > 1:
        source = one_line(spec)
        note(f"note: of {most} wordings of an instruction each query keeps one; evaluate {source} with the others")
    if as_json:
        print_json({"folder": str(output), "digest": manifest.content_sha256, "counts": manifest.counts})
        return
    rows = sum(n for split in manifest.counts.values() for part in split.values() for n in part.values())
    say(f"{output}: {counted(rows, 'row')}, digest {manifest.content_sha256}")
    if manifest.image_root:
        say(f"images stay in {manifest.image_root}: name it with --image-root")
