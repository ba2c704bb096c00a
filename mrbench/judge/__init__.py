"""Judges: whether a candidate keeps a grain of a query, violates it, or leaves it open."""

from mrbench.judge.describer import Describer
from mrbench.judge.model_judge import ModelJudge
from mrbench.judge.pictured import Pictured
from mrbench.judge.rules import Rules
from mrbench.judge.verdict_file import VerdictFile
from mrbench.judge.verdicts import KEPT, UNKNOWN, VIOLATED, Judge, Verdict

__all__ = [
    "KEPT",
    "UNKNOWN",
    "VIOLATED",
    "Describer",
    "Judge",
    "ModelJudge",
    "Pictured",
    "Rules",
    "Verdict",
    "VerdictFile",
]
