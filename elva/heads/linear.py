"""Linear heads under training: one layer for each part of an item, of features that are centred and scaled before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from elva.heads.data import PARTS
from mrbench.arrays import Embeddings
from mrbench.records import Modality

Tables = Mapping[Modality, Tensor]


@dataclass(frozen=True)
class Layer:
    """A linear layer of ``(x - mean) / scale``.

    Attributes:
        weight: Shape ``(dimension, num_features)``.
        bias: Shape ``(dimension,)``.
        mean: Of the training features, shape ``(num_features,)``; 0 where the layer starts as the identity.
        scale: Mean distance of a training feature from the mean; 1 where the layer starts as the identity.
    """

    weight: Tensor
    bias: Tensor
    mean: Tensor
    scale: float

    def __call__(self, features: Tensor, drop: float = 0.0, generator: torch.Generator | None = None) -> Tensor:
        """Return unit vectors, shape ``(num_items, dimension)``."""
        inputs = (features - self.mean) / self.scale
        if drop:
            inputs = inputs * (torch.rand(inputs.shape, generator=generator) >= drop) / (1 - drop)
        return normalize(inputs @ self.weight.T + self.bias, dim=-1)


class Heads:
    """A layer for every part that there are features of.

    Args:
        tables: The training features by part.
        dimension: Length of an embedding.
        identity: Whether each layer starts as the identity; features then have the length of an embedding.
        seed: Of the first weights, where they are random.
    """

    def __init__(self, tables: Tables, dimension: int, *, identity: bool = False, seed: int = 0) -> None:
        rng = torch.Generator().manual_seed(seed)
        self.layers: dict[Modality, Layer] = {}
        for part, table in tables.items():
            number = table.shape[1]
            if identity:
                weight, mean, scale = torch.eye(number), torch.zeros(number), 1.0
            else:
                weight, mean = torch.randn(dimension, number, generator=rng) / number**0.5, table.mean(0)
                scale = float((table - mean).norm(dim=1).mean())
            bias = torch.zeros(len(weight))
            self.layers[part] = Layer(weight.requires_grad_(), bias.requires_grad_(), mean, scale)

    def parameters(self) -> list[Tensor]:
        """Return what is trained."""
        return [tensor for layer in self.layers.values() for tensor in (layer.weight, layer.bias)]

    def embed(
        self, tables: Tables, rows: Tensor, drop: float = 0.0, generator: torch.Generator | None = None
    ) -> Tensor:
        """Return unit vectors of items; an item of two parts is the normalised sum of its heads.

        Args:
            tables: Features by part.
            rows: Row of each item in the table of each of :data:`PARTS`, -1 for none, shape ``(num_items, 3)``.
            drop: Share of the features that are left out at random.
            generator: Decides which.
        """
        total = torch.zeros(len(rows), len(next(iter(self.layers.values())).bias))
        for part, layer in self.layers.items():
            at = rows[:, PARTS.index(part)]
            some = torch.nonzero(at >= 0)[:, 0]
            if len(some):
                total = total.index_add(0, some, layer(tables[part][at[some]], drop, generator))
        return normalize(total, dim=-1)

    def export(self) -> dict[str, Embeddings]:
        """Return weight and bias by part, for features of unit length as they are: centre and scale are folded in."""
        found: dict[str, Embeddings] = {}
        with torch.no_grad():
            for part, layer in self.layers.items():
                weight = layer.weight / layer.scale
                found[f"{part}.weight"] = weight.numpy().copy()
                found[f"{part}.bias"] = (layer.bias - weight @ layer.mean).numpy().copy()
        return found
