"""One model on one benchmark: embed, search, score, and write the run and the result."""

from mrbench.evaluation.evaluation import RESULT, embed, evaluate, rescore

__all__ = ["RESULT", "embed", "evaluate", "rescore"]
