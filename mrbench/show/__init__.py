"""Shows one query with its grains, its positive and its ladder, as data, as text and as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mrbench.benchmark import Benchmark
from mrbench.files import write_atomic
from mrbench.show.describe import describe
from mrbench.show.find import as_json, find
from mrbench.show.picture import draw

__all__ = ["describe", "show"]


def show(benchmark: Benchmark, query_id: str, output: Path) -> dict[str, Any]:
    """Return a description of a query, and write a picture of it with its positive and its ladder.

    Args:
        benchmark: The benchmark; the query may be in any task and split.
        query_id: The query.
        output: PNG to write.

    Returns:
        The contents of the picture, ready for JSON: ``query``, ``positive``, ``ladder`` (by falling grade), ``judged``
        (by falling relevance, if there is no ladder) and ``variants``.

    Raises:
        InputError: No query has this id.
        OutputError: The picture cannot be written.
    """
    shown = find(benchmark, query_id)
    write_atomic(output, draw(shown))
    return as_json(shown)
