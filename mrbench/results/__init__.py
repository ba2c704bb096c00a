"""The result file: scores of one model on one benchmark, and everything needed to believe them."""

from mrbench.results.reading import difference, read_result, write_result
from mrbench.results.records import (
    FORMAT,
    FORMAT_VERSION,
    GrainScore,
    PairCounts,
    Result,
    Results,
    TaskResult,
    model_key,
)

__all__ = [
    "FORMAT",
    "FORMAT_VERSION",
    "GrainScore",
    "PairCounts",
    "Result",
    "Results",
    "TaskResult",
    "difference",
    "model_key",
    "read_result",
    "write_result",
]
