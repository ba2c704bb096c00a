"""Every command that a message, a help text or a page names is there, with the options that it names."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.core import TyperGroup

ROOT = Path(__file__).parents[2]
SOURCES = [path for package in ("mrbench", "elva") for path in sorted((ROOT / package).rglob("*.py"))]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "leaderboards" / "README.md",
    *(page for page in sorted((ROOT / "docs").rglob("*.md")) if page.name not in ("cli.md", "log.md")),
]
UNKNOWN = "\x00"  # a value that is known when the message is made
COMMAND = re.compile(r"(?<!from )\b(?:mrbench|python -m mrbench|-m mrbench) ((?:[^\n`|;#()]|\x00)*)")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")
CLAUSE = re.compile(r"[,:;]\s.*")  # what a sentence says behind a command


@cache
def tree() -> Any:
    import typer

    from mrbench.cli.app import app

    return typer.main.get_command(app)


@cache
def all_options() -> frozenset[str]:
    def walk(command: Any) -> Iterator[str]:
        yield from options_of(command)
        for sub in getattr(command, "commands", {}).values():
            yield from walk(sub)

    return frozenset(walk(tree()))


def options_of(command: Any) -> set[str]:
    return {"--help", *(name for p in command.params for name in (*p.opts, *p.secondary_opts) if name.startswith("-"))}


def wrong_with(words: str, *, prose: bool) -> str | None:
    """Return what is wrong with the words behind ``mrbench``; None if they are a command or the start of one.

    Args:
        words: The words.
        prose: Whether they may be a sentence about MRBench, which need not name a command.
    """
    command = tree()
    allowed: set[str] | frozenset[str] = options_of(command)
    rest = CLAUSE.sub("", words).split()
    named = []
    while rest and getattr(command, "commands", None):
        word = rest[0].rstrip(".,:'\"")
        if word in command.commands:
            command = command.commands[word]
            allowed |= options_of(command)
            named.append(rest.pop(0))
        elif word.startswith("-") and word in allowed:
            rest.pop(0)
        elif named and (word == UNKNOWN or type(command) is not TyperGroup):
            allowed = all_options()  # one of the commands of a group; or the group takes words without a command
            break
        elif named and (prose or not re.fullmatch("[a-z][a-z-]*", word)):
            break  # a group, and what is said of it
        else:
            return None if prose or UNKNOWN in word else f"mrbench {words}: no command {word}"
    unknown = [option for option in OPTION.findall(" ".join(rest)) if option not in allowed]
    return f"mrbench {words}: {' '.join(named)} has no {unknown[0]}" if unknown and named else None


def text_of(node: ast.AST) -> str | None:
    """Return the text of a string, with a mark for each value that is put in; None for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) or UNKNOWN for part in node.values)
    if isinstance(node, ast.Call) and _name(node) in ("command_line", "command"):
        words = [text_of(word) or UNKNOWN for word in node.args]
        return " ".join(words if _name(node) == "command_line" else ["mrbench", *words])
    return None


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and text of every string of a module, and of every command that is put together from words."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        text = text_of(node)
        if text is not None:
            yield getattr(node, "lineno", 0), text


def commands_in(text: str) -> Iterator[tuple[str, bool]]:
    """Yield the words behind each ``mrbench`` of a text, and whether they may be a sentence."""
    for line in re.sub(r"\\\n", " ", text).splitlines():
        for found in COMMAND.finditer(line):
            before = line[: found.start()]
            code = before.count("`") % 2 == 1 or "Example: " in before or "next: " in before
            yield found[1], not code


@pytest.mark.parametrize("package", ["mrbench", "elva"])
def test_strings_name_commands_that_are_there(package: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {wrong}"
        for path in SOURCES
        if path.is_relative_to(ROOT / package)
        for line, text in texts(path)
        for words, prose in commands_in(text)
        if (wrong := wrong_with(words, prose=prose))
    ]
    assert not found, "\n".join(found)


def hints(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and text of what a module gives as the next step of an error."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        given: list[ast.AST] = []
        if isinstance(node, ast.Call):
            given = [word.value for word in node.keywords if word.arg == "hint"]
            given += node.args[:1] if _name(node) in ("advise", "advised") else []
        elif isinstance(node, ast.Assign):
            given = [value for name, value in _assigned(node) if name in ("hint", "_HINT", "_hint")]
        for value in given:
            parts = [value.body, value.orelse] if isinstance(value, ast.IfExp) else [value]
            yield from ((node.lineno, text) for part in parts if (text := text_of(part)))


def _assigned(node: ast.Assign) -> Iterator[tuple[str, ast.AST]]:
    for target in node.targets:
        if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            yield from ((getattr(t, "id", ""), v) for t, v in zip(target.elts, node.value.elts, strict=False))
        else:
            yield getattr(target, "id", ""), node.value


def test_the_next_step_of_an_error_names_commands_and_options_that_are_there() -> None:
    found, number = [], 0
    for path in SOURCES:
        for line, hint in hints(path):
            number += 1
            wrong = [wrong_with(words, prose=False) for words, _ in commands_in(hint)]
            if not re.search(r"\b(mrbench|pip|hf|git) ", hint):  # the options of another command are its own
                wrong += [f"no command has {name}" for name in OPTION.findall(hint) if name not in all_options()]
            found += [f"{path.relative_to(ROOT)}:{line}: {one}" for one in wrong if one]
    assert number > 150
    assert not found, "\n".join(found)


def test_pages_name_commands_that_are_there() -> None:
    found = []
    for page in PAGES:
        code = False
        text = re.sub(r"\\\n", "  ", page.read_text(encoding="utf-8"))
        for number, line in enumerate(text.splitlines(), 1):
            if line.startswith("```"):
                code = not code
            for words, prose in commands_in(line):
                if wrong := wrong_with(words, prose=prose and not (code and line.startswith("mrbench "))):
                    found.append(f"{page.relative_to(ROOT)}:{number}: {wrong}")
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        ("validate scenes --image-root photos", None),
        (f"evaluate {UNKNOWN} --model SPEC", None),
        ("leaderboard build results", None),
        ("validates scenes", "no command validates"),
        ("export make results", "no command make"),
        ("evaluate scenes --tasks t2i", "has no --tasks"),
    ],
)
def test_a_command_that_is_not_there_is_found(words: str, wrong: str | None) -> None:
    said = wrong_with(words, prose=False)
    assert said is None if wrong is None else wrong in str(said)
