"""``mrbench review``: people look at what a judge decided, and their votes change the benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from mrbench.cli.common import ImageRootOption, Json, Overwrite, print_json
from mrbench.cli.streams import note, say
from mrbench.errors import InputError
from mrbench.words import counted


class _Reviews(TyperGroup):
    """Takes a folder without a command for ``sheet``: ``mrbench review DIR``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, "--help"):
            args = ["sheet", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_Reviews,
    help="Have people review what a judge decided: write a page to vote on, and a benchmark with the votes. "
    "`mrbench review DIR` is `mrbench review sheet DIR`.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Folder = Annotated[
    Path, typer.Argument(metavar="DIR", help="A benchmark of `mrbench build captions`.", show_default=False)
]


@app.command("sheet")
def sheet(
    folder: Folder,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE.html", help="Page to write.", show_default=False)
    ],
    sample: Annotated[
        int, typer.Option("--sample", min=1, help="Judgements to review at most; each has the same chance.")
    ] = 100,
    kinds: Annotated[
        str,
        typer.Option(
            "--kinds",
            metavar="A,B",
            help="Kinds of judgements: relevant, a grain type that is lost alone, or several grains. [default: all]",
            show_default=False,
        ),
    ] = "",
    images: Annotated[
        str, typer.Option("--images", help="embed: photos in the page; reference: by path, relative to the page.")
    ] = "embed",
    image_root: ImageRootOption = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the page where it exists.")] = False,
) -> None:
    """Write a page on which a person votes on judgements: by key, offline, without an account.

    Example: mrbench review sheet my-benchmark --sample 100 --output review.html
    """
    from mrbench.benchmark import Benchmark
    from mrbench.files import write_atomic
    from mrbench.review import claims, render_sheet

    if output.suffix.lower() not in (".html", ".htm"):
        raise InputError("the page is HTML", where="--output", got=str(output), accepted="a name that ends in .html")
    if images not in ("embed", "reference"):
        raise InputError("unknown way of showing photos", where="--images", got=images, accepted="embed, reference")
    if output.exists() and not overwrite:
        raise InputError("the page exists", where=output, hint="add --overwrite, or choose another --output")
    benchmark = Benchmark(folder, image_root=image_root)
    found = claims(benchmark, sample, [kind.strip() for kind in kinds.split(",") if kind.strip()])
    write_atomic(output, render_sheet(benchmark, found, output, images=images))  # type: ignore[arg-type]
    say(f"{output}: {counted(len(found), 'judgement')} to review")
    note(f"open it in a browser, vote, download the votes; then: mrbench review apply {folder} VOTES... --output DIR2")


@app.command("apply")
def apply(
    folder: Folder,
    votes: Annotated[
        list[Path],
        typer.Argument(metavar="VOTES...", help="Files of votes, one for each person.", show_default=False),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR2", help="Folder to write.", show_default=False)
    ],
    image_root: ImageRootOption = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Merge votes into a new benchmark: rejected judgements are removed, disputed ones get the origin human.

    A judgement is rejected where more people say wrong than right. The same votes give the same digest.

    Example: mrbench review apply my-benchmark votes-ann.json votes-ben.json --output reviewed
    """
    from mrbench.benchmark import Benchmark
    from mrbench.review import apply_votes, read_votes
    from mrbench.review.apply import kappa_line
    from mrbench.review.claims import judged

    benchmark = Benchmark(folder, image_root=image_root)
    ballots = read_votes(votes, benchmark.digest, judged(benchmark))
    manifest, found, end = apply_votes(benchmark, ballots, output, overwrite=overwrite)
    parts = {name: len(getattr(end, name)) for name in ("accepted", "rejected", "disputed", "undecided")}
    if as_json:
        print_json({"folder": str(output), "digest": manifest.content_sha256, **parts, **found.to_json()})
        return
    say(f"{output}: " + ", ".join(f"{number:,} {name}" for name, number in parts.items()))
    for one in found.shares:
        interval = "one query alone" if one.interval is None else f"{one.interval[0]:.3f} to {one.interval[1]:.3f}"
        say(f"  {one.kind:<20} {one.claims:>6}  right {one.rate:.3f}  ({interval})")
    say(f"  {kappa_line(found)}")
    say(f"  digest: {manifest.content_sha256}")
