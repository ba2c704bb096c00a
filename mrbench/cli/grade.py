"""``mrbench grade``: what candidates keep of the grains of a query."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from mrbench.cli.judges import JudgeSpec, PriceIn, PriceOut, TrustJudge, Verdicts, judging
from mrbench.cli.lines import read_lines, text_of, texts_of

_ACCEPTED = '{"query": "a caption", "candidate": "a caption" or ["a caption", ...], "image": "a file, if you like"}'
_CHUNK = 2000
"""Lines that are judged together."""


def grade(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE.jsonl",
            help='Lines {"query": "a caption", "candidate": "a caption" or a list of them}; for a judge that looks at '
            'photos also "image": the path of a photo, from the folder of the file.',
            show_default=False,
        ),
    ],
    support: Annotated[
        bool, typer.Option("--support", help="Add the soft count: how much each grain is supported, summed.")
    ] = False,
    judge: JudgeSpec = "rules",
    verdicts: Verdicts = None,
    price_in: PriceIn = None,
    price_out: PriceOut = None,
    trust_remote_code: TrustJudge = False,
) -> None:
    """Print what each candidate keeps, violates and leaves open: {"kept", "violated", "unknown", "grade", "asked"}.

    The captions of a candidate are read together. The grade is the number of grains kept, of the number asked.

    Example: mrbench grade pairs.jsonl
    """
    pairs = [
        (text_of(record, "query", where, _ACCEPTED), _candidate(record, where, file))
        for where, record in read_lines(file, _ACCEPTED)
    ]
    chosen = judging(
        judge,
        verdicts or Path("verdicts.jsonl"),
        prices=(price_in, price_out),
        trust_remote_code=trust_remote_code,
        soft=support,
    )
    with chosen as one:
        parts = (one.judge(pairs[start : start + _CHUNK]) for start in range(0, len(pairs), _CHUNK))
        lines = [json.dumps(verdict.to_json(), ensure_ascii=False) for part in parts for verdict in part]
    typer.echo("\n".join(lines))


def _candidate(record: dict[str, Any], where: str, file: Path) -> Sequence[str]:
    """Return the captions of a line, with its photo where it names one."""
    if "image" not in record:
        return texts_of(record, "candidate", where, _ACCEPTED)
    from mrbench.judge import Pictured
    from mrbench.records import ImageFile

    name = text_of(record, "image", where, _ACCEPTED)
    texts = texts_of(record, "candidate", where, _ACCEPTED) if "candidate" in record else []
    return Pictured(name, tuple(texts), ImageFile(file.parent / name, name))
