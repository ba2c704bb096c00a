"""``mrbench models``: the models that can be evaluated by name."""

from __future__ import annotations

import typer

from mrbench.cli.common import Json, print_json
from mrbench.cli.streams import say

app = typer.Typer(help="List the models that can be evaluated by name.", rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def models(context: typer.Context, as_json: Json = False) -> None:
    """List the models that can be evaluated by name.

    Example: mrbench models
    """
    if context.invoked_subcommand is None:
        _list(as_json)


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
