"""Scoring: from a run and the judgements to every measure, without model or search."""

from mrbench.score.scoring import score_run

__all__ = ["score_run"]
