"""The model card of what was trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from elva.heads.folder import ADAPTED
from elva.mending.report import Report, blind_grains, table
from elva.tuning.encoders import PLOT


def model_card(facts: dict[str, Any], usage: Sequence[str], reports: Sequence[Report], spec: str) -> str:
    """Return the card.

    Args:
        facts: What the result's JSON file holds.
        usage: Lines that show how to use the result without MRBench.
        reports: Title of each benchmark tested on, the names of the models before and after, and the changes.
        spec: How commands of MRBench name the result, with FOLDER for its place.
    """
    data, training, encoders = facts["data"], facts["training"], facts["encoders"]
    parts = [f"- {part}: {said['name']}, licence {said['licence']}" for part, said in encoders.items()]
    learned = "Low-rank adapters" if "rank" in facts else "Heads"
    lines = [
        "---",
        f"library_name: {'peft' if 'rank' in facts else 'mrbench'}",
        f"tags: [multimodal-retrieval, {'lora' if 'rank' in facts else 'linear-head'}, {training['objective']}]",
        "---",
        "",
        f"# {facts['name']}",
        "",
        _what(facts),
        "",
        "Models beneath, which are not part of the weights:"
        if "rank" in facts
        else "Encoders, which are not part of this folder:",
        "",
        *parts,
        "",
        f"Licence of the data: {data['licence']}. {learned} learned from data may fall under its licence.",
        "",
        f"Picked on validation data ({data['validation']}): {_said(training['setting'])}, step {training['step']}.",
        "",
        "## Use",
        "",
        *usage,
        "",
        f"Or `mrbench evaluate BENCHMARK --model {spec}`.",
    ]
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
    if "rank" in facts:
        where = "the text encoder, with linear heads" if ADAPTED in facts else "both towers"
        what = f"Low-rank adapters (rank {facts['rank']}) on {where}"
    else:
        what = f"Linear heads of dimension {facts['dimension']} on frozen encoders"
    said = f"{what}, trained with `{training['objective']}`, seed {training['seed']}, "
    return f"{said}on {data['title']} (train split, digest `{data['digest'][:16]}`)."


def _said(setting: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in setting.items())
