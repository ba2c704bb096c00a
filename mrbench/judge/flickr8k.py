"""Flickr8k-Expert: how well a grade agrees with what people say of a caption and a photo.

Source: Hodosh, Young and Hockenmaier, Framing Image Description as a Ranking Task (JAIR 2013). Kendall's tau-c with
every rating counted, as in Anderson et al., SPICE (ECCV 2016).
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scipy.stats import kendalltau

from mrbench.errors import InputError
from mrbench.judge.halves import REPORT, TUNE, half_of
from mrbench.judge.verdicts import Judge

RATINGS, CAPTIONS = "ExpertAnnotations.txt", "captions-all.jsonl.gz"


@dataclass(frozen=True, slots=True)
class Rated:
    """A caption, the captions of a photo that it was not written for, and the experts' ratings of the pair."""

    photo: str
    caption: str
    captions: tuple[str, ...]
    ratings: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Kendall's tau-c between a grade and the ratings of one half, from -1 to 1.

    Attributes:
        half: ``tune``, ``report`` or ``all``.
        pairs: Pairs of a photo and a caption.
        hard: By the share of the caption's grains that the photo's captions keep.
        soft: By their mean support; None where the judge gives none.
    """

    half: str
    pairs: int
    hard: float
    soft: float | None

    def to_json(self) -> dict[str, Any]:
        """Return the row with coefficients rounded to four digits."""
        soft = None if self.soft is None else round(self.soft, 4)
        return {"half": self.half, "pairs": self.pairs, "tau_c": round(self.hard, 4), "tau_c_support": soft}


def check_flickr8k(judge: Judge, folder: Path) -> list[Agreement]:
    """Return the agreement of a judge with the experts, by half and over all.

    A caption without grains has the grade 0.

    Raises:
        InputError: A file is missing or not of the form.
    """
    rated = read_rated(folder)
    verdicts = judge.judge([(one.caption, one.captions) for one in rated])
    hard = [v.grade / len(v.grains) if v.grains else 0.0 for v in verdicts]
    soft = [_mean(v.support) for v in verdicts if v.support is not None]
    found = []
    for half in (TUNE, REPORT, "all"):
        chosen = [n for n, one in enumerate(rated) if half in ("all", half_of(one.photo))]
        taus = [_tau(scores, rated, chosen) if len(scores) == len(rated) else None for scores in (hard, soft)]
        found.append(Agreement(half, len(chosen), taus[0] or 0.0, taus[1]))
    return found


def _mean(support: tuple[float, ...]) -> float:
    return sum(support) / len(support) if support else 0.0


def _tau(scores: Sequence[float], rated: Sequence[Rated], chosen: Sequence[int]) -> float:
    pairs = [(scores[n], rating) for n in chosen for rating in rated[n].ratings]
    if not pairs:
        return 0.0
    return float(kendalltau(*zip(*pairs, strict=True), variant="c").statistic)


def read_rated(folder: Path) -> list[Rated]:
    """Read the rated pairs, without those of a photo and its own caption.

    Args:
        folder: Holds ``ExpertAnnotations.txt`` (photo, caption's photo#number, three ratings, between tabs) and
            ``captions-all.jsonl.gz`` (lines ``{"image", "captions"}``).

    Raises:
        InputError: A file is missing or not of that form.
    """
    path = folder / CAPTIONS
    try:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            captions = {record["image"]: tuple(record["captions"]) for record in map(json.loads, lines)}
        path, rated = folder / RATINGS, []
        for line in path.read_text(encoding="utf-8").splitlines():
            photo, caption, *ratings = line.split("\t")
            source, number = caption.split("#")
            if source != photo:
                rated.append(Rated(photo, captions[source][int(number)], captions[photo], tuple(map(int, ratings))))
    except OSError as error:
        hint = f"name the folder that has {RATINGS} and captions-all.jsonl.gz: --flickr8k DIR"
        got = error.strerror or str(error)
        raise InputError("cannot read a file of Flickr8k", where=path, got=got, hint=hint) from error
    except (ValueError, KeyError, TypeError, IndexError, EOFError) as error:
        accepted = "the file as it was published: PHOTO, CAPTION#NUMBER and ratings with tabs between, or its captions"
        raise InputError("not a file of Flickr8k-Expert", where=path, got=str(error), accepted=accepted) from error
    return rated
