"""The run: what is kept of a search, written and read."""

from mrbench.runs.run import CUTOFF, Run, TaskRun, read_run, write_run
from mrbench.runs.run import FILES as RUN_FILES

__all__ = ["CUTOFF", "RUN_FILES", "Run", "TaskRun", "read_run", "write_run"]
