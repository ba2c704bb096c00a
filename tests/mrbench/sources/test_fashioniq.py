"""FashionIQ: three garments, two pools."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from controls import constant_hit_rates, pool_sizes, write_json
from PIL import Image
from realdata import realdata

from mrbench.errors import BenchmarkError, InputError
from mrbench.sources import open_benchmark


def pair(reference: str, target: str, *captions: str) -> dict[str, Any]:
    return {"target": target, "candidate": reference, "captions": list(captions or ("is red.", " has sleeves"))}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for garment, pairs in (
        ("dress", [pair("B0", "B1"), pair("B0", "B2", "", "is plain")]),
        ("toptee", [pair("B1", "B7")]),
    ):
        write_json(tmp_path / "captions" / f"cap.{garment}.val.json", pairs)
        write_json(tmp_path / "image_splits" / f"split.{garment}.val.json", [f"B{n}" for n in range(9)])
    return tmp_path


def test_two_protocols_for_each_garment_that_is_there(root: Path) -> None:
    benchmark = open_benchmark(f"fashioniq:{root}")
    assert benchmark.task_names == ("dress_original", "dress_val_pool", "toptee_original", "toptee_val_pool")
    assert benchmark.splits == ("validation",)
    assert pool_sizes(benchmark, "dress_original", "validation") == {"dress-0": (9, 1), "dress-1": (9, 1)}
    assert pool_sizes(benchmark, "dress_val_pool", "validation") == {"dress-0": (3, 1), "dress-1": (3, 1)}
    for name in benchmark.task_names:
        assert benchmark.task(name).measures == ("hit_rate@10", "hit_rate@50")
        assert benchmark.task(name).main == "hit_rate@10"


def test_queries_join_the_sentences(root: Path) -> None:
    queries = list(open_benchmark(f"fashioniq:{root}").queries("dress_original", "validation"))
    assert [query.text for query in queries] == ["is red and has sleeves", "is plain"]
    assert {query.cluster for query in queries} == {"dress/B0"}
    assert queries[0].image is not None
    assert queries[0].image.name == "B0.jpg"


def test_a_photo_of_two_garments_has_two_ids(root: Path) -> None:
    benchmark = open_benchmark(f"fashioniq:{root}")
    ids = [name for corpus in benchmark.corpora for name in benchmark.corpus(corpus, "validation").ids.to_pylist()]
    assert len(ids) == len(set(ids)) == 18
    assert {"dress/B1", "toptee/B1"} <= set(ids)


def test_photos_may_be_png(root: Path) -> None:
    (root / "images").mkdir()
    Image.new("RGB", (4, 4)).save(root / "images" / "B3.png")
    image = open_benchmark(f"fashioniq:{root}").queries("dress_original", "validation")[0].image
    assert image is not None
    assert image.path == root / "images" / "B0.png"  # type: ignore[union-attr]


def test_training_and_validation(root: Path) -> None:
    write_json(root / "captions" / "cap.dress.train.json", [pair("C0", "C1")])
    write_json(root / "image_splits" / "split.dress.train.json", ["C0", "C1", "C2"])
    benchmark = open_benchmark(f"fashioniq:{root}")
    assert benchmark.splits == ("train", "validation")
    assert pool_sizes(benchmark, "dress_original", "train") == {"dress-0": (3, 1)}
    assert not len(benchmark.queries("toptee_original", "train"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"target": "B99"}, r"1 image .*not listed.*item 1.*B99.*split.dress.val.json"),
        ({"captions": "is red"}, r"another type.*item 1, captions.*'is red'.*a list of texts"),
        ({"captions": ["", " ."]}, r"missing or empty.*item 1, captions"),
        ({"captions": [1]}, r"another type.*item 1, captions"),
        ({"candidate": ""}, r"missing or malformed.*item 1, candidate"),
    ],
)
def test_what_is_wrong_with_an_item(root: Path, change: dict[str, Any], said: str) -> None:
    path = root / "captions" / "cap.dress.val.json"
    items = json.loads(path.read_text())
    items[1] |= change
    write_json(path, items)
    with pytest.raises(BenchmarkError, match=said):
        list(open_benchmark(f"fashioniq:{root}").queries("dress_original", "validation"))


def test_what_is_wrong_with_files(root: Path) -> None:
    split = root / "image_splits" / "split.dress.val.json"
    write_json(split, [f"B{n}" for n in range(8)] + ["../B8"])
    with pytest.raises(BenchmarkError, match="leaves the image folder"):
        list(open_benchmark(f"fashioniq:{root}").corpus("dress_others", "validation"))
    write_json(split, {"B0": 1})
    with pytest.raises(BenchmarkError, match=r"not a list of names.*split.dress.val.json"):
        list(open_benchmark(f"fashioniq:{root}").corpus("dress_used", "validation"))
    split.unlink()
    with pytest.raises(BenchmarkError, match=r"missing.*image_splits/split.dress.val.json"):
        open_benchmark(f"fashioniq:{root}")
    with pytest.raises(BenchmarkError, match=r"missing.*captions/cap.dress.val.json"):
        open_benchmark(f"fashioniq:{root / 'captions' / '..' / 'image_splits'}")
    with pytest.raises(InputError, match="unknown option"):
        open_benchmark(f"fashioniq:{root}?pool=val")


def test_the_real_validation_split() -> None:
    benchmark = open_benchmark(f"fashioniq:{realdata('fashioniq-val')}")
    published = {"dress": (2017, 3817, 2628), "shirt": (2038, 6346, 3089), "toptee": (1961, 5373, 2902)}
    for garment, (queries, whole, used) in published.items():
        for task, size in ((f"{garment}_original", whole), (f"{garment}_val_pool", used)):
            sizes = pool_sizes(benchmark, task, "validation")
            assert len(sizes) == queries
            assert set(sizes.values()) == {(size, 1)}
            assert constant_hit_rates(benchmark, task, "validation") == pytest.approx([10 / size, 50 / size])
    assert sum(queries for queries, _, _ in published.values()) == 6016
