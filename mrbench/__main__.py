"""Lets ``python -m mrbench`` do what ``mrbench`` does."""

from mrbench.cli import main

main()
