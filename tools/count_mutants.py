"""Counts mutants by package: reads `mutmut results --all true` and prints killed, all, and the share.

.venv/bin/mutmut results --all true | python tools/count_mutants.py
"""

import sys
from collections import Counter

FAMILIES = ("mrbench.measures", "mrbench.statistics", "mrbench.judge", "elva.rewards")
# Mutants that were not run are left out: "not checked" and "skipped".
FOUND = ("killed", "timeout", "segfault", "caught by type check")
NOT_FOUND = ("survived", "no tests", "suspicious")


def main() -> None:
    """Print the share of mutants found, by package."""
    killed, every = Counter(), Counter()
    for line in sys.stdin:
        name, _, status = line.strip().rpartition(": ")
        family = next((family for family in FAMILIES if name.startswith(family + ".")), None)
        if family and status in FOUND + NOT_FOUND:
            every[family] += 1
            killed[family] += status in FOUND
    for family in (family for family in FAMILIES if every[family]):
        share = killed[family] / every[family]
        print(f"{family:20} {killed[family]:5} of {every[family]:5} mutants are found: {share:.1%}")


if __name__ == "__main__":
    main()
