"""Builders: real art becomes benchmarks with known grains and graded negatives."""
