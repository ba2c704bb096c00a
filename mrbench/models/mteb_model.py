"""``mteb:NAME``: any model of MTEB's registry, through its own ``encode``."""

from __future__ import annotations

import functools
import json
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import datasets
import mteb
import numpy as np
import torch
import transformers
from mteb.abstasks.task_metadata import TaskMetadata
from mteb.types import PromptType
from torch.utils.data import DataLoader

from mrbench.arrays import Embeddings
from mrbench.errors import InputError, MissingExtraError, ModelError
from mrbench.models.guard import guarded
from mrbench.models.pretrained import check_finite, loading, resolve_device
from mrbench.models.protocol import Item
from mrbench.models.sentence_transformer import checked_keys, limit_texts, similarity_remark
from mrbench.records import Modality

_CATEGORIES = {"text": "t2t", "image": "i2i", "image,text": "it2it"}
_CPU_BATCH = 32  # as in the library


class MtebModel:
    """What MTEB embeds with a model: its own prompts, templates and pooling.

    The instruction is given as the prompt of the task, which a model uses or not, as its MTEB implementation decides.
    Queries and candidates are of the type ``Any2AnyRetrieval``.

    MTEB models load code and pickles as they like. Here code of a checkpoint is refused unless it is trusted, and
    pickles in any case.

    Args:
        name: A name of the registry, for example ``intfloat/e5-base-v2``.
        seed: Not used.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        batch_size: Items in a batch that MTEB's loader gives to the model; on a CPU 32 at most.
        max_length: Tokens of a text and its prompt at most, for models that are one of sentence-transformers.
        trust_remote_code: Whether code that comes with the weights may run.

    Raises:
        InputError: MTEB has no such model, an unknown device, or a length for a model that cuts texts by itself.
        MissingExtraError: A package is not installed that MTEB asks for.
        ModelError: It is no dense embedder of texts or images, a key of its weights is missing, or its loading fails.

    Source: Muennighoff et al., MTEB (arXiv 2210.07316).
    """

    def __init__(
        self,
        name: str,
        *,
        seed: int = 0,
        device: str = "auto",
        batch_size: int = 1024,
        max_length: int | None = None,
        trust_remote_code: bool = False,
    ) -> None:
        on = resolve_device(device)
        meta = _meta(name)
        self._batch_size = min(batch_size, _CPU_BATCH) if on.type == "cpu" else batch_size
        where = f"mteb:{name}"
        # MTEB may load a part of a checkpoint, so weights may be left over; none may be missing.
        keys = checked_keys(where, unexpected_too=False)
        with loading(where), guarded(where, trusted=trust_remote_code) as code, keys as unset:
            self.module: Any = _loaded(meta, where, str(on))
        self.name, self.device = str(meta.name), str(on)
        self.revision = str(meta.revision or "unknown")
        self.remote_code, self.licence = code.ran, str(meta.license or "")
        weights = _weights(self.module)
        self.parameter_count = sum(weight.numel() for weight in weights) or meta.n_parameters
        self.dtype = str(weights[0].dtype).removeprefix("torch.") if weights else "unknown"
        self.template = f"MTEB's own: {json.dumps(prompts)}" if (prompts := meta_prompts(self.module)) else "MTEB's own"
        similarity = getattr(self.module, "similarity_fn_name", None) or meta.similarity_fn_name
        self.remark = similarity_remark(str(getattr(similarity, "value", similarity)) if similarity else None)
        self.template += f"; {self.remark}" if self.remark else ""
        self.max_text_length = int(meta.max_tokens) if meta.max_tokens and meta.max_tokens < 1e9 else None
        self.preprocessing = f"mteb {mteb.__version__} transformers {transformers.__version__}"
        if max_length is not None:
            self._limit_texts(max_length)
        found: set[Modality] = {name for name in ("text", "image") if name in meta.modalities}
        self.modalities: frozenset[Modality] = frozenset(found | ({"image,text"} if len(found) == 2 else set()))
        with loading(f"mteb:{name}", "a trial"):
            trial = Item("a photo of a dog") if "text" in found else Item(image=_grey())
            vectors = self._encode([trial], PromptType.document, "")
        check_finite(vectors, unset, where)
        self.dimension = vectors.shape[1]

    def embed_queries(self, items: Sequence[Item], instruction: str) -> Embeddings:
        """Embed queries, shape ``(len(items), dimension)``."""
        return self._embed(items, PromptType.query, instruction)

    def embed_candidates(self, items: Sequence[Item]) -> Embeddings:
        """Embed candidates, shape ``(len(items), dimension)``."""
        return self._embed(items, PromptType.document, "")

    def _limit_texts(self, tokens: int) -> None:
        from sentence_transformers import SentenceTransformer

        inner = getattr(self.module, "model", None)
        if not isinstance(inner, SentenceTransformer):
            what = "the model takes no --max-length: its code of MTEB cuts texts by itself"
            raise InputError(what, where=f"mteb:{self.name}", got=tokens, hint="leave out --max-length")
        limit_texts(inner, tokens, where=f"mteb:{self.name}")
        self.max_text_length = tokens
        self.preprocessing += f" {tokens} tokens"

    def _embed(self, items: Sequence[Item], side: PromptType, instruction: str) -> Embeddings:
        """Embed the items of each kind together: MTEB takes no mixture."""
        found = np.empty((len(items), self.dimension), dtype=np.float32)
        rows_of: dict[Modality, list[int]] = {}
        for row, item in enumerate(items):
            rows_of.setdefault(_kind(item), []).append(row)
        for kind, rows in rows_of.items():
            if kind not in self.modalities:
                accepted = "; ".join(sorted(self.modalities))
                raise ModelError("the model takes no such item", where=self.name, got=kind, accepted=accepted)
            found[rows] = self._encode([items[row] for row in rows], side, instruction)
        return found

    def _encode(self, items: Sequence[Item], side: PromptType, instruction: str) -> Embeddings:
        """Return what ``encode`` makes of items of one kind.

        Raises:
            ModelError: It is not one vector an item.
        """
        metadata = _metadata(_CATEGORIES[_kind(items[0])], instruction)
        with _quiet():
            raw = self.module.encode(
                _loader(items, side, self._batch_size),
                task_metadata=metadata,
                hf_split="test",
                hf_subset="default",
                prompt_type=side,
                batch_size=self._batch_size,
                show_progress_bar=False,
            )
        if hasattr(raw, "detach"):
            raw = raw.detach().cpu().float()
        vectors = np.asarray(raw, dtype=np.float32)
        if vectors.ndim != 2 or len(vectors) != len(items):
            accepted = f"({len(items)}, dimension)"
            raise ModelError("the model returns another shape", where=self.name, got=vectors.shape, accepted=accepted)
        return vectors


def _weights(module: Any) -> list[Any]:
    """Return the parameters of the network inside of a model of MTEB; none where it shows no network."""
    for part in (module, getattr(module, "model", None)):
        if isinstance(part, torch.nn.Module):
            return list({id(weight): weight for weight in part.parameters()}.values())
    return []


def meta_prompts(module: Any) -> dict[str, str]:
    """Return the prompts that MTEB knows of a model, by task or by side."""
    said = getattr(module, "model_prompts", None)
    return {str(name): str(text) for name, text in said.items()} if isinstance(said, dict) else {}


def _meta(name: str) -> Any:
    try:
        meta = mteb.get_model_meta(name)
    except KeyError as error:
        accepted = "a name of mteb.get_model_metas()"
        hint = "for other models of the hub use st:ORG/NAME or hf:ORG/NAME"
        raise InputError(str(error.args[0]), where="model", got=name, accepted=accepted, hint=hint) from error
    if "dense" not in meta.model_type or not {"text", "image"} & set(meta.modalities):
        got = f"{', '.join(meta.model_type)} of {', '.join(meta.modalities)}"
        raise ModelError(
            "no dense embedder of texts or images",
            where=f"mteb:{name}",
            got=got,
            accepted="a dense model of texts or images; mteb.get_model_metas() lists them",
        )
    return meta


def _loaded(meta: Any, where: str, device: str) -> Any:
    """Return the model of MTEB.

    Raises:
        MissingExtraError: A package is not installed that MTEB asks for.
    """
    try:
        return meta.load_model(device=device)
    except ImportError as error:
        said = " ".join(str(error).split())
        command = re.search(r"`(pip install [^`]+)`", said)
        what = "a package is not installed that the model needs"
        hint = command[1] if command else "install it"
        raise MissingExtraError(what, where=where, got=said.partition(" You can install")[0], hint=hint) from error


def _kind(item: Item) -> Modality:
    if item.image is None:
        return "text"
    return "image" if item.text is None else "image,text"


def _loader(items: Sequence[Item], side: PromptType, batch_size: int) -> DataLoader[Any]:
    """Return items of one kind as MTEB gives them to a model: a data set whose features tell what an item has."""
    columns: dict[str, Any] = {}
    features: dict[str, Any] = {}
    if items[0].image is not None:
        columns["image"], features["image"] = [item.image for item in items], datasets.Image()
    if items[0].text is not None:
        for name in ("text", "query" if side is PromptType.query else "body"):
            columns[name], features[name] = [item.text for item in items], datasets.Value("string")
    rows = datasets.Dataset.from_dict(columns, features=datasets.Features(features))
    return DataLoader(rows, batch_size=batch_size, shuffle=False, collate_fn=_lists)


def _lists(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]}


@functools.lru_cache(maxsize=64)
def _metadata(category: str, instruction: str) -> TaskMetadata:
    prompt = {"query": instruction, "document": ""} if instruction else None
    return TaskMetadata(
        name="MRBench",
        description="A task of MRBench.",
        dataset={"path": "mrbench", "revision": "1"},
        type="Any2AnyRetrieval",
        category=category,  # type: ignore[arg-type]
        modalities=["text", "image"],
        eval_langs=["eng-Latn"],
        main_score="ndcg_at_10",
        prompt=prompt,  # type: ignore[arg-type]
    )


def _grey() -> Any:
    from PIL import Image

    return Image.new("RGB", (64, 48), (120, 120, 120))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep MTEB and data sets from bars and logs."""
    bars = datasets.are_progress_bars_disabled()
    before = logging.root.manager.disable
    datasets.disable_progress_bars()
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
        if not bars:
            datasets.enable_progress_bars()
