"""Prepares records of another data set for writing: every image is decoded once for the digest of its pixels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from dataclasses import replace
from functools import partial
from typing import Literal, TypeVar, cast

from tqdm import tqdm

from mrbench.benchmark.images import check_pixels, decode
from mrbench.records import AnyImage, Candidate, ImageData, ImageFile, Query, Variant
from mrbench.workers import Workers, ordered_map

Images = Literal["copy", "reference"]
Shown = TypeVar("Shown", Candidate, Query, Variant)
_MANY = 1000  # rows from which on a progress bar is shown


class LookedAt:
    """Decodes the images of records, in order, and keeps their bytes or their paths.

    Args:
        images: ``copy`` keeps the bytes of all images; ``reference`` keeps the paths of images that are files.
        workers: Processes that decode.

    Attributes:
        referenced: Whether any image was kept by its path.
    """

    def __init__(self, images: Images, workers: Workers) -> None:
        self._look = partial(_looked_at, copy=images == "copy")
        self._workers = workers
        self.referenced = False

    def all_of(self, records: Iterable[Shown], label: str) -> Iterator[Shown]:
        """Yield records whose images have digests.

        Args:
            records: Queries, candidates or variants, with a length.
            label: Their name in a progress bar.

        Raises:
            BenchmarkError: An image is missing, cannot be decoded, or has other pixels than its digest says.
        """
        total = len(cast(Sized, records))
        if not total:
            return
        done = ordered_map(self._look, records, self._workers, chunk=16, in_flight=8)
        for record in tqdm(done, label, total, unit="row", leave=False, disable=True if total < _MANY else None):
            self.referenced |= isinstance(record.image, ImageFile)
            yield record


def _looked_at(record: Shown, *, copy: bool) -> Shown:
    """Return the record with the digest of its image's pixels, and with the image's bytes if ``copy``."""
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
    digest = check_pixels(decode(ImageData(data, ""), where=named), image, where=where)
    if copy or not isinstance(image, ImageFile):
        return ImageData(data, digest)
    return replace(image, sha256=digest)
