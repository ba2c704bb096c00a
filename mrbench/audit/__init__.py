"""The audit of a benchmark: can it be solved blind, and can what should be told apart be told apart?"""

from mrbench.audit.audit import SAMPLE, audit
from mrbench.audit.findings import Case, Check, Report
from mrbench.audit.render import one_line, render_html, render_markdown, write_into_card, write_report

__all__ = [
    "SAMPLE",
    "Case",
    "Check",
    "Report",
    "audit",
    "one_line",
    "render_html",
    "render_markdown",
    "write_into_card",
    "write_report",
]
