"""ECCV Caption: COCO's pool, ECCV's judgements, and both beside each other as an overlay."""

from __future__ import annotations

import gzip
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from controls import write_json
from known_models import chance_of, check_controls, paint
from realdata import realdata

from mrbench.benchmark import Benchmark
from mrbench.errors import BenchmarkError, InputError
from mrbench.evaluation import evaluate
from mrbench.models.controls import RandomModel
from mrbench.sources import open_benchmark
from mrbench.sources.overlay import read_overlay

OWN = {10: [100, 101], 11: [102, 103], 12: [104, 105]}
ECCV_I2T = {10: [100, 101, 102], 12: [104, 105, 100]}
ECCV_T2I = {100: [10, 12], 102: [11, 10]}


def photo(number: int) -> str:
    return f"COCO_val2014_{number:012}.jpg"


def write_eccv(root: Path) -> Path:
    own = {caption: [number] for number, captions in OWN.items() for caption in captions}
    for name, pairs in (
        ("original_image_to_caption", OWN),
        ("original_caption_to_image", own),
        ("eccv_image_to_caption", ECCV_I2T),
        ("eccv_caption_to_image", ECCV_T2I),
    ):
        write_json(root / f"{name}.json", pairs)
    np.save(root / "coco_test_ids.npy", np.array(list(own), dtype=np.int64))
    rows = [{"id": n, "image_id": 1, "caption": f"caption {n}"} for n in (99, *own)]
    write_json(root / "captions.json", {"images": [], "annotations": rows})
    paint(root, *map(photo, OWN))
    return root


def opened(root: Path, options: str = "captions=captions.json") -> Benchmark:
    return open_benchmark(f"eccv:{root}?{options}")


def test_only_judged_queries_ask_in_the_whole_pool(tmp_path: Path) -> None:
    benchmark = opened(write_eccv(tmp_path))
    assert benchmark.corpus("image", "test").ids.to_pylist() == [photo(10), photo(11), photo(12)]
    assert [c.text for c in benchmark.corpus("text", "test")] == [f"caption {n}" for n in range(100, 106)]
    assert [(q.id, q.text, q.cluster) for q in benchmark.queries("t2i", "test")] == [
        ("100", "caption 100", photo(10)),
        ("102", "caption 102", photo(11)),
    ]
    assert [q.id for q in benchmark.queries("i2t", "test")] == [photo(10), photo(12)]
    judged = {(j.query_id, j.candidate_id) for j in benchmark.judgements("i2t", "test")}
    assert judged == {(photo(query), str(one)) for query, found in ECCV_I2T.items() for one in found}
    assert benchmark.task("t2i").main == "map@r"


def test_controls_have_their_values(tmp_path: Path) -> None:
    tasks = check_controls(opened(write_eccv(tmp_path)))
    assert tasks["i2t"].chance["r_precision"] == pytest.approx(0.5)  # three of six
    assert check_controls(opened(tmp_path, "captions=captions.json&judgements=coco")).keys() == {"t2i", "i2t"}


def test_it_is_an_overlay_of_coco(tmp_path: Path) -> None:
    root = write_eccv(tmp_path / "eccv")
    coco = opened(root, "captions=captions.json&judgements=coco")
    overlay = read_overlay(f"eccv:{root}?captions=captions.json")
    result = evaluate(coco, RandomModel(), tmp_path / "r", overlay=overlay)
    assert result.tasks["t2i"].queries == 6
    over = result.tasks["t2i"].overlay
    assert (over["name"], over["pairs"], over["changed"]) == ("eccv-caption", 4, 2)
    assert over["judged_queries"]["queries"] == 2
    direct = evaluate(opened(root), RandomModel(), tmp_path / "d")
    for measure in ("map@r", "r_precision", "hit_rate@1"):  # here ECCV's judgements hold all of COCO's own
        assert over["judged_queries"]["with"][measure] == pytest.approx(direct.tasks["t2i"].scores[measure])


def test_other_names_of_photos_and_gzip(tmp_path: Path) -> None:
    write_eccv(tmp_path)
    plain = tmp_path / "eccv_caption_to_image.json"
    plain.with_suffix(".json.gz").write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()
    benchmark = opened(tmp_path, "captions=captions.json&file=val2017/{id}.jpg")
    assert benchmark.corpus("image", "test")[0].id == "val2017/000000000010.jpg"
    assert len(benchmark.queries("t2i", "test")) == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda root: (root / "eccv_caption_to_image.json").unlink(), "eccv_caption_to_image.json is missing"),
        (lambda root: (root / "coco_test_ids.npy").unlink(), "coco_test_ids.npy is missing"),
        (lambda root: write_json(root / "eccv_image_to_caption.json", {10: [7, 8, 9]}), "3 numbers of a candidate"),
        (lambda root: write_json(root / "eccv_image_to_caption.json", {77: [100]}), "1 number of a query"),
        (lambda root: write_json(root / "eccv_image_to_caption.json", {10: 100}), "list of numbers; where: .*, 10"),
        (lambda root: write_json(root / "eccv_image_to_caption.json", [1]), "not a JSON object"),
        (lambda root: (root / "eccv_image_to_caption.json").write_text("{"), r"not JSON; where: .*json:1"),
        (lambda root: write_json(root / "original_caption_to_image.json", {100: [10, 11]}), "not one photo"),
        (lambda root: np.save(root / "coco_test_ids.npy", np.array([100.5])), "not a list of numbers"),
        (lambda root: write_json(root / "captions.json", {"annotations": []}), "6 of 6 captions have no text"),
        (lambda root: write_json(root / "captions.json", []), "not a captions file of COCO"),
    ],
)
def test_a_fault_is_one_line(tmp_path: Path, change, said: str) -> None:
    change(write_eccv(tmp_path / "eccv"))
    with pytest.raises(BenchmarkError, match=said):
        evaluate(opened(tmp_path / "eccv"), RandomModel(), tmp_path / "r")


def test_a_pickled_array_is_not_read(tmp_path: Path) -> None:
    class Canary:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    write_eccv(tmp_path)
    np.save(tmp_path / "coco_test_ids.npy", np.array([Canary()], dtype=object), allow_pickle=True)
    with pytest.raises(BenchmarkError, match="an array cannot be read"):
        len(opened(tmp_path).corpus("text", "test"))
    (tmp_path / "coco_test_ids.npy").write_bytes(pickle.dumps(Canary()))
    with pytest.raises(BenchmarkError, match="an array cannot be read"):
        len(opened(tmp_path).corpus("text", "test"))
    assert not (tmp_path / "ran").exists()


def test_options_are_checked(tmp_path: Path) -> None:
    write_eccv(tmp_path)
    with pytest.raises(InputError, match=r"no captions; where: \?captions="):
        open_benchmark(f"eccv:{tmp_path}")
    with pytest.raises(InputError, match="unknown option"):
        opened(tmp_path, "captions=captions.json&x=1")
    with pytest.raises(InputError, match=r"where: \?file=; got: 'a.jpg'"):
        opened(tmp_path, "captions=captions.json&file=a.jpg")
    with pytest.raises(InputError, match=r"where: \?judgements="):
        opened(tmp_path, "captions=captions.json&judgements=all")
    with pytest.raises(BenchmarkError, match="a folder is missing"):
        opened(tmp_path / "no")


def test_the_digest_is_of_all_that_is_read(tmp_path: Path) -> None:
    before = opened(write_eccv(tmp_path)).digest
    assert opened(tmp_path).digest == before
    assert opened(tmp_path, "captions=captions.json&judgements=coco").digest != before
    value = json.loads((tmp_path / "captions.json").read_text())
    value["annotations"][2]["caption"] = "another"
    write_json(tmp_path / "captions.json", value)
    assert opened(tmp_path).digest != before


def real(tmp_path: Path, options: str = "") -> Benchmark:
    root = realdata("eccv-caption")
    ids = np.load(root / "coco_test_ids.npy", allow_pickle=False).tolist()
    rows = [{"id": number, "caption": f"caption {number}"} for number in ids]
    captions = write_json(tmp_path / "captions.json", {"annotations": rows})
    return open_benchmark(f"eccv:{root}?captions={captions}{options}", image_root=tmp_path)


def test_real_counts_and_chance(tmp_path: Path) -> None:
    benchmark = real(tmp_path)
    assert (len(benchmark.corpus("image", "test")), len(benchmark.corpus("text", "test"))) == (5000, 25_000)
    assert [len(benchmark.queries(task, "test")) for task in ("t2i", "i2t")] == [1332, 1261]
    pairs = [len(benchmark.judgements(task, "test")) for task in ("t2i", "i2t")]
    assert pairs == [11_279, 22_548]  # 22,550 as published, two of them no captions of the test photos
    assert pairs[0] / 1332 == pytest.approx(8.47, abs=0.005)
    assert (pairs[1] + 2) / 1261 == pytest.approx(17.88, abs=0.005)
    assert chance_of(benchmark, "t2i", "map@r", "r_precision", "hit_rate@1") == CHANCE["t2i"]
    assert chance_of(benchmark, "i2t", "map@r", "r_precision", "hit_rate@1") == CHANCE["i2t"]
    own = real(tmp_path, "&judgements=coco")
    assert chance_of(own, "t2i", "hit_rate@1", "hit_rate@5", "hit_rate@10") == [0.0002, 0.001, 0.002]
    assert chance_of(own, "i2t", "hit_rate@1") == [0.0002]


CHANCE = {
    "t2i": [0.000545, 0.001694, 0.001694],
    "i2t": [0.000138, 0.000715, 0.000715],
}  # 8.47 of 5,000; 17.88 of 25,000
