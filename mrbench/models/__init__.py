"""Embedding models: the seam, the zoo, the adapters."""
