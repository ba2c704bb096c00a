"""Judges: whether a candidate keeps a grain of a query, violates it, or leaves it open."""

from mrbench.judge.rules import Rules
from mrbench.judge.verdicts import KEPT, UNKNOWN, VIOLATED, Judge, Verdict

__all__ = ["KEPT", "UNKNOWN", "VIOLATED", "Judge", "Rules", "Verdict"]
