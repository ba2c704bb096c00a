"""The sheet: one page that shows claims one by one, takes votes by key or click, and gives them out as a file."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from PIL import Image

from mrbench.benchmark import Benchmark, data_uri, decode
from mrbench.errors import InputError
from mrbench.pages import asset, environment, policy
from mrbench.records import AnyImage, Candidate, ImageFile, Query
from mrbench.review.claims import Claim
from mrbench.review.votes import FORMAT, FORMAT_VERSION

Images = Literal["embed", "reference"]
_SIDE, _QUALITY = 512, 80
_JOINERS = "\u200c\u200d"
"""Signs without a width of their own that scripts and emoji need."""


def render_sheet(benchmark: Benchmark, claims: Sequence[Claim], output: Path, *, images: Images = "embed") -> str:
    """Return the page.

    It needs no server, no network and no account. What a caption spells is shown as it is, never as markup.

    Args:
        benchmark: Of the claims.
        claims: What is asked, in order.
        output: Where the page will lie.
        images: ``embed`` puts photos into the page, at most 512 pixels wide and high; ``reference`` names their files
            relative to the page.

    Raises:
        InputError: ``reference``, and the benchmark holds its photos as bytes.
        BenchmarkError: A photo is missing or cannot be decoded.
    """
    album = _Album(output, images)
    shown = [_item(benchmark, claim, album) for claim in claims]
    style, script = (asset("mrbench.review", name) for name in ("review.css", "review.js"))
    sheet = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "benchmark": benchmark.name,
        "digest": benchmark.digest,
        "pictures": album.pictures,
        "items": shown,
    }
    source = "img-src data:" if images == "embed" else "img-src file: 'self'"
    return (
        environment("mrbench.review")
        .get_template("sheet.html.j2")
        .render(
            sheet=sheet,
            title=_plain(benchmark.manifest.title),
            number=len(shown),
            style=style,
            script=script,
            policy=policy(style, script, source, "require-trusted-types-for 'script'", "trusted-types 'none'"),
        )
    )


class _Album:
    """The photos of a page, each once, by the id of their pixels."""

    def __init__(self, output: Path, images: Images) -> None:
        self._folder, self._images = output.absolute().parent, images
        self._of: dict[str, int] = {}
        self.pictures: list[str] = []

    def add(self, image: AnyImage | None, where: str) -> int | None:
        """Return the number of a photo; None without one."""
        if image is None:
            return None
        key = image.sha256 or where
        if key not in self._of:
            self._of[key] = len(self.pictures)
            self.pictures.append(self._address(image, where))
        return self._of[key]

    def _address(self, image: AnyImage, where: str) -> str:
        if self._images == "reference":
            if not isinstance(image, ImageFile):
                accepted = "--images embed, or a benchmark built with --images reference"
                raise InputError(
                    "the benchmark holds its photos as bytes", where="--images reference", accepted=accepted
                )
            return quote(Path(os.path.relpath(image.path.absolute(), self._folder)).as_posix())
        picture = decode(image, where=where)
        picture.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
        return data_uri(picture, quality=_QUALITY)


def _item(benchmark: Benchmark, claim: Claim, album: _Album) -> dict[str, Any]:
    query, judgement = claim.query, claim.judgement
    lost = set(judgement.violates or ())
    whole = judgement.grade is not None
    return {
        "key": list(claim.key),
        "task": _plain(benchmark.task(claim.key[0]).title),
        "claim": _plain(claim.text),
        "query": _side(query, album, _marked(query, lost)),
        "candidate": _side(claim.candidate, album, [[_plain(claim.candidate.text or ""), 0]]),
        "grains": [
            {
                "type": _plain(grain.type),
                "value": _plain(grain.value),
                "said": "contradicted" if grain.type in lost else "kept" if whole else "open",
            }
            for grain in query.grains
        ],
    }


def _side(record: Query | Candidate, album: _Album, text: list[list[Any]]) -> dict[str, Any]:
    return {"text": None if record.text is None else text, "picture": album.add(record.image, record.id)}


def _marked(query: Query, lost: set[str]) -> list[list[Any]]:
    """Return the query's text in pieces, each with 1 where a lost grain states it, else 0."""
    text = query.text or ""
    marks = [0] * len(text)
    for grain in query.grains:
        if grain.type in lost and grain.start is not None and grain.end is not None:
            marks[grain.start : grain.end] = [1] * len(marks[grain.start : grain.end])
    pieces: list[list[Any]] = []
    for sign, mark in zip(text, marks, strict=True):
        if pieces and pieces[-1][1] == mark:
            pieces[-1][0] += sign
        else:
            pieces.append([sign, mark])
    return [[_plain(piece), mark] for piece, mark in pieces]


def _plain(text: str) -> str:
    """Return a text without signs that steer what is around it: marks of direction, controls, breaks of lines.

    >>> _plain("a\\u202egod\\u200f b\\n<b>")
    'agod b <b>'
    """
    return "".join(
        sign
        for sign in " ".join(text.splitlines()).replace("\t", " ")
        if sign in _JOINERS or unicodedata.category(sign) not in ("Cc", "Cf")
    )
