"""Describes a query in text for a terminal."""

from __future__ import annotations

from typing import Any

from mrbench.words import one_line


def describe(shown: dict[str, Any]) -> str:
    """Return the description of :func:`mrbench.show.show` as lines of text.

    Args:
        shown: The description that ``show`` returned.
    """
    shown = _plain(shown)
    query = shown["query"]
    picture = "; its picture shows " + _values(query["image_grains"]) if query["image_grains"] else ""
    lines = [
        f"query {query['id']}, {query['title']}, {query['split']}",
        f"  instruction  {query['instruction']}",
        f"  text         {query['text'] or '(a picture)'}{picture}",
    ]
    lines += [f"  grain        {_grain(grain)}" for grain in query["grains"]]
    names = {"degrained": "without {}", "flipped": "other {}", "paraphrased": "in other words"}
    others = [variant for variant in shown["variants"] if variant["text"] and variant["text"] != query["text"]]
    lines += [f"  {names[other['kind']].format(other['grain'])}: {other['text']}" for other in others]
    if shown["ladder"]:
        lines.append(f"ladder, {len(shown['ladder'])} candidates by falling grade")
    else:
        lines.append(f"{len(shown['judged'])} of {shown['judgements']} judged candidates by falling relevance")
    for step in shown["ladder"] or shown["judged"]:
        says = step["text"] or _values(step["grains"]) or "(a picture)"
        worth = caption(step["grade"], step["of"], step["violates"], step["relevance"])
        lines.append(f"  {step['id']}  {worth}: {says}")
    return "\n".join(lines)


def caption(grade: int | None, of: int | None, violates: list[str], relevance: int) -> str:
    """Return a candidate's grade or relevance, and its violated grain types, in a few words.

    >>> caption(3, 4, ["skin tone"], 0), caption(2, 2, [], 1)
    ('3/4 not: skin tone', '2/2 relevant')
    >>> caption(None, None, ["swap_obj"], 0), caption(None, None, [], 2), caption(None, None, [], 0)
    ('not relevant: swap_obj', 'relevant (2)', 'not relevant')
    """
    if grade is None:
        worth = f"relevant ({relevance})" if relevance > 1 else "relevant" if relevance else "not relevant"
        return f"{worth}: {', '.join(violates)}" if violates else worth
    return f"{grade}/{of} not: {', '.join(violates)}" if violates else f"{grade}/{of} relevant"


def _plain(value: Any) -> Any:
    """Return a description whose texts are single lines without control characters."""
    if isinstance(value, dict):
        return {one_line(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return one_line(value) if isinstance(value, str) else value


def _grain(grain: dict[str, Any]) -> str:
    words = f', "{grain["words"]}" at {grain["start"]}-{grain["end"]}' if grain["words"] else ""
    return f"{grain['type']} = {grain['value']}{words}"


def _values(grains: dict[str, str]) -> str:
    return ", ".join(f"{kind} {value}" for kind, value in grains.items())
