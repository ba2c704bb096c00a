"""The suite ``scenes``: composed pictures with two to six grains, and ladders of graded neighbours."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from mrbench.benchmark import Manifest, write_benchmark
from mrbench.build import art
from mrbench.build.scenes.config import ScenesConfig
from mrbench.build.scenes.ladders import number_of_scenes
from mrbench.build.scenes.picture import draw
from mrbench.build.scenes.plan import SplitPlanner
from mrbench.build.scenes.vocabulary import BACKGROUNDS, ENTITIES, ENTITY, LANDMARKS
from mrbench.build.splits import SplitLedger
from mrbench.build.suite import write_split
from mrbench.errors import InputError
from mrbench.workers import worker_pool

__all__ = ["ScenesConfig", "build_scenes"]

TITLE = "MRBench scenes: composed pictures with up to six grains"
VERSION = 1


def build_scenes(
    output: Path, config: ScenesConfig, *, seed: int = 0, workers: int = 2, overwrite: bool = False
) -> Manifest:
    """Build the suite into a folder, whole or not at all, and return its manifest.

    Equal arguments give equal bytes, whatever the number of workers.

    Args:
        output: The folder to write.
        config: Sizes.
        seed: Decides every random choice.
        workers: Processes that draw.
        overwrite: Whether a benchmark that is there may be replaced.

    Returns:
        The manifest.

    Raises:
        InputError: ``workers`` is not positive.
        OutputError: The folder exists and may not be replaced, or the disk is full.
        BenchmarkError: A task has no query.
    """
    if workers < 1:
        raise InputError("value out of range", where="workers", got=workers, accepted="from 1")
    ledger = SplitLedger(config.shares)
    with write_benchmark(output, overwrite=overwrite) as writer, worker_pool(workers) as pool:
        for split in config.splits:
            write_split(writer, SplitPlanner(split, config, seed).plan(), draw, ledger, seed=seed, workers=pool)
        return writer.finish(
            name="scenes",
            title=TITLE,
            builder={"name": "scenes", "version": VERSION, "config": asdict(config), "cluster_grain": ENTITY},
            seed=seed,
            tools=art.tools(),
            sources=art.sources(),
            licence="CC-BY-SA-4.0",
            split_rule=ledger.rule(),
            description=_description(config),
        )


def _description(config: ScenesConfig) -> str:
    return f"""Pictures composed of the art of two artists: a *focus* (one to four of the same thing, small, large or of
middling size) and often a *landmark* (one of another kind of thing) to its left or right, above it or below it, on a
plain page or in one of {len(BACKGROUNDS)} places. There are {len(ENTITIES)} things to be the focus, {len(LANDMARKS)}
others to be the landmark, and {number_of_scenes():,} different scenes.

Grains: `count`, `size`, `entity`, `relation` (of the focus to the landmark), `second entity` (the landmark) and
`background`; two to six in a scene. Size and background are no grain where nothing is said of them: middling size,
plain page. Text queries of two and three grains exist for text → image only; tasks with a picture in the query start at
four.

## How it is made

- Query pictures are drawn with the art of OpenMoji, candidate pictures with that of Twemoji, so no query finds itself.
- Queries and candidates are worded in different ways. "Two dogs to the left of a castle" and "A castle to the right of
  two dogs" are one scene, and both wordings occur.
- The ladder of a query holds its target, for each grain a scene that differs in this grain alone, scenes that differ in
  two, three, ... all grains, and {config.random_negatives} targets of other queries. All of it is in the pool.
- All tasks ask for the same targets.
- A composed query shows a scene that differs from its target in one or two grains; its text states only the new values.
- At most {config.max_positives} candidates are relevant to a query.
- The hash of a combination of grains decides its split; no combination occurs in two splits.
- Variants of a query. Without one of its grains: the text leaves it out ("something", "things"; without the count
  "one or more"); a picture without its background is on a plain page, without its size of middling size; a picture
  without another of its grains cannot be drawn, and such variants are absent. With another value of a grain: texts for
  every grain, pictures for one in turn, each asking for the neighbour in the ladder. In other words, or arranged anew.

## Limits

- English from templates; flat drawings; one landmark; things float rather than stand. Scores say how well a model keeps
  apart what a sentence says, not how well it sees photographs.
- Size is the longest side of a drawing, so that a large canoe covers less of the page than a large orange.
- Where English demands a singular or plural, a composed query without its count still shows whether there is one.
- Few people occur, by occupation or costume, in the artists' neutral yellow.
"""
