"""What the benchmarks share: unit vectors, rounds in turn, medians, and the machine that they ran on.

Every benchmark measures us and the peer in one run of one process environment, in turn. Machines are noisy: read the
ratio.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

Runs = dict[str, Callable[[], object]]


def unit_vectors(rows: int, dimension: int, seed: int) -> np.ndarray:
    """Random float32 unit vectors, shape ``(rows, dimension)``."""
    drawn = np.random.default_rng(seed).standard_normal((rows, dimension), dtype=np.float32)
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    return drawn


class Median(float):
    """The median of some rounds, which remembers the lowest and the highest."""

    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> Median:
        found = cls(statistics.median(values))
        found.low, found.high = min(values), max(values)
        return found


RECORDS: list[dict[str, Any]] = []


def record(case: str, who: str, what: str, value: float, **facts: Any) -> None:
    """Note a figure for ``--json``: of which case, of whom, what it is, and lowest and highest where it is a median."""
    spread = {"low": value.low, "high": value.high} if isinstance(value, Median) else {}
    RECORDS.append({"case": case, "who": who, "what": what, "value": float(value), **spread, **facts})


def write_records(path: Path | None, said: str) -> None:
    """Write what was noted, and the line that says on what it was measured."""
    if path is not None:
        path.write_text(json.dumps({"machine": said, "figures": RECORDS}, indent=1) + "\n")


def medians(runs: Runs, rounds: int, warm_up: Runs | None = None) -> dict[str, Median]:
    """Run everything in turn, there and back, so that nobody always follows the same; return median seconds by name.

    Args:
        runs: By name.
        rounds: How often each runs.
        warm_up: What runs first and does not count; None runs a whole round.
    """
    for run in (runs if warm_up is None else warm_up).values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds):
        for name, run in list(runs.items())[:: 1 if number % 2 == 0 else -1]:
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return {name: Median.of(values) for name, values in seconds.items()}


def done(run: Callable[[], object], device: str) -> Callable[[], object]:
    """Return a run that ends when the device has done what it was given."""
    if device == "cpu":
        return run
    import torch

    def whole() -> object:
        found = run()
        torch.cuda.synchronize(device)
        return found

    return whole


def machine(*packages: str, device: str = "cpu") -> str:
    """Say on what the numbers were measured, in one line."""
    cores = len(os.sched_getaffinity(0))
    load = os.getloadavg()[0]
    said = [f"{name} {_version(name)}" for name in ("numpy", *packages)]
    said.insert(0, f"Python {platform.python_version()}")
    return f"{_gpu(device)}{_processor()}, {cores} cores, load {load:.1f}; {', '.join(said)}"


def _gpu(device: str) -> str:
    if device == "cpu":
        return ""
    import torch

    return f"{torch.cuda.get_device_name(device)}, CUDA {torch.version.cuda}; "


def _processor() -> str:
    found = Path("/proc/cpuinfo")
    lines = found.read_text().splitlines() if found.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"
