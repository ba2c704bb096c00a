"""Shared by all HTML pages of MRBench: they need no server, load nothing from the network, and escape all text.

Every text goes through Jinja's autoescape. The content policy of a page allows its one style sheet and its one script
by their hashes, and nothing else unless named.
"""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup


def environment(package: str, **filters: Any) -> Environment:
    """Return a Jinja environment for the folder ``templates`` of a package.

    Args:
        package: Its name.
        filters: Filters of the templates, by name.
    """
    made = Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters.update(filters)
    return made


def asset(package: str, name: str) -> Markup:
    """Return a style sheet or a script from the folder ``templates`` of a package.

    It is part of MRBench, not data, so it is not escaped.
    """
    return Markup((files(package) / "templates" / name).read_text(encoding="utf-8"))  # noqa: S704


def policy(style: str, script: str | None = None, *more: str) -> str:
    """Return the content policy of a page.

    Args:
        style: Its style sheet.
        script: Its script, where it has one.
        more: Further parts, such as ``img-src data:``.

    >>> policy("", None, "img-src data:").split("; ")[2:]
    ['img-src data:', "base-uri 'none'", "form-action 'none'"]
    """
    scripts = [] if script is None else [f"script-src '{_hash(script)}'"]
    style_source = f"style-src '{_hash(style)}'"
    return "; ".join(["default-src 'none'", style_source, *scripts, *more, "base-uri 'none'", "form-action 'none'"])


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
