"""``mrbench build``: build a benchmark from art that packages carry, or from captioned photos."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlencode

import typer

from mrbench.cli.build_paper import paper
from mrbench.cli.common import WORKERS, ImageRootOption, Json, Overwrite, Seed, Workers, print_json
from mrbench.cli.judges import JudgeSpec, PriceIn, PriceOut, TrustJudge, Verdicts, judging
from mrbench.cli.streams import note, say
from mrbench.errors import InputError

if TYPE_CHECKING:
    from mrbench.benchmark import Manifest

app = typer.Typer(
    help="Build a benchmark from drawn art, or from your photos.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.command("paper")(paper)

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

    config = EmojiConfig(size=size, test_queries=queries, pool=pool, splits=names(splits))
    report(build_emoji, output, config, seed, workers, overwrite, as_json)


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
        splits=names(splits),
    )
    report(build_scenes, output, config, seed, workers, overwrite, as_json)


@app.command("captions")
def captions(
    spec: Annotated[
        str,
        typer.Argument(
            metavar="SPEC", help="Photos with captions: captions:FILE, see `mrbench datasets`.", show_default=False
        ),
    ],
    output: Output,
    tasks: Annotated[
        str,
        typer.Option(
            "--tasks",
            help="Some of t2i (captions find photos), i2t (photos find captions), it2i (a photo and a change find "
            "another photo), i2i (a photo finds another that shows the same).",
        ),
    ] = "t2i,i2t,it2i",
    shares: Annotated[
        str | None,
        typer.Option(
            "--shares",
            metavar="TRAIN,VALIDATION,TEST",
            help="Shares of the splits, by photo. [default: the data set's own splits, else all test below 10,000 "
            "photos, else 0.8,0.1,0.1]",
            show_default=False,
        ),
    ] = None,
    images: Annotated[
        str, typer.Option("--images", help="copy: into the Parquet files; reference: by path below the image root.")
    ] = "copy",
    queries: Annotated[
        int | None, typer.Option("--queries", min=1, help="Most queries of a task and split.", show_default=False)
    ] = None,
    shortlist: Annotated[
        int, typer.Option("--shortlist", min=1, max=1000, help="Candidates that are judged for each query.")
    ] = 40,
    grain_columns: Annotated[
        str | None,
        typer.Option(
            "--grain-columns",
            metavar="A,B",
            help="Columns of the file that say what a photo shows, as grains: colour,material.",
            show_default=False,
        ),
    ] = None,
    judge: JudgeSpec = "rules",
    verdicts: Verdicts = None,
    price_in: PriceIn = None,
    price_out: PriceOut = None,
    trust_remote_code: TrustJudge = False,
    image_root: ImageRootOption = None,
    seed: Seed = 0,
    workers: Workers = WORKERS,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Build a multi-grain benchmark with graded negatives from photos with captions.

    Example: mrbench build captions captions:photos/captions.jsonl --output my-benchmark
    """
    from mrbench.build.captions import CaptionsConfig, build_captions
    from mrbench.sources.open import open_benchmark

    config = CaptionsConfig(names(tasks), _shares(shares), images, queries, shortlist)  # type: ignore[arg-type]
    if grain_columns:
        spec += ("&" if "?" in spec else "?") + urlencode({"grains": grain_columns})
    benchmark = open_benchmark(spec, image_root=image_root)
    for remark in benchmark.notes():
        note(remark)
    # Beside the folder: it appears only when everything is in it.
    file = verdicts or output.with_name(f"{output.name}.verdicts.jsonl")
    chosen = judging(judge, file, prices=(price_in, price_out), trust_remote_code=trust_remote_code, keep=True)
    with chosen as one:

        def build(output: Path, config: CaptionsConfig, **options: Any) -> Manifest:
            manifest = build_captions(benchmark, one, output, config, **options)
            for remark in manifest.builder["remarks"]:
                note(remark)
            _audit(output, image_root)
            return manifest

        report(build, output, config, seed, workers, overwrite, as_json)


def _audit(output: Path, image_root: Path | None) -> None:
    """Audit what was built; a check that fails is named, and the benchmark stays."""
    from mrbench.benchmark import Benchmark
    from mrbench.cli.audit import audit_into_card, has_ladders

    benchmark = Benchmark(output, image_root=image_root)
    if not has_ladders(benchmark):
        note("not audited: no query has a ladder")
        return
    report = audit_into_card(benchmark, f"mrbench audit {output.name}")
    failed = ", ".join(check.name for check in report.failed)
    note(f"audit: {f'failed: {failed}' if failed else 'passed'}; see {output / 'audit/report.md'}")


def _shares(value: str | None) -> tuple[float, float, float] | None:
    if value is None:
        return None
    try:
        train, validation, test = map(float, names(value))
    except ValueError as error:
        accepted = "three numbers from 0 to 1 that sum to 1: TRAIN,VALIDATION,TEST"
        raise InputError("malformed shares of splits", where="--shares", got=value, accepted=accepted) from error
    return train, validation, test


def names(value: str) -> tuple[str, ...]:
    """Return the names of a list with commas between."""
    return tuple(part.strip() for part in value.split(",") if part.strip())


def report(builder: Any, output: Path, config: Any, seed: int, workers: int, overwrite: bool, as_json: bool) -> None:
    """Build, and print what was built."""
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
