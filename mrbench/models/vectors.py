"""``vectors:DIR``: embeddings that were computed elsewhere, known by the ids of the records.

The folder holds one table for each part of a benchmark that was embedded::

    corpus-NAME                    by candidate id; corpus-image and corpus-text in the suites of MRBench
    queries-TASK                   by query id
    variants-TASK                  by QUERY/KIND/GRAIN/NUMBER, for example 0554c7e3719699ae/degrained/count/0
    parts-TASK                     of composed queries: by QUERY/image and QUERY/text
    model.json                     optional: name, revision, modalities, benchmark (the digest it was made from), and
                                   facts of the model that the result states: licence, template, image_size,
                                   parameter_count, max_text_length

A table is ``NAME.parquet`` with the columns ``id`` and ``vector``, or ``NAME.npy``, or ``NAME.safetensors`` with one
tensor; the last two have ``NAME.ids.txt`` beside them, one id a line. Nothing in them can run.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mrbench.arrays import Embeddings
from mrbench.errors import InputError, MissingExtraError, ModelError
from mrbench.models.common import weights_digest
from mrbench.models.protocol import Item
from mrbench.records import MODALITIES, TASKS, Modality

MODEL = "model.json"
_SUFFIXES = (".parquet", ".npy", ".safetensors")
_PARTS = ("corpus", "queries", "variants", "parts")
_FACTS, _COUNTS = ("licence", "template", "image_size"), ("parameter_count", "max_text_length")
_NAMED = 3  # missing ids that a message names


@dataclass(frozen=True)
class VectorTable:
    """Vectors by id.

    Attributes:
        path: The file, for messages.
        ids: Shape ``(number,)``.
        vectors: Shape ``(number, dimension)``, of any floating-point type; may be mapped from the file.
    """

    path: Path
    ids: pa.Array
    vectors: np.ndarray[Any, Any]

    def rows(self, wanted: Sequence[str]) -> Any:
        """Return the vectors of some ids, in their order, as they are in the file.

        Raises:
            ModelError: Some have none; the message names the first of them and counts all.
        """
        rows = pc.index_in(pa.array(wanted, pa.string()), self.ids)
        if rows.null_count:
            lacking = [name for name, row in zip(wanted, rows.to_pylist(), strict=True) if row is None]
            more = f" and {len(lacking) - _NAMED} more" if len(lacking) > _NAMED else ""
            raise ModelError(
                f"{len(lacking)} of {len(wanted)} ids have no vector",
                where=self.path,
                got=", ".join(lacking[:_NAMED]) + more,
                accepted="a vector for each id of the benchmark",
            )
        return self.vectors[rows.to_numpy()]


class VectorFolder:
    """What a model returned elsewhere. It embeds nothing: :class:`mrbench.encode.VectorSource` looks its vectors up.

    Args:
        folder: The folder; see the module for what is in it.
        seed: Not used.
        device: Not used.
        batch_size: Not used.

    Attributes:
        benchmark: The digest of the benchmark whose records were embedded, or an empty text.
        revision: What ``model.json`` says and the digest of all tables, or the digest alone.

    Raises:
        InputError: No such folder.
        ModelError: It holds no table, or one that is malformed: an id twice, another number of ids than of vectors,
            pickled objects, no numbers, or dimensions that differ.
    """

    device = "cpu"

    def __init__(self, folder: str, *, seed: int = 0, device: str = "auto", batch_size: int = 1024) -> None:
        path = Path(folder)
        if not path.is_dir():
            raise InputError("no such folder", where="model", got=folder, accepted="vectors:DIR")
        self._folder = path
        files = sorted(file for file in path.iterdir() if file.suffix in _SUFFIXES)
        names = dict.fromkeys(file.stem for file in files if file.stem.partition("-")[0] in _PARTS)
        self._tables = {name: _read_table(path, name) for name in names}
        if not self._tables:
            there = ", ".join(sorted(entry.name for entry in path.iterdir())[:5]) or "nothing"
            accepted = f"corpus-NAME, queries-TASK, ... as {', '.join(_SUFFIXES)}"
            hint = "docs/howto/evaluate-your-own-model.md shows how to write one"
            raise ModelError(
                "the folder holds no table of vectors", where=path, got=there, accepted=accepted, hint=hint
            )
        first = next(iter(self._tables.values()))
        self.dimension = first.vectors.shape[1]
        for table in self._tables.values():
            if table.vectors.shape[1] != self.dimension:
                raise ModelError(
                    "the vectors differ in dimension",
                    where=table.path,
                    got=table.vectors.shape[1],
                    accepted=f"{self.dimension}, as in {first.path.name}",
                )
        said = _read_settings(path / MODEL)
        digest = weights_digest(sorted(file for t in self._tables.values() for file in _files_of(t.path)))
        self.name = said.get("name", path.resolve().name)
        self.revision = f"{said['revision']} {digest}" if "revision" in said else digest
        self.benchmark = said.get("benchmark", "")
        for fact in (*_FACTS, *_COUNTS):
            setattr(self, fact, said.get(fact))
        self.dtype = first.vectors.dtype.name
        self.modalities: frozenset[Modality] = frozenset(said.get("modalities", self._modalities()))

    def table(self, name: str) -> VectorTable:
        """Return a table, for example ``queries-t2i``.

        Raises:
            ModelError: The folder has none of that name.
        """
        if name not in self._tables:
            accepted = " or ".join(f"{name}{suffix}" for suffix in _SUFFIXES)
            raise ModelError("the folder lacks a table of vectors", where=self._folder, got=name, accepted=accepted)
        return self._tables[name]

    def embed_queries(self, items: Sequence[Item], instruction: str) -> Embeddings:
        """Raise: vectors are known by the ids of records alone."""
        return self.embed_candidates(items)

    def embed_candidates(self, items: Sequence[Item]) -> Embeddings:
        """Raise: vectors are known by the ids of records alone."""
        raise ModelError(
            "vectors computed elsewhere can embed nothing new", where=self._folder, hint="name a model that embeds"
        )

    def _modalities(self) -> set[Modality]:
        """Return what the model took, as far as the names of tables show it; of other names it may be anything."""
        found: set[Modality] = set()
        for name in self._tables:
            part, _, of = name.partition("-")
            if part == "queries":
                found |= {TASKS[of].query_modality} if of in TASKS else set(MODALITIES)
            elif part == "corpus":
                found |= {of} if of in MODALITIES else set(MODALITIES)
        return found


def _read_settings(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError("unreadable settings", where=path, got=str(error), accepted="a JSON object") from error
    if not isinstance(said, dict):
        raise ModelError("unreadable settings", where=path, got=type(said).__name__, accepted="a JSON object")
    for name in set(_COUNTS) & said.keys():
        if not isinstance(said[name], int) or isinstance(said[name], bool) or said[name] < 1:
            accepted = "a whole number, 1 or more"
            raise ModelError("malformed setting", where=f"{path}, {name}", got=said[name], accepted=accepted)
    for name, value in ((name, value) for name, value in said.items() if name not in _COUNTS):
        texts = value if name == "modalities" and isinstance(value, list) else [value]
        if not all(isinstance(text, str) and text for text in texts):
            raise ModelError("malformed setting", where=f"{path}, {name}", got=value, accepted="a text")
    if not set(said.get("modalities", ())) <= set(MODALITIES):
        accepted = f"a list of {', '.join(MODALITIES)}"
        raise ModelError("malformed setting", where=f"{path}, modalities", got=said["modalities"], accepted=accepted)
    return said


def _files_of(path: Path) -> list[Path]:
    return [path] if path.suffix == ".parquet" else [path, _ids_beside(path)]


def _ids_beside(path: Path) -> Path:
    return path.with_name(f"{path.stem}.ids.txt")  # with_suffix would cut a name that has a dot


def _read_table(folder: Path, name: str) -> VectorTable:
    """Return a table of the folder."""
    there = [folder / f"{name}{suffix}" for suffix in _SUFFIXES if (folder / f"{name}{suffix}").is_file()]
    path = there[0]
    if len(there) > 1:
        raise ModelError("a table is there twice", where=folder, got=", ".join(p.name for p in there), accepted="one")
    if path.suffix == ".parquet":
        ids, vectors = _read_parquet(path)
    else:
        vectors = _read_npy(path) if path.suffix == ".npy" else _read_safetensors(path)
        ids = _read_ids(_ids_beside(path))
    if vectors.ndim != 2 or not np.issubdtype(vectors.dtype, np.floating) or 0 in vectors.shape:
        got, accepted = f"{vectors.dtype}, shape {vectors.shape}", "floating-point numbers, shape (number, dimension)"
        raise ModelError("not a table of vectors", where=path, got=got, accepted=accepted)
    if len(ids) != len(vectors):
        accepted = f"{len(vectors)}, one for each vector"
        raise ModelError("another number of ids than of vectors", where=path, got=len(ids), accepted=accepted)
    if len(pc.unique(ids)) != len(ids):
        counts = pc.value_counts(ids)
        twice = next(entry["values"] for entry in counts.to_pylist() if entry["counts"] > 1)
        raise ModelError("an id is there twice", where=path, got=twice, accepted="each once")
    return VectorTable(path, ids, vectors)


def _read_parquet(path: Path) -> tuple[pa.Array, Any]:
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise ModelError(
            "cannot read the vectors",
            where=path,
            got=str(error),
            accepted="a Parquet file with the columns id and vector",
        ) from error
    lacking = [name for name in ("id", "vector") if name not in table.column_names]
    if lacking:
        accepted = "the columns id and vector"
        raise ModelError("the table lacks a column", where=path, got=", ".join(table.column_names), accepted=accepted)
    ids, lists = (table[name].combine_chunks() for name in ("id", "vector"))
    kind = lists.type
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    if not (is_list and pa.types.is_floating(kind.value_type)) or not _is_text(ids.type):
        accepted = "texts as id, lists of floating-point numbers as vector"
        raise ModelError("a column of another type", where=path, got=f"{ids.type}, {kind}", accepted=accepted)
    lengths = pc.unique(pc.list_value_length(lists)).to_pylist()
    flat = lists.flatten()
    if len(lengths) != 1 or not lengths[0] or ids.null_count or flat.null_count:
        raise ModelError(
            "the vectors are not all there, or differ in length",
            where=path,
            got=lengths[:5],
            accepted="vectors of one length for all ids",
        )
    return ids.cast(pa.string()), flat.to_numpy(zero_copy_only=False).reshape(-1, lengths[0])


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _read_npy(path: Path) -> Any:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        accepted = "an array of numbers; pickled objects are not read, since they can run code"
        raise ModelError("cannot read the vectors", where=path, got=str(error), accepted=accepted) from error


def _read_safetensors(path: Path) -> Any:
    try:
        from safetensors import SafetensorError, safe_open
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "the vectors need the package safetensors", hint='pip install "mrbench[models]"'
        ) from error
    try:
        with safe_open(path, framework="numpy") as tensors:
            names = list(tensors.keys())
            if len(names) != 1:
                raise ModelError("not one tensor", where=path, got=", ".join(names) or "none", accepted="one")
            return tensors.get_tensor(names[0])
    except (SafetensorError, TypeError, OSError) as error:  # numpy has no bfloat16
        raise ModelError(
            "cannot read the vectors", where=path, got=str(error), accepted="one tensor of float16, float32 or float64"
        ) from error


def _read_ids(path: Path) -> pa.Array:
    try:
        lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")  # splitlines() would cut at U+2028
    except FileNotFoundError as error:
        raise ModelError("the vectors have no ids", where=path, accepted="one id a line") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError("cannot read the ids", where=path, got=str(error), accepted="UTF-8, one id a line") from error
    return pa.array(lines, pa.string())
