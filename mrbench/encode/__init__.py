"""Encoding: batches for a model, each distinct item once, and a cache of embeddings that processes can share."""

from mrbench.encode.source import EmbeddingSource, ModelSource, TaskEmbeddings
from mrbench.encode.store import EmbeddingStore, Share

__all__ = ["EmbeddingSource", "EmbeddingStore", "ModelSource", "Share", "TaskEmbeddings"]
