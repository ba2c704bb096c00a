"""Pairs of sentences for stage 1: from the suites' phrasings, or from a file."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from elva.data import Pool
from elva.negatives import code_grains
from elva.prompts import Input
from mrbench.arrays import Ints
from mrbench.benchmark import Benchmark
from mrbench.errors import InputError
from mrbench.records import Grain

PAIR_COLUMNS = ("sent0", "sent1", "hard_neg")


def sentence_pool(benchmarks: Sequence[Benchmark], split: str = "train") -> Pool | None:
    """Return pairs of sentences from the suites' phrasings: a query, the same in other words, and, as hard negative,
    the same with one grain flipped; None where no suite has a text query in other words.
    """
    texts: list[tuple[str, str, list[str], tuple[Grain, ...], list[tuple[Grain, ...]]]] = []
    for benchmark in benchmarks:
        for task in benchmark.task_names:
            if benchmark.task(task).query_modality == "text":
                texts += _phrasings(benchmark, task, split)
    if not texts:
        return None
    candidates: list[str] = []
    grains: list[tuple[Grain, ...]] = []
    positives, ladders = [], []
    for _, paraphrase, flips, kept, changed in texts:
        positives.append(len(candidates))
        ladders.append([len(candidates) + 1 + number for number in range(len(flips))])
        candidates += [paraphrase, *flips]
        grains += [kept, *changed]
    coded = code_grains([kept for *_, kept, _ in texts], grains)
    return _sentences([text for text, *_ in texts], candidates, positives, ladders, coded)


def _phrasings(
    benchmark: Benchmark, task: str, split: str
) -> list[tuple[str, str, list[str], tuple[Grain, ...], list[tuple[Grain, ...]]]]:
    queries = {query.id: query for query in benchmark.queries(task, split)}
    modality = benchmark.task(task).candidate_modality
    has = {candidate.id: candidate.grains for candidate in benchmark.corpus(modality, split)}
    words: dict[str, list[str]] = {}
    flips: dict[str, list[tuple[str, str, str]]] = {}
    for variant in benchmark.variants(task, split):
        if variant.text is not None and variant.kind == "paraphrased":
            words.setdefault(variant.query_id, []).append(variant.text)
        elif variant.text is not None and variant.kind == "flipped":
            flips.setdefault(variant.query_id, []).append((variant.text, variant.grain, variant.positive_id))
    found = []
    for name, texts in words.items():
        kept, negatives = queries[name].grains, flips.get(name, [])
        changed = []
        for _, kind, positive in negatives:
            value = {grain.type: grain.value for grain in has[positive]}
            changed.append(tuple(Grain(g.type, value[g.type] if g.type == kind else g.value) for g in kept))
        flipped_texts = [text for text, *_ in negatives]
        found += [(queries[name].text or "", text, flipped_texts, kept, changed) for text in texts]
    return found


def read_pairs(path: Path) -> Pool:
    """Return pairs of sentences from a file: JSON lines or CSV with ``sent0``, ``sent1`` and, if any, ``hard_neg``.

    Pairs of one ``sent0`` answer each other: none is the other's negative. Empty lines are passed over.

    Raises:
        InputError: Missing, malformed, empty, or without one of the columns.
    """
    rows = []
    try:
        for line, row in _rows(path):
            _check(row, f"{path}, line {line}")
            rows.append(row)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            "cannot read the pairs", where=path, got=str(error), accepted="JSON lines or CSV", hint="check --pairs"
        ) from error
    if not rows:
        raise InputError(
            "no pair to train on",
            where=path,
            accepted="one pair a line",
            hint="leave --pairs out to take the suites' own phrasings",
        )
    candidates: list[str] = []
    grains: list[tuple[Grain, ...]] = []
    positives, ladders = [], []
    for row in rows:
        positives.append(len(candidates))
        hard = [row["hard_neg"]] if row.get("hard_neg") else []
        ladders.append([len(candidates) + 1] if hard else [])
        candidates += [row["sent1"], *hard]
        grains += [(Grain("pair", row["sent0"]),), *[()] * len(hard)]
    coded = code_grains([(Grain("pair", row["sent0"]),) for row in rows], grains)
    return _sentences([row["sent0"] for row in rows], candidates, positives, ladders, coded)


def _rows(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield each row with the number of its line."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        if path.suffix == ".csv":
            reader = csv.DictReader(file)
            for row in reader:
                yield reader.line_num, row
            return
        for number, line in enumerate(file, 1):
            if line.strip():
                try:
                    yield number, json.loads(line)
                except (ValueError, RecursionError) as error:
                    where = f"{path}, line {number}"
                    raise InputError(
                        "a pair is not JSON",
                        where=where,
                        got=line,
                        accepted="one a line",
                        hint="mend this line, or leave it out",
                    ) from error


def _check(row: Any, where: str) -> None:
    texts = [row.get(name) for name in PAIR_COLUMNS] if isinstance(row, dict) else []
    good = [isinstance(text, str) and text.strip() and not re.search("[\ud800-\udfff]", text) for text in texts]
    if not texts or not all(good[:2]) or not (good[2] or texts[2] in (None, "")):
        accepted = "texts: " + ", ".join(PAIR_COLUMNS[:2]) + f" and, if any, {PAIR_COLUMNS[2]}"
        raise InputError(
            "malformed pair", where=where, got=row, accepted=accepted, hint="mend this line, or leave it out"
        )


def _sentences(
    queries: Sequence[str],
    candidates: Sequence[str],
    positives: Sequence[int],
    ladders: Sequence[Sequence[int]],
    coded: tuple[Ints, Ints],
) -> Pool:
    table = np.full((len(queries), max(1, *map(len, ladders)) if ladders else 1), -1, dtype=np.int64)
    for number, row in enumerate(ladders):
        table[number, : len(row)] = row
    return Pool(
        "sentences",
        [str(number) for number in range(len(queries))],
        [Input(text=text) for text in queries],
        [Input(text=text) for text in candidates],
        np.array(positives, dtype=np.int64),
        *coded,
        table,
    )
