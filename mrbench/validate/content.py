"""Checks of single tables: digests, counts, ids, null values, pictures."""

from __future__ import annotations

import hashlib
import io
import json
import re
from array import array
from typing import Any

import numpy as np
from PIL import Image

from mrbench.benchmark.manifest import Manifest
from mrbench.validate.report import Report
from mrbench.validate.tables import KINDS, Table

MOST_PIXELS = 64_000_000
_ID = re.compile(r"[0-9a-f]{16}")
_KEYS = {
    "corpus": ("id",),
    "queries": ("id",),
    "qrels": ("query-id", "corpus-id"),
    "top_ranked": ("query-id",),
    "variants": ("query-id", "kind", "grain", "number"),
}


def one_json(value: Any) -> bytes:
    """Return the compact JSON with sorted keys, over which digests are computed."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")).encode("utf-8")


def short_hash(*parts: str) -> int:
    """Return a 64-bit hash of texts: a million fit into memory, and practically never collide."""
    return int.from_bytes(hashlib.blake2b("\x00".join(parts).encode("utf-8"), digest_size=8).digest(), "big")


def check_tables(manifest: Manifest, tables: list[Table], report: Report) -> bool:
    """Recompute digests and counts, look for null values and repeated keys; return whether the rows are sound."""
    sound = True
    digests, counts = dict(manifest.tables), {table.name: 0 for table in tables}
    for table in tables:
        digest, counts[table.name], whole = _check_rows(table, report)
        sound &= whole
        expected = manifest.tables.get(table.name)
        report.expect(digest == expected, "table digest", table.name, digest, expected)
        digests[table.name] = digest
    for name in manifest.tables:
        # A table without rows has no file.
        if name not in counts and manifest.tables[name] != hashlib.sha256().hexdigest():
            report.problem("table without file", name)
    total = hashlib.sha256(one_json(digests)).hexdigest()
    report.expect(total == manifest.content_sha256, "content digest", "manifest", manifest.content_sha256, total)
    check_counts(manifest, counts, report)
    return sound


def _check_rows(table: Table, report: Report) -> tuple[str, int, bool]:
    digest, rows, sound = hashlib.sha256(), 0, True
    keys = array("Q")
    for row in table.rows(without="image"):
        digest.update(hashlib.sha256(one_json(row)).digest())
        key = [row[name] for name in _KEYS[table.kind]]
        if _has_null(row):
            report.problem("null value", f"{table.name} row {rows}", row)
            sound = False
        else:
            keys.append(short_hash(*map(str, key)))
        if table.kind in ("corpus", "queries") and not _ID.fullmatch(row["id"] or ""):
            report.problem("id form", f"{table.name} row {rows}", row["id"], "16 hexadecimal digits")
        rows += 1
    if sound:
        _check_unique(table, np.frombuffer(keys, dtype=np.uint64), report)
    report.count(f"{table.kind} rows", rows)
    return digest.hexdigest(), rows, sound


def _check_unique(table: Table, keys: Any, report: Report) -> None:
    values, counts = np.unique(keys, return_counts=True)
    repeated = set(values[counts > 1].tolist())
    if repeated:
        for row in table.rows(*_KEYS[table.kind]):
            key = tuple(row.values())
            if short_hash(*map(str, key)) in repeated:
                report.problem("repeated id", table.name, " ".join(map(str, key)), "each once")


def _has_null(row: dict[str, Any]) -> bool:
    for value in row.values():
        if value is None:
            return True
        if isinstance(value, list):
            for item in value:
                if item is None or (isinstance(item, dict) and (item["type"] is None or item["value"] is None)):
                    return True
    return False


def check_counts(
    manifest: Manifest, counts: dict[str, int], report: Report, table_kinds: tuple[str, ...] = KINDS
) -> None:
    """Check the numbers of rows against the manifest."""
    stated = {
        f"{kind}/{stem}-{split}": number
        for split, kinds in manifest.counts.items()
        for kind in table_kinds
        for stem, number in kinds.get(kind, {}).items()
    }
    for name in sorted(stated.keys() | counts.keys()):
        report.expect(stated.get(name, 0) == counts.get(name, 0), "counts", name, stated.get(name), counts.get(name))


def check_pictures(tables: list[Table], size: int | None, report: Report) -> None:
    """Decode every picture and check its form, size and pixels."""
    for table in tables:
        if "image" in table.columns():
            key = _KEYS[table.kind][0]
            for row in table.rows(key, "image", "image_sha256"):
                _check_picture(f"{table.name} {row[key]}", row, size, report)


def _check_picture(where: str, row: dict[str, Any], size: int | None, report: Report) -> None:
    report.count("pictures")
    try:
        picture = Image.open(io.BytesIO(row["image"]["bytes"]), formats=["PNG"])
        if picture.width * picture.height > MOST_PIXELS:
            report.problem("picture too large", where, picture.size, f"{MOST_PIXELS} pixels")
            return
        picture.load()
    except (OSError, ValueError, TypeError, SyntaxError, Image.DecompressionBombError) as error:
        report.problem("unreadable picture", where, error, "PNG")
        return
    if picture.mode != "RGB":
        report.problem("picture mode", where, picture.mode, "RGB")
        return
    if size is not None:
        report.expect(picture.size == (size, size), "picture size", where, picture.size, (size, size))
    pixels = hashlib.sha256(b"%dx%d:RGB:" % picture.size + picture.tobytes()).hexdigest()
    report.expect(pixels == row["image_sha256"], "pixel digest", where, pixels, row["image_sha256"])
