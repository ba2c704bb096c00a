"""Options and output that the commands share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from mrbench.cli.completion import benchmarks
from mrbench.cli.streams import note as note  # plugins take it from here
from mrbench.cli.streams import say, takes_unicode
from mrbench.errors import command_line as command_line
from mrbench.workers import cores

Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout instead of text.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an output that MRBench wrote before.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of every random choice.")]
Workers = Annotated[
    int, typer.Option("--workers", min=1, help="Processes that draw or decode. What is written does not depend on it.")
]
WORKERS = cores()
Cache = Annotated[
    Path | None,
    typer.Option(
        "--cache",
        envvar="MRBENCH_CACHE",
        help="Folder that keeps embeddings between runs. [default: none]",
        show_default=False,
    ),
]
OverlayOption = Annotated[
    str | None,
    typer.Option(
        "--overlay",
        metavar="FILE",
        help="Further judgements, such as known false negatives, laid over those of the benchmark (CSV, JSONL, TREC "
        "qrels, or another benchmark). Results have scores with and without them.",
        show_default=False,
    ),
]
MaxLength = Annotated[
    int | None,
    typer.Option(
        "--max-length",
        min=1,
        help="Tokens of a text that the model reads at most. [default: as many as it takes]",
        show_default=False,
    ),
]
BenchmarkSpec = Annotated[
    str,
    typer.Argument(
        metavar="BENCHMARK",
        help="A benchmark folder, or SOURCE:PLACE; see `mrbench datasets`.",
        show_default=False,
        autocompletion=benchmarks,
    ),
]
ImageRootOption = Annotated[
    Path | None,
    typer.Option(
        "--image-root",
        metavar="DIR",
        help="Folder below which images lie that are named by path. [default: as the benchmark says]",
        show_default=False,
    ),
]


def print_json(value: Any) -> None:
    """Print a value as JSON on stdout; where that is not UTF-8, other characters than ASCII are escaped."""
    text = json.dumps(value, indent=2, ensure_ascii=not takes_unicode(), allow_nan=False)
    if any("\ud800" <= character <= "\udfff" for character in text):  # of a path that is not UTF-8
        text = json.dumps(value, indent=2, allow_nan=False)
    say(text)
