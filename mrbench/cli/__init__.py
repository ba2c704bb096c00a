"""The command line: one typer app, a file a command, in the order of the work."""

from __future__ import annotations

from mrbench.cli.app import app, main

__all__ = ["app", "main"]
