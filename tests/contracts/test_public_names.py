"""The public names of the package: all there, none dragging in torch."""

from __future__ import annotations

import subprocess
import sys

import pytest

import mrbench


def test_all_public_names_are_there_and_documented() -> None:
    assert set(mrbench.__all__) <= set(dir(mrbench))
    for name in mrbench.__all__:
        assert getattr(mrbench, name).__doc__, name


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="nothing"):
        mrbench.nothing  # noqa: B018


def test_functions_stay_functions_once_their_modules_are_imported() -> None:
    code = "import mrbench.evaluation, mrbench.sources; from mrbench import evaluate; assert callable(evaluate)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_importing_the_package_imports_no_torch() -> None:
    code = "import sys, mrbench; assert not {'torch', 'transformers', 'pyarrow', 'pandas'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
