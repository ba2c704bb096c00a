"""Photos with captions: every layout gives the same records; bad input is named with file and line."""

from __future__ import annotations

import csv
import gzip
import json
import re
import unicodedata
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from photos import chance, opened, relevant, texts, write_csv, write_json, write_jsonl, write_photos
from realdata import realdata

from mrbench.benchmark import Benchmark, ImageRoot
from mrbench.benchmark.images import decode
from mrbench.errors import BenchmarkError, InputError
from mrbench.records import ImageFile
from mrbench.sources.convert import convert
from mrbench.sources.files import read_table
from mrbench.validate import Report, check_contents

CAPTIONS = {"a.png": ["a red cat", "a cat"], "b.png": ["two dogs", 'a "big" dog, asleep']}


def layout(folder: Path, name: str) -> Path:
    """Write the captions in one of the layouts; return what to open."""
    write_photos(folder / "images", *CAPTIONS)
    pairs = [(photo, caption) for photo, captions in CAPTIONS.items() for caption in captions]
    numbered = [
        (photo, number, caption) for photo, captions in CAPTIONS.items() for number, caption in enumerate(captions)
    ]
    if name == "csv":
        return write_csv(folder / "captions.csv", ("image", "caption"), *pairs)
    if name == "tsv":
        return write_csv(folder / "captions.tsv", ("image", "caption"), *pairs, delimiter="\t")
    if name == "numbered columns":
        rows = [(photo, *captions, "") for photo, captions in CAPTIONS.items()]
        return write_csv(folder / "captions.csv", ("image", "caption_1", "caption_2", "caption_3"), *rows)
    if name == "list in a cell":
        return write_csv(folder / "c.csv", ("filepath", "captions"), *((p, str(c)) for p, c in CAPTIONS.items()))
    if name == "jsonl":
        return write_jsonl(folder / "captions.jsonl", [{"image": p, "captions": c} for p, c in CAPTIONS.items()])
    if name == "jsonl, one caption a line":
        return write_jsonl(
            folder / "captions.jsonl", [{"image": photo, "caption": caption} for photo, caption in pairs]
        )
    if name == "imagefolder":
        write_jsonl(
            folder / "images/metadata.jsonl", [{"file_name": photo, "text": caption} for photo, caption in pairs]
        )
        return folder / "images"
    if name == "coco":
        images = [{"id": 7 + n, "file_name": photo} for n, photo in enumerate(CAPTIONS)]
        ids = {image["file_name"]: image["id"] for image in images}
        notes = [{"id": 900 + n, "image_id": ids[p], "caption": c} for n, (p, c) in enumerate(pairs)]
        return write_json(folder / "captions_val.json", {"images": images, "annotations": notes, "licenses": []})
    if name == "karpathy":
        images = [
            {"filename": p, "split": "test", "sentences": [{"raw": c, "sentid": 10 * n + m} for m, c in enumerate(cs)]}
            for n, (p, cs) in enumerate(CAPTIONS.items())
        ]
        return write_json(folder / "dataset_flickr30k.json", {"images": images, "dataset": "flickr30k"})
    if name == "token":
        lines = [f"{photo}#{number}\t{caption}" for photo, number, caption in numbered]
        path = folder / "Flickr8k.token.txt"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path
    if name == "captions.txt":
        return write_csv(folder / "captions.txt", ("image", "caption"), *pairs)
    raise ValueError(name)


LAYOUTS = (
    *("csv", "tsv", "numbered columns", "list in a cell", "jsonl", "jsonl, one caption a line", "imagefolder", "coco"),
    *("karpathy", "token", "captions.txt"),
)


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_gives_the_same_photos_and_captions(tmp_path: Path, name: str) -> None:
    benchmark = opened("captions", layout(tmp_path, name))
    assert benchmark.task_names == ("t2i", "i2t")
    assert benchmark.splits == ("test",)
    photos = list(benchmark.corpus("image", "test"))
    assert [photo.id for photo in photos] == list(CAPTIONS)
    assert all(isinstance(photo.image, ImageFile) and photo.image.path.is_file() for photo in photos)
    held = texts(benchmark, "text")
    assert sorted(held.values()) == sorted(caption for captions in CAPTIONS.values() for caption in captions)
    for query in benchmark.queries("t2i", "test"):
        assert query.text in CAPTIONS[query.cluster]
        assert relevant(benchmark, "t2i")[query.id] == {query.cluster}
    for photo, captions in relevant(benchmark, "i2t").items():
        assert sorted(held[caption] for caption in captions) == sorted(CAPTIONS[photo])


def test_ids_of_the_data_set_are_kept(tmp_path: Path) -> None:
    assert list(texts(opened("captions", layout(tmp_path / "a", "coco")), "text")) == ["900", "901", "902", "903"]
    assert list(texts(opened("captions", layout(tmp_path / "b", "karpathy")), "text")) == ["0", "1", "10", "11"]
    assert list(texts(opened("captions", layout(tmp_path / "c", "token")), "text"))[1] == "a.png#1"


def test_ids_with_spaces_colons_and_slashes_come_through(tmp_path: Path) -> None:
    names = ["sub dir/a photo: 1.png", "sub dir/b#2.png", "7"]
    write_photos(tmp_path, *names[:2])
    path = write_jsonl(tmp_path / "c.jsonl", [{"image": name, "caption": f"text {name}"} for name in names])
    benchmark = opened("captions", path)
    assert [photo.id for photo in benchmark.corpus("image", "test")] == names
    assert relevant(benchmark, "t2i") == {f"{name}#0": {name} for name in names}


def test_an_equal_caption_of_another_photo_is_relevant_and_counted(tmp_path: Path) -> None:
    rows = [{"image": "a.png", "captions": ["a dog", "a cat"]}, {"image": "b.png", "captions": ["a dog ", "two dogs"]}]
    path = write_jsonl(tmp_path / "c.jsonl", rows)
    benchmark = opened("captions", path)
    assert relevant(benchmark, "t2i")["a.png#0"] == {"a.png", "b.png"}
    assert relevant(benchmark, "t2i")["a.png#1"] == {"a.png"}
    assert relevant(benchmark, "i2t")["b.png"] == {"a.png#0", "b.png#0", "b.png#1"}
    assert any("2 captions stand at several photos" in note for note in benchmark.notes())
    alone = opened("captions", path, "equal=ignore")
    assert relevant(alone, "t2i")["a.png#0"] == {"a.png"}
    assert relevant(alone, "i2t")["b.png"] == {"b.png#0", "b.png#1"}
    assert alone.digest != benchmark.digest


def test_splits_of_a_file_become_ours(tmp_path: Path) -> None:
    names = {"a.png": "train", "b.png": "restval", "c.png": "val", "d.png": "test"}
    images = [{"filename": n, "split": s, "sentences": [{"raw": f"text {n}"}]} for n, s in names.items()]
    path = write_json(tmp_path / "dataset_coco.json", {"images": images})
    benchmark = opened("captions", path)
    assert benchmark.splits == ("train", "validation", "test")
    assert [photo.id for photo in benchmark.corpus("image", "train")] == ["a.png", "b.png"]
    assert [photo.id for photo in benchmark.corpus("image", "validation")] == ["c.png"]
    assert [photo.id for photo in opened("captions", path, "split=val").corpus("image", "test")] == ["c.png"]
    assert len(opened("captions", path, "split=all").corpus("image", "test")) == 4
    assert opened("captions", path, "split=val&as=train").splits == ("train",)
    with pytest.raises(InputError, match=r"the option as is for photos of one split.*next: \?split=NAME"):
        opened("captions", path, "as=train")
    with pytest.raises(InputError, match=r"unknown split of a data set.*restval"):
        opened("captions", path, "split=exam")


def test_folds_are_tasks_over_equal_parts_in_file_order(tmp_path: Path) -> None:
    rows = [{"image": f"{n}.png", "captions": [f"text {n}", "same"]} for n in range(6)]
    path = write_jsonl(tmp_path / "c.jsonl", rows)
    benchmark = opened("captions", path, "folds=3")
    assert benchmark.task_names == tuple(f"{kind}_fold{n}" for kind in ("t2i", "i2t") for n in (1, 2, 3))
    assert benchmark.task("t2i_fold2").own_corpora == ("image_fold2",)
    assert [photo.id for photo in benchmark.corpus("image_fold2", "test")] == ["2.png", "3.png"]
    assert relevant(benchmark, "t2i_fold2") == {
        "2.png#0": {"2.png"},
        "2.png#1": {"2.png", "3.png"},
        "3.png#0": {"3.png"},
        "3.png#1": {"2.png", "3.png"},
    }
    with pytest.raises(InputError, match=r"unequal size.*6 photos in 4 folds"):
        opened("captions", path, "folds=4")
    assert len(opened("captions", path, "folds=2&limit=4").corpus("image_fold1", "test")) == 2


def test_other_columns_are_named_in_a_note(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "shop.csv", ("image", "caption", "colour", "price"), ("a.png", "a cup", "red", "3"))
    benchmark = opened("captions", path)
    assert benchmark.name == "shop"
    assert benchmark.notes() == ("columns that are not read: colour, price",)


def test_a_caption_list_that_is_one_string_is_one_caption(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "c.jsonl", [{"image": "a.png", "captions": "a dog"}])
    assert texts(opened("captions", path), "text") == {"a.png#0": "a dog"}


def test_a_table_of_another_encoding_and_a_compressed_one(tmp_path: Path) -> None:
    (tmp_path / "bom.csv").write_bytes("image,caption\na.png,café\n".encode("utf-8-sig"))
    assert texts(opened("captions", tmp_path / "bom.csv"), "text") == {"a.png#0": "café"}
    (tmp_path / "wide.csv").write_bytes("image,caption\na.png,café\n".encode("utf-16"))
    assert texts(opened("captions", tmp_path / "wide.csv"), "text") == {"a.png#0": "café"}
    (tmp_path / "old.csv").write_bytes("image,caption\nb.png,tea\na.png,café\n".encode("latin-1"))
    with pytest.raises(BenchmarkError, match=r"not UTF-8; where: .*old.csv:3"):
        opened("captions", tmp_path / "old.csv")
    for encoding, said in (("latin-1", "latin1"), ("utf-16", "utf-16"), ("utf-16-le", "utf-16")):
        path = tmp_path / "old lines.jsonl"
        path.write_bytes('{"image": "a.png", "caption": "café"}\n'.encode(encoding))
        with pytest.raises(BenchmarkError, match=rf"not UTF-8; .*lines.jsonl:1; .*iconv -f {said} -t utf-8 '.*'"):
            opened("captions", path)
    (tmp_path / "c.jsonl.gz").write_bytes(gzip.compress(b'{"image": "a.png", "caption": "tea"}\n'))
    assert texts(opened("captions", tmp_path / "c.jsonl.gz"), "text") == {"a.png#0": "tea"}


@pytest.mark.parametrize("sign", ["\u2028", "\u2029", "\x0b", "\x0c", "\x1c", "\x85"])
def test_only_line_ends_end_a_line(tmp_path: Path, sign: str) -> None:
    """Writers of CSV do not quote other separators, at which str.splitlines() cuts."""
    said = f"a cup{sign}on a table"
    (tmp_path / "c.csv").write_text(f"image,caption\r\na.png,{said}\nb.png,a dog\n", encoding="utf-8", newline="")
    assert texts(opened("captions", tmp_path / "c.csv"), "text") == {"a.png#0": said, "b.png#0": "a dog"}


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (['{"image": "a.png", "caption": "x"}', "{oops"], r"not JSON; where: .*c.jsonl:2"),
        (['{"image": "a.png", "caption": "x"}', "[1]"], r"not a JSON object; where: .*c.jsonl:2"),
        (
            ['{"image": "a.png", "caption": "x"}', '{"image": "b.png", "caption": " "}'],
            r"empty caption \(1\).*c.jsonl:2",
        ),
        (['{"image": "a.png", "captions": ["x", ""]}'], r"empty caption \(1\).*c.jsonl:1.*empty=skip"),
        (['{"image": "a.png", "captions": []}'], r"photos without a caption \(1\).*a.png"),
        (['{"image": "a.png", "captions": ["x", 3]}'], r"a caption is no text.*c.jsonl:1, captions"),
        (['{"image": "a.png", "captions": {"a": 1}}'], r"a caption is no text"),
        (['{"image": "a.png", "caption": null}'], r"a caption is no text"),
        (['{"image": 3, "caption": "x"}'], r"a picture has no name.*c.jsonl:1, image"),
        (['{"picture": "a.png", "caption": "x"}'], r"no column names the picture.*c.jsonl:1"),
        (['{"image": "a.png", "title": "x"}'], r"no column holds captions.*c.jsonl:1"),
        (['{"image": "a\\nb.png", "caption": "x"}'], r"malformed id.*c.jsonl:1, image"),
        (
            [
                '{"image": "a.png", "caption": "x", "split": "train"}',
                '{"image": "a.png", "caption": "y", "split": "val"}',
            ],
            r"a photo is in two splits \(1\).*c.jsonl:2",
        ),
        (
            ['{"image": "a.png", "caption": "x"}', '{"image": "a.png#0", "caption": "y"}'],
            r"caption and a photo have one id",
        ),
        ([""], r"no photo with a caption"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, lines: list[str], said: str) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(BenchmarkError, match=said):
        opened("captions", path)


def test_half_a_surrogate_pair_is_refused_with_its_line(tmp_path: Path) -> None:
    smile = r'{"image": "a.png", "caption": "\ud83d\ude00 and \\ud83d"}'
    half = r'{"image": "b.png", "caption": "\ud83d"}'
    named = r'{"image": "\udE00.png", "caption": "x"}'
    path = tmp_path / "c.jsonl"
    path.write_text(smile, encoding="utf-8")
    assert texts(opened("captions", path), "text") == {"a.png#0": "\N{GRINNING FACE} and \\ud83d"}
    for bad in (half, named):
        path.write_text(f"{smile}\n{bad}\n", encoding="utf-8")
        with pytest.raises(BenchmarkError, match=r"half of a surrogate pair.*c\.jsonl:2;"):
            opened("captions", path)
        whole = tmp_path / "c.json"
        whole.write_text(f"[\n{smile},\n{bad}\n]", encoding="utf-8")
        with pytest.raises(BenchmarkError, match=r"half of a surrogate pair.*c\.json:3;"):
            opened("captions", whole)
    table = write_csv(tmp_path / "c.csv", ("image", "captions"), ("a.png", r'["x", "\ude00"]'))
    with pytest.raises(BenchmarkError, match=r"half of a surrogate pair.*c\.csv:2"):
        opened("captions", table)


def test_empty_captions_can_be_left_out(tmp_path: Path) -> None:
    rows = [{"image": "a.png", "captions": ["x", " "]}, {"image": "b.png", "captions": [""]}]
    benchmark = opened("captions", write_jsonl(tmp_path / "c.jsonl", rows), "empty=skip")
    assert texts(benchmark, "text") == {"a.png#0": "x"}
    assert benchmark.notes() == ("empty captions left out: 2", "photos without a caption left out: 1")


def test_faults_of_coco_json_are_named_and_counted(tmp_path: Path) -> None:
    good = json.loads(layout(tmp_path, "coco").read_text())
    path = tmp_path / "captions_val.json"
    for change, said in (
        (lambda v: v["annotations"][1].update(image_id=99), r"unknown image \(1\).*annotations\[1\], image_id 99"),
        (lambda v: v["annotations"][1].update(id=900), r"caption id is there twice \(1\).*annotations\[1\]"),
        (lambda v: v["images"][1].update(id=7), r"image id is there twice \(1\)"),
        (lambda v: v["annotations"][0].update(caption=4), r"another type.*annotations\[0\], caption"),
        (lambda v: v["annotations"].append(5), r"annotation is not a JSON object.*annotations\[4\]"),
        (lambda v: v.pop("annotations"), r"a JSON file of another layout"),
    ):
        value = json.loads(json.dumps(good))
        change(value)
        write_json(path, value)
        with pytest.raises(BenchmarkError, match=said):
            opened("captions", path)


def test_malformed_token_lines_and_other_files(tmp_path: Path) -> None:
    path = layout(tmp_path, "token")
    path.write_text(path.read_text() + "no tab here\n")
    with pytest.raises(BenchmarkError, match=r"malformed line; where: .*token.txt:5"):
        opened("captions", path)
    (tmp_path / "x.xml").write_text("<a/>")
    with pytest.raises(BenchmarkError, match=r"another kind.*COCO"):
        opened("captions", tmp_path / "x.xml")
    with pytest.raises(BenchmarkError, match="no such file or folder"):
        opened("captions", tmp_path / "absent")
    (tmp_path / "none").mkdir()
    with pytest.raises(BenchmarkError, match=r"no file of captions.*metadata.jsonl"):
        opened("captions", tmp_path / "none")


def test_several_files_of_captions_are_not_guessed(tmp_path: Path) -> None:
    for name in ("captions_train.json", "captions_val.json"):
        write_json(tmp_path / name, {})
    with pytest.raises(BenchmarkError, match=r"several files.*captions_train.json.*name the file"):
        opened("captions", tmp_path)


@pytest.mark.parametrize("name", ["../outside.png", "/etc/passwd", "a/../../b.png"])
def test_a_path_that_leaves_the_image_root_is_refused(tmp_path: Path, name: str) -> None:
    path = write_jsonl(tmp_path / "in" / "c.jsonl", [{"image": name, "caption": "x"}])
    with pytest.raises(BenchmarkError, match=r"leaves the image folder.*--image-root.*named in: .*c.jsonl:1"):
        list(opened("captions", path).corpus("image", "test"))


def test_absolute_paths_are_accepted_below_the_image_root(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", "a.png")
    path = write_jsonl(tmp_path / "texts" / "c.jsonl", [{"image": str(photos / "a.png"), "caption": "x"}])
    photo = opened("captions", path, image_root=photos).corpus("image", "test")[0]
    assert photo.image.data == (photos / "a.png").read_bytes()


@pytest.mark.parametrize("root", ["texts/../photos", "link", "behind/../photos"])
def test_absolute_paths_are_accepted_below_a_root_with_dots_or_a_link(tmp_path: Path, root: str) -> None:
    photos = write_photos(tmp_path / "photos", "a.png")
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "photos").symlink_to(photos)
    (tmp_path / "link").symlink_to(photos)
    (tmp_path / "behind").symlink_to(tmp_path / "deep" / "er")  # behind/.. is deep, not tmp_path
    path = write_jsonl(tmp_path / "texts" / "c.jsonl", [{"image": str(photos / "a.png"), "caption": "x"}])
    benchmark = opened("captions", path, image_root=tmp_path / root)
    assert benchmark.corpus("image", "test")[0].image.data == (photos / "a.png").read_bytes()
    convert(benchmark, tmp_path / "out", images="reference")
    copied = Benchmark(tmp_path / "out", image_root=tmp_path / root).corpus("image", "test")[0]
    assert copied.image.data == (photos / "a.png").read_bytes()


def test_a_root_with_dots_or_a_link_still_refuses_what_lies_beside_it(tmp_path: Path) -> None:
    write_photos(tmp_path, "photos/a.png", "photos2/b.png")
    (tmp_path / "link").symlink_to(tmp_path / "photos")
    path = write_jsonl(tmp_path / "c.jsonl", [{"image": str(tmp_path / "photos2" / "b.png"), "caption": "x"}])
    for root in ("link", "photos2/../photos"):
        with pytest.raises(BenchmarkError, match="leaves the image folder"):
            list(opened("captions", path, image_root=tmp_path / root).corpus("image", "test"))


@pytest.mark.parametrize("name", ["jsonl", "csv", "token", "coco"])
def test_absolute_and_relative_names_give_one_set_of_ids(tmp_path: Path, name: str) -> None:
    digests, sources = set(), set()
    for how in ("relative", "absolute"):
        path = layout(tmp_path / how, name)
        images = tmp_path / how / "images"
        if how == "absolute":
            path.write_text(re.sub(r"\b([ab]\.png)", rf"{images}/\1", path.read_text(encoding="utf-8")))
        benchmark = opened("captions", path, image_root=images)
        assert [photo.id for photo in benchmark.corpus("image", "test")] == ["a.png", "b.png"]
        assert [photo.image.name for photo in benchmark.corpus("image", "test")] == ["a.png", "b.png"]
        sources.add(benchmark.digest)
        digests.add(convert(benchmark, tmp_path / how / "out", images="reference").content_sha256)
        for file in (tmp_path / how / "out" / "data").rglob("*.parquet"):
            assert str(tmp_path) not in str(pq.read_table(file).to_pylist())
    assert len(digests) == len(sources) == 1


def test_the_digest_is_over_what_is_read(tmp_path: Path) -> None:
    rows = [{"image": "a.png", "caption": "one"}, {"image": "b.png", "caption": "two", "price": 3}]

    def digest(name: str, made: list[dict[str, object]], options: str = "") -> str:
        return opened("captions", write_jsonl(tmp_path / name / f"{name}.jsonl", made), options).digest

    before = digest("first", rows)
    assert digest("second", [{"caption": "one", "image": "a.png"}, rows[1] | {"price": 4}]) == before
    table = write_csv(tmp_path / "t.csv", ("caption", "image"), ("one", "a.png"), ("two", "b.png"))
    assert opened("captions", table).digest == before
    for changed in (rows[:1], rows[::-1], [rows[0] | {"caption": "One"}, rows[1]], [rows[0] | {"image": "c"}, rows[1]]):
        assert digest("third", changed) != before
    assert digest("fourth", rows, "equal=ignore") != before


def test_links_below_the_image_root_are_followed_wherever_they_lead(tmp_path: Path) -> None:
    """As in the cache of the hub, DVC and git-annex: who made the links is who made the folder."""
    store = write_photos(tmp_path / "elsewhere" / "store", "blob.png")
    path = write_jsonl(tmp_path / "data" / "c.jsonl", [{"image": "photos/a.png", "caption": "x"}])
    (tmp_path / "data" / "photos").mkdir()
    (tmp_path / "data" / "photos" / "a.png").symlink_to("../../elsewhere/store/blob.png")
    assert opened("captions", path).corpus("image", "test")[0].image.data == (store / "blob.png").read_bytes()
    report = Report()
    check_contents(opened("captions", path), report, decode=True)
    assert report.problems == []


@pytest.mark.parametrize(("said", "stored"), [("NFC", "NFD"), ("NFD", "NFC"), ("NFC", "NFC")])
def test_names_are_found_in_either_form_of_unicode(said: str, stored: str, tmp_path: Path) -> None:
    name = "über/café.png"
    photos = write_photos(tmp_path / "photos", unicodedata.normalize(stored, name))
    rows = [{"image": unicodedata.normalize(said, name), "caption": "a café"}]
    benchmark = opened("captions", write_jsonl(tmp_path / "c.jsonl", rows), image_root=photos)
    photo = benchmark.corpus("image", "test")[0]
    assert photo.image.data == next(photos.rglob("*.png")).read_bytes()
    assert photo.id == rows[0]["image"]
    converted = convert(benchmark, tmp_path / "out", images="reference")
    assert converted.counts["test"]["corpus"]["image"] == 1
    assert Benchmark(tmp_path / "out", image_root=photos).corpus("image", "test")[0].image.data == photo.image.data


def test_a_photo_named_absolutely_and_relatively_is_one(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", "a.png")
    rows = [{"image": "a.png", "caption": "x"}, {"image": str(photos / "a.png"), "caption": "y"}]
    benchmark = opened("captions", write_jsonl(tmp_path / "c.jsonl", rows))
    assert texts(benchmark, "text") == {"a.png#0": "x", "a.png#1": "y"}


def test_a_missing_photo_is_found_when_it_is_read(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "c.jsonl", [{"image": "gone.png", "caption": "x"}])
    photo = opened("captions", path).corpus("image", "test")[0]
    with pytest.raises(BenchmarkError, match=r"an image file is missing.*gone.png"):
        photo.image.data  # noqa: B018


@pytest.mark.parametrize("name", ["a" * 300, "a\x00b.png"])
def test_names_that_no_file_can_have(tmp_path: Path, name: str) -> None:
    (tmp_path / "below").mkdir()
    path = write_jsonl(tmp_path / "c.jsonl", [{"image": name, "caption": "x"}])
    with pytest.raises(BenchmarkError, match=r"cannot be read|malformed id.*c.jsonl:1, image"):
        opened("captions", path).corpus("image", "test")[0].image.data  # noqa: B018


@pytest.mark.parametrize("options", ["limit=0", "limit=x", "folds=-1", "equal=maybe", "frob=1", "limit"])
def test_unknown_and_malformed_options_are_refused(tmp_path: Path, options: str) -> None:
    path = write_jsonl(tmp_path / "c.jsonl", [{"image": "a.png", "caption": "x"}])
    with pytest.raises(InputError, match="option of a spec"):
        opened("captions", path, options)


def test_random_orders_get_what_the_page_on_data_sets_says() -> None:
    page = (Path(__file__).parents[3] / "docs/reference/datasets/coco-and-flickr.md").read_text(encoding="utf-8")
    for name, file in (("COCO val2017", "coco-captions-val2017"), ("Flickr8k test", "flickr8k-graded")):
        folder = realdata(file)
        spec = folder if name.startswith("COCO") else folder / "captions.jsonl"
        benchmark, alone = opened("captions", spec), opened("captions", spec, "equal=ignore")
        for task in benchmark.task_names:
            row = next(line for line in page.splitlines() if line.startswith(f"| {name} | {task}"))
            found = [float(cell) for cell in row.strip("|").split("|")[4:]]
            values = [chance(benchmark, task, f"hit_rate@{k}") for k in (1, 5, 10)]
            assert found == [round(value, 6) for value in (*values, chance(alone, task, "hit_rate@1"))]


def test_coco_val2017_has_its_published_counts() -> None:
    benchmark = opened("captions", realdata("coco-captions-val2017"))
    assert len(benchmark.corpus("image", "test")) == 5000
    assert len(benchmark.corpus("text", "test")) == 25_014
    counts = np.array([len(found) for found in relevant(benchmark, "i2t").values()])
    assert (len(counts), counts.min()) == (5000, 5)
    alone = opened("captions", realdata("coco-captions-val2017"), "equal=ignore")
    assert len(alone.judgements("t2i", "test")) == len(alone.judgements("i2t", "test")) == 25_014
    folds = opened("captions", realdata("coco-captions-val2017"), "folds=5")
    assert [len(folds.corpus(f"image_fold{n}", "test")) for n in range(1, 6)] == [1000] * 5


def test_the_photo_sets_have_their_published_counts() -> None:
    flickr = opened("captions", realdata("flickr8k-graded") / "captions.jsonl")
    assert (len(flickr.corpus("image", "test")), len(flickr.corpus("text", "test"))) == (1000, 5000)
    assert all(photo.image.path.is_file() for photo in flickr.corpus("image", "test"))
    everything = opened("captions", realdata("flickr8k-graded") / "captions-all.jsonl.gz", "split=all")
    assert (len(everything.corpus("image", "test")), len(everything.corpus("text", "test"))) == (8091, 40_455)
    coco = opened("captions", realdata("coco-val2017-mini") / "photos.jsonl")
    assert [len(coco.corpus("image", split)) for split in ("train", "validation")] == [80, 311]
    assert sum(len(coco.corpus("text", split)) for split in coco.splits) == 390 * 5 + 6


def test_an_image_that_is_a_pointer_of_git_lfs_is_said_to_be_one(tmp_path: Path) -> None:
    benchmark = opened("captions", layout(tmp_path, "csv"))
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 12345\n"
    (tmp_path / "images" / "a.png").write_text(pointer)
    images = [candidate.image for candidate in benchmark.corpus("image", "test")]
    (photo,) = [image for image in images if isinstance(image, ImageFile) and image.name == "a.png"]
    with pytest.raises(BenchmarkError, match=r"a pointer without its content; where: .*a\.png; next: .*git lfs pull"):
        decode(photo, where=photo.path)


def test_a_path_that_goes_up_and_stays_in_the_folder_is_followed(tmp_path: Path) -> None:
    write_photos(tmp_path, "a b.png", "sub/c.png")
    path = write_csv(tmp_path / "c.csv", ("image", "caption"), ("sub/../a b.png", "one"), ("sub/c.png", "two"))
    images = [candidate.image for candidate in opened("captions", path).corpus("image", "test")]
    assert [image.path for image in images] == [tmp_path / "a b.png", tmp_path / "sub/c.png"]
    path = write_csv(tmp_path / "c.csv", ("image", "caption"), ("sub/../../a b.png", "one"))
    with pytest.raises(BenchmarkError, match="leaves the image folder"):
        list(opened("captions", path).corpus("image", "test"))


def test_a_header_in_capitals_is_read(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "c.csv", ("Image", "Caption_1", "CAPTION_2", "Shop"), ("a.png", "one", "two", "x"))
    benchmark = opened("captions", path)
    assert texts(benchmark, "text") == {"a.png#0": "one", "a.png#1": "two"}
    assert benchmark.notes() == ("columns that are not read: Shop",)
    path = write_csv(tmp_path / "d.csv", ("Image", "Caption", "Colour"), ("a.png", "one", "red"))
    assert opened("captions", path, "grains=Colour").corpus("image", "test")[0].grains[0].type == "Colour"
    path = write_jsonl(tmp_path / "e.jsonl", [{"image": "a.png", "Image": "b.png", "Captions": ["one"]}])
    assert opened("captions", path).corpus("image", "test")[0].id == "a.png"  # two columns of one name stay apart
    path = write_csv(tmp_path / "f.csv", ("Picture", "Caption"), ("a.png", "one"))
    with pytest.raises(BenchmarkError, match=r"got: .*'Picture'.*one of the columns image, "):
        opened("captions", path)


def test_two_columns_for_one_thing_have_to_agree(tmp_path: Path) -> None:
    head = ("image", "filepath", "caption", "text")
    path = write_csv(tmp_path / "c.csv", head, ("a.png", "a.png", "one", ""), ("b.png", "", "two", "two"))
    assert texts(opened("captions", path), "text") == {"a.png#0": "one", "b.png#0": "two"}
    for row, said in ((("a.png", "b.png", "one", ""), "image: a.png; filepath: b.png"),
                      (("a.png", "", "one", "two"), "caption: one; text: two")):  # fmt: skip
        path = write_csv(tmp_path / "d.csv", head, row)
        with pytest.raises(BenchmarkError, match=rf"two columns .* differ; where: .*d\.csv:2; got: '{said}'.*next: "):
            opened("captions", path)


def test_a_long_cell_is_read_and_the_limit_of_the_process_stays(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    path = write_csv(tmp_path / "c.csv", ("image", "caption"), ("a.png", "one " * 50_000), ("b.png", "two"))
    rows = read_table(path)
    assert len(next(rows)[1]["caption"]) == 200_000
    assert csv.field_size_limit() == before
    assert len(list(rows)) == 1


def test_a_lone_quote_says_what_is_expected(tmp_path: Path) -> None:
    path = tmp_path / "c.tsv"
    path.write_text('image\tcaption\na.png\t"quoted" word\n')
    with pytest.raises(BenchmarkError, match=r'c\.tsv:2; .*quotes in it are doubled: """quoted"" word"'):
        opened("captions", path)
    path.write_text('image\tcaption\na.png\t"""quoted"" word"\n')
    assert set(texts(opened("captions", path), "text").values()) == {'"quoted" word'}


def test_the_hint_of_an_image_root_can_be_pasted(tmp_path: Path) -> None:
    root = tmp_path / "ph ö#1"
    with pytest.raises(BenchmarkError, match=f"next: --image-root '{root}'"):
        ImageRoot(root, allowed=False).resolve("a.png")


@pytest.mark.parametrize("options", ["limit=3&limit=4", "limit=3&equal=ignore&limit=3"])
def test_an_option_that_is_there_twice_is_refused(tmp_path: Path, options: str) -> None:
    path = write_csv(tmp_path / "c.csv", ("image", "caption"), ("a.png", "one"))
    with pytest.raises(InputError, match=r"option of a spec is there twice; where: \?limit="):
        opened("captions", path, options)
