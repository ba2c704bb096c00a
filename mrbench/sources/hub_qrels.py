"""Judgements and lists of a hub data set: checked against the ids that there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mrbench.errors import BenchmarkError
from mrbench.records import CandidateList
from mrbench.sources.hub_tables import CANDIDATE_IDS, LISTED, QUERY_IDS, SCORES, columns_of, rows_of_file
from mrbench.sources.rows import checked_id, kind_of, only_column
from mrbench.words import counted

_LARGEST = 2**31 - 1


@dataclass
class Qrels:
    """The judgements of a split.

    Attributes:
        table: Columns ``query``, ``candidate`` and ``score``, in file order, each pair once.
        queries: The ids of the queries that have one.
        notes: Remarks on what was left out.
    """

    table: pa.Table
    queries: pa.Array
    notes: list[str] = field(default_factory=list)

    def rows(self) -> Iterator[tuple[str, str, int]]:
        """Yield query, candidate and relevance."""
        for batch in self.table.to_batches(8192):
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def read_qrels(paths: Sequence[Path], query_ids: pa.Array, corpus_ids: pa.Array, *, drop_unknown: bool) -> Qrels:
    """Read judgements.

    Args:
        paths: Their files.
        query_ids: The ids of all queries.
        corpus_ids: The ids of all candidates.
        drop_unknown: Leave out judgements of other ids.

    Raises:
        BenchmarkError: A relevance is negative or no whole number, an id unknown, or two judgements of a pair differ.
    """
    columns: tuple[list[str], list[str], list[int]] = ([], [], [])
    for path in paths:
        for where, row in rows_of_file(path, _needed(path, (*QUERY_IDS, *CANDIDATE_IDS, *SCORES))):
            columns[0].append(_cell(row, QUERY_IDS, where))
            columns[1].append(_cell(row, CANDIDATE_IDS, where))
            columns[2].append(_score(row, where))
    types = {"query": pa.string(), "candidate": pa.string(), "score": pa.int32()}
    table = pa.table(list(columns), schema=pa.schema(types))
    notes: list[str] = []
    unknown = [("query", query_ids, "queries"), ("candidate", corpus_ids, "candidates")]
    found = [(what, *_unknown(table[column], ids)) for column, ids, what in unknown]
    if not drop_unknown and any(len(names) for _, _, names in found):
        faults = [
            (f"{counted(rows, 'judgement names', 'judgements name')} unknown {what} ({len(names)})", names)
            for what, rows, names in found
            if rows
        ]
        raise BenchmarkError(
            " and ".join(fault for fault, _ in faults),
            where=paths[0] if len(paths) == 1 else paths[0].parent,
            got="; ".join(", ".join(names[:5].to_pylist()) for _, names in faults),
            hint="?unknown=drop leaves these judgements out",
        )
    for column, ids, what in unknown:
        rows, names = _unknown(table[column], ids)
        if rows:
            notes.append(f"judgements of unknown {what} left out: {rows} ({', '.join(names[:5].to_pylist())})")
            table = table.filter(pc.is_in(table[column], value_set=ids))
    table = _each_once(table, paths, notes)
    if not table.num_rows:
        raise BenchmarkError(
            "no judgement", where=paths[0], accepted="one row or more of query-id, corpus-id and score"
        )
    return Qrels(table, pc.unique(table["query"].combine_chunks()), notes)


def _unknown(column: pa.ChunkedArray, ids: pa.Array) -> tuple[int, pa.Array]:
    """Return how many rows of a column are not among some ids, and what these rows hold, each once."""
    rows = column.filter(pc.invert(pc.is_in(column, value_set=ids)))
    return len(rows), pc.unique(rows)


def _each_once(table: pa.Table, paths: Sequence[Path], notes: list[str]) -> pa.Table:
    table = table.append_column("row", pa.array(range(table.num_rows), pa.int64()))
    pairs = table.group_by(["query", "candidate"]).aggregate([("score", "min"), ("score", "max"), ("row", "min")])
    if pairs.num_rows < table.num_rows:
        differs = pairs.filter(pc.not_equal(pairs["score_min"], pairs["score_max"]))
        if differs.num_rows:
            first = differs.slice(0, 1).to_pylist()[0]
            got = f"{first['query']} {first['candidate']}: {first['score_min']} and {first['score_max']}"
            raise BenchmarkError(
                f"pairs with two different judgements ({differs.num_rows})",
                where=paths[0],
                got=got,
                accepted="one judgement a pair",
            )
        notes.append(f"judgements that are there twice: {table.num_rows - pairs.num_rows}")
        table = table.take(pairs["row_min"].combine_chunks().sort())
    return table.select(["query", "candidate", "score"])


def read_lists(paths: Sequence[Path], corpus_ids: pa.Array) -> Iterator[CandidateList]:
    """Yield the candidates that each query is searched among.

    Raises:
        BenchmarkError: A list names an unknown candidate, or one twice.
    """
    for path in paths:
        for where, row in rows_of_file(path, _needed(path, (*QUERY_IDS, *LISTED))):
            name = next((name for name in LISTED if isinstance(row.get(name), list)), None)
            if name is None:
                raise BenchmarkError("a list of candidates is missing", where=where, accepted="corpus-ids: [...]")
            ids = pa.array([checked_id(value, where) for value in row[name]], pa.string())
            unknown = ids.filter(pc.invert(pc.is_in(ids, value_set=corpus_ids)))
            if len(unknown):
                got = ", ".join(unknown[:3].to_pylist())
                raise BenchmarkError(
                    f"a list names unknown candidates ({len(unknown)})",
                    where=where,
                    got=got,
                    accepted="ids of the corpus",
                )
            listed = tuple(dict.fromkeys(ids.to_pylist()))
            yield CandidateList(_cell(row, QUERY_IDS, where), listed)


def _needed(path: Path, names: Sequence[str]) -> list[str] | None:
    return [name for name in names if name in columns_of(path)] if kind_of(path) == ".parquet" else None


def _cell(row: dict[str, Any], names: Sequence[str], where: str) -> str:
    name = only_column(row, names, where)
    if name is None:
        raise BenchmarkError("a column is missing", where=where, got=sorted(row)[:9], accepted=names[0])
    return checked_id(row[name], f"{where}, {name}")


def _score(row: dict[str, Any], where: str) -> int:
    name = only_column(row, SCORES, where)
    if name is None:
        return 1  # NanoBEIR lists the relevant ones alone
    try:
        number = float(row[name])
        whole = int(number)
    except (TypeError, ValueError, OverflowError):
        number, whole = 0.5, 0
    if whole > _LARGEST:
        raise BenchmarkError("a relevance is too large", where=f"{where}, {name}", got=row[name], accepted=_LARGEST)
    if number != whole or isinstance(row[name], bool):
        raise BenchmarkError(
            "a relevance is no whole number",
            where=f"{where}, {name}",
            got=row[name],
            accepted="a whole number, 0 or more",
        )
    if whole < 0:
        raise BenchmarkError("negative relevance", where=f"{where}, {name}", got=row[name], accepted="0 or more")
    return whole
