"""``mrbench cache``: what a folder of embeddings holds, and removing it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from mrbench.cli.common import Cache, Json, print_json
from mrbench.errors import InputError

app = typer.Typer(help="Look at the embeddings that --cache keeps, or remove them.", no_args_is_help=True)
Model = Annotated[str | None, typer.Option("--model", "-m", help="Only this model, by name.", show_default=False)]


@app.command("info")
def info(cache: Cache = None, model: Model = None, as_json: Json = False) -> None:
    """Say what a cache holds of each model, and how large it is.

    Example: mrbench cache info --cache embeddings
    """
    from mrbench.retrieve.store import cached

    entries = [entry for entry in cached(_folder(cache)) if model in (None, entry.model["name"])]
    if as_json:
        print_json([asdict(entry) | {"folder": str(entry.folder)} for entry in entries])
        return
    for entry in entries:
        told = f"{entry.model['name']} ({entry.model['revision']}, {entry.model['dtype']})"
        typer.echo(f"{told}: {entry.units} units, {entry.bytes / 2**20:.1f} MiB, {entry.folder}")
    typer.echo(f"{len(entries)} models, {sum(entry.bytes for entry in entries) / 2**20:.1f} MiB")


@app.command("clear")
def clear(cache: Cache = None, model: Model = None) -> None:
    """Remove what a cache holds, of every model or of one; other files in the folder stay.

    Example: mrbench cache clear --cache embeddings --model conse
    """
    from mrbench.retrieve import store

    entries = [entry for entry in store.cached(_folder(cache)) if model in (None, entry.model["name"])]
    for entry in entries:
        store.clear(entry)
    typer.echo(f"removed {len(entries)} models, {sum(entry.bytes for entry in entries) / 2**20:.1f} MiB")


def _folder(cache: Path | None) -> Path:
    if cache is None:
        raise InputError("no cache named", accepted="--cache DIR, or MRBENCH_CACHE")
    if not cache.is_dir():
        raise InputError("no such folder", where="--cache", got=str(cache))
    return cache
