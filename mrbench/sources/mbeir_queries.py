"""Reading the queries, judgements and instructions of M-BEIR."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mrbench.errors import BenchmarkError
from mrbench.records import Modality
from mrbench.sources.files import field, lines_of, read_jsonl, read_text
from mrbench.sources.mbeir_layout import QueryFile, SubTask
from mrbench.sources.mbeir_pools import content, modality_of

Prompts = Mapping[tuple[int, Modality, Modality], tuple[str, ...]]
"""Instructions by number of the data set, modality of the query and modality of the candidate."""


@dataclass(frozen=True, slots=True)
class RawQuery:
    """A query as the file has it.

    Attributes:
        image: Path of its image, None without one.
        positives: Ids of its relevant candidates.
        negatives: Ids of candidates that are judged not relevant.
        where: File and line.
    """

    id: str
    text: str | None
    image: object
    positives: tuple[str, ...]
    negatives: tuple[str, ...]
    where: str


def read_queries(file: QueryFile, task: SubTask) -> Iterator[RawQuery]:
    """Yield the queries of a sub-task.

    Of a file that holds several sub-tasks those of this one are taken, each once: the union for training repeats
    queries of small data sets.

    Raises:
        BenchmarkError: A line is malformed; an id is there twice in the sub-task's own file, or has another data set's
            number; or a query is of another modality or task than the file.
    """
    seen: set[str] = set()
    for where, row in read_jsonl(file.path):
        qid = field(row, "qid", where)
        if file.shared and (not qid.startswith(f"{task.dataset_id}:") or not _is_of(task, row, where)):
            continue
        if qid in seen:
            if file.shared:
                continue
            raise BenchmarkError("two queries have one id", where=where, got=qid, accepted="each once")
        seen.add(qid)
        modality = modality_of(row.get("query_modality"), where)
        number = row.get("task_id")
        if modality != task.modalities[0] or number not in (None, task.number):
            raise BenchmarkError(
                f"a query is not of {task.name}",
                where=where,
                got=f"{modality}, task {number}",
                accepted=f"{task.modalities[0]}, task {task.number}",
            )
        text, image = content(row, "query_txt", "query_img_path", modality, where)
        positives, negatives = (_dids(row, key, where) for key in ("pos_cand_list", "neg_cand_list"))
        yield RawQuery(qid, text, image, positives, negatives, where)


def _is_of(task: SubTask, row: Mapping[str, Any], where: str) -> bool:
    """Return whether a query of a file of several sub-tasks is of this one.

    Raises:
        BenchmarkError: Nothing says so.
    """
    number = row.get("task_id")
    if number is not None:
        return bool(number == task.number)
    if task.dataset in ("webqa", "oven", "infoseek"):  # both of their sub-tasks have queries of one modality
        raise BenchmarkError("a query states no task", where=where, accepted="task_id")
    return modality_of(row.get("query_modality"), where) == task.modalities[0]


def _dids(row: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    """Return the ids of a list of candidates, which holds ids or objects with the key ``did``, each once.

    Raises:
        BenchmarkError: It holds something else.
    """
    listed = row.get(key) or []
    if not isinstance(listed, list):
        raise BenchmarkError("a value is of another type", where=f"{where}, {key}", got=listed, accepted="list")
    ids: dict[str, None] = {}
    for item in listed:
        did = item.get("did") if isinstance(item, dict) else item
        if not isinstance(did, str):
            accepted = '"9:1" or {"did": "9:1"}'
            raise BenchmarkError("a candidate has no id", where=f"{where}, {key}", got=item, accepted=accepted)
        ids[did] = None
    return tuple(ids)


def read_qrels(path: Path, task: SubTask) -> Iterator[tuple[str, str, str, int]]:
    """Yield file and line, query, candidate and relevance of each row.

    A row has five columns, the last of them the number of the task, or the first four alone. Rows of other tasks are
    left out.

    Raises:
        BenchmarkError: A row has another number of columns, or a relevance that is no integer of 0 or more.
    """
    for number, line in enumerate(lines_of(read_text(path)), 1):
        cells = line.split()
        if not cells:
            continue
        where = f"{path}:{number}"
        if len(cells) not in (4, 5):
            raise BenchmarkError(
                "a row has another number of columns", where=where, got=len(cells), accepted="qid 0 did relevance task"
            )
        if len(cells) == 5 and cells[4] != str(task.number):
            continue
        if not cells[3].isdecimal():
            raise BenchmarkError("a malformed relevance", where=where, got=cells[3], accepted="0 or more")
        yield where, cells[0], cells[2], int(cells[3])


def read_instructions(path: Path) -> Prompts:
    """Return the instructions of a tree, in the order of the file.

    Columns count, not their names: 0 is the modality of the query, 1 of the candidate, 3 the number of the data set,
    4 and on are wordings. Rows may have different numbers of wordings.

    Raises:
        BenchmarkError: The file is missing, or a row has no wording, no number, or an unknown modality.
    """
    found: dict[tuple[int, Modality, Modality], tuple[str, ...]] = {}
    for number, line in enumerate(lines_of(read_text(path)), 1):
        cells = [_unquoted(cell) for cell in line.split("\t")]
        if number == 1 or not any(cells):
            continue
        where = f"{path}:{number}"
        wordings = tuple(cell for cell in cells[4:] if cell)
        if not wordings or not cells[3].isdecimal():
            raise BenchmarkError(
                "a malformed row of instructions",
                where=where,
                got=line,
                accepted="query modality, candidate modality, data set, its number, wordings; between them tabs",
            )
        key = int(cells[3]), modality_of(cells[0], where), modality_of(cells[1], where)
        if key in found:
            raise BenchmarkError(
                "two rows of instructions for one task", where=where, got=cells[:4], accepted="each once"
            )
        found[key] = wordings
    return found


def _unquoted(cell: str) -> str:
    """Return a cell without the quotes that a spreadsheet puts around it.

    >>> _unquoted(' "Find ""it""." ')
    'Find "it".'
    """
    cell = cell.strip()
    return cell[1:-1].replace('""', '"').strip() if len(cell) > 1 and cell[0] == cell[-1] == '"' else cell
