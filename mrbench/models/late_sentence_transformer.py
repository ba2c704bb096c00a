"""Multi-vector models in the format of sentence-transformers, or of PyLate, which that library reads."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import transformers

from mrbench.arrays import Ragged, joined
from mrbench.errors import MissingExtraError, ModelError
from mrbench.models.common import files_digest, joint_digest, weights_digest
from mrbench.models.facts import licence_of, parameter_count
from mrbench.models.guard import guarded
from mrbench.models.hub import Checkpoint
from mrbench.models.pixels import TRIAL
from mrbench.models.pretrained import check_finite, loading, resolve_device
from mrbench.models.protocol import Item
from mrbench.records import Modality

_CPU_BATCH = 32  # as in the library
_REPLACED = ("pylate.models.Dense.Dense",)
"""Modules of PyLate that sentence-transformers replaces by its own."""


class LateSentenceTransformer:
    """What ``encode_query`` and ``encode_document`` of a ``MultiVectorEncoder`` return, with the model's own prompts.

    Query expansion and tokens that are not scored, such as punctuation, are the model's. The instruction is ignored.

    Args:
        checkpoint: Where it lies.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        batch_size: Items per forward pass at most; on a CPU 32.
        dtype: Number format; None takes that of the weights.
        trust_remote_code: Whether code that comes with the model may run.

    Raises:
        MissingExtraError: sentence-transformers is not installed, or is older than 6.
        ModelError: Weights as pickles alone, a missing or unexpected key, code that nobody allowed, vectors that are
            not of length 1, or anything else that the library raises.

    Source: Khattab and Zaharia, ColBERT (arXiv 2004.12832).
    """

    multi_vector = True

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        device: str = "auto",
        batch_size: int = 1024,
        dtype: str | None = None,
        trust_remote_code: bool = False,
    ) -> None:
        try:
            import sentence_transformers
            from sentence_transformers import MultiVectorEncoder
        except ImportError as error:
            what = "a multi-vector model with modules.json needs sentence-transformers 6"
            raise MissingExtraError(what, hint='pip install "mrbench[st]"') from error
        from mrbench.models.sentence_transformer import check_modules, checked_keys, dtype_of, modalities_of

        folder, on = checkpoint.folder, resolve_device(device)
        source = str(folder)
        foreign = check_modules(checkpoint, trust_remote_code, known=_REPLACED)
        with loading(source), guarded(source, trusted=trust_remote_code) as run, checked_keys(source) as unset:
            self.module = MultiVectorEncoder(
                source,
                device=str(on),
                local_files_only=True,
                trust_remote_code=trust_remote_code,
                model_kwargs={"use_safetensors": True} | ({"dtype": dtype_of(dtype)} if dtype else {}),
            )
        self._batch_size = min(batch_size, _CPU_BATCH) if on.type == "cpu" else batch_size
        self.name, self.device, self.remote_code = checkpoint.name, str(on), run.ran or bool(foreign)
        self.dtype = str(self.module.dtype or "float32").removeprefix("torch.")
        weights = weights_digest(sorted(folder.rglob("*.safetensors")))
        self.revision = checkpoint.commit or joint_digest(weights, files_digest(folder))
        self.revision_is_digest = checkpoint.commit is None
        self.parameter_count, self.licence = parameter_count(self.module), licence_of(folder)
        self.max_text_length = self.module.max_seq_length
        self.modalities: frozenset[Modality] = modalities_of(self.module) - {"image,text"}
        code = sorted(folder.rglob("*.py")) if self.remote_code else []
        said = [files_digest(folder), weights, weights_digest(code), json.dumps(self.module.prompts)]
        self.preprocessing = " ".join([*said, sentence_transformers.__version__, transformers.__version__])
        self.dimension = self._try(source, unset)

    def embed_queries(self, items: Sequence[Item], instruction: str) -> Ragged:
        """Embed queries: a vector for each token that is scored."""
        return self._embed(items, self.module.encode_query)

    def embed_candidates(self, items: Sequence[Item]) -> Ragged:
        """Embed candidates: a vector for each token that is scored."""
        return self._embed(items, self.module.encode_document)

    def _embed(self, items: Sequence[Item], encode: Callable[..., Any]) -> Ragged:
        """Embed the items of each kind together: the library takes no mixture."""
        kinds: dict[Modality, list[int]] = {}
        for row, item in enumerate(items):
            both = item.text is not None and item.image is not None
            kind: Modality = "image,text" if both else "text" if item.image is None else "image"
            if kind not in self.modalities or item.more_images:
                got, accepted = kind.replace(",", " and "), f"one {' or one '.join(sorted(self.modalities))}"
                raise ModelError("the model takes no such item", where=self.name, got=got, accepted=accepted)
            kinds.setdefault(kind, []).append(row)
        parts, order = [], list[int]()
        for kind, rows in kinds.items():
            inputs = [{kind: items[row].text if kind == "text" else items[row].image} for row in rows]
            vectors = encode(inputs, batch_size=self._batch_size, show_progress_bar=False, convert_to_numpy=True)
            flat = np.concatenate([np.asarray(one, dtype=np.float32) for one in vectors])
            parts.append(Ragged.of_counts(flat, np.array([len(one) for one in vectors])))
            order += rows
        if not parts:
            return Ragged.of_counts(np.empty((0, self.dimension), dtype=np.float32), np.empty(0, dtype=np.int64))
        found: Ragged = joined(parts)[np.argsort(order)]
        return found

    def _try(self, source: str, unset: Sequence[str]) -> int:
        """Embed an item of each kind, and return the dimension."""
        for kind, item in (("text", Item("a photo of a dog")), ("image", Item(image=TRIAL))):
            if kind in self.modalities:
                with loading(source, f"a trial with {kind}"):
                    found = self.embed_candidates([item])
                check_finite(found.flat, unset, source)
                lengths = np.linalg.norm(found.flat.astype(np.float64), axis=1)
                if not (np.abs(lengths - 1) < 1e-2).all():
                    accepted = "length 1, since scores here are sums of cosines"
                    got = f"{lengths.min():.4g} to {lengths.max():.4g}"
                    raise ModelError(
                        "the vectors of tokens have other lengths", where=source, got=got, accepted=accepted
                    )
        return int(found.flat.shape[1])
