"""A multi-grain benchmark with graded negatives from real photos with captions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from mrbench.benchmark import Benchmark, BenchmarkWriter, Manifest, Source, write_benchmark
from mrbench.build.captions.alike import photo_to_photo
from mrbench.build.captions.asks import stated
from mrbench.build.captions.card import description
from mrbench.build.captions.composed import image_and_text_to_photo
from mrbench.build.captions.photos import Photo, plain, read_photos
from mrbench.build.captions.plan import Planner
from mrbench.build.captions.splits import rule
from mrbench.build.captions.task_plan import TASKS, TaskPlan
from mrbench.build.splits import Shares
from mrbench.errors import InputError
from mrbench.judge import Judge
from mrbench.records import Candidate, ImageData, ImageFile

VERSION = 2
FROM_TEXT = {"t2i", "it2i", "i2i"}
"""Tasks that are planned from captions, and find photos."""
LICENCE = "LicenseRef-photos-and-captions-belong-to-their-owners"


@dataclass(frozen=True, slots=True)
class CaptionsConfig:
    """What to build.

    Attributes:
        tasks: ``t2i`` (captions find photos), ``i2t`` (photos find captions), ``it2i`` (a photo and a change find
            another photo), ``i2i`` (a photo finds another that shows the same).
        shares: Shares of train, validation and test; None keeps the data set's own splits, or makes all photos test
            photos where they are fewer than 10,000.
        images: ``copy`` puts the photos into the benchmark, ``reference`` keeps their paths.
        queries: Queries of a task and split at most; None for all that are fit.
        shortlist: Candidates that are judged for each query.
    """

    tasks: tuple[str, ...] = ("t2i", "i2t", "it2i")
    shares: tuple[float, float, float] | None = None
    images: Literal["copy", "reference"] = "copy"
    queries: int | None = None
    shortlist: int = 40

    def __post_init__(self) -> None:
        wrong = []
        if not self.tasks or len(set(self.tasks)) < len(self.tasks) or not set(self.tasks) <= set(TASKS):
            wrong.append(f"tasks {', '.join(self.tasks) or 'none'} (accepted: some of {', '.join(TASKS)}, each once)")
        if self.images not in ("copy", "reference"):
            wrong.append(f"images {self.images} (accepted: copy, reference)")
        if self.queries is not None and self.queries < 1:
            wrong.append(f"queries {self.queries} (accepted: 1 or more)")
        if not 1 <= self.shortlist <= 1000:
            wrong.append(f"shortlist {self.shortlist} (accepted: 1 to 1000)")
        if wrong:
            raise InputError("malformed options of a build from captions", got="; ".join(wrong))
        if self.shares is not None:
            Shares(*self.shares)


def build_captions(
    benchmark: Benchmark,
    judge: Judge,
    output: Path,
    config: CaptionsConfig,
    *,
    seed: int = 0,
    workers: int = 1,
    overwrite: bool = False,
) -> Manifest:
    """Build a multi-grain benchmark from photos with captions.

    What is written depends on the photos, the captions, the judge, the configuration and the seed alone.

    Args:
        benchmark: Captioned photos, as the source ``captions:`` opens them.
        judge: Tells which grains a caption keeps of another's.
        output: Folder to write; it appears when everything is in it.
        config: What to build.
        seed: Of the splits and of the choice of queries.
        workers: Processes that decode.
        overwrite: Whether a benchmark that is there may be replaced.

    Returns:
        The manifest, as written.

    Raises:
        InputError: No captioned photos, two photos of one name, or no caption with two grains.
        BenchmarkError: A picture is missing or cannot be decoded.
        OutputError: The folder may not be replaced or written.
    """
    from mrbench.workers import worker_pool

    shares = None if config.shares is None else Shares(*config.shares)
    with worker_pool(workers) as pool:
        splits, remark = read_photos(benchmark, shares, seed, pool)
    measured: dict[str, Any] = {}
    tasks = [TASKS[name] for name in TASKS if name in config.tasks]
    corpora: dict[str, Any] = {"image": "image"} | ({"text": "text"} if "i2t" in config.tasks else {})
    if config.tasks == ("i2t",):
        del corpora["image"]
    with write_benchmark(output, tasks=tasks, corpora=corpora, overwrite=overwrite) as writer:
        made: Counter[str] = Counter()
        taken = {plain(text) for photos in splits.values() for photo in photos for text in photo.texts}
        for split, photos in splits.items():
            planner = Planner(
                photos,
                judge,
                shortlist=config.shortlist,
                most=config.queries,
                seed=seed,
                taken=taken,
                label=f"{split}: judging",
            )
            plans = _plans(planner, config.tasks)
            made.update({task: len(plan.queries) for task, plan in plans.items()})
            _write(writer, split, planner, plans, copy=config.images == "copy")
            measured[split] = {
                "photos": len(photos),
                "captions": len(planner.captions),
                **{task: plan.counts.to_json() for task, plan in plans.items()},
            }
        if not made.total() and not {"t2i", "i2t"} & set(config.tasks):
            what = "no two photos show the same, or differ in a grain or two"
            raise InputError(what, where=benchmark.folder, hint="build with --tasks t2i,i2t, or with more photos")
        if not made.total():
            raise InputError(
                "no caption has two grains",
                where=benchmark.folder,
                accepted="captions in English",
                hint='say more, as "A black dog sits on a couch" does; mrbench grains FILE.jsonl shows grains',
            )
        remarks = [remark] if remark else []
        remarks += [f"{task}: no query, so no such task" for task in config.tasks if not made[task]]
        return _finish(writer, benchmark, judge, config, shares, seed, measured, remarks)


def _plans(planner: Planner, tasks: Sequence[str]) -> dict[str, TaskPlan]:
    found = {"t2i": planner.text_to_photo()} if FROM_TEXT & set(tasks) else {}
    if "i2t" in tasks:
        found["i2t"] = planner.photo_to_text()
    if "it2i" in tasks:
        found["it2i"] = image_and_text_to_photo(found["t2i"], planner)
    if "i2i" in tasks:
        found["i2i"] = photo_to_photo(found["t2i"])
    return {task: plan for task, plan in found.items() if task in tasks}


def _write(writer: BenchmarkWriter, split: str, planner: Planner, plans: dict[str, TaskPlan], *, copy: bool) -> None:
    if plans.keys() & FROM_TEXT:
        shown = (Candidate(p.name, p.columns, image=p.image) for p in planner.photos)
        writer.add_candidates(split, _pictured(shown, copy), corpus="image")
    if "i2t" in plans:
        texts = [Candidate(c.id, stated(planner.grains[c.text]), text=c.text) for c in planner.captions]
        texts += plans["i2t"].rewritten
        writer.add_candidates(split, sorted(texts, key=lambda candidate: candidate.id), corpus="text")
    for task, plan in plans.items():
        if plan.queries:
            writer.add_queries(split, _pictured(iter(plan.queries), copy))
            writer.add_judgements(split, task, plan.judgements)
            writer.add_ladders(split, task, plan.ladders)
            writer.add_variants(split, task, plan.variants)
            writer.add_exclusions(split, task, plan.exclusions)


def _pictured(records: Iterator[Any], copy: bool) -> Iterator[Any]:
    """Yield records with the bytes of their pictures where these are to be copied, read one at a time."""
    for record in records:
        if copy and isinstance(record.image, ImageFile):
            yield replace(record, image=ImageData(record.image.data, record.image.sha256))
        else:
            yield record


def _finish(
    writer: BenchmarkWriter,
    benchmark: Benchmark,
    judge: Judge,
    config: CaptionsConfig,
    shares: Shares | None,
    seed: int,
    measured: dict[str, Any],
    remarks: list[str],
) -> Manifest:
    said = benchmark.manifest
    referenced = config.images == "reference" and benchmark.images.path is not None
    return writer.finish(
        name=f"{said.name}-grains",
        title=f"{said.title}, grain by grain",
        licence=LICENCE if said.licence == "unknown" else said.licence,
        description=description(said, judge, measured),
        builder={
            "name": "captions",
            "version": VERSION,
            "config": {**asdict(config), "source": said.name, "source_digest": said.content_sha256},
            "judge": {"name": judge.name, **judge.versions},
            "measured": measured,
            "remarks": remarks,
        },
        seed=seed,
        tools={**judge.versions},
        sources=(
            Source(
                said.name,
                said.content_sha256[:12],
                said.licence,
                "Photos and captions belong to their owners; this benchmark gives no right to them.",
                "",
            ),
        ),
        split_rule=rule(shares),
        image_root=str(benchmark.images.path) if referenced else None,
    )


__all__ = ["CaptionsConfig", "Photo", "build_captions"]
