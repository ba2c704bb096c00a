"""Blind solvers: scores for candidates that see nothing of what a task asks for. None may beat chance.

A solver gives every candidate one number, whatever the query asks for: by its length, its place, its grains, or by how
near its place in the file is to the query's. Both directions count (long texts first, short texts first), ties are
worth one half in pairs, and the expected value in ranks, so that chance is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy import stats
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from mrbench import measures
from mrbench.arrays import Floats, Ints
from mrbench.audit.findings import Check
from mrbench.audit.plausible import about, plausibility, plausibility_elsewhere
from mrbench.benchmark import Benchmark
from mrbench.pools import TaskPool, load_pool
from mrbench.statistics import cluster_codes

PAIR_MARGIN, HIT_MARGIN = 0.10, 0.05
"""How far above chance a blind solver may come: in pair accuracy on a grain type, and in hit rate at 5."""
_LEVEL = 0.05
_ANYTHING = "constant"
Solver = Callable[[int], Floats]
"""From the number of a query to the scores of the pool, shape ``(num_candidates,)``."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one solver reaches on one task.

    Attributes:
        hit_rate: Expected hit rate at 5.
        pairs: By grain type the pair accuracy, ties one half, and the number of pairs.
        deviations: By grain type the standard deviation of the accuracy where the solver guesses. Pairs about one
            thing are not independent: those of one cluster of queries, and those with one negative.
    """

    solver: str
    task: str
    hit_rate: float
    pairs: dict[str, tuple[float, int]]
    deviations: dict[str, float]


def audit_blind(benchmark: Benchmark, split: str, pools: dict[str, TaskPool]) -> tuple[Check, ...]:
    """Run every blind solver on every task.

    Returns:
        One check per task, with the solver that comes furthest on each grain type.
    """
    outcomes: dict[str, list[Outcome]] = {}
    for task, pool in pools.items():
        solvers = dict(_solvers(benchmark, task, split, pool))
        outcomes[task] = [outcome_of(name, task, pool, solver) for name, solver in solvers.items()]
    tests = sum(len(outcome.pairs) for part in outcomes.values() for outcome in part)
    return tuple(_check(task, part, tests) for task, part in outcomes.items())


def _check(task: str, outcomes: list[Outcome], tests: int) -> Check:
    chance = next(outcome.hit_rate for outcome in outcomes if outcome.solver == _ANYTHING)
    told: dict[str, list[str]] = {}
    rows: list[tuple[str | int | float | None, ...]] = []
    for kind in outcomes[0].pairs:
        best = max(outcomes, key=lambda outcome: outcome.pairs[kind][0])
        score, count = best.pairs[kind]
        p_value = min(1.0, tests * float(stats.norm.sf((score - 0.5) / best.deviations[kind])))
        leak = score - 0.5 > PAIR_MARGIN and p_value < _LEVEL
        if leak:
            told.setdefault(best.solver, []).append(kind)
        rows.append((kind, count, best.solver, round(score, 3), float(f"{p_value:.2g}"), "leak" if leak else "ok"))
    leaks = [f"{solver} tells {', '.join(kinds)}" for solver, kinds in told.items()]
    best = max(outcomes, key=lambda outcome: outcome.hit_rate)
    leak = best.hit_rate - chance > HIT_MARGIN
    leaks += [f"{best.solver} finds candidates"] if leak else []
    rows.append(("hit rate@5", None, best.solver, round(best.hit_rate, 4), None, "leak" if leak else "ok"))
    names = ", ".join(outcome.solver for outcome in outcomes)
    summary = (
        f"leaks: {'; '.join(leaks)}"
        if leaks
        else f"none of {len(outcomes)} solvers beats chance by {PAIR_MARGIN:.2f} on a grain type or {HIT_MARGIN:.2f} "
        f"in hit rate@5 (chance {chance:.4f}): {names}"
    )
    columns = ("on", "pairs", "best solver", "score", "p (Bonferroni)", "verdict")
    return Check(f"blind solvers, {task}", "failed" if leaks else "passed", summary, columns, tuple(rows))


def outcome_of(name: str, task: str, pool: TaskPool, solver: Solver) -> Outcome:
    """Score a solver."""
    query, kind, other = pool.pairs.query, pool.pairs.kind, pool.pairs.position
    bounds = np.searchsorted(query, np.arange(len(pool.query_ids) + 1))
    asking, relevant = pool.relevant
    starts = np.searchsorted(asking, np.arange(len(pool.query_ids) + 1))
    right: list[Floats] = []
    rows: list[tuple[Ints, Ints, Ints]] = []
    for number, positive in enumerate(pool.positives.tolist()):
        scores = solver(number)
        one_off = other[bounds[number] : bounds[number + 1]]
        right.append(np.sign(scores[positive] - scores[one_off]) / 2 + 0.5)
        value = scores[relevant[starts[number] : starts[number + 1]]][:, None]
        above, equal = (scores > value).sum(axis=1), (scores == value).sum(axis=1)
        rows.append((np.full(len(value), number), above, equal))
    pairs, deviations = {}, {}
    for code in np.unique(kind):
        of = kind == code
        chosen = np.concatenate(right)[of]
        pairs[pool.grain_types[code]] = (float(chosen.mean()), len(chosen))
        deviations[pool.grain_types[code]] = _deviation(
            chosen, cluster_codes(pool.clusters.tolist())[query[of]], other[of]
        )
    query_of, above, equal = (np.concatenate(column) for column in zip(*rows, strict=True))
    ties = measures.TieGroups.from_relevant(query_of, above, equal, len(pool.query_ids))
    return Outcome(name, task, float(measures.hit_rate(ties, 5).mean()), pairs, deviations)


def _deviation(right: Floats, clusters: Ints, negatives: Ints) -> float:
    """Return the standard deviation of a mean of guesses, as large as clusters of either kind make it.

    Right and wrong guesses of one cluster add up; so the variance is the sum of squares of the clusters' sums.
    """
    guess = right - 0.5
    sums = (np.bincount(np.unique(of, return_inverse=True)[1], guess) for of in (clusters, negatives))
    least = 0.5 / float(np.sqrt(len(right)))
    return max(least, *(float(np.sqrt((total**2).sum())) / len(right) for total in sums))


def _solvers(benchmark: Benchmark, task: str, split: str, pool: TaskPool) -> Iterator[tuple[str, Solver]]:
    """Yield every solver by its name."""
    for name, scores in _priors(benchmark, task, split, pool):
        yield name, partial(_whatever, scores)
    queries, candidates = len(pool.query_ids), len(pool.row)
    yield "the same row as the query", lambda query: -np.abs(pool.row - query).astype(np.float64)
    yield "the same part of the file as the query", lambda query: -np.abs(pool.row / candidates - query / queries)


def _whatever(scores: Floats, _query: int) -> Floats:
    return scores


def _priors(benchmark: Benchmark, task: str, split: str, pool: TaskPool) -> Iterator[tuple[str, Floats]]:
    """Yield scores over the pool that are the same for every query, shape ``(num_candidates,)``."""
    modality = benchmark.task(task).candidate_modality
    number = len(pool.candidate_ids)
    yield _ANYTHING, np.zeros(number)
    yield "random", np.random.default_rng(0).random(number)
    yield from _both("late in the file", "early in the file", pool.row.astype(np.float64))
    lengths = _lengths(benchmark, "corpus", modality, split)[pool.row]
    yield from _both(*(("large file", "small file") if modality == "image" else ("long text", "short text")), lengths)
    yield from _both("ids in order", "ids in reverse", np.arange(number, dtype=np.float64))
    if pool.judgements.complete:
        yield from _both("frequent grains", "rare grains", _frequency(pool))
    if (learned := _learned_prior(benchmark, task, split, pool)) is not None:
        yield "grains that positives had elsewhere", learned
    if modality == "text":
        texts = [text for text, _ in _texts(benchmark, split)]
        likely = plausibility(texts) if pool.judgements.complete else plausibility_elsewhere(texts, about(pool))
        yield from _both("plausible sentence", "implausible sentence", likely[pool.row])
        if (learned := _learned_language(benchmark, task, split, texts)) is not None:
            yield "words that positives had elsewhere", learned[pool.row]


def _both(one: str, other: str, scores: Floats) -> Iterator[tuple[str, Floats]]:
    yield one, scores
    yield other, -scores


def _lengths(benchmark: Benchmark, kind: str, stem: str, split: str) -> Floats:
    """Return bytes of every picture or characters of every text, in file order."""
    records: Any = benchmark.corpus(stem, split) if kind == "corpus" else benchmark.queries(stem, split)
    modality = stem if kind == "corpus" else benchmark.task(stem).query_modality
    parts = []
    for table in records.tables([modality]):
        column = table[modality].combine_chunks()
        lengths = pc.binary_length(pc.struct_field(column, "bytes")) if modality == "image" else pc.utf8_length(column)
        parts.append(lengths.to_numpy(zero_copy_only=False).astype(np.float64))
    return np.concatenate(parts)


def like_the_query(benchmark: Benchmark, task: str, split: str, pool: TaskPool) -> Outcome:
    """Score the candidate whose file is as large among the candidates' as the query's is among the queries'.

    Not blind: how well a picture compresses tells something of what it shows.
    """
    asked, there = _lengths(benchmark, "queries", task, split), _lengths(benchmark, "corpus", "image", split)
    own, theirs = (stats.rankdata(lengths) / len(lengths) for lengths in (asked, there[pool.row]))
    return outcome_of("file as large as the query's", task, pool, lambda query: -np.abs(theirs - own[query]))


def _frequency(pool: TaskPool) -> Floats:
    """Return for every candidate the mean log frequency of its grains in the pool."""
    total, number = np.zeros(len(pool.candidate_ids)), np.zeros(len(pool.candidate_ids))
    for codes in pool.candidate_grains:
        has = codes >= 0
        counts = np.bincount(codes[has], minlength=1)
        total[has] += np.log(counts[codes[has]])
        number += has
    return total / np.maximum(number, 1)


def _elsewhere(benchmark: Benchmark, task: str, split: str) -> str | None:
    """Return a split to learn from: the first other one that has queries of the task."""
    return next(
        (
            other
            for other in benchmark.splits
            if other != split and benchmark.manifest.counts[other]["queries"].get(task)
        ),
        None,
    )


def _learned_prior(benchmark: Benchmark, task: str, split: str, pool: TaskPool) -> Floats | None:
    """Return the log odds that grains like the candidate's belong to a positive, learned on another split."""
    other = _elsewhere(benchmark, task, split)
    if other is None:
        return None
    counts: dict[tuple[str, str], list[int]] = {}
    learning = load_pool(benchmark, task, other)
    grains = _grain_lists(benchmark, task, other)
    for query, member in zip(learning.ladder.query.tolist(), learning.ladder.position.tolist(), strict=True):
        for pair in grains[learning.row[member]]:
            counts.setdefault(pair, [1, 1])[int(member == learning.positives[query])] += 1
    odds = {pair: np.log(seen[1] / seen[0]) for pair, seen in counts.items()}
    rows = _grain_lists(benchmark, task, split)
    if len(pool.corpora) > 1:
        return None
    return np.array([sum(odds.get(pair, 0.0) for pair in rows[row]) for row in pool.row], dtype=np.float64)


def _grain_lists(benchmark: Benchmark, task: str, split: str) -> list[list[tuple[str, str]]]:
    table = benchmark.corpus(benchmark.task(task).candidate_modality, split).table(["grains"])
    return [[(g["type"], g["value"]) for g in row] for row in table["grains"].to_pylist()]


def _texts(benchmark: Benchmark, split: str) -> Iterator[tuple[str, str]]:
    table: pa.Table = benchmark.corpus("text", split).table(["text", "id"])
    yield from zip(table["text"].to_pylist(), table["id"].to_pylist(), strict=True)


def _learned_language(benchmark: Benchmark, task: str, split: str, texts: list[str]) -> Floats | None:
    """Return the log odds that a sentence is a positive rather than its ladder's negative, learned on another split."""
    other = _elsewhere(benchmark, task, split)
    if other is None:
        return None
    known = {name: text for text, name in _texts(benchmark, other)}
    sentences, labels = [], []
    for ladder in benchmark.ladders(task, other):
        for member in ladder.candidate_ids:
            sentences.append(known[member])
            labels.append(member == ladder.positive_id)
    if len(set(labels)) < 2:
        return None
    counter: Any = CountVectorizer(binary=True, analyzer=_pieces)
    model: Any = LogisticRegression(max_iter=1000, class_weight="balanced")
    model.fit(counter.fit_transform(sentences), labels)
    odds: Floats = model.decision_function(counter.transform(texts))
    return odds


def _pieces(text: str) -> list[str]:
    """Return the words and the pairs of words."""
    words = text.lower().split()
    return [*words, *map(" ".join, pairwise(words))]
