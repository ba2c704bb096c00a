"""Reads judgements to lay over a data set: CSV, TSV, JSON lines or TREC qrels, or the judgements of another data set.

The format is documented in ``docs/reference/overlay.md``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mrbench.benchmark import Benchmark
from mrbench.errors import BenchmarkError
from mrbench.files import sha256_file
from mrbench.pools.overlay import Overlay
from mrbench.sources.files import lines_of, need_file, read_jsonl, read_table, read_text
from mrbench.sources.open import open_benchmark, parse_spec
from mrbench.sources.rows import in_small_letters, only_column

QRELS = (".qrels", ".qrel", ".trec")
TABLES = (".csv", ".tsv")
LINES = (".jsonl", ".ndjson")
_NAMES = {
    "query": ("query-id", "query_id", "query"),
    "candidate": ("corpus-id", "candidate-id", "corpus_id", "candidate_id", "candidate"),
    "relevance": ("score", "relevance"),
    "origin": ("origin",),
    "task": ("task",),
}
_OPTIONAL = {"origin": "human", "task": ""}
_ESCAPED = re.compile("%(09|20|25)")
Row = tuple[str, dict[str, Any]]


def read_overlay(spec: str | Path, split: str = "test", *, image_root: Path | None = None) -> Overlay:
    """Read judgements that are to be laid over those of a data set.

    Args:
        spec: A file; or a benchmark, as :func:`mrbench.sources.open_benchmark` takes it, whose judgements are laid over
            the tasks of the same name.
        split: The split of the benchmark.
        image_root: Folder below which the images of the benchmark lie; they are not read.

    Raises:
        BenchmarkError: The file is missing, of an unknown kind, or malformed.
        InputError: Unknown source or option, or the benchmark has no such split.
    """
    source, location, _ = parse_spec(str(spec))
    path = Path(location)
    if source is not None or path.is_dir():
        return _of_benchmark(open_benchmark(spec, image_root=image_root), split)
    kind = (Path(path.stem) if path.suffix == ".gz" else path).suffix.lower()
    readers = {**dict.fromkeys(TABLES, read_table), **dict.fromkeys(LINES, read_jsonl), **dict.fromkeys(QRELS, _qrels)}
    if kind not in readers:
        accepted = f"{', '.join(readers)}, with .gz or without; a benchmark folder, or SOURCE:PLACE"
        raise BenchmarkError("unknown kind of overlay", where=need_file(path), got=kind, accepted=accepted)
    columns: dict[str, list[Any]] = {name: [] for name in _NAMES}
    known = [key for names in _NAMES.values() for key in names]
    for where, named in readers[kind](need_file(path)):
        row = in_small_letters(named, known)
        for name in _NAMES:
            key = _key(row, name, where)
            value = _OPTIONAL[name] if key is None else row[key]
            columns[name].append(_relevance(value, where) if name == "relevance" else _text(value, name, where))
    if not columns["query"]:
        raise BenchmarkError(
            "an overlay has no row", where=path, accepted="one row or more of query-id, corpus-id and score"
        )
    return _overlay(path.name, sha256_file(path), columns)


def _of_benchmark(benchmark: Benchmark, split: str) -> Overlay:
    columns: dict[str, list[Any]] = {name: [] for name in _NAMES}
    for task in benchmark.task_names:
        records = benchmark.judgements(task, split)
        if benchmark.task(task).judgements != "partial" or not len(records):
            continue
        table = records.table(["query-id", "corpus-id", "score", "origin"])
        columns["task"] += [task] * len(table)
        pairs = {"query": "query-id", "candidate": "corpus-id", "relevance": "score", "origin": "origin"}
        for name, column in pairs.items():
            columns[name] += table[column].to_pylist()
    if not columns["query"]:
        raise BenchmarkError(
            "a benchmark lists no judgement to lay over another",
            where=benchmark.folder,
            accepted="a benchmark with partial judgements, or a file",
        )
    return _overlay(benchmark.name, benchmark.digest, columns)


def _overlay(name: str, digest: str, columns: Mapping[str, list[Any]]) -> Overlay:
    texts = {key: np.array(columns[key], dtype=np.str_) for key in ("task", "query", "candidate", "origin")}
    return Overlay(name=name, sha256=digest, relevance=np.array(columns["relevance"], dtype=np.int64), **texts)


def _qrels(path: Path) -> Iterator[Row]:
    """Yield the rows of TREC qrels: query, a number that is not read, candidate, relevance.

    ``%20``, ``%09`` and ``%25`` in an id stand for a space, a tab and ``%``, as in the TREC run files of MRBench.
    """
    for number, line in enumerate(lines_of(read_text(path)), 1):
        words = line.split()
        if not words:
            continue
        if len(words) != 4:
            accepted = "query, 0, candidate and relevance, with white space between"
            raise BenchmarkError(
                "not a line of TREC qrels", where=f"{path}:{number}", got=line[:100], accepted=accepted
            )
        query, _, candidate, relevance = words
        yield (
            f"{path}:{number}",
            {"query-id": _unescaped(query), "corpus-id": _unescaped(candidate), "score": relevance},
        )


def _unescaped(name: str) -> str:
    return _ESCAPED.sub(lambda code: chr(int(code[1], 16)), name)


def _key(row: Mapping[str, Any], name: str, where: str) -> str | None:
    """Return the column that holds a value, None where it is optional and not there."""
    found = only_column(row, _NAMES[name], where)
    if found is None and name not in _OPTIONAL:
        accepted = " or ".join(_NAMES[name])
        raise BenchmarkError("a column is missing", where=where, got=sorted(row)[:20], accepted=accepted)
    return found


def _text(value: Any, name: str, where: str) -> str:
    """Return an id as text; JSON may have it as a number."""
    if isinstance(value, bool) or not isinstance(value, str | int) or (value == "" and name not in _OPTIONAL):
        raise BenchmarkError("a value is of another type", where=f"{where}, {name}", got=value, accepted="text")
    return str(value)


def _relevance(value: Any, where: str) -> int:
    said = str(value).strip()
    if isinstance(value, bool) or not re.fullmatch("[0-9]{1,9}", said):
        raise BenchmarkError("malformed relevance", where=where, got=value, accepted="a whole number, 0 or more")
    return int(said)
