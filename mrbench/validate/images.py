"""Checks the images of data with partial judgements: that they exist and decode, and which are copies."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from tqdm import tqdm

from mrbench.benchmark import Records, decode, pixel_sha256
from mrbench.errors import BenchmarkError
from mrbench.records import AnyImage, ImageFile
from mrbench.validate.report import Report
from mrbench.workers import ordered_map

MISSING = "no file"
Found = tuple[str, str, int, str]
"""Record id, name of the file (empty where the bytes are in the table), number of bytes, and what is wrong."""


class ImageCheck:
    """Checks the images of the tables of a split; each file is read once.

    Args:
        report: Takes problems and counts.
        decode: Whether to decode them; otherwise only check that their files exist.
        workers: Processes that decode.
        named_in: Returns the file and line that name an image, if known.
    """

    def __init__(self, report: Report, *, decode: bool, workers: int, named_in: Callable[[str], str | None]) -> None:
        self._report, self._decode, self._workers, self._named_in = report, decode, workers, named_in
        self._seen: set[int] = set()
        self._facts: dict[str, int] = {}

    def begin(self, records: Records[Any], where: str) -> None:
        """Check all images of a table."""
        look = _decoded if self._decode else _stat
        sizes: list[int] = []
        faults = files = 0
        # With one process, records are handled one by one; several processes get chunks that fit into memory.
        found = ordered_map(look, _images(records), self._workers if self._decode else 1, chunk=16, in_flight=8)
        hidden = True if len(records) < 1000 else None
        for record_id, name, size, wrong in tqdm(found, f"{where}: images", unit="image", leave=False, disable=hidden):
            files += 1
            sizes.append(size)
            if wrong:
                faults += 1
                key = hash(name or record_id)
                if key not in self._seen:
                    self._seen.add(key)
                    rule = "missing image" if wrong.startswith(MISSING) else "unreadable image"
                    source = self._named_in(name) if name else None
                    named = f", named in {source}" if source else ""
                    self._report.problem(rule, f"{where}, {record_id}{named}", wrong)
        self._report.count("images", files)
        self._facts = {"images": files, "faulty_images": faults, "equal_images": _equal(records, sizes)}

    def close(self, where: str) -> dict[str, int]:
        """Return the facts of the last table, and note images that are copies."""
        facts, self._facts = self._facts, {}
        if facts.get("equal_images") and where.startswith("corpus"):
            self._report.note(f"{where}: images that an earlier candidate has too", facts["equal_images"])
        return facts


def _images(records: Records[Any]) -> Iterator[tuple[str, AnyImage | None, str]]:
    """Yield record id, image and, if its path may not be followed, the reason."""
    columns = ["id", "image", "image_sha256", "more_images", "more_images_sha256"]
    for chunk in records.tables(columns) if len(records) else ():
        for batch in chunk.to_batches(256):
            for row in batch.to_pylist():
                cells, digests = row.get("more_images") or [], row.get("more_images_sha256") or []
                more = list(zip(cells, [*digests, *[""] * len(cells)], strict=False))  # earlier versions wrote none
                for cell, digest in ((row["image"], row["image_sha256"] or ""), *more):
                    try:
                        yield row["id"], records.images.image(cell["bytes"], cell["path"], digest), ""
                    except BenchmarkError as error:
                        yield row["id"], None, str(error)


def _stat(item: tuple[str, AnyImage | None, str]) -> Found:
    record_id, image, wrong = item
    if image is None:
        return record_id, "", 0, wrong
    name = image.name if isinstance(image, ImageFile) else ""
    try:
        return record_id, name, image.size, ""
    except BenchmarkError as error:
        if isinstance(image, ImageFile) and not os.path.exists(image.path):  # noqa: PTH110
            return record_id, name, 0, f"{MISSING} {image.path}"
        return record_id, name, 0, str(error)


def _decoded(item: tuple[str, AnyImage | None, str]) -> Found:
    record_id, name, size, wrong = _stat(item)
    image = item[1]
    if wrong or image is None:
        return record_id, name, size, wrong
    try:
        digest = pixel_sha256(decode(image, where=record_id))
    except BenchmarkError as error:
        return record_id, name, size, str(error)
    if image.sha256 and digest != image.sha256:
        return record_id, name, size, f"its pixels have the digest {digest}, not {image.sha256}"
    return record_id, name, size, ""


def _equal(records: Records[Any], sizes: list[int]) -> int:
    """Return the number of images with the bytes of an earlier one; only files of equal size are read."""
    values, counts = np.unique(np.array(sizes, np.int64), return_counts=True)
    shared = set(values[counts > 1].tolist()) - {0}
    if not shared:
        return 0
    digests: set[bytes] = set()
    looked = 0
    for size, (_, image, _) in zip(sizes, _images(records), strict=True):
        if size in shared and image is not None:
            looked += 1
            digests.add(hashlib.sha256(image.data).digest()[:16])
    return looked - len(digests)
