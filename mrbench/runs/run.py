"""The run: the tables kept of a search, from which all scores can be computed again without the model."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mrbench.errors import ResultError, advised, command_line
from mrbench.files import read_versioned_json, sha256_file, write_json_atomic

FORMAT = "mrbench-run"
FORMAT_VERSION = 2
RUN = "run.json"
QUERY_VECTORS, CANDIDATE_VECTORS = "vectors per query", "vectors per candidate"
"""Settings that only runs of multi-vector models have: the mean number of vectors. Such scores may leave -1 to 1."""
_TASK = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.]{0,99}")
_TREC_ROWS = 1 << 16  # rows that are formatted at a time

_NAME = pa.dictionary(pa.int32(), pa.string())  # each name is stored once, and each row holds a number
_QUERY, _CANDIDATE = ("query-id", _NAME), ("corpus-id", _NAME)
_SCORE, _COUNTS = ("score", pa.float32()), (("greater", pa.int64()), ("equal", pa.int64()))
_OTHERS = (("above", pa.int64()), ("tied", pa.int64()))
_KIND, _GRAIN, _NUMBER = ("kind", _NAME), ("grain", _NAME), ("number", pa.int64())
TABLES: dict[str, pa.Schema] = {
    "top": pa.schema([_QUERY, _CANDIDATE, ("rank", pa.int64()), _SCORE]),
    "ladder": pa.schema([_QUERY, _CANDIDATE, _SCORE, *_COUNTS]),
    "relevant": pa.schema([_QUERY, _CANDIDATE, _SCORE, *_COUNTS]),
    "gains": pa.schema([_QUERY, _SCORE, *_COUNTS, ("gain", pa.int64()), ("judged", pa.int64())]),
    "queries": pa.schema(
        [_QUERY, _SCORE, *_OTHERS, *((n, pa.float64()) for n in ("mean", "deviation", "unrelated", "wrong"))]
    ),
    "variants": pa.schema(
        [_QUERY, _KIND, _GRAIN, _NUMBER, ("distance", pa.float64()), _SCORE, ("target", pa.float32()), *_OTHERS]
    ),
    "first": pa.schema([_QUERY, _GRAIN, ("kept", pa.float64()), ("lost", pa.float64())]),
    "parts": pa.schema([_QUERY, ("part", _NAME), _SCORE, *_OTHERS]),
    "overlay": pa.schema([_QUERY, _CANDIDATE, _SCORE, *_COUNTS, ("relevance", pa.int64())]),
    "cut": pa.schema([("what", _NAME), ("id", pa.string()), _KIND, _GRAIN, _NUMBER]),
}
"""The columns of each table of a task: ``<task>.<table>.parquet``, and for ``top`` ``<task>.run.parquet``.

``greater`` and ``equal`` count the candidates of the whole pool with a strictly higher score, and with the same score
(including the candidate itself). ``above`` and ``tied`` count the same for the query's own positive, but only among the
candidates that are not relevant to the query. ``overlay`` exists if the evaluation had an overlay.
"""
OPTIONAL = ("overlay", "cut")
"""Tables that a run may lack."""
FILES = rf"run\.json|[A-Za-z0-9][A-Za-z0-9_.]{{0,99}}\.(trec|(run|{'|'.join(TABLES)})\.parquet)"
"""The names of all files of a run, as a regular expression."""


@dataclass(frozen=True, slots=True)
class TaskRun:
    """The run of one task.

    Attributes:
        top: The best candidates of each query, by falling score, ties by id.
        ladder: The score of every member of each query's ladder.
        relevant: Every relevant candidate with its score, and the numbers that score higher and the same.
        gains: Every group of tied candidates among the first results (ten, or as many as the task's measures need),
            with the sum of its gains and the number of its judged candidates.
        queries: For every query the score and rank of its own positive, mean and standard deviation of its scores over
            the pool, its mean cosine distance to unrelated queries (NaN if it has none), and the share of its first ten
            results whose modality the task does not ask for.
        first: For every grain of a query the share of the first ten results that keep it, and the share of the results
            tied for rank 1 that lose it; expected values over ties.
        variants: For every variant its cosine distance to the query, the score and rank of the query's own positive,
            and the score of the candidate that the variant asks for.
        parts: For every composed query the score and rank of its positive when the query is its picture or its text
            alone; empty for other tasks, and for models that cannot take both alone.
        seconds: Wall time by step.
        setting: How the task was embedded, where there is a choice.
        overlay: The overlay's pairs with their relevance, score and rank in the whole pool; None without an overlay.
        cut: Every text that the model cut: of a query, a candidate or a variant. None if the model does not say, and in
            runs of earlier versions.
    """

    top: pa.Table
    ladder: pa.Table
    relevant: pa.Table
    gains: pa.Table
    queries: pa.Table
    variants: pa.Table
    first: pa.Table
    parts: pa.Table
    seconds: dict[str, float] = field(default_factory=dict)
    setting: dict[str, str] = field(default_factory=dict)
    overlay: pa.Table | None = None
    cut: pa.Table | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """One model on one split of one benchmark, before any measure.

    Attributes:
        model: As in the result file.
        benchmark: ``{"name", "title", "digest", "split", "pool"}``, and ``distractors`` if a limit left out candidates.
        limit: Number of queries per task that were kept, or None for all.
        depth: Candidates per query in ``top``.
        tasks: The run of every task that the model can take.
        not_supported: The reason why a task has no run, by task.
        overlay: ``{"name", "sha256", "rows"}`` of the overlay; empty without one.
    """

    model: dict[str, Any]
    benchmark: dict[str, Any]
    seed: int
    limit: int | None
    depth: int
    tasks: dict[str, TaskRun]
    not_supported: dict[str, str]
    overlay: dict[str, Any] = field(default_factory=dict)


def write_run(folder: Path, run: Run) -> None:
    """Write a run into an existing folder: ``run.json``, and for each task its Parquet files and a TREC run file.

    ``run.json`` holds the SHA-256 of every Parquet file, since some of their numbers cannot be checked against others.
    """
    digests = {}
    tag = "-".join(str(run.model["name"]).split()) or "model"
    for task, part in run.tasks.items():
        for table, schema in TABLES.items():
            if getattr(part, table) is None and table in OPTIONAL:
                continue
            path = _path(folder, task, table)
            rows = getattr(part, table).select(schema.names).cast(schema)
            pq.write_table(rows, path, compression="zstd", store_schema=False)  # readers see names as plain strings
            digests[path.name] = sha256_file(path)
        _write_trec(folder / f"{task}.trec", part.top, tag)
    raw = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        **{name: getattr(run, name) for name in ("model", "benchmark", "seed", "limit", "depth", "not_supported")},
        "tasks": {
            task: {"seconds": part.seconds, **({"setting": part.setting} if part.setting else {})}
            for task, part in run.tasks.items()
        },
        "files": digests,
        **({"overlay": run.overlay} if run.overlay else {}),
    }
    write_json_atomic(folder / RUN, raw)


def _write_trec(path: Path, top: pa.Table, tag: str) -> None:
    with path.open("wb") as stream:
        for start in range(0, len(top), _TREC_ROWS):
            part = top.slice(start, _TREC_ROWS).select(TABLES["top"].names)
            columns = (_as_trec(column.combine_chunks()) for column in part.columns)
            query, candidate, rank, score = columns
            # A score has the fewest digits that identify the float32.
            lines = pc.binary_join_element_wise(query, "Q0", candidate, rank, score, f"{tag}\n", " ")
            length = pc.sum(pc.binary_length(lines)).as_py()
            stream.write(memoryview(lines.buffers()[2])[:length])


def _as_trec(column: pa.Array) -> pa.Array:
    """Return a column as text; in ids white space and ``%`` are percent-encoded, since white space separates fields."""
    if not pa.types.is_dictionary(column.type):
        return column.cast(pa.string())
    names = column.dictionary.cast(pa.string())
    if pc.any(pc.match_substring_regex(names, r"[\s%]|[^\x00-\x7f]")).as_py():
        names = pa.array([re.sub(r"[\s%]", lambda c: quote(c[0]), name) for name in names.to_pylist()], pa.string())
    return names.take(column.indices)


def evaluate_again(folder: Path, benchmark: str = "BENCHMARK") -> str:
    """Return the command that makes a run anew, where the one in a folder cannot be used.

    >>> evaluate_again(Path("results/conse"), "scenes")
    'mrbench evaluate scenes --model SPEC --output results/conse --overwrite'
    """
    return command_line("mrbench", "evaluate", benchmark, "--model", "SPEC", "--output", folder, "--overwrite")


def read_run(folder: Path) -> Run:
    """Read a run.

    Raises:
        ResultError: Not a run, or one that is incomplete or malformed.
        FormatVersionError: Written by a newer version of MRBench.
    """
    with advised(evaluate_again(folder), ResultError):
        return _read_run(folder)


def _read_run(folder: Path) -> Run:
    path = folder / RUN
    raw = read_versioned_json(path, what="run", name=FORMAT, newest=FORMAT_VERSION, error=ResultError)
    try:
        for task in (*raw["tasks"], *raw["not_supported"]):
            if not _TASK.fullmatch(task):
                raise ValueError(f"malformed name of a task: {task!r}")
        digests = dict(raw.get("files", {}))  # not in runs of earlier versions
        return Run(
            model=dict(raw["model"]),
            benchmark={
                **{name: str(raw["benchmark"][name]) for name in ("name", "title", "digest", "split", "pool")},
                "tasks": [str(task) for task in raw["benchmark"]["tasks"]],
                **_instruction(raw["benchmark"]),
                **_distractors(raw["benchmark"]),
            },
            seed=int(raw["seed"]),
            limit=None if raw["limit"] is None else int(raw["limit"]),
            depth=int(raw["depth"]),
            tasks={task: _read_task(folder, task, part, digests) for task, part in raw["tasks"].items()},
            not_supported={task: str(reason) for task, reason in raw["not_supported"].items()},
            overlay=dict(raw.get("overlay", {})),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ResultError("malformed run", where=path, got=f"{type(error).__name__}: {error}") from error


def _distractors(benchmark: dict[str, Any]) -> dict[str, int]:
    """Return the number of candidates that a quick look kept besides those that the queries need; empty without one."""
    return {"distractors": int(benchmark["distractors"])} if "distractors" in benchmark else {}


def _instruction(benchmark: dict[str, Any]) -> dict[str, Any]:
    """Return the instruction of a run, for all tasks or by task; empty if each query had its own."""
    said = benchmark.get("instruction")
    if said is None:
        return {}
    return {"instruction": {str(k): str(v) for k, v in said.items()} if isinstance(said, dict) else str(said)}


def read_header(folder: Path) -> dict[str, Any]:
    """Return the contents of ``run.json``: model, benchmark, limit, tasks, and the digests of the tables.

    Raises:
        ResultError: Not a run.
        FormatVersionError: Written by a newer version of MRBench.
    """
    return read_versioned_json(folder / RUN, what="run", name=FORMAT, newest=FORMAT_VERSION, error=ResultError)


def read_table(folder: Path, task: str, table: str, digests: dict[str, str]) -> pa.Table:
    """Read one table of a task, checked against the digests that the run states.

    Raises:
        ResultError: The table is missing, altered or malformed.
    """
    schema = TABLES[table]
    path = _path(folder, task, table)
    _check_digest(path, digests)
    try:
        found = pq.read_table(path, partitioning=None, read_dictionary=_names(schema))
        found = _as_version_2(found, table)
        found = found.select(schema.names).cast(schema).unify_dictionaries().combine_chunks()
        found.validate(full=True)  # names that are not UTF-8
    except (OSError, KeyError, pa.ArrowException) as error:
        raise ResultError("unreadable table of a run", where=path, got=str(error)) from error
    if any(column.null_count for column in found.columns):
        raise ResultError("a table of a run has empty cells", where=path)
    return found


def _read_task(folder: Path, task: str, said: dict[str, Any], digests: dict[str, str]) -> TaskRun:
    tables = {}
    for table in TABLES:
        path = _path(folder, task, table)
        if table in OPTIONAL and not path.exists() and path.name not in digests:
            continue
        tables[table] = read_table(folder, task, table, digests)
    return TaskRun(
        **tables,
        seconds={step: float(value) for step, value in said["seconds"].items()},
        setting={str(name): str(value) for name, value in said.get("setting", {}).items()},
    )


def _as_version_2(found: pa.Table, table: str) -> pa.Table:
    """Return a table with the columns of format version 2: in version 1 all was judged, and ties had another name."""
    if table == "gains" and "judged" not in found.column_names:
        found = found.append_column("judged", found["equal"])
    return found.rename_columns(["tied" if name == "beside" else name for name in found.column_names])


def _names(schema: pa.Schema) -> list[str]:
    return [column.name for column in schema if column.type == _NAME]


def _check_digest(path: Path, digests: dict[str, str]) -> None:
    if not path.is_file():
        raise ResultError("a table of a run is missing", where=path)
    if digests and (found := sha256_file(path)) != digests.get(path.name):
        raise ResultError("a table of a run is altered", where=path, got=found, accepted=digests.get(path.name))


def _path(folder: Path, task: str, table: str) -> Path:
    return folder / f"{task}.{'run' if table == 'top' else table}.parquet"
