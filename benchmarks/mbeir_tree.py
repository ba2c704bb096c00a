"""Write a tree that is laid out as M-BEIR is, with its quirks, of any size and without images; read it and measure.

python benchmarks/mbeir_tree.py write TREE --candidates 1000000 --queries 20000
python benchmarks/mbeir_tree.py read TREE      # time and peak memory of every table, and of all judgements

Sizes of pools and numbers of queries are in the proportions of the published ones. Words are drawn at random.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DATASETS = ("visualnews", "fashion200k", "webqa", "edis", "nights", "oven", "infoseek", "fashioniq", "cirr", "mscoco")
MODALITIES = {
    0: ("text", "image"), 1: ("text", "text"), 2: ("text", "image,text"), 3: ("image", "text"), 4: ("image", "image"),
    6: ("image,text", "text"), 7: ("image,text", "image"), 8: ("image,text", "image,text"),
}  # fmt: skip
SIZES = {
    ("visualnews", 0): (19_995, 542_246), ("mscoco", 0): (24_809, 5_000), ("fashion200k", 0): (1_719, 201_824),
    ("webqa", 1): (2_455, 544_457), ("edis", 2): (3_241, 1_047_067), ("webqa", 2): (2_511, 403_196),
    ("visualnews", 3): (20_000, 537_568), ("mscoco", 3): (5_000, 24_809), ("fashion200k", 3): (4_889, 61_707),
    ("nights", 4): (2_120, 40_038), ("oven", 6): (50_004, 676_667), ("infoseek", 6): (11_323, 611_651),
    ("fashioniq", 7): (6_003, 74_381), ("cirr", 7): (4_170, 21_551), ("oven", 8): (14_741, 335_135),
    ("infoseek", 8): (17_593, 481_782),
}  # fmt: skip
"""Published numbers of test queries and of candidates of the local pool."""
LONG = ("oven", "infoseek", "webqa")  # their texts are passages of an encyclopedia, not captions
WORDS = [f"w{number:x}{'aeiou'[number % 5]}" for number in range(4096)]


class Tree:
    """Writes one tree.

    Args:
        root: A folder that is not there yet.
        seed: Decides every word and every judgement.
    """

    def __init__(self, root: Path, seed: int) -> None:
        self.root = root
        self.rng = random.Random(seed)
        self.last = dict.fromkeys(DATASETS, 0)
        self.last_query = dict.fromkeys(DATASETS, 0)
        self.shared: list[dict[str, Any]] = []

    def text(self, dataset: str) -> str:
        start, length = (
            self.rng.randrange(3900),
            self.rng.randint(80, 110) if dataset in LONG else self.rng.randint(8, 14),
        )
        return " ".join(WORDS[start : start + length])

    def candidate(self, dataset: str, modality: str) -> dict[str, Any]:
        self.last[dataset] += 1
        number = self.last[dataset]
        image = f"mbeir_images/{dataset}_images/{number % 1000:03d}/{number}.jpg" if "image" in modality else None
        spelled = "text,image" if modality == "image,text" and number % 2 else modality
        return {
            "txt": self.text(dataset) if "text" in modality else None,
            "img_path": image,
            "modality": spelled,
            "did": f"{DATASETS.index(dataset)}:{number}",
            "src_content": json.dumps({"id": str(number)}),
        }

    def pool(self, dataset: str, task: int, size: int, path: Path, *, append: bool = False) -> list[str]:
        """Write a pool and return the ids of its candidates of the task's own modality."""
        modality = MODALITIES[task][1]
        own = [self.candidate(dataset, modality) for _ in range(size)]
        strange: list[dict[str, Any]] = []
        if append:  # to the one pool of training, which holds every candidate once
            pass
        elif dataset == "webqa" and task == 2:  # a pool of two modalities
            strange = [self.candidate(dataset, "text") for _ in range(1 + size // 100)]
        elif dataset == "oven" and task == 6:
            self.shared = own[: 1 + size // 100]
        elif dataset == "infoseek" and task == 6:  # a pool that repeats candidates of another
            strange = self.shared
        _write_lines(path, (json.dumps(row) for row in [*own, *strange]), append=append)
        return [row["did"] for row in own]

    def queries(self, dataset: str, task: int, number: int, ids: list[str], more: list[str]) -> list[dict[str, Any]]:
        """Return queries, and judge them by candidates of ``ids`` and, where data sets are mixed, of ``more``."""
        modality = MODALITIES[task][0]
        made = []
        for _ in range(number):
            self.last_query[dataset] += 1
            at = self.last_query[dataset]
            relevant = self.rng.sample(ids, min(len(ids), 5 if (dataset, task) == ("mscoco", 3) else 1))
            if dataset == "oven" and at % 4 == 0 and more:
                relevant.append(self.rng.choice(more))
            judged_not = [] if dataset == "mscoco" else self.rng.sample(ids, min(len(ids), 1 + (dataset == "cirr")))
            negatives: list[Any] = [did for did in judged_not if did not in relevant]
            made.append(
                {
                    "qid": f"{DATASETS.index(dataset)}:{at}",
                    "query_txt": self.text("mscoco") if "text" in modality else None,
                    "query_img_path": f"mbeir_images/{dataset}_images/q/{at}.jpg" if "image" in modality else None,
                    "query_modality": "text,image" if modality == "image,text" and at % 2 else modality,
                    "query_src_content": json.dumps({"id": str(at)}),
                    "pos_cand_list": [{"did": did} for did in relevant] if at % 2 else relevant,
                    "neg_cand_list": [{"did": did} for did in negatives] if at % 2 else negatives,
                    "task_id": task,
                }
            )
        return made

    def qrels(self, task: int, queries: list[dict[str, Any]], path: Path) -> None:
        def rows() -> Iterator[str]:
            for query in queries:
                for item in query["pos_cand_list"]:
                    yield f"{query['qid']} 0 {item['did'] if isinstance(item, dict) else item} 1 {task}"

        _write_lines(path, rows())

    def instructions(self) -> None:
        """Write the instructions; names of columns are ours, and rows have different numbers of wordings."""
        rows = ["query_modality\tcand_modality\tdataset_name\tdataset_id\tprompt_1\tprompt_2\tprompt_3\tprompt_4"]
        for number, (dataset, task) in enumerate(SIZES):
            query, candidate = MODALITIES[task]
            wordings = [f"Find the {candidate} of {dataset}, wording {n}." for n in range(1, 3 + number % 3)]
            spelled = candidate if number % 2 else candidate.replace("image,text", "text,image")
            rows.append("\t".join([query, spelled, dataset, str(DATASETS.index(dataset)), *wordings]))
        _write_lines(self.root / "instructions" / "query_instructions.tsv", iter(rows))


def _write_lines(path: Path, lines: Iterator[str], *, append: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a" if append else "w", encoding="utf-8") as stream:
        stream.writelines(f"{line}\n" for line in lines)


def write_tree(
    root: Path, candidates: int, queries: int, *, seed: int = 0, splits: tuple[str, ...] = ("test",)
) -> dict[tuple[str, int, str], tuple[int, int]]:
    """Write a tree and return the numbers of queries and of own candidates by data set, task and split.

    Args:
        root: The folder.
        candidates: Of all local pools together, about; at least six each.
        queries: Of each split, about; at least four a task.
        seed: Decides every word.
        splits: Of ``train``, ``val`` and ``test``.
    """
    tree, counts = Tree(root, seed), {}
    all_queries, all_candidates = (sum(size[n] for size in SIZES.values()) for n in (0, 1))
    for split in splits:
        pools: dict[tuple[str, int], list[str]] = {}
        for (dataset, task), (_, size) in SIZES.items():
            number = max(6, round(candidates * size / all_candidates))
            local = root / "cand_pool" / "local"
            path = local / f"mbeir_{dataset}_task{task}_cand_pool.jsonl"
            if dataset == "mscoco" and split != "train":
                path = local / f"mbeir_{dataset}_task{task}_{split}_cand_pool.jsonl"
            if split == "train":
                path = root / "cand_pool" / "global" / "mbeir_union_train_cand_pool.jsonl"
            if split != "train" and path.is_file():  # test and validation share a pool
                with path.open(encoding="utf-8") as stream:
                    own = (row for row in map(json.loads, stream) if _is_own(row, dataset, task))
                    pools[dataset, task] = [row["did"] for row in own]
            else:
                pools[dataset, task] = tree.pool(dataset, task, number, path, append=split == "train")
        for (dataset, task), (number, _) in SIZES.items():
            asked = max(4, round(queries * number / all_queries))
            made = tree.queries(
                dataset, task, asked, pools[dataset, task], pools["infoseek", task] if dataset == "oven" else []
            )
            name = f"{dataset}_train" if split == "train" else f"{dataset}_task{task}_{split}"
            lines = (json.dumps(query) for query in made)
            _write_lines(root / "query" / split / f"mbeir_{name}.jsonl", lines, append=split == "train")
            if split != "train":
                tree.qrels(task, made, root / "qrels" / split / f"mbeir_{name}_qrels.txt")
            counts[dataset, task, split] = len(made), len(pools[dataset, task])
    tree.instructions()
    return counts


def _is_own(row: dict[str, Any], dataset: str, task: int) -> bool:
    spelled = row["modality"].replace("text,image", "image,text")
    return spelled == MODALITIES[task][1] and row["did"].startswith(f"{DATASETS.index(dataset)}:")


def read_tree(root: Path, split: str = "test") -> dict[str, float]:
    """Read every table of a split once, as an evaluation over the union does, and return counts, seconds and MiB."""
    from mrbench.sources import open_benchmark

    begun = time.perf_counter()
    benchmark = open_benchmark(f"mbeir:{root}")
    digest = benchmark.digest
    opened = time.perf_counter()
    candidates = sum(len(benchmark.corpus(name, split).ids) for name in benchmark.corpora)
    listed = time.perf_counter()
    queries = sum(1 for task in benchmark.task_names for _ in benchmark.queries(task, split))
    judged = sum(len(benchmark.judgements(task, split)) for task in benchmark.task_names)
    asked = time.perf_counter()
    read = sum(1 for name in benchmark.corpora for _ in benchmark.corpus(name, split))
    assert read == candidates
    return {
        "candidates": candidates,
        "queries": queries,
        "judgements": judged,
        "seconds to open, with the digest": opened - begun,
        "seconds to read candidates": listed - opened,
        "seconds to read queries and judgements": asked - listed,
        "seconds to make every candidate's record": time.perf_counter() - asked,
        "peak MiB": peak_mib(),
        "digest": int(digest[:8], 16),
    }


def peak_mib() -> float:
    """Return the most memory that this program has held: Linux counts what started it in ``ru_maxrss``."""
    status = Path("/proc/self/status")
    if status.is_file():
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("write", "read"))
    parser.add_argument("tree", type=Path)
    parser.add_argument("--candidates", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--splits", default="test", help="of train, val, test, with commas between")
    args = parser.parse_args()
    if args.command == "write":
        counts = write_tree(
            args.tree, args.candidates, args.queries, seed=args.seed, splits=tuple(args.splits.split(","))
        )
        queries, candidates = (sum(count[n] for count in counts.values()) for n in (0, 1))
        print(f"{queries:,} queries, {candidates:,} candidates")
    else:
        print(json.dumps(read_tree(args.tree), indent=2))


if __name__ == "__main__":
    main()
