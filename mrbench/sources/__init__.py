"""Benchmark sources: data sets read as they lie on disk, named by a spec such as ``captions:photos.csv``."""

from mrbench.sources.open import SOURCES, open_benchmark, parse_spec

__all__ = ["SOURCES", "open_benchmark", "parse_spec"]
