"""Docstrings that tools and readers can use: examples and sections on lines of their own, and whole words.

The mistakes that are looked for were in the tree once: a docstring that a careless tool had wrapped into one paragraph,
in the middle of words.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECTIONS = "Args|Attributes|Returns|Raises|Yields"
FILES = [path for package in ("mrbench", "elva") for path in sorted((ROOT / package).rglob("*.py"))]
# An opening of a function's docstring that says neither what it returns nor what it does.
NO_VERB = re.compile(r"(Whether|How (many|much|far)|What|Which|Where|Say)\b")


def wrong_with(docstring: str) -> list[str]:
    """Return what is wrong with a docstring."""
    found = []
    lines = docstring.splitlines()
    for number, line in enumerate(lines):
        text = line.strip()
        if ">>>" in text and not text.startswith(">>>"):
            found.append(f"an example inside a line: {text}")
        if re.search(rf"\S\s+({SECTIONS}):(\s|$)", text):
            found.append(f"a section inside a line: {text}")
        if re.fullmatch(rf"({SECTIONS}):\s+\S.*", text):
            found.append(f"text after the name of a section: {text}")
        if re.fullmatch(rf"({SECTIONS}):", text) and number and lines[number - 1].strip():
            found.append(f"no empty line before a section: {text}")
    if docstring.count("``") % 2:
        found.append("an odd number of double backquotes")
    last = lines[-1].strip() if lines else ""
    if len(lines) > 1 and '"""' not in last and re.fullmatch(r"[a-z]{1,3}\.", last):
        found.append(f"a last line that is the end of a word: {last}")
    return found


def docstrings(path: Path) -> list[tuple[int, str, bool]]:
    """Return line, text and whether it is a function's, of all docstrings of a file."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text is not None:
                is_function = isinstance(node, ast.FunctionDef) and not _is_property(node)
                found.append((getattr(node, "lineno", 1), text, is_function))
    return found


def _is_property(node: ast.FunctionDef) -> bool:
    return any("property" in ast.unparse(decorator) for decorator in node.decorator_list)


def test_no_docstring_is_broken() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {wrong}"
        for path in FILES
        for line, text, _ in docstrings(path)
        for wrong in wrong_with(text)
    ]
    assert not found, "\n".join(found)


def test_a_function_says_what_it_returns() -> None:
    names = {path: path.relative_to(ROOT).as_posix() for path in FILES}
    found = [
        f"{name}:{line}: {text.splitlines()[0]}"
        for path, name in names.items()
        for line, text, is_function in docstrings(path)
        if is_function and NO_VERB.match(text)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "broken",
    [
        "Return the article. >>> article(\"owl\"),\narticle(\"unicorn\") ('an', 'a')",
        "A thing that can be drawn. Attributes: name: Singular.",
        "Return it.\nArgs:\n    name: The name.",
        "Return it.\n\nArgs: name: The name.",
        "Return ``name.",
        "Parse the items; the plural is ``+s`` unless giv\nen.",
    ],
)
def test_each_kind_of_broken_docstring_is_found(broken: str) -> None:
    assert wrong_with(broken)


def test_a_sound_docstring_is_not_reported() -> None:
    assert not wrong_with("Return ``a``.\n\nArgs:\n    a: A number.\n\n>>> f(1)\n1")
