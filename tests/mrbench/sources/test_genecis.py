"""GeneCIS: a gallery for each query; crops for the two attribute tasks."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from controls import constant_hit_rates, pool_sizes, write_json
from PIL import Image
from realdata import realdata

from mrbench.errors import BenchmarkError
from mrbench.sources import open_benchmark
from mrbench.sources.genecis_crops import crop, write_crops


def photo(number: int) -> dict[str, Any]:
    return {"val_image_id": number}


def box(number: int, *sides: float) -> dict[str, Any]:
    return {"image_id": number, "instance_bbox": list(sides or (10, 20, 30, 40))}


def query(reference: Any, target: Any, *gallery: Any) -> dict[str, Any]:
    return {"condition": "wall", "reference": reference, "target": target, "gallery": list(gallery)}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    queries = [
        query(photo(1), photo(2), photo(3), photo(4)),
        query(photo(1), photo(3), photo(3), photo(5)),  # a gallery that repeats its target, as one of GeneCIS does
    ]
    write_json(tmp_path / "change_object.json", queries)
    crops = [query(box(7), box(8), box(8, 1, 2, 3.5, 4), box(9))]
    (tmp_path / "genecis").mkdir()
    with gzip.open(tmp_path / "genecis" / "focus_attribute.json.gz", "wt") as stream:
        json.dump(crops, stream)
    return tmp_path


def test_galleries(root: Path) -> None:
    benchmark = open_benchmark(f"genecis:{root}")
    assert benchmark.task_names == ("focus_attribute", "change_object")
    assert (benchmark.splits, benchmark.corpora) == (("test",), {"photos": "image", "crops": "image"})
    assert pool_sizes(benchmark, "change_object", "test") == {"change_object-0": (3, 1), "change_object-1": (2, 1)}
    assert constant_hit_rates(benchmark, "change_object", "test") == pytest.approx(
        [(1 / 3 + 1 / 2) / 2, (2 / 3 + 1) / 2, 1]
    )
    assert benchmark.lists("change_object", "test")[1].candidate_ids == ("000000000003", "000000000005")
    first = benchmark.queries("change_object", "test")[0]
    assert (first.text, first.cluster) == ("wall", "000000000001")
    assert first.image is not None
    assert first.image.name == "val2017/000000000001.jpg"
    judged = {
        j.candidate_id: j.relevance for j in benchmark.judgements("change_object", "test") if j.query_id.endswith("0")
    }
    assert judged == {"000000000002": 1, "000000000003": 0, "000000000004": 0}


def test_crops_are_named_by_photo_and_box(root: Path) -> None:
    benchmark = open_benchmark(f"genecis:{root}")
    assert sorted(benchmark.corpus("crops", "test").ids.to_pylist()) == [
        "8_10_20_30_40",
        "8_1_2_3.5_4",
        "9_10_20_30_40",
    ]
    image = benchmark.queries("focus_attribute", "test")[0].image
    assert image is not None
    assert image.name == "crops/7_10_20_30_40.png"


def test_crops_are_larger_by_seven_tenths_and_square() -> None:
    grey = np.tile(np.arange(200, dtype=np.uint8)[None, :, None], (100, 1, 3))
    cut = crop(Image.fromarray(grey), (100, 50, 20, 10))
    # left 100 - 14, right 86 + 34; top 50 - 7, bottom 43 + 17: 34 wide, 17 high, on a square of 34
    assert cut.size == (34, 34)
    pixels = np.asarray(cut)
    assert not pixels[:8].any()
    assert not pixels[25:].any()
    assert pixels[8:25, :, 0].tolist() == [list(range(86, 120))] * 17
    assert crop(Image.fromarray(grey), (190, 95, 20, 10)).size == (24, 24)  # cut at the edges of the photo


def test_the_command_writes_every_crop_once(root: Path, tmp_path: Path) -> None:
    photos = tmp_path / "vg"
    with pytest.raises(BenchmarkError, match=r"3 photos are missing.*'7.jpg'"):
        write_crops(root, photos)
    for number, folder in ((7, "VG_100K"), (8, "VG_100K_2"), (9, "")):
        (photos / folder).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (100, 100), "white").save(photos / folder / f"{number}.jpg")
    command = [sys.executable, "-m", "mrbench.sources.genecis_crops", root, "--photos", photos]
    assert "4 crops written" in subprocess.run(command, capture_output=True, text=True, check=True).stderr
    assert write_crops(root, photos) == 0
    benchmark = open_benchmark(f"genecis:{root}")
    assert all(c.image is not None and c.image.data[:4] == b"\x89PNG" for c in benchmark.corpus("crops", "test"))
    failed = subprocess.run([*command[:3], tmp_path / "vg", *command[4:]], capture_output=True, text=True, check=False)
    assert failed.returncode == 2
    assert failed.stderr.startswith("no attribute task is there")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"gallery": []}, r"no gallery.*item 1"),
        ({"gallery": [7]}, r"a photo has no id.*item 1, gallery"),
        ({"target": {"image_id": 7}}, r"a photo has no id.*item 1, target"),
        ({"reference": {"val_image_id": "7"}}, r"a photo has no id.*item 1, reference"),
        ({"condition": ""}, r"missing or empty.*item 1, condition"),
    ],
)
def test_what_is_wrong_with_an_item(root: Path, change: dict[str, Any], said: str) -> None:
    path = root / "change_object.json"
    items = json.loads(path.read_text())
    items[1] |= change
    write_json(path, items)
    with pytest.raises(BenchmarkError, match=said):
        list(open_benchmark(f"genecis:{root}").queries("change_object", "test"))


def test_what_is_wrong_with_files(root: Path, tmp_path: Path) -> None:
    wrong = query(box(7), {"image_id": 8}, box(9))
    write_json(root / "genecis" / "change_attribute.json", [wrong])
    with pytest.raises(BenchmarkError, match=r"a crop has no number or no box.*item 0, target"):
        list(open_benchmark(f"genecis:{root}").queries("change_attribute", "test"))
    (root / "genecis" / "focus_attribute.json.gz").write_bytes(b"not packed")
    with pytest.raises(BenchmarkError, match=r"cannot be read.*focus_attribute.json.gz"):
        list(open_benchmark(f"genecis:{root}").queries("focus_attribute", "test"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(BenchmarkError, match=r"missing.*focus_object.json"):
        open_benchmark(f"genecis:{tmp_path / 'empty'}")


def test_the_real_object_tasks() -> None:
    benchmark = open_benchmark(f"genecis:{realdata('genecis')}")
    assert benchmark.task_names == ("focus_object", "change_object")
    for task, shorter in (("focus_object", 0), ("change_object", 1)):  # one gallery repeats its target
        sizes = list(pool_sizes(benchmark, task, "test").values())
        assert len(sizes) == 1960
        assert sorted(set(sizes)) == ([(14, 1)] if shorter else []) + [(15, 1)]
        assert sizes.count((14, 1)) == shorter
        expected = [k * ((1960 - shorter) / 15 + shorter / 14) / 1960 for k in (1, 2, 3)]
        assert constant_hit_rates(benchmark, task, "test") == pytest.approx(expected)
