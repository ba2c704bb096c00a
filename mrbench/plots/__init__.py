"""Figures of results with matplotlib: the ladder, pair accuracy by grain, and grain sensitivity."""

from mrbench.plots.by_grain import plot_heat_map, plot_sensitivity
from mrbench.plots.ladder import plot_ladder

__all__ = ["plot_heat_map", "plot_ladder", "plot_sensitivity"]
