"""The run: the tables that an evaluation keeps of its search."""

from mrbench.runs.run import FILES as RUN_FILES
from mrbench.runs.run import RUN, Run, TaskRun, evaluate_again, read_header, read_run, read_table, write_run

__all__ = ["RUN", "RUN_FILES", "Run", "TaskRun", "evaluate_again", "read_header", "read_run", "read_table", "write_run"]
