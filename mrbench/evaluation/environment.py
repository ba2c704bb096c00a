"""What a result was computed with."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("mrbench", "numpy", "pillow", "pyarrow", "torch", "transformers")


def environment() -> dict[str, str]:
    """Return versions of what is installed, platform, number of processors and of threads. Names no person or path."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # an optional part
            continue
    found["platform"] = f"{platform.system()} {platform.machine()}"
    found["processors"] = str(os.cpu_count() or 1)
    torch = sys.modules.get("torch")  # only a model that uses it has imported it
    found["threads"] = str(torch.get_num_threads()) if torch else os.environ.get("OMP_NUM_THREADS", found["processors"])
    return found
