"""Joins a model and a benchmark into a run: encode, search, write, score."""

from mrbench.retrieve.pool import POOLS, TaskPool, load_pool, pool_modalities
from mrbench.retrieve.run import FILES as RUN_FILES
from mrbench.retrieve.run import Run, TaskRun, read_run, write_run
from mrbench.retrieve.score import score_run
from mrbench.retrieve.source import EmbeddingSource, ModelSource
from mrbench.retrieve.store import EmbeddingStore, Share
from mrbench.retrieve.tasks import embed_tasks, run_tasks

__all__ = [
    "POOLS",
    "RUN_FILES",
    "EmbeddingSource",
    "EmbeddingStore",
    "ModelSource",
    "Run",
    "Share",
    "TaskPool",
    "TaskRun",
    "embed_tasks",
    "load_pool",
    "pool_modalities",
    "read_run",
    "run_tasks",
    "score_run",
    "write_run",
]
