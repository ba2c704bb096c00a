"""One small registry of lazy entries; third parties join through entry points."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any

from mrbench.errors import InputError, MissingExtraError


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that can be loaded by name, and what to say of it before it is loaded.

    Attributes:
        name: The name users type.
        summary: One line for listings.
        path: ``"package.module:attribute"``, imported on first use.
        extra: The optional dependency group it needs, or None.
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
        """
        module, _, attribute = self.path.partition(":")
        try:
            return getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError as error:
            if self.extra is None or (error.name or "").startswith("mrbench"):
                raise
            raise MissingExtraError(
                f"{self.name} needs the package {error.name}",
                hint=f'pip install "mrbench[{self.extra}]"',
            ) from error


class Registry:
    """Named entries of one kind, ours and those of installed plugins.

    A plugin declares an entry point in the group ``mrbench.<kind>s`` whose object is an :class:`Entry` or a list
    of them.

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
            InputError: The name is taken.
        """
        if entry.name in self._entries:
            raise InputError(f"two {self.kind}s have one name", got=entry.name, where=entry.path)
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
            InputError: No entry has it.
        """
        self._load_plugins()
        if name not in self._entries:
            raise InputError(f"unknown {self.kind}", got=name, accepted=", ".join(self._entries))
        return self._entries[name]

    def _load_plugins(self) -> None:
        if self._plugins_loaded:
            return
        self._plugins_loaded = True
        for point in sorted(entry_points(group=f"mrbench.{self.kind}s"), key=lambda p: p.name):
            loaded = point.load()
            for entry in loaded if isinstance(loaded, list) else [loaded]:
                self.add(entry)
