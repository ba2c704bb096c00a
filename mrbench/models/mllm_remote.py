"""MLLM embedders that come with code of their own, such as jina-embeddings-v4: their own methods embed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
import transformers

from mrbench.arrays import Embeddings
from mrbench.errors import InputError, ModelError
from mrbench.models.checkpoint_folders import check_no_pickles, find_whole_checkpoint
from mrbench.models.common import as_array, batches, embed_items, files_digest, joint_digest, weights_digest
from mrbench.models.dual_encoder import DTYPES
from mrbench.models.facts import licence_of, parameter_count
from mrbench.models.forward import CPU_BATCH
from mrbench.models.guard import guarded
from mrbench.models.hub import Checkpoint
from mrbench.models.mllm_checkpoint import check_loaded, choose_template, raw_config
from mrbench.models.peft_adapter import CONFIG
from mrbench.models.pixels import TRIAL
from mrbench.models.pretrained import loading, resolve_device
from mrbench.models.protocol import Item
from mrbench.models.template import Remote, RemoteMethod, Side, Template
from mrbench.records import MODALITIES, Modality


def find_remote(source: str, named: str | None) -> Callable[..., RemoteMllm] | None:
    """Return what loads a checkpoint with code of its own; None where transformers has the code.

    Raises:
        InputError: No such folder, or a checkpoint that does not tell how it embeds.
        ModelError: The hub does not have it.
    """
    if "?base=" in source:
        return None
    snapshot = find_whole_checkpoint(source)
    if (snapshot.folder / CONFIG).is_file() and not (snapshot.folder / "config.json").is_file():
        return None
    config = raw_config(snapshot.folder)
    if not config.get("auto_map"):
        return None
    template = choose_template(named, [snapshot.name] if snapshot.commit else [], snapshot.folder, config)
    remote = template.remote
    if remote is None or not {*remote.architectures} & {*(config.get("architectures") or ())}:
        return None
    return partial(RemoteMllm, snapshot, template, remote)


class RemoteMllm:
    """A model that embeds with methods of its own; its code runs, with the user's leave.

    A picture with a text is the sum of both vectors.

    Args:
        snapshot: Where it lies.
        template: The template.
        remote: Its methods.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        batch_size: Items per call at most; on a CPU 16.
        dtype: Number format; None takes that of the weights.

    Raises:
        ModelError: A missing or unexpected key, a pickle, or anything that the code raises.
    """

    modalities: frozenset[Modality] = frozenset(MODALITIES)
    additive = remote_code = True

    def __init__(
        self,
        snapshot: Checkpoint,
        template: Template,
        remote: Remote,
        *,
        device: str = "auto",
        batch_size: int = 1024,
        dtype: str | None = None,
    ) -> None:
        if not template.sums:
            raise InputError(
                "a template with remote methods sums", where=template.name, got="both", accepted="both: sum"
            )
        on = resolve_device(device)
        source = str(snapshot.folder)
        check_no_pickles(snapshot.folder)
        with loading(source), guarded(source, trusted=True):
            self.module, info = transformers.AutoModel.from_pretrained(
                source,
                dtype="auto" if dtype is None else DTYPES[dtype],
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=True,
                output_loading_info=True,
            )
        check_loaded(source, info)
        self.module.to(on).eval()
        self.template, self._remote = template.name, remote
        self.template_digest, self.variant = template.digest, ""
        self.parameter_count, self.licence = parameter_count(self.module), licence_of(snapshot.folder)
        self.max_text_length = _positions(self.module.config)
        self._batch_size = min(batch_size, CPU_BATCH) if on.type == "cpu" else batch_size
        self.name, self.device = snapshot.name, str(on)
        self.dtype = str(self.module.dtype).removeprefix("torch.")
        weights = weights_digest(sorted(snapshot.folder.rglob("*.safetensors")))
        self.revision = snapshot.commit or joint_digest(weights, files_digest(snapshot.folder))
        self.revision_is_digest = snapshot.commit is None
        code = weights_digest(sorted(snapshot.folder.rglob("*.py")))
        said = [template.digest, files_digest(snapshot.folder), weights, code, transformers.__version__]
        self.preprocessing = f"{template.name} {' '.join(said)}"
        self.symmetric = template.symmetric
        self.dimension = 0
        self.dimension = self._try(source)

    def embed_queries(self, items: Sequence[Item], instruction: str) -> Embeddings:
        """Embed queries, shape ``(len(items), dimension)``."""
        return self._embed(items, "query")

    def embed_candidates(self, items: Sequence[Item]) -> Embeddings:
        """Embed candidates, shape ``(len(items), dimension)``."""
        return self._embed(items, "candidate")

    def _embed(self, items: Sequence[Item], side: Side) -> Embeddings:
        texts, images = (partial(self._call, how, side) for how in (self._remote.text, self._remote.image))
        return embed_items(self.name, items, self.dimension, embed_texts=texts, embed_images=images)

    def _call(self, how: RemoteMethod, side: Side, parts: list[Any]) -> Embeddings:
        options = how.options | (how.query if side == "query" else how.candidate)
        method = getattr(self.module, how.method, None)
        if method is None:
            raise ModelError(
                "the model's code lacks a method of the template",
                where=self.name,
                got=how.method,
                hint="name another template, or another revision with @REVISION",
            )
        found: list[Embeddings] = []
        with torch.inference_mode():
            for batch in batches(parts, self._batch_size):
                vectors = method(list(batch), **options)
                found += [as_array(torch.as_tensor(one).float()) for one in vectors]
        return np.stack(found)

    def _try(self, source: str) -> int:
        """Embed a text and a picture, and return the dimension."""
        with loading(source, "a trial"):
            vectors = [self._call(self._remote.text, "query", ["a dog"])[0]]
            vectors.append(self._call(self._remote.image, "query", [TRIAL])[0])
        if len({len(vector) for vector in vectors}) > 1 or not all(np.isfinite(vector).all() for vector in vectors):
            got = " and ".join(str(vector.shape) for vector in vectors)
            raise ModelError(
                "the model's code returns no vectors",
                where=source,
                got=got,
                accepted="one vector of numbers for each item",
            )
        return len(vectors[0])


def _positions(config: Any) -> int | None:
    found = getattr(config.get_text_config(), "max_position_embeddings", None)
    return found if isinstance(found, int) else None
