"""Sources of a task's vectors: a model, or files with vectors (:mod:`mrbench.encode.vector_source`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from mrbench.arrays import Ints, Rows
from mrbench.benchmark import Benchmark
from mrbench.encode.cut_texts import CutCounter
from mrbench.encode.ragged_store import open_store
from mrbench.encode.store import EmbeddingStore
from mrbench.encode.task_inputs import (
    corpus_label,
    encode_corpus,
    encode_part,
    encode_queries,
    encode_variants,
    queries_label,
)
from mrbench.models.protocol import EmbeddingModel, takes_several_images
from mrbench.pools.cut_texts import CutTexts
from mrbench.pools.pool import TaskPool
from mrbench.records import PARTS

TOGETHER = "embedded together"
AVERAGED = "mean of the normalised embeddings of the single images"


@dataclass(frozen=True)
class TaskEmbeddings:
    """The unit vectors of a task: one vector an item, or several (:class:`mrbench.arrays.Ragged`).

    Attributes:
        candidates: Shape ``(num_candidates, dimension)``, in the order that ``pool.row`` refers to.
        queries: Shape ``(num_queries, dimension)``, in the order of ``pool.query_ids``.
        variants: Shape ``(num_variants, dimension)``, in the order of ``pool.variants``.
        parts: For composed queries, the ``image`` and the ``text`` alone if the model takes them; shape as ``queries``.
    """

    candidates: Rows
    queries: Rows
    variants: Rows
    parts: Mapping[str, Rows] = field(default_factory=dict)


class EmbeddingSource(Protocol):
    """Embeds the records of one split of a benchmark: unit vectors, float32, one an item or several."""

    def corpus(self, name: str, rows: Ints | None = None) -> Rows:
        """Return the vectors of the candidates of one corpus, or of some rows of it, in the order of the file."""
        ...

    def queries(self, pool: TaskPool) -> Rows:
        """Return the vectors of a task's queries."""
        ...

    def variants(self, pool: TaskPool) -> Rows:
        """Return the vectors of the variants of a task's queries."""
        ...

    def parts(self, pool: TaskPool) -> Mapping[str, Rows]:
        """Return the vectors of the parts of composed queries, if available; empty for other tasks."""
        ...

    def setting(self, pool: TaskPool) -> dict[str, str]:
        """Return how a task was embedded, where there is a choice. Call it after embedding the whole task."""
        ...

    def cut_texts(self, pool: TaskPool) -> CutTexts | None:
        """Return which texts of a task the model cut; None if that is not known."""
        ...


class ModelSource:
    """A model that reads what the records hold; each distinct item is embedded once.

    Args:
        model: The model.
        benchmark: The benchmark.
        split: Its split.
        store: Where vectors are kept; None keeps them while this source lives.
        instruction: The instruction for all queries, or by task; None takes the instruction of each query.
    """

    def __init__(
        self,
        model: EmbeddingModel,
        benchmark: Benchmark,
        split: str,
        store: EmbeddingStore | None = None,
        instruction: str | Mapping[str, str] | None = None,
    ) -> None:
        self._model, self._benchmark, self._split, self._instruction = model, benchmark, split, instruction
        self._store = open_store(model) if store is None else store
        self._cut = CutCounter(model, benchmark, split)

    def corpus(self, name: str, rows: Ints | None = None) -> Rows:
        """Return the vectors of one corpus, or of some of its rows, ascending."""
        embeddings: Rows = encode_corpus(self._model, self._benchmark, name, self._split, self._store, rows)
        return embeddings

    def queries(self, pool: TaskPool) -> Rows:
        """Return the vectors of a task's queries."""
        ids = pool.query_ids.tolist()
        said = self._said(pool.task)
        embeddings: Rows = encode_queries(self._model, self._benchmark, pool.task, self._split, ids, self._store, said)
        return embeddings

    def variants(self, pool: TaskPool) -> Rows:
        """Return the vectors of the variants of a task's queries."""
        said = self._said(pool.task)
        embeddings: Rows = encode_variants(self._model, self._benchmark, pool, self._split, self._store, said)
        return embeddings

    def parts(self, pool: TaskPool) -> Mapping[str, Rows]:
        """Return the vectors of the image and the text of composed queries, each alone, if the model takes it alone."""
        if self._benchmark.task(pool.task).query_modality != "image,text":
            return {}
        return {
            part: encode_part(self._model, self._benchmark, pool, self._split, part, self._store, self._said(pool.task))
            for part in PARTS
            if part in self._model.modalities
        }

    def setting(self, pool: TaskPool) -> dict[str, str]:
        """Return how items with several images were embedded; empty if the task has none."""
        labels = {queries_label(pool.task), *map(corpus_label, pool.corpora)}
        if not labels & self._store.several:
            return {}
        return {"items of several images": TOGETHER if takes_several_images(self._model) else AVERAGED}

    def _said(self, task: str) -> str | None:
        """Return the instruction for a task's queries; None for each query's own."""
        return self._instruction.get(task) if isinstance(self._instruction, Mapping) else self._instruction

    def cut_texts(self, pool: TaskPool) -> CutTexts | None:
        """Return which texts of a task the model cuts; None where it does not say."""
        return self._cut.of(pool)
