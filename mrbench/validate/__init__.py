"""The checker: verifies every grade, ladder, split and digest of a benchmark with code of its own.

Nothing here is shared with the builders. Of a suite with complete judgements rows come straight from Parquet, and what
they should be is worked out anew from the definitions in ``docs/reference/format.md``. Of data with partial judgements,
a folder or a source, everything is checked that follows from the data itself.
"""

from mrbench.validate.checker import validate
from mrbench.validate.open_folder import validate_open
from mrbench.validate.open_world import check_contents, summary
from mrbench.validate.report import Problem, Report

__all__ = ["Problem", "Report", "check_contents", "summary", "validate", "validate_open"]
