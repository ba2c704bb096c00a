"""``mrbench train head`` and ``mrbench train mend``: heads on frozen encoders, and adapters on towers."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mrbench.cli.common import Cache, ImageRootOption, Json, Overwrite, Seed, command_line, note, print_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from elva.mending.run import Request
    from elva.processes import Processes
    from elva.tuning.method import Method
    from mrbench.folders import FolderKind
    from mrbench.records import Modality

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
    typer.Option("--keep", help="A second benchmark, on which to lose as little as possible.", show_default=False),
]
Steps = Annotated[int, typer.Option("--steps", min=20, help="Most steps; training stops where it no longer helps.")]
Rate = Annotated[
    float | None,
    typer.Option(
        "--rate", min=0, max=1e30, help="Learning rate. [default: picked on validation data]", show_default=False
    ),
]
Device = Annotated[str, typer.Option("--device", help="Device of the model: auto, cpu, cuda or cuda:N.")]
Resume = Annotated[bool, typer.Option("--resume", help="Continue an interrupted run of the same command.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Estimate the time from a few steps, and stop.")]
KeepImages = Annotated[
    Path | None,
    typer.Option("--keep-image-root", metavar="DIR", help="Like --image-root, for --keep.", show_default=False),
]
NO_MATTER = ("--cache", "--device", "--overwrite", "--resume", "--dry-run", "--json")
"""Options that change no weight, and are not recorded."""


def head(
    ctx: typer.Context,
    image: Annotated[str, typer.Option("--image", help="Model that embeds images.", show_default=False)],
    text: Annotated[str, typer.Option("--text", help="Model that embeds texts.", show_default=False)],
    data: Data,  # what has no use below is read from the context
    out: Out,
    objective: Goal = "infonce",
    dimension: Annotated[int, typer.Option("--dimension", min=2, help="Length of an embedding.")] = 256,
    before: Annotated[str, typer.Option("--before", help="Model that the report compares with.")] = "conse",
    keep: Keep = None,
    steps: Steps = 800,
    rate: Rate = None,
    image_root: ImageRootOption = None,
    keep_image_root: KeepImages = None,
    cache: Cache = None,
    device: Device = "auto",
    seed: Seed = 0,
    overwrite: Overwrite = False,
    resume: Resume = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Train a linear head on an image encoder and one on a text encoder, so that both share one space.

    The encoders stay as they are. The validation split picks the options, the test split is used once, for the report.

    Example: mrbench train head --image efficientnet-lite0 --text minilm --data graded --out my-head
    """
    from elva.heads.folder import FOLDER
    from elva.heads.method import HeadMethod

    request = _request(ctx)

    def method() -> Method:
        specs: dict[Modality, str] = {"image": image, "text": text}
        return HeadMethod(
            specs, mend=False, dimension=dimension, before=before, cache=request.cache, device=request.device
        )

    _train(request, FOLDER, method, dry_run=dry_run, as_json=as_json)


def mend(
    ctx: typer.Context,
    model: Annotated[
        str, typer.Option("--model", help="Model that embeds both sides of a task of the data.", show_default=False)
    ],
    data: Data,
    out: Out,
    heads: Annotated[
        bool, typer.Option("--head", help="Train a linear head for each kind of item; the model stays as it is.")
    ] = False,
    lora: Annotated[
        bool,
        typer.Option(
            "--lora", help="Train low-rank adapters: in both towers of hf:PATH, or in the text encoder of head:DIR."
        ),
    ] = False,
    objective: Goal = "infonce",
    keep: Keep = None,
    guard: Annotated[
        float,
        typer.Option(
            "--guard",
            min=0,
            max=1e9,
            help="Weight of the penalty that keeps similarities near those of the model; 0 for none.",
        ),
    ] = 1.0,
    steps: Steps = 800,
    batch: Annotated[int, typer.Option("--batch", min=2, help="Queries of a step.")] = 128,
    rate: Rate = None,
    rank: Annotated[int, typer.Option("--rank", min=1, help="With --lora: rank of the adapters.")] = 8,
    chunk: Annotated[
        int, typer.Option("--chunk", min=1, help="With --lora: items of a pass; fewer need less memory, not less time.")
    ] = 64,
    merge: Annotated[
        bool,
        typer.Option(
            "--merge", help="With --lora: also write whole weights: OUT/merged of both towers, OUT/text of heads."
        ),
    ] = False,
    image_root: ImageRootOption = None,
    keep_image_root: KeepImages = None,
    cache: Cache = None,
    trust_remote_code: Annotated[
        bool,
        typer.Option("--trust-remote-code", help="Let the encoders that head:DIR names run code or call a server."),
    ] = False,
    device: Device = "auto",
    seed: Seed = 0,
    overwrite: Overwrite = False,
    resume: Resume = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Train a model further on your data: linear heads behind it, or adapters in its towers.

    Before the first step neither changes anything. --lora on several GPUs: torchrun --nproc-per-node N -m mrbench ...

    Example: mrbench train mend --model hf:ORG/NAME --data graded --out mended --lora --keep scenes
    """
    from mrbench.errors import InputError

    if heads == lora:
        got = "both" if heads else None
        raise InputError(
            "say what to train",
            where="mrbench train mend",
            got=got,
            accepted="--head or --lora",
            hint="add --head, which takes any model and minutes, or --lora",
        )
    if merge and not lora:
        raise InputError(
            "heads have no checkpoint to merge with",
            where="--merge",
            accepted="--lora",
            hint="leave --merge out, or take --lora",
        )
    request = _request(ctx)
    if heads:
        from elva.heads.folder import FOLDER as HEADS
        from elva.heads.method import HeadMethod

        _train(
            request,
            HEADS,
            lambda: HeadMethod(
                {"text": model},
                mend=True,
                cache=request.cache,
                device=request.device,
                trust_remote_code=trust_remote_code,
            ),
            dry_run=dry_run,
            as_json=as_json,
        )
        return
    from elva.lora.method import FOLDER, LoraMethod
    from elva.processes import Processes

    processes = Processes.here()
    name = request.out.absolute().name
    options: dict[str, Any] = {"rank": rank, "merge": merge, "chunk": chunk, "device": request.device}
    if model.startswith("head:"):
        from elva.heads.folder import FOLDER as HEADS
        from elva.lora.text import TextMethod

        _train(
            request,
            HEADS,
            lambda: TextMethod(model, **options, cache=request.cache, trust_remote_code=trust_remote_code),
            dry_run=dry_run,
            as_json=as_json,
        )
        return
    _train(
        request,
        FOLDER,
        lambda: LoraMethod(model, **options, name=name, processes=processes),
        processes,
        dry_run=dry_run,
        as_json=as_json,
    )


def _request(ctx: typer.Context) -> Request:
    """Return what the command line asks for, with the command that repeats it."""
    from elva.mending.run import Request

    said = [(option.opts[0], ctx.params[str(option.name)]) for option in ctx.command.params if option.name]
    words = [
        word
        for option, value in said
        if value is not None and value is not False and option not in NO_MATTER
        for word in ([option] if value is True else [option, value])
    ]
    command = command_line("mrbench", "train", str(ctx.info_name), *words)
    taken = {field.name for field in fields(Request)} & ctx.params.keys()
    return Request(**{name: ctx.params[name] for name in taken}, command=command)


def _train(
    request: Request,
    folder: FolderKind,
    method: Callable[[], Method],
    processes: Processes | None = None,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    from elva.heads.model import needs_leave
    from elva.mending.duration import estimate
    from elva.mending.run import check, train_and_write

    benchmark, keep = check(request, folder)
    made = method()  # after the cheap checks: models take a while to load
    if dry_run:
        seconds = estimate(request, made, benchmark)
        if as_json:
            print_json(seconds)
        for name, value in () if as_json else seconds.items():
            typer.echo(f"{name.replace('_', ' ')}: {value:g} s")
        return
    first = processes is None or processes.first
    facts = train_and_write(request, made, benchmark, keep, note if first else _silent, processes)
    if not facts:  # another process writes
        return
    spec = f"{made.prefix}:{request.out}"
    root = () if request.image_root is None else ("--image-root", request.image_root)
    tested = (request.data, *root) if "test" in benchmark.splits else ("BENCHMARK",)
    code = any(needs_leave(part.get("spec", "")) for part in facts.get("encoders", {}).values())
    leave = ("--trust-remote-code",) if code else ()
    note(f"next: {command_line('mrbench', 'evaluate', *tested, '--model', spec, *leave)}")
    if as_json:
        print_json({"model": str(request.out), "spec": spec, "training": facts["training"], "report": facts["report"]})
    else:
        typer.echo(f"model: {request.out}")


def _silent(line: str) -> None:
    """Do nothing with a line: another process prints it."""
