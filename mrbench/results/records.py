"""What a result holds: scores of one model on one benchmark, and everything needed to believe them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal

from mrbench.benchmark.manifest import task_from_json
from mrbench.errors import ResultError
from mrbench.records import Task
from mrbench.results import frames

if TYPE_CHECKING:
    import pandas as pd

FORMAT = "mrbench-result"
FORMAT_VERSION = 2
Evidence = Literal["", "run", "recomputed", "self-reported"]
"""What stands behind a result: its run lies beside it; its scores were computed again from the run before it was
committed (:mod:`mrbench.results.checked`); or nothing. Empty where the result was not read for a leaderboard."""


@dataclass(frozen=True, slots=True)
class GrainScore:
    """The score of a measure on one grain type, or on one step of the ladder.

    Attributes:
        score: In the range of the measure.
        count: Number of pairs, probes or candidates behind it.
        interval: 95 % interval, where there is one.
    """

    score: float
    count: int
    interval: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class PairCounts:
    """How many pairs of one grain type each query has, and how many of them are right, in the order of the queries.

    A query without such a pair, and one whose text the model cut, has 0 of both.

    Attributes:
        right: Number of right pairs of each query.
        total: Number of pairs of each query.
    """

    right: tuple[int, ...]
    total: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TaskResult:
    """Scores of one task, or the word that there are none.

    Attributes:
        status: ``scored``, or ``not supported`` where the model cannot take the task, or the data set gives it nothing
            to score: never a score of 0.
        reason: Why there are no scores; empty when scored.
        queries: Number of queries.
        candidates: Size of the pool.
        scores: Score by measure; :func:`mrbench.measures.declared` says what each name means.
        by_grain: By measure, the score on each grain type.
        by_loss: By measure, the score on candidates that lose 0, 1, 2, ... of the query's grains.
        confusion: Share of the queries with two grain types whose first result loses the second, with their number,
            ``{asked: {lost: share}}``.
        intervals: 95 % interval of a score, by measure.
        missing: Measures that cannot be had, with the reason; ``measure[grain type]`` where it is one type's.
        left_out: By measure, the number of queries on which it is not defined, so that its score is without them.
        per_query: By measure one value per query, in the order of the benchmark's file, for tests between models.
        pair_counts: The pairs behind pair accuracy by grain type and query, for tests between models; empty in results
            of before.
        clusters: What each query is about: queries with the same word share art and are not independent.
        seconds: Wall time by step.
        task: What the benchmark says of the task: category, title, corpora, judgements, pool, measures, protocol.
        setting: What else the scores depend on: corpora, exclusions, who judged.
        chance: Exact expected value of a random order, by rank measure.
        overlay: What further judgements laid over those of the data set change; empty where there are none. Of the
            overlay ``name``, ``sha256``, ``rows``; of them ``pairs`` in this pool, and ``changed``: pairs that become
            relevant or are it no more; ``scores``, ``intervals`` and ``chance`` over ``queries`` queries, without the
            ``without_relevant`` that have no relevant candidate any more; and ``judged_queries``: the scores ``with``
            and ``without`` over the ``queries`` that the overlay judges candidates of.
        cut_texts: Number of ``queries``, ``candidates`` and ``variants`` whose text the model did not read to its end;
            empty where the model does not say, and in results of before.
        cut_pairs: Number of pairs with such a text, which no measure of grains counts, by grain type.
    """

    status: Literal["scored", "not supported"]
    reason: str = ""
    queries: int = 0
    candidates: int = 0
    scores: dict[str, float] = field(default_factory=dict)
    by_grain: dict[str, dict[str, GrainScore]] = field(default_factory=dict)
    by_loss: dict[str, dict[str, GrainScore]] = field(default_factory=dict)
    confusion: dict[str, dict[str, GrainScore]] = field(default_factory=dict)
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    per_query: dict[str, tuple[float, ...]] = field(default_factory=dict)
    clusters: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)
    task: dict[str, Any] = field(default_factory=dict)
    setting: dict[str, Any] = field(default_factory=dict)
    chance: dict[str, float] = field(default_factory=dict)
    overlay: dict[str, Any] = field(default_factory=dict)
    cut_texts: dict[str, int] = field(default_factory=dict)
    cut_pairs: dict[str, int] = field(default_factory=dict)
    pair_counts: dict[str, PairCounts] = field(default_factory=dict)

    def definition(self, name: str) -> Task:
        """Return the task of this name; results of format version 1 say no more than the name of one of ours.

        Raises:
            ResultError: They do not say what it is.
        """
        try:
            return task_from_json(self.task or name)
        except (KeyError, TypeError, ValueError) as error:
            hint = "evaluate again"
            raise ResultError("a result does not describe its task", where=name, got=str(error), hint=hint) from error

    @property
    def pair_accuracy(self) -> dict[str, GrainScore]:
        """Pair accuracy by grain type."""
        return self.by_grain.get("pair_accuracy", {})


@dataclass(frozen=True, slots=True, repr=False)
class Result:
    """One model on one split of one benchmark.

    Attributes:
        model: ``{"name", "revision", "dimension", "modalities", "device", "dtype", "control"}`` and other facts;
            results of before say no ``control``.
        benchmark: ``{"name", "title", "digest", "split", "pool", "tasks"}``, of a cut result ``distractors`` too:
            candidates kept beside those that the queries need. Tasks are all that it has. Pool is
            ``task`` (candidates of the task's modality) or ``union`` (all modalities).
        limit: Number of queries per task it was cut to, or None. A cut result is no leaderboard entry.
        environment: Versions and platform.
        started: UTC time, ISO 8601.
        evidence: What stands behind the scores. A leaderboard looks at it; no file says it of itself.
        committed: Whether it was measured before, and lies in the repository. No file says it of itself.
        file: Where it was read from, for messages; empty where it was not read.
    """

    model: dict[str, Any]
    benchmark: dict[str, Any]
    tasks: dict[str, TaskResult]
    seed: int
    limit: int | None
    environment: dict[str, str]
    command: str
    started: str
    seconds: float
    evidence: Evidence = field(default="", metadata={"written": False})
    committed: bool = field(default=False, metadata={"written": False})
    file: str = field(default="", compare=False, metadata={"written": False})

    def to_json(self) -> dict[str, Any]:
        """Return the result as it is written."""
        unwritten = {one.name for one in fields(self) if not one.metadata.get("written", True)}
        parts = {name: part for name, part in asdict(self).items() if name not in unwritten}
        return {"format": FORMAT, "format_version": FORMAT_VERSION, **parts}

    @property
    def setting(self) -> tuple[str | int, ...]:
        """What two results must share to be compared: digest, split and pool of the benchmark, and how it was cut."""
        about = self.benchmark
        cut = () if self.limit is None else (self.limit, about.get("distractors", 0), self.seed)
        return about["digest"], about["split"], about["pool"], *cut

    def scores(self) -> pd.DataFrame:
        """Return one row for each task and measure: score, interval, chance level, number of queries, why none."""
        return frames.scores(self)

    def per_query(self) -> pd.DataFrame:
        """Return one row for each task, query and measure that the result holds by query."""
        return frames.per_query(self)

    def per_grain(self) -> pd.DataFrame:
        """Return one row for each task, measure and grain type: score, interval, and the count behind it."""
        return frames.per_grain(self)

    def __repr__(self) -> str:
        about = self.benchmark
        parts = [f"{self.model['name']} on {about['title']}, {about['split']}"]
        if self.limit is not None:
            parts.append(f"cut to {self.limit} queries per task")
        for name, part in self.tasks.items():
            main = part.definition(name).main
            score = f"{main} {part.scores[main]:.3f}" if main in part.scores else part.reason or f"no {main}"
            parts.append(f"{name}: {score}")
        said = "".join(character if character.isprintable() else " " for character in "; ".join(parts))
        return f"Result({said})"


class Results(list[Result]):
    """Several results, with the tables of :class:`Result` over all of them."""

    def scores(self) -> pd.DataFrame:
        """Return :meth:`Result.scores` of every result."""
        return frames.stacked(self, frames.scores)

    def per_query(self) -> pd.DataFrame:
        """Return :meth:`Result.per_query` of every result."""
        return frames.stacked(self, frames.per_query)

    def per_grain(self) -> pd.DataFrame:
        """Return :meth:`Result.per_grain` of every result."""
        return frames.stacked(self, frames.per_grain)

    def __repr__(self) -> str:
        return "\n".join([f"Results({len(self)})", *(f"  {result!r}" for result in self)])


def model_key(model: Mapping[str, Any]) -> tuple[str, str, str, int, str]:
    """Return what tells a model of a result from others: name, revision, number format, length of texts, and variant.

    The number format is empty where a result of before does not say it. The length is 0 where the user gave none. The
    variant names the options of the spec, the seed, and the digest of a model's source file; it is empty without them.
    Versions of libraries are no part of it: a result is the same model's after an upgrade.
    """
    parts = [str(model.get("variant") or "")]
    parts += [f"{name} {model[name]}" for name in ("seed", "source") if model.get(name) is not None]
    length = int(model.get("text_limit") or 0)
    variant = ", ".join(filter(None, parts))
    return str(model["name"]), str(model["revision"]), str(model.get("dtype", "")), length, variant
