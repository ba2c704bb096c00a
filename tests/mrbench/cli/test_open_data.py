"""Data sets of other people on the command line: list, check, convert, validate, show, evaluate, rescore, audit."""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from mrbench.benchmark import Benchmark


def mrbench(*words: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mrbench", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        timeout=120,
    )


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four photos with two captions each, in a folder with a space, named by people's own absolute paths."""
    folder = tmp_path_factory.mktemp("my photos")
    rows = []
    for number, name in enumerate(("red", "green", "blue", "grey")):
        colour = ((200, 0, 0), (0, 200, 0), (0, 0, 200), (90, 90, 90))[number]
        Image.new("RGB", (16, 12), colour).save(folder / f"{name}.png")
        rows.append({"image": str(folder / f"{name}.png"), "captions": [f"a {name} wall", f"paint: {name}"]})
    (folder / "captions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_the_sources_are_listed() -> None:
    run = mrbench("datasets")
    assert run.returncode == 0
    assert {"captions:...", "pairs:...", "hub:..."} <= {line.split()[0] for line in run.stdout.splitlines()}
    listed = json.loads(mrbench("datasets", "list", "--json").stdout)
    assert {"captions", "pairs", "hub"} <= {entry["name"] for entry in listed}


def test_check_reports_counts_and_measures(photos: Path) -> None:
    spec = f"captions:{photos}/captions.jsonl"
    run = mrbench("datasets", "check", spec, "--images", "--workers", 2)
    assert run.returncode == 0, run.stderr
    assert "task t2i (t2i, among the corpus): 8 queries in 4 clusters, 8 judgements" in run.stdout
    lacking = [line for line in run.stdout.splitlines() if "no ladders" in line]
    assert len(lacking) == 2  # a line for each task
    assert re.search(
        r"\d\d other measures lack something: .*no grains of queries \(\d+\), .*no ladders \(7\)", lacking[0]
    )
    value = json.loads(mrbench("datasets", "check", spec, "--json").stdout)
    assert value["valid"] is True
    assert value["splits"]["test"]["tasks"]["i2t"]["relevant_per_query"] == {"min": 2, "median": 2.0, "max": 2}
    assert value["splits"]["test"]["corpora"]["image"]["images"] == 4


def test_check_fails_on_faults_in_one_last_line(photos: Path, tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text('{"image": "gone.png", "caption": "a"}\n{"image": "broken.png", "caption": "b"}\n')
    (tmp_path / "broken.png").write_bytes(b"no picture")
    run = mrbench("datasets", "check", f"captions:{path}", "--images")
    assert (run.returncode, run.stdout) == (2, "")
    last = run.stderr.splitlines()[-1]
    assert last.startswith("error: the data set has faults")
    assert "missing image (1), unreadable image (1)" in last
    assert str(tmp_path / "gone.png") in run.stderr
    assert f"named in {path}:1" in run.stderr
    assert f"named in {path}:2" in run.stderr
    value = json.loads(mrbench("datasets", "check", f"captions:{path}", "--images", "--json").stdout)
    assert (value["valid"], len(value["problems"])) == (False, 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["datasets", "check", "captions:absent.csv"], "no such file or folder; where: absent.csv"),
        (["datasets", "check", "frob:x"], "unknown benchmark source; got: 'frob:x'"),
        (["datasets", "check", "captions:"], "no location in a spec"),
        (["evaluate", "pairs:absent.json", "--model", "random"], "no such file or folder"),
        (["rescore", "absent", "hub:absent"], "no such folder; where: absent"),
        (["show", "captions:absent.csv", "q"], "no such file or folder"),
        (["validate", "captions:absent.csv"], "no such file or folder"),
        (["convert", "captions:absent.csv", "--output", "out"], "no such file or folder"),
        (["convert", "x", "--output", "out", "--images", "link"], "unknown way to keep images"),
        (["audit", "captions:absent.csv"], "this benchmark has partial judgements"),
    ],
)
def test_bad_specs_are_one_line_and_exit_code_2(words: list[str], said: str, tmp_path: Path) -> None:
    run = mrbench(*words, cwd=tmp_path)
    assert (run.returncode, run.stdout, run.stderr.count("\n")) == (2, "", 1), run.stderr
    assert run.stderr.startswith("error: ")
    assert said in run.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_convert_validate_show_evaluate_and_rescore(photos: Path, tmp_path: Path) -> None:
    spec = f"captions:{photos}/captions.jsonl"
    run = mrbench("convert", spec, "--output", tmp_path / "folder")
    assert run.returncode == 0, run.stderr
    assert Benchmark(tmp_path / "folder").digest in run.stdout
    valid = mrbench("validate", tmp_path / "folder")
    assert (valid.returncode, valid.stdout.startswith("valid: ")) == (0, True), valid.stderr
    for benchmark in (spec, tmp_path / "folder"):
        shown = mrbench("show", benchmark, "red.png", "--output", tmp_path / "q.png", "--json")
        assert shown.returncode == 0, shown.stderr
        value = json.loads(shown.stdout)
        assert [step["text"] for step in value["judged"]] == ["a red wall", "paint: red"]
        assert (value["ladder"], value["judgements"]) == ([], 2)
        with Image.open(tmp_path / "q.png") as picture:
            assert picture.format == "PNG"
    scores = {}
    for name, benchmark in (("source", spec), ("folder", tmp_path / "folder")):
        out = tmp_path / "results" / name
        run = mrbench("evaluate", benchmark, "--model", "constant", "--output", out)
        assert run.returncode == 0, run.stderr
        result = json.loads((out / "result.json").read_text())
        scores[name] = {task: part["scores"] for task, part in result["tasks"].items()}
        # To a constant all are the same: one of four photos, and two of eight captions, by chance.
        assert scores[name]["t2i"]["hit_rate@1"] == pytest.approx(1 / 4)
        assert scores[name]["i2t"]["hit_rate@1"] == pytest.approx(1 / 4)
        again = mrbench("rescore", out, benchmark)
        assert again.returncode == 0, again.stderr
    assert scores["source"] == scores["folder"]


def test_validate_reads_a_source_as_check_does(photos: Path) -> None:
    run = mrbench("validate", f"captions:{photos}/captions.jsonl")
    assert run.returncode == 0, run.stderr
    assert "8 queries in 4 clusters" in run.stdout


@pytest.mark.slow
def test_referenced_images_need_their_root(photos: Path, tmp_path: Path) -> None:
    spec = f"captions:{photos}/captions.jsonl"
    run = mrbench("convert", spec, "--output", tmp_path / "out", "--images", "reference")
    assert f"images stay in {photos}: name it with --image-root" in run.stdout
    refused = mrbench("evaluate", tmp_path / "out", "--model", "constant", "--output", tmp_path / "r")
    assert refused.returncode == 2
    assert f"--image-root {shlex.quote(str(photos))}" in refused.stderr
    words = ("--model", "constant", "--output", tmp_path / "r", "--image-root", photos)
    assert mrbench("evaluate", tmp_path / "out", *words).returncode == 0
    assert mrbench("validate", tmp_path / "out", "--image-root", photos).returncode == 0
    (photos / "red.png").rename(photos / "moved.png")
    try:
        found = mrbench("validate", tmp_path / "out", "--image-root", photos)
        assert (found.returncode, "missing image" in found.stderr) == (2, True)
    finally:
        (photos / "moved.png").rename(photos / "red.png")


@pytest.mark.slow
def test_the_audit_says_what_it_is_for(photos: Path, tmp_path: Path) -> None:
    mrbench("convert", f"captions:{photos}/captions.jsonl", "--output", tmp_path / "out")
    run = mrbench("audit", tmp_path / "out")
    assert run.returncode == 2
    assert "partial judgements" in run.stderr
    assert f"mrbench datasets check {tmp_path / 'out'}" in run.stderr
    assert not (tmp_path / "out/audit").exists()


def test_check_reads_a_suite_of_ours(tiny: Benchmark) -> None:
    run = mrbench("datasets", "check", tiny.folder, "--images", "--json")
    assert run.returncode == 0, run.stderr
    tasks = json.loads(run.stdout)["splits"]["test"]["tasks"]
    assert {"grain_sensitivity", "pair_accuracy", "kendall_tau"} <= set(tasks["t2i"]["supported"])
    assert "solved_by_one_part" in tasks["it2i"]["supported"]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_named_as_an_image_is_one_line_and_nothing_waits(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(tmp_path / "b.png"))  # its whole path may be too long for a socket
    (tmp_path / "c.csv").write_text("image,caption\na.png,one\nb.png,two\n")
    spec = f"captions:{tmp_path}/c.csv"
    for images in ((), ("--images",)):
        run = mrbench("datasets", "check", spec, *images)
        assert run.returncode == 2
        for line, name in ((2, "a.png"), (3, "b.png")):
            said = rf"named in {tmp_path}/c.csv:{line}; got: an image is not a regular file; where: {tmp_path}/{name}"
            assert re.search(said, run.stderr), run.stderr
    for words in (("evaluate", spec, "--model", "random"), ("convert", spec)):
        run = mrbench(*words, "--output", tmp_path / "out")
        assert run.returncode == 2
        assert "an image is not a regular file; where: " in run.stderr.splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_one_of_a_thing_is_in_the_singular(tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"no picture")
    (tmp_path / "c.csv").write_text("image,caption\nbad.png,one\n")
    run = mrbench("datasets", "check", f"captions:{tmp_path}/c.csv", "--images")
    assert "corpus image: 1 candidate, image; 1 image; 1 faulty image\n" in run.stderr
    assert "1 query in 1 cluster, 1 judgement;" in run.stderr
    Image.new("RGB", (4, 4)).save(tmp_path / "bad.png")
    assert mrbench("convert", f"captions:{tmp_path}/c.csv", "--output", tmp_path / "out").returncode == 0
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    manifest["tasks"][0]["main"] = "bogus"
    (tmp_path / "out/manifest.json").write_text(json.dumps(manifest))
    run = mrbench("validate", tmp_path / "out")
    assert run.returncode == 2
    assert "got: '1 problem'" in run.stderr
