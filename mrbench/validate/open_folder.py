"""Checks a folder with partial judgements: files, digests and counts, then the records."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from mrbench.benchmark import Benchmark
from mrbench.benchmark.manifest import Manifest
from mrbench.errors import BenchmarkError
from mrbench.records import Task
from mrbench.validate.card_and_croissant import check_card, check_croissant
from mrbench.validate.content import check_counts, one_json
from mrbench.validate.open_world import Facts, check_contents
from mrbench.validate.report import Report
from mrbench.validate.tables import IMAGE, Table, UnreadableError, check_files

_NAME = re.compile(r"data/([a-z_]+)/([A-Za-z0-9][A-Za-z0-9_.]*)-(train|validation|test)-(\d{5})\.parquet")
_KINDS = ("corpus", "queries", "qrels", "top_ranked", "variants", "lists", "exclusions")
_LISTED = {"query-id": pa.string(), "corpus-ids": pa.list_(pa.string())}


@dataclass
class OpenTable(Table):
    """A table of format version 2, whose columns depend on its task or corpus."""

    manifest: Manifest = field(kw_only=True)

    @property
    def _task(self) -> Task:
        return next(task for task in self.manifest.tasks if task.name == self.stem)

    @property
    def modality(self) -> str:
        """The modality of its content."""
        return self.manifest.corpora[self.stem] if self.kind == "corpus" else self._task.query_modality

    @property
    def _partial(self) -> bool:
        if self.kind == "corpus":
            using = (task for task in self.manifest.tasks if self.stem in task.own_corpora)
            return any(task.judgements == "partial" for task in using)
        return self._task.judgements == "partial"

    def columns(self) -> dict[str, pa.DataType]:
        """The columns that the format requires, in order."""
        if self.kind in ("lists", "exclusions"):
            return dict(_LISTED)
        columns = super().columns()
        if not self._partial or self.kind in ("top_ranked", "variants"):
            return columns
        if self.kind == "qrels":
            return {**columns, "asked": pa.int32(), "origin": pa.string()}
        made: dict[str, pa.DataType] = {}
        for name, kind in columns.items():
            made[name] = kind
            if name == "image_sha256":
                made |= {"more_images": pa.list_(IMAGE), "more_images_sha256": pa.list_(pa.string())}
        return {**made, "cluster": pa.string()} if self.kind == "queries" else made


def validate_open(
    folder: Path, manifest: Manifest, *, images: bool, workers: int, image_root: Path | None
) -> tuple[Report, Facts]:
    """Verify a folder that has partial judgements.

    Args:
        folder: The benchmark.
        manifest: Its manifest.
        images: Whether to decode all images; otherwise only check that their files exist.
        workers: Processes that decode.
        image_root: Folder of referenced images; None takes the manifest's.

    Returns:
        The report, and the facts of :func:`mrbench.validate.open_world.check_contents`.
    """
    report = Report()
    for name, check in (("README.md", check_card), ("croissant.json", check_croissant)):
        if os.path.lexists(folder / name):
            check(folder, manifest, report)
        else:
            report.note(f"no {name}, which is optional", 1)
    stems = {"corpus": set(manifest.corpora)} | {kind: {t.name for t in manifest.tasks} for kind in _KINDS[1:]}
    tables = check_files(
        *(folder, manifest, report),
        pattern=_NAME,
        known=lambda kind, stem: stem in stems.get(kind, ()),
        make=lambda kind, stem, split: OpenTable(kind, stem, split, manifest=manifest),
        any_form=True,
    )
    facts: Facts = {}
    try:
        if tables:
            _check_digests(manifest, tables, report)
            benchmark = Benchmark(folder, verify=False, image_root=image_root)
            facts = check_contents(benchmark, report, decode=images, workers=workers)
    except UnreadableError as error:
        report.problem("unreadable file", *error.args)
    except BenchmarkError as error:
        report.problem("unreadable table", folder, error)
    complete = [task.name for task in manifest.tasks if task.judgements == "complete"]
    if complete:
        names = ", ".join(complete)
        report.note(
            f"tasks whose grades were not recomputed, as others have partial judgements: {names}", len(complete)
        )
    return report, facts


def _check_digests(manifest: Manifest, tables: list[Table], report: Report) -> None:
    digests, counts = dict(manifest.tables), {table.name: 0 for table in tables}
    for table in tables:
        digest = hashlib.sha256()
        for row in table.rows():
            digest.update(hashlib.sha256(one_json(_content(row))).digest())
            counts[table.name] += 1
            _check_row(table, row, report)
        digests[table.name] = digest.hexdigest()
        expected = manifest.tables.get(table.name)
        report.expect(digests[table.name] == expected, "table digest", table.name, digests[table.name], expected)
        report.count(f"{table.kind} rows", counts[table.name])
    for name, stated in manifest.tables.items():
        if name not in counts and stated != hashlib.sha256().hexdigest():
            report.problem("table without file", name)
    total = hashlib.sha256(one_json(digests)).hexdigest()
    report.expect(total == manifest.content_sha256, "content digest", "manifest", manifest.content_sha256, total)
    check_counts(manifest, counts, report, _KINDS)


def _content(row: dict[str, Any]) -> dict[str, Any]:
    """Return the content that the digest of a row covers: an image counts by its pixels' digest, else by its path."""
    further = ("more_images", "more_images_sha256")
    content = {name: value for name, value in row.items() if name not in ("image", *further)}
    if "image_sha256" in row and not row["image_sha256"]:
        content["image"] = row["image"]["path"]
    if row.get("more_images"):
        images, digests = (row.get(name) or () for name in further)
        content["more_images"] = [
            digest or image["path"] or hashlib.sha256(image["bytes"]).hexdigest()
            for image, digest in zip(images, [*digests, *[""] * len(images)], strict=False)
        ]
    return content


def _check_row(table: Table, row: dict[str, Any], report: Report) -> None:
    """Check the grains and the grade of one row."""
    if table.kind == "qrels":
        grade, asked = row["grade"], row.get("asked")
        if grade is not None and (grade < 0 or (asked is not None and grade > asked)):
            report.problem("grade", f"{table.name} {row['query-id']} {row['corpus-id']}", grade, f"0 to {asked}")
    further, digests = (row.get(name) or () for name in ("more_images", "more_images_sha256"))
    if digests and len(digests) != len(further):
        report.problem("digests of further images", f"{table.name} {row['id']}", len(digests), len(further))
    for name in ("grains", "image_grains"):
        types = [grain["type"] for grain in row.get(name) or ()]
        if len(set(types)) < len(types):
            report.problem("grain types of a record", f"{table.name} {row['id']}", types, "each once")
    for grain in row.get("grains") or ():
        start, end = grain["start"], grain["end"]
        if start is not None and not 0 <= start < (end or 0) <= len(row.get("text") or ""):
            report.problem("span in the text", f"{table.name} {row['id']} {grain['type']}", (start, end))
