"""How long training will take, from a few of its steps."""

from __future__ import annotations

import time
from contextlib import nullcontext

from tqdm import tqdm

from elva.mending.run import Request, plan_of
from elva.tuning.method import Method
from elva.tuning.train import PATIENCE, Run, one_thread
from elva.tuning.validation import quality
from mrbench.benchmark import Benchmark

STEPS, SECONDS = 10, 3.0
"""Steps that are timed, and seconds after which fewer will do."""


def estimate(request: Request, method: Method, benchmark: Benchmark) -> dict[str, float]:
    """Return seconds by phase: ``read``, ``train_at_least``, ``train_at_most``, ``report``.

    Training ends early where validation no longer improves, so it has two bounds. Embeddings that a cache holds already
    are not taken into account.

    Args:
        request: What is to be done.
        method: What is trained.
        benchmark: The data.
    """
    plan = plan_of(request, method)
    data, read, _ = method.rehearse(benchmark, "train")
    validation = data
    share = 0.1  # of the training split, where there is no validation split
    if "validation" in benchmark.splits:
        validation, more, _ = method.rehearse(benchmark, "validation")
        read, share = read + more, 1.0
    report = 2 * method.rehearse(benchmark, "test")[2] if "test" in benchmark.splits else 0.0
    with one_thread() if method.one_thread else nullcontext():
        run = Run(data, validation, plan, plan.grid[0], method.start(data, plan.seed)(plan.grid[0]))
        bar = tqdm(disable=True)
        run.advance(2, bar)
        begun = time.perf_counter()
        while run.step < 2 + STEPS and time.perf_counter() - begun < SECONDS:
            run.advance(run.step + 1, bar)
        step = (time.perf_counter() - begun) / (run.step - 2)
        begun = time.perf_counter()
        quality(run.model, validation)
        look = (time.perf_counter() - begun) * share
    trials, rest = plan.trial * len(plan.grid), plan.steps - plan.trial
    each = step + look / plan.every
    seconds = {
        "read": read,
        "train_at_least": (trials + min(rest, PATIENCE * plan.every)) * each,
        "train_at_most": (trials + rest) * each,
        "report": report,
    }
    return {name: float(f"{value:.2g}") for name, value in seconds.items()}
