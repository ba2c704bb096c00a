"""The table of sources names functions and tests that are there."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PATTERN = r"`((?:mrbench\.|elva\.|tests/|test_)[\w./]+)`"
NAMES = sorted(set(re.findall(PATTERN, (ROOT / "docs" / "sources.md").read_text())))


@pytest.mark.parametrize("name", NAMES)
def test_what_the_sources_name_exists(name: str) -> None:
    if name.startswith("tests/"):
        assert (ROOT / name).exists()
    elif name.startswith("test_"):
        assert any(f"def {name}(" in path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    else:
        try:
            import_module(name)
        except ModuleNotFoundError:
            module, _, attribute = name.rpartition(".")
            assert hasattr(import_module(module), attribute)
