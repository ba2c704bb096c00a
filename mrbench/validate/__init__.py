"""The checker: verifies every grade, ladder, split and digest of a benchmark with code of its own.

It shares no code with the builders. For a suite with complete judgements, it reads rows straight from Parquet and
derives the right ones from the definitions in ``docs/reference/format.md``. For data with partial judgements, a folder
or a source, it checks everything that follows from the data itself.
"""

from mrbench.validate.checker import validate
from mrbench.validate.open_folder import validate_open
from mrbench.validate.open_world import check_contents, summary
from mrbench.validate.report import Problem, Report

__all__ = ["Problem", "Report", "check_contents", "summary", "validate", "validate_open"]
