"""The recipe of the ELVA paper's MRBench: queries of M-BEIR with two grains or more, equally many for each task.

Source: ELVA (arXiv 2606.20280), the section on MRBench. The paper's own list of queries is not published: this is its
recipe, on four tasks, with a judge that anyone can run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mrbench.benchmark import Benchmark, BenchmarkWriter, Manifest, Source, write_benchmark
from mrbench.benchmark.looked_at import Images, LookedAt
from mrbench.build.captions.photos import hashed_id
from mrbench.build.paper.card import description
from mrbench.build.paper.queries import NO_TEXT, Chosen, Queries
from mrbench.errors import BenchmarkError, InputError, advised
from mrbench.judge import Judge
from mrbench.records import AnyImage
from mrbench.workers import worker_pool

Describe = Callable[[Sequence[tuple[str, AnyImage]]], Mapping[str, str]]
VERSION = 1
SPLIT = "test"
TASKS = {
    "mscoco_task0": "COCO, caption → photo",
    "mscoco_task3": "COCO, photo → caption",
    "nights_task4": "NIGHTS, image → image",
    "cirr_task7": "CIRR, image and change → image",
}
"""The tasks of M-BEIR that the paper draws from."""


@dataclass(frozen=True, slots=True)
class PaperConfig:
    """The options of the recipe.

    Attributes:
        tasks: Some of :data:`TASKS`.
        queries: Queries of each task.
        images: ``copy`` puts them into the benchmark, ``reference`` keeps their paths.
    """

    tasks: tuple[str, ...] = tuple(TASKS)
    queries: int = 250
    images: Images = "reference"

    def __post_init__(self) -> None:
        unknown = [name for name in self.tasks if name not in TASKS]
        if unknown or not self.tasks:
            raise InputError(
                "unknown task", where="--tasks", got=", ".join(unknown) or "none", accepted=", ".join(TASKS)
            )
        if self.images not in ("copy", "reference"):
            raise InputError("unknown value", where="--images", got=self.images, accepted="copy, reference")
        if self.queries < 1:
            raise InputError("too few queries", where="--queries", got=self.queries, accepted="1 or more")


def build_paper(
    benchmark: Benchmark,
    judge: Judge,
    output: Path,
    config: PaperConfig,
    *,
    descriptions: Mapping[str, str] | None = None,
    describe: Describe | None = None,
    seed: int = 0,
    workers: int = 1,
    overwrite: bool = False,
) -> Manifest:
    """Build a benchmark by the paper's recipe from a tree of M-BEIR.

    What is written depends on the tree's files, the judge, the configuration, the descriptions and the seed alone.

    Args:
        benchmark: M-BEIR, as the source ``mbeir:`` opens it, with its test split.
        judge: Finds the grains of a text, and the grains that other texts contradict.
        output: Folder to write; it appears when everything is in it.
        config: The options.
        descriptions: Descriptions of the pictures of queries, by the query's id, for tasks without any text.
        describe: Returns descriptions of pictures. It is called for queries without a text in the data set: for twice
            as many of each task as are wanted, those that come first by the hash of seed and id.
        seed: Changes the choice among the queries that fit the recipe.
        workers: Processes that decode.
        overwrite: Whether a benchmark that is there may be replaced.

    Returns:
        The manifest, as written.

    Raises:
        InputError: A task is not in the tree, or has too few queries that fit the recipe.
        BenchmarkError: A picture is missing or cannot be decoded.
        OutputError: The folder may not be replaced or written.
    """
    _check(benchmark, config)
    said = dict(descriptions or {})
    for name in config.tasks if describe else ():
        said |= _described(Queries(benchmark, name, SPLIT, judge, said), config, describe, seed)
    chosen = {name: _choose(benchmark, name, judge, config, said, seed) for name in config.tasks}
    tasks = [replace(benchmark.task(name), title=TASKS[name]) for name in config.tasks]
    corpora = {corpus: benchmark.corpora[corpus] for task in tasks for corpus in task.corpora}
    with (
        advised(benchmark.check_command, BenchmarkError),
        worker_pool(workers) as pool,
        write_benchmark(output, tasks=tasks, corpora=corpora, overwrite=overwrite) as writer,
    ):
        look = LookedAt(config.images, pool)
        for corpus in corpora:
            records = benchmark.corpus(corpus, SPLIT)
            writer.add_candidates(SPLIT, look.all_of(records, f"corpus {corpus}"), corpus=corpus)
        for name, queries in chosen.items():
            writer.add_queries(SPLIT, look.all_of(queries.queries, f"{name} queries"))
            writer.add_judgements(SPLIT, name, queries.judgements)
            writer.add_variants(SPLIT, name, look.all_of(queries.variants, f"{name} variants"))
        measured = {name: queries.counts for name, queries in chosen.items()}
        return _finish(writer, benchmark, judge, config, seed, measured, referenced=look.referenced)


def _check(benchmark: Benchmark, config: PaperConfig) -> None:
    absent = [name for name in config.tasks if name not in benchmark.task_names]
    if absent or SPLIT not in benchmark.splits:
        raise InputError(
            "the tree lacks a task of the recipe" if absent else "the tree has no test split",
            where=benchmark.folder,
            got=", ".join(benchmark.task_names),
            accepted=", ".join(config.tasks),
            hint=f"--tasks {','.join(n for n in config.tasks if n not in absent)}"
            if len(absent) < len(config.tasks)
            else benchmark.command("datasets", "check"),
        )


def _described(queries: Queries, config: PaperConfig, describe: Describe | None, seed: int) -> Mapping[str, str]:
    """Return descriptions of the pictures of queries without a text in the data set, of those that come first."""
    wanted = sorted(queries.pictures(), key=lambda query: hashed_id(str(seed), query.id))[: 2 * config.queries]
    return describe([(query.id, query.image) for query in wanted if query.image]) if describe and wanted else {}


def _choose(
    benchmark: Benchmark, task: str, judge: Judge, config: PaperConfig, descriptions: Mapping[str, str], seed: int
) -> Chosen:
    """Return the queries of a task that fit the recipe and come first by the hash of seed and id.

    Raises:
        InputError: There are fewer than wanted.
    """
    queries = Queries(benchmark, task, SPLIT, judge, descriptions)
    fit = sorted(queries.fit(), key=lambda ask: hashed_id(str(seed), ask.query.id))
    if len(fit) < config.queries:
        undescribed = queries.left_out[NO_TEXT]
        if undescribed and not fit:
            hint = '--descriptions FILE.jsonl, lines of {"id": query, "text": description}; or a model as --judge'
        else:
            hint = f"--queries {len(fit)}" if fit else f"leave {task} out of --tasks"
        raise InputError(
            f"too few queries hold two grains or more; {undescribed} have no text",
            where=task,
            got=len(fit),
            accepted=f"{config.queries} or more",
            hint=hint,
        )
    return queries.chosen(fit[: config.queries])


def _finish(
    writer: BenchmarkWriter,
    benchmark: Benchmark,
    judge: Judge,
    config: PaperConfig,
    seed: int,
    measured: Mapping[str, Mapping[str, Any]],
    *,
    referenced: bool,
) -> Manifest:
    said = benchmark.manifest
    return writer.finish(
        name="mrbench-paper",
        title="The recipe of the ELVA paper's MRBench over M-BEIR",
        licence=said.licence,
        description=description(said, judge, measured),
        builder={
            "name": "paper",
            "version": VERSION,
            "config": {"tasks": list(config.tasks), "queries": config.queries, "source_digest": said.content_sha256},
            "judge": {"name": judge.name, **judge.versions},
            "measured": measured,
        },
        seed=seed,
        tools={**judge.versions},
        sources=(Source("M-BEIR", said.content_sha256[:12], said.licence, "Wei et al., arXiv 2311.17136", ""),),
        split_rule={"rule": "the test queries of M-BEIR"},
        image_root=str(benchmark.images.path) if referenced else None,
    )


__all__ = ["TASKS", "PaperConfig", "build_paper"]
