"""The columns of every table of a benchmark, and how records become rows and rows become records.

The layout is the one that the hub and MTEB share: configurations ``corpus``, ``queries``, ``qrels`` and
``top_ranked``. ``variants`` is ours: the queries without one grain, with another value of it, and in other words.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from mrbench.files import canonical_json
from mrbench.records import Candidate, Grain, ImageData, Judgement, Ladder, Query, Variant

FORMAT = "mrbench"
FORMAT_VERSION = 1
TABLES = ("corpus", "queries", "qrels", "top_ranked", "variants")

_STRING = {"dtype": "string", "_type": "Value"}
_INT = {"dtype": "int32", "_type": "Value"}
_GRAINS = {
    "feature": {"type": _STRING, "value": _STRING, "start": _INT, "end": _INT},
    "_type": "List",
}
_STRINGS = {"feature": _STRING, "_type": "List"}
_IMAGE = {"_type": "Image"}

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Table:
    """One kind of table: its columns as features of the ``datasets`` library, in order."""

    name: str
    features: Mapping[str, Any]

    def schema(self) -> pa.Schema:
        """The Arrow schema, with the features in its metadata so that ``datasets`` decodes images."""
        fields = [pa.field(name, _arrow(feature)) for name, feature in self.features.items()]
        info = json.dumps({"info": {"features": {n: _any_version(f) for n, f in self.features.items()}}})
        return pa.schema(fields, metadata={"huggingface": info})


def corpus_table(modality: str) -> Table:
    """Columns of the candidates of one modality."""
    return Table("corpus", {"id": _STRING, "modality": _STRING, **_content(modality), "grains": _GRAINS})


def queries_table(modality: str) -> Table:
    """Columns of the queries of one modality."""
    shown = {"image_grains": _GRAINS} if "image" in modality else {}
    return Table(
        "queries",
        {
            "id": _STRING,
            "task": _STRING,
            "modality": _STRING,
            "instruction": _STRING,
            **_content(modality),
            "grains": _GRAINS,
            **shown,
        },
    )


def variants_table(modality: str) -> Table:
    """Columns of the queries in other forms."""
    key = {"query-id": _STRING, "kind": _STRING, "grain": _STRING, "number": _INT}
    return Table("variants", {**key, "positive-id": _STRING, **_content(modality)})


QRELS = Table("qrels", {"query-id": _STRING, "corpus-id": _STRING, "score": _INT, "grade": _INT, "violates": _STRINGS})
TOP_RANKED = Table("top_ranked", {"query-id": _STRING, "positive-id": _STRING, "corpus-ids": _STRINGS})


def _content(modality: str) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    if "text" in modality:
        columns["text"] = _STRING
    if "image" in modality:
        columns |= {"image": _IMAGE, "image_sha256": _STRING}
    return columns


def _any_version(feature: Mapping[str, Any]) -> Any:
    """Return a feature as every version of ``datasets`` reads it: version 3 does not know ``List``."""
    return [feature["feature"]] if feature["_type"] == "List" else feature


def _arrow(feature: Mapping[str, Any]) -> pa.DataType:
    kind = feature["_type"]
    if kind == "Image":
        return pa.struct({"bytes": pa.binary(), "path": pa.string()})
    if kind == "List":
        inner = feature["feature"]
        if "_type" in inner:
            return pa.list_(_arrow(inner))
        return pa.list_(pa.struct({name: _arrow(part) for name, part in inner.items()}))
    return {"string": pa.string(), "int32": pa.int32()}[feature["dtype"]]


COLUMNS: Mapping[str, pa.DataType] = {
    field.name: field.type
    for table in (corpus_table("text"), queries_table("image,text"), variants_table("image,text"), QRELS, TOP_RANKED)
    for field in table.schema()
}
"""The type of every column of every table; a name means the same in each."""
OPTIONAL = ("start", "end", "path")
"""Parts of grains and images that need not have a value."""


def row_sha256(row: Row) -> bytes:
    """Digest of a row's content; a picture counts by its pixels, not by its encoding."""
    content = {name: value for name, value in row.items() if name != "image"}
    return hashlib.sha256(canonical_json(content).encode()).digest()


# Records to rows


def candidate_row(candidate: Candidate) -> Row:
    """The ``corpus`` row of a candidate."""
    return {
        "id": candidate.id,
        "modality": candidate.modality,
        **_content_row(candidate.text, candidate.image),
        "grains": _grain_rows(candidate.grains),
    }


def query_row(query: Query) -> Row:
    """The ``queries`` row of a query."""
    shown = {"image_grains": _grain_rows(query.image_grains)} if query.image else {}
    return {
        "id": query.id,
        "task": query.task,
        "modality": query.modality,
        "instruction": query.instruction,
        **_content_row(query.text, query.image),
        "grains": _grain_rows(query.grains),
        **shown,
    }


def variant_row(variant: Variant) -> Row:
    """The ``variants`` row of a query in another form."""
    return {
        "query-id": variant.query_id,
        "kind": variant.kind,
        "grain": variant.grain,
        "number": variant.number,
        "positive-id": variant.positive_id,
        **_content_row(variant.text, variant.image),
    }


def judgement_row(judgement: Judgement) -> Row:
    """The ``qrels`` row of a judgement; ``score`` is the relevance, as MTEB reads it."""
    return {
        "query-id": judgement.query_id,
        "corpus-id": judgement.candidate_id,
        "score": judgement.relevance,
        "grade": judgement.grade,
        "violates": list(judgement.violates),
    }


def ladder_row(ladder: Ladder) -> Row:
    """The ``top_ranked`` row of a ladder."""
    return {
        "query-id": ladder.query_id,
        "positive-id": ladder.positive_id,
        "corpus-ids": list(ladder.candidate_ids),
    }


def _content_row(text: str | None, image: ImageData | None) -> Row:
    row: Row = {}
    if text is not None:
        row["text"] = text
    if image is not None:
        row |= {"image": {"bytes": image.data, "path": None}, "image_sha256": image.sha256}
    return row


def _grain_rows(grains: tuple[Grain, ...]) -> list[Row]:
    return [{"type": g.type, "value": g.value, "start": g.start, "end": g.end} for g in grains]


# Rows to records


def row_candidate(row: Row) -> Candidate:
    """The candidate of a ``corpus`` row."""
    return Candidate(row["id"], _row_grains(row["grains"]), row.get("text"), _row_image(row))


def row_query(row: Row) -> Query:
    """The query of a ``queries`` row."""
    return Query(
        id=row["id"],
        task=row["task"],
        instruction=row["instruction"],
        grains=_row_grains(row["grains"]),
        text=row.get("text"),
        image=_row_image(row),
        image_grains=_row_grains(row.get("image_grains") or []),
    )


def row_variant(row: Row) -> Variant:
    """The query in another form of a ``variants`` row."""
    return Variant(
        query_id=row["query-id"],
        kind=row["kind"],
        grain=row["grain"],
        positive_id=row["positive-id"],
        text=row.get("text"),
        image=_row_image(row),
        number=row["number"],
    )


def row_judgement(row: Row) -> Judgement:
    """The judgement of a ``qrels`` row."""
    return Judgement(row["query-id"], row["corpus-id"], row["score"], row["grade"], tuple(row["violates"]))


def row_ladder(row: Row) -> Ladder:
    """The ladder of a ``top_ranked`` row."""
    return Ladder(row["query-id"], row["positive-id"], tuple(row["corpus-ids"]))


def _row_grains(rows: list[Row]) -> tuple[Grain, ...]:
    return tuple(Grain(r["type"], r["value"], r["start"], r["end"]) for r in rows)


def _row_image(row: Row) -> ImageData | None:
    image = row.get("image")
    return None if image is None else ImageData(image["bytes"], row["image_sha256"])


RowReader = Callable[[Row], Any]
