"""``mrbench cache``: what a folder of embeddings holds, and removing it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mrbench.cli.common import Cache, Json, print_json
from mrbench.cli.streams import say
from mrbench.errors import InputError
from mrbench.words import counted

if TYPE_CHECKING:
    from mrbench.encode.store import Cached

app = typer.Typer(help="Look at the embeddings that --cache keeps, or remove them.", no_args_is_help=True)
Model = Annotated[str | None, typer.Option("--model", "-m", help="Only this model, by name.", show_default=False)]


@app.command("info")
def info(cache: Cache = None, model: Model = None, as_json: Json = False) -> None:
    """Show which models have embeddings in a cache, and how large they are.

    Example: mrbench cache info --cache embeddings
    """
    entries = _entries(cache, model)
    if as_json:
        print_json([asdict(entry) | {"folder": str(entry.folder)} for entry in entries])
        return
    for entry in entries:
        told = f"{entry.model['name']} ({entry.model['revision']}, {entry.model['dtype']})"
        say(f"{told}: {entry.units} units, {entry.bytes / 2**20:.1f} MiB, {entry.folder}")
    say(f"{counted(len(entries), 'model')}, {sum(entry.bytes for entry in entries) / 2**20:.1f} MiB")


@app.command("clear")
def clear(cache: Cache = None, model: Model = None) -> None:
    """Remove what a cache holds, of every model or of one; other files in the folder stay.

    Example: mrbench cache clear --cache embeddings --model conse
    """
    from mrbench.encode.store import clear as clear_entry

    entries = _entries(cache, model)
    for entry in entries:
        clear_entry(entry)
    say(f"removed {counted(len(entries), 'model')}, {sum(entry.bytes for entry in entries) / 2**20:.1f} MiB")


def _entries(cache: Path | None, model: str | None) -> list[Cached]:
    if cache is None:
        raise InputError("no cache named", accepted="--cache DIR, or MRBENCH_CACHE")
    if not cache.is_dir():
        raise InputError(
            "no such folder", where="--cache", got=str(cache), accepted="a folder that evaluate --cache wrote"
        )
    from mrbench.encode.store import cached

    entries = cached(cache)
    names = list(dict.fromkeys(entry.model["name"] for entry in entries))
    if model not in (None, *names):
        accepted = ", ".join(names) or "none"
        raise InputError("the cache holds nothing of the model", where=cache, got=model, accepted=accepted)
    return [entry for entry in entries if model in (None, entry.model["name"])]
