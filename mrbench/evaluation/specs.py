"""Opens benchmarks and loads models that are given by a spec."""

from __future__ import annotations

from pathlib import Path

from mrbench.benchmark import Benchmark
from mrbench.models.protocol import EmbeddingModel
from mrbench.models.zoo import load_model
from mrbench.sources import open_benchmark


def opened(benchmark: Benchmark | str | Path) -> Benchmark:
    """Return the benchmark, opened if it is given as a spec."""
    return open_benchmark(benchmark) if isinstance(benchmark, str | Path) else benchmark


def loaded(model: EmbeddingModel | str, seed: int) -> EmbeddingModel:
    """Return the model, loaded if it is given as a spec. The seed is for models that use random numbers."""
    return load_model(model, seed=seed) if isinstance(model, str) else model
