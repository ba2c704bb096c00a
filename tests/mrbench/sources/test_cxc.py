"""CxC: graded ratings become relevance, with COCO's own pairs judged like all others."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from controls import write_json
from known_models import chance_of, check_controls, paint
from realdata import realdata

from mrbench.benchmark import Benchmark
from mrbench.errors import BenchmarkError
from mrbench.evaluation import evaluate
from mrbench.models.controls import RandomModel
from mrbench.sources import open_benchmark


def photo(number: int) -> str:
    return f"COCO_val2014_{number:012}.jpg"


def caption(number: int) -> str:
    return f"COCO_val2014:sentid:{number}"


SITS = [
    (100, 10, 4.9, "c2i_original"),
    (101, 10, 2.4, "c2i_original"),  # not even its own photo
    (102, 11, 3.0, "c2i_original"),
    (103, 12, 5.0, "c2i_original"),
    (104, 12, 4.0, "c2i_original"),
    (100, 11, 3.2, "c2i_intrasim"),
    (103, 10, 2.9, "c2i_intrasim"),
]
SIS = [(10, 11, 3.5), (11, 10, 2.7), (10, 12, 1.0), (12, 11, 3.0)]
STS = [(100, 102, 4.0), (103, 104, 2.0), (101, 103, 1.0)]


def write_ratings(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    text = "\n".join(",".join(map(str, row)) for row in [header, *rows]) + "\n"
    path.write_bytes(gzip.compress(text.encode()))


def write_cxc(root: Path, kinds: Sequence[str] = ("sits", "sis", "sts"), split: str = "test") -> Path:
    root.mkdir(exist_ok=True)
    more = ("agg_score", "sampling_method")
    rows = {
        "sits": (("caption", "image", *more), [(caption(c), photo(p), *rest) for c, p, *rest in SITS]),
        "sis": (("image1", "image2", *more), [(photo(a), photo(b), r, "i2i_csim") for a, b, r in SIS]),
        "sts": (("caption1", "caption2", *more), [(caption(a), caption(b), r, "c2c_isim") for a, b, r in STS]),
    }
    for kind in kinds:
        write_ratings(root / f"{kind}_{split}.csv.gz", *rows[kind])
    annotations = [{"id": number, "caption": f"caption {number}"} for number in range(100, 105)]
    write_json(root / "captions.json", {"annotations": annotations})
    paint(root, photo(10), photo(11), photo(12))
    return root


def opened(root: Path, options: str = "captions=captions.json") -> Benchmark:
    return open_benchmark(f"cxc:{root}" + (f"?{options}" if options else ""))


def judged(benchmark: Benchmark, task: str) -> dict[tuple[str, str], int]:
    return {(j.query_id, j.candidate_id): j.relevance for j in benchmark.judgements(task, "test")}


def test_a_rating_of_three_is_relevant_and_grades_follow(tmp_path: Path) -> None:
    benchmark = opened(write_cxc(tmp_path))
    assert benchmark.task_names == ("t2i", "i2t", "i2i", "t2t")
    assert judged(benchmark, "t2i") == {
        ("100", photo(10)): 2,
        ("101", photo(10)): 0,
        ("102", photo(11)): 1,
        ("103", photo(12)): 3,
        ("104", photo(12)): 2,
        ("100", photo(11)): 1,
        ("103", photo(10)): 0,
    }
    assert judged(benchmark, "i2t") == {(one, other): r for (other, one), r in judged(benchmark, "t2i").items()}
    assert {j.origin for j in benchmark.judgements("t2i", "test")} == {"human"}
    assert [q.cluster for q in benchmark.queries("t2i", "test")] == [photo(p) for p in (10, 10, 11, 12, 12)]


def test_pairs_of_one_kind_are_symmetric_and_nothing_finds_itself(tmp_path: Path) -> None:
    benchmark = opened(write_cxc(tmp_path))
    both = {(10, 11): 1, (10, 12): 0, (11, 12): 1}  # 10 and 11: the mean of 3.5 and 2.7
    assert judged(benchmark, "i2i") == {
        (photo(one), photo(other)): relevance for (a, b), relevance in both.items() for one, other in ((a, b), (b, a))
    }
    assert {(r.query_id, *r.candidate_ids) for r in benchmark.exclusions("i2i", "test")} == {
        (photo(n), photo(n)) for n in (10, 11, 12)
    }
    texts = judged(benchmark, "t2t")
    assert texts["100", "102"] == texts["102", "100"] == 2
    assert texts["100", "101"] == texts["101", "100"] == 1  # captions of one photo
    assert texts["103", "104"] == texts["104", "103"] == 0  # of one photo, and rated below 3
    assert len(list(benchmark.exclusions("t2t", "test"))) == 5


def test_controls_have_their_values(tmp_path: Path) -> None:
    tasks = check_controls(opened(write_cxc(tmp_path)))
    assert tasks["t2i"].queries == 4  # caption 101 is of no photo
    assert tasks["t2i"].setting["queries without a relevant candidate"] == 1
    assert tasks["i2i"].chance["hit_rate@1"] == pytest.approx((1 + 2 + 1) / 3 / 2)
    assert tasks["i2i"].setting["excluded candidates"] == 3


def test_tasks_are_those_of_the_files(tmp_path: Path) -> None:
    assert opened(write_cxc(tmp_path / "a"), "").task_names == ("i2i",)  # without captions
    assert opened(write_cxc(tmp_path / "b", ["sits"])).task_names == ("t2i", "i2t")
    assert opened(write_cxc(tmp_path / "c", ["sis"])).task_names == ("i2i",)
    with pytest.raises(BenchmarkError, match=r"no task can be made.*got: 'sits_test.csv.gz'.*\?captions=FILE"):
        opened(write_cxc(tmp_path / "d", ["sits"]), "")
    with pytest.raises(BenchmarkError, match="no task can be made of a folder"):
        opened(write_cxc(tmp_path / "e", []))
    both = write_cxc(write_cxc(tmp_path / "f"), ["sits"], "val")
    assert opened(both).splits == ("validation", "test")
    assert len(opened(both).queries("t2i", "validation")) == 5
    assert [len(opened(both).queries(task, "validation")) for task in ("i2i", "t2t")] == [0, 0]
    assert opened(both, "").splits == ("test",)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ((caption(100), "x.jpg", 4, "m"), r"malformed id of COCO; where: .*sits_test.csv.gz:2; got: 'x.jpg'"),
        (("100", photo(10), 4, "m"), "malformed id of COCO"),
        ((caption(100), photo(10), 5.1, "m"), r"malformed rating; where: .*:2; got: '5.1'"),
        ((caption(100), photo(10), "nan", "m"), "malformed rating"),
        ((caption(100), photo(10), "", "m"), "malformed rating"),
        ((caption(100), photo(10), 4), "another number of cells"),
    ],
)
def test_a_malformed_row_is_named(tmp_path: Path, row: Sequence[object], said: str) -> None:
    root = write_cxc(tmp_path / "cxc")
    write_ratings(root / "sits_test.csv.gz", ("caption", "image", "agg_score", "sampling_method"), [row])
    with pytest.raises(BenchmarkError, match=said):
        evaluate(opened(root), RandomModel(), tmp_path / "r")


def test_a_pair_that_is_rated_twice_or_of_itself(tmp_path: Path) -> None:
    root = write_cxc(tmp_path / "cxc")
    header = ("caption", "image", "agg_score", "sampling_method")
    write_ratings(root / "sits_test.csv.gz", header, [(caption(100), photo(10), 4, "m")] * 2)
    with pytest.raises(BenchmarkError, match=r"rated twice; where: .*:3"):
        len(opened(root).queries("t2i", "test"))
    write_ratings(root / "sis_test.csv.gz", header, [(photo(10), photo(10), 4, "m")])
    with pytest.raises(BenchmarkError, match=r"one and the same; where: .*:2"):
        len(opened(root).queries("i2i", "test"))


def test_real_counts_and_chance(tmp_path: Path) -> None:
    root, eccv = realdata("cxc"), realdata("eccv-caption")
    with gzip.open(eccv / "original_caption_to_image.json.gz") as stream:
        numbers = [int(number) for number in json.load(stream)]
    rows = [{"id": number, "caption": f"caption {number}"} for number in numbers]
    captions = write_json(tmp_path / "captions.json", {"annotations": rows})
    benchmark = open_benchmark(f"cxc:{root}?captions={captions}", image_root=tmp_path)
    assert benchmark.task_names == ("t2i", "i2t", "i2i")
    assert (len(benchmark.corpus("image", "test")), len(benchmark.corpus("text", "test"))) == (5000, 25_000)
    assert len(benchmark.judgements("t2i", "test")) == 44_833
    with gzip.open(eccv / "cxc_caption_to_image.json.gz") as stream:
        published = {(str(c), photo(p)) for c, found in json.load(stream).items() for p in found}
    assert {pair for pair, relevance in judged(benchmark, "t2i").items() if relevance} == published
    assert len(published) == 35_585
    assert len(benchmark.judgements("i2i", "test")) == 2 * 43_856
    assert chance_of(benchmark, "t2i", "hit_rate@1") == [0.000285]  # 35,585 pairs of 24,972 captions and 5,000 photos
    assert chance_of(benchmark, "i2t", "hit_rate@1") == [0.000285]
    found = chance_of(benchmark, "i2i", "hit_rate@1", "hit_rate@5", "hit_rate@10")
    assert found == I2I
    without = open_benchmark(f"cxc:{root}", image_root=tmp_path)
    assert without.task_names == ("i2i",)


I2I = [0.001286, 0.006409, 0.012761]
