"""The text of the data card of the paper's recipe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mrbench.benchmark import Manifest
from mrbench.judge import Judge


def description(source: Manifest, judge: Judge, measured: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the body of the data card.

    Args:
        source: Manifest of the tree of M-BEIR.
        judge: The judge that found the grains.
        measured: The counts of queries, grains and variants, by task.
    """
    versions = ", ".join(f"{name} {version}" for name, version in judge.versions.items())
    lines = [
        f"Built by `mrbench build paper` from {source.title} (digest `{source.content_sha256}`).",
        "",
        "The recipe is that of ELVA (arXiv 2606.20280): test queries of M-BEIR with two grains or more, equally many",
        "of each task, searched in M-BEIR's local pools. The paper's judge was Qwen2.5-VL-7B, and its list of queries",
        f"is not published. Here the judge is `{judge.name}` ({versions}), so scores are not the paper's.",
        "",
        "Judgements are those of M-BEIR. What the paper calls Recall@5 is `hit_rate@5`. The grains of a query come",
        "from its text, or, where it is a picture alone, from captions or descriptions of the picture.",
    ]
    for task, counts in measured.items():
        lines += [
            "",
            f"### {task}",
            "",
            f"- queries: {counts['queries']:,}; by number of grains: {_listed(counts['grains_of_a_query'])}",
            f"- grains: {_listed(counts['grains'])}",
            f"- variants: {_listed(counts['variants'])}",
            f"- no queries: {_listed(counts['left_out'])}",
        ]
    return "\n".join(lines)


def _listed(table: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {number:,}" for name, number in table.items()) or "none"
