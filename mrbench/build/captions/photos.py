"""Photos with captions of a benchmark: near-duplicates found, splits assigned."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from PIL import Image

from mrbench.arrays import Ints
from mrbench.benchmark import Benchmark, decode, pixel_sha256
from mrbench.build.splits import Shares
from mrbench.errors import InputError
from mrbench.judge import Pictured
from mrbench.records import SPLITS, AnyImage, Candidate, Grain, ImageData
from mrbench.workers import Workers, ordered_map

_SIDE = 8
_NEAR = 2.0
"""Greatest mean difference of two thumbnails, of 255 levels, between pictures that count as one."""
FEW = 10_000
"""Photos below which all of them are test photos, unless shares are given."""
DEFAULT_SHARES = (0.8, 0.1, 0.1)


@dataclass(frozen=True, slots=True)
class Caption:
    """A caption: its id in the benchmark that is built, its text, and the photo's name."""

    id: str
    text: str
    photo: str


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo.

    Attributes:
        name: Its id.
        image: Its picture, with the digest of the pixels.
        captions: All of its captions.
        columns: What the user's own columns say of it.
        twins: Names of its near-duplicates.
    """

    name: str
    image: AnyImage
    captions: tuple[Caption, ...]
    columns: tuple[Grain, ...] = ()
    twins: frozenset[str] = frozenset()

    @property
    def texts(self) -> tuple[str, ...]:
        """The texts of all captions."""
        return tuple(caption.text for caption in self.captions)

    @property
    def shown(self) -> Pictured:
        """What a judge is shown of the photo: all captions, and the picture."""
        return Pictured(self.name, self.texts, self.image)

    def shown_without(self, text: str) -> Pictured:
        """Return what a judge is shown of the photo to judge one of its captions: the other ones, and the picture."""
        return Pictured(self.name, tuple(other for other in self.texts if other != text), self.image)


@dataclass(frozen=True, slots=True)
class _Looked:
    candidate: Candidate
    thumbnail: bytes


def read_photos(benchmark: Benchmark, shares: Shares | None, seed: int, workers: Workers) -> dict[str, list[Photo]]:
    """Read the captioned photos of a benchmark, and assign them to splits.

    Photos with equal pixels, with nearly equal thumbnails or with a caption in common are in one split. Without shares
    the data set's own splits are kept where it has several; a group of photos that would be in two goes to the later
    one. Without either, fewer than 10,000 photos are all test photos.

    Args:
        benchmark: With the task ``t2i``, whose clusters are names of photos, and the corpus ``image``.
        shares: Shares of the splits; None as above.
        seed: Changes which photos fall to which split.
        workers: Processes that decode.

    Returns:
        The photos of each split that has any, ordered by the digest of their pixels and then by name.

    Raises:
        InputError: The benchmark holds no captioned photos, or two photos of one name.
        BenchmarkError: A picture is missing or cannot be decoded.
    """
    if "t2i" not in benchmark.task_names or benchmark.corpora.get("image") != "image":
        raise InputError(
            "no photos with captions",
            where=benchmark.folder,
            got=f"tasks {', '.join(benchmark.task_names)}",
            accepted="a source of captioned photos without folds",
            hint="mrbench build captions captions:FILE --output DIR",
        )
    captions = _captions(benchmark)
    looked: list[_Looked] = []
    origin: dict[str, str] = {}
    for split in benchmark.splits:
        for one in ordered_map(_look, benchmark.corpus("image", split), workers, chunk=16, in_flight=8):
            if one.candidate.id in origin:
                raise InputError("two photos have one name", where=benchmark.folder, got=one.candidate.id)
            if one.candidate.id in captions:
                origin[one.candidate.id] = split
                looked.append(one)
    looked.sort(key=lambda one: (_image(one).sha256, one.candidate.id))
    twins = near_duplicates([_image(one).sha256 for one in looked], [one.thumbnail for one in looked])
    photos = [_photo(one, captions, looked, same) for one, same in zip(looked, twins, strict=True)]
    groups = _groups(photos)
    names = _split_names([origin[photo.name] for photo in photos], groups, photos, shares, seed)
    found: dict[str, list[Photo]] = {}
    for photo, name in zip(photos, names, strict=True):
        found.setdefault(name, []).append(photo)
    return {split: found[split] for split in SPLITS if split in found}


def _captions(benchmark: Benchmark) -> dict[str, list[Caption]]:
    """Return the captions of each photo; ids are hashes, so that neither id nor order tells the photo."""
    found: dict[str, list[Caption]] = defaultdict(list)
    for split in benchmark.splits:
        for query in benchmark.queries("t2i", split):
            found[query.cluster].append(Caption(hashed_id(query.cluster, query.id), query.text or "", query.cluster))
    return found


def hashed_id(*parts: str) -> str:
    """Return an id that tells nothing: 16 hexadecimal digits.

    >>> hashed_id("a.jpg", "a.jpg#0")
    '9ef7cbc96fdbcc90'
    """
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _image(one: _Looked) -> AnyImage:
    return _picture(one.candidate)


def _picture(candidate: Candidate) -> AnyImage:
    if candidate.image is None:
        raise InputError("a photo has no picture", got=candidate.id)
    return candidate.image


def _photo(one: _Looked, captions: dict[str, list[Caption]], looked: list[_Looked], same: Ints) -> Photo:
    name = one.candidate.id
    twins = frozenset(looked[at].candidate.id for at in same.tolist()) - {name}
    return Photo(name, _image(one), tuple(captions[name]), one.candidate.grains, twins)


def _look(candidate: Candidate) -> _Looked:
    """Decode a picture once, for the digest of its pixels and a thumbnail."""
    image = _picture(candidate)
    picture = decode(ImageData(image.data, ""), where=candidate.id)
    thumbnail = picture.resize((_SIDE, _SIDE), Image.Resampling.BOX).tobytes()
    return _Looked(replace(candidate, image=replace(image, sha256=pixel_sha256(picture))), thumbnail)


def near_duplicates(digests: Sequence[str], thumbnails: Sequence[bytes]) -> list[Ints]:
    """Return for each picture the positions of all that show the same, itself among them.

    Two pictures show the same where their pixels are equal, or where their thumbnails differ by 2 of 255 levels at
    most, on average. Only pictures whose mean colours are near each other are compared.

    Args:
        digests: Of the pixels.
        thumbnails: 8 x 8 RGB values of each.
    """
    parent = list(range(len(digests)))
    cells: dict[tuple[int, ...], list[int]] = defaultdict(list)
    by_digest: dict[str, int] = {}
    small = [np.frombuffer(thumbnail, dtype=np.uint8).astype(np.int16) for thumbnail in thumbnails]
    for at, (digest, mine) in enumerate(zip(digests, small, strict=True)):
        first = by_digest.setdefault(digest, at)
        if first != at:
            _join(parent, first, at)
            continue
        # A mean difference of 2 over three channels is one of 6 at most in the mean of each: it is in a cell beside.
        cell = tuple(int(mean // (3 * _NEAR)) for mean in mine.reshape(-1, 3).mean(axis=0))
        beside = (tuple(c + d for c, d in zip(cell, step, strict=True)) for step in product((-1, 0, 1), repeat=3))
        near = (other for key in beside for other in cells.get(key, ()))
        same = next((other for other in near if float(np.abs(mine - small[other]).mean()) <= _NEAR), None)
        if same is None:  # one of a group stands for it
            cells[cell].append(at)
        else:
            _join(parent, same, at)
    return _members(parent)


def _members(parent: list[int]) -> list[Ints]:
    groups: dict[int, list[int]] = defaultdict(list)
    for at in range(len(parent)):
        groups[_root(parent, at)].append(at)
    arrays = {root: np.array(members) for root, members in groups.items()}
    return [arrays[_root(parent, at)] for at in range(len(parent))]


def _root(parent: list[int], at: int) -> int:
    while parent[at] != at:
        parent[at] = parent[parent[at]]
        at = parent[at]
    return at


def _join(parent: list[int], one: int, other: int) -> None:
    one, other = sorted((_root(parent, one), _root(parent, other)))
    parent[other] = one


def _groups(photos: Sequence[Photo]) -> list[int]:
    """Return for each photo the first photo of its group: near-duplicates, and photos with a caption in common."""
    position = {photo.name: at for at, photo in enumerate(photos)}
    parent = list(range(len(photos)))
    said: dict[str, int] = {}
    for at, photo in enumerate(photos):
        for twin in photo.twins:
            _join(parent, position[twin], at)
        for text in photo.texts:
            _join(parent, said.setdefault(plain(text), at), at)
    return [_root(parent, at) for at in range(len(photos))]


def plain(text: str) -> str:
    """Return a text without case, outer punctuation and runs of spaces.

    >>> plain("A  dog runs.") == plain("a dog runs")
    True
    """
    return " ".join(text.lower().split()).strip(" .,!?;:")


def _split_names(
    own: list[str], groups: list[int], photos: Sequence[Photo], shares: Shares | None, seed: int
) -> Iterable[str]:
    if shares is None and len(set(own)) > 1:
        latest: dict[int, int] = defaultdict(int)
        for split, group in zip(own, groups, strict=True):
            latest[group] = max(latest[group], SPLITS.index(split))
        return [SPLITS[latest[group]] for group in groups]
    if shares is None and len(photos) < FEW:
        return ["test"] * len(photos)
    shares = shares or Shares(*DEFAULT_SHARES)
    return list(_hashed(groups, photos, shares, seed))


def _hashed(groups: list[int], photos: Sequence[Photo], shares: Shares, seed: int) -> Iterator[str]:
    for group in groups:
        digest = photos[group].image.sha256
        yield shares.split_of_hash(hashlib.sha256(f"{seed} {digest}".encode()).hexdigest())


def rule(shares: Shares | None) -> dict[str, Any]:
    """Return what the manifest says of the splits."""
    return {
        "unit": "groups of photos with equal pixels, nearly equal thumbnails or a caption in common",
        "hash": "SHA-256 over seed, space and the least pixel digest of the group",
        "shares": None if shares is None else [shares.train, shares.validation, shares.test],
    }
