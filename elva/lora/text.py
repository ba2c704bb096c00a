"""Low-rank adapters on the text encoder of trained heads, which train on together with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from elva.heads.adapted import write_adapter, write_sentence_transformer
from elva.heads.folder import ADAPTED, FOLDER, LOADER, MERGED, read_facts, write_heads
from elva.heads.linear import Heads
from elva.heads.load_head import load_heads
from elva.heads.method import embedded
from elva.heads.model import HeadModel
from elva.lora.towers import Towers
from elva.tuning.data import Split
from elva.tuning.read import read_items, read_split, timed
from elva.tuning.train import Plan, Start, Trained
from elva.tuning.trainable import Noise
from mrbench.arrays import Embeddings
from mrbench.benchmark import Benchmark
from mrbench.errors import ModelError
from mrbench.models.minilm import MiniLM
from mrbench.models.protocol import EmbeddingModel
from mrbench.records import Modality

ST = "sentence_transformers"


class TextMethod:
    """Adapters on the text encoder of a folder of heads: :class:`elva.tuning.method.Method`.

    The image encoder stays as it is, so its features are computed once. The heads train on from where they are.

    Args:
        spec: ``head:DIR``.
        rank: Rank of the adapters.
        merge: Whether to write the text side as a folder of sentence-transformers too.
        chunk: Texts of a forward pass, at most.
        cache: Folder of embeddings.
        device: Of the encoders.
        trust_remote_code: Whether the encoders that the folder names may run code or call a server.

    Raises:
        InputError: No such folder of heads.
        ModelError: Its text encoder has no weights to train, or has an adapter already.
    """

    folder, prefix, identity, one_thread = FOLDER, "head", True, True
    temperature: float | None = None

    def __init__(
        self,
        spec: str,
        *,
        rank: int = 8,
        merge: bool = False,
        chunk: int = 64,
        cache: Path | None = None,
        device: str = "auto",
        trust_remote_code: bool = False,
    ) -> None:
        self._trusted = trust_remote_code
        self.before, self._merge, self._cache, self._device = spec, merge, cache, device
        place = Path(spec.removeprefix("head:"))
        said = read_facts(place)
        if ADAPTED in said:
            raise ModelError(
                "the heads have an adapter already",
                where=spec,
                accepted="heads that mrbench train head wrote",
                hint="train on the heads that these were trained from",
            )
        self._facts: dict[str, Any] = said["encoders"]
        model = HeadModel(str(place), device=device, trust_remote_code=trust_remote_code)
        self.encoders = model.encoders
        check_trainable(self.encoders.get("text"), spec)
        self._text: Any = self.encoders["text"]
        self._base = getattr(self._text, "base", "") or self._facts["text"]["spec"].removeprefix("st:")
        self._weights = load_heads(place)
        self.options: Mapping[str, Any] = {"rank": rank, "model": model.revision}
        self._rank, self._chunk = rank, chunk
        self._towers = Towers(self._text, rank=rank, chunk=chunk)
        self._dimension = model.dimension

    def read(self, benchmark: Benchmark, split: str) -> Split:
        """Embed the images of a split, and read its texts."""
        texts: tuple[Modality, ...] = ("text",)
        return read_split(benchmark, split, self.encoders, self._cache, as_items=texts)

    def rehearse(self, benchmark: Benchmark, split: str) -> tuple[Split, float, float]:
        """Return texts and random features of as many images, and the seconds that embedding images and all takes."""
        items = read_items(benchmark, split, tuple(self.encoders))
        seconds = {part: timed(partial(embedded, self.encoders[part]), table) for part, table in items.tables.items()}
        images = items.tables["image"]
        rows = np.random.default_rng(0).normal(size=(len(images), self.encoders["image"].dimension))
        rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
        return replace(items, tables={**items.tables, "image": rows}), seconds["image"], sum(seconds.values())

    def start(self, data: Split, seed: int) -> Start:
        """Return what makes the heads as they are, over adapters that change nothing yet."""
        self._towers.seed = seed
        return lambda setting: AdaptedHeads(self._towers.reset(), self._weights)

    def facts(self) -> dict[str, Any]:
        """Return the encoders, the dimension and the rank."""
        return {"encoders": self._facts, "dimension": self._dimension, "rank": self._rank, ADAPTED: "text"}

    def write(self, folder: Path, trained: Trained, plan: Plan, facts: dict[str, Any]) -> dict[str, Any]:
        """Write heads, facts, loader and the adapter in the format of PEFT."""
        heads = {name: array for name, array in trained.weights.items() if name.rpartition(".")[0] in self.encoders}
        adapter = {name: array for name, array in trained.weights.items() if name not in heads}
        write_adapter(folder, adapter, self._towers.config, base=self._base)
        said = write_heads(folder, replace(trained, weights=heads), plan, facts)
        if self._merge and not (folder / MERGED).exists():
            write_sentence_transformer(folder, self._reloaded(folder, "cpu").encoders["text"])
        return said

    def load(self, folder: Path) -> EmbeddingModel:
        """Load the heads with their encoders and the adapter."""
        return self._reloaded(folder, self._device)

    def _reloaded(self, folder: Path, device: str) -> HeadModel:
        return HeadModel(str(folder), device=device, trust_remote_code=self._trusted)

    def usage(self, facts: Mapping[str, Any]) -> list[str]:
        """Return how to use heads and adapter without MRBench."""
        library, loader = ("transformers", "AutoModel") if self._base == MiniLM.base else (ST, "SentenceTransformer")
        lines = [
            "```python",
            f"from peft import PeftModel  # pip install peft {library.replace('_', '-')}",
            f"from {library} import {loader}",
            f"from {LOADER.removesuffix('.py')} import embed, load_heads  # numpy and safetensors alone",
            "",
            f'base = {loader + ".from_pretrained" * (library != ST)}("{self._base}")',
            f'text = PeftModel.from_pretrained(base, "{ADAPTED}").merge_and_unload()',
            "heads = load_heads()",
            *(f'{part}s = embed(heads, {{"{part}": features}})' for part in self.encoders),
        ]
        if self._merge:
            lines += ["", f'SentenceTransformer("{MERGED}").encode(["a red bus"])  # text, adapter and head in one']
        return [*lines, "```"]


class AdaptedHeads:
    """Heads over images that stay and a text encoder that adapts: :class:`elva.tuning.trainable.Trainable`.

    Args:
        towers: The text encoder with its adapters.
        weights: What the heads start from.
    """

    def __init__(self, towers: Towers, weights: Mapping[str, Embeddings]) -> None:
        self._towers, self._heads, self._first = towers, Heads.of(weights), Heads.of(weights)

    def weights(self) -> dict[str, Tensor]:
        """Return the weights of the heads and of the adapters."""
        return self._heads.weights() | self._towers.weights()

    def outputs(self, split: Split, part: Modality, rows: Tensor, noise: Noise | None = None) -> Tensor:
        """Return what the heads make of rows of the table of a part, of unit length."""
        if part != "text":
            return self._heads.outputs(split, part, rows)
        return self._heads.layers[part](normalize(self._towers.outputs(split, part, rows), dim=-1))

    def frozen(self, split: Split, part: Modality, rows: Tensor) -> Tensor:
        """Return the same of the heads and the encoder as they were."""
        with torch.no_grad():
            if part != "text":
                return self._first.outputs(split, part, rows)
            return self._first.layers[part](normalize(self._towers.frozen(split, part, rows), dim=-1))

    def share_gradients(self) -> None:
        """Do nothing: heads train in one process."""

    def export(self) -> dict[str, Embeddings]:
        """Return weight and bias of every head, and the adapter's weights by the names that PEFT writes."""
        return self._heads.export() | self._towers.export()


def check_trainable(text: Any, where: str) -> None:
    """Raise where a text encoder has no weights that adapters can be put on.

    Raises:
        ModelError: It is none of torch, embeds more than texts, or tells queries and candidates apart.
    """
    alone = text is not None and text.modalities == frozenset({"text"}) and getattr(text, "symmetric", False)
    if not (alone and hasattr(text, "module") and hasattr(text, "text_features")):
        raise ModelError(
            "the text encoder of the heads has no weights that adapters can be put on",
            where=where,
            got="none" if text is None else str(text.name),
            accepted="minilm, or a text model st:PATH without prompts",
            hint="mrbench train head --image IMAGE --text minilm --data DATA --out DIR",
        )
