"""``timm:NAME``: image encoders of timm, as feature extractors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from mrbench.arrays import Embeddings
from mrbench.errors import InputError, ModelError
from mrbench.models.checkpoint_folders import conversion_of, find_whole_checkpoint
from mrbench.models.common import batches, embed_items, files_digest, joint_digest, weights_digest
from mrbench.models.facts import image_size_of, licence_of, parameter_count
from mrbench.models.forward import CPU_BATCH, embed_batches, stacked
from mrbench.models.hub import Checkpoint
from mrbench.models.pretrained import loading, resolve_device
from mrbench.models.protocol import Item
from mrbench.models.vision_library import check_finite, import_library, transformed
from mrbench.records import Modality

WEIGHTS, CONFIG = "model.safetensors", "config.json"
_HUB = "hf-hub:"
_DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
_TRIAL = Image.new("RGB", (64, 48), (200, 120, 40))


class TimmModel:
    """The pooled features before the classifier, as of ``timm.create_model(NAME, pretrained=True, num_classes=0)``.

    Pictures go through the transform for inference that the weights name (``timm.data.create_transform``).

    Args:
        source: A name of ``timm.list_pretrained()`` such as ``resnet50.a1_in1k``; a folder in the layout of the hub,
            with ``config.json`` and ``model.safetensors``; or ``hf-hub:ORG/NAME`` or ``hf-hub:ORG/NAME@REVISION``.
        seed: Not used.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        batch_size: Pictures per forward pass at most; on a CPU 16.
        dtype: ``float32``, ``float16`` or ``bfloat16``.

    Raises:
        InputError: None of the three, or an unknown device or dtype.
        MissingExtraError: timm is not installed.
        ModelError: timm does not load, weights as pickles alone, keys that do not fit, or a trial that fails.

    Source: Wightman, PyTorch Image Models (doi 10.5281/zenodo.4414861).
    """

    modalities: frozenset[Modality] = frozenset({"image"})
    symmetric = True

    def __init__(
        self, source: str, *, seed: int = 0, device: str = "auto", batch_size: int = 1024, dtype: str = "float32"
    ) -> None:
        library = import_library("timm", "timm")
        if dtype not in _DTYPES:
            raise InputError("unknown dtype", where="dtype", got=dtype, accepted=", ".join(_DTYPES))
        self._device, self._dtype = resolve_device(device), _DTYPES[dtype]
        self._batch_size = min(batch_size, CPU_BATCH) if self._device.type == "cpu" else batch_size
        snapshot = _find(library, source)
        for name in (CONFIG, WEIGHTS):
            if not (snapshot.folder / name).is_file():
                there = ", ".join(sorted(path.name for path in snapshot.folder.iterdir())[:5]) or "nothing"
                hint = (
                    conversion_of(snapshot.folder) if name == WEIGHTS and any(snapshot.folder.glob("*.bin")) else None
                )
                raise ModelError(f"the model lacks {name}", where=snapshot.folder, got=there, accepted=name, hint=hint)
        with loading(source):
            module = library.create_model(f"local-dir:{snapshot.folder}", pretrained=True)
            module.reset_classifier(0)  # afterwards: with num_classes=0 timm lets any key be missing
            self.module = module.eval().to(self._device, self._dtype)
            settings = library.data.resolve_model_data_config(module)
            self.prepare = partial(transformed, library.data.create_transform(**settings, is_training=False))
        self.name, self.device, self.dtype = snapshot.name, str(self._device), dtype
        weights = weights_digest([snapshot.folder / WEIGHTS])
        self.revision = snapshot.commit or joint_digest(weights, files_digest(snapshot.folder))
        self.revision_is_digest = snapshot.commit is None
        self.parameter_count, self.licence = parameter_count(self.module), licence_of(snapshot.folder)
        self.image_size = image_size_of(settings["input_size"][1:])
        torchvision = import_library("torchvision", "timm")
        said = [weights, files_digest(snapshot.folder), json.dumps(settings, default=str)]
        said += [library.__version__, torchvision.__version__]
        self.preprocessing = hashlib.sha256("\n".join(said).encode()).hexdigest()[:16]
        with loading(source, "a trial"), torch.inference_mode():
            self.dimension = check_finite(source, image=self._features([_TRIAL]))

    def embed_queries(self, items: Sequence[Item], instruction: str) -> Embeddings:
        """Embed queries, shape ``(len(items), dimension)``."""
        return self.embed_candidates(items)

    def embed_candidates(self, items: Sequence[Item]) -> Embeddings:
        """Embed candidates, shape ``(len(items), dimension)``."""
        return embed_items(self.name, items, self.dimension, embed_images=self._embed)

    def _embed(self, images: Sequence[Any]) -> Any:
        return embed_batches(self._features, list(batches(images, self._batch_size)), self._device)

    def _features(self, images: Sequence[Image.Image | np.ndarray[Any, Any]]) -> torch.Tensor:
        ready = [self.prepare(image) if isinstance(image, Image.Image) else image for image in images]
        found: torch.Tensor = self.module(stacked(ready, self._device).to(self._dtype))
        return found


def _find(library: Any, source: str) -> Checkpoint:
    if source.startswith(_HUB) or Path(source).is_dir():
        return find_whole_checkpoint(source.removeprefix(_HUB))
    config = library.get_pretrained_cfg(source) if library.is_model(source.partition(".")[0]) else None
    if config is None:
        accepted = "a name of timm.list_pretrained(), a folder, or hf-hub:ORG/NAME"
        raise InputError("no such model of timm", where="model", got=source, accepted=accepted)
    if not config.hf_hub_id:
        raise ModelError("timm names no repository of the hub for the model", where=source, accepted="hf-hub:ORG/NAME")
    return find_whole_checkpoint(config.hf_hub_id)
