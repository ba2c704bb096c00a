"""Runs all checks of a benchmark folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mrbench.benchmark.manifest import Manifest, read_manifest
from mrbench.validate.card_and_croissant import check_card, check_croissant
from mrbench.validate.content import check_pictures, check_tables, short_hash
from mrbench.validate.judging import SplitCheck
from mrbench.validate.open_world import check_measures
from mrbench.validate.records import SplitRule
from mrbench.validate.report import Report
from mrbench.validate.tables import Table, UnreadableError, check_files


def validate(folder: Path, *, images: bool = True) -> Report:
    """Verify a benchmark: files, digests, every grade, ladder, split, picture and de-grained query.

    The pool is read as a stream: memory grows by a few bytes a candidate, and with the judgements. If a file is
    missing, unreadable or has other columns, the report has that problem, and rules that need sound files are skipped.

    Args:
        folder: The benchmark.
        images: Whether to decode every picture and compare its pixels with its digest.

    Returns:
        The report: what was checked, and the problems.

    Raises:
        BenchmarkError: There is no folder, or no manifest of the documented form.
        FormatVersionError: Written by a newer version of MRBench.
    """
    manifest, report = read_manifest(Path(folder)), Report()
    check_measures(manifest.tasks, report)
    check_card(Path(folder), manifest, report)
    check_croissant(Path(folder), manifest, report)
    tables = check_files(Path(folder), manifest, report)
    try:
        if tables and check_tables(manifest, tables, report):
            _check_records(manifest, tables, report)
            if images:
                size = manifest.builder.get("config", {}).get("size")
                check_pictures(tables, size if isinstance(size, int) else None, report)
    except UnreadableError as error:
        report.problem("unreadable file", *error.args)
    return report


def _check_records(manifest: Manifest, tables: list[Table], report: Report) -> None:
    rule = SplitRule(manifest, report)
    seen: dict[str, SplitCheck] = {}
    for split in ("train", "validation", "test"):
        part = [table for table in tables if table.split == split]
        if part:
            seen[split] = SplitCheck(split, part, rule, report)
            seen[split].run()
    rule.close()
    _check_contamination(tables, seen, report)
    _check_facts(manifest, tables, report)


def _check_contamination(tables: list[Table], seen: dict[str, SplitCheck], report: Report) -> None:
    """Check that no text or picture of the test split occurs in another split."""
    if "test" not in seen:
        return
    for what, column in (("texts", "text"), ("pictures", "image_sha256")):
        inside = np.frombuffer(getattr(seen["test"], what), dtype=np.uint64)
        for split in seen.keys() - {"test"}:
            outside = np.frombuffer(getattr(seen[split], what), dtype=np.uint64)
            shared = set(np.intersect1d(inside, outside).tolist())
            if shared:
                _name_shared(tables, column, split, shared, report)


def _name_shared(tables: list[Table], column: str, split: str, shared: set[Any], report: Report) -> None:
    for table in tables:
        own = column == "image_sha256" or "image" not in table.columns()
        if table.split == "test" and table.kind in ("corpus", "queries") and column in table.columns() and own:
            for row in table.rows("id", column):
                if short_hash(row[column]) in shared:
                    report.problem(f"test content in {split}", f"{table.name} {row['id']}", row[column])


def _check_facts(manifest: Manifest, tables: list[Table], report: Report) -> None:
    """Check the manifest's lists of tasks and grain types against the queries."""
    queries = [table for table in tables if table.kind == "queries"]
    tasks = {table.stem for table in queries}
    types: set[str] = set()
    for table in queries:
        types.update(grain["type"] for row in table.rows("grains") for grain in row["grains"])
    named = [task.name for task in manifest.tasks]
    report.expect(set(named) == tasks, "tasks of the manifest", "manifest", named, sorted(tasks))
    stated = tuple(manifest.grain_types)
    report.expect(stated == tuple(sorted(types)), "grain types of the manifest", "manifest", stated, sorted(types))
