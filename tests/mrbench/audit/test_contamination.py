"""Copies are found where they must not be, also those of which a pixel was changed."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mrbench.audit.contamination import audit_contamination
from mrbench.audit.pictures import Thumbnails, look_alikes
from mrbench.benchmark import Benchmark, decode, encode_png, write_benchmark
from mrbench.records import Candidate, Grain, ImageData, Query

GRAINS = (Grain("entity", "cat"),)


def drawing(seed: int) -> ImageData:
    blocks = np.random.default_rng(seed).integers(0, 256, size=(8, 8, 3), dtype=np.uint8)
    return encode_png(Image.fromarray(blocks).resize((128, 128), Image.Resampling.NEAREST))


def touched(data: ImageData) -> ImageData:
    image = decode(data, where="a picture").copy()
    image.putpixel((0, 0), tuple(255 - level for level in image.getpixel((0, 0))))
    return encode_png(image)


def written(folder: Path, *, query: ImageData, elsewhere: ImageData, text: str, said_elsewhere: str) -> Benchmark:
    """A benchmark of a picture query and a text query over ten candidates each, with a training split beside it."""
    with write_benchmark(folder) as writer:
        for split, start in (("test", 0), ("train", 100)):
            pictures = [drawing(start + number) for number in range(10)]
            words = [f"picture {start + number}" for number in range(10)]
            if split == "train":
                pictures[3], words[3] = elsewhere, said_elsewhere
            writer.add_candidates(split, [Candidate(f"i{n}", GRAINS, None, data) for n, data in enumerate(pictures)])
            writer.add_candidates(split, [Candidate(f"t{n}", GRAINS, said) for n, said in enumerate(words)])
        writer.add_queries("test", [Query("q", "i2i", "find", GRAINS, None, query)])
        writer.add_queries("test", [Query("q", "t2i", "find", GRAINS, text)])
        writer.finish(
            name="two", title="Two", builder={}, seed=0, tools={}, sources=(), licence="CC0-1.0", split_rule={},
            description="Two.",
        )  # fmt: skip
    return Benchmark(folder)


CLEAN = {"query": drawing(50), "elsewhere": drawing(51), "text": "a", "said_elsewhere": "b"}
CASES: dict[str, tuple[dict, dict[str, str]]] = {
    "clean": ({}, {}),
    "a query picture is a candidate": ({"query": drawing(4)}, {"query in its own corpus": "1 queries have"}),
    "all but a pixel": ({"query": touched(drawing(4))}, {"query in its own corpus": "0 queries have.*, 1 look"}),
    "a query text is a candidate": ({"text": "Picture 4!"}, {"query in its own corpus": "1 queries have.*, 0 look"}),
    "a picture is in two splits": ({"elsewhere": drawing(4)}, {"contamination": "^1 texts or pictures.* 1 pictures"}),
    "in two splits, all but a pixel": ({"elsewhere": touched(drawing(4))}, {"contamination": "^0 .* 1 pictures look"}),
    "a query picture is in another split": ({"elsewhere": drawing(50)}, {"contamination": "^1 .* 1 pictures look"}),
    "a text is in two splits": ({"said_elsewhere": "a"}, {"contamination": "^1 texts or pictures.* 0 pictures look"}),
}


@pytest.mark.parametrize("case", CASES)
def test_copies_are_found(tmp_path: Path, case: str) -> None:
    planted, expected = CASES[case]
    benchmark = written(tmp_path / "b", **CLEAN | planted)
    checks = {check.name: check for check in audit_contamination(benchmark, "test", 1000)}
    assert {name for name, check in checks.items() if check.verdict == "failed"} == set(expected)
    for name, pattern in expected.items():
        assert re.search(pattern, checks[name].summary)


def test_only_what_looks_the_same_is_paired() -> None:
    """A shade lighter is the same picture; another picture, and the same one mirrored, are not."""
    first = decode(drawing(0), where="a picture")
    lighter = Image.fromarray(np.minimum(np.asarray(first).astype(int) + 9, 255).astype(np.uint8))
    others = [drawing(1), encode_png(lighter), encode_png(first.transpose(Image.Transpose.FLIP_LEFT_RIGHT))]
    one = Thumbnails.of([("first", drawing(0))])
    other = Thumbnails.of((f"other {number}", data) for number, data in enumerate(others))
    assert [(a, b) for a, b, _ in look_alikes(one, other)] == [(0, 1)]
    assert not list(look_alikes(one, Thumbnails.of([])))
