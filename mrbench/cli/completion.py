"""What the shell offers after TAB: names of models, sources of data sets, folders. Nothing here imports torch."""

from __future__ import annotations

import os
from pathlib import Path


def model_names(incomplete: str) -> list[tuple[str, str]]:
    """Return the names of models that begin with a word, and what each is.

    Of an entry that takes a path, such as ``hf:PATH``, the part up to its colon is offered.

    >>> [name for name, _ in model_names("mi")]
    ['minilm']
    >>> [name for name, _ in model_names("o")]
    ['open_clip:', 'openai:']
    """
    from mrbench.models.zoo import ZOO

    offered = {_typed(entry.name): entry.summary for entry in ZOO}
    return [(name, summary) for name, summary in offered.items() if name.startswith(incomplete)]


def benchmarks(incomplete: str) -> list[tuple[str, str]]:
    """Return the sources of data sets that begin with a word, as ``SOURCE:``, and the folders that do.

    >>> [name for name, _ in benchmarks("ccn")]
    ['ccneg:']
    """
    from mrbench.sources.open import SOURCES

    sources = [(f"{entry.name}:", entry.summary) for entry in SOURCES]
    return [(name, said) for name, said in [*sources, *_folders(incomplete)] if name.startswith(incomplete)]


def _typed(name: str) -> str:
    kind, colon, rest = name.partition(":")
    return f"{kind}:" if colon and rest.isupper() else name


def _folders(incomplete: str) -> list[tuple[str, str]]:
    """Return the folders beside what is typed; below a home folder, of its owner, as typed."""
    typed = incomplete.rpartition("/")[0]
    before = f"{typed}/" if "/" in incomplete else ""
    place = Path(os.path.expanduser(before or "."))  # noqa: PTH111 - of an unknown user it leaves the path as it is
    try:
        found = sorted(entry.name for entry in place.iterdir() if entry.is_dir())
    except OSError:
        return []
    return [(f"{before}{name}", "a folder") for name in found if not name.startswith(".")]
