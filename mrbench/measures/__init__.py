"""Measures: formulas over ranks, grades and pairs. Sees records only."""
