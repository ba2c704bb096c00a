"""The adapter on the text encoder of heads: written, read, and written as a folder of sentence-transformers."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.numpy import save

from elva.heads.folder import ADAPTED, MERGED
from elva.heads.load_head import load_heads
from mrbench.arrays import Embeddings
from mrbench.errors import MissingExtraError
from mrbench.models.common import tensors_digest
from mrbench.models.peft_adapter import CONFIG, WEIGHTS, merged
from mrbench.models.pretrained import writing_weights

WEIGHTS_OF = ("weight", "bias")


def write_adapter(folder: Path, weights: Mapping[str, Embeddings], config: Any, *, base: str) -> None:
    """Write an adapter in the format of PEFT beside heads."""
    config.base_model_name_or_path, config.inference_mode = base, True
    (folder / ADAPTED).mkdir(exist_ok=True)
    config.save_pretrained(str(folder / ADAPTED))
    (folder / ADAPTED / WEIGHTS).write_bytes(save(dict(weights), metadata={"format": "pt"}))


def digest_of(folder: Path) -> str:
    """Return the digest of the adapter of a folder of heads: of its tensors, and of how they are scaled."""
    said = json.loads((folder / ADAPTED / CONFIG).read_text(encoding="utf-8"))
    return f"{tensors_digest([folder / ADAPTED / WEIGHTS])} {said.get('r')} {said.get('lora_alpha')}"


def put_on(encoder: Any, folder: Path) -> None:
    """Add the adapter of a folder of heads to the weights of its text encoder."""
    encoder.module = merged(encoder.module, folder / ADAPTED)


def write_sentence_transformer(folder: Path, encoder: Any) -> None:
    """Write the text side of heads, encoder and head, as a folder that sentence-transformers loads.

    Args:
        folder: The folder of the heads.
        encoder: The text encoder, with its adapter merged.

    Raises:
        MissingExtraError: sentence-transformers is not installed.
    """
    try:
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer
    except ModuleNotFoundError as error:
        hint = 'pip install "mrbench[st]", or leave --merge out'
        raise MissingExtraError("a folder of sentence-transformers needs its package", hint=hint) from error
    heads = load_heads(folder)
    size, width = heads["text.weight"].shape
    dense = Dense(width, size, activation_function=torch.nn.Identity())
    dense.linear.weight.data, dense.linear.bias.data = (torch.tensor(heads[f"text.{kind}"]) for kind in WEIGHTS_OF)
    with tempfile.TemporaryDirectory() as name, writing_weights(folder):
        if isinstance(encoder.module, SentenceTransformer):
            first = list(encoder.module.children())
        else:
            encoder.save(Path(name))
            first = [Transformer(name, max_seq_length=encoder.max_text_length), Pooling(width, "mean")]
        modules = [*first, Normalize(), dense, Normalize()]
        SentenceTransformer(modules=modules, device="cpu").save(str(folder / MERGED), create_model_card=False)
