"""Joins a model and a benchmark into a run: encode, search, write."""
