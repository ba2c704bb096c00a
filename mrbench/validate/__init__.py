"""The checker: verifies every grade, ladder, split and digest of a benchmark with code of its own.

Nothing here is shared with the builders, nor with the reader and writer of the format but for the manifest's form:
rows come straight from Parquet, and what they should be is worked out anew from the definitions in
``docs/reference/format.md``.
"""

from mrbench.validate.checker import validate
from mrbench.validate.report import Problem, Report

__all__ = ["Problem", "Report", "validate"]
