"""The texts of a task that a model cut."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mrbench.arrays import Bools, Ints
from mrbench.errors import ResultError
from mrbench.pools.pool import TaskPool

KINDS = ("query", "candidate", "variant")


@dataclass(frozen=True)
class CutTexts:
    """Flags of the texts that are longer than the model's limit, so that it saw only their beginning.

    Attributes:
        queries: Shape ``(num_queries,)``.
        candidates: Shape ``(num_candidates,)``, in the order of ``pool.candidate_ids``.
        variants: Shape ``(num_variants,)``, in the order of ``pool.variants``.
    """

    queries: Bools
    candidates: Bools
    variants: Bools

    @classmethod
    def none(cls, pool: TaskPool) -> CutTexts:
        """Return flags that say that no text was cut."""
        sizes = len(pool.query_ids), len(pool.candidate_ids), len(pool.variants.row)
        return cls(*(np.zeros(size, dtype=np.bool_) for size in sizes))

    @property
    def counts(self) -> dict[str, int]:
        """Number of texts that were cut, as results hold it: ``queries``, ``candidates``, ``variants``."""
        return {name: int(getattr(self, name).sum()) for name in ("queries", "candidates", "variants")}

    def to_table(self, pool: TaskPool) -> pa.Table:
        """Return the table ``cut`` of a run: a row for each text that was cut."""
        query, candidate, row = (np.flatnonzero(part) for part in (self.queries, self.candidates, self.variants))
        of, empty = pool.variants, [""] * (len(query) + len(candidate))
        ids = np.concatenate([pool.query_ids[query], pool.candidate_ids[candidate], pool.query_ids[of.query[row]]])
        kinds = np.repeat(KINDS, [len(query), len(candidate), len(row)])
        return pa.table(
            {
                "what": pa.array(kinds.tolist(), pa.string()),
                "id": pa.array(ids.tolist(), pa.string()),
                "kind": pa.array([*empty, *of.kind[row].tolist()], pa.string()),
                "grain": pa.array([*empty, *of.grain[row].tolist()], pa.string()),
                "number": pa.array([0] * len(empty) + of.number[row].tolist(), pa.int64()),
            }
        )

    @classmethod
    def from_table(cls, table: pa.Table, pool: TaskPool) -> CutTexts:
        """Read the table ``cut`` of a run.

        Raises:
            ResultError: It names a text that the task does not have.
        """
        cut = cls.none(pool)
        columns = {name: table[name].cast(pa.string()) for name in ("what", "id", "kind", "grain", "number")}
        of = pool.variants
        variant = [pool.query_ids[of.query], of.kind, of.grain, of.number.astype(str)]
        names = {"query": [pool.query_ids], "candidate": [pool.candidate_ids], "variant": variant}
        known = np.zeros(len(table), dtype=np.bool_)
        for what, part in zip(KINDS, (cut.queries, cut.candidates, cut.variants), strict=True):
            rows = pc.equal(columns["what"], what)
            keys = ["id"] if what != "variant" else ["id", "kind", "grain", "number"]
            at = _rows([columns[key].filter(rows) for key in keys], names[what])
            part[at[at >= 0]] = True
            known[rows.to_numpy()] = at >= 0
        if not known.all():
            row = int(np.argmin(known))
            got = " ".join(columns[name][row].as_py() for name in ("what", "id", "kind", "grain"))
            raise ResultError("a cut text is not in the task", where=f"{pool.task}, cut", got=got.strip())
        return cut


def _rows(wanted: list[pa.ChunkedArray], names: list[np.ndarray[Any, Any]]) -> Ints:
    """Return the position of each wanted name, -1 if it is missing; names may have several parts."""
    given = [pa.array(part.tolist(), pa.string()) for part in names]
    many = len(names) > 1
    keys = pc.binary_join_element_wise(*given, "\x1f") if many else given[0]
    asked = pc.binary_join_element_wise(*wanted, "\x1f") if many else wanted[0]
    rows: Ints = pc.index_in(asked, keys).fill_null(-1).to_numpy().astype(np.int64)
    return rows
