"""Benchmark sources: data sets read as they lie on disk, named by a spec such as ``captions:photos.csv``."""

from mrbench.sources.open import SOURCES, open_benchmark, parse_spec

load_benchmark = open_benchmark
"""The public name of :func:`open_benchmark`."""

__all__ = ["SOURCES", "load_benchmark", "open_benchmark", "parse_spec"]
