"""Linear heads under training: one layer for each part of an item, of features that are centred and scaled before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from elva.rollouts import seeded
from elva.tuning.data import PARTS, Split, Table
from elva.tuning.trainable import Noise
from mrbench.arrays import Embeddings
from mrbench.records import Modality


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
    """A layer for every part that there are features of: :class:`elva.tuning.trainable.Trainable`.

    Args:
        tables: The training features by part.
        dimension: Length of an embedding.
        identity: Whether each layer starts as the identity; features then have the length of an embedding.
        drop: Share of the features that a step leaves out at random.
        seed: Of the first weights, where they are random.
    """

    def __init__(
        self,
        tables: Mapping[Modality, Table],
        dimension: int,
        *,
        identity: bool = False,
        drop: float = 0.0,
        seed: int = 0,
    ) -> None:
        rng = torch.Generator().manual_seed(seed)
        self._drop = drop
        self.layers: dict[Modality, Layer] = {}
        for part, rows in tables.items():
            table = torch.from_numpy(rows)
            number = table.shape[1]
            if identity:
                weight, mean, scale = torch.eye(number), torch.zeros(number), 1.0
            else:
                weight, mean = torch.randn(dimension, number, generator=rng) / number**0.5, table.mean(0)
                scale = float((table - mean).norm(dim=1).mean())
            bias = torch.zeros(len(weight))
            self.layers[part] = Layer(weight.requires_grad_(), bias.requires_grad_(), mean, scale)

    @classmethod
    def of(cls, weights: Mapping[str, Embeddings]) -> Heads:
        """Return heads that go on from what :meth:`export` returned."""
        self = cls({}, 0)
        for part in dict.fromkeys(name.rpartition(".")[0] for name in weights):
            weight, bias = (torch.tensor(weights[f"{part}.{kind}"]).requires_grad_() for kind in ("weight", "bias"))
            self.layers[part] = Layer(weight, bias, torch.zeros(weight.shape[1]), 1.0)  # type: ignore[index]
        return self

    def weights(self) -> dict[str, Tensor]:
        """Return what is trained."""
        return {
            f"{part}.{name}": getattr(layer, name) for part, layer in self.layers.items() for name in ("weight", "bias")
        }

    def outputs(self, split: Split, part: Modality, rows: Tensor, noise: Noise | None = None) -> Tensor:
        """Return what the layer of a part makes of rows of its table, of unit length."""
        features = torch.from_numpy(split.tables[part])[rows]
        generator = None if noise is None else seeded(*noise, PARTS.index(part))
        return self.layers[part](features, 0.0 if noise is None else self._drop, generator)

    def frozen(self, split: Split, part: Modality, rows: Tensor) -> Tensor:
        """Return features as they are: what layers that start as the identity make of them at first."""
        return torch.from_numpy(split.tables[part])[rows]

    def share_gradients(self) -> None:
        """Do nothing: heads train in one process."""

    def export(self) -> dict[str, Embeddings]:
        """Return weight and bias by part, for features of unit length as they are: centre and scale are folded in."""
        found: dict[str, Embeddings] = {}
        with torch.no_grad():
            for part, layer in self.layers.items():
                weight = layer.weight / layer.scale
                found[f"{part}.weight"] = weight.numpy().copy()
                found[f"{part}.bias"] = (layer.bias - weight @ layer.mean).numpy().copy()
        return found
