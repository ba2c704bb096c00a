"""Encoding: batches for a model, each distinct item once, and a cache of embeddings that processes can share."""

from mrbench.encode.ragged_store import open_store
from mrbench.encode.source import EmbeddingSource, ModelSource, TaskEmbeddings
from mrbench.encode.store import EmbeddingStore, Share
from mrbench.encode.vector_source import VectorSource, variant_id

__all__ = [
    "EmbeddingSource",
    "EmbeddingStore",
    "ModelSource",
    "Share",
    "TaskEmbeddings",
    "VectorSource",
    "open_store",
    "variant_id",
]
