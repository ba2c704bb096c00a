"""Benchmarks for other harnesses."""

from mrbench.export.mteb_module import write_mteb_module

__all__ = ["write_mteb_module"]
