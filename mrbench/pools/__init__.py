"""The pool of a task: its queries, its candidates, and the relevance of each candidate to each query."""

from mrbench.pools.corpora import pool_corpora, pool_modalities
from mrbench.pools.judgements import Listed
from mrbench.pools.load import load_pool
from mrbench.pools.narrow import DISTRACTORS
from mrbench.pools.pool import POOLS, TaskPool

__all__ = ["DISTRACTORS", "POOLS", "Listed", "TaskPool", "load_pool", "pool_corpora", "pool_modalities"]
