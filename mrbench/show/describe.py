"""A query in words, for a terminal."""

from __future__ import annotations

from typing import Any

from mrbench.records import TASKS


def describe(shown: dict[str, Any]) -> str:
    """Return what :func:`mrbench.show.show` found as lines of text.

    Args:
        shown: The description that ``show`` returned.
    """
    query = shown["query"]
    picture = "; its picture shows " + _values(query["image_grains"]) if query["image_grains"] else ""
    lines = [
        f"query {query['id']}, {TASKS[query['task']].title}, {query['split']}",
        f"  instruction  {query['instruction']}",
        f"  text         {query['text'] or '(a picture)'}{picture}",
    ]
    lines += [f"  grain        {_grain(grain)}" for grain in query["grains"]]
    names = {"degrained": "without {}", "flipped": "other {}", "paraphrased": "in other words"}
    others = [variant for variant in shown["variants"] if variant["text"] and variant["text"] != query["text"]]
    lines += [f"  {names[other['kind']].format(other['grain'])}: {other['text']}" for other in others]
    lines.append(f"ladder, {len(shown['ladder'])} candidates by falling grade")
    for step in shown["ladder"]:
        says = step["text"] or _values(step["grains"])
        lines.append(f"  {step['id']}  {caption(step['grade'], step['of'], step['violates'])}: {says}")
    return "\n".join(lines)


def caption(grade: int, of: int, violates: list[str]) -> str:
    """Say how good a candidate is.

    >>> caption(3, 4, ["skin tone"]), caption(2, 2, [])
    ('3/4 not: skin tone', '2/2 relevant')
    """
    return f"{grade}/{of} not: {', '.join(violates)}" if violates else f"{grade}/{of} relevant"


def _grain(grain: dict[str, Any]) -> str:
    words = f', "{grain["words"]}" at {grain["start"]}-{grain["end"]}' if grain["words"] else ""
    return f"{grain['type']} = {grain['value']}{words}"


def _values(grains: dict[str, str]) -> str:
    return ", ".join(f"{kind} {value}" for kind, value in grains.items())
