"""Finds the texts of a task that a model cuts. It reads the texts alone, so a cache of embeddings changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mrbench.arrays import Bools
from mrbench.benchmark import Benchmark, Records
from mrbench.errors import ModelError
from mrbench.models.protocol import EmbeddingModel
from mrbench.pools.cut_texts import CutTexts
from mrbench.pools.pool import TaskPool

CutOf = Callable[[Sequence[str]], Any]


class CutCounter:
    """Finds the texts of a split that a model cuts; each corpus is read once.

    Args:
        model: The model.
        benchmark: The benchmark.
        split: Its split.
    """

    def __init__(self, model: EmbeddingModel, benchmark: Benchmark, split: str) -> None:
        self._name, self._cut = model.name, getattr(model, "cut_texts", None)
        self._benchmark, self._split = benchmark, split
        self._corpora: dict[str, Bools] = {}

    def of(self, pool: TaskPool) -> CutTexts | None:
        """Return which texts of a task are cut; None where the model does not say.

        Raises:
            ModelError: The model returns another number of flags than of texts.
        """
        if self._cut is None:
            return None
        cut: CutOf = self._cut
        task = self._benchmark.task(pool.task)
        queries, variants = (np.zeros(len(part), dtype=np.bool_) for part in (pool.query_ids, pool.variants.row))
        if "text" in task.query_modality:
            records = self._benchmark.queries(pool.task, self._split)
            row = {name: row for row, name in enumerate(records.ids.to_pylist())}
            queries = self._of(records, cut)[[row[name] for name in pool.query_ids.tolist()]]
            if len(variants):
                variants = self._of(self._benchmark.variants(pool.task, self._split), cut)[pool.variants.row]
        stacked = np.concatenate([self._corpus(name, cut) for name in pool.corpora])
        return CutTexts(queries, stacked[pool.row], variants)

    def _corpus(self, name: str, cut: CutOf) -> Bools:
        if name not in self._corpora:
            records = self._benchmark.corpus(name, self._split)
            has_text = "text" in self._benchmark.corpora[name]
            self._corpora[name] = self._of(records, cut) if has_text else np.zeros(len(records), dtype=np.bool_)
        return self._corpora[name]

    def _of(self, records: Records[Any], cut: CutOf) -> Bools:
        """Return which records of a table have a cut text; records without a text have none."""
        parts = [np.zeros(0, dtype=np.bool_)]
        for table in records.tables(["text"]):
            texts = [text or "" for text in table["text"].to_pylist()]
            found = np.asarray(cut(texts))
            if found.shape != (len(texts),) or found.dtype != np.bool_:
                got, accepted = f"{found.dtype} {found.shape}", f"an array of bool, shape ({len(texts)},)"
                raise ModelError("cut_texts returns something else", where=self._name, got=got, accepted=accepted)
            parts.append(found)
        return np.concatenate(parts)
