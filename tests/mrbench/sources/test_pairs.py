"""Images with true and false texts: every layout, lists, kinds, groups of two, and bad input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from photos import opened, texts, write_csv, write_json, write_jsonl, write_photos
from realdata import realdata

from mrbench.benchmark import Benchmark
from mrbench.errors import BenchmarkError, InputError
from mrbench.measures import hit_rate
from mrbench.measures.ties import TieGroups
from mrbench.records import Judgement
from mrbench.validate import Report, check_contents

ITEM = {"filename": "a.png", "caption": "a red cat", "negative_caption": "a blue cat"}


def judged(benchmark: Benchmark, task: str = "i2t") -> dict[str, list[tuple[str, int, tuple[str, ...] | None]]]:
    found: dict[str, list[tuple[str, int, tuple[str, ...] | None]]] = {}
    for judgement in benchmark.judgements(task, "test"):
        found.setdefault(judgement.query_id, []).append(
            (judgement.candidate_id, judgement.relevance, judgement.violates)
        )
    return found


def pair_layout(folder: Path, name: str) -> Path:
    if name == "sugarcrepe":
        return write_json(folder / "swap_att.json", {"0": ITEM})
    if name == "sugarcrepe folder":
        return write_json(folder / "data" / "swap_att.json", {"0": ITEM}).parent
    if name == "valse":
        votes = {"caption": 3, "foil": 0, "other": 0}
        item = {"image_file": "a.png", "caption": "a red cat", "foil": "a blue cat", "mturk": votes}
        return write_json(folder / "v.json", {"0": {**item, "linguistic_phenomena": "swap_att", "dataset": "x"}})
    if name == "csv":
        return write_csv(
            folder / "my.csv", ("image", "true", "false", "kind"), ("a.png", "a red cat", "a blue cat", "swap_att")
        )
    if name == "tsv with quotes":
        path = folder / "my.tsv"
        path.write_text('image\ttrue\tfalse\tkind\na.png\t"a red cat"\t"a blue cat"\tswap_att\n', encoding="utf-8")
        return path
    row = {"image": "a.png", "true": ["a red cat"], "false": ["a blue cat"], "kind": ["swap_att"]}
    return write_jsonl(folder / "my.jsonl", [row])


def test_an_absolute_name_is_stored_relative_to_the_image_root(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", "a.png")
    row = {"image": str(photos / "a.png"), "true": ["a red cat"], "false": ["a blue cat"], "kind": ["swap_att"]}
    benchmark = opened("pairs", write_jsonl(tmp_path / "my.jsonl", [row]), image_root=photos)
    query = benchmark.queries("i2t", "test")[0]
    assert (query.image.name, query.cluster) == ("a.png", "a.png")
    assert query.image.data == (photos / "a.png").read_bytes()
    relative = write_jsonl(tmp_path / "elsewhere" / "x.jsonl", [row | {"image": "a.png"}])
    assert opened("pairs", relative, image_root=photos).digest == benchmark.digest
    other = write_jsonl(tmp_path / "elsewhere" / "y.jsonl", [row | {"image": "a.png", "kind": ["swap_obj"]}])
    assert opened("pairs", other, image_root=photos).digest != benchmark.digest


@pytest.mark.parametrize("name", ["../a.png", "/etc/passwd", "a/../../b.png", "C:\\a.png"])
def test_a_path_that_leaves_the_image_root_names_file_and_line(tmp_path: Path, name: str) -> None:
    row = {"image": "a.png", "true": "a red cat", "false": "a blue cat", "kind": "swap_att"}
    path = write_jsonl(tmp_path / "in" / "p.jsonl", [row, row | {"image": name}])
    with pytest.raises(BenchmarkError, match=r"leaves the image folder.*--image-root.*named in: .*p.jsonl:2"):
        opened("pairs", path)


def test_a_missing_image_is_reported_with_the_line_that_names_it(tmp_path: Path) -> None:
    row = {"image": "gone.png", "true": ["a red cat"], "false": ["a blue cat"], "kind": ["swap_att"]}
    path = write_jsonl(tmp_path / "my.jsonl", [row])
    report = Report()
    check_contents(opened("pairs", path), report)
    assert [problem.rule for problem in report.problems] == ["missing image"]
    assert str(report.problems[0].where).endswith(f"named in {path}:1")


@pytest.mark.parametrize("name", ["sugarcrepe", "sugarcrepe folder", "valse", "csv", "tsv with quotes", "jsonl"])
def test_every_layout_gives_the_same_pairs(tmp_path: Path, name: str) -> None:
    path = pair_layout(tmp_path, name)
    write_photos(path if path.is_dir() else path.parent, "a.png")
    benchmark = opened("pairs", path)
    item = "swap_att:0" if name == "sugarcrepe folder" else "0"
    assert texts(benchmark, "text") == {f"{item}#true0": "a red cat", f"{item}#false0": "a blue cat"}
    assert judged(benchmark) == {item: [(f"{item}#true0", 1, ()), (f"{item}#false0", 0, ("swap_att",))]}
    task = benchmark.task("i2t")
    assert (task.pool, task.main, task.category, task.judgements) == ("lists", "hit_rate@1", "i2t", "partial")
    assert benchmark.lists("i2t", "test")[0].candidate_ids == (f"{item}#true0", f"{item}#false0")
    query = benchmark.queries("i2t", "test")[0]
    assert (query.cluster, query.image.path.is_file()) == ("a.png", True)


@pytest.mark.parametrize("name", ["csv", "jsonl"])
def test_a_header_in_capitals_is_read(tmp_path: Path, name: str) -> None:
    write_photos(tmp_path, "a.png")
    path = pair_layout(tmp_path, name)
    plain = judged(opened("pairs", path))
    text = path.read_text()
    for column in ("image", "true", "false", "kind"):
        text = text.replace(column, column.upper(), 1)
    path.write_text(text)
    assert judged(opened("pairs", path)) == plain


def test_two_true_texts_and_several_false_ones_with_kinds_of_their_own(tmp_path: Path) -> None:
    row = {
        "id": "q 1/x:y#z",
        "image": "a.png",
        "caption": "x",
        "caption2": "y",
        "false": ["u", "v", "u"],
        "kind": ["k", "l", "k"],
    }
    benchmark = opened("pairs", write_jsonl(tmp_path / "p.jsonl", [row]))
    assert judged(benchmark) == {
        "q 1/x:y#z": [
            ("q 1/x:y#z#true0", 1, ()),
            ("q 1/x:y#z#true1", 1, ()),
            ("q 1/x:y#z#false0", 0, ("k",)),
            ("q 1/x:y#z#false1", 0, ("l",)),
        ]
    }
    assert benchmark.task("i2t").main == "all_positives_accuracy"


GROUPS = {
    "winoground": {
        "id": 5,
        "image_0": "a",
        "image_1": "b",
        "caption_0": "x",
        "caption_1": "y",
        "collapsed_tag": "Object",
    },
    "colorswap": {"id": 5, "image_1": "a", "image_2": "b", "caption_1": "x", "caption_2": "y", "kind": "Object"},
    "bivlc": {"id": 5, "image": "a", "negative_image": "b", "caption": "x", "negative_caption": "y", "type": "Object"},
}


@pytest.mark.parametrize("name", GROUPS)
def test_two_images_and_two_texts_are_two_tasks_with_a_cluster_a_group(tmp_path: Path, name: str) -> None:
    write_photos(tmp_path, "a.png", "b.png")
    benchmark = opened("pairs", write_jsonl(tmp_path / "g.jsonl", [GROUPS[name]]))
    assert benchmark.task_names == ("i2t", "t2i")
    assert judged(benchmark, "i2t") == {
        "5#image0": [("5#true0", 1, ()), ("5#true1", 0, ("Object",))],
        "5#image1": [("5#true1", 1, ()), ("5#true0", 0, ("Object",))],
    }
    assert judged(benchmark, "t2i") == {
        "5#true0": [("5#image0", 1, ()), ("5#image1", 0, ("Object",))],
        "5#true1": [("5#image1", 1, ()), ("5#image0", 0, ("Object",))],
    }
    queries = [query for task in benchmark.task_names for query in benchmark.queries(task, "test")]
    assert {query.cluster for query in queries} == {"5"}
    assert [query.image.path.name for query in queries[:2]] == ["a.png", "b.png"]  # names without a suffix are found


def test_items_that_valse_s_annotators_rejected_are_left_out(tmp_path: Path) -> None:
    def item(caption: int) -> dict:
        return {"image_file": "a.png", "caption": "x", "foil": "y", "mturk": {"caption": caption, "foil": 3 - caption}}

    path = write_json(tmp_path / "existence.json", {"p": item(1), "q": item(2), "r": item(3)})
    benchmark = opened("pairs", path)
    assert [query.id for query in benchmark.queries("i2t", "test")] == ["q", "r"]
    assert "items left out that fewer than 2 of 3 annotators accepted: 1" in benchmark.notes()
    assert len(opened("pairs", path, "unchecked=keep").queries("i2t", "test")) == 3


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{**ITEM, "caption": ""}], r"an empty text \(1\).*p.jsonl:1"),
        ([ITEM, {**ITEM, "negative_caption": " "}], r"an empty text \(1\).*p.jsonl:2"),
        ([{"filename": "a.png", "caption": "x"}], r"no false text.*p.jsonl:1.*negative_caption"),
        ([{"filename": "a.png", "foil": "x"}], r"no true text.*p.jsonl:1"),
        ([{"caption": "x", "foil": "y"}], r"no column names the picture.*p.jsonl:1"),
        ([{**ITEM, "negative_caption": 3}], r"a caption is no text.*p.jsonl:1, negative_caption"),
        ([{**ITEM, "kind": ["a", "b"]}], r"malformed kind.*list of 1 text,"),
        ([{**ITEM, "id": 1}, {**ITEM, "id": "1"}], r"item id is there twice \(1\).*p.jsonl:2"),
        (
            [ITEM, {**ITEM, "image": "b.png"}],
            r"two columns.*p.jsonl:2; got: 'image: b.png; filename: a.png'.*next: remove",
        ),
        ([{**ITEM, "foil": "a green cat"}], r"two columns.*negative_caption: a blue cat; foil: a green cat"),
        ([{**ITEM, "true": "a cat"}], r"two columns.*true: a cat; caption: a red cat"),
        ([{**ITEM, "id": 1.5}], r"neither text nor a whole number"),
        ([{**GROUPS["winoground"], "caption_1": "x"}], r"two texts of an item are equal \(1\)"),
        ([GROUPS["winoground"], ITEM], r"items with one image and items with two"),
        ([], r"no item"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, rows: list[dict], said: str) -> None:
    path = write_jsonl(tmp_path / "p.jsonl", rows)
    with pytest.raises(BenchmarkError, match=said):
        opened("pairs", path)


def test_a_text_that_is_true_and_false_is_kept_and_counted(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "p.jsonl", [ITEM, {**ITEM, "negative_caption": ITEM["caption"]}])
    benchmark = opened("pairs", path)
    assert len(benchmark.lists("i2t", "test")[1].candidate_ids) == 2
    assert "items with a text that is both true and false, which tie: 1 (1)" in benchmark.notes()


def test_files_that_are_none_of_the_layouts(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"no such file or folder.*SugarCrepe"):
        opened("pairs", tmp_path / "absent")
    with pytest.raises(BenchmarkError, match="no file of pairs"):
        opened("pairs", tmp_path)
    with pytest.raises(BenchmarkError, match="another layout"):
        opened("pairs", write_json(tmp_path / "x.json", {"a": 1}))
    with pytest.raises(BenchmarkError, match=r"item is not a JSON object.*x.json, item 1"):
        opened("pairs", write_json(tmp_path / "x.json", [ITEM, 2]))
    with pytest.raises(InputError, match="option of a spec"):
        opened("pairs", write_json(tmp_path / "x.json", [ITEM]), "limit=none")
    with pytest.raises(BenchmarkError, match="leaves the image folder"):
        list(opened("pairs", write_json(tmp_path / "x.json", [{**ITEM, "filename": "../a"}])).queries("i2t", "test"))


def test_sugarcrepe_has_its_published_counts_and_a_random_order_gets_a_half() -> None:
    benchmark = opened("pairs", realdata("sugarcrepe"))
    assert len(benchmark.queries("i2t", "test")) == 7511
    kinds = [j.violates[0] for j in benchmark.judgements("i2t", "test") if not j.relevance]
    published = {"add_att": 692, "add_obj": 2062, "replace_att": 788, "replace_obj": 1652, "replace_rel": 1406}
    published |= {"swap_att": 666, "swap_obj": 245}
    assert {kind: kinds.count(kind) for kind in set(kinds)} == published
    assert expected_hit_rate(list(benchmark.judgements("i2t", "test"))) == pytest.approx(0.5, abs=1e-12)


def test_sugarcrepe_pp_has_two_true_texts() -> None:
    benchmark = opened("pairs", realdata("sugarcrepe-pp"))
    assert len(benchmark.queries("i2t", "test")) == 4757
    judgements = list(benchmark.judgements("i2t", "test"))
    # One item repeats its true text, so 4,756 have two.
    assert sum(j.relevance for j in judgements) == 2 * 4757 - 1
    assert sum(not j.relevance for j in judgements) == 4757
    assert expected_hit_rate(judgements) == pytest.approx((4756 * 2 / 3 + 1 / 2) / 4757, abs=1e-12)


def expected_hit_rate(judgements: list[Judgement]) -> float:
    """Hit rate@1 of a model to which all candidates of a list are the same: the mean over all orders."""
    sizes: dict[str, list[int]] = {}
    for judgement in judgements:
        size = sizes.setdefault(judgement.query_id, [0, 0])
        size[0] += 1
        size[1] += judgement.relevance
    listed = np.array(list(sizes.values()))
    number = len(listed)
    ties = TieGroups(np.arange(number), np.zeros(number, dtype=np.int64), listed[:, 0], listed[:, 1], number)
    return float(hit_rate(ties, 1).mean())


def test_the_pairs_with_photos_find_their_photos() -> None:
    benchmark = opened("pairs", realdata("coco-val2017-mini") / "hard-negatives.jsonl")
    queries = list(benchmark.queries("i2t", "test"))
    assert len(queries) == 472
    assert all(query.image.path.is_file() for query in queries)
