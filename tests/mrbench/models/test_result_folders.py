"""Where results of checkpoints go: no folder, and no advice, puts one model in the place of another."""

import json
import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import pytest
from tiny_towers import changed, write_clip

from mrbench.benchmark import Benchmark
from mrbench.cli.evaluation_jobs import check_no_other_model, folder_name
from mrbench.errors import OutputError


def mrbench(cwd: Path, *words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mrbench", *map(str, words)], capture_output=True, text=True, check=False, cwd=cwd
    )


@pytest.mark.slow
def test_two_checkpoints_of_one_name_stand_on_one_board(tiny: Benchmark, tmp_path: Path) -> None:
    one, other = (write_clip(tmp_path / part / "random") for part in "ab")
    changed(other, "preprocessor_config.json", image_mean=[0.0] * 3)
    for folder in (one, other):
        run = mrbench(tmp_path, "evaluate", tiny.folder, "--task", "i2i", "--model", f"hf:{folder}", "--device", "cpu")
        assert run.returncode == 0, run.stderr
    written = sorted((tmp_path / "results" / tiny.name).iterdir())
    assert len(written) == 2
    results = [json.loads((folder / "result.json").read_text()) for folder in written]
    for folder, result in zip(written, results, strict=True):
        assert result["model"]["name"] == "random"
        assert result["model"]["control"] is False
        assert folder.name == f"random-{result['model']['revision'].removeprefix('sha256:')[:8]}"
    board = mrbench(tmp_path, "leaderboard", "build", "results")
    assert board.returncode == 0, board.stderr
    shown = (tmp_path / "leaderboard" / "index.html").read_text()
    for result in results:
        assert f"random @ {result['model']['revision']}" in shown
    again = mrbench(tmp_path, "evaluate", tiny.folder, "--model", f"hf:{one}", "--device", "cpu")
    assert again.returncode == 2
    assert "--overwrite" in again.stderr
    there = mrbench(tmp_path, "evaluate", tiny.folder, "--model", "constant", "--output", written[0])
    assert there.returncode == 2
    assert "the output folder holds the result of another model" in there.stderr
    assert "--overwrite" not in there.stderr


@pytest.mark.parametrize(
    ("spec", "name", "revision", "folder"),
    [
        ("conse", "conse", "sha256:0123456789abcdef", "conse"),
        ("hf:a/clip", "clip", "sha256:0123456789abcdef", "clip-01234567"),
        ("hf:org/clip", "org/clip", "89abcdef0123456789abcdef0123456789abcdef", "org-clip-89abcdef"),
        ("hf:x", "../..", "sha256:0123456789abcdef", "model-01234567"),
        ("hf:x", "...", "", "model"),
        (
            "hf:x",
            "n" * 200,
            "sha256:0123456789abcdef",
            "n" * 83 + "-" + sha256(b"n" * 200).hexdigest()[:16] + "-01234567",
        ),
        ("hf:x", "Ünïcode 犬", "../v1", "Ünïcode-犬-v1"),
    ],
)
def test_the_default_folder_names_one_model(spec: str, name: str, revision: str, folder: str) -> None:
    assert folder_name(spec, SimpleNamespace(name=name, revision=revision)) == folder  # type: ignore[arg-type]


@pytest.mark.parametrize("spec", ["conse", "hf:x"])
def test_the_default_folder_has_the_number_format_that_was_asked_for(spec: str) -> None:
    model = SimpleNamespace(name="m", revision="sha256:0123456789abcdef")
    names = [folder_name(spec, model, dtype=dtype) for dtype in (None, "float32", "bfloat16")]  # type: ignore[arg-type]
    assert names[1:] == [f"{names[0]}-float32", f"{names[0]}-bfloat16"]


def test_a_long_name_of_wide_letters_is_cut_by_bytes(tiny: Benchmark, tmp_path: Path) -> None:
    for name in ("犬" * 100, "犬" * 99 + "猫"):
        words = ("--task", "i2i", "--model", "constant", "--name", name)
        run = mrbench(tmp_path, "evaluate", tiny.folder, *words)
        assert run.returncode == 0, run.stderr
    written = list((tmp_path / "results" / tiny.name).iterdir())
    assert len(written) == 2
    assert all(len(os.fsencode(folder.name)) <= 100 and folder.name.startswith("犬" * 20) for folder in written)
    model = SimpleNamespace(name="犬" * 100, revision="1")
    assert len(os.fsencode(folder_name("hf:x", model))) <= 102  # type: ignore[arg-type]


@pytest.mark.slow
def test_two_number_formats_stand_on_one_board(tiny: Benchmark, tmp_path: Path) -> None:
    spec = f"hf:{write_clip(tmp_path / 'tower')}"
    for dtype in ("float32", "bfloat16"):
        words = ("--task", "i2i", "--model", spec, "--device", "cpu", "--dtype", dtype)
        run = mrbench(tmp_path, "evaluate", tiny.folder, *words)
        assert run.returncode == 0, run.stderr
    board = mrbench(tmp_path, "leaderboard", "build", "results")
    assert board.returncode == 0, board.stderr
    shown = (tmp_path / "leaderboard" / "index.html").read_text()
    assert "tower (float32)" in shown
    assert "tower (bfloat16)" in shown


def test_a_folder_without_a_result_is_left_to_others(tmp_path: Path) -> None:
    model = SimpleNamespace(name="clip", revision="1", dtype="float32")
    check_no_other_model(tmp_path / "absent", model)  # type: ignore[arg-type]
    (tmp_path / "result.json").write_text("{")
    check_no_other_model(tmp_path, model)  # type: ignore[arg-type]


def test_a_model_in_the_place_of_another_is_named(tiny: Benchmark, tmp_path: Path) -> None:
    from mrbench.evaluation import evaluate
    from mrbench.models.zoo import load_model

    evaluate(tiny, load_model("constant"), tmp_path / "r", tasks=["i2i"])
    check_no_other_model(tmp_path / "r", load_model("constant"))
    with pytest.raises(
        OutputError,
        match=r"got: 'constant 1 float32'; accepted: that of random 1 float32 seed 0, .* choose another --output",
    ):
        check_no_other_model(tmp_path / "r", load_model("random"))
