"""``late:ID_OR_PATH[@REVISION]``: models that return a vector for each token, and are compared by MaxSim."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import transformers

from mrbench.arrays import Bools, Ints, Ragged
from mrbench.errors import InputError, ModelError
from mrbench.models.checkpoint import identity, settings_digest, weights_of
from mrbench.models.checkpoint_folders import find_checkpoint, find_whole_checkpoint
from mrbench.models.common import batches as batches_of
from mrbench.models.dual_encoder import DTYPES
from mrbench.models.facts import image_size_of, licence_of, parameter_count
from mrbench.models.forward import CPU_BATCH, embed_batches
from mrbench.models.hub import Checkpoint
from mrbench.models.mllm_checkpoint import check_loaded, raw_config
from mrbench.models.other_adapter import check_adapter
from mrbench.models.pixels import TRIAL, widened
from mrbench.models.plain_text import PlainText, first_tokens
from mrbench.models.pretrained import loading, resolve_device
from mrbench.models.protocol import Item
from mrbench.models.text_limits import longer_than
from mrbench.records import Modality

FAMILIES = {
    "colpali": ("ColPaliForRetrieval", "ColPaliProcessor"),
    "colqwen2": ("ColQwen2ForRetrieval", "ColQwen2Processor"),
}
"""By model type the classes of transformers."""
MOST_TOKENS = 1 << 15
"""Tokens of texts in a forward pass at most, with what fills up; a single text may have more."""
PICTURES = 16
"""Pictures in a forward pass at most: one becomes a thousand tokens, it may be."""


@dataclass(frozen=True, slots=True)
class _Batch:
    """Texts or pictures of one forward pass.

    Attributes:
        number: Which batch it is.
        inputs: What the processor is called with.
    """

    number: int
    inputs: dict[str, list[Any]]


def load_late(
    spec: str,
    *,
    seed: int = 0,
    device: str = "auto",
    batch_size: int = 1024,
    dtype: str | None = None,
    trust_remote_code: bool = False,
) -> Any:
    """Return the model of a spec: :class:`ColVision`, or a model of sentence-transformers or PyLate.

    Args:
        spec: A folder, or ``ORG/NAME`` or ``ORG/NAME@REVISION``.
        seed: Not used.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        batch_size: Items per forward pass at most; 16 on a CPU, and of pictures everywhere.
        dtype: ``float32``, ``float16`` or ``bfloat16``; None takes that of the weights.
        trust_remote_code: Whether code that comes with a model of sentence-transformers may run.

    Raises:
        InputError: No such folder, device or dtype.
        ModelError: No adapter for this type of model, a missing or unexpected key, weights as pickles alone, or
            anything that the libraries raise.
    """
    if dtype is not None and dtype not in DTYPES:
        raise InputError("unknown dtype", where="dtype", got=dtype, accepted=", ".join(DTYPES))
    is_folder = os.path.isdir(os.path.expanduser(spec))  # noqa: PTH111, PTH112 - Path.is_dir raises on long names
    found = find_checkpoint(spec) if is_folder else find_whole_checkpoint(spec)
    check_adapter("late", found.folder)
    config = raw_config(found.folder) if (found.folder / "config.json").is_file() else {}
    if config.get("model_type") not in FAMILIES and (found.folder / "modules.json").is_file():
        from mrbench.models.late_sentence_transformer import LateSentenceTransformer

        options: dict[str, Any] = {"dtype": dtype, "trust_remote_code": trust_remote_code}
        return LateSentenceTransformer(found, device=device, batch_size=batch_size, **options)
    return ColVision(found, device=device, batch_size=batch_size, dtype=dtype)


class ColVision:
    """A ColPali or ColQwen2 of transformers: the projected, normalised state of every token that is no filling.

    Texts go through the processor's ``process_queries`` on either side, which is all that it offers for texts, and
    pictures through ``process_images``. It takes no text with a picture. Instructions are ignored.

    Args:
        checkpoint: Where it lies.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        batch_size: Items per forward pass at most; 16 on a CPU, and of pictures everywhere.
        dtype: Number format; None takes that of the weights. Vectors are returned in float32.

    Raises:
        InputError: No such device.
        ModelError: Another type of model, a missing or unexpected key, or a part that fails at what is embedded on
            trial.

    Source: Faysse et al., ColPali (arXiv 2407.01449).
    """

    modalities: frozenset[Modality] = frozenset(("text", "image"))
    multi_vector = symmetric = True

    def __init__(
        self, checkpoint: Checkpoint, *, device: str = "auto", batch_size: int = 1024, dtype: str | None = None
    ) -> None:
        folder, self._device = checkpoint.folder, resolve_device(device)
        source, weights = str(folder), weights_of(folder)
        kind = raw_config(folder).get("model_type")
        if kind not in FAMILIES:
            accepted = f"{', '.join(FAMILIES)}; or a folder with modules.json"
            where = f"{source}, config.json, model_type"
            raise ModelError("no adapter for this type of model", where=where, got=str(kind), accepted=accepted)
        self.module, self._processor = _load(source, str(kind), None if dtype is None else DTYPES[dtype])
        self.module.to(self._device)
        self._lock = threading.Lock()  # a tokenizer serves one thread at a time
        self._batch_size = min(batch_size, CPU_BATCH) if self._device.type == "cpu" else batch_size
        self._plain = PlainText(self._processor.tokenizer)
        self.name, self.device = checkpoint.name, str(self._device)
        self.dtype = str(self.module.dtype).removeprefix("torch.")
        self.revision = checkpoint.commit or identity(folder, weights, self._processor.tokenizer)
        self.revision_is_digest = checkpoint.commit is None
        images = self._processor.image_processor
        settings = settings_digest(folder, tokenizer=self._processor.tokenizer)
        said = (settings, str(images.to_dict()), transformers.__version__)
        self.preprocessing = hashlib.sha256(" ".join(said).encode()).hexdigest()[:16]
        self.parameter_count, self.licence = parameter_count(self.module), licence_of(folder)
        size = dict(images.size)
        self.image_size = image_size_of((size["height"], size["width"])) if "height" in size else ""
        self.template = f"{self._processor.query_prefix}{{text}}, and 10 x {self._processor.query_augmentation_token}"
        with loading(source, "the processor"):
            around = self._processor.process_queries([""])["input_ids"].shape[1]
        self.max_text_length = int(self.module.config.vlm_config.text_config.max_position_embeddings) - around
        self.dimension = self._try(source)

    def embed_queries(self, items: Sequence[Item], instruction: str) -> Ragged:
        """Embed queries: a vector for each token."""
        return self.embed_candidates(items)

    def embed_candidates(self, items: Sequence[Item]) -> Ragged:
        """Embed candidates: a vector for each token."""
        if not items:
            return Ragged.of_counts(np.empty((0, self.dimension), dtype=np.float32), np.empty(0, dtype=np.int64))
        for number, item in enumerate(items):
            self._check(item, f"{self.name}, item {number}")
        made: dict[str, dict[int, Any]] = {"text": {}, "images": {}}
        for row, item in enumerate(items):
            if item.text is not None:
                made["text"][row] = self._cut(item.text)
            elif item.image is not None:
                made["images"][row] = widened(item.image.convert("RGB"))
        parts = [*self._of_texts(made["text"]), *self._of_pictures(list(made["images"]))]
        batches = [_Batch(n, {name: [made[name][row] for row in rows]}) for n, (name, rows) in enumerate(parts)]
        counts: dict[int, Ints] = {}
        flat = embed_batches(lambda batch: self._forward(batch, counts), batches, self._device)
        flat = flat.cpu().numpy() if isinstance(flat, torch.Tensor) else flat
        found = Ragged.of_counts(flat, np.concatenate([counts[n] for n in range(len(batches))]))
        return found[np.argsort([row for _, rows in parts for row in rows])]

    def cut_texts(self, texts: Sequence[str]) -> Bools:
        """Return which texts are longer than what the model reads, shape ``(len(texts),)``."""

        def tokenize(some: list[str]) -> list[list[int]]:
            tokens: list[list[int]] = self._tokens(some)
            return tokens

        return longer_than(self.max_text_length, [self._plain(text) for text in texts], tokenize, 0)

    def _check(self, item: Item, where: str) -> None:
        if item.text is None and item.image is None:
            raise ModelError(
                "an item has neither a text nor an image", where=where, accepted="a text, an image, or both"
            )
        if item.text is not None and item.image is not None:
            accepted = "a text or a picture, one of both an item"
            raise ModelError("the model takes no text with a picture", where=where, accepted=accepted)
        if item.more_images:
            raise ModelError(
                "the model takes one picture an item",
                where=where,
                got=f"{len(item.images)} pictures",
                accepted="one picture",
            )

    def _tokens(self, texts: list[str]) -> Any:
        with self._lock:
            return self._processor.tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]

    def _cut(self, text: str) -> str:
        with self._lock:
            return first_tokens(self._processor.tokenizer, self._plain(text), self.max_text_length)

    def _of_pictures(self, rows: list[int]) -> Iterator[tuple[str, list[int]]]:
        for some in batches_of(rows, min(self._batch_size, PICTURES)):
            yield "images", list(some)

    def _of_texts(self, texts: dict[int, str]) -> Iterator[tuple[str, list[int]]]:
        """Yield the rows of texts by length, in batches that keep to the number of texts and of tokens."""
        lengths = dict(zip(texts, map(len, self._tokens(list(texts.values()))), strict=True)) if texts else {}
        batch: list[int] = []
        for row in sorted(texts, key=lengths.__getitem__):
            if batch and (len(batch) == self._batch_size or (len(batch) + 1) * lengths[row] > MOST_TOKENS):
                yield "text", batch
                batch = []
            batch.append(row)
        if batch:
            yield "text", batch

    def _forward(self, batch: _Batch, counts: dict[int, Ints]) -> torch.Tensor:
        """Return the vectors of all tokens of a batch, one item after the other, and note how many each has."""
        with self._lock:
            inputs = dict(self._processor(**batch.inputs))
        inputs.pop("labels", None)  # of training
        mask = inputs["attention_mask"].bool()
        counts[batch.number] = mask.sum(dim=1).numpy()
        inputs = {name: tensor.to(self._device) for name, tensor in inputs.items()}
        if "pixel_values" in inputs:
            inputs["pixel_values"] = inputs["pixel_values"].to(self.module.dtype)
        found: torch.Tensor = self.module(**inputs, use_cache=False).embeddings[mask.to(self._device)]
        return found

    def _try(self, source: str) -> int:
        """Embed a text and a picture, and return the dimension: a damaged checkpoint is refused before any work."""
        self.dimension = int(self.module.embedding_dim)
        for part, item in (("a text", Item("a dog")), ("a picture", Item(image=TRIAL))):
            with loading(source, f"a trial with {part}"):
                found = self.embed_candidates([item])
            if not np.isfinite(found.flat).all():
                raise ModelError(
                    "the model returns vectors that are not finite",
                    where=source,
                    got=part,
                    hint="try --dtype float32; where that changes nothing, the weights are damaged",
                )
        return self.dimension


def _load(source: str, kind: str, dtype: torch.dtype | None) -> tuple[Any, Any]:
    """Return network and processor of a checkpoint, the latter with its Pillow backend."""
    safe: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    network, processor = (getattr(transformers, name) for name in FAMILIES[kind])
    with loading(source):
        module, info = network.from_pretrained(
            source,
            dtype="auto" if dtype is None else dtype,
            use_safetensors=True,
            ignore_mismatched_sizes=True,  # so that the keys are named below
            output_loading_info=True,
            attn_implementation="sdpa",
            **safe,
        )
    check_loaded(source, info)
    with loading(source, "the processor"):
        whole = processor.from_pretrained(source, **safe)
        images: Any = transformers.AutoImageProcessor
        whole.image_processor = images.from_pretrained(source, backend="pil", **safe)
    return module.eval(), whole
