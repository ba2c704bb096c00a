"""Exact search over vectors: exact scores, one order, and counts over the whole pool. It knows no model."""
