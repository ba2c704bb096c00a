"""The command line in odd surroundings: streams that are closed, left or of another encoding, and no home."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_benchmark import QUERIES, queries, write_tiny

from mrbench.benchmark import Benchmark

pytestmark = pytest.mark.skipif(os.name != "posix", reason="closes streams as a POSIX shell does")
MRBENCH = shlex.join([sys.executable, "-m", "mrbench"])
Shell = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a benchmark ``b`` and a result ``r`` of it."""
    folder = tmp_path_factory.mktemp("place")
    write_tiny(folder / "b")
    shell(f"{MRBENCH} evaluate b --model random --output r", folder)
    (folder / "r2").mkdir()
    text = (folder / "r/result.json").read_text(encoding="utf-8")
    named = text.replace('"name": "random"', '"name": "modèle 模型 – ±"')
    assert named != text
    (folder / "r2/result.json").write_text(named, encoding="utf-8")
    return folder


def shell(words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["bash", "-c", words], capture_output=True, check=False, cwd=cwd, env=os.environ | environment, timeout=120
    )


QUERY = queries(next(iter(QUERIES)))[0].id
COMMANDS = {
    "evaluate": "evaluate b --model constant --output out --overwrite",
    "leaderboard": "leaderboard build r2 --output board --overwrite",
    "show": f"show b {QUERY}",
    "audit": "audit b --output audit",
    "validate": "validate b",
    "models": "models list",
    "cache": "cache info --cache .",
    "rescore": "rescore r b",
}


@pytest.fixture(scope="module")
def expected(place: Path) -> dict[str, tuple[int, str, str]]:
    """Exit code, text and JSON of every command in an ordinary terminal."""
    found = {}
    for name, words in COMMANDS.items():
        runs = [shell(f"{MRBENCH} {words} {more}", place, PYTHONIOENCODING="utf-8") for more in ("", "--json")]
        assert runs[0].returncode == runs[1].returncode
        found[name] = runs[0].returncode, *(run.stdout.decode() for run in runs)
    assert {name: code for name, (code, _, _) in found.items() if code} == {"audit": 2, "validate": 2}
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "encoding"), [*((name, "ascii") for name in COMMANDS), ("leaderboard", "euc-jp"), ("show", "latin-1")]
)
def test_what_an_encoding_lacks_is_replaced(
    place: Path, expected: dict[str, tuple[int, str, str]], name: str, encoding: str
) -> None:
    code, text, _ = expected[name]
    run = shell(f"{MRBENCH} {COMMANDS[name]}", place, PYTHONIOENCODING=encoding)
    assert run.returncode == code
    if name != "evaluate":  # whose times differ
        assert run.stdout == text.encode(encoding, errors="replace")
    run = shell(f"{MRBENCH} {COMMANDS[name]} --json", place, PYTHONIOENCODING=encoding)
    assert run.returncode == code
    assert run.stdout.isascii()
    if name not in ("evaluate", "audit"):
        assert run.stdout == b"" or json.loads(run.stdout) == json.loads(expected[name][2])


def test_a_board_in_an_ancient_locale(place: Path, expected: dict[str, tuple[int, str, str]]) -> None:
    environment = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    run = shell(f"{MRBENCH} {COMMANDS['leaderboard']}", place, **environment)
    assert (run.returncode, run.stderr) == (0, b"")
    assert run.stdout == expected["leaderboard"][1].encode("ascii", errors="replace")
    assert b"mod?le ??" in run.stdout


@pytest.mark.slow
@pytest.mark.parametrize("closed", ["2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_works_without_streams(
    place: Path, expected: dict[str, tuple[int, str, str]], name: str, closed: str
) -> None:
    run = shell(f"exec {MRBENCH} {COMMANDS[name]} {closed}", place)
    assert run.returncode == expected[name][0]
    if name == "evaluate":
        assert json.loads((place / "out/result.json").read_text(encoding="utf-8"))["model"]["name"] == "constant"
    shell("rm -rf out", place)


def test_bad_input_without_stderr_is_exit_code_2(place: Path) -> None:
    assert shell(f"exec {MRBENCH} validate absent 2>&-", place).returncode == 2


def test_no_message_gets_into_a_file_where_stderr_is_closed(place: Path) -> None:
    """The number of a closed stream goes to the next file that is opened."""
    program = "import os; from mrbench.cli.streams import prepare; prepare(); print(os.open('plain', os.O_CREAT))"
    for closed in ("2>&-", "<&- 2>&-"):
        assert int(shell(f"{shlex.join([sys.executable, '-c', program])} {closed}", place).stdout) > 2
    shell("rm plain", place)


@pytest.mark.parametrize(("words", "unbuffered"), [("models list", ""), ("models list --json", "1"), ("--help", "")])
def test_a_reader_may_leave(place: Path, words: str, unbuffered: str) -> None:
    run = shell(f"{MRBENCH} {words} | true; echo ${{PIPESTATUS[0]}}", place, PYTHONUNBUFFERED=unbuffered)
    assert (run.stdout, run.stderr) == (b"0\n", b"")


def test_whether_a_benchmark_is_valid_is_said_to_a_reader_who_left_too(place: Path) -> None:
    run = shell(f"{MRBENCH} validate b --json 2>/dev/null | true; echo ${{PIPESTATUS[0]}}", place)
    assert run.stdout == b"2\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device here")
@pytest.mark.parametrize("words", ["models list", "--help"])
def test_a_full_disk_behind_stdout_is_one_line(place: Path, words: str) -> None:
    run = shell(f"{MRBENCH} {words} > /dev/full", place)
    assert run.returncode == 2
    assert run.stderr.startswith(b"error: No space left on device")
    assert run.stderr.count(b"\n") == 1


@pytest.mark.slow
def test_no_home_and_no_folder_for_temporary_files(place: Path) -> None:
    nowhere = {"HOME": "/nonexistent", "TMPDIR": "/nonexistent", "XDG_CACHE_HOME": "/nonexistent", "MPLCONFIGDIR": ""}
    for name in ("evaluate", "leaderboard", "show"):
        run = shell(f"{MRBENCH} {COMMANDS[name]}", place, **nowhere)
        assert (run.returncode, run.stderr) == (0, b"")


@pytest.mark.slow
@pytest.mark.parametrize("limit", ["-v 300000", "-n 24"])
def test_little_memory_or_few_files_is_at_most_one_line(place: Path, limit: str) -> None:
    run = shell(f"ulimit {limit}; {MRBENCH} {COMMANDS['evaluate']}", place, OPENBLAS_NUM_THREADS="1")
    assert run.returncode in (0, 2)
    assert run.stderr.count(b"\n") == (1 if run.returncode else 0)
    assert not list(place.glob(".out*"))


def test_an_audit_of_links_says_at_once_where_its_report_can_go(place: Path) -> None:
    shell("mkdir l && cp -r b/data b/manifest.json l && ln -s ../b/README.md l/README.md", place)
    run = shell(f"{MRBENCH} audit l", place)
    assert (run.returncode, run.stdout) == (2, b"")
    assert run.stderr.startswith(b"error: the data card is a link; where: l/README.md; next: --output DIR")
    assert sorted(path.name for path in (place / "l").iterdir()) == ["README.md", "data", "manifest.json"]


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS is Linux's")
@pytest.mark.parametrize("megabytes", [300, 700, 1100])
@pytest.mark.parametrize("command", ["models", "validate", "leaderboard"])
def test_a_limit_of_memory_is_one_line(command: str, megabytes: int, tiny: Benchmark, tmp_path: Path) -> None:
    words = {"models": ["models", "--json"], "validate": ["validate", str(tiny.folder)]}.get(command, ["leaderboard"])
    program = (
        f"import resource; resource.setrlimit(resource.RLIMIT_AS, ({megabytes << 20}, {megabytes << 20}))\n"
        f"from mrbench.cli.app import main; main({words!r})"
    )
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, env=environment, cwd=tmp_path
    )
    if done.returncode != 0:
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
        assert done.stderr.startswith("error: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("model", ["constant", "minilm"])
def test_without_docstrings_it_works_or_says_so_in_one_line(model: str, place: Path, tmp_path: Path) -> None:
    words = f"{MRBENCH} evaluate {place / 'b'} --task t2i --model {model} --output {tmp_path / 'r'}"
    done = shell(words, tmp_path, PYTHONOPTIMIZE="2")
    if done.returncode != 0:
        assert (done.returncode, done.stdout) == (2, b"")
        assert b"transformers reads docstrings" in done.stderr.splitlines()[-1]
    assert model == "minilm" or done.returncode == 0
