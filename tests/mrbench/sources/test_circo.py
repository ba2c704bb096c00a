"""CIRCO: several answers, over COCO's unlabeled photos or those that the annotations name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from controls import pool_sizes, write_json
from realdata import realdata

from mrbench.errors import BenchmarkError, InputError
from mrbench.sources import open_benchmark


def item(number: int, reference: int, answers: list[int]) -> dict[str, Any]:
    return {
        "reference_img_id": reference,
        "target_img_id": answers[0],
        "relative_caption": f"is another, {number}",
        "shared_concept": "a thing",
        "gt_img_ids": answers,
        "id": number,
        "semantic_aspects": ["addition"],
    }


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_json(tmp_path / "annotations" / "val.json", [item(0, 5, [7, 9, 11]), item(1, 5, [9])])
    write_json(tmp_path / "annotations" / "test.json", [{"reference_img_id": 21, "relative_caption": "x", "id": 0}])
    return tmp_path


def test_candidates_are_those_named_where_there_is_no_list(root: Path) -> None:
    benchmark = open_benchmark(f"circo:{root}")
    assert benchmark.corpus("photos", "validation").ids.to_pylist() == ["5", "7", "9", "11", "21"]
    assert pool_sizes(benchmark, "circo", "validation") == {"0": (4, 3), "1": (4, 1)}
    task = benchmark.task("circo")
    assert task.measures == ("capped_map@5", "capped_map@10", "capped_map@25", "capped_map@50")
    assert "photos that the annotations name alone" in task.protocol
    query = benchmark.queries("circo", "validation")[0]
    assert (query.text, query.cluster) == ("is another, 0", "5")
    assert query.image is not None
    assert query.image.name == "000000000005.jpg"


def test_a_list_of_candidates(root: Path) -> None:
    images = [{"id": n, "file_name": f"{n:012d}.jpg"} for n in range(1, 101)]
    info = root / "COCO2017_unlabeled" / "annotations" / "image_info_unlabeled2017.json"
    write_json(info, {"info": {}, "images": images})
    (root / "COCO2017_unlabeled" / "unlabeled2017").mkdir()
    benchmark = open_benchmark(f"circo:{root}")
    assert pool_sizes(benchmark, "circo", "validation") == {"0": (99, 3), "1": (99, 1)}
    assert "COCO's unlabeled photos".lower() in benchmark.task("circo").protocol.lower()
    image = benchmark.corpus("photos", "validation")[0].image
    assert image is not None
    assert image.path == root / "COCO2017_unlabeled" / "unlabeled2017" / "000000000001.jpg"  # type: ignore[union-attr]
    other = write_json(root / "ids.json", [5, 7, 9, 11])
    assert set(pool_sizes(open_benchmark(f"circo:{root}?candidates={other}"), "circo", "validation").values()) == {
        (3, 3),
        (3, 1),
    }


def test_the_reference_can_be_kept(root: Path) -> None:
    benchmark = open_benchmark(f"circo:{root}?reference=kept")
    assert not len(benchmark.exclusions("circo", "validation"))
    assert pool_sizes(benchmark, "circo", "validation") == {"0": (5, 3), "1": (5, 1)}
    assert "with the query's own" in benchmark.task("circo").protocol
    assert benchmark.digest != open_benchmark(f"circo:{root}").digest


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"gt_img_ids": []}, r"no answer.*item 1"),
        ({"gt_img_ids": 9}, r"another type.*item 1, gt_img_ids"),
        ({"gt_img_ids": ["x"]}, r"no number.*item 1.*'x'"),
        ({"id": 0}, r"two queries have one id.*item 1"),
        ({"relative_caption": ""}, r"missing or empty.*item 1, relative_caption"),
        ({"reference_img_id": None}, r"missing or malformed.*item 1, reference_img_id"),
    ],
)
def test_what_is_wrong_with_an_item(root: Path, change: dict[str, Any], said: str) -> None:
    path = root / "annotations" / "val.json"
    items = json.loads(path.read_text())
    items[1] |= change
    write_json(path, items)
    with pytest.raises(BenchmarkError, match=said):
        list(open_benchmark(f"circo:{root}").judgements("circo", "validation"))


def test_what_is_wrong_with_files(root: Path) -> None:
    few = write_json(root / "few.json", [5, 7])
    with pytest.raises(
        BenchmarkError, match=r"2 images that the annotations name are not listed.*item 0.*9, 11.*few.json"
    ):
        list(open_benchmark(f"circo:{root}?candidates={few}").judgements("circo", "validation"))
    write_json(few, {"pictures": []})
    with pytest.raises(BenchmarkError, match="not a list of candidates"):
        list(open_benchmark(f"circo:{root}?candidates={few}").judgements("circo", "validation"))
    with pytest.raises(InputError, match="reference"):
        open_benchmark(f"circo:{root}?reference=yes")
    (root / "annotations" / "val.json").unlink()
    with pytest.raises(BenchmarkError, match=r"missing.*annotations/val.json or val.json"):
        open_benchmark(f"circo:{root}")


def expected_capped_map(sizes: dict[str, tuple[int, int]], k: int) -> float:
    """The expected value of a random order: a relevant one at each place, times the precision there."""
    values = []
    for number, relevant in sizes.values():
        others = (relevant - 1) / (number - 1)
        at_places = sum(relevant / number * (1 + (place - 1) * others) / place for place in range(1, k + 1))
        values.append(at_places / min(k, relevant))
    return sum(values) / len(values)


def test_the_real_validation_queries() -> None:
    benchmark = open_benchmark(f"circo:{realdata('circo')}")
    sizes = pool_sizes(benchmark, "circo", "validation")
    assert len(sizes) == 220
    assert sum(relevant for _, relevant in sizes.values()) / 220 == pytest.approx(4.16, abs=0.005)
    assert {number for number, _ in sizes.values()} == {1902}
    assert expected_capped_map(sizes, 5) == pytest.approx(0.0014080, abs=1e-7)
