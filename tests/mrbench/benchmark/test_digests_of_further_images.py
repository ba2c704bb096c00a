"""Further images of a record have digests of their pixels, as the first has."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from mrbench.benchmark import Benchmark, encode_png, read_manifest, write_benchmark
from mrbench.errors import BenchmarkError
from mrbench.evaluation import evaluate
from mrbench.models.controls import RandomModel
from mrbench.records import Candidate, ImageData, Judgement, Query, Task
from mrbench.sources import open_benchmark
from mrbench.sources.convert import convert
from mrbench.validate import Report, validate_open


def frame(path: Path, level: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (level, level, 0)).save(path)


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    root = tmp_path / "videos"
    for number in range(2):
        for at in range(3):
            frame(root / "frames" / f"v{number}" / f"{at:03}.png", 90 * number + 20 * at)
    (root / "MSRVTT_JSFUSION_test.csv").write_text("video_id,sentence\nv0,a cat\nv1,a dog\n")
    return root


def validated(folder: Path, image_root: Path | None = None) -> Report:
    return validate_open(folder, read_manifest(folder), images=True, workers=1, image_root=image_root)[0]


def test_copies_and_references_have_one_digest_and_every_frame_has_one(videos: Path, tmp_path: Path) -> None:
    benchmark = open_benchmark(f"msrvtt:{videos}")
    made = {how: convert(benchmark, tmp_path / how, images=how) for how in ("copy", "reference")}
    assert made["copy"].content_sha256 == made["reference"].content_sha256
    for how in made:
        folder = Benchmark(tmp_path / how, image_root=videos / "frames")
        record = folder.corpus("video", "test")[0]
        assert [len(image.sha256) for image in record.more_images] == [64, 64]
        assert len({record.image.sha256, *(image.sha256 for image in record.more_images)}) == 3
        assert validated(tmp_path / how, videos / "frames").problems == []


def test_a_frame_that_changed_is_found(videos: Path, tmp_path: Path) -> None:
    convert(open_benchmark(f"msrvtt:{videos}"), tmp_path / "out", images="reference")
    frame(videos / "frames" / "v1" / "002.png", 255)
    changed = Benchmark(tmp_path / "out", image_root=videos / "frames")
    with pytest.raises(BenchmarkError, match=r"other pixels than its digest says; where: v1, .*v1/002\.png"):
        evaluate(changed, RandomModel(), tmp_path / "r")
    report = validated(tmp_path / "out", videos / "frames")
    assert report.rules == {"unreadable image"}
    assert "its pixels have the digest" in str(report.problems[0])


def written(folder: Path, *, known: bool) -> Path:
    task = Task("find", "text → image", "text", "image", judgements="partial")
    images = [encode_png(Image.new("RGB", (4, 4), (level, 0, 0))) for level in range(6)]
    further = images if known else [ImageData(image.data, "") for image in images]
    rows = [Candidate(f"c{n}", image=images[2 * n], more_images=(further[2 * n + 1],)) for n in range(3)]
    with write_benchmark(folder, tasks=[task], corpora={"image": "image"}) as writer:
        writer.add_candidates("test", rows, corpus="image")
        writer.add_queries("test", [Query("q", "find", "", text="a wall")])
        writer.add_judgements("test", "find", [Judgement("q", "c1", 1)])
        writer.finish(name="walls", title="Walls")
    return folder


def test_the_digest_is_over_pixels_where_they_are_known(tmp_path: Path) -> None:
    known, unknown = written(tmp_path / "known", known=True), written(tmp_path / "unknown", known=False)
    assert Benchmark(known).digest != Benchmark(unknown).digest
    for folder in (known, unknown):
        assert validated(folder).problems == []


def rewritten(folder: Path, change: object) -> None:
    """Change the table of candidates, and what the manifest says of its file; no digest of the content."""
    name = "data/corpus/image-test-00000.parquet"
    pq.write_table(change(pq.read_table(folder / name, partitioning=None)), folder / name)  # type: ignore[operator]
    raw, said = (folder / name).read_bytes(), json.loads((folder / "manifest.json").read_text())
    said["files"][name] |= {"sha256": hashlib.sha256(raw).hexdigest(), "bytes": len(raw)}
    (folder / "manifest.json").write_text(json.dumps(said))
    for name in ("README.md", "croissant.json"):
        (folder / name).unlink()


def test_a_folder_of_before_lacks_the_column_and_is_still_valid(tmp_path: Path) -> None:
    folder = written(tmp_path / "old", known=False)
    rewritten(folder, lambda table: table.drop_columns(["more_images_sha256"]))
    assert validated(folder).problems == []
    record = Benchmark(folder).corpus("image", "test")[1]
    assert [image.sha256 for image in record.more_images] == [""]


def test_digests_that_are_fewer_than_the_images_are_refused(tmp_path: Path) -> None:
    folder = written(tmp_path / "few", known=True)

    def halved(table):
        at = table.column_names.index("more_images_sha256")
        kind = table.schema.field(at).type
        return table.set_column(at, "more_images_sha256", pa.array([["a", "b"]] * len(table), kind))

    rewritten(folder, halved)
    with pytest.raises(BenchmarkError, match="another number of digests than of images; where: c0; got: '2 digests"):
        list(Benchmark(folder).corpus("image", "test"))
