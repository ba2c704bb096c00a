"""ELVA models in the zoo of MRBench: a folder that training wrote, or one of those that come with the package."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from transformers import __version__ as transformers_version

from elva import checkpoints
from elva.config import Recipe
from elva.model import picture_key
from elva.prompts import Input
from mrbench.arrays import Bools, Embeddings
from mrbench.errors import InputError, ModelError
from mrbench.models.checkpoint import identity, settings_digest, weights_of
from mrbench.models.checkpoint_folders import find_checkpoint
from mrbench.models.common import batches, files_digest, tensors_digest
from mrbench.models.dual_encoder import DualEncoder
from mrbench.models.facts import licence_of, parameter_count
from mrbench.models.forward import embed_batches
from mrbench.models.protocol import Item
from mrbench.models.text_limits import longer_than
from mrbench.records import MODALITIES, Modality

CPU_BATCH = 32  # items of a forward pass on a CPU, at most


class ElvaModel:
    """An ELVA checkpoint: the last hidden state at ``[RET]``, of unit length, after a summary or at once.

    Args:
        source: Folder that ``mrbench train elva`` wrote (``RUN/stage3``).
        seed: Of sampled summaries, where the recipe asks for the mean over several.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        batch_size: Items per forward pass at most; on a CPU 32.
        samples: Summaries whose embeddings are averaged, 1 for the likeliest; None takes the recipe's number.

    Raises:
        ModelError: Not such a folder, or weights are lacking or too many.
        InputError: Fewer than one summary.

    Source: ELVA (arXiv 2606.20280), generative embedding.
    """

    modalities: frozenset[Modality] = frozenset(MODALITIES)

    def __init__(
        self, source: str, *, seed: int = 0, device: str = "auto", batch_size: int = 1024, samples: int | None = None
    ) -> None:
        folder = Path(os.path.expanduser(source))  # noqa: PTH111 - of an unknown user it leaves the path as it is
        self._model, recipe, self._how = checkpoints.load(folder, device=device)
        self._batch_size = min(batch_size, CPU_BATCH) if self._model.device.type == "cpu" else batch_size
        self._seed = seed
        self._max_text = recipe.prompt.max_text
        self._samples = recipe.samples if samples is None else samples
        if self._samples < 1:
            raise InputError(
                "no summary to embed after",
                where="samples",
                got=samples,
                accepted="1 or more",
                hint="leave samples out to take the recipe's number",
            )
        averaged = self._how == "summary" and self._samples > 1
        self.name = f"elva-{recipe.name}-{self._how}" + (f"-{self._samples}" if averaged else "")
        self.revision = _revision(folder, recipe, self._how, self._samples)
        self.dimension = self._model.dimension
        self.parameter_count = parameter_count(self._model.network)
        self.max_text_length, self.template = recipe.prompt.max_text, recipe.prompt.template
        self.image_size, self.licence = _image_size(self._model.processor), licence_of(folder)
        self.device = str(self._model.device)
        self.dtype = str(self._model.network.dtype).removeprefix("torch.")
        self.symmetric = not recipe.prompt.instructions
        said = [
            files_digest(folder),
            self._how,
            asdict(recipe.prompt),
            recipe.max_summary,
            *([self._samples, seed] if averaged else []),
            self._model.processor.to_dict(),
            transformers_version,
        ]
        self.preprocessing = hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()[:16]

    def embed_queries(self, items: Sequence[Item], instruction: str) -> Embeddings:
        """Embed queries, shape ``(len(items), dimension)``."""
        return self._embed(items, instruction)

    def embed_candidates(self, items: Sequence[Item]) -> Embeddings:
        """Embed candidates, shape ``(len(items), dimension)``."""
        return self._embed(items)

    def cut_texts(self, texts: Sequence[str]) -> Bools:
        """Return which texts are longer than the prompt's limit, shape ``(len(texts),)``: their end is not read."""
        text_ids = self._model.prompter.text_ids
        return longer_than(self._max_text, texts, lambda some: [text_ids(text) for text in some], 0)

    def _embed(self, items: Sequence[Item], instruction: str = "") -> Embeddings:
        """Embed items in passes; a picture that comes with several texts is encoded once."""
        for row, item in enumerate(items):
            if item.text is None and item.image is None:
                raise ModelError("an item has neither a text nor an image", where=f"{self.name}, item {row}")
        if not items:
            return np.empty((0, self.dimension), np.float32)
        keys = [None if item.image is None else picture_key(item.image) for item in items]
        inputs = [Input(item.text, item.image, key, instruction) for item, key in zip(items, keys, strict=True)]
        embed = partial(self._model.embed, how=self._how, samples=self._samples, seed=self._seed)
        found = embed_batches(embed, list(batches(inputs, self._batch_size)), self._model.device)
        vectors: Embeddings = found if isinstance(found, np.ndarray) else found.cpu().numpy()
        return vectors


def _image_size(processor: Any) -> str:
    most = dict(getattr(processor, "size", None) or {}).get("longest_edge")
    return f"at most {most} pixels" if most else ""


def _revision(folder: Path, recipe: Recipe, how: str, samples: int) -> str:
    """Return a digest of all that decides a vector but the seed: tensors, base, tokenizer, processor and prompts.

    Files that are not loaded do not count.
    """
    said: list[Any] = [how, samples if how == "summary" else 1, asdict(recipe.prompt), recipe.max_summary]
    said.append(settings_digest(folder, "generation_config.json"))
    if recipe.base is None:
        said.append(tensors_digest(weights_of(folder)))
    else:
        base = find_checkpoint(recipe.base)
        said += [base.commit or identity(base.folder, weights_of(base.folder)), recipe.max_pixels, recipe.dtype]
        for name in checkpoints.read_facts(folder)["adapters"]:
            said.append(tensors_digest([folder / name / "adapter_model.safetensors"]))
            said.append(settings_digest(folder / name, "adapter_config.json"))
    return f"sha256:{hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]}"


class Packaged:
    """Loads a checkpoint that comes with the package.

    Args:
        name: Name of its folder in ``elva/weights``.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, *, seed: int = 0, device: str = "auto", batch_size: int = 1024) -> ElvaModel:
        """Return the model."""
        with resources.as_file(resources.files("elva") / "weights" / self._name) as folder:
            model = ElvaModel(str(folder), seed=seed, device=device, batch_size=batch_size)
        model.name = f"elva-{self._name}"
        return model


def folder_of(model: str) -> Path:
    """Return the folder of a checkpoint: a path, ``elva:PATH``, or a name that comes with the package, ``elva:tiny``.

    Raises:
        ModelError: It is none of ELVA.
    """
    name = model.removeprefix("elva:")
    packaged = Path(str(resources.files("elva"))) / "weights" / name
    folder = packaged if model.startswith("elva:") and (packaged / checkpoints.MARKER).is_file() else Path(name)
    checkpoints.read_facts(folder.expanduser())
    return folder.expanduser()


tiny = Packaged("tiny")
tiny_contrastive = Packaged("tiny-contrastive")


def tiny_dual_encoder(*, seed: int = 0, device: str = "auto", batch_size: int = 1024) -> DualEncoder:
    """Return the dual encoder that comes with the package: two towers of CLIP, trained by contrast alone."""
    with resources.as_file(resources.files("elva") / "weights" / "tiny-dual-encoder") as folder:
        model = DualEncoder(str(folder), seed=seed, device=device, batch_size=batch_size)
    model.name = "elva-tiny-dual-encoder"
    return model
