"""What a leaderboard shows, ready to be formatted. Every text in it is one printable line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from urllib.parse import unquote

from mrbench.measures import fixed_chance
from mrbench.results import Evidence
from mrbench.words import one_line

CONTROLS = frozenset({("random", "1"), ("constant", "1")})
"""Name and revision of the controls in results that do not say yet what they are."""
CHANCE = fixed_chance("pair_accuracy")
EVIDENCE: Mapping[Evidence, str] = {
    "run": "the run lies beside the result",
    "recomputed": "all scores were computed again from the run before the result was committed; the rest is as stated",
    "self-reported": "self-reported: no run lies beside the result, and nobody computed its scores again",
}
"""What is said of the evidence of a result."""
LONGEST_VARIANT = 48
BAR = 0.05
"""Most of the composed queries, beyond chance, that one half alone may solve."""


def is_control(model: Mapping[str, Any]) -> bool:
    """Return whether a model is a control, which shows what chance gives. The result says so, not the name.

    Args:
        model: The part ``model`` of a result.

    >>> is_control({"name": "random", "revision": "sha256:0123", "control": False})
    False
    >>> is_control({"name": "random", "revision": "1"})
    True
    """
    if "control" in model:
        return model["control"] is True
    return (model["name"], model["revision"]) in CONTROLS


def shown_variant(variant: str) -> str:
    """Return the variant of a model in few characters; a digest tells long ones apart.

    >>> shown_variant("dimension=4&query=find%3A%20"), shown_variant("")
    ('dimension=4&query=find:', 'no options')
    """
    text = one_line(unquote(variant)) or "no options"
    if len(text) <= LONGEST_VARIANT:
        return text
    return f"{text[:LONGEST_VARIANT]}... {sha256(variant.encode()).hexdigest()[:6]}"


@dataclass(frozen=True, slots=True)
class Cell:
    """A score, or why there is none.

    Attributes:
        score: 0 to 1, higher is better (grain sensitivity: any number), or None.
        count: Number of queries or pairs behind it.
        reason: Why there is no score.
        blindest: Whether it is the lowest pair accuracy of its line.
        interval: 95 % interval, where the result has one.
        judged: Share of the results that the score looks at that were judged, where not all were.
    """

    score: float | None
    count: int = 0
    reason: str = ""
    blindest: bool = False
    interval: tuple[float, float] | None = None
    judged: float | None = None


@dataclass(frozen=True, slots=True)
class TaskHead:
    """A task of the board.

    Attributes:
        queries: Number of queries, 0 where nobody was scored.
        candidates: Size of the pool, 0 where nobody was scored.
        main: The measure that ranks models.
        chance: What a random order gives of it, where that is known.
        judged: Name of the judged@k beside it, empty where all candidates are judged.
        category: MTEB's category code.
        listed: Whether each query is searched among a list of its own.
        facts: How an open task is judged and searched, and its protocol, a sentence each; nothing for closed suites.
    """

    name: str
    title: str
    queries: int
    candidates: int
    main: str = "hit_rate@5"
    chance: float | None = None
    judged: str = ""
    category: str = ""
    listed: bool = False
    facts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a model stands on one task.

    Attributes:
        rank: 1 is best; None for controls and models without a score.
        ranks: 95 % interval of the rank, or None.
        group: Letters; models that share one cannot be told apart on this task.
        interval: 95 % interval of the score, or None.
    """

    rank: int | None = None
    ranks: tuple[int, int] | None = None
    group: str = ""
    interval: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A model on the board.

    Attributes:
        rank: 1 is best; models of one score share it; None for controls and models that lack a task.
        label: The name; with the revision where two rows have one name.
        control: Whether it is there to show what chance gives.
        overall: Mean of the main measure over all tasks.
        tasks: Main measure, one cell per task of the board.
        measures: One tuple per task, in it one cell per measure of the board.
        reading: One sentence on the grain it is most blind to.
        facts: How it was measured: names and values.
        ranks: 95 % interval of the rank, or None.
        group: Letters; models that share one cannot be told apart.
        cut: How many texts it did not read to their end, a sentence for each task with any.
        places: Its place on each task.
        overlaid: The main measure with further judgements laid over, and without, a sentence for each task with any.
        dtype: The number format of its weights, empty where the result does not say it.
        evidence: What stands behind its scores.
    """

    rank: int | None
    label: str
    model: str
    revision: str
    control: bool
    overall: Cell
    tasks: tuple[Cell, ...]
    measures: tuple[tuple[Cell, ...], ...]
    reading: str
    facts: tuple[tuple[str, str], ...]
    ranks: tuple[int, int] | None = None
    group: str = ""
    cut: tuple[str, ...] = ()
    places: tuple[Place, ...] = ()
    dtype: str = ""
    evidence: Evidence = ""
    overlaid: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """Pair accuracy or grain sensitivity of one model, one cell per grain type of the board.

    ``row`` is its index in the board's rows.
    """

    row: int
    label: str
    control: bool
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Panel:
    """Pair accuracy by grain type on one task, or on all that have pairs (task ``all``: mean weighted by pairs).

    Only models that were scored on the task, or on all of them, have a line.
    """

    task: str
    title: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Confusion:
    """Of the queries that ask for two grain types, how many have a first result that loses the second.

    Attributes:
        row: Index of the model in the board's rows.
        label: Its name.
        control: Whether it is a control.
        tasks: The tasks that it was scored on, over which the shares are means weighted by queries.
        lines: By grain type asked, one cell per grain type of the board; lower is better.
    """

    row: int
    label: str
    control: bool
    tasks: str
    lines: tuple[tuple[str, tuple[Cell, ...]], ...]


@dataclass(frozen=True, slots=True)
class OnePart:
    """How many composed queries of a task some model solves with the picture or the text alone.

    Attributes:
        task: The task.
        models: Models in the union: their results say which queries each half solves.
        of: Models that were scored on the task.
        queries: Number of queries.
        share: Queries that at least one model solves with one half, or None.
        interval: 95 % interval of the share.
        chance: Share that as many guessers would solve.
        beyond: The share minus chance.
        passes: Whether that is at most :data:`BAR`.
        reason: Why there is no share.
    """

    task: str
    models: int
    of: int
    queries: int = 0
    share: float | None = None
    interval: tuple[float, float] | None = None
    chance: float | None = None
    beyond: float | None = None
    passes: bool | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Board:
    """One benchmark, split and pool.

    Attributes:
        limit: Number of queries per task that its results were cut to; None for a proper leaderboard.
        main: The main measure of all tasks, None where they have different ones: then there is no overall score.
        measures: Every measure that a result has, the known ones first.
        grains: Every grain type with pairs, sorted.
        noun: What such a type is called: ``grain``, or ``kind`` where a data set lists pairs by kind.
        sensitivity: Calibrated grain sensitivity by task, where a model has it; no mean over tasks.
        one_part: For each composed task what one half of the query solves.
        confusion: For each model what its first results lose.
    """

    name: str
    title: str
    digest: str
    split: str
    pool: str
    limit: int | None
    tasks: tuple[TaskHead, ...]
    measures: tuple[str, ...]
    grains: tuple[str, ...]
    rows: tuple[Row, ...]
    panels: tuple[Panel, ...]
    sensitivity: tuple[Panel, ...] = ()
    one_part: tuple[OnePart, ...] = ()
    confusion: tuple[Confusion, ...] = ()
    main: str | None = "hit_rate@5"
    noun: str = "grain"
