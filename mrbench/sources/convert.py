"""Any benchmark written as a folder in our format, its images decoded once for the digest of their pixels."""

from __future__ import annotations

import os
from pathlib import Path

from mrbench.benchmark import Benchmark, BenchmarkWriter, Manifest, write_benchmark
from mrbench.benchmark.looked_at import Images, LookedAt
from mrbench.errors import BenchmarkError, InputError, advised
from mrbench.workers import worker_pool


def convert(
    benchmark: Benchmark,
    output: Path,
    *,
    images: Images = "copy",
    workers: int = 1,
    overwrite: bool = False,
) -> Manifest:
    """Write a benchmark as a folder in our format: everything or nothing.

    Args:
        benchmark: A folder or a source.
        output: The folder to write.
        images: ``copy`` puts them into the Parquet files; ``reference`` keeps their paths. Both store the digest of the
            pixels. Images that come as bytes are copied always.
        workers: Processes that decode images.
        overwrite: Whether an earlier benchmark in ``output`` may be replaced.

    Returns:
        The manifest of what was written.

    Raises:
        InputError: The output is the benchmark itself.
        OutputError: The folder exists and may not be replaced, or the disk is full.
        BenchmarkError: An image is missing or cannot be decoded, or the benchmark is malformed.
    """
    if os.path.realpath(output) == os.path.realpath(benchmark.folder):
        raise InputError(
            "the output is the benchmark itself", where="--output", got=str(output), accepted="a new folder"
        )
    said = benchmark.manifest
    with (
        advised(benchmark.check_command, BenchmarkError),
        worker_pool(workers) as pool,
        write_benchmark(output, tasks=said.tasks, corpora=said.corpora, overwrite=overwrite) as writer,
    ):
        look = LookedAt(images, pool)
        for split in benchmark.splits:
            for corpus in benchmark.corpora:
                label = f"{split}: corpus {corpus}"
                writer.add_candidates(split, look.all_of(benchmark.corpus(corpus, split), label), corpus=corpus)
            for task in benchmark.task_names:
                _write_task(benchmark, task, split, writer, look)
        source = {"name": said.name, "digest": benchmark.digest, "images": images}
        return writer.finish(
            name=said.name,
            title=said.title,
            licence=said.licence,
            description=_description(benchmark),
            builder=said.builder or {"name": "convert", "version": 1, "config": source},
            seed=said.seed,
            tools=said.tools,
            sources=said.sources,
            split_rule=said.split_rule,
            image_root=str(benchmark.images.path) if look.referenced else None,
        )


def _write_task(benchmark: Benchmark, task: str, split: str, writer: BenchmarkWriter, look: LookedAt) -> None:
    label = f"{split}: {task}"
    writer.add_queries(split, look.all_of(benchmark.queries(task, split), f"{label} queries"))
    writer.add_judgements(split, task, benchmark.judgements(task, split))
    writer.add_ladders(split, task, benchmark.ladders(task, split))
    writer.add_variants(split, task, look.all_of(benchmark.variants(task, split), f"{label} variants"))
    # A table without rows is none at all, but for those that every suite has.
    if len(benchmark.lists(task, split)):
        writer.add_lists(split, task, benchmark.lists(task, split))
    if len(benchmark.exclusions(task, split)):
        writer.add_exclusions(split, task, benchmark.exclusions(task, split))


def _description(benchmark: Benchmark) -> str:
    lines = [f"Converted by `mrbench convert` from a data set with the digest `{benchmark.digest}`.", ""]
    lines += [f"- {task.name}: {task.protocol}" for task in benchmark.manifest.tasks if task.protocol]
    return "\n".join([*lines, *(f"- note: {remark}" for remark in benchmark.notes())])
