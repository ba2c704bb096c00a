"""Scoring: computes every measure from a run and the judgements, without a model or a search."""

from mrbench.score.overlaid import add_overlay, describe
from mrbench.score.scoring import score_run

__all__ = ["add_overlay", "describe", "score_run"]
