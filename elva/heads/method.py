"""Linear heads as a way to train: frozen encoders, their features, and the folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from elva.heads.folder import FOLDER, LOADER, write_heads
from elva.heads.linear import Heads
from elva.heads.model import HeadModel, needs_leave
from elva.tuning.data import Split, Table
from elva.tuning.encoders import facts_of, load_encoder, parts_of
from elva.tuning.read import Encoders, Picture, read_items, read_split, timed
from elva.tuning.train import Plan, Start, Trained
from mrbench.benchmark import Benchmark
from mrbench.benchmark.images import decode
from mrbench.models.protocol import EmbeddingModel, Item
from mrbench.records import Modality


class HeadMethod:
    """Linear heads on frozen encoders: :class:`elva.tuning.method.Method`.

    Args:
        specs: Encoder of each part; of one model that is mended, that model alone.
        mend: Whether heads start as the identity over one model.
        dimension: Length of an embedding; a mended model keeps its own.
        before: Spec of the model that the report compares with; None for the model that is mended.
        cache: Folder of embeddings.
        device: Of the encoders.
        trust_remote_code: Whether encoders that a folder of heads names may run code or call a server.
    """

    folder, prefix, one_thread = FOLDER, "head", True
    temperature: float | None = None

    def __init__(
        self,
        specs: Mapping[Modality, str],
        *,
        mend: bool,
        dimension: int = 256,
        before: str | None = None,
        cache: Path | None = None,
        device: str = "auto",
        trust_remote_code: bool = False,
    ) -> None:
        self._trusted = trust_remote_code
        self._cache, self._device, self.identity = cache, device, mend
        self._specs = tuple(specs.values())
        first = self._specs[0]
        self.before = before or first
        if mend:
            self.encoders: Encoders = parts_of(load_encoder(first, device=device, trust_remote_code=trust_remote_code))
            self._dimension = next(iter(self.encoders.values())).dimension
        else:
            self.encoders = {part: load_encoder(spec, part, device=device) for part, spec in specs.items()}
            self._dimension = dimension
        self._facts = facts_of(self.encoders, {part: specs.get(part, first) for part in self.encoders})
        identities = {part: said["identity"] for part, said in self._facts.items()}
        self.options: Mapping[str, Any] = {"dimension": self._dimension, "mend": mend, "encoders": identities}

    def read(self, benchmark: Benchmark, split: str) -> Split:
        """Embed a split."""
        return read_split(benchmark, split, self.encoders, self._cache)

    def rehearse(self, benchmark: Benchmark, split: str) -> tuple[Split, float, float]:
        """Return random features of as many items, and twice the seconds that embedding takes: reading embeds."""
        items = read_items(benchmark, split, tuple(self.encoders))
        rng = np.random.default_rng(0)
        tables: dict[Modality, Table] = {}
        seconds = 0.0
        for part, table in items.tables.items():
            seconds += timed(partial(embedded, self.encoders[part]), table)
            rows = rng.normal(size=(len(table), self.encoders[part].dimension)).astype(np.float32)
            tables[part] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return replace(items, tables=tables), seconds, seconds

    def start(self, data: Split, seed: int) -> Start:
        """Return what makes untrained heads."""
        return lambda setting: Heads(data.tables, self._dimension, identity=self.identity, drop=setting.drop, seed=seed)

    def facts(self) -> dict[str, Any]:
        """Return the encoders and the dimension."""
        return {"encoders": self._facts, "dimension": self._dimension}

    def write(self, folder: Path, trained: Trained, plan: Plan, facts: dict[str, Any]) -> dict[str, Any]:
        """Write weights, facts and loader."""
        return write_heads(folder, trained, plan, facts)

    def load(self, folder: Path) -> EmbeddingModel:
        """Load the heads with their encoders."""
        named = any(needs_leave(spec) for spec in self._specs)  # by the user
        return HeadModel(str(folder), device=self._device, trust_remote_code=named or self._trusted)

    def usage(self, facts: Mapping[str, Any]) -> list[str]:
        """Return how to use the heads without MRBench."""
        return [
            "```python",
            f"from {LOADER.removesuffix('.py')} import embed, load_heads  # numpy and safetensors alone",
            "",
            "heads = load_heads()",
            *(f'{part.replace(",", "_")}s = embed(heads, {{"{part}": features}})  # (n, features) -> (n, dimension)'
              for part in self.encoders),
            "```",
        ]  # fmt: skip


def embedded(model: EmbeddingModel, rows: Table) -> object:
    """Return what a model embeds items as, texts or pictures."""
    items = [
        Item(row.text, decode(row.image, where=row.record_id)) if isinstance(row, Picture) else Item(row)
        for row in rows.tolist()
    ]
    return model.embed_candidates(items)
