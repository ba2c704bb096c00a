"""The model card of trained heads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from elva.heads.folder import LOADER, PLOT
from elva.heads.report import Change, blind_grains, table


def model_card(facts: dict[str, Any], reports: Sequence[tuple[str, tuple[str, str], Sequence[Change]]]) -> str:
    """Return the card.

    Args:
        facts: What ``head.json`` holds.
        reports: Of each benchmark tested on its title, the names of the models before and after, and the changes.
    """
    data, training, encoders = facts["data"], facts["training"], facts["encoders"]
    parts = [f"- {part}: {said['name']}, licence {said['licence']}" for part, said in encoders.items()]
    lines = [
        "---",
        "library_name: mrbench",
        f"tags: [multimodal-retrieval, linear-head, {training['objective']}]",
        "---",
        "",
        f"# {facts['name']}",
        "",
        _what(facts),
        "",
        "Encoders, which are not part of this folder:",
        "",
        *parts,
        "",
        f"Licence of the data: {data['licence']}. Heads learned from data may fall under its licence.",
        "",
        f"Picked on validation data ({data['validation']}): {_said(training['setting'])}, step {training['step']}.",
        "",
        "## Use",
        "",
        "```python",
        f"from {LOADER.removesuffix('.py')} import embed, load_heads  # numpy and safetensors alone",
        "",
        "heads = load_heads()",
        *(f'{part.replace(",", "_")}s = embed(heads, {{"{part}": features}})  # (n, features) -> (n, dimension)'
          for part in encoders),
        "```",
        "",
        "Or `mrbench evaluate BENCHMARK --model head:FOLDER`.",
    ]  # fmt: skip
    for title, names, changes in reports:
        lines += ["", f"## Before and after: {title}", "", *table(changes, names), ""]
        blind = blind_grains(changes)
        if any(change.measure == "pair_accuracy" for change in changes):
            lines += [f"Still at chance, or not told apart from it: {', '.join(blind) if blind else 'no grain'}."]
    if reports:
        lines += ["", f"![before and after]({PLOT})"]
    return "\n".join(lines) + "\n"


def _what(facts: dict[str, Any]) -> str:
    data, training = facts["data"], facts["training"]
    said = (
        f"Linear heads of dimension {facts['dimension']} on frozen encoders, trained with `{training['objective']}`, "
    )
    return f"{said}seed {training['seed']}, on {data['title']} (train split, digest `{data['digest'][:16]}`)."


def _said(setting: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in setting.items())
