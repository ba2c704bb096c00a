"""A small registry of lazy entries; other packages add entries through entry points."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import Distribution, EntryPoint, distributions
from pathlib import PurePath
from typing import Any

from mrbench.errors import InputError, MissingExtraError, MRBenchError
from mrbench.foreign import foreign_code


@dataclass(frozen=True, slots=True)
class Entry:
    """An object that can be loaded by name, with facts for listings that need no loading.

    Attributes:
        name: The name that users type.
        summary: One line for listings.
        path: ``"package.module:attribute"``, imported on first use.
        extra: The extra (optional dependency group) that it needs, or None.
        facts: Further facts for listings, for example the modalities a model takes.
    """

    name: str
    summary: str
    path: str
    extra: str | None = None
    facts: tuple[tuple[str, str], ...] = ()

    def load(self) -> Any:
        """Import and return the object.

        Raises:
            MissingExtraError: A package of the entry's extra is not installed.
            InputError: Its module cannot be imported, or has no such object.
        """
        module, _, attribute = self.path.partition(":")
        try:
            with foreign_code():
                return getattr(importlib.import_module(module), attribute)
        except Exception as error:
            absent = error.name or "" if isinstance(error, ModuleNotFoundError) else ""
            if absent and self.extra is not None and not absent.startswith("mrbench"):
                raise MissingExtraError(
                    f"{self.name} needs the package {absent}",
                    hint=f'pip install "mrbench[{self.extra}]"',
                ) from error
            hint = "install the package that has it again, or upgrade it"
            raise InputError(f"{self.name} cannot be loaded", where=self.path, got=_said(error), hint=hint) from error


def plugins(group: str, add: Callable[[str, Any], None]) -> None:
    """Pass name and object of every installed entry point of a group to ``add``.

    An entry point that cannot be imported, or that ``add`` refuses, is left out; a line on stderr names it and its
    package. Its output during import goes to stderr, since stdout is for results.

    Args:
        group: For example ``mrbench.models``.
        add: Takes the name of an entry point and its object; raises if the object is not of the group's kind.
    """
    for point in sorted(_points(group), key=lambda point: point.name):
        package = point.dist.name if point.dist else "unknown"
        try:
            with redirect_stdout(sys.stderr), foreign_code():
                add(point.name, point.load())
        except Exception as error:
            _left_out(f"{point.name} = {point.value}", f"{group} of the package {package}", package, _said(error))


def _points(group: str) -> list[EntryPoint]:
    return [point for point in _all_points() if point.group == group]


@cache
def _all_points() -> list[EntryPoint]:
    """Return the entry points of all packages. If a package's list cannot be read, a line on stderr says so, once.

    Of two packages with the same name, the first on the path counts, as in :mod:`importlib.metadata`.
    """
    found: dict[str, list[EntryPoint]] = {}
    for package in distributions():
        name = _folder_name(package)
        key = re.sub(r"[-_.]+", "-", name).lower()
        if key in found:
            continue
        found[key] = []
        try:
            wrong = _malformed_line(package.read_text("entry_points.txt") or "")
            if wrong is None:
                found[key] = list(package.entry_points)
        except Exception as error:
            wrong = _said(error)
        if wrong is not None:
            _left_out("entry_points.txt cannot be parsed", f"the package {name}", name, wrong)
    return [point for points in found.values() for point in points]


def _malformed_line(text: str) -> str | None:
    """Return the first malformed line of an entry point list that names one of our groups, or None.

    >>> _malformed_line("[mrbench.models\\nx = y:E")
    'line 1: [mrbench.models'
    >>> _malformed_line("[mrbench.models]\\nx = y:E"), _malformed_line("[other\\nx")
    (None, None)
    """
    section = False
    for number, line in enumerate(map(str.strip, text.splitlines() if "mrbench." in text else ()), 1):
        begins = line.startswith("[") and line.endswith("]")
        if line and not line.startswith("#") and not begins and ("=" not in line or not section):
            return f"line {number}: {line}"
        section = section or begins
    return None


def _folder_name(package: Distribution) -> str:
    """Return the name of a package by its metadata folder, which works even if the metadata cannot be read."""
    folder = PurePath(str(getattr(package, "_path", "unknown"))).name
    return re.sub(r"(-\d[^-]*)?(-py[\d.]+)?\.(dist|egg)-info$", "", folder)


def _left_out(what: str, where: str, package: str, why: str) -> None:
    """Write to stderr, if there is one, which entry point is left out and why."""
    line = MRBenchError(
        f"a plugin is left out: {what}",
        where=where,
        got=why,
        hint=f"pip install --upgrade {package}, or pip uninstall {package}",
    )
    if sys.stderr is not None:
        with suppress(OSError, ValueError):  # closed, or nobody reads it
            sys.stderr.write(f"warning: {line}\n")


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, MRBenchError) else f"{type(error).__name__}: {error}"


def _is_line(value: object) -> bool:
    return isinstance(value, str) and value.isprintable()


def _are_facts(value: object) -> bool:
    pairs = value if isinstance(value, tuple | list) else [None]
    return all(isinstance(pair, tuple | list) and len(pair) == 2 and all(map(_is_line, pair)) for pair in pairs)


class Registry:
    """Named entries of one kind: built-in ones and those of installed plugins.

    A plugin declares an entry point in the group ``mrbench.<kind>s``. Its object is an :class:`Entry` or a list of
    entries.

    >>> zoo = Registry("example", [Entry("random", "unit vectors", "mrbench.models.controls:RandomModel")])
    >>> zoo.names()
    ['random']
    """

    def __init__(self, kind: str, entries: list[Entry]) -> None:
        self.kind = kind
        self._entries: dict[str, Entry] = {}
        self._plugins_loaded = False
        for entry in entries:
            self.add(entry)

    def add(self, entry: Entry) -> None:
        """Add an entry.

        Raises:
            InputError: It is not an entry, a field cannot be listed, or its name is taken.
        """
        if not isinstance(entry, Entry) or not isinstance(entry.name, str) or not entry.name:
            raise InputError("not an entry", got=entry, accepted="a mrbench.registry.Entry with a name")
        accepted = dict.fromkeys(("name", "summary", "path", "extra"), "one line of printable text")
        for field, wanted in (accepted | {"facts": "pairs of a name and a value, each of one printable line"}).items():
            value = getattr(entry, field)
            fits = _are_facts(value) if field == "facts" else _is_line(value) or (field == "extra" and value is None)
            if not fits:
                got = "None" if value is None else value
                raise InputError(f"not an entry: malformed {field}", where=entry.name, got=got, accepted=wanted)
        if entry.name in self._entries:
            raise InputError(f"two {self.kind}s have one name", got=entry.name, where=entry.path, accepted="a new name")
        self._entries[entry.name] = entry

    def names(self) -> list[str]:
        """Return the names in the order of registration, plugins last."""
        self._load_plugins()
        return list(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        self._load_plugins()
        return iter(self._entries.values())

    def __contains__(self, name: object) -> bool:
        self._load_plugins()
        return name in self._entries

    def get(self, name: str) -> Entry:
        """Return the entry of this name.

        Raises:
            InputError: No entry has this name.
        """
        self._load_plugins()
        if name not in self._entries:
            raise InputError(f"unknown {self.kind}", got=name, accepted=", ".join(self._entries))
        return self._entries[name]

    def _load_plugins(self) -> None:
        if self._plugins_loaded:
            return
        self._plugins_loaded = True
        plugins(f"mrbench.{self.kind}s", self._add_all)

    def _add_all(self, _name: str, loaded: Any) -> None:
        """Add the entry or entries of a plugin. If some cannot be added, the others stay; raise the last error."""
        refused: InputError | None = None
        for entry in loaded if isinstance(loaded, list | tuple) else [loaded]:
            try:
                self.add(entry)
            except InputError as error:
                refused = error
        if refused is not None:
            raise refused
