"""``mrbench models``: the models that can be evaluated by name."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from mrbench.cli.common import Json, MaxLength, print_json
from mrbench.cli.completion import model_names
from mrbench.cli.streams import say
from mrbench.errors import ModelError, redacted_spec

app = typer.Typer(help="List the models that can be evaluated; show, test or convert one.", rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def models(context: typer.Context, as_json: Json = False) -> None:
    """List the models that can be evaluated by name.

    Example: mrbench models
    """
    if context.invoked_subcommand is None:
        _list(as_json)


Spec = Annotated[
    str,
    typer.Argument(metavar="SPEC", help="As for --model of evaluate.", show_default=False, autocompletion=model_names),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")]
Dtype = Annotated[
    str | None,
    typer.Option("--dtype", help="float32, float16 or bfloat16. [default: the model's own]", show_default=False),
]
Trust = Annotated[
    bool, typer.Option("--trust-remote-code", help="Run code that comes with a model's weights. Read that code first.")
]


@app.command("check")
def check(
    model: Spec,
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            help="Another model: compare the two vector by vector.",
            show_default=False,
            autocompletion=model_names,
        ),
    ] = None,
    device: Device = "auto",
    dtype: Dtype = None,
    max_length: MaxLength = None,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Items per forward pass, at most.")] = 1024,
    trust_remote_code: Trust = False,
    as_json: Json = False,
) -> None:
    """Test what an evaluation assumes of a model, or compare two models vector by vector.

    Vectors must be there, repeatable, the same in any batch, and change with text, picture and both. Long and empty
    texts and pictures of all kinds are tried, speed and memory are told. The exit code is 2 where a check fails.

    Example: mrbench models check minilm
    """
    from mrbench.models.check import check_model, compare
    from mrbench.models.zoo import load_model

    options: dict[str, Any] = {"device": device, "dtype": dtype, "max_length": max_length, "batch_size": batch_size}
    loaded = load_model(model, **options, trust_remote_code=trust_remote_code)
    if against is None:
        findings = check_model(loaded)
    else:
        findings = compare(loaded, load_model(against, device=device, batch_size=batch_size))
    failed = sum(finding.status == "FAIL" for finding in findings)
    if as_json:
        print_json({"model": _said(loaded), "passed": not failed, "findings": [asdict(one) for one in findings]})
    else:
        width = max(len(one.check) for one in findings)
        for one in findings:
            say(f"{one.status}  {one.check:<{width}}  {one.detail}")
    if failed:
        what = (
            "the model does not pass" if against is None else f"the vectors are not those of {redacted_spec(against)}"
        )
        got = f"{failed} of {len(findings)} checks failed"
        raise ModelError(
            what, where=redacted_spec(model), got=got, hint="the lines that begin with FAIL say what differs"
        )


@app.command("show")
def show(
    model: Spec,
    device: Device = "auto",
    dtype: Dtype = None,
    max_length: MaxLength = None,
    trust_remote_code: Trust = False,
    as_json: Json = False,
) -> None:
    """Load a model and show its facts: revision, dimension, modalities, number format, parameters.

    Example: mrbench models show minilm
    """
    from mrbench.models.zoo import load_model

    loaded = load_model(model, device=device, dtype=dtype, max_length=max_length, trust_remote_code=trust_remote_code)
    said = _said(loaded)
    if as_json:
        print_json(said)
        return
    width = max(map(len, said))
    for name, value in said.items():
        shown = "; ".join(value) if isinstance(value, list) else str(value)
        say(f"{name:<{width}}  {shown or 'none'}")


@app.command("convert")
def convert(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="A folder, a hub id, or one file of weights.", show_default=False)
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write, new or empty.", show_default=False)],
    as_json: Json = False,
) -> None:
    """Write a checkpoint of pickles again with safetensors: no other command reads a pickle.

    A pickle can run code when it is read. This command reads nothing but its tensors (torch.load with weights_only).

    Example: mrbench models convert old-clip --output old-clip-safetensors
    """
    from mrbench.models.other_adapter import adapters_of
    from mrbench.models.pickles import convert as run

    done = run(source, output)
    if as_json:
        print_json({"folder": str(done.folder), "weights": list(done.weights), "left_out": list(done.left)})
        return
    say(f"{done.folder}: {', '.join(done.weights)}")
    if done.left:
        say(f"left out, since they are no weights by a known name: {', '.join(done.left)}")
    for prefix in adapters_of(done.folder)[:1]:
        say(f"next: mrbench models check {shlex.quote(f'{prefix}:{done.folder}')}")


def _said(model: Any) -> dict[str, Any]:
    """Return what a result would say of a model, and how it computes."""
    from mrbench.evaluation.describe import describe

    found = describe(model) | {name: bool(getattr(model, name, False)) for name in ("symmetric", "additive")}
    found |= {"preprocessing": str(getattr(model, "preprocessing", "") or "not stated")}
    remark = str(getattr(model, "remark", "") or "")
    return found | ({"remark": remark} if remark else {})


@app.command("list")
def list_models(as_json: Json = False) -> None:
    """List the models that can be evaluated by name.

    Example: mrbench models list --json
    """
    _list(as_json)


def _list(as_json: bool) -> None:
    from mrbench.models.zoo import ZOO

    entries = list(ZOO)
    if as_json:
        print_json([{"name": e.name, "summary": e.summary, "extra": e.extra, **dict(e.facts)} for e in entries])
        return
    width = max(len(entry.name) for entry in entries)
    for entry in entries:
        facts = "; ".join(f"{key}: {value}" for key, value in entry.facts)
        say(f"{entry.name:<{width}}  {entry.summary}" + (f" ({facts})" if facts else ""))
