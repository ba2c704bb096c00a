"""Folders that appear whole: never over what is not ours, and the old or the new one at every moment."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mrbench import folders
from mrbench.errors import OutputError
from mrbench.files import temporary_name, write_atomic
from mrbench.folders import FolderKind, replaced_folder

KIND = FolderKind("m", r"m|new|part/\d+")


def write(target: Path, by: str, *, overwrite: bool = True) -> None:
    with replaced_folder(target, KIND, overwrite=overwrite) as folder:
        (folder / "m").write_text(f'{{"format": "mrbench", "by": "{by}"}}')
        (folder / "part").mkdir()
        (folder / "part" / "1").write_text(by)


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_a_folder_of_several_outputs_is_left_alone_and_the_message_says_where_one_more_goes(tmp_path: Path) -> None:
    write(tmp_path / "results" / "one", "first")
    with pytest.raises(OutputError, match="outputs of other runs") as refused:
        write(tmp_path / "results", "second")
    assert f"--output {tmp_path}/results/NAME" in str(refused.value)
    write(tmp_path / "results" / "NAME", "second")


def test_replaced_folder_takes_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with replaced_folder(tmp_path / "out", KIND, overwrite=False) as temporary:
        (temporary / "m").write_text("")
        assert temporary.parent == tmp_path
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["m", "out"]
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o755


def test_replaced_folder_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError), replaced_folder(tmp_path / "file" / "out", KIND, overwrite=True):
        pass


def test_a_second_run_does_not_replace_what_the_first_has_finished(tmp_path: Path) -> None:
    target = tmp_path / "out"

    def second() -> None:
        with replaced_folder(target, KIND, overwrite=False) as mine:
            (mine / "m").write_text('{"format": "mrbench", "by": "second"}')
            target.mkdir()
            (target / "m").write_text('{"format": "mrbench", "by": "first"}')

    with pytest.raises(OutputError, match="--overwrite"):
        second()
    assert "first" in (target / "m").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("marker", ["{}", "[]", "not JSON", '{"format": "other"}'])
def test_a_folder_whose_marker_is_of_another_program_is_left_alone(tmp_path: Path, marker: str) -> None:
    (tmp_path / "thesis.txt").write_text("keep")
    (tmp_path / "m").write_text(marker)

    def replace() -> None:
        with replaced_folder(tmp_path, KIND, overwrite=True):
            pass

    with pytest.raises(OutputError, match="did not write"):
        replace()
    assert (tmp_path / "thesis.txt").read_text() == "keep"


def test_files_are_on_the_disk_before_the_folder_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a loss of power could leave a folder of empty files; which a kill does not show."""
    events, true_sync, true_swap = [], os.fsync, folders._swap
    monkeypatch.setattr(
        os, "fsync", lambda handle: (events.append(str(Path(f"/proc/self/fd/{handle}").readlink())), true_sync(handle))
    )
    monkeypatch.setattr(folders, "_swap", lambda *paths: (events.append("swap"), true_swap(*paths)))
    with replaced_folder(tmp_path / "out", KIND, overwrite=False) as folder:
        (folder / "m").write_text("{}")
        (folder / "deep").mkdir()
        (folder / "deep" / "x").write_text("x")
    assert [Path(event).name for event in events] == ["x", "m", "swap"]


def test_a_failed_exchange_gives_the_old_folder_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "_exchange", lambda *_: False)
    target = tmp_path / "out"
    target.mkdir()
    (target / "m").write_text('{"format": "mrbench"}')
    rename, calls = os.rename, []

    def second_fails(source, destination) -> None:
        calls.append(source)
        if len(calls) == 2:
            raise OSError("no")
        rename(source, destination)

    def replace() -> None:
        with replaced_folder(target, KIND, overwrite=True) as folder:
            (folder / "new").write_text("new")

    monkeypatch.setattr(os, "rename", second_fails)
    with pytest.raises(OSError, match="no"):
        replace()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert [path.name for path in target.iterdir()] == ["m"]


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(
    ("other", "make"),
    [
        ("thesis.txt", Path.touch),
        ("part/thesis.txt", Path.touch),
        ("new/cache", lambda path: path.mkdir(parents=True)),
        ("part/2", lambda path: path.symlink_to(path.parent / "1")),
        ("notes", lambda path: path.symlink_to(path.parent, target_is_directory=True)),
    ],
)
def test_what_lies_beside_ours_keeps_a_folder(
    tmp_path: Path, other: str, make: Callable[[Path], None], overwrite: bool
) -> None:
    target = tmp_path / "out"
    write(target, "first")
    make(target / other)
    before = names(tmp_path)
    with pytest.raises(OutputError, match=rf"beside what MRBench wrote.*got: '{other}"):
        write(target, "second", overwrite=overwrite)
    assert names(tmp_path) == before
    assert (target / "part/1").read_text() == "first"


def test_what_is_put_there_meanwhile_keeps_a_folder(tmp_path: Path) -> None:
    target = tmp_path / "out"
    write(target, "first")

    def second() -> None:
        with replaced_folder(target, KIND, overwrite=True):
            (target / "thesis.txt").write_text("mine")

    with pytest.raises(OutputError, match=r"thesis\.txt"):
        second()
    assert names(target) == ["m", "part", "part/1", "thesis.txt"]


@pytest.mark.parametrize("exchanges", [True, False])
def test_a_folder_is_replaced_where_folders_can_be_exchanged_and_where_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchanges: bool
) -> None:
    if not exchanges:
        monkeypatch.setattr(folders, "_exchange", lambda *_: False)
    for by in ("first", "second"):
        write(tmp_path / "out", by)
        assert (tmp_path / "out/part/1").read_text() == by
        assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_output_that_is_a_link_to_a_folder_is_written_behind_it(tmp_path: Path) -> None:
    away, link = tmp_path / "disk" / "out", tmp_path / "link"
    away.mkdir(parents=True)
    link.symlink_to(away, target_is_directory=True)
    for by in ("first", "second"):
        write(link, by)
        assert link.is_symlink()
        assert (away / "part/1").read_text() == by
        assert [path.name for path in away.parent.iterdir()] == ["out"]
    with pytest.raises(OutputError, match="--overwrite"):
        write(link, "third", overwrite=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["disk", "link"]


@pytest.mark.parametrize(("to", "said"), [("nowhere", "a link to what is not there"), ("link", "leads to itself")])
def test_an_output_that_is_a_link_to_nothing_is_refused(tmp_path: Path, to: str, said: str) -> None:
    (tmp_path / "link").symlink_to(to)
    with pytest.raises(OutputError, match=f"the output is a link .*{said}|{said}"):
        write(tmp_path / "link", "first")
    assert [path.name for path in tmp_path.iterdir()] == ["link"]


@pytest.mark.parametrize("mask", [0o022, 0o002, 0o077, 0o000])
def test_the_umask_decides_who_reads_what_is_written(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        write(tmp_path / "out", "first")
        write(tmp_path / "out", "second")
        write_atomic(tmp_path / "out" / "m", '{"format": "mrbench"}')
    finally:
        os.umask(before)
    for path in [tmp_path / "out", *(tmp_path / "out").rglob("*")]:
        asked = 0o777 if path.is_dir() else 0o666
        assert path.stat().st_mode & 0o777 == asked & ~mask, path


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127])
def test_names_as_long_as_the_system_takes(tmp_path: Path, name: str) -> None:
    folders.check_writable(tmp_path / name)
    for by in ("first", "second"):
        write(tmp_path / name, by)
        write_atomic(tmp_path / name / "m", '{"format": "mrbench"}')
    write_atomic(tmp_path / name[::-1].replace("x", "y").replace("é", "e"), "a file")
    assert (tmp_path / name / "part/1").read_text() == "second"
    assert len(list(tmp_path.iterdir())) == 2


def test_what_a_killed_run_left_under_a_long_name_is_cleared(tmp_path: Path) -> None:
    one, other = "x" * 250, "x" * 249 + "y"
    left = [temporary_name(tmp_path / name, "partial-") for name in (one, other)]
    for path in left:
        path.mkdir()
    write(tmp_path / one, "first")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([one, left[1].name])


def test_a_mount_point_is_refused_before_any_work(tmp_path: Path) -> None:
    """As a container has them: it cannot be exchanged with the finished folder, which shows only at the end."""
    with pytest.raises(OutputError, match=r"mount point.*accepted: a folder inside it"):
        folders.check_replaceable(Path("/proc"), KIND, overwrite=True)
    assert not folders._mounted(tmp_path)


@pytest.mark.skipif(not sys.platform.startswith("linux") or os.geteuid() != 0, reason="mounts a folder")
def test_a_folder_mounted_from_the_same_disk_is_a_mount_point(tmp_path: Path) -> None:
    program = (
        "from pathlib import Path; import subprocess, sys; from mrbench import folders\n"
        "subprocess.run(['mount', '--bind', sys.argv[1], sys.argv[2]], check=True)\n"
        "print(folders._mounted(Path(sys.argv[2])), folders._mounted(Path(sys.argv[1])))"
    )
    (tmp_path / "from").mkdir()
    (tmp_path / "to here").mkdir()
    words = ["unshare", "--mount", sys.executable, "-c", program, tmp_path / "from", tmp_path / "to here"]
    run = subprocess.run(words, capture_output=True, text=True, check=False)
    if run.returncode and "unshare" in run.stderr:
        pytest.skip("no mount name spaces here")
    assert run.stdout == "True False\n", run.stderr


PROGRAM = """
import os, signal, sys
from pathlib import Path
from mrbench import folders

def killed():
    os.kill(os.getpid(), signal.SIGKILL)

def exchange(*paths, real=folders._exchange):
    if when == "before": killed()
    assert real(*paths)
    killed()

folders._exchange = exchange
target, when = Path(sys.argv[1]), sys.argv[2]
with folders.replaced_folder(target, folders.FolderKind("m", "m|new|part/."), overwrite=True) as folder:
    (folder / "m").write_text('{"format": "mrbench"}')
    (folder / "new").write_text("new")
    if when == "writing": killed()
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="folders are exchanged in one step on Linux alone")
@pytest.mark.parametrize("when", ["writing", "before", "after"])
def test_a_killed_run_leaves_the_old_folder_or_the_new_one_and_the_next_clears_up(tmp_path: Path, when: str) -> None:
    target = tmp_path / "o[u]t"  # not read as a pattern
    write(target, "first")
    (tmp_path / ".ot.partial-12345678").mkdir()
    run = subprocess.run([sys.executable, "-c", PROGRAM, str(target), when], check=False)
    assert run.returncode == -9
    assert names(target) == (["m", "new"] if when == "after" else ["m", "part", "part/1"])
    assert len(list(tmp_path.iterdir())) == 3  # and what the run left behind
    write(target, "third")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".ot.partial-12345678", "o[u]t"]
    assert (target / "part/1").read_text() == "third"


def test_what_another_run_is_writing_is_no_leftover(tmp_path: Path) -> None:
    with replaced_folder(tmp_path / "out", KIND, overwrite=True) as mine:
        (mine / "m").write_text('{"format": "mrbench", "by": "first"}')
        write(tmp_path / "out", "second")
        assert mine.is_dir()
    assert names(tmp_path) == ["out", "out/m"]


@pytest.mark.parametrize("opened", [False, True])
def test_a_folder_that_another_run_took_for_a_leftover_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: bool
) -> None:
    """It may come between making a folder and holding it, before or after it was opened for that."""
    hold, made = folders._hold, []

    def late(folder: Path) -> int | None:
        made.append(folder)
        handle = hold(folder) if opened else None
        if len(made) == 1:
            folder.rmdir()
        return handle if opened else hold(folder)

    monkeypatch.setattr(folders, "_hold", late)
    write(tmp_path / "out", "first")
    assert len(made) == 2
    assert names(tmp_path) == ["out", "out/m", "out/part", "out/part/1"]


def test_a_failed_exchange_that_cannot_be_undone_keeps_the_old_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "out", "first")
    rename, calls = os.rename, []

    def only_the_first(source: Path, destination: Path) -> None:
        calls.append(source)
        if len(calls) > 1:
            raise OSError("no")
        rename(source, destination)

    monkeypatch.setattr(folders, "_exchange", lambda *_: False)
    monkeypatch.setattr(os, "rename", only_the_first)
    with pytest.raises(OSError, match="no"):
        write(tmp_path / "out", "second")
    (old,) = tmp_path.glob(".out.old-*/folder/part/1")
    assert old.read_text() == "first"
