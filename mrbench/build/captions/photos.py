"""Photos with captions of a benchmark: near-duplicates found, splits assigned."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass, replace

from PIL import Image

from mrbench.arrays import Ints
from mrbench.benchmark import Benchmark, decode, pixel_sha256
from mrbench.build.captions.groups import SIDE, groups_of, near_duplicates
from mrbench.build.captions.splits import shares_missed, split_names
from mrbench.build.splits import Shares
from mrbench.errors import InputError
from mrbench.judge import Pictured
from mrbench.records import SPLITS, AnyImage, Candidate, Grain, ImageData
from mrbench.workers import Workers, ordered_map


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


def read_photos(
    benchmark: Benchmark, shares: Shares | None, seed: int, workers: Workers
) -> tuple[dict[str, list[Photo]], str]:
    """Read the captioned photos of a benchmark, and assign them to splits.

    Photos with equal pixels, with nearly equal thumbnails or with a caption in common are in one split; see
    :func:`mrbench.build.captions.splits.split_names`.

    Args:
        benchmark: With the task ``t2i``, whose clusters are names of photos, and the corpus ``image``.
        shares: Shares of the splits; None for the data set's own.
        seed: Changes which photos fall to which split.
        workers: Processes that decode.

    Returns:
        The photos of each split that has any, ordered by the digest of their pixels and then by name; and a line where
        the shares were missed, else an empty text.

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
                raise InputError(
                    "two photos have one name",
                    where=benchmark.folder,
                    got=one.candidate.id,
                    hint="rename one of them, in the file of captions too",
                )
            if one.candidate.id in captions:
                origin[one.candidate.id] = split
                looked.append(one)
    looked.sort(key=lambda one: (_image(one).sha256, one.candidate.id))
    twins = near_duplicates([_image(one).sha256 for one in looked], [one.thumbnail for one in looked])
    photos = [_photo(one, captions, looked, same) for one, same in zip(looked, twins, strict=True)]
    groups = groups_of([same.tolist() for same in twins], [list(map(plain, photo.texts)) for photo in photos])
    digests = [photo.image.sha256 for photo in photos]
    names = split_names([origin[photo.name] for photo in photos], groups, digests, shares, seed)
    found: dict[str, list[Photo]] = {}
    for photo, name in zip(photos, names, strict=True):
        found.setdefault(name, []).append(photo)
    return {split: found[split] for split in SPLITS if split in found}, shares_missed(names, groups, shares)


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
        raise InputError("a photo has no picture", got=candidate.id, accepted="a corpus of images")
    return candidate.image


def _photo(one: _Looked, captions: dict[str, list[Caption]], looked: list[_Looked], same: Ints) -> Photo:
    name = one.candidate.id
    twins = frozenset(looked[at].candidate.id for at in same.tolist()) - {name}
    return Photo(name, _image(one), tuple(captions[name]), one.candidate.grains, twins)


def _look(candidate: Candidate) -> _Looked:
    """Decode a picture once, for the digest of its pixels and a thumbnail."""
    image = _picture(candidate)
    picture = decode(ImageData(image.data, ""), where=candidate.id)
    thumbnail = picture.resize((SIDE, SIDE), Image.Resampling.BOX).tobytes()
    return _Looked(replace(candidate, image=replace(image, sha256=pixel_sha256(picture))), thumbnail)


def plain(text: str) -> str:
    """Return a text without case, outer punctuation and runs of spaces.

    >>> plain("A  dog runs.") == plain("a dog runs")
    True
    """
    return " ".join(text.lower().split()).strip(" .,!?;:")
