"""The checker: verifies a benchmark folder with code of its own."""
