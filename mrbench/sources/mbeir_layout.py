"""The sub-tasks of M-BEIR, and the files of its tree.

Facts read from UniIR (https://github.com/TIGER-AI-Lab/UniIR, commit 98dc570).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mrbench.errors import BenchmarkError
from mrbench.records import Modality, Split

DATASETS = (
    "VisualNews", "Fashion200K", "WebQA", "EDIS", "NIGHTS", "OVEN", "InfoSeek", "FashionIQ", "CIRR", "MSCOCO",
)  # fmt: skip
"""The data sets; the position of each is its number, which ids begin with."""
HELD_OUT = ("nights", "oven", "infoseek")
"""What a held-out selection leaves for testing alone."""
FOLDERS: dict[Split, str] = {"train": "train", "validation": "val", "test": "test"}
"""What the tree calls our splits."""
_MODALITIES: dict[int, tuple[Modality, Modality]] = {
    0: ("text", "image"),
    1: ("text", "text"),
    2: ("text", "image,text"),
    3: ("image", "text"),
    4: ("image", "image"),
    6: ("image,text", "text"),
    7: ("image,text", "image"),
    8: ("image,text", "image,text"),
}  # 5, image to image and text, is not used
_SHOWN: dict[Modality, str] = {"text": "text", "image": "image", "image,text": "(image, text)"}


@dataclass(frozen=True, slots=True)
class SubTask:
    """One of the 16 sub-tasks.

    Attributes:
        dataset: Name of the data set as files have it, ``mscoco``.
        number: Number of the task, which says who asks and who answers.
        title: Name of the data set for people.
        dataset_id: Number of the data set.
    """

    dataset: str
    number: int
    title: str
    dataset_id: int

    @property
    def name(self) -> str:
        """M-BEIR's name of the sub-task."""
        return f"{self.dataset}_task{self.number}"

    @property
    def modalities(self) -> tuple[Modality, Modality]:
        """The modality of queries and of candidates."""
        return _MODALITIES[self.number]

    @property
    def full_title(self) -> str:
        """What people read."""
        query, candidate = self.modalities
        return f"{self.title}: {_SHOWN[query]} → {_SHOWN[candidate]}"

    @property
    def cutoffs(self) -> tuple[int, int, int]:
        """The numbers of places that UniIR reports."""
        return (10, 20, 50) if self.dataset in ("fashion200k", "fashioniq") else (1, 5, 10)


def _sub_task(dataset: str, number: int) -> SubTask:
    title = next(name for name in DATASETS if name.lower() == dataset)
    return SubTask(dataset, number, title, DATASETS.index(title))


SUB_TASKS = tuple(
    _sub_task(dataset, number)
    for dataset, number in (
        ("visualnews", 0), ("mscoco", 0), ("fashion200k", 0), ("webqa", 1), ("edis", 2), ("webqa", 2),
        ("visualnews", 3), ("mscoco", 3), ("fashion200k", 3), ("nights", 4), ("oven", 6), ("infoseek", 6),
        ("fashioniq", 7), ("cirr", 7), ("oven", 8), ("infoseek", 8),
    )
)  # fmt: skip
"""All sub-tasks, in UniIR's order."""


@dataclass(frozen=True, slots=True)
class QueryFile:
    """A file of queries.

    Attributes:
        shared: Whether it holds queries of other sub-tasks too.
    """

    path: Path
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """The files of a tree.

    Attributes:
        root: Its folder.
    """

    root: Path

    @property
    def instructions(self) -> Path:
        """The instructions of all sub-tasks."""
        return self.root / "instructions" / "query_instructions.tsv"

    def queries(self, task: SubTask, split: Split) -> QueryFile | None:
        """Return the file with the queries of a sub-task, None where the tree has none.

        That is the file of the sub-task; for training, that of the data set; else the union of all.
        """
        folder = FOLDERS[split]
        base = self.root / "query"
        unions = {"train": "mbeir_union_up_train.jsonl", "val": "mbeir_union_val.jsonl"}
        places = [
            QueryFile(base / folder / f"mbeir_{task.name}_{folder}.jsonl"),
            QueryFile(base / folder / f"mbeir_{task.dataset}_{folder}.jsonl", shared=True),
        ]
        if folder in unions:
            places.append(QueryFile(base / f"union_{folder}" / unions[folder], shared=True))
        return next((place for place in places if place.path.is_file()), None)

    def pool(self, task: SubTask, split: Split) -> tuple[Path, bool]:
        """Return the file with the candidates of a sub-task, and whether it holds those of others too.

        Tests and validation use the local pool; only MSCOCO has one of each split. Training uses the global pool.

        Raises:
            BenchmarkError: The tree has no such file.
        """
        folder = FOLDERS[split]
        local = self.root / "cand_pool" / "local"
        places = [(local / f"mbeir_{task.name}_cand_pool.jsonl", False)]
        if task.dataset == "mscoco":
            places.insert(0, (local / f"mbeir_{task.name}_{folder}_cand_pool.jsonl", False))
        if split == "train":
            places.insert(0, (self.root / "cand_pool" / "global" / "mbeir_union_train_cand_pool.jsonl", True))
        found = next((place for place in places if place[0].is_file()), None)
        if found is None:
            raise BenchmarkError(
                f"the pool of {task.name} is missing",
                where=self.root,
                accepted=" or ".join(str(path.relative_to(self.root)) for path, _ in places),
                hint="git lfs pull in the clone of M-BEIR, or leave the data set out with ?datasets=",
            )
        return found

    def qrels(self, task: SubTask, split: Split) -> Path | None:
        """Return the file with the judgements of a sub-task; None where the queries' own lists have to do."""
        folder = FOLDERS[split]
        base = self.root / "qrels" / folder
        places = (base / f"mbeir_{name}_{folder}_qrels.txt" for name in (task.name, task.dataset))
        return next((path for path in places if path.is_file()), None)
