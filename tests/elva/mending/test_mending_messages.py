"""What a user is told: commands that exist, options by their names, the one setting that differs."""

import json
import re
import shlex
from pathlib import Path

import pytest
from drawn_photos import write_photos
from typer.testing import CliRunner

from elva.data import read_benchmarks
from mrbench.cli.app import main
from mrbench.errors import InputError

ENCODERS = f"py:{Path(__file__).parents[1] / 'heads/small_encoders.py'}:"
HEAD = ["head", "--image", f"{ENCODERS}Thumbnails", "--text", f"{ENCODERS}Words", "--before", "random", "--steps", "20"]
MEND = ["mend", "--head", "--model", f"{ENCODERS}Both", "--steps", "20"]


def run(capsys, *words, code=0):
    """Return what a command of ``mrbench train`` says on stderr."""
    with pytest.raises(SystemExit) as stopped:
        main([*map(str, words)])
    said = capsys.readouterr().err
    assert stopped.value.code == code, said
    return said


def check_command(capsys, command):
    """Check that a command of a message exists, with all of its options."""
    words = shlex.split(command)
    assert words[0] == "mrbench"
    named = [word for word in words[1:] if not word.startswith("-")][:2]
    with pytest.raises(SystemExit):
        main([*named, "--help"])
    said = capsys.readouterr().out
    assert all(word in said for word in words if word.startswith("--"))


def test_a_suite_without_a_training_split_names_a_command_that_exists(tmp_path, capsys):
    from mrbench.build.scenes import ScenesConfig, build_scenes

    build_scenes(tmp_path / "s", ScenesConfig(size=64, test_queries=4, pool=60, splits=("test",)), seed=0, workers=1)
    with pytest.raises(InputError) as stopped:
        read_benchmarks([tmp_path / "s"])
    command = str(stopped.value).partition("next: ")[2]
    assert command == "mrbench build scenes --splits train --output scenes-train"
    check_command(capsys, command)


def test_photos_without_a_training_split_name_a_command_that_exists(tmp_path, capsys):
    spec = write_photos(tmp_path / "photos", 6, splits=("test",))
    run(capsys, "convert", spec, "--output", tmp_path / "photos-grains")
    said = run(capsys, "train", "elva", "--data", tmp_path / "photos-grains", "--out", tmp_path / "run", code=2)
    command = said.strip().partition("next: ")[2]
    assert command == "mrbench build captions SPEC --shares 0.8,0.1,0.1 --output DIR"
    check_command(capsys, command)


def test_the_help_of_an_export_says_what_its_folder_is():
    from mrbench.cli.app import app

    said = CliRunner().invoke(app, ["train", "export", "--help"]).output
    assert "Folder to write." in said
    assert "Folder of the run" not in said


@pytest.mark.parametrize("command", [HEAD, MEND])
def test_a_folder_in_use_names_the_option_of_the_command(command, tmp_path, capsys):
    spec = write_photos(tmp_path / "photos", 30)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "head.json").write_text(json.dumps({"format": "mrbench-head"}))
    said = run(capsys, "train", *command, "--data", spec, "--out", tmp_path / "out", code=2)
    assert said.strip().endswith("next: add --overwrite, or choose another --out")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--seed", "1"), "another option, seed; .*got: 1; accepted: 0"),
        (("--rate", "0.01"), "another option, rate; .*got: 0.01; accepted: none"),
        (("--batch", "7"), "another option, batch; .*got: 7; accepted: 128"),
    ],
)
def test_resuming_with_another_option_names_it_and_both_values(more, said, tmp_path, capsys, monkeypatch):
    from elva.tuning.train import Run

    spec = write_photos(tmp_path / "photos", 30)
    with monkeypatch.context() as patched:

        def stop(self, step):
            raise KeyboardInterrupt

        patched.setattr(Run, "loss", stop)
        run(capsys, "train", *MEND, "--data", spec, "--out", tmp_path / "out", code=130)
    found = run(capsys, "train", *MEND, "--data", spec, "--out", tmp_path / "out", "--resume", *more, code=2)
    (line,) = [line for line in found.splitlines() if line.startswith("error:")]
    assert len(line) < 400
    assert re.search(said, line), line


@pytest.mark.parametrize("command", [HEAD, MEND])
def test_resuming_where_nothing_was_interrupted_says_so(command, tmp_path, capsys):
    spec = write_photos(tmp_path / "photos", 30)
    found = run(capsys, "train", *command, "--data", spec, "--out", tmp_path / "out", "--resume")
    assert found.startswith(f"nothing to go on with in {tmp_path / 'out.unfinished'}: the run starts anew")


def test_photos_that_moved_are_found_below_their_image_roots(tmp_path, capsys):
    """Training, testing, and a second benchmark: each is read where the option says."""
    specs = [write_photos(tmp_path / name, 30, seed=seed) for seed, name in enumerate(("one", "other"))]
    roots = []
    for name, spec in zip(("one", "other"), specs, strict=True):
        run(capsys, "convert", spec, "--images", "reference", "--output", tmp_path / f"{name}-benchmark")
        roots.append((tmp_path / name).rename(tmp_path / f"{name}-moved"))
    words = ["--data", tmp_path / "one-benchmark", "--keep", tmp_path / "other-benchmark", "--out", tmp_path / "out"]
    said = run(capsys, "train", *MEND, *words, code=2)
    assert "--image-root" in said
    said = run(capsys, "train", *MEND, *words, "--image-root", roots[0], code=2)
    assert f"--keep-image-root {tmp_path / 'other'}" in said
    said = run(capsys, "train", *MEND, *words, "--image-root", roots[0], "--keep-image-root", roots[1])
    assert f"next: mrbench evaluate {tmp_path / 'one-benchmark'} --image-root {roots[0]} --model head:" in said
    facts = json.loads((tmp_path / "out" / "head.json").read_text())
    assert f"--keep-image-root {roots[1]}" in facts["command"]
    run(capsys, *shlex.split(said.strip().rpartition("mrbench ")[2]), "--output", tmp_path / "result")
