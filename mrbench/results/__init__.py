"""The result file: scores of one model on one benchmark, and everything needed to believe them."""

from mrbench.results.checked import CHECKED, Checked, read_checked, write_checked
from mrbench.results.reading import difference, read_result, write_result
from mrbench.results.records import (
    FORMAT,
    FORMAT_VERSION,
    Evidence,
    GrainScore,
    PairCounts,
    Result,
    Results,
    TaskResult,
    model_key,
)

__all__ = [
    "CHECKED",
    "FORMAT",
    "FORMAT_VERSION",
    "Checked",
    "Evidence",
    "GrainScore",
    "PairCounts",
    "Result",
    "Results",
    "TaskResult",
    "difference",
    "model_key",
    "read_checked",
    "read_result",
    "write_checked",
    "write_result",
]
