"""The models that can be loaded by name. Importing this module imports no model and no torch."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import partial

from mrbench.errors import InputError
from mrbench.models.protocol import EmbeddingModel
from mrbench.registry import Entry, Registry

_ALL = (("modalities", "text, image, image+text"),)
_IMAGE = (("modalities", "image"),)
_TEXT = (("modalities", "text"),)

ZOO = Registry(
    "model",
    [
        Entry("random", "random unit vectors: chance", "mrbench.models.controls:RandomModel", facts=_ALL),
        Entry("constant", "one vector for everything: a control", "mrbench.models.controls:ConstantModel", facts=_ALL),
        Entry("colour-histogram", "colours by quarter", "mrbench.models.histogram:ColourHistogram", facts=_IMAGE),
        Entry("minilm", "all-MiniLM-L6-v2, text encoder", "mrbench.models.minilm:MiniLM", "models", _TEXT),
        Entry(
            "efficientnet-lite0",
            "EfficientNet-Lite0 features, trained on ImageNet",
            "mrbench.models.efficientnet:EfficientNetLite0",
            "models",
            _IMAGE,
        ),
        Entry(
            "conse",
            "ImageNet class names of EfficientNet in MiniLM's space",
            "mrbench.models.conse:ConSE",
            "models",
            _ALL,
        ),
        Entry(
            "hf:PATH",
            "CLIP, SigLIP and their kin in transformers' format: a folder, or a hub id ORG/NAME[@REVISION]",
            "mrbench.models.dual_encoder:DualEncoder",
            "models",
            _ALL,
        ),
    ],
)
"""Every entry loads a callable ``(*, seed: int, device: str, batch_size: int) -> EmbeddingModel``; one whose name
ends in ``:PATH`` takes what the user writes there as its first argument.

A plugin adds its own with an entry point in the group ``mrbench.models``.
"""


def load_model(spec: str, *, seed: int = 0, device: str = "auto", batch_size: int = 1024) -> EmbeddingModel:
    """Load a model.

    Args:
        spec: A name of :data:`ZOO`, or ``hf:PATH`` with the folder of a CLIP or SigLIP checkpoint in the format of
            transformers; a PATH that is no folder is taken for a hub id. ``~`` in a PATH is the home folder.
        seed: Seed of models that draw at random.
        device: ``auto`` (a GPU where there is one), ``cpu``, ``cuda`` or ``cuda:N``.
        batch_size: Items per forward pass at most; models may take fewer on a CPU.

    Raises:
        InputError: Unknown model or device, or a batch size below 1.
        MissingExtraError: An optional package is not installed.
        ModelError: The weights cannot be loaded.

    >>> load_model("constant").dimension
    2
    """
    if batch_size < 1:
        raise InputError("the batch size is too small", where="batch_size", got=batch_size, accepted="1 or more")
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", device):
        raise InputError("unknown device", where="device", got=device, accepted="auto, cpu, cuda, cuda:N")
    load: Callable[..., EmbeddingModel]
    prefix, colon, path = spec.partition(":")
    if spec in ZOO and not spec.endswith(":PATH"):
        load = ZOO.get(spec).load()
    elif colon and f"{prefix}:PATH" in ZOO:
        if not path:
            raise InputError("no path of a model", got=spec, accepted=f"{prefix}:PATH")
        path = os.path.expanduser(path)  # noqa: PTH111 - no shell expands ~ after a colon, and a path may be a URL
        load = partial(ZOO.get(f"{prefix}:PATH").load(), path)
    else:
        raise InputError("unknown model", got=spec, accepted=", ".join(ZOO.names()))
    return load(seed=seed, device=device, batch_size=batch_size)
