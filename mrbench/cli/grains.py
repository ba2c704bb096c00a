"""``mrbench grains``: the grains of captions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from mrbench.cli.common import WORKERS
from mrbench.cli.lines import read_lines, text_of
from mrbench.workers import ordered_map

_ACCEPTED = '{"text": "a caption"}'
_CHUNK = 500
"""Captions that a worker parses together."""


def grains(
    file: Annotated[
        Path, typer.Argument(metavar="FILE.jsonl", help='Lines {"text": "a caption"}.', show_default=False)
    ],
    workers: Annotated[
        int, typer.Option("--workers", min=1, help="Processes that parse. The output does not depend on it.")
    ] = WORKERS,
) -> None:
    """Print the grains of captions: a line {"grains": [{type, value, start, end}]} for each line, in order.

    text[start:end] states the grain. A caption without English words has none. docs/reference/grains.md has the types.

    Example: mrbench grains captions.jsonl > grains.jsonl
    """
    from mrbench.grains import versions

    texts = [text_of(record, "text", where, _ACCEPTED) for where, record in read_lines(file, _ACCEPTED)]
    chunks = [texts[start : start + _CHUNK] for start in range(0, len(texts), _CHUNK)]
    versions()  # a missing extra is found here, before processes start
    for lines in ordered_map(_lines, chunks, min(workers, len(chunks)), chunk=1):
        typer.echo(lines)


def _lines(texts: list[str]) -> str:
    from mrbench.grains import describe_texts, grains_of

    found = [{"grains": [grain.to_json() for grain in grains_of(one)]} for one in describe_texts(texts)]
    return "\n".join(json.dumps(line, ensure_ascii=False) for line in found)
