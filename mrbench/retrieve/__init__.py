"""Joins a model and a benchmark into a run: encode, search, write, score."""

from mrbench.retrieve.pool import POOLS, TaskPool, load_pool, pool_modalities
from mrbench.retrieve.run import Run, TaskRun, read_run, write_run
from mrbench.retrieve.score import score_run
from mrbench.retrieve.search import run_tasks
from mrbench.retrieve.source import EmbeddingSource, ModelSource

__all__ = [
    "POOLS",
    "EmbeddingSource",
    "ModelSource",
    "Run",
    "TaskPool",
    "TaskRun",
    "load_pool",
    "pool_modalities",
    "read_run",
    "run_tasks",
    "score_run",
    "write_run",
]
