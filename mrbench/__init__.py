"""MRBench: which grain of a query is an embedding model blind to?

The public names below are imported when they are first used, so that ``import mrbench`` needs no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mrbench.benchmark import Benchmark, write_benchmark
    from mrbench.evaluation import evaluate, rescore
    from mrbench.models.protocol import EmbeddingModel, Item
    from mrbench.models.zoo import load_model
    from mrbench.records import (
        Candidate,
        CandidateList,
        Grain,
        ImageData,
        ImageFile,
        Judgement,
        Ladder,
        Query,
        Task,
        Variant,
    )
    from mrbench.results import Result, read_result
    from mrbench.sources import open_benchmark

_HOMES = {
    "mrbench.benchmark": ("Benchmark", "write_benchmark"),
    "mrbench.evaluation": ("evaluate", "rescore"),
    "mrbench.models.protocol": ("EmbeddingModel", "Item"),
    "mrbench.models.zoo": ("load_model",),
    "mrbench.records": (
        *("Candidate", "CandidateList", "Grain", "ImageData", "ImageFile"),
        *("Judgement", "Ladder", "Query", "Task", "Variant"),
    ),
    "mrbench.results": ("Result", "read_result"),
    "mrbench.sources": ("open_benchmark",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Benchmark",
    "Candidate",
    "CandidateList",
    "EmbeddingModel",
    "Grain",
    "ImageData",
    "ImageFile",
    "Item",
    "Judgement",
    "Ladder",
    "Query",
    "Result",
    "Task",
    "Variant",
    "evaluate",
    "load_model",
    "open_benchmark",
    "read_result",
    "rescore",
    "write_benchmark",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'mrbench' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
