"""Any benchmark written as a folder in our format, its images decoded once for the digest of their pixels."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

from tqdm import tqdm

from mrbench.benchmark import Benchmark, BenchmarkWriter, Manifest, decode, pixel_sha256, write_benchmark
from mrbench.errors import BenchmarkError, InputError
from mrbench.records import AnyImage, Candidate, ImageData, ImageFile, Query, Variant
from mrbench.workers import Workers, ordered_map, worker_pool

Images = Literal["copy", "reference"]
Shown = TypeVar("Shown", Candidate, Query, Variant)
_MANY = 1000  # rows from which a progress bar is worth its line


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
        worker_pool(workers) as pool,
        write_benchmark(output, tasks=said.tasks, corpora=said.corpora, overwrite=overwrite) as writer,
    ):
        look = _Images(images, pool)
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


def _write_task(benchmark: Benchmark, task: str, split: str, writer: BenchmarkWriter, look: _Images) -> None:
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


class _Images:
    """Decodes the images of records, in order, and keeps their bytes or their paths."""

    def __init__(self, images: Images, workers: Workers) -> None:
        self._look = partial(_looked_at, copy=images == "copy")
        self._workers = workers
        self._copy = images == "copy"
        self.referenced = False

    def all_of(self, records: Iterable[Shown], label: str) -> Iterator[Shown]:
        """Yield records whose images have digests."""
        total = len(records)  # type: ignore[arg-type]
        if not total:
            return
        hidden = True if total < _MANY else None
        done = ordered_map(self._look, records, self._workers, chunk=16, in_flight=8)
        for record in tqdm(done, label, total, unit="row", leave=False, disable=hidden):
            self.referenced |= isinstance(record.image, ImageFile)
            yield record


def _looked_at(record: Shown, *, copy: bool) -> Shown:
    """Return a record whose image has the digest of its pixels, and its bytes where they are to be copied."""
    if record.image is None:
        return record
    where = record.query_id if isinstance(record, Variant) else record.id
    made = replace(record, image=_with_digest(record.image, where, copy))
    more = () if isinstance(record, Variant) else record.more_images
    if not more or isinstance(made, Variant):
        return made
    return replace(made, more_images=tuple(_with_digest(image, where, copy) for image in more))


def _with_digest(image: AnyImage, where: str, copy: bool) -> AnyImage:
    data = image.data
    named = f"{where}, {image.path}" if isinstance(image, ImageFile) else where
    digest = pixel_sha256(decode(ImageData(data, ""), where=named))
    if image.sha256 and image.sha256 != digest:
        raise BenchmarkError("an image has other pixels than its digest says", where=named, got=digest)
    if copy or not isinstance(image, ImageFile):
        return ImageData(data, digest)
    return replace(image, sha256=digest)


def _description(benchmark: Benchmark) -> str:
    lines = [f"Converted by `mrbench convert` from a data set with the digest `{benchmark.digest}`.", ""]
    lines += [f"- {task.name}: {task.protocol}" for task in benchmark.manifest.tasks if task.protocol]
    return "\n".join([*lines, *(f"- note: {remark}" for remark in benchmark.notes())])
