"""Retrieval: embeds the tasks of a benchmark, searches them, and makes a run."""

from mrbench.retrieve.search_tasks import embed_tasks, run_tasks

__all__ = ["embed_tasks", "run_tasks"]
