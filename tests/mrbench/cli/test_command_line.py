"""The command line as users meet it: exit codes, one-line errors, clean streams."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mrbench.benchmark import Benchmark
from mrbench.encode import EmbeddingStore
from mrbench.models.zoo import load_model


def mrbench(*words: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mrbench", *map(str, words)], capture_output=True, text=True, check=False, cwd=cwd
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["frob"], "frob"),
        (["build", "emoji"], "--output"),
        (["build", "emoji", "--output", "x", "--size", "3"], "--size"),
        (["build", "emoji", "--output", "x", "--splits", "exam"], "exam"),
        (["validate", "no-such-folder"], "no-such-folder"),
        (["show", "no-such-folder", "q"], "no-such-folder"),
        (["evaluate", "no-such-folder", "--model", "random"], "no-such-folder"),
        (["rescore", "no-such-folder", "no-such-benchmark"], "no-such-benchmark"),
        (["leaderboard", "build", "no-such-folder"], "no-such-folder"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(words: list[str], said: str, tmp_path: Path) -> None:
    run = mrbench(*words, cwd=tmp_path)
    assert run.returncode == 2
    assert run.stdout == ""
    assert run.stderr.startswith("error: ")
    assert run.stderr.count("\n") == 1
    assert said in run.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_audit_that_fails_names_the_checks_in_its_last_line(tiny: Benchmark, tmp_path: Path) -> None:
    run = mrbench("audit", tiny.folder, "--output", tmp_path / "report")
    assert run.returncode == 2
    assert run.stdout == ""
    last = run.stderr.splitlines()[-1]
    assert last.startswith("error: the audit found leaks or faults: ")
    assert "one half of a composed query" in last
    assert str(tmp_path / "report" / "report.md") in last


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    run = mrbench("--debug", "validate", tmp_path / "absent")
    assert run.returncode == 2
    assert "Traceback" in run.stderr


def test_demo_leaves_a_foreign_folder_alone(tmp_path: Path) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("keep")
    run = mrbench("demo", "--small", "--output", tmp_path)
    assert run.returncode == 2
    assert "left alone" in run.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    assert mine.read_text() == "keep"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_build_leaves_nothing(number: signal.Signals, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "mrbench", "build", "emoji", "--output", "out", "--workers", "2"]
    run = subprocess.Popen(
        words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob(".out.partial-*")) and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.5)
        if number == signal.SIGINT:
            os.killpg(run.pid, number)  # as a terminal does: to the workers too
        else:
            run.send_signal(number)
        printed, said = run.communicate(timeout=60)
    finally:
        run.kill()
    assert run.returncode == 130
    assert (printed, said) == ("", "error: interrupted; nothing was left half-written\n")
    assert list(tmp_path.iterdir()) == []


def test_a_hangup_that_is_ignored_stays_ignored() -> None:
    """As under nohup, which starts programs so."""
    program = (
        "import signal, sys; from mrbench.cli.app import main\n"
        "signal.signal(signal.SIGHUP, getattr(signal, sys.argv[1]))\n"
        "try: main(['--version'])\n"
        "finally: print(signal.getsignal(signal.SIGHUP) is signal.SIG_IGN)"
    )
    for before, ignored in (("SIG_DFL", "False"), ("SIG_IGN", "True")):
        run = subprocess.run([sys.executable, "-c", program, before], capture_output=True, text=True, check=True)
        assert run.stdout.splitlines()[-1] == ignored


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--model", "clop"], "got: 'clop'"),
        (["--model", "random", "--task", "t2x"], "got: 't2x'"),
        (["--model", "random", "--split", "exam"], "got: 'exam'"),
        (["--model", "random", "--pool", "all"], "got: 'all'"),
        (["--model", "random", "--device", "abacus"], "abacus"),
        (["--model", "random", "--limit", "0"], "--limit"),
        (["--model", "random", "--workers", "-1"], "--workers"),
        (["--model", "random", "--patience", "-1"], "--patience"),
        (["--model", "hf:no/such/folder/at/all"], "no/such/folder/at/all"),
    ],
)
def test_evaluate_says_what_it_does_not_know(
    words: list[str], said: str, tiny: Benchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    output = tmp_path / "result"
    run = mrbench("evaluate", tiny.folder, "--output", output, *words)
    assert run.returncode == 2
    assert run.stdout == ""
    assert run.stderr.startswith("error: ")
    assert run.stderr.count("\n") == 1
    assert said in run.stderr
    assert not output.exists()


def test_a_gpu_has_images_decoded_by_its_share_of_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    from mrbench.cli import evaluation_jobs

    monkeypatch.setattr(evaluation_jobs, "cores", lambda: 128)
    assert (
        evaluation_jobs.decoding_workers(SimpleNamespace(device="cuda")) == 16
    )  # more is more than one process can take
    monkeypatch.setattr(evaluation_jobs, "cores", lambda: 16)
    found = {}
    for processes in (None, "1", "8", "64", "many", "0"):
        if processes is None:
            monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
        else:
            monkeypatch.setenv("LOCAL_WORLD_SIZE", processes)
        found[processes] = evaluation_jobs.decoding_workers(SimpleNamespace(device="cuda:3"))
        assert evaluation_jobs.decoding_workers(SimpleNamespace(device="cpu")) == 0
    assert found == {None: 16, "1": 16, "8": 2, "64": 1, "many": 16, "0": 16}


@pytest.mark.slow
def test_evaluate_prints_json_and_publishes(tiny: Benchmark, tmp_path: Path) -> None:
    run = mrbench("evaluate", tiny.folder, "--model", "constant", "--output", tmp_path / "r", "--json")
    assert run.returncode == 0
    assert json.loads(run.stdout)["model"]["name"] == "constant"
    board = mrbench("leaderboard", "build", tmp_path / "r", "--output", tmp_path / "board")
    assert board.returncode == 0
    assert "constant" in board.stdout
    assert (tmp_path / "board/index.html").is_file()
    again = mrbench("evaluate", tiny.folder, "--model", "constant", "--output", tmp_path / "r")
    assert again.returncode == 2
    assert "--overwrite" in again.stderr


@pytest.mark.slow
def test_rescore_reads_no_model(tiny: Benchmark, tmp_path: Path) -> None:
    assert mrbench("evaluate", tiny.folder, "--model", "random", "--output", tmp_path / "r").returncode == 0
    result = tmp_path / "r" / "result.json"
    written = result.read_bytes()
    program = (
        "import sys; from mrbench.cli.app import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: print('torch' in sys.modules, file=sys.stderr)"
    )
    words = [sys.executable, "-c", program, "rescore", str(tmp_path / "r"), str(tiny.folder)]
    run = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "False\n")
    assert "random on" in run.stdout
    told = mrbench("rescore", tmp_path / "r", tiny.folder, "--json")
    assert json.loads(told.stdout) == json.loads(written)
    older = json.loads(written)
    task = next(iter(older["tasks"].values()))
    task["scores"]["mrr"] = 0.123
    result.write_text(json.dumps(older))
    told = mrbench("rescore", tmp_path / "r", tiny.folder, "--json")
    assert json.loads(told.stdout) == json.loads(written)
    assert told.returncode == 2
    assert re.search(r"result\.json; got: 'tasks\.\w+\.scores\.mrr is 0\.123, by the run 0\.\d+'", told.stderr)
    assert json.loads(result.read_text()) == older
    assert mrbench("rescore", tmp_path / "r", tiny.folder, "--overwrite").returncode == 0
    assert result.read_bytes() == written


def test_help_has_no_colour_when_piped() -> None:
    run = mrbench("--help")
    assert run.returncode == 0
    assert "\x1b" not in run.stdout


def test_show_writes_only_pictures(tiny: Benchmark, tmp_path: Path) -> None:
    query = tiny.queries("t2i", "test")[0]
    kept = tmp_path / "manifest.json"
    kept.write_text("{}")
    run = mrbench("show", tiny.folder, query.id, "--output", kept)
    assert (run.returncode, run.stdout) == (2, "")
    assert ".png" in run.stderr
    assert kept.read_text() == "{}"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["build", "scenes", "--output", "", "--splits", "test"], "an empty value; where: after --output"),
        (["build", "scenes", "--output=", "--splits", "test"], "an empty value; where: after --output="),
        (["build", "scenes", "--output", ".", "--splits", "test"], "the output is the current folder"),
        (["evaluate", "", "--model", "random"], "an empty value; where: after evaluate"),
        (["evaluate", "BENCHMARK", "--model", "elva:"], "no path of a model; got: 'elva:'; accepted: elva:PATH"),
        (["cache", "clear", "--cache", ""], "an empty value; where: after --cache"),
        (
            ["evaluate", "BENCHMARK", "--model", "random", "--output", "\udcff"],
            "a value that is not UTF-8; where: after",
        ),
        (["cache", "clear", "--cache", ".", "--model", "nope"], "got: 'nope'; accepted: random"),
    ],
)
def test_no_path_is_empty_or_of_other_characters(words: list[str], said: str, tiny: Benchmark, tmp_path: Path) -> None:
    random = load_model("random")
    EmbeddingStore(random, tmp_path).put([bytes(32)], np.ones((1, random.dimension), dtype=np.float32))
    before = sorted(tmp_path.rglob("*"))
    run = mrbench(*(tiny.folder if word == "BENCHMARK" else word for word in words), cwd=tmp_path)
    assert (run.returncode, run.stdout) == (2, "")
    assert said in run.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_a_cache_in_the_output_is_refused(tiny: Benchmark, tmp_path: Path) -> None:
    for cache in (tmp_path / "r", tmp_path / "r" / "cache"):
        run = mrbench("evaluate", tiny.folder, "--model", "random", "--output", tmp_path / "r", "--cache", cache)
        assert run.returncode == 2
        assert "the cache is in the output folder" in run.stderr
        assert not (tmp_path / "r").exists()


def test_an_error_of_the_system_says_where(tmp_path: Path) -> None:
    run = mrbench("build", "scenes", "--output", tmp_path / ("x" * 300))
    assert run.returncode == 2
    assert run.stderr.startswith("error: File name too long; where: ")
    (tmp_path / "file").write_text("")
    run = mrbench("build", "scenes", "--output", tmp_path / "file" / "a" / "b")
    assert run.returncode == 2
    assert f"at {tmp_path}/file" in run.stderr


@pytest.mark.slow
@pytest.mark.parametrize("option", ["--output", "--cache"])
@pytest.mark.parametrize("to", ["link", "nowhere"])
def test_a_link_to_nothing_is_one_line(tiny: Benchmark, tmp_path: Path, option: str, to: str) -> None:
    (tmp_path / "link").symlink_to(to)
    run = mrbench("evaluate", tiny.folder, "--model", "random", option, "link", cwd=tmp_path)
    assert run.returncode == 2
    assert run.stderr.startswith("error: ")
    assert run.stderr.count("\n") == 1
    assert "link" in run.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["link"]


@pytest.mark.slow
def test_the_batch_size_is_in_the_command_that_is_kept(tiny: Benchmark, tmp_path: Path) -> None:
    for words, kept in (((), False), (("--batch-size", "8"), True)):
        run = mrbench("evaluate", tiny.folder, "-m", "random", "-o", tmp_path / "r", "--overwrite", "--json", *words)
        assert ("--batch-size 8" in json.loads(run.stdout)["command"]) == kept


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "../../elsewhere"}, "name"),
        ({"tasks": [["t2i"]]}, "unknown key of a task"),
        ({"counts": {"test": 5}}, "malformed manifest"),
        ({"files": {}}, "counts and files disagree"),
    ],
)
def test_a_manifest_that_lies_is_one_line(
    change: dict[str, object], said: str, tiny: Benchmark, tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(tiny.folder, folder)
    raw = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(raw | change))
    run = mrbench("evaluate", folder, "--model", "random", cwd=tmp_path)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith("error: ")
    assert run.stderr.count("\n") == 1
    assert said in run.stderr
    assert not (tmp_path / "results").exists()


@pytest.mark.slow
def test_leaderboard_builds_where_no_command_is_named(tmp_path: Path) -> None:
    entries = Path(__file__).parents[3] / "leaderboards/entries"
    short = mrbench("leaderboard", entries, "--output", tmp_path / "short")
    long = mrbench("leaderboard", "build", entries, "--output", tmp_path / "long")
    assert short.returncode == long.returncode == 0, short.stderr
    assert short.stdout.replace("short", "long") == long.stdout
    assert "Usage" in mrbench("leaderboard", "--help").stdout
