"""The model card of an exported ELVA checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_EMBEDS = {
    "summary": "It writes a summary of the item first, and embeds at the token `[RET]` after it.",
    "prompt": "It embeds at the token `[RET]` at the end of a fixed prompt.",
}


def export_card(said: Mapping[str, Any], named: Mapping[str, Mapping[str, float]], parameters: int) -> str:
    """Return the card as Markdown: how the model embeds, how to load it, what its summaries name.

    Args:
        said: What ``export.json`` holds.
        named: Share of the summaries that name a grain, by data set and grain; may be empty.
        parameters: Number of weights.
    """
    lines = [
        "---",
        "library_name: sentence-transformers",
        "tags: [multimodal-retrieval, elva]",
        "---",
        "",
        f"# ELVA, recipe {said['recipe']}",
        "",
        f"{parameters:,} parameters. {_EMBEDS[said['embedding']]}",
        "Texts, images, and images with a text share one space.",
        "The weights fall under the licences of the base model and of the data that they were trained on.",
        "",
        "## Use",
        "",
        "```python",
        "from load_elva import Embedder  # in this folder; needs torch, transformers, numpy and pillow",
        "",
        'vectors = Embedder("FOLDER").embed(["two red dogs", Image.open("photo.jpg")])',
        "```",
        "",
        "```python",
        "from sentence_transformers import SentenceTransformer  # runs load_elva.py of this folder",
        "",
        'vectors = SentenceTransformer("FOLDER", trust_remote_code=True).encode(["two red dogs"])',
        "```",
    ]
    for data, grains in named.items():
        lines += ["", f"## What its summaries name: {data}", "", "| grain | share of the summaries |", "|---|---|"]
        lines += [f"| {grain} | {share:.2f} |" for grain, share in sorted(grains.items(), key=lambda pair: pair[1])]
    return "\n".join(lines) + "\n"
