"""``mrbench build``: build a benchmark from art that packages carry."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mrbench.cli.common import WORKERS, Json, Overwrite, Seed, Workers, print_json
from mrbench.cli.streams import note, say

if TYPE_CHECKING:
    from mrbench.benchmark import Manifest

app = typer.Typer(help="Build a benchmark from art that packages carry.", no_args_is_help=True, rich_markup_mode=None)

Output = Annotated[Path, typer.Option("--output", "-o", help="Folder to write.", show_default=False)]
Size = Annotated[int, typer.Option("--size", min=32, max=1024, help="Side of every picture, in pixels.")]
Queries = Annotated[int, typer.Option("--queries", min=1, help="Test queries per task.")]
Splits = Annotated[str, typer.Option("--splits", help="Splits to build, separated by commas.")]
TrainQueries = Annotated[int, typer.Option("--train-queries", min=1, help="Training queries per task.")]
TrainPool = Annotated[int, typer.Option("--train-pool", min=1, help="Training candidates per modality.")]
Pool = Annotated[int | None, typer.Option("--pool", min=1, help="Test candidates per modality.", show_default=False)]


@app.command("emoji")
def emoji(
    output: Output,
    size: Size = 224,
    queries: Queries = 250,
    pool: Pool = None,
    splits: Splits = "train,validation,test",
    seed: Seed = 0,
    workers: Workers = WORKERS,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Build the emoji suite: people drawn by two independent artists.

    Example: mrbench build emoji --output emoji
    """
    from mrbench.build.emoji import EmojiConfig, build_emoji

    config = EmojiConfig(size=size, test_queries=queries, pool=pool, splits=_names(splits))
    _report(build_emoji, output, config, seed, workers, overwrite, as_json)


@app.command("scenes")
def scenes(
    output: Output,
    size: Annotated[int, typer.Option("--size", min=64, max=1024, help="Side of every picture, in pixels.")] = 224,
    queries: Queries = 250,
    pool: Annotated[int, typer.Option("--pool", min=1, help="Test candidates per modality.")] = 5000,
    train_queries: TrainQueries = 500,
    train_pool: TrainPool = 6000,
    splits: Splits = "train,validation,test",
    seed: Seed = 0,
    workers: Workers = WORKERS,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Build the scenes suite: composed pictures with two to six grains.

    Example: mrbench build scenes --output scenes
    """
    from mrbench.build.scenes import ScenesConfig, build_scenes

    config = ScenesConfig(
        size=size,
        test_queries=queries,
        pool=pool,
        train_queries=train_queries,
        train_pool=train_pool,
        splits=_names(splits),
    )
    _report(build_scenes, output, config, seed, workers, overwrite, as_json)


def _names(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _report(builder: Any, output: Path, config: Any, seed: int, workers: int, overwrite: bool, as_json: bool) -> None:
    start = time.perf_counter()
    manifest: Manifest = builder(output, config, seed=seed, workers=workers, overwrite=overwrite)
    note(f"built in {time.perf_counter() - start:.1f} s")
    if as_json:
        facts = {"folder": str(output), "digest": manifest.content_sha256, "counts": manifest.counts}
        print_json({"name": manifest.name, **facts})
        return
    say(f"{manifest.title}: {output}")
    for split, counts in manifest.counts.items():
        queries = ", ".join(f"{task} {n}" for task, n in counts["queries"].items())
        pool = ", ".join(f"{n} {modality}s" for modality, n in counts["corpus"].items())
        say(f"  {split}: queries {queries}; candidates {pool}")
    say(f"  grain types: {', '.join(manifest.grain_types)}")
    say(f"  digest: {manifest.content_sha256}")
