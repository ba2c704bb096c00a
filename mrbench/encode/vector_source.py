"""Vectors that were computed elsewhere, looked up by the ids of records."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from mrbench.arrays import Embeddings, Ints
from mrbench.benchmark import Benchmark
from mrbench.errors import ModelError
from mrbench.models.vectors import VectorFolder
from mrbench.pools import TaskPool
from mrbench.records import PARTS
from mrbench.search.vectors import checked, unit_vectors


class VectorSource:
    """The vectors of one split of a benchmark, from files: an :class:`EmbeddingSource`.

    Every vector is checked and divided by its length, as those of a model are.

    Args:
        folder: The vectors.
        benchmark: The benchmark whose records have them.
        split: Its split.

    Raises:
        ModelError: The folder names another benchmark.
    """

    def __init__(self, folder: VectorFolder, benchmark: Benchmark, split: str) -> None:
        self._folder, self._benchmark, self._split = folder, benchmark, split
        if folder.benchmark and not benchmark.digest.startswith(folder.benchmark):
            raise ModelError(
                "the vectors are of another benchmark",
                where=folder.name,
                got=folder.benchmark,
                accepted=f"{benchmark.digest}, the digest of {benchmark.name}",
                hint="compute the vectors again over this benchmark, or name the benchmark that they were made on",
            )

    def corpus(self, name: str, rows: Ints | None = None) -> Embeddings:
        """Return the vectors of one corpus, or of some of its rows, in the order of the file.

        Raises:
            ModelError: An id has no vector, or a vector cannot be scored. The other methods raise it too.
        """
        ids = self._benchmark.corpus(name, self._split).ids
        ids = (ids if rows is None else ids.take(pa.array(rows))).to_pylist()
        return self._vectors(f"corpus-{name}", ids)

    def queries(self, pool: TaskPool) -> Embeddings:
        """Return the vectors of a task's queries, in the order of ``pool.query_ids``."""
        return self._vectors(f"queries-{pool.task}", pool.query_ids.tolist())

    def variants(self, pool: TaskPool) -> Embeddings:
        """Return the vectors of the variants of a task's queries, in the order of ``pool.variants``."""
        v = pool.variants
        columns = (pool.query_ids[v.query].tolist(), v.kind.tolist(), v.grain.tolist(), v.number.tolist())
        return self._vectors(f"variants-{pool.task}", [variant_id(*row) for row in zip(*columns, strict=True)])

    def cut_texts(self, pool: TaskPool) -> None:
        """Return None: only whoever computed the vectors knows."""

    def setting(self, pool: TaskPool) -> dict[str, str]:
        """Return an empty dict: only whoever computed the vectors knows."""
        return {}

    def parts(self, pool: TaskPool) -> dict[str, Embeddings]:
        """Return the vectors of the image and the text of composed queries, each alone, if the model takes it alone."""
        if self._benchmark.task(pool.task).query_modality != "image,text":
            return {}
        ids = pool.query_ids.tolist()
        wanted = [part for part in PARTS if part in self._folder.modalities]
        return {part: self._vectors(f"parts-{pool.task}", [f"{name}/{part}" for name in ids]) for part in wanted}

    def _vectors(self, table: str, ids: Sequence[str]) -> Embeddings:
        where = f"{self._folder.name}, {table}"
        if not ids:
            return np.empty((0, self._folder.dimension), dtype=np.float32)
        found = checked(self._folder.table(table).rows(ids), self._folder.dimension, ids, where)
        return unit_vectors(found, ids, where)


def variant_id(query_id: str, kind: str, grain: str, number: int) -> str:
    """Return the id of a query's variant in a table of vectors.

    >>> variant_id("0554c7e3719699ae", "degrained", "count", 0), variant_id("0554c7e3719699ae", "paraphrased", "", 1)
    ('0554c7e3719699ae/degrained/count/0', '0554c7e3719699ae/paraphrased//1')
    """
    return f"{query_id}/{kind}/{grain}/{number}"
