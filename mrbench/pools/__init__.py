"""The pool of a task: its queries, its candidates, and what each candidate is worth to each query."""

from mrbench.pools.pool import POOLS, TaskPool, load_pool, pool_modalities

__all__ = ["POOLS", "TaskPool", "load_pool", "pool_modalities"]
