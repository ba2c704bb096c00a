"""CIRR: over a whole split without the query's own photo, and over sets of six."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from controls import constant_hit_rates, pool_sizes, write_json
from realdata import realdata

from mrbench.errors import BenchmarkError, InputError
from mrbench.sources import open_benchmark


def photo(number: int) -> str:
    return f"dev-{number}-0-img{number % 2}"


def item(pair: int, reference: int, target: int, first: int, **more: Any) -> dict[str, Any]:
    members = [photo(first + n) for n in range(6)]
    return {
        "pairid": pair,
        "reference": photo(reference),
        "target_hard": photo(target),
        "target_soft": {photo(target): 1.0},
        "caption": f" another one, number {pair}",
        "img_set": {"id": first, "members": members, "reference_rank": 0, "target_rank": 1},
        **more,
    }


@pytest.fixture
def root(tmp_path: Path) -> Path:
    items = [
        item(11, 0, 1, 0, target_soft={photo(1): 1.0, photo(9): 1.0, photo(2): -1.0, photo(3): 0.5}),
        item(12, 1, 2, 0),
        item(13, 6, 7, 6, target_soft={photo(6): 1.0}),
    ]
    write_json(tmp_path / "captions" / "cap.rc2.val.json", items)
    names = {photo(n): f"./dev/{photo(n)}.png" for n in range(12)}
    write_json(tmp_path / "image_splits" / "split.rc2.val.json", names)
    extended = [
        {"pairid": i["pairid"], "caption_extend": {"0": "a dog", "1": "[c] None existed", "3": "[cr0] x", "2": "a cat"}}
        for i in items
    ]
    write_json(tmp_path / "captions_ext" / "cap.ext.rc2.val.json", extended)
    return tmp_path


def test_both_tasks(root: Path) -> None:
    benchmark = open_benchmark(f"cirr:{root}")
    assert benchmark.splits == ("validation",)
    assert benchmark.task("cirr").measures == ("hit_rate@1", "hit_rate@5", "hit_rate@10", "hit_rate@50")
    assert benchmark.task("cirr_subset").measures == ("hit_rate@1", "hit_rate@2", "hit_rate@3")
    assert pool_sizes(benchmark, "cirr", "validation") == {"11": (11, 1), "12": (11, 1), "13": (11, 1)}
    assert pool_sizes(benchmark, "cirr_subset", "validation") == {"11": (5, 1), "12": (5, 1), "13": (5, 1)}
    query = benchmark.queries("cirr", "validation")[0]
    assert (query.id, query.text, query.modality) == ("11", "another one, number 11", "image,text")
    assert query.image is not None
    assert query.image.name == f"dev/{photo(0)}.png"
    assert [q.cluster for q in benchmark.queries("cirr", "validation")] == ["set 0", "set 0", "set 6"]
    assert [row.candidate_ids for row in benchmark.exclusions("cirr", "validation")] == [(photo(n),) for n in (0, 1, 6)]
    assert not len(benchmark.exclusions("cirr_subset", "validation"))
    assert not len(benchmark.lists("cirr", "validation"))
    assert photo(0) not in benchmark.lists("cirr_subset", "validation")[0].candidate_ids


def test_soft_targets_without_the_reference(root: Path) -> None:
    judgements = list(open_benchmark(f"cirr:{root}?targets=soft").judgements("cirr", "validation"))
    said = {(j.query_id, j.candidate_id): j.relevance for j in judgements}
    assert said == {
        ("11", photo(1)): 1, ("11", photo(9)): 1, ("11", photo(2)): 0, ("11", photo(3)): 0,
        ("12", photo(2)): 1, ("13", photo(7)): 1,
    }  # fmt: skip


def test_auxiliary_sentences(root: Path) -> None:
    plain, more = (open_benchmark(f"cirr:{root}{options}") for options in ("", "?auxiliary=append"))
    assert more.queries("cirr", "validation")[0].text == "another one, number 11. a dog. a cat"
    assert plain.digest != more.digest


def test_a_flat_folder_and_other_splits(root: Path, tmp_path: Path) -> None:
    flat = tmp_path / "flat"
    flat.mkdir()
    for path in [p for p in root.rglob("*.json") if flat not in p.parents]:
        text = path.read_text()
        (flat / path.name).write_text(text)
        (flat / path.name.replace(".val.", ".train.")).write_text(text)
        untold = (
            [{k: v for k, v in i.items() if k != "target_hard"} for i in json.loads(text)]
            if "cap.rc2" in path.name
            else []
        )
        (flat / path.name.replace(".val.", ".test1.")).write_text(json.dumps(untold) if untold else text)
    assert open_benchmark(f"cirr:{flat}").splits == ("train", "validation")
    assert len(open_benchmark(f"cirr:{flat}").queries("cirr", "train")) == 3


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"reference": "dev-99"}, r"1 image that the annotations name is not listed.*item 1.*dev-99"),
        ({"target_hard": "dev-99", "reference": "dev-98"}, r"2 images.*item 1.*dev-98, dev-99"),
        ({"pairid": 11}, r"two queries have one id.*item 1.*'11'"),
        ({"caption": " "}, r"text is missing or empty.*item 1, caption"),
        ({"caption": ["a"]}, r"text is missing or empty.*item 1, caption"),
        ({"pairid": 1.5}, r"id is missing or malformed.*item 1, pairid"),
        ({"img_set": []}, r"another type.*item 1, img_set"),
        ({"img_set": {"id": 1, "members": "x"}}, r"another type.*item 1, members"),
    ],
)
def test_what_is_wrong_with_an_item(root: Path, change: dict[str, Any], said: str) -> None:
    path = root / "captions" / "cap.rc2.val.json"
    items = json.loads(path.read_text())
    items[1] |= change
    write_json(path, items)
    with pytest.raises(BenchmarkError, match=said) as raised:
        list(open_benchmark(f"cirr:{root}").judgements("cirr", "validation"))
    assert "\n" not in str(raised.value)
    assert raised.value.exit_code == 2


def test_what_is_wrong_with_files(root: Path) -> None:
    path = root / "image_splits" / "split.rc2.val.json"
    for place in ("../../x.png", "/etc/x.png"):
        write_json(path, {photo(n): place for n in range(12)})
        with pytest.raises(BenchmarkError, match=r"leaves the image folder.*--image-root"):
            list(open_benchmark(f"cirr:{root}").queries("cirr", "validation"))
    path.write_text("{")
    with pytest.raises(BenchmarkError, match=r"not JSON.*split.rc2.val.json:1"):
        list(open_benchmark(f"cirr:{root}").queries("cirr", "validation"))
    path.unlink()
    with pytest.raises(BenchmarkError, match=r"missing.*image_splits/split.rc2.val.json or split.rc2.val.json"):
        open_benchmark(f"cirr:{root}")
    with pytest.raises(BenchmarkError, match=r"missing.*captions/cap.rc3.val.json"):
        open_benchmark(f"cirr:{root}?version=rc3")
    with pytest.raises(InputError, match="targets"):
        open_benchmark(f"cirr:{root}?targets=all")


def test_the_real_validation_split() -> None:
    benchmark = open_benchmark(f"cirr:{realdata('cirr-val')}")
    assert len(benchmark.queries("cirr", "validation")) == 4181
    assert len(benchmark.corpus("photos", "validation")) == 2297
    assert set(pool_sizes(benchmark, "cirr", "validation").values()) == {(2296, 1)}
    assert set(pool_sizes(benchmark, "cirr_subset", "validation").values()) == {(5, 1)}
    assert constant_hit_rates(benchmark, "cirr", "validation") == pytest.approx([k / 2296 for k in (1, 5, 10, 50)])
    assert constant_hit_rates(benchmark, "cirr_subset", "validation") == pytest.approx([0.2, 0.4, 0.6])
    soft = open_benchmark(f"cirr:{realdata('cirr-val')}?targets=soft")
    assert sum(n for _, n in pool_sizes(soft, "cirr", "validation").values()) == 4221
