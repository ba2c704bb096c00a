"""``open_clip:ARCH/WEIGHTS`` and ``open_clip:PATH``: models of open_clip."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from mrbench.arrays import Bools, Embeddings
from mrbench.errors import InputError, ModelError
from mrbench.models.checkpoint_folders import conversion_of, find_whole_checkpoint
from mrbench.models.common import batches, embed_items, files_digest, joint_digest, weights_digest
from mrbench.models.facts import image_size_of, licence_of, parameter_count
from mrbench.models.forward import CPU_BATCH, embed_batches, sent, stacked
from mrbench.models.pretrained import loading, resolve_device
from mrbench.models.protocol import Item
from mrbench.models.text_limits import limit_of
from mrbench.models.vision_library import check_finite, import_library, transformed
from mrbench.records import MODALITIES, Modality

CONFIG = "open_clip_config.json"
_WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "model.safetensors")
_HUB = "hf-hub:"
_LEAST = 3  # tokens of a text: where it begins, what it says, where it ends
_PRECISIONS = {"float32": "fp32", "float16": "pure_fp16", "bfloat16": "pure_bf16"}
_DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
_TRIAL = Image.new("RGB", (64, 48), (200, 120, 40))
_ACCEPTED = "ARCH/WEIGHTS such as ViT-B-32/laion2b_s34b_b79k, a folder with open_clip_config.json, or hf-hub:ORG/NAME"


class OpenClipModel:
    """The features of ``encode_text`` and ``encode_image``, not normalised; both together are their sum.

    Pictures go through the library's own transform for inference, texts through its tokenizer, which cuts them at the
    length of the text tower. The instruction is ignored.

    Args:
        source: One of three. ``ARCH/WEIGHTS``, where WEIGHTS is a tag of ``open_clip.list_pretrained()`` or the path of
            a safetensors file; a folder in the layout of the hub, with ``open_clip_config.json``; or
            ``hf-hub:ORG/NAME`` or ``hf-hub:ORG/NAME@REVISION``.
        seed: Not used.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        batch_size: Items per forward pass at most; on a CPU 16.
        dtype: ``float32``, ``float16`` or ``bfloat16``, of all weights.
        max_length: Tokens of a text at most, with those that the tokenizer adds; None takes what the text tower does.

    Raises:
        InputError: None of the three, an unknown device or dtype, or a length that the text tower does not take.
        MissingExtraError: open_clip is not installed.
        ModelError: open_clip does not load, weights as pickles alone, a missing or unexpected key, weights trained with
            another activation than the architecture has, or a part that fails at a text and a picture on trial.

    Source: Ilharco et al., OpenCLIP (doi 10.5281/zenodo.5143773); Wei et al., UniIR (arXiv 2311.17136) for the sum.
    """

    modalities: frozenset[Modality] = frozenset(MODALITIES)
    symmetric = additive = True
    template = "{text}"

    def __init__(
        self,
        source: str,
        *,
        seed: int = 0,
        device: str = "auto",
        batch_size: int = 1024,
        dtype: str = "float32",
        max_length: int | None = None,
    ) -> None:
        library = import_library("open_clip", "open_clip")
        if dtype not in _PRECISIONS:
            raise InputError("unknown dtype", where="dtype", got=dtype, accepted=", ".join(_PRECISIONS))
        self._device, self._dtype = resolve_device(device), _DTYPES[dtype]
        self._batch_size = min(batch_size, CPU_BATCH) if self._device.type == "cpu" else batch_size
        found = _find(library, source)
        with loading(source), _quiet():
            self.module = library.create_model(  # without weights, which it would also take from a pickle
                found.architecture,
                precision=_PRECISIONS[dtype],
                device=self._device,
                load_weights=False,
                pretrained_text=False,
                force_preprocess_cfg=found.preprocessing,
            ).eval()
            library.load_checkpoint(self.module, str(found.weights), strict=True)
            self._tokenizer = library.get_tokenizer(found.architecture)
            settings = library.transform.PreprocessCfg(**self.module.visual.preprocess_cfg)
            self.prepare = partial(transformed, library.transform.image_transform_v2(settings, is_train=False))
        self.name, self.device, self.dtype = found.name, str(self._device), dtype
        weights = weights_digest([found.weights])
        self.revision = found.commit or joint_digest(weights, found.configuration, repr(settings))
        self.revision_is_digest = found.commit is None
        self.parameter_count, self.licence = parameter_count(self.module), licence_of(found.weights.parent)
        self._filled_to = int(getattr(self.module, "context_length", 0) or self._tokenizer.context_length)
        self.max_text_length = limit_of(self._filled_to, max_length, where=source, least=_LEAST)
        self.image_size = image_size_of(settings.size)
        torchvision = import_library("torchvision", "open_clip")
        said = [weights, found.configuration, repr(settings), library.__version__, torchvision.__version__]
        said += [] if max_length is None else [str(max_length)]
        self.preprocessing = hashlib.sha256("\n".join(said).encode()).hexdigest()[:16]
        with loading(source, "a trial"), torch.inference_mode():
            texts, images = self._text_features(["a photo of a dog", ""]), self._image_features([_TRIAL])
            self.dimension = check_finite(source, text=texts, image=images)

    def embed_queries(self, items: Sequence[Item], instruction: str) -> Embeddings:
        """Embed queries, shape ``(len(items), dimension)``."""
        return self.embed_candidates(items)

    def embed_candidates(self, items: Sequence[Item]) -> Embeddings:
        """Embed candidates, shape ``(len(items), dimension)``."""
        embed_texts = partial(self._embed, self._text_features)
        embed_images = partial(self._embed, self._image_features)
        return embed_items(self.name, items, self.dimension, embed_texts=embed_texts, embed_images=embed_images)

    def cut_texts(self, texts: Sequence[str]) -> Bools:
        """Return which texts are longer than what is read, shape ``(len(texts),)``.

        With one token more to fill, such a text has a word where others have ended.
        """
        if not texts:
            return np.zeros(0, dtype=np.bool_)
        tokens = self._tokenizer(["", *texts], context_length=self.max_text_length + 1).numpy()
        found: Bools = ~np.isin(tokens[1:, self.max_text_length - 1], tokens[0])
        return found

    def _embed(self, features: Callable[[Sequence[Any]], torch.Tensor], parts: Sequence[Any]) -> Any:
        return embed_batches(features, list(batches(parts, self._batch_size)), self._device)

    def _text_features(self, texts: Sequence[str]) -> torch.Tensor:
        found: torch.Tensor = self.module.encode_text(sent(self._tokens(list(texts)), self._device))
        return found

    def _tokens(self, texts: list[str]) -> torch.Tensor:
        """Return the tokens of texts, cut and filled up to what the text tower takes."""
        whole: torch.Tensor = self._tokenizer(texts, context_length=self._filled_to)
        if self.max_text_length < self._filled_to:
            filling = self._tokenizer([""], context_length=self._filled_to)[:, self.max_text_length :]
            for row in np.flatnonzero(self.cut_texts(texts)):
                cut = self._tokenizer([texts[row]], context_length=self.max_text_length)
                whole[row] = torch.cat([cut, filling], dim=1)[0]
        return whole

    def _image_features(self, images: Sequence[Image.Image | np.ndarray[Any, Any]]) -> torch.Tensor:
        ready = [self.prepare(image) if isinstance(image, Image.Image) else image for image in images]
        found: torch.Tensor = self.module.encode_image(stacked(ready, self._device).to(self._dtype))
        return found


class _Found:
    """What is loaded.

    Attributes:
        name: What to call the model.
        architecture: What the library takes for a model: an architecture, or ``local-dir:`` and a folder.
        weights: The file.
        configuration: A digest of all other files, or of the architecture's configuration.
        preprocessing: Settings of the transform that come with a tag.
        commit: The commit of a model of the hub.
    """

    def __init__(self, name: str, architecture: str, weights: Path, configuration: str) -> None:
        self.name, self.architecture, self.weights, self.configuration = name, architecture, weights, configuration
        self.preprocessing: dict[str, Any] = {}
        self.commit: str | None = None


def _find(library: Any, source: str) -> _Found:
    hub = source.startswith(_HUB)
    if hub or Path(source).is_dir():
        snapshot = find_whole_checkpoint(source.removeprefix(_HUB))
        if not (snapshot.folder / CONFIG).is_file():
            hint = "for CLIP and SigLIP of transformers use hf:PATH"
            raise ModelError("not a model of open_clip", where=snapshot.folder, accepted=CONFIG, hint=hint)
        weights = _weights_in(snapshot.folder)
        found = _Found(snapshot.name, f"local-dir:{snapshot.folder}", weights, files_digest(snapshot.folder))
        found.commit = snapshot.commit
        return found
    architecture, slash, weights_name = source.partition("/")
    config = library.get_model_config(architecture) if slash and weights_name else None
    if config is None:
        raise InputError("no such model of open_clip", where="model", got=source, accepted=_ACCEPTED)
    tag = library.get_pretrained_cfg(architecture, weights_name)
    if not tag and not Path(weights_name).is_file():
        tags = ", ".join(library.list_pretrained_tags_by_model(architecture))
        raise InputError("no such weights", where=architecture, got=weights_name, accepted=f"a file, or {tags}")
    path, commit = _weights_of_tag(source, tag) if tag else (Path(weights_name), None)
    if path.suffix != ".safetensors":
        raise _pickles(path)
    trained, built = bool(tag.get("quick_gelu", False)), bool(config.get("quick_gelu", False))
    if tag and trained != built:
        accepted = f"{architecture}-quickgelu" if trained else architecture.removesuffix("-quickgelu")
        raise ModelError(
            "the weights were trained with another activation than the architecture has",
            where=source,
            got=f"quick_gelu {str(built).lower()}",
            accepted=accepted,
        )
    found = _Found(source if tag else f"{architecture}/{path.stem}", architecture, path, json.dumps(config))
    names = ("mean", "std", "interpolation", "resize_mode")
    found.preprocessing = {name: tag[name] for name in names if tag.get(name) is not None}
    found.commit = commit
    return found


def _weights_of_tag(source: str, tag: dict[str, Any]) -> tuple[Path, str | None]:
    """Return the safetensors of a tag, from its repository of the hub, and the commit."""
    repository, _, name = tag.get("hf_hub", "").rpartition("/")
    if not repository:
        hint = "download the file, then mrbench models convert FILE --output FOLDER, then open_clip:ARCH/FOLDER/FILE"
        raise _pickles(tag.get("url", source), hint)
    snapshot = find_whole_checkpoint(repository)
    stem = name.rpartition(".")[0]
    named = snapshot.folder / f"{stem}.safetensors"
    return (named if name and named.is_file() else _weights_in(snapshot.folder)), snapshot.commit


def _weights_in(folder: Path) -> Path:
    there = sorted(path.name for path in folder.glob("*.safetensors"))
    chosen = next((name for name in _WEIGHTS if name in there), there[0] if len(there) == 1 else None)
    if chosen is None and there:
        raise ModelError("several files of weights", where=folder, got=", ".join(there), accepted=_WEIGHTS[0])
    if chosen is None:
        raise _pickles(folder)
    return folder / chosen


def _pickles(path: Path | str, hint: str | None = None) -> ModelError:
    return ModelError(
        "the weights are not there as safetensors, and pickled ones can run code",
        where=path,
        accepted=", ".join(_WEIGHTS),
        hint=hint or conversion_of(path),
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library from logging on the root logger."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(before)
