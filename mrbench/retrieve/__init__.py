"""Joins a model and a benchmark into a run: encode, search, write, score."""

from mrbench.retrieve.encode import encode_corpus, encode_queries
from mrbench.retrieve.pool import POOLS, TaskPool, load_pool, pool_modalities
from mrbench.retrieve.run import Run, TaskRun, read_run, write_run
from mrbench.retrieve.score import score_run

__all__ = [
    "POOLS",
    "Run",
    "TaskPool",
    "TaskRun",
    "encode_corpus",
    "encode_queries",
    "load_pool",
    "pool_modalities",
    "read_run",
    "score_run",
    "write_run",
]
