"""Reading: records come back as they were, and a folder that is not whole is refused in one line."""

from __future__ import annotations

import io
import json
import os
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from png_bomb import png_header
from tiny_benchmark import QUERIES, candidate, ladder, queries, write_tiny

from mrbench.benchmark import Benchmark, decode, encode_png, pixel_sha256, schema, write_benchmark, writer
from mrbench.benchmark.reader import NO_IMAGES
from mrbench.errors import BenchmarkError, FormatVersionError, InputError, MRBenchError
from mrbench.files import sha256_file
from mrbench.records import Candidate, Grain, ImageData, Query, Variant


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_tiny(tmp_path / "tiny").folder


def test_records_come_back_as_they_were(tiny: Benchmark) -> None:
    for task in QUERIES:
        assert list(tiny.queries(task, "test")) == queries(task)
    pool = {
        tuple(g.value for g in c.grains): candidate("image", tuple(g.value for g in c.grains)) for c in images(tiny)
    }
    assert list(images(tiny)) == list(pool.values())
    assert list(tiny.ladders("t2i", "test")) == [ladder(query, pool) for query in queries("t2i")]
    assert {j.grade for j in tiny.judgements("t2i", "test")} == {0, 1, 2, 3}
    assert tiny.splits == ("test",)


def images(benchmark: Benchmark):
    return benchmark.corpus("image", "test")


def test_no_picture_changes_its_id(tmp_path: Path) -> None:
    """A thousand different pictures over several row groups and shards, each under its own id when read back."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "IMAGE_ROWS_PER_FILE", 512)
        written = {}
        with write_benchmark(tmp_path / "out") as out:
            for n in range(1000):
                image = encode_png(Image.new("RGB", (3, 2), (n % 256, n // 256, 77)))
                written[f"{n * 7919 % 1000:04d}"] = image.sha256
                out.add_candidates("test", [Candidate(f"{n * 7919 % 1000:04d}", (Grain("n", str(n)),), None, image)])
            out.finish(
                name="t", title="", builder={}, seed=0, tools={}, sources=(), licence="", split_rule={}, description=""
            )
    read = Benchmark(tmp_path / "out")
    assert [entry.rows for entry in read.manifest.files.values()] == [512, 488]
    found = {c.id: pixel_sha256(decode(c.image, where=c.id)) for c in images(read)}
    assert found == written
    assert all(images(read)[n].id == key for n, key in enumerate(written))
    assert images(read).find("0123").image.sha256 == written["0123"]
    assert images(read).find("x") is None
    with pytest.raises(IndexError):
        images(read)[1000]


def test_table_without_rows(tmp_path: Path) -> None:
    with write_benchmark(tmp_path / "b") as writer:
        writer.add_queries("test", [Query("q", "t2i", "", (Grain("entity", "cat"),), "a cat")])
        writer.add_variants("test", "t2i", [])
        writer.finish(
            name="t", title="T", builder={}, seed=0, tools={}, sources=(), licence="", split_rule={}, description=""
        )
    empty = Benchmark(tmp_path / "b")
    assert len(empty.variants("t2i", "test")) == 0
    assert list(empty.variants("t2i", "test")) == []


def test_variants_come_back_as_they_were(tiny: Benchmark) -> None:
    kinds = Counter(variant.kind for variant in tiny.variants("t2i", "test"))
    grains = sum(len(query.grains) for query in tiny.queries("t2i", "test"))
    assert kinds == {"degrained": grains, "flipped": grains, "paraphrased": 2 * len(tiny.queries("t2i", "test"))}


def test_unknown_task_and_split(tiny: Benchmark) -> None:
    with pytest.raises(InputError, match=r"unknown task.*'x2y'.*t2i, i2t, i2i, it2i"):
        tiny.queries("x2y", "test")
    with pytest.raises(InputError, match=r"unknown split.*'train'.*test"):
        tiny.queries("t2i", "train")


QRELS = "data/qrels/t2i-test-00000.parquet"


def _flip(folder: Path) -> None:
    path = folder / QRELS
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _not_fetched(name: str):
    """As git-annex leaves a file whose content was not fetched."""

    def change(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).symlink_to("../.git/annex/objects/aa/bb/SHA256E-s9--cc.parquet")

    return change


def _disk_gone(folder: Path) -> None:
    shutil.rmtree(folder / "data")
    (folder / "data").symlink_to("/no/such/disk", target_is_directory=True)


def _loop(folder: Path) -> None:
    (folder / QRELS).unlink()
    (folder / QRELS).symlink_to(Path(QRELS).name)


def _pointer(name: str, text: str):
    return lambda folder: (folder / name).write_text(text)


LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:" + 64 * "0" + "\nsize 123\n"


def _edit(**changes):
    def change(folder: Path) -> None:
        path = folder / "manifest.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return change


def _file(name: str):
    def change(folder: Path) -> None:
        path = folder / "manifest.json"
        manifest = json.loads(path.read_text())
        manifest["files"][name] = manifest["files"].pop(QRELS)
        path.write_text(json.dumps(manifest))

    return change


@pytest.mark.parametrize(
    ("spoil", "error", "words"),
    [
        (shutil.rmtree, BenchmarkError, "no such benchmark folder"),
        (lambda f: (f / "manifest.json").unlink(), BenchmarkError, "not finished: no manifest"),
        (_flip, BenchmarkError, "altered.*t2i-test"),
        (lambda f: (f / QRELS).unlink(), BenchmarkError, "missing.*t2i-test"),
        (lambda f: (f / QRELS).write_bytes((f / QRELS).read_bytes()[:-9]), BenchmarkError, "another size.*t2i-test"),
        (_not_fetched(QRELS), BenchmarkError, r"link to what is not there \(.*annex.*t2i-test.*git annex get"),
        (_not_fetched("manifest.json"), BenchmarkError, r"link to what is not there .*manifest.json.*git annex get"),
        (_disk_gone, BenchmarkError, "link to what is not there .*/no/such/disk"),
        (_loop, BenchmarkError, "link that leads to itself.*t2i-test"),
        (_pointer(QRELS, LFS), BenchmarkError, "pointer without its content.*t2i-test.*git lfs pull"),
        (_pointer("manifest.json", LFS), BenchmarkError, "pointer without its content.*git lfs pull"),
        (_pointer(QRELS, "/annex/objects/SHA256E-s9\n"), BenchmarkError, "pointer without its content.*git annex get"),
        (_edit(format_version=3), FormatVersionError, "newer.*got: 3; accepted: 1 to 2"),
        (_edit(format_version=0), BenchmarkError, "format version"),
        (_edit(format_version=True), BenchmarkError, "format version"),
        (_edit(format="other"), BenchmarkError, "not a manifest of MRBench"),
        (_edit(files=[]), BenchmarkError, "malformed manifest"),
        (_edit(seed="x"), BenchmarkError, "malformed manifest"),
        (_edit(tasks=["x2y"]), BenchmarkError, "unknown task.*x2y"),
        (_edit(counts={"tset": {}}), BenchmarkError, "unknown split.*tset"),
        (_file("data/../../secret"), BenchmarkError, "outside data/"),
        (_file("/etc/passwd"), BenchmarkError, "outside data/"),
        (_file("data\\..\\x"), BenchmarkError, "outside data/"),
        (_file("data/a\0b"), BenchmarkError, "outside data/"),
        (lambda f: (f / "manifest.json").write_text("{"), BenchmarkError, "unreadable manifest"),
        (lambda f: (f / "manifest.json").write_bytes(b"\xff"), BenchmarkError, "unreadable manifest"),
        (lambda f: (f / "manifest.json").write_text("[]"), BenchmarkError, "not a manifest"),
    ],
)
def test_folder_that_is_not_whole(folder: Path, spoil, error: type[MRBenchError], words: str) -> None:
    spoil(folder)
    with pytest.raises(error, match=words) as caught:
        Benchmark(folder)
    assert "\n" not in str(caught.value)


def _blobs(folder: Path) -> None:
    """As the hub's cache, DVC and git-annex lay a folder out: every file is a link to one named by its digest."""
    blobs = folder.parent / "blobs"
    blobs.mkdir()
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        blob = blobs / sha256_file(path)
        shutil.move(path, blob)
        path.symlink_to(os.path.relpath(blob, path.parent))


def _other_disk(folder: Path) -> None:
    shutil.move(folder / "data", folder.parent / "large")
    (folder / "data").symlink_to(folder.parent / "large", target_is_directory=True)


def _linked_table(folder: Path) -> None:
    shutil.move(folder / "data/qrels", folder.parent / "qrels")
    (folder / "data/qrels").symlink_to(folder.parent / "qrels", target_is_directory=True)


@pytest.mark.parametrize("lay_out", [_blobs, _other_disk, _linked_table])
def test_a_folder_of_links_is_read_and_still_compared_with_its_manifest(folder: Path, lay_out) -> None:
    before = Benchmark(folder)
    rows = list(before.queries("t2i", "test"))
    lay_out(folder)
    after = Benchmark(folder)
    assert (after.digest, list(after.queries("t2i", "test"))) == (before.digest, rows)
    (folder.parent / "name").symlink_to(folder, target_is_directory=True)
    assert list(Benchmark(folder.parent / "name").queries("t2i", "test")) == rows
    _flip(folder)  # through the link
    with pytest.raises(BenchmarkError, match=r"altered.*t2i-test"):
        Benchmark(folder)


def test_without_verification_a_changed_byte_passes(folder: Path) -> None:
    _flip(folder)
    assert Benchmark(folder, verify=False).name == "tiny"


def _bitmap() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "BMP")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "unreadable image"),
        (b"<svg/>", "unreadable image"),
        (_bitmap(), "unreadable image"),
        (encode_png(Image.new("RGB", (64, 64), "red")).data[:90], "unreadable image"),
        (png_header(9000, 9000), "image is too large.*9000x9000"),
        (png_header(3, 601), "too long and narrow.*3x601.*200 times"),
        (b"GIF89a" + bytes(20), "unreadable image.*26 bytes that begin with b'GIF89a"),
        (png_header(60000, 60000), "unreadable image.*decompression bomb"),
    ],
)
def test_pictures_that_cannot_be_vouched_for(data: bytes, words: str) -> None:
    with pytest.raises(BenchmarkError, match=f"(?s){words}") as caught:
        decode(ImageData(data, ""), where="record 17")
    assert "record 17" in str(caught.value)


def test_decoding_lays_transparency_over_white_and_reads_three_formats() -> None:
    picture = Image.new("RGBA", (2, 1), (255, 0, 0, 0))
    for form in ("PNG", "WEBP"):
        buffer = io.BytesIO()
        picture.save(buffer, form)
        assert decode(ImageData(buffer.getvalue(), ""), where="").getpixel((0, 0)) == (255, 255, 255)
    buffer = io.BytesIO()
    Image.new("L", (2, 1), 7).save(buffer, "JPEG")
    assert decode(ImageData(buffer.getvalue(), ""), where="").mode == "RGB"


def saved(picture: Image.Image, form: str = "PNG", **options: object) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return decode(ImageData(buffer.getvalue(), ""), where="")


def test_16_bit_grey_is_what_it_looks_like() -> None:
    ramp = np.linspace(0, 65535, 64 * 64).reshape(64, 64)
    found = np.asarray(saved(Image.fromarray(ramp.astype(np.uint16))))
    assert np.abs(found - ramp[:, :, None] / 257).max() <= 1
    keyed = np.asarray(saved(Image.fromarray(np.array([[300, 700]], np.uint16)), transparency=300))
    assert keyed.tolist() == [[[255, 255, 255], [2, 2, 2]]]


@pytest.mark.parametrize("mode", ["RGB", "L", "P"])
def test_a_transparent_colour_is_laid_over_white(mode: str) -> None:
    picture = Image.new("RGB", (2, 1), (9, 9, 9)).convert(mode)
    picture.putpixel((1, 0), (200, 0, 0) if mode == "RGB" else 77)
    key = (9, 9, 9) if mode == "RGB" else picture.getpixel((0, 0))
    found = saved(picture, transparency=key)
    assert found.getpixel((0, 0)) == (255, 255, 255)
    assert found.getpixel((1, 0)) != (255, 255, 255)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_pictures_are_turned_as_their_exif_says(form: str) -> None:
    picture = Image.new("RGB", (16, 32), "white")
    picture.paste("black", (0, 0, 16, 16))
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter to the right: what is on top comes to the right
    found = saved(picture, form, exif=exif)
    assert found.size == (32, 16)
    assert found.getpixel((28, 8))[0] < 60 < 200 < found.getpixel((3, 8))[0]


@pytest.mark.parametrize(
    "exif", [b"Exif", b"Exif\0\0MM\0*\xff\xff\xff\xff", bytes(range(256)), b"Exif\0\0II*\0\x08\0\0\0\xff\xff"]
)
def test_exif_that_cannot_be_read_turns_nothing(exif: bytes) -> None:
    assert saved(Image.new("RGB", (16, 32), "white"), "JPEG", exif=exif).size == (16, 32)


def test_pixel_digest_tells_sizes_apart() -> None:
    assert pixel_sha256(Image.new("RGB", (2, 3))) != pixel_sha256(Image.new("RGB", (3, 2)))


def test_rows_and_records_are_inverse() -> None:
    image = encode_png(Image.new("RGB", (1, 1)))
    text = Candidate("a", (Grain("entity", "Katze", 0, 5), Grain("count", "one")), "Katze ✓")
    for record in (text, replace(text, text=None, image=image), replace(text, image=image)):
        assert schema.row_candidate(schema.candidate_row(record), NO_IMAGES) == record
    probe = Variant("q", "degrained", "count", "p", None, image)
    assert schema.row_variant(schema.variant_row(probe), NO_IMAGES) == probe
    for query in [q for task in QUERIES for q in queries(task)]:
        assert schema.row_query(schema.query_row(query), NO_IMAGES) == query
