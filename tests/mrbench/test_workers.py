"""Worker processes where a sandbox takes away what they need, and how many processors there are."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mrbench import workers
from mrbench.workers import cores, ordered_map, processes, worker_pool

PROGRAM = """
import os, resource, sys
from mrbench import workers

def double(number):
    return 2 * number

if __name__ == "__main__":
    {before}
    with workers.worker_pool(3, double) as pool:
        print(type(pool).__name__, list(workers.ordered_map(double, range(100), pool)) == [2 * n for n in range(100)])
    with workers.processes(3, script=True) as pool:
        print(type(pool).__name__, pool.submit(double, 4).result())
"""


def run(tmp_path: Path, before: str, *around: str) -> subprocess.CompletedProcess[str]:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.format(before=before))
    words = [*around, sys.executable, str(program)]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)


IN_THIS_PROCESS = "int True\nThreadPoolExecutor 8\n"


@pytest.mark.skipif(not sys.platform.startswith("linux") or os.geteuid() != 0, reason="mounts a folder")
def test_without_shared_memory_the_work_is_done_here(tmp_path: Path) -> None:
    mount = 'mount -t tmpfs -o ro,size=4k none /dev/shm && exec "$@"'
    done = run(tmp_path, "", "unshare", "--mount", "bash", "-c", mount, "-")
    if done.returncode and "unshare" in done.stderr:
        pytest.skip("no mount name spaces here")
    assert done.stdout == IN_THIS_PROCESS
    assert done.stderr.count("\n") == 2
    assert (
        "note: worker processes cannot be started (Read-only file system; /dev/shm cannot be written); " in done.stderr
    )


REFUSED = """
    import _posixsubprocess
    start, left = _posixsubprocess.fork_exec, [{left}]
    def refuse(*words):
        left[0] -= 1
        if left[0] < 0:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return start(*words)
    _posixsubprocess.fork_exec = refuse
"""


@pytest.mark.skipif(os.name != "posix", reason="refuses what POSIX starts processes with")
def test_where_no_process_may_be_started_the_work_is_done_here(tmp_path: Path) -> None:
    done = run(tmp_path, REFUSED.format(left=0))
    assert done.stdout == IN_THIS_PROCESS
    assert "(Resource temporarily unavailable); the work is done in this process" in done.stderr
    assert done.returncode == 0


@pytest.mark.skipif(os.name != "posix", reason="refuses what POSIX starts processes with")
def test_where_few_processes_may_be_started_these_do_the_work(tmp_path: Path) -> None:
    """The first start is that of the process that clears up semaphores; then one worker, none, and one again."""
    later = "workers._end = lambda pool, end=workers._end: (end(pool), left.__setitem__(0, 1))"
    done = run(tmp_path, f"{REFUSED.format(left=2)}\n    {later}")
    assert done.stdout.startswith("ProcessPoolExecutor True\n")
    assert "1 of 3 do the work" in done.stderr
    assert done.returncode == 0


def test_a_system_without_semaphores_does_the_work_here(tmp_path: Path) -> None:
    done = run(tmp_path, "sys.modules['_multiprocessing'] = None; sys.modules.pop('multiprocessing.synchronize', None)")
    assert done.stdout == IN_THIS_PROCESS, done.stderr
    assert done.returncode == 0


def test_workers_start_as_many_as_asked() -> None:
    with worker_pool(2) as pool:
        found = set(ordered_map(_process, range(64), pool, chunk=1))
    assert os.getpid() not in found
    assert 1 <= len(found) <= 2
    with processes(1) as pool:
        assert pool.submit(_process, 0).result() != os.getpid()


SCRIPT = """
import sys
from mrbench import workers

print("runs", __name__, file=sys.stderr)
print(sum(workers.ordered_map({function}, range(-50, 0), 2)))
"""


@pytest.mark.parametrize("how", ["file", "stdin", "-c", "exec", "module"])
def test_a_script_without_a_guard_is_not_run_again_by_its_workers(how: str, tmp_path: Path) -> None:
    path = tmp_path / "script.py"
    path.write_text(SCRIPT.format(function="abs"))
    words = {
        "file": [str(path)],
        "stdin": ["-"],
        "-c": ["-c", path.read_text()],
        "exec": ["-c", f"exec(open({str(path)!r}).read(), {{'__name__': '__main__'}})"],
        "module": ["-m", "script"],
    }[how]
    said = path.read_text() if how == "stdin" else None
    done = subprocess.run(
        [sys.executable, *words], input=said, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "1275\n", "runs __main__\n")


def test_a_script_without_a_guard_whose_own_function_is_needed_ends_with_advice(tmp_path: Path) -> None:
    path = tmp_path / "script.py"
    path.write_text("def own(number):\n    return -number\n" + SCRIPT.format(function="own"))
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, check=False, timeout=60)
    assert "error: put the script's work below: if __name__ == '__main__':" in done.stderr
    assert done.stdout in ("", "1275\n")  # the second where the pool was found broken before any work was sent


def _process(_: int) -> int:
    return os.getpid()


QUOTA, PERIOD = "cpu.cfs_quota_us", "cpu.cfs_period_us"


@pytest.mark.parametrize(
    ("said", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),  # a container of Docker or Kubernetes
        ("0::/\n", {"cpu.max": "max 100000\n"}, math.inf),
        ("0::/a/b\n", {"a/cpu.max": "50000 100000\n", "a/b/cpu.max": "max 100000\n"}, 0.5),  # a limit further up
        ("4:cpu,cpuacct:/x\n0::/\n", {f"cpu,cpuacct/x/{QUOTA}": "300000\n", f"cpu,cpuacct/x/{PERIOD}": "100000\n"}, 3),
        ("4:cpu:/x\n", {f"cpu/{QUOTA}": "-1\n", f"cpu/{PERIOD}": "100000\n"}, math.inf),
        ("4:memory:/x\n", {f"memory/x/{QUOTA}": "1\n", f"memory/x/{PERIOD}": "1\n"}, math.inf),
        ("0::/\n", {"cpu.max": "garbage\n"}, math.inf),
        ("", {}, math.inf),
    ],
)  # fmt: skip
def test_a_quota_of_a_control_group_counts(
    said: str, files: dict[str, str], expected: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups = tmp_path / "cgroup"
    groups.write_text(said)
    for name, text in files.items():
        (tmp_path / "sys" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "sys" / name).write_text(text)
    monkeypatch.setattr(workers, "OWN_GROUPS", groups)
    monkeypatch.setattr(workers, "CGROUPS", tmp_path / "sys")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    workers._quota.cache_clear()
    try:
        assert workers._quota() == expected
        assert cores() == (64 if expected == math.inf else math.ceil(expected))
    finally:
        workers._quota.cache_clear()
