"""MRBench: which grain of a query is an embedding model blind to?

The public names below are imported when they are first used, so that ``import mrbench`` needs no torch.
"""

from __future__ import annotations

import importlib
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mrbench.benchmark import Benchmark, write_benchmark
    from mrbench.comparison import Comparison, Difference, compare
    from mrbench.evaluation import evaluate, rescore
    from mrbench.leaderboard.publish import publish
    from mrbench.leaderboard.read import read_results
    from mrbench.models.protocol import EmbeddingModel, Item
    from mrbench.models.zoo import load_model
    from mrbench.plots import plot_heat_map, plot_ladder, plot_sensitivity
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
    from mrbench.results import Result, Results, read_result
    from mrbench.sources import load_benchmark

    __version__: str

_HOMES = {
    "mrbench.benchmark": ("Benchmark", "write_benchmark"),
    "mrbench.comparison": ("Comparison", "Difference", "compare"),
    "mrbench.evaluation": ("evaluate", "rescore"),
    "mrbench.leaderboard": ("publish", "read_results"),
    "mrbench.models.protocol": ("EmbeddingModel", "Item"),
    "mrbench.models.zoo": ("load_model",),
    "mrbench.records": (
        *("Candidate", "CandidateList", "Grain", "ImageData", "ImageFile"),
        *("Judgement", "Ladder", "Query", "Task", "Variant"),
    ),
    "mrbench.plots": ("plot_heat_map", "plot_ladder", "plot_sensitivity"),
    "mrbench.results": ("Result", "Results", "read_result"),
    "mrbench.sources": ("load_benchmark",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Benchmark",
    "Candidate",
    "CandidateList",
    "Comparison",
    "Difference",
    "EmbeddingModel",
    "Grain",
    "ImageData",
    "ImageFile",
    "Item",
    "Judgement",
    "Ladder",
    "Query",
    "Result",
    "Results",
    "Task",
    "Variant",
    "__version__",
    "compare",
    "evaluate",
    "load_benchmark",
    "load_model",
    "plot_heat_map",
    "plot_ladder",
    "plot_sensitivity",
    "publish",
    "read_result",
    "read_results",
    "rescore",
    "write_benchmark",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        value = version("mrbench")
        globals()[name] = value
        return value
    if name not in _HOME_OF:
        raise AttributeError(f"module 'mrbench' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
