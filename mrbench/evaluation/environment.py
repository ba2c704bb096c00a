"""The software and hardware that a result was computed with."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("mrbench", "numpy", "pillow", "pyarrow", "torch", "transformers")


def environment() -> dict[str, str]:
    """Return versions of packages, platform, and numbers of CPUs and threads. It names no person and no path."""
    facts = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            facts[package] = version(package)
        except PackageNotFoundError:  # an optional part
            continue
    facts["platform"] = f"{platform.system()} {platform.machine()}"
    facts["processors"] = str(os.cpu_count() or 1)
    torch = sys.modules.get("torch")  # imported only if a model uses it
    facts["threads"] = str(torch.get_num_threads()) if torch else os.environ.get("OMP_NUM_THREADS", facts["processors"])
    return facts
