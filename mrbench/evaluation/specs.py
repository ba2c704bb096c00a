"""Benchmarks and models that are named by a spec."""

from __future__ import annotations

from pathlib import Path

from mrbench.benchmark import Benchmark
from mrbench.models.protocol import EmbeddingModel
from mrbench.models.zoo import load_model
from mrbench.sources import open_benchmark


def opened(benchmark: Benchmark | str | Path) -> Benchmark:
    """Return a benchmark; a spec is opened."""
    return open_benchmark(benchmark) if isinstance(benchmark, str | Path) else benchmark


def loaded(model: EmbeddingModel | str, seed: int) -> EmbeddingModel:
    """Return a model; a spec is loaded, with the seed of models that draw at random."""
    return load_model(model, seed=seed) if isinstance(model, str) else model
