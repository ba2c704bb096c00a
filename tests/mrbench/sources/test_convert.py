"""Writing any benchmark in our format: everything or nothing, with the digest of every image."""

from __future__ import annotations

from pathlib import Path

import pytest
from photos import opened, write_json, write_jsonl, write_photos
from test_hub import write_mixed

from mrbench.benchmark import Benchmark
from mrbench.encode.batches import read_ahead
from mrbench.errors import BenchmarkError, InputError, OutputError
from mrbench.evaluation import evaluate
from mrbench.models.zoo import load_model
from mrbench.records import ImageData, ImageFile
from mrbench.sources.convert import convert
from mrbench.validate import validate_open


def captions(folder: Path) -> Benchmark:
    write_photos(folder, "a.png", "b.jpg", "c.webp")
    rows = [{"image": name, "captions": [f"text {name}", f"more {name}"]} for name in ("a.png", "b.jpg", "c.webp")]
    return opened("captions", write_jsonl(folder / "captions.jsonl", rows))


def records(benchmark: Benchmark) -> dict[str, list]:
    """All that a benchmark holds, images by their bytes."""

    def plain(record: object) -> object:
        image = getattr(record, "image", None)
        return (record.id, record.text, image and image.data, getattr(record, "cluster", ""))  # type: ignore[attr-defined]

    found = {}
    for split in benchmark.splits:
        for name in benchmark.corpora:
            found[f"{split} {name}"] = [plain(record) for record in benchmark.corpus(name, split)]
        for task in benchmark.task_names:
            found[f"{split} {task} queries"] = [plain(record) for record in benchmark.queries(task, split)]
            found[f"{split} {task} qrels"] = list(benchmark.judgements(task, split))
            found[f"{split} {task} lists"] = list(benchmark.lists(task, split))
    return found


@pytest.mark.parametrize("images", ["copy", "reference"])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_converted_folder_holds_the_same_and_is_valid(tmp_path: Path, images: str, workers: int) -> None:
    benchmark = captions(tmp_path / "photos")
    convert(benchmark, tmp_path / "out", images=images, workers=workers)
    root = tmp_path / "photos" if images == "reference" else None
    made = Benchmark(tmp_path / "out", image_root=root)
    assert records(made) == records(benchmark)
    assert made.manifest.tasks == benchmark.manifest.tasks
    report, _ = validate_open(made.folder, made.manifest, images=True, workers=1, image_root=root)
    assert report.problems == []
    assert report.checked["images"] == 6  # three candidates, three queries
    image = made.corpus("image", "test")[0].image
    assert isinstance(image, ImageData if images == "copy" else ImageFile)
    assert len(image.sha256) == 64


def test_copies_and_references_have_one_digest(tmp_path: Path) -> None:
    benchmark = captions(tmp_path / "photos")
    digests = {convert(benchmark, tmp_path / how, images=how).content_sha256 for how in ("copy", "reference")}
    assert len(digests) == 1


def test_references_are_followed_only_below_a_named_root(tmp_path: Path) -> None:
    convert(captions(tmp_path / "photos"), tmp_path / "out", images="reference")
    with pytest.raises(BenchmarkError, match=r"lie outside the benchmark folder.*--image-root"):
        Benchmark(tmp_path / "out").corpus("image", "test")[0]


def test_lists_and_mixed_corpora_are_written(tmp_path: Path) -> None:
    write_photos(tmp_path, "a.png")
    item = {"filename": "a.png", "caption": "a red cat", "negative_caption": "a blue cat"}
    pairs = opened("pairs", write_json(tmp_path / "swap_att.json", {"0": item}))
    convert(pairs, tmp_path / "pairs")
    assert records(Benchmark(tmp_path / "pairs")) == records(pairs)
    mixed = opened("hub", write_mixed(tmp_path / "hub"))
    manifest = convert(mixed, tmp_path / "mixed")
    made = Benchmark(tmp_path / "mixed")
    assert records(made) == records(mixed)
    report, _ = validate_open(made.folder, manifest, images=True, workers=1, image_root=None)
    assert report.problems == []


def test_a_suite_of_ours_keeps_its_digest(tmp_path: Path, tiny: Benchmark) -> None:
    manifest = convert(tiny, tmp_path / "copy")
    assert manifest.content_sha256 == tiny.digest
    assert manifest.builder == tiny.manifest.builder


def test_a_missing_or_broken_image_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    benchmark = captions(tmp_path / "photos")
    (tmp_path / "photos/b.jpg").write_bytes(b"no picture")
    with pytest.raises(BenchmarkError, match=r"unreadable image.*b\.jpg"):
        convert(benchmark, tmp_path / "out")
    (tmp_path / "photos/b.jpg").unlink()
    with pytest.raises(BenchmarkError, match=r"an image file is missing.*b\.jpg"):
        convert(benchmark, tmp_path / "out", workers=2)
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_foreign_folders_are_left_alone(tmp_path: Path) -> None:
    benchmark = captions(tmp_path / "photos")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/letter.txt").write_text("keep")
    with pytest.raises(OutputError, match="left alone"):
        convert(benchmark, tmp_path / "mine", overwrite=True)
    convert(benchmark, tmp_path / "out")
    with pytest.raises(OutputError, match="add --overwrite"):
        convert(benchmark, tmp_path / "out")
    convert(benchmark, tmp_path / "out", overwrite=True)
    with pytest.raises(InputError, match="the output is the benchmark itself"):
        convert(Benchmark(tmp_path / "out"), tmp_path / "out", overwrite=True)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_photo_that_changed_is_not_scored_under_the_old_digest(tmp_path: Path, workers: int) -> None:
    convert(captions(tmp_path / "photos"), tmp_path / "out", images="reference")
    write_photos(tmp_path / "photos", "b.jpg")  # the colour of another
    changed = Benchmark(tmp_path / "out", image_root=tmp_path / "photos")
    batch = list(changed.corpus("image", "test"))
    named = r"other pixels than its digest says; where: b\.jpg, .*photos/b\.jpg"
    with pytest.raises(BenchmarkError, match=named):
        list(read_ahead([batch], workers=workers))
    named += f".*next: mrbench validate {tmp_path / 'out'} --image-root {tmp_path / 'photos'}"
    with pytest.raises(BenchmarkError, match=named):
        evaluate(changed, load_model("random"), tmp_path / "r")
    with pytest.raises(BenchmarkError, match=named):
        convert(changed, tmp_path / "again")
    same = [record for record in batch if record.id != "b.jpg"]
    assert len(next(read_ahead([same]))[1]) == 2
