"""What training changed: scores before and after on the same queries, paired, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mrbench import statistics
from mrbench.arrays import Floats, Ints
from mrbench.benchmark import Benchmark
from mrbench.evaluation import evaluate
from mrbench.models.protocol import EmbeddingModel
from mrbench.pools import TaskPool, load_pool
from mrbench.pools.cut_texts import CutTexts
from mrbench.runs import Run, read_run
from mrbench.score.consistency import read_rows
from mrbench.score.diagnose import ladder_scores
from mrbench.score.run_rows import align
from mrbench.score.scoring import rank_scores

Report = tuple[str, tuple[str, str], list["Change"]]
"""Title of a benchmark, the names of the models before and after, and the changes."""
CUTOFFS = ("hit_rate@1", "hit_rate@5", "hit_rate@10")
CHANCE = 0.5


@dataclass(frozen=True)
class Change:
    """One score before and after.

    Attributes:
        task: Name of the task.
        measure: ``hit_rate@1`` ..., or ``pair_accuracy``.
        grain: Grain type, empty where the measure has none.
        before: Its value with the model before.
        after: The same after.
        count: Queries, or pairs.
        interval: 95 % of the difference, over queries that share a cluster; None of a single cluster.
        highest: Upper end of the 95 % interval of ``after``, for pair accuracy.
        lowest: Its lower end.
    """

    task: str
    measure: str
    grain: str
    before: float
    after: float
    count: int
    interval: tuple[float, float] | None
    lowest: float | None = None
    highest: float | None = None

    @property
    def blind(self) -> bool:
        """Whether pair accuracy after training is not told apart from chance, or below."""
        return self.measure == "pair_accuracy" and (self.lowest is None or self.lowest <= CHANCE)


def compare(
    benchmark: Benchmark,
    before: EmbeddingModel,
    after: EmbeddingModel,
    split: str,
    scratch: Path,
    cache: Path | None = None,
) -> list[Change]:
    """Evaluate two models on a split and return every change on the tasks that both can take.

    Args:
        benchmark: The benchmark.
        before: A model.
        after: Another.
        split: One of its splits.
        scratch: Folder for the two runs.
        cache: Folder of embeddings.
    """
    runs = []
    for name, model in (("before", before), ("after", after)):
        evaluate(benchmark, model, scratch / name, split=split, cache=cache)
        runs.append(read_run(scratch / name))
    one, other = runs
    both = [task for task in one.tasks if task in other.tasks]
    return [change for task in both for change in _changes(load_pool(benchmark, task, split), one, other)]


def _changes(pool: TaskPool, before: Run, after: Run) -> list[Change]:
    clusters = statistics.cluster_codes(pool.clusters.tolist())
    runs = [run.tasks[pool.task] for run in (before, after)]
    ranked = [
        rank_scores({name: read_rows(name, getattr(run, name), pool) for name in ("relevant", "gains")}, pool)
        for run in runs
    ]
    names = [name for name in CUTOFFS if name in ranked[0]]
    if not names and pool.definition.main in ranked[0]:
        names = [pool.definition.main]
    found = [changed(pool.task, name, "", ranked[0][name], ranked[1][name], clusters) for name in names]
    pairs = pool.pairs
    cut = np.zeros(len(pairs.query), dtype=np.bool_)
    for run in runs:
        if run.cut is not None:
            texts = CutTexts.from_table(run.cut, pool)
            cut |= texts.queries[pairs.query] | texts.candidates[pairs.position]
            cut |= texts.candidates[pool.positives[pairs.query]]
    right = [_right(pool, run) for run in runs]
    for kind in np.unique(pairs.kind[~cut]):
        of = (pairs.kind == kind) & ~cut
        codes = np.unique(clusters[pairs.query[of]], return_inverse=True)[1].reshape(-1)
        found.append(
            changed(pool.task, "pair_accuracy", pool.grain_types[kind], right[0][of], right[1][of], codes, share=True)
        )
    return found


def _right(pool: TaskPool, run: Any) -> Floats:
    """Return for every pair 1 where the positive scores strictly higher, else 0."""
    query, position = pool.pairs.query, pool.pairs.position
    if not len(query):
        return np.empty(0)
    positive = align(run, pool).queries.score[query]
    right: Floats = (positive > ladder_scores(read_rows("ladder", run.ladder, pool), pool, query, position)).astype(
        np.float64
    )
    return right


def changed(
    task: str, measure: str, grain: str, one: Floats, other: Floats, clusters: Ints, share: bool = False
) -> Change:
    """Return a change from values of the same queries or pairs.

    Args:
        task: Name of the task.
        measure: Name of the measure.
        grain: Grain type, or empty.
        one: Values before, shape ``(num_values,)``.
        other: Values after.
        clusters: Cluster of each value, 0 to ``num_clusters - 1``.
        share: Whether to say in which interval the share after lies.
    """
    number = int(clusters.max()) + 1
    interval = bounds = None
    if number > 1:
        drawn = statistics.bootstrap_means((other - one)[None], np.ones((1, len(one))), clusters, resamples=2000)
        interval = statistics.bootstrap_interval(drawn[:, 0], number)
        bounds = statistics.share_interval(other, clusters) if share else None
    low, high = bounds or (None, None)
    return Change(task, measure, grain, float(one.mean()), float(other.mean()), len(one), interval, low, high)


def table(changes: Sequence[Change], names: tuple[str, str]) -> list[str]:
    """Return the changes as lines of a Markdown table, which a terminal shows well too."""
    rows = [("task", "measure", names[0], names[1], "change, 95 %", "queries or pairs")]
    for change in changes:
        measure = f"pair accuracy, {change.grain}" if change.grain else change.measure
        between = f" ({change.interval[0]:+.3f} to {change.interval[1]:+.3f})" if change.interval else ""
        moved = f"{change.after - change.before:+.3f}{between}"
        rows.append((change.task, measure, f"{change.before:.3f}", f"{change.after:.3f}", moved, str(change.count)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return lines


def draw(reports: Sequence[Report], path: Path) -> None:
    """Draw every change as a line from before to after, a panel for each benchmark."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = [report for report in reports if report[2]]
    heights = [len(changes) for _, _, changes in shown]
    figure = Figure(figsize=(7, 0.9 * len(shown) + 0.24 * sum(heights)), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(shown), squeeze=False, height_ratios=heights)[:, 0]
    for axes, (title, names, changes) in zip(panels, shown, strict=True):
        rows, places = list(reversed(changes)), range(len(changes))
        axes.hlines(places, [row.before for row in rows], [row.after for row in rows], color="0.7")
        axes.plot([row.before for row in rows], places, "o", color="0.5", markersize=4, label=names[0])
        axes.plot([row.after for row in rows], places, "o", color="tab:blue", markersize=4, label=names[1])
        axes.axvline(CHANCE, color="0.85", linewidth=1, zorder=0)
        axes.set_yticks(places, [f"{row.task}  {row.grain or row.measure}" for row in rows], fontsize=7)
        axes.set_xlim(-0.02, 1.02)
        axes.set_title(title, fontsize=8)
        axes.set_xlabel("score; of pair accuracy 0.5 is chance", fontsize=7)
        axes.legend(fontsize=7, loc="lower right")
    figure.savefig(path, dpi=120, metadata={"Software": None})


def blind_grains(changes: Sequence[Change]) -> list[str]:
    """Return ``task grain`` of every grain type whose pair accuracy is not told apart from chance after training."""
    return [f"{change.task} {change.grain} ({change.after:.2f})" for change in changes if change.blind]


def to_json(changes: Sequence[Change]) -> list[Mapping[str, Any]]:
    """Return the changes as ``head.json`` holds them."""
    return [
        {
            "task": change.task,
            "measure": change.measure,
            "grain": change.grain,
            "before": round(change.before, 6),
            "after": round(change.after, 6),
            "count": change.count,
            "interval": None if change.interval is None else [round(bound, 6) for bound in change.interval],
        }
        for change in changes
    ]
