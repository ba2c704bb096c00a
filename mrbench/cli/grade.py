"""``mrbench grade``: what candidates keep of the grains of a query."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from mrbench.cli.lines import read_lines, text_of, texts_of

_ACCEPTED = '{"query": "a caption", "candidate": "a caption" or ["a caption", ...]}'
_CHUNK = 2000
"""Lines that are judged together."""


def grade(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE.jsonl",
            help='Lines {"query": "a caption", "candidate": "a caption" or a list of them}.',
            show_default=False,
        ),
    ],
    support: Annotated[
        bool, typer.Option("--support", help="Add the soft count: how much each grain is supported, summed.")
    ] = False,
) -> None:
    """Print what each candidate keeps, violates and leaves open: {"kept", "violated", "unknown", "grade", "asked"}.

    The captions of a candidate are read together. The grade is the number of grains kept, of the number asked.

    Example: mrbench grade pairs.jsonl
    """
    pairs = [
        (text_of(record, "query", where, _ACCEPTED), texts_of(record, "candidate", where, _ACCEPTED))
        for where, record in read_lines(file, _ACCEPTED)
    ]
    judge = rules(soft=support)
    for start in range(0, len(pairs), _CHUNK):
        verdicts = judge.judge(pairs[start : start + _CHUNK])
        typer.echo("\n".join(json.dumps(verdict.to_json(), ensure_ascii=False) for verdict in verdicts))


def rules(*, soft: bool, keep: bool = False) -> Any:
    """Return the judge ``rules`` with MiniLM for words of near meaning.

    Raises:
        MissingExtraError: spaCy, its model, or MiniLM is not installed.
    """
    from mrbench.grains import versions

    versions()
    from mrbench.judge import Rules
    from mrbench.models.minilm import MiniLM

    return Rules(MiniLM(), soft=soft, keep=keep)
