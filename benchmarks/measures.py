"""Our measures against pytrec_eval-terrier and ranx, equal values, on lists already retrieved.

pip install -e '.[benchmark]' && python benchmarks/measures.py
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from peers import machine, medians, record, write_records

from mrbench.measures.ranked import Judged, find_hits, ranked_measures

CUTOFFS = (1, 10, 100, 1000)
PEERS = ("pytrec_eval", "ranx")
NAMES = {"ndcg": "ndcg_cut", "map": "map_cut", "recall": "recall", "precision": "P", "hit_rate": "success"}


def main() -> None:
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs=3, default=(5000, 1000, 100_000), help="queries, retrieved, pool")
    parser.add_argument("--judged", type=int, default=10, help="judged candidates per query")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=list(PEERS))
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    number, depth, pool = asked.sizes
    rng = np.random.default_rng(0)
    missed = asked.judged // 2  # half of the judged were not retrieved
    drawn = np.array([rng.choice(pool, depth + missed, replace=False) for _ in range(number)])
    rows = np.ascontiguousarray(drawn[:, :depth])
    chosen = rng.random((number, depth)).argsort(axis=1)[:, : asked.judged - missed]
    candidate = np.concatenate([drawn[:, depth:], np.take_along_axis(rows, chosen, 1)], axis=1)
    grade = rng.integers(1, 4, candidate.shape)
    judged = Judged(np.repeat(np.arange(number), asked.judged), candidate.reshape(-1), grade.reshape(-1), number)
    cut = [k for k in CUTOFFS if k <= depth]
    metrics = [f"{name}@{k}" for name in ("ndcg", "map", "recall", "precision", "hit_rate", "mrr") for k in cut]
    results: dict[str, Callable] = {"ours": lambda: ranked_measures(find_hits(rows, judged, pool), judged, cut)}
    built: dict[str, float] = {}
    ours = results["ours"]()
    start = time.perf_counter()
    qrels = {f"q{q}": {f"c{c}": int(g) for c, g in zip(candidate[q], grade[q], strict=True)} for q in range(number)}
    run = {
        f"q{q}": {f"c{c}": 1.0 - rank / 2 / depth for rank, c in enumerate(row)} for q, row in enumerate(rows.tolist())
    }
    dictionaries = time.perf_counter() - start
    if "pytrec_eval" in asked.peers:
        import pytrec_eval

        built["pytrec_eval"] = dictionaries
        evaluator = pytrec_eval.RelevanceEvaluator(qrels, {f"{n}.{','.join(map(str, cut))}" for n in NAMES.values()})
        results["pytrec_eval"] = lambda: evaluator.evaluate(run)
        theirs = results["pytrec_eval"]()
        for name, trec in NAMES.items():
            for k in cut:
                expected = [theirs[f"q{q}"][f"{trec}_{k}"] for q in range(number)]
                np.testing.assert_allclose(ours[f"{name}@{k}"], expected, atol=1e-9)
    if "ranx" in asked.peers:
        import ranx

        start = time.perf_counter()
        ranx_qrels, ranx_run = ranx.Qrels(qrels), ranx.Run(run)
        built["ranx"] = time.perf_counter() - start
        results["ranx"] = lambda: ranx.evaluate(ranx_qrels, ranx_run, metrics)
        third = results["ranx"]()
        for name in ("ndcg", "recall", "precision", "mrr"):
            np.testing.assert_allclose(ours[f"{name}@10"].mean(), third[f"{name}@10"], atol=1e-9, err_msg=name)
    found = medians(results, asked.rounds)
    said, case = machine("pytrec_eval-terrier", "ranx", "numba"), f"{number:,} queries x {depth:,} retrieved"
    print(said)
    for name, seconds in built.items():
        record(case, name, "build", seconds)
    print(f"{number:,} queries x {depth:,} retrieved, {len(metrics)} measures, values equal")
    for name, seconds in found.items():
        record(case, name, "wall", seconds)
        more = f"(+{built[name]:.1f} s to build)" if name in built else ""
        print(f"  {name:<12} {seconds:7.3f} s  {seconds / found['ours']:6.1f} x ours  {more}")
    write_records(asked.json, said)


if __name__ == "__main__":
    main()
