"""Evaluates one model on one benchmark: embeds, searches, scores, and writes the run and the result."""

from mrbench.evaluation.enter import enter
from mrbench.evaluation.entry import EntryCheck, check_entries, check_entry
from mrbench.evaluation.evaluation import RESULT, check_together, embed, evaluate, rescore

__all__ = [
    "RESULT",
    "EntryCheck",
    "check_entries",
    "check_entry",
    "check_together",
    "embed",
    "enter",
    "evaluate",
    "rescore",
]
