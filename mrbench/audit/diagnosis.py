"""Whether the measures see what they should: an oracle that sees all, and oracles that are blind to one grain type."""

from __future__ import annotations

from mrbench.audit.findings import Check, Row
from mrbench.audit.oracle import OracleSource
from mrbench.benchmark import Benchmark
from mrbench.pools import TaskPool
from mrbench.results import TaskResult
from mrbench.retrieve import run_tasks
from mrbench.runs import Run
from mrbench.score import score_run

NOISE, BLIND, SEES = 0.3, 0.65, 0.90
"""Noise of the oracles in units of a grain; pair accuracy at most on what they are blind to, at least on the rest."""
DEAF, HEARS = 0.25, 0.5
"""Grain sensitivity on what they are blind to, at most, and on the rest, at least, as a share of the highest."""


def score_oracle(
    benchmark: Benchmark, split: str, pools: dict[str, TaskPool], source: OracleSource
) -> dict[str, TaskResult]:
    """Score an oracle as any model is scored."""
    run = Run(
        model={"name": "oracle"},
        benchmark={"digest": benchmark.digest, "split": split, "pool": "task"},
        seed=0,
        limit=None,
        depth=100,
        tasks=run_tasks(source, pools),
        not_supported={},
    )
    return score_run(run, benchmark, pools=pools)


def audit_solvable(benchmark: Benchmark, split: str, pools: dict[str, TaskPool]) -> Check:
    """Score an oracle that reads the grains: it must be right everywhere."""
    results = score_oracle(benchmark, split, pools, OracleSource(benchmark, split))
    names = ("hit_rate@1", "map", "pair_accuracy", "all_grains_accuracy", "strict_chain")
    rows: list[Row] = [(task, *(round(r.scores[name], 4) for name in names)) for task, r in results.items()]
    right = all(
        result.scores[name] > 1 - 1e-9 for result in results.values() for name in ("hit_rate@1", "all_grains_accuracy")
    )
    summary = (
        "an oracle that reads the grains is right everywhere" if right else "an oracle that reads the grains fails"
    )
    return Check("solvable", "passed" if right else "failed", summary, ("task", *names), tuple(rows))


def audit_diagnosis(benchmark: Benchmark, split: str, pools: dict[str, TaskPool]) -> Check:
    """Score for every grain type a noisy oracle that is blind to it: it, and no other, must show as blind."""
    rows: list[Row] = []
    wrong, few = [], []
    types = sorted({kind for pool in pools.values() for kind in pool.grain_types})
    for blind in types:
        results = score_oracle(benchmark, split, pools, OracleSource(benchmark, split, blind_to=(blind,), noise=NOISE))
        for task, result in results.items():
            pairs = {kind: pair.score for kind, pair in result.pair_accuracy.items()}
            if blind not in pairs:
                continue
            others = min((score for kind, score in pairs.items() if kind != blind), default=1.0)  # no other can be low
            heard = {kind: part.score for kind, part in result.by_grain.get("grain_sensitivity", {}).items()}
            top = max(heard.values(), default=0.0)
            # Few pairs leave more to chance: three standard errors.
            allowed = max(BLIND, 0.5 + 1.5 / result.pair_accuracy[blind].count ** 0.5)
            right = pairs[blind] <= allowed and others >= SEES
            shares = {kind: value / top for kind, value in heard.items()} if top > 0 else {}
            if blind in shares and len(shares) > 1:
                right &= shares[blind] <= DEAF and min(v for k, v in shares.items() if k != blind) >= HEARS
            verdict = "ok" if right else "wrong"
            wrong += [] if right else [f"{task}, {blind}"]
            if right and allowed >= SEES and blind not in shares:
                verdict = "too few pairs"
                few.append(f"{task}, {blind}")
            deaf = round(shares[blind], 3) if blind in shares else None
            rest = round(min((v for k, v in shares.items() if k != blind), default=float("nan")), 3) if shares else None
            rest = None if rest != rest else rest
            rows.append((blind, task, round(pairs[blind], 3), round(others, 3), deaf, rest, verdict))
    columns = ("blind to", "task", "pair accuracy on it", "lowest of the others")
    more = ("sensitivity, share of the highest", "lowest of the others", "verdict")
    summary = (
        f"not told: {'; '.join(wrong)}"
        if wrong
        else f"every oracle with noise {NOISE} that is blind to one grain type is found blind to it and to no other"
    ) + (f"; too few pairs to tell: {'; '.join(few)}" if few else "")
    return Check("diagnosis", "failed" if wrong else "passed", summary, (*columns, *more), tuple(rows))
