"""What the harness costs beside the model, from vectors to measures: `evaluate`, MTEB, and FAISS with Python loops.

pip install -e '.[benchmark]' && python benchmarks/harness.py
python benchmarks/harness.py --sizes 10000 1000000 512 --only evaluate --rounds 1

Every run is a process of its own: wall time, CPU time and growth of the peak memory over what vectors and libraries
take. The peers compute precision, recall, mAP, nDCG and MRR, MTEB also nAUC, and is measured with and without it.
`evaluate` also counts over the whole pool and scores its run; its scores are expected values over ties.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import resource
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path

import numpy as np
from peers import Median, machine, record, unit_vectors, write_records

CUTOFFS = (1, 3, 5, 10, 20, 100, 1000)
JUDGED = 5
SIZES = ([1000, 20_000, 256], [5000, 100_000, 256])


class Data:
    """Vectors, ids and judgements: of the judged, one is near its query and the others are anywhere."""

    def __init__(self, number: int, pool: int, length: int, depth: int, device: str = "cpu") -> None:
        self.device = device
        rng = np.random.default_rng(0)
        self.candidates, self.queries = unit_vectors(pool, length, 1), unit_vectors(number, length, 2)
        self.judged = np.array([rng.choice(pool, JUDGED, replace=False) for _ in range(number)])
        self.queries += 0.5 * self.candidates[self.judged[:, 0]]
        self.queries /= np.linalg.norm(self.queries, axis=1, keepdims=True)
        self.grades = rng.integers(1, 4, self.judged.shape)
        self.depth, self.cutoffs = min(depth, pool), [k for k in CUTOFFS if k <= min(depth, pool)]

    def qrels(self) -> dict[str, dict[str, int]]:
        return {
            f"q{q}": {f"c{c}": int(g) for c, g in zip(row, self.grades[q], strict=True)}
            for q, row in enumerate(self.judged.tolist())
        }


def mteb(data: Data, nauc: bool = True) -> Callable[[], dict[str, float]]:
    import mteb as package
    import torch
    from datasets import Dataset
    from mteb._evaluators import retrieval_metrics
    from mteb._evaluators.retrieval_evaluator import RetrievalEvaluator
    from mteb.models.search_wrappers import SearchEncoderWrapper
    from mteb.timing import TimingStack
    from mteb.types import PromptType

    logging.disable(logging.CRITICAL)
    if not nauc:
        retrieval_metrics.evaluate_abstention = lambda *_: {}
    metadata = package.get_task("NFCorpus").metadata

    class Precomputed:
        mteb_model_meta = None

        def __init__(self) -> None:
            self.done = 0

        def encode(self, inputs, *, prompt_type, **_):
            if prompt_type == PromptType.query:
                return torch.from_numpy(data.queries)
            start, self.done = self.done, self.done + len(inputs.dataset)
            return torch.from_numpy(data.candidates[start : self.done])

        def similarity(self, queries, candidates):
            return queries.to(data.device) @ candidates.to(data.device).T

    def table(letter: str, rows: int) -> Dataset:
        return Dataset.from_dict({"id": [f"{letter}{n}" for n in range(rows)], "text": ["text"] * rows})

    corpus, queries, qrels = table("c", len(data.candidates)), table("q", len(data.queries)), data.qrels()

    def run() -> dict[str, float]:
        evaluator = RetrievalEvaluator(
            corpus, queries, task_metadata=metadata, hf_split="test", hf_subset="default", top_k=data.depth,
            timer=TimingStack(),
        )  # fmt: skip
        found = evaluator(SearchEncoderWrapper(Precomputed()), {"batch_size": 1024, "show_progress_bar": False})
        scores = evaluator.evaluate(qrels, found, data.cutoffs)
        return {f"{name}@{k}": getattr(scores, name)[f"{key}@{k}"] for name, key in (("ndcg", "NDCG"), ("map", "MAP"),
                ("recall", "Recall"), ("precision", "P"), ("mrr", "MRR")) for k in data.cutoffs}  # fmt: skip

    return run


def faiss(data: Data) -> Callable[[], dict[str, float]]:
    """An exact index, then loops over queries and cutoffs in Python, as UniIR's evaluation has it."""
    import faiss as package

    names, qrels = [f"c{n}" for n in range(len(data.candidates))], data.qrels()

    def measure(found: list[str], grades: dict[str, int], k: int) -> dict[str, float]:
        hits = [rank for rank, name in enumerate(found[:k], 1) if name in grades]
        best = sorted(grades.values(), reverse=True)[:k]
        return {
            "ndcg": sum(grades[found[rank - 1]] / math.log2(rank + 1) for rank in hits)
            / sum(grade / math.log2(rank + 1) for rank, grade in enumerate(best, 1)),
            "map": sum(nth / rank for nth, rank in enumerate(hits, 1)) / len(grades),
            "recall": len(hits) / len(grades),
            "precision": len(hits) / k,
            "hit_rate": float(bool(hits)),
            "mrr": 1 / hits[0] if hits else 0.0,
        }

    def run() -> dict[str, float]:
        index = package.IndexFlatIP(data.candidates.shape[1])
        index.add(data.candidates)
        _, rows = index.search(data.queries, data.depth)
        sums: dict[str, float] = {}
        for number, row in enumerate(rows.tolist()):
            found = [names[at] for at in row]
            for k in data.cutoffs:
                for name, value in measure(found, qrels[f"q{number}"], k).items():
                    sums[f"{name}@{k}"] = sums.get(f"{name}@{k}", 0.0) + value
        return {name: value / len(rows) for name, value in sums.items()}

    return run


def evaluate(data: Data) -> Callable[[], dict[str, float]]:
    """What `mrbench evaluate` does with vectors: it also counts in the whole pool, here for the five judged.

    Then what grows with queries or pool of the scoring: reading the run's tables, checking them, ranked measures. What
    there is by grain needs ladders of another kind, and takes a few candidates of each query.
    """
    from mrbench.encode.source import TaskEmbeddings
    from mrbench.pools.judgements import FromGrains
    from mrbench.pools.pool import Pairs, TaskPool, Variants
    from mrbench.records import TASKS
    from mrbench.retrieve.search_tasks import search_task
    from mrbench.score.consistency import check_run, read_rows
    from mrbench.score.scoring import RANKED, rank_scores

    number, pool = len(data.queries), len(data.candidates)
    grains = np.random.default_rng(3).integers(0, 40, (3, pool)).astype(np.int32)
    names = np.array([f"q{n:09}" for n in range(number)])
    types = ("action", "attribute", "entity")
    asked = grains[:, data.judged[:, 0]].T.copy()
    task = TaskPool(
        definition=TASKS["t2i"],
        corpora=("image",),
        query_ids=names,
        query_grains=asked,
        candidate_ids=np.array([f"c{n:09}" for n in range(pool)]),
        row=np.arange(pool),
        corpus=np.zeros(pool, dtype=np.int64),
        right_modality=np.array([True]),
        grain_types=types,
        judgements=FromGrains(asked, grains, names, types),
        positives=data.judged[:, 0],
        ladder=Pairs(np.repeat(np.arange(number), data.judged.shape[1]), data.judged.reshape(-1)),
        variants=Variants.none(),
        clusters=names,
    )

    def run() -> dict[str, float]:
        # Without what they keep from the last round.
        fresh = replace(task, judgements=replace(task.judgements))
        vectors = TaskEmbeddings(data.candidates, data.queries, data.candidates[:0])
        found = search_task(vectors, fresh, depth=data.depth, device=data.device)
        rows = {name: read_rows(name, getattr(found, name), fresh) for name in RANKED}
        check_run(rows, fresh, data.depth)
        rank_scores(rows, fresh)
        return {}

    return run


PEERS = {
    "evaluate": evaluate,
    "mteb": mteb,
    "mteb without nAUC": partial(mteb, nauc=False),
    "faiss": faiss,
}


STEPS = {
    "product": ("products.Float32Product", "multiply"),
    "who may be among the best": ("products.Float32Product", "reaching"),
    "counting": ("counts.Counter", "look"),
    "settling counts": ("counts.Counter", "finish"),
    "guess": ("best.Best", "_guess"),
    "leaving out": ("best.Best", "_leave_out"),
    "scoring the best": ("best.Best", "_scored"),
}


def owner_of(kind: str) -> type:
    """Return a class of the search by module and name."""
    module, _, name = kind.partition(".")
    return getattr(import_module(f"mrbench.search.{module}"), name)


def profile(sizes: list[int], depth: int) -> None:
    """Print where `evaluate` spends its CPU time, over all threads; guessing counts its product too."""
    spent: dict[str, float] = dict.fromkeys(STEPS, 0.0)

    def timed(step: str, work: Callable) -> Callable:
        def run(*given, **more):
            start = time.thread_time()
            try:
                return work(*given, **more)
            finally:
                spent[step] += time.thread_time() - start

        return run

    evaluate(Data(64, 2000, sizes[2], 10))()
    for step, (kind, name) in STEPS.items():
        owner = owner_of(kind)
        setattr(owner, name, timed(step, getattr(owner, name)))
    run = evaluate(Data(*sizes, depth))
    start = time.process_time()
    run()
    total = time.process_time() - start
    print(f"evaluate, {sizes[0]:,} x {sizes[1]:,} x {sizes[2]}, depth {depth}: {total:.2f} s of CPU time")
    for step, seconds in spent.items():
        print(f"  {seconds / total:5.0%}  {step}")


def once(name: str, sizes: list[int], depth: int, device: str) -> None:
    """Measure one run in this process and print it as JSON; torch is loaded in each, as by any model."""
    import torch  # noqa: F401

    warnings.simplefilter("ignore")
    PEERS[name](Data(64, 2000, sizes[2], 10, device))()  # what is loaded on first use
    run = PEERS[name](Data(*sizes, depth, device))
    before = resource.getrusage(resource.RUSAGE_SELF)
    start = time.perf_counter()
    scores = run()
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(
        json.dumps({"wall": wall, "cpu": cpu, "memory": (after.ru_maxrss - before.ru_maxrss) / 1024, "scores": scores})
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs=3, action="append", help="queries, candidates, length")
    parser.add_argument("--depths", type=int, nargs="+", default=(1000, 100))
    parser.add_argument("--only", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu", help="cpu, or a GPU of torch such as cuda")
    parser.add_argument("--json", type=Path)
    parser.add_argument(
        "--profile", action="store_true", help="say where the time of evaluate goes, and measure nothing"
    )
    parser.add_argument("--once", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.profile:
        for sizes in asked.sizes or SIZES:
            for depth in asked.depths:
                profile(sizes, depth)
        return None
    if asked.once:
        return once(asked.only[0], asked.sizes[0], asked.depths[0], asked.device)
    said = machine("mteb", "torch", "faiss-cpu", "pytrec_eval-terrier", device=asked.device)
    print(said)
    for sizes in asked.sizes or SIZES:
        for depth in asked.depths:
            compare(asked.only, sizes, depth, asked.rounds, asked.device)
    return write_records(asked.json, said)


def compare(names: list[str], sizes: list[int], depth: int, rounds: int, device: str) -> None:
    print(f"{sizes[0]:,} x {sizes[1]:,} x {sizes[2]}, depth {depth}, median of {rounds}")
    runs: dict[str, list[dict]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            words = [sys.executable, __file__, "--once", "--only", name, "--depths", str(depth), "--device", device]
            words.append("--sizes")
            found = subprocess.run([*words, *map(str, sizes)], check=True, capture_output=True, text=True)
            runs[name].append(json.loads(found.stdout.splitlines()[-1]))
    for name in names:
        middle = {key: Median.of([run[key] for run in runs[name]]) for key in ("wall", "cpu", "memory")}
        for key, value in middle.items():
            record(f"{sizes[0]:,} x {sizes[1]:,} x {sizes[2]}, depth {depth:,}", name, key, value)
        base = {key: statistics.median(run[key] for run in runs[names[0]]) for key in middle}
        ratio = ", ".join(f"{key} {middle[key] / max(base[key], 1e-3):.1f} x" for key in middle)
        said = f"{middle['wall']:7.2f} s wall {middle['cpu']:7.2f} s CPU {middle['memory']:+8.0f} MiB"
        print(f"  {name:<17} {said}; {ratio}")
        for measure, value in runs[name][0]["scores"].items():
            expected = next(runs[other][0]["scores"] for other in names if runs[other][0]["scores"])
            assert math.isclose(value, expected[measure], abs_tol=2e-5), (name, measure)


if __name__ == "__main__":
    main()
