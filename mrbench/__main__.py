"""Lets ``python -m mrbench`` do what ``mrbench`` does."""

from mrbench.cli.app import main

main()
