"""Videos as folders of frames: MSR-VTT and MSVD."""

from __future__ import annotations

from pathlib import Path

import pytest
from controls import write_json
from known_models import check_controls, paint

from mrbench.benchmark import Benchmark
from mrbench.errors import BenchmarkError, InputError
from mrbench.evaluation import evaluate
from mrbench.models.controls import RandomModel
from mrbench.records import ImageFile
from mrbench.sources import open_benchmark

FRAMES = {"video7020": 5, "video9": 1, "v_ab-c_1_10": 3}


def write_frames(root: Path) -> None:
    paint(root / "frames", *(f"{video}/{n:03}.jpg" for video, number in FRAMES.items() for n in range(number)))
    (root / "frames" / "video9" / "thumbs.db").write_text("x")


def write_msrvtt(root: Path) -> Path:
    rows = [f"ret{n},msr{n},{video},a sentence on {video}" for n, video in enumerate(FRAMES)]
    root.mkdir(exist_ok=True)
    (root / "MSRVTT_JSFUSION_test.csv").write_text("\n".join(["key,vid_key,video_id,sentence", *rows]) + "\n")
    write_frames(root)
    return root


def write_msvd(root: Path) -> Path:
    captions = {
        "video7020": [["a", "man", "cooks"], "cooking"],
        "video9": [["a", "cat"]],
        "v_ab-c_1_10": ["a dog"],
        "x": ["y"],
    }
    write_json(root / "raw-captions.json", captions)
    (root / "test_list.txt").write_text("video7020\nvideo9\n\n")
    (root / "train_list.txt").write_text("v_ab-c_1_10\n")
    write_frames(root)
    return root


def frames(benchmark: Benchmark) -> dict[str, list[str]]:
    found = {}
    for video in benchmark.corpus("video", "test"):
        assert isinstance(video.image, ImageFile)
        found[video.id] = [image.name for image in (video.image, *video.more_images)]
    return found


def test_a_video_is_its_frames_in_order(tmp_path: Path) -> None:
    benchmark = open_benchmark(f"msrvtt:{write_msrvtt(tmp_path)}")
    assert frames(benchmark) == {
        video: [f"{video}/{n:03}.jpg" for n in range(number)] for video, number in FRAMES.items()
    }
    some = open_benchmark(f"msrvtt:{tmp_path}?frames=3")
    assert frames(some)["video7020"] == ["video7020/000.jpg", "video7020/002.jpg", "video7020/004.jpg"]
    assert len(frames(some)["video9"]) == 1
    assert benchmark.task_names == ("text_to_video", "video_to_text")
    query = benchmark.queries("video_to_text", "test")[0]
    assert (query.id, len(query.more_images)) == ("video7020", 4)
    assert benchmark.queries("text_to_video", "test")[1].text == "a sentence on video9"


def test_every_caption_of_msvd_asks(tmp_path: Path) -> None:
    benchmark = open_benchmark(f"msvd:{write_msvd(tmp_path)}")
    assert set(benchmark.splits) == {"train", "test"}
    asked = [(q.id, q.text, q.cluster) for q in benchmark.queries("text_to_video", "test")]
    assert asked == [
        ("video7020#0", "a man cooks", "video7020"),
        ("video7020#1", "cooking", "video7020"),
        ("video9#0", "a cat", "video9"),
    ]
    assert [q.text for q in benchmark.queries("text_to_video", "train")] == ["a dog"]
    assert [(q.id, len(q.more_images), q.cluster) for q in benchmark.queries("video_to_text", "test")] == [
        ("video7020", 4, "video7020"),
        ("video9", 0, "video9"),
    ]
    assert {(j.query_id, j.candidate_id) for j in benchmark.judgements("video_to_text", "test")} == {
        ("video7020", "video7020#0"),
        ("video7020", "video7020#1"),
        ("video9", "video9#0"),
    }


@pytest.mark.parametrize("source", ["msrvtt", "msvd"])
def test_controls_have_their_values(tmp_path: Path, source: str) -> None:
    root = (write_msrvtt if source == "msrvtt" else write_msvd)(tmp_path)
    tasks = check_controls(open_benchmark(f"{source}:{root}"))
    assert list(tasks) == ["text_to_video", "video_to_text"]
    for task in tasks.values():
        # MSVD: one of two videos; the videos have two of three captions and one of three.
        expected = 1 / 2 if source == "msvd" else 1 / task.candidates
        assert task.chance["hit_rate@1"] == pytest.approx(expected)
        assert task.scores["median_rank"] == 1
        assert "median_rank" not in task.chance, "the mean rank of a random order is not its median rank"
        assert task.setting["items of several images"] == "embedded together"


def test_a_model_of_single_images_gets_the_mean(tmp_path: Path) -> None:
    benchmark = open_benchmark(f"msrvtt:{write_msrvtt(tmp_path / 'data')}")
    result = evaluate(benchmark, RandomModel(), tmp_path / "r")
    assert {task.setting["items of several images"] for task in result.tasks.values()} == {
        "mean of the normalised embeddings of the single images"
    }


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    root = tmp_path / "data"
    root.mkdir()
    with pytest.raises(BenchmarkError, match=r"MSRVTT_JSFUSION_test.csv is missing; .*frames/VIDEO/000.jpg"):
        open_benchmark(f"msrvtt:{root}")
    with pytest.raises(BenchmarkError, match=r"raw-captions.json is missing"):
        open_benchmark(f"msvd:{root}")
    (root / "raw-captions.pkl").write_bytes(b"x")
    with pytest.raises(
        BenchmarkError, match=r"a pickled file is not read.*raw-captions.pkl; accepted: raw-captions.json"
    ):
        open_benchmark(f"msvd:{root}")
    write_json(root / "raw-captions.json", {"a": ["x"]})
    with pytest.raises(BenchmarkError, match=r"test_list.txt is missing"):
        open_benchmark(f"msvd:{root}")
    (root / "test_list.txt").write_text("a\nb\n")
    with pytest.raises(BenchmarkError, match=r"no captions; where: .*test_list.txt:2; got: 'b'"):
        len(open_benchmark(f"msvd:{root}").queries("text_to_video", "test"))
    (root / "test_list.txt").write_text("a\na\n")
    with pytest.raises(BenchmarkError, match=r"there twice; where: .*test_list.txt:2"):
        len(open_benchmark(f"msvd:{root}").queries("text_to_video", "test"))
    (root / "test_list.txt").write_text("a\n")
    benchmark = open_benchmark(f"msvd:{root}")
    assert len(benchmark.queries("text_to_video", "test")) == 1  # without any frame
    with pytest.raises(BenchmarkError, match=r"a video has no frames; where: .*frames/a; .*--image-root"):
        evaluate(benchmark, RandomModel(), tmp_path / "r")
    with pytest.raises(InputError, match=r"where: \?frames="):
        open_benchmark(f"msvd:{root}?frames=0")


def test_a_video_cannot_leave_the_root(tmp_path: Path) -> None:
    (tmp_path / "MSRVTT_JSFUSION_test.csv").write_text("video_id,sentence\n../other,x\n")
    with pytest.raises(BenchmarkError, match="leaves the image folder"):
        len(open_benchmark(f"msrvtt:{tmp_path}").corpus("video", "test"))
