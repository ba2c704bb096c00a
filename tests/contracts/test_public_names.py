"""The public names of the package: all there, none dragging in torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import mrbench


def test_all_public_names_are_there_and_documented() -> None:
    assert set(mrbench.__all__) <= set(dir(mrbench))
    for name in mrbench.__all__:
        assert getattr(mrbench, name).__doc__, name


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="nothing"):
        mrbench.nothing  # noqa: B018


def test_what_the_readme_promises_is_public() -> None:
    promised = (
        *("load_benchmark", "load_model", "evaluate", "rescore", "read_results", "compare", "publish"),
        *("write_benchmark", "plot_ladder", "plot_heat_map", "plot_sensitivity", "__version__"),
    )
    assert set(promised) <= set(mrbench.__all__)
    assert mrbench.__version__ == version("mrbench")


def test_every_public_name_is_declared_for_type_checkers() -> None:
    tree = ast.parse(Path(mrbench.__file__).read_text(encoding="utf-8"))
    (checking,) = [node for node in tree.body if isinstance(node, ast.If)]
    imported = {alias.name for node in checking.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert imported | {"__version__"} == set(mrbench.__all__)


def test_functions_stay_functions_once_their_modules_are_imported() -> None:
    code = (
        "import mrbench.evaluation, mrbench.sources, mrbench.comparison, mrbench.leaderboard.publish\n"
        "from mrbench import compare, evaluate, publish; assert all(map(callable, (compare, evaluate, publish)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_importing_the_package_imports_no_torch() -> None:
    heavy = "{'torch', 'transformers', 'pyarrow', 'pandas', 'matplotlib'}"
    code = f"import sys, mrbench; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
