"""``mrbench train head`` and ``mrbench train mend``: linear heads on frozen encoders."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mrbench.cli.common import Cache, ImageRootOption, Json, Overwrite, Seed, command_line, note, print_json

if TYPE_CHECKING:
    from elva.heads.run import Request

Data = Annotated[
    str,
    typer.Option("--data", help="A benchmark folder, or SOURCE:PLACE, with a training split.", show_default=False),
]
Out = Annotated[Path, typer.Option("--out", help="Folder to write.", show_default=False)]
Goal = Annotated[
    str,
    typer.Option(
        "--objective",
        help="infonce: negatives of the batch; ladder: and those of the ladder; graded: the order of the grades; "
        "reward: ELVA's reward by its gradient; policy: the same by policy gradient.",
    ),
]
Keep = Annotated[
    str | None,
    typer.Option(
        "--keep", help="A second benchmark, on which as little as possible should be lost.", show_default=False
    ),
]
Steps = Annotated[int, typer.Option("--steps", min=20, help="Most steps; training stops where it no longer helps.")]
Rate = Annotated[
    float | None,
    typer.Option("--rate", min=0, help="Learning rate. [default: picked on validation data]", show_default=False),
]
Device = Annotated[str, typer.Option("--device", help="Of the encoders: auto, cpu, cuda or cuda:N.")]


def head(
    image: Annotated[str, typer.Option("--image", help="Model that embeds images.", show_default=False)],
    text: Annotated[str, typer.Option("--text", help="Model that embeds texts.", show_default=False)],
    data: Data,
    out: Out,
    objective: Goal = "infonce",
    dimension: Annotated[int, typer.Option("--dimension", min=2, help="Length of an embedding.")] = 256,
    before: Annotated[str, typer.Option("--before", help="Model that the report compares with.")] = "conse",
    keep: Keep = None,
    steps: Steps = 800,
    rate: Rate = None,
    image_root: ImageRootOption = None,
    cache: Cache = None,
    device: Device = "auto",
    seed: Seed = 0,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Train a linear head on an image encoder and one on a text encoder, so that both share one space.

    The encoders stay as they are. The validation split picks the options, the test split is used once, for the report.

    Example: mrbench train head --image efficientnet-lite0 --text minilm --data graded --out my-head
    """
    from elva.heads.run import Request

    words = ["train", "head", "--image", image, "--text", text, "--data", data, "--out", out]
    words += ["--objective", objective, "--dimension", dimension, "--before", before, "--steps", steps, "--seed", seed]
    request = Request(
        {"image": image, "text": text},
        mend=False,
        data=data,
        out=out,
        objective=objective,
        dimension=dimension,
        before=before,
        keep=keep,
        steps=steps,
        rate=rate,
        seed=seed,
        image_root=image_root,
        cache=cache,
        device=device,
        overwrite=overwrite,
        command=_command(words, keep, rate, image_root),
    )
    _train(request, as_json)


def mend(
    model: Annotated[
        str, typer.Option("--model", help="Model that embeds both sides of a task of the data.", show_default=False)
    ],
    data: Data,
    out: Out,
    heads: Annotated[
        bool, typer.Option("--head", help="Train a linear head for each kind of item; the model stays as it is.")
    ] = False,
    objective: Goal = "infonce",
    keep: Keep = None,
    guard: Annotated[
        float,
        typer.Option("--guard", min=0, help="Weight of what holds similarities to those of the model; 0 for none."),
    ] = 1.0,
    steps: Steps = 800,
    rate: Rate = None,
    image_root: ImageRootOption = None,
    cache: Cache = None,
    device: Device = "auto",
    seed: Seed = 0,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Train linear heads on a model, from the identity on: before the first step they change nothing.

    Example: mrbench train mend --model hf:ORG/NAME --data graded --out mended --head --keep scenes
    """
    from elva.heads.run import Request
    from mrbench.errors import InputError

    if not heads:
        raise InputError("what to train of the model is not said", where="mrbench train mend", accepted="--head")
    words = ["train", "mend", "--model", model, "--data", data, "--out", out, "--head", "--objective", objective]
    words += ["--guard", guard, "--steps", steps, "--seed", seed]
    request = Request(
        {"text": model},
        mend=True,
        data=data,
        out=out,
        objective=objective,
        keep=keep,
        guard=guard,
        steps=steps,
        rate=rate,
        seed=seed,
        image_root=image_root,
        cache=cache,
        device=device,
        overwrite=overwrite,
        command=_command(words, keep, rate, image_root),
    )
    _train(request, as_json)


def _command(words: list[object], keep: str | None, rate: float | None, image_root: Path | None) -> str:
    given = {"--keep": keep, "--rate": rate, "--image-root": image_root}
    more = [word for name, value in given.items() if value is not None for word in (name, value)]
    return command_line("mrbench", *words, *more)


def _train(request: Request, as_json: bool) -> None:
    from elva.heads.run import train_heads

    facts = train_heads(request, note)
    spec = f"head:{request.out}"
    note(f"next: {command_line('mrbench', 'evaluate', 'BENCHMARK', '--model', spec)}")
    if as_json:
        print_json({"model": str(request.out), "spec": spec, "training": facts["training"], "report": facts["report"]})
    else:
        typer.echo(f"model: {request.out}")
