"""``mrbench train``: a retriever by a recipe, or heads on encoders. Joins the command line of MRBench as a plugin."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from elva.mending import commands as mending
from mrbench.cli.common import Json, Overwrite, command_line, note, print_json

app = typer.Typer(help="Train a retriever.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def train() -> None:
    """Train a retriever."""


app.command("head")(mending.head)
app.command("mend")(mending.mend)

Data = Annotated[
    list[Path],
    typer.Option("--data", help="A benchmark folder with a train split; may be repeated.", show_default=False),
]
Out = Annotated[Path, typer.Option("--out", help="Folder of the run.", show_default=False)]
RecipeName = Annotated[str, typer.Option("--recipe", help="tiny, qwen2-vl-2b, qwen2-vl-7b, or a YAML file.")]
Seed = Annotated[
    int | None,
    typer.Option("--seed", min=0, help="Seed of every random choice. [default: the recipe's]", show_default=False),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, or cuda:N.")]
SaveEvery = Annotated[int, typer.Option("--save-every", min=1, help="Steps between two writes of the state.")]
Resume = Annotated[bool, typer.Option("--resume", help="Continue the run in --out.")]
Pairs = Annotated[
    Path | None,
    typer.Option(
        "--pairs",
        help="Stage 1: JSON lines or CSV with sent0, sent1, hard_neg; else the suites' own phrasings.",
        show_default=False,
    ),
]
Start = Annotated[
    Path | None, typer.Option("--start", help="Model folder to start the first stage from.", show_default=False)
]


@app.command("elva")
def elva(
    data: Data,
    out: Out,
    recipe: RecipeName = "tiny",
    stage: Annotated[str, typer.Option("--stage", help="all, or one of 0, 1, 2, 3.")] = "all",
    seed: Seed = None,
    pairs: Pairs = None,
    start: Start = None,
    device: Device = "auto",
    save_every: SaveEvery = 100,
    resume: Resume = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print steps, memory and time, and stop.")] = False,
    as_json: Json = False,
) -> None:
    """Train ELVA: contrastive stages, then reinforcement learning with ranking rewards.

    With several GPUs: torchrun --nproc-per-node N -m mrbench train elva ...

    Example: mrbench train elva --recipe tiny --data scenes --data emoji --out run
    """
    from elva.checkpoints import read_facts
    from elva.config import load_recipe
    from elva.estimate import estimate
    from elva.inputs import check, read_data
    from elva.processes import Processes
    from elva.train import train
    from mrbench.errors import InputError

    if stage not in ("all", "0", "1", "2", "3"):
        raise InputError(
            "unknown stage", where="--stage", got=stage, accepted="all, 0, 1, 2, 3", hint="leave --stage out to run all"
        )
    chosen = load_recipe(recipe, **({} if seed is None else {"seed": seed}))
    stages = chosen.stages() if stage == "all" else (int(stage),)
    known = read_data(data, pairs)
    check(chosen, known, stages)
    if dry_run:
        rows = estimate(chosen, known, stages, device=device)
        if as_json:
            print_json(rows)
        for row in () if as_json else rows:
            typer.echo("  ".join(f"{name} {value}" for name, value in row.items()))
        return
    folder = train(chosen, known, out, stages=stages, start=start, resume=resume, device=device, save_every=save_every)
    if not Processes.here().first:
        return
    for where, grains in read_facts(folder)["named"].items():
        note(f"summaries name, {where}: {', '.join(f'{grain} {share:.2f}' for grain, share in grains.items())}")
    _report(folder, f"elva:{folder}", as_json)


@app.command("plug-in")
def plug_in(
    model: Annotated[
        str,
        typer.Option(
            "--model", help="What hf:PATH loads: a folder, or a hub id ORG/NAME[@REVISION].", show_default=False
        ),
    ],
    data: Data,
    out: Out,
    recipe: RecipeName = "tiny",
    part: Annotated[str, typer.Option("--train", help="all, or language: the text tower.")] = "all",
    seed: Seed = None,
    device: Device = "auto",
    save_every: SaveEvery = 100,
    resume: Resume = False,
    as_json: Json = False,
) -> None:
    """Run the reinforcement learning stage on an encoder that generates nothing.

    Example: mrbench train plug-in --model clip-vit-base-patch32 --data scenes --out run
    """
    from elva.config import load_recipe
    from elva.inputs import read_data
    from elva.train import train_plug_in
    from mrbench.errors import InputError

    if part not in ("all", "language"):
        raise InputError(
            "unknown part", where="--train", got=part, accepted="all, language", hint="leave --train out to train all"
        )
    chosen = load_recipe(recipe, **({} if seed is None else {"seed": seed}))
    folder = train_plug_in(
        model,
        chosen,
        read_data(data),
        out,
        part="all" if part == "all" else "language",
        resume=resume,
        device=device,
        save_every=save_every,
    )
    _report(folder, f"hf:{folder}", as_json)


@app.command("export")
def export(
    model: Annotated[
        str,
        typer.Option(
            "--model", help="A folder such as RUN/stage3, or a shipped model such as elva:tiny.", show_default=False
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder to write.", show_default=False)],
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Write an ELVA checkpoint as a folder that loads without MRBench: with its loader, or in sentence-transformers.

    Example: mrbench train export --model run/stage3 --out elva-exported
    """
    from elva.exported.write import export as write
    from elva.zoo import folder_of

    facts = write(folder_of(model), out, overwrite=overwrite)
    note(f"embeds {'after a summary' if facts['embedding'] == 'summary' else 'at the end of the prompt'}")
    if as_json:
        print_json({"folder": str(out), **facts})
    else:
        typer.echo(f"folder: {out}")


def _report(folder: Path, spec: str, as_json: bool) -> None:
    # The data was trained on, and may have no test split.
    note(f"next: {command_line('mrbench', 'evaluate', 'BENCHMARK', '--model', spec)}")
    if as_json:
        print_json({"model": str(folder), "spec": spec})
    else:
        typer.echo(f"model: {folder}")
