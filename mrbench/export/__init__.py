"""Benchmarks for other harnesses, and results in the formats of others."""

from mrbench.export.every_eval_ever import Publisher, write_every_eval_ever
from mrbench.export.every_eval_ever_rows import QueryRows
from mrbench.export.hub_results import write_hub_results
from mrbench.export.mteb_module import write_mteb_module
from mrbench.export.mteb_results import write_mteb_results
from mrbench.export.tables import write_csv, write_latex, write_markdown
from mrbench.export.trec import write_trec

__all__ = [
    "Publisher",
    "QueryRows",
    "write_csv",
    "write_every_eval_ever",
    "write_hub_results",
    "write_latex",
    "write_markdown",
    "write_mteb_module",
    "write_mteb_results",
    "write_trec",
]
