"""The queries of a task as data of the site: what they ask, their ladders, and what each model found.

Candidates are numbered as queries name them, ladders first, so that one query needs few files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from mrbench.arrays import Ints
from mrbench.benchmark import Benchmark
from mrbench.leaderboard.site.found import Found, is_relevant, read_found
from mrbench.leaderboard.site.pictures import Pictures
from mrbench.leaderboard.site.scripts import write_script
from mrbench.pools import Listed, TaskPool, load_pool
from mrbench.records import Grain, Query
from mrbench.results import Result

QUERIES, RESULTS, CANDIDATES = 100, 500, 200
"""How many of each one file holds."""
LONGEST = 4000
"""Characters of a text that are kept."""
MOST_JUDGED = 24
"""Judged candidates that are shown of a query without a ladder."""


def write_task(
    folder: Path,
    name: str,
    benchmark: Benchmark,
    task: str,
    result: Result,
    runs: Mapping[int, Path],
    art: Pictures,
    most: int,
) -> None:
    """Write the data of one task.

    Args:
        folder: The folder of the site.
        name: Where its data go, below ``data``.
        benchmark: The benchmark.
        task: The task.
        result: A result on it: which split and pool, and how it was cut.
        runs: The run of each row of the board that has one.
        art: Where pictures go.
        most: Most pictures to write. A quarter is for queries; the others are for candidates in the order of their
            numbers, so that the first queries have all of theirs.
    """
    about = result.benchmark
    pool = load_pool(
        benchmark,
        task,
        about["split"],
        pool=about["pool"],
        limit=result.limit,
        distractors=about.get("distractors"),
        seed=result.seed,
    )
    found = {row: read_found(path, pool) for row, path in runs.items()}
    ladder = _ladder(pool)
    number_of = _numbered(pool, ladder, found)
    types = list(pool.grain_types)
    art.left = most // 4
    index = _write_queries(folder, name, benchmark, pool, about["split"], ladder, number_of, types, art)
    art.left += most - most // 4
    _write_candidates(folder, name, benchmark, pool, about["split"], number_of, types, art)
    for row, what in found.items():
        _write_found(folder, name, row, pool, what, number_of)
    cutoff = pool.definition.main.rpartition("@")[2]
    sizes = {"queries": QUERIES, "results": RESULTS, "candidates": CANDIDATES}
    k = int(cutoff) if cutoff.isdecimal() else 1
    has = {"types": types, "models": sorted(found), "k": k, "sizes": sizes, "ladder": len(pool.ladder.query) > 0}
    write_script(folder, f"{name}/index", {**index, **has})


def clean(text: str) -> str:
    """Return a text in which each character that is not printable is a space, so that spans stay where they are.

    >>> clean("a\\nb\\u202ec")
    'a b c'
    """
    return "".join(char if char.isprintable() else " " for char in text[:LONGEST])


def pieces(text: str, grains: Sequence[Grain], types: list[str]) -> list[list[Any]]:
    """Return a text in pieces, each with the number of the grain type that it states, -1 for none.

    >>> pieces("two red dogs", [Grain("count", "two", 0, 3), Grain("colour", "red", 4, 7)], ["colour", "count"])
    [['two', 1], [' ', -1], ['red', 0], [' dogs', -1]]
    """
    spans = [(g.start, g.end, _number(types, g.type)) for g in grains if g.start is not None and g.end is not None]
    last_end = min(len(text), LONGEST)
    ends = sorted({0, last_end, *(end for span in spans for end in span[:2] if 0 <= end <= last_end)})
    found = []
    for start, end in pairwise(ends):
        kind = next((kind for first, last, kind in spans if first <= start and end <= last), -1)
        found.append([clean(text[start:end]), kind])
    return found


def _number(types: list[str], name: str) -> int:
    if name not in types:
        types.append(name)
    return types.index(name)


def _bits(mask: int) -> list[int]:
    return [bit for bit in range(mask.bit_length()) if mask >> bit & 1]


def _ladder(pool: TaskPool) -> list[Ints]:
    """Return the pool positions of each query's ladder: the positive first, then the others from high grade to low.

    Where a query has no ladder they are its judged candidates, the relevant ones first.
    """
    query, position = pool.ladder.query, pool.ladder.position
    if not len(query):
        query, position = pool.relevant
        if isinstance(pool.judgements, Listed):
            query, position = pool.judgements.query, pool.judgements.position
    own = position == pool.positives[query]
    gain = pool.judgements.gains_of(query, position)
    order = np.lexsort((position, -gain, ~own, query))
    query, position = query[order], position[order]
    ends = np.searchsorted(query, np.arange(len(pool.query_ids) + 1))
    most = None if len(pool.ladder.query) else MOST_JUDGED
    return [position[start:end][:most] for start, end in pairwise(ends)]


def _numbered(pool: TaskPool, ladder: Sequence[Ints], found: Mapping[int, Found]) -> Ints:
    """Return the number of each candidate of the pool, -1 for those that no query names."""
    sizes = list(map(len, ladder))
    query = [np.repeat(np.arange(len(ladder)), sizes)]
    named = [np.concatenate([np.empty(0, dtype=np.int64), *ladder])]
    for what in found.values():
        query.append(np.repeat(np.arange(len(ladder)), what.position.shape[1]))
        named.append(what.position.ravel())
    of, position = np.concatenate(query), np.concatenate(named)
    of, position = of[position >= 0], position[position >= 0]
    position = position[np.argsort(of, kind="stable")]
    used, first = np.unique(position, return_index=True)
    numbers = np.full(len(pool.candidate_ids), -1, dtype=np.int64)
    numbers[used[np.argsort(first, kind="stable")]] = np.arange(len(used))
    return numbers


def _write_queries(
    folder: Path,
    name: str,
    benchmark: Benchmark,
    pool: TaskPool,
    split: str,
    ladder: Sequence[Ints],
    number_of: Ints,
    types: list[str],
    art: Pictures,
) -> dict[str, Any]:
    """Write what queries ask and their ladders; return what lists and filters need of all of them."""
    row_of = {query_id: row for row, query_id in enumerate(pool.query_ids.tolist())}
    texts = [""] * len(row_of)
    asks: list[list[int]] = [[] for _ in row_of]
    steps = _steps(pool, ladder, number_of)
    instructions: dict[str, int] = {}
    shard: dict[int, list[Any]] = {}
    for query in benchmark.queries(pool.task, split):
        row = row_of.get(query.id)
        if row is None:
            continue
        instruction = instructions.setdefault(clean(query.instruction), len(instructions))
        shard[row] = [
            None if query.text is None else pieces(query.text, query.grains, types),
            [[_number(types, g.type), clean(g.value)] for g in query.grains],
            instruction,
            art.address(query.image),
            steps[row],
        ]
        texts[row] = _short(query)
        asks[row] = [_number(types, grain.type) for grain in query.grains]
        if len(shard) == QUERIES or row == len(row_of) - 1:
            write_script(folder, f"{name}/q-{row // QUERIES}", [shard[at] for at in sorted(shard)])
            shard = {}
    flags = {kind: "".join("1" if kind in asked else "0" for asked in asks) for kind in range(len(types))}
    return {"ids": list(map(clean, row_of)), "texts": texts, "asks": flags, "instructions": list(instructions)}


def _short(query: Query) -> str:
    said = query.text or ", ".join(grain.value for grain in query.grains)
    return clean(said)[:90]


def _steps(pool: TaskPool, ladder: Sequence[Ints], number_of: Ints) -> list[list[list[Any]]]:
    """Return the members of each ladder: candidate, grade, grains asked, whether relevant, the types it violates."""
    sizes = list(map(len, ladder))
    query, members = np.repeat(np.arange(len(ladder)), sizes), np.concatenate(ladder)
    kept, asked = pool.judgements.kept_of(query, members)
    columns = (
        number_of[members],
        kept,
        asked,
        is_relevant(pool, query, members).astype(int),
        pool.judgements.violates_of(query, members),
    )
    rows = iter(zip(*(column.tolist() for column in columns), strict=True))
    return [[[*cells, _bits(mask)] for *cells, mask in islice(rows, size)] for size in sizes]


def _write_candidates(
    folder: Path,
    name: str,
    benchmark: Benchmark,
    pool: TaskPool,
    split: str,
    number_of: Ints,
    types: list[str],
    art: Pictures,
) -> None:
    wanted = {str(pool.candidate_ids[at]): int(number_of[at]) for at in np.flatnonzero(number_of >= 0)}
    made: list[Any] = [None] * len(wanted)
    first = art.left
    for corpus in pool.corpora:
        for candidate in benchmark.corpus(corpus, split):
            number = wanted.get(candidate.id)
            if number is None:
                continue
            text = None if candidate.text is None else pieces(candidate.text, candidate.grains, types)
            grains = [[_number(types, grain.type), clean(grain.value)] for grain in candidate.grains]
            made[number] = [clean(candidate.id), text, art.address(candidate.image, new=number < first), grains]
    for start in range(0, len(made), CANDIDATES):
        write_script(folder, f"{name}/c-{start // CANDIDATES}", made[start : start + CANDIDATES])


def _write_found(folder: Path, name: str, row: int, pool: TaskPool, found: Found, number_of: Ints) -> None:
    number, shown = found.position.shape
    query = np.repeat(np.arange(number), shown)
    position = found.position.ravel()
    known = position >= 0
    violates = np.zeros(len(position), dtype=np.int64)
    violates[known] = pool.judgements.violates_of(query[known], position[known])
    relevant = np.zeros(len(position), dtype=np.bool_)
    relevant[known] = is_relevant(pool, query[known], position[known])
    first = violates.reshape(number, shown)[:, 0]
    lost = {
        kind: "".join("1" if bit else "0" for bit in (first >> kind & 1).tolist())
        for kind in range(len(pool.grain_types))
    }
    margin = [None if np.isnan(value) else round(value, 5) for value in found.margin.tolist()]
    rank = [None if np.isinf(value) else value if value % 1 else int(value) for value in found.rank.tolist()]
    write_script(folder, f"{name}/m{row}", {"rank": rank, "margin": margin, "lost": lost})
    cells = list(
        zip(
            np.where(known, number_of[position], -1).tolist(),
            np.round(found.score.ravel(), 4).tolist(),
            relevant.astype(int).tolist(),
            violates.tolist(),
            strict=True,
        )
    )
    for start in range(0, number, RESULTS):
        write_script(folder, f"{name}/m{row}-{start // RESULTS}", list(_tops(cells, start, number, shown)))


def _tops(cells: Sequence[tuple[int, float, int, int]], start: int, number: int, shown: int) -> Iterator[list[Any]]:
    for row in range(start, min(number, start + RESULTS)):
        some = cells[row * shown : (row + 1) * shown]
        yield [[at, score, good, _bits(mask)] for at, score, good, mask in some if at >= 0]
