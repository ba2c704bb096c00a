"""``head:DIR``: linear heads on frozen encoders as a model of the zoo."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError

from elva.heads.adapted import digest_of, put_on
from elva.heads.folder import ADAPTED, FACTS, WEIGHTS, read_facts
from elva.heads.load_head import embed, load_heads
from elva.tuning.encoders import identity, load_encoder
from elva.tuning.read import Encoders
from mrbench.arrays import Embeddings
from mrbench.errors import ModelError
from mrbench.models.common import tensors_digest
from mrbench.models.protocol import EmbeddingModel, Item
from mrbench.records import Modality
from mrbench.search.vectors import checked

_LOADING: ContextVar[frozenset[Path]] = ContextVar("folders of heads that are being loaded", default=frozenset())


class HeadModel:
    """A linear layer over the unit vectors of frozen encoders, one layer for each part of an item, of unit length.

    A text encoder may have an adapter, which is merged into it. An item of an image and a text is the normalised sum
    of its two embeddings, or has a head of its own where the encoder embeds both together. The encoder gets the
    instruction, if it takes one.

    Args:
        source: Folder that ``mrbench train head`` or ``mrbench train mend`` wrote.
        seed: Not used: the encoders have the seed that they were trained with.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``, of the encoders.
        batch_size: Items per forward pass of an encoder at most.
        trust_remote_code: Whether code that comes with an encoder's weights may run.

    Attributes:
        encoders: The encoder of each part.

    Raises:
        InputError: No such folder.
        ModelError: It is malformed, or an encoder is not the one that the heads were trained on.
    """

    dtype = "float32"

    def __init__(
        self,
        source: str,
        *,
        seed: int = 0,
        device: str = "auto",
        batch_size: int = 1024,
        trust_remote_code: bool = False,
    ) -> None:
        folder = Path(source)
        facts = read_facts(folder)
        said = facts["encoders"]
        for part in said.values():
            _check_inert(part["spec"], folder, trusted=trust_remote_code)
        options: dict[str, Any] = {"device": device, "batch_size": batch_size, "trust_remote_code": trust_remote_code}
        with _once(folder):
            specs = dict.fromkeys(part["spec"] for part in said.values())
            loaded = {spec: load_encoder(spec, **options) for spec in specs}
        self.encoders: Encoders = {part: loaded[said[part]["spec"]] for part in said}
        for part, model in self.encoders.items():
            _check_same(model, said[part], folder)
        if ADAPTED in facts:
            put_on(self.encoders["text"], folder)
        self._heads = _read_weights(folder, self.encoders)
        models = list(self.encoders.values())
        self.dimension = len(next(iter(self._heads.values())))
        self.name = str(facts.get("name", folder.resolve().name))[:100]
        parts = [tensors_digest([folder / WEIGHTS]), *(f"{part} {identity(m)}" for part, m in self.encoders.items())]
        parts += [digest_of(folder)] if ADAPTED in facts else []
        self.revision = f"sha256:{hashlib.sha256('|'.join(parts).encode()).hexdigest()[:16]}"
        self.modalities: frozenset[Modality] = frozenset(self.encoders)
        self.additive = {"image", "text"} <= self.modalities and "image,text" not in self.modalities
        if self.additive:
            self.modalities |= {"image,text"}
        self.symmetric = all(getattr(model, "symmetric", False) is True for model in models)
        self.device = models[0].device
        self._copy_abilities()

    def _copy_abilities(self) -> None:
        """Take over from the encoders how items are prepared and which texts are cut."""
        image, text = self.encoders.get("image"), self.encoders.get("text")
        for name, model in (("prepare", image), ("prepare_texts", text), ("cut_texts", text)):
            if hasattr(model, name):
                setattr(self, name, getattr(model, name))
        for name in ("parameter_count", "max_text_length", "image_size"):
            known = [getattr(model, name) for model in (image, text) if getattr(model, name, None)]
            if known:
                setattr(self, name, known[-1])

    def embed_queries(self, items: Sequence[Item], instruction: str) -> Embeddings:
        """Embed queries, shape ``(len(items), dimension)``."""
        return self._embed(items, lambda model, some: model.embed_queries(some, instruction))

    def embed_candidates(self, items: Sequence[Item]) -> Embeddings:
        """Embed candidates, shape ``(len(items), dimension)``."""
        return self._embed(items, lambda model, some: model.embed_candidates(some))

    def _embed(self, items: Sequence[Item], encode: Any) -> Embeddings:
        found = np.zeros((len(items), self.dimension), dtype=np.float32)
        for part, model in self.encoders.items():
            rows = [row for row, item in enumerate(items) if self._has(item, part)]
            if rows:
                taken = [_part(items[row], part) for row in rows]
                names = [f"item {row}" for row in rows]
                raw = checked(encode(model, taken), dimension=model.dimension, names=names, where=str(model.name))
                found[rows] += embed(self._heads, {part: raw})
        return found

    def _has(self, item: Item, part: Modality) -> bool:
        both = item.text is not None and item.image is not None
        if both and "image,text" in self.encoders:
            return part == "image,text"
        return (item.image if part == "image" else item.text if part == "text" else None) is not None


def _part(item: Item, part: Modality) -> Item:
    if part == "image,text":
        return item
    return replace(item, text=None) if part == "image" else Item(text=item.text)


@contextmanager
def _once(folder: Path) -> Iterator[None]:
    """Load heads within the block, and raise :class:`ModelError` where their encoders lead back to the same folder."""
    outer, mine = _LOADING.get(), folder.resolve()
    if mine in outer:
        raise ModelError("the heads name themselves as encoder", where=folder / FACTS, accepted="another model")
    token = _LOADING.set(outer | {mine})
    try:
        yield
    finally:
        _LOADING.reset(token)


def needs_leave(spec: str) -> bool:
    """Return whether a model of this spec runs code that the spec names, or sends its input and a key to a server."""
    return spec.partition(":")[0] in ("py", "openai")


def _check_inert(spec: str, folder: Path, *, trusted: bool) -> None:
    """Raise :class:`ModelError` for an encoder that a folder of heads from somebody else must not choose.

    A folder of heads is data. The encoders that it names are loaded with it, so they may neither run code nor call a
    server unless the user allows it.
    """
    if needs_leave(spec) and not trusted:
        raise ModelError(
            "the heads name an encoder that runs code or calls a server",
            where=folder / FACTS,
            got=spec,
            hint="add --trust-remote-code if you trust it",
        )


def _check_same(model: EmbeddingModel, said: dict[str, Any], folder: Path) -> None:
    if identity(model) != said["identity"]:
        raise ModelError(
            "the encoder is not the one that the heads were trained on",
            where=f"{folder}, {said['spec']}",
            got=identity(model),
            accepted=said["identity"],
            hint="train the heads again, or install the versions that head.json names",
        )


def _read_weights(folder: Path, encoders: Encoders) -> dict[str, Embeddings]:
    """Return the weights, whose names and shapes have to be those of the encoders."""
    try:
        heads = load_heads(folder)
    except (SafetensorError, OSError) as error:
        raise ModelError(
            "the weights of the heads cannot be read",
            where=folder / WEIGHTS,
            got=str(error),
            hint="copy the folder again, or train the heads again",
        ) from error
    names = {f"{part}.{kind}" for part in encoders for kind in ("weight", "bias")}
    if set(heads) != names:
        raise ModelError(
            "the weights are not those of the heads",
            where=folder / WEIGHTS,
            got=", ".join(sorted(heads)),
            accepted=", ".join(sorted(names)),
            hint="copy the folder again, or train the heads again",
        )
    lengths = {len(weight) for weight in heads.values()}
    for part, model in encoders.items():
        shape = heads[f"{part}.weight"].shape
        finite = all(np.isfinite(heads[f"{part}.{kind}"]).all() for kind in ("weight", "bias"))
        if len(lengths) > 1 or len(shape) != 2 or shape[1] != model.dimension or not finite:
            raise ModelError(
                "the weights do not fit the encoder",
                where=f"{folder / WEIGHTS}, {part}",
                got=f"shape {shape}" if finite else "numbers that are not finite",
                accepted=f"(dimension, {model.dimension}), finite, one dimension for all",
                hint="copy the folder again, or train the heads again",
            )
    return heads
