"""Writing: equal bytes, the whole folder or nothing, and never over what is not ours."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from tiny_benchmark import write_tiny

from mrbench.benchmark import Benchmark, encode_png, write_benchmark
from mrbench.errors import BenchmarkError, OutputError
from mrbench.records import Candidate, Grain, Judgement, Ladder, Query, Task, Variant

CAT = (Grain("entity", "cat"),)


def contents(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def candidate(name: str, level: int = 0) -> Candidate:
    return Candidate(name, CAT, None, encode_png(Image.new("RGB", (4, 4), (level % 256, level // 256, 0))))


def many(start: int, end: int) -> list[Candidate]:
    return [candidate(f"{n:09d}", n) for n in range(start, end)]


def write(folder: Path, *steps) -> None:
    with write_benchmark(folder, overwrite=True) as writer:
        for step in steps:
            step(writer)


def test_two_builds_are_equal_to_the_byte(tmp_path: Path) -> None:
    one, two = write_tiny(tmp_path / "one"), write_tiny(tmp_path / "elsewhere" / "two")
    assert contents(one.folder) == contents(two.folder)
    assert one.digest == two.digest != write_tiny(tmp_path / "three", salt="x").digest


def test_digest_does_not_depend_on_the_encoding_of_pictures(tmp_path: Path) -> None:

    digests = []
    for level in (0, 9):
        member = candidate("a", 300)
        buffer = io.BytesIO()
        Image.open(io.BytesIO(member.image.data)).save(buffer, "PNG", compress_level=level)
        with write_benchmark(tmp_path / str(level)) as writer:
            writer.add_candidates("test", [replace(member, image=replace(member.image, data=buffer.getvalue()))])
            manifest = finish(writer)
        digests.append((manifest.content_sha256, next(iter(manifest.files.values())).sha256))
    assert digests[0][0] == digests[1][0]
    assert digests[0][1] != digests[1][1]


def finish(writer):
    return writer.finish(
        name="t",
        title="T",
        builder={},
        seed=0,
        tools={},
        sources=(),
        licence="CC0-1.0",
        split_rule={},
        description="",
    )


@pytest.mark.parametrize(
    "add",
    [
        lambda w: w.add_candidates("test", [candidate("a", 1), candidate("a", 2)]),
        lambda w: w.add_queries("test", 2 * [Query("a", "t2i", "", CAT, "a cat")]),
        lambda w: w.add_variants("test", "t2i", 2 * [Variant("a", "degrained", "entity", "p", "something")]),
        lambda w: w.add_judgements("test", "t2i", 2 * [Judgement("a", "b", 1, 1, ())]),
        lambda w: w.add_ladders("test", "t2i", 2 * [Ladder("a", "b", ("b",))]),
    ],
)
def test_duplicate_ids_are_refused_and_named(tmp_path: Path, add) -> None:
    with pytest.raises(BenchmarkError, match=r"duplicate id.*'a"):
        write(tmp_path / "out", add, finish)
    assert list(tmp_path.iterdir()) == []


def test_query_of_another_modality_and_unknown_split_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="query of another modality"), write_benchmark(tmp_path / "a") as writer:
        writer.add_queries("test", [Query("q", "i2i", "", CAT, "a cat")])
    with pytest.raises(BenchmarkError, match="unknown split"), write_benchmark(tmp_path / "a") as writer:
        writer.add_candidates("tset", [candidate("a")])
    assert list(tmp_path.iterdir()) == []


def test_unfinished_is_nothing(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="not finished"), write_benchmark(tmp_path / "out") as writer:
        writer.add_candidates("test", [candidate("a")])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, MemoryError])
def test_interruption_leaves_the_old_folder(tmp_path: Path, error: type[BaseException]) -> None:
    old = contents(write_tiny(tmp_path / "out").folder)

    def interrupt(_writer):
        raise error

    with pytest.raises(error):
        write(tmp_path / "out", lambda w: w.add_candidates("test", many(0, 600)), interrupt)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert contents(tmp_path / "out") == old


def test_overwrite_replaces_the_whole_folder(tmp_path: Path) -> None:
    folder = write_tiny(tmp_path / "out").folder
    (folder / "data/corpus/image-test-00007.parquet").write_text("of the old one")
    (folder / "audit").mkdir()
    (folder / "audit/report.md").write_text("of the old one")
    with pytest.raises(OutputError, match="--overwrite"), write_benchmark(folder):
        pass
    for other in ("data/notes.txt", "audit/notes.md", "data/corpus/mine.parquet", "results/result.json"):
        (folder / other).parent.mkdir(exist_ok=True)
        (folder / other).write_text("mine")
        with pytest.raises(OutputError, match=f"left alone.*got: '{other}'"), write_benchmark(folder, overwrite=True):
            pass
        (folder / other).unlink()
    (folder / "results").rmdir()
    with write_benchmark(folder, overwrite=True) as writer:
        writer.add_candidates("test", [candidate("a")])
        finish(writer)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert sorted(contents(folder)) == [
        "README.md",
        "croissant.json",
        "data/corpus/image-test-00000.parquet",
        "manifest.json",
    ]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_foreign_folder_is_left_alone(tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("years of work")
    (tmp_path / "link").symlink_to(tmp_path / "out")
    (tmp_path / "file").write_text("")
    for name in ("out", "link", "file"):
        with pytest.raises(OutputError), write_benchmark(tmp_path / name, overwrite=overwrite) as writer:
            finish(writer)
    assert (tmp_path / "out" / "thesis.tex").read_text() == "years of work"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "link", "out"]


WRITE_FOREVER = """
    import sys
    from pathlib import Path
    sys.path[:0] = {paths!r}
    from test_format_write import many
    from mrbench.benchmark import write_benchmark
    from mrbench.errors import OutputError
    {before}
    try:
        with write_benchmark(Path(sys.argv[1]), overwrite=True) as writer:
            for start in range(0, {rows}, 500):
                writer.add_candidates("test", many(start, start + 500))
                print("wrote", flush=True)
    except OutputError as error:
        print(error)
        sys.exit(2)
"""


def script(*, before: str = "", rows: int) -> list[str]:
    here = Path(__file__).parent
    code = WRITE_FOREVER.format(paths=[str(here), str(here.parent)], before=before, rows=rows)
    return [sys.executable, "-c", textwrap.dedent(code)]


def test_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    old = contents(write_tiny(tmp_path / "out").folder)
    with subprocess.Popen([*script(rows=10**9), str(tmp_path / "out")], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "wrote\n"
        process.send_signal(signal.SIGINT)
        process.stdout.read()
    assert process.returncode != 0
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert contents(tmp_path / "out") == old


def test_file_size_limit_is_one_line_and_loses_nothing(tmp_path: Path) -> None:
    """The kernel refuses the write half-way, as a full disk does."""
    old = contents(write_tiny(tmp_path / "out").folder)
    limit = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))"
    )
    done = subprocess.run(
        [*script(before=limit, rows=100_000), str(tmp_path / "out")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr
    assert "cannot write" in done.stdout.splitlines()[-1]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert contents(tmp_path / "out") == old


@pytest.fixture
def small_disk(tmp_path: Path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = (
        os.geteuid() == 0
        and subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(disk)], capture_output=True, check=False
        ).returncode
        == 0
    )
    if not mounted:
        pytest.skip("needs the right to mount a file system")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_is_one_line_and_loses_nothing(small_disk: Path) -> None:
    old = contents(write_tiny(small_disk / "out").folder)

    def fill(writer):
        for start in range(0, 20_000, 500):
            writer.add_candidates("test", many(start, start + 500))

    with pytest.raises(OutputError, match="disk full, nothing was written"):
        write(small_disk / "out", fill)
    assert [path.name for path in small_disk.iterdir()] == ["out"]
    assert contents(small_disk / "out") == old
    assert Benchmark(small_disk / "out").name == "tiny"


@pytest.mark.parametrize("named", [{"measures": ("judged@5",)}, {"measures": ("hit_rate@0",)}, {"main": "bogus"}])
def test_a_measure_that_cannot_be_computed_is_refused_by_the_writer(tmp_path: Path, named: dict) -> None:
    task = Task("find", "Find", "text", "text", judgements="partial")
    said = r"measures and main of find: [^:]*; got: '[a-z_@\d]+'; accepted: [^:]*$"
    with (
        pytest.raises(BenchmarkError, match=said),
        write_benchmark(tmp_path / "out", tasks=[replace(task, **named)]),
    ):
        pytest.fail("a writer was given")
    assert list(tmp_path.iterdir()) == []
