"""The columns of every table of a benchmark, and the conversion between records and rows.

The hub and MTEB share the tables ``corpus``, ``queries``, ``qrels`` and ``top_ranked``. We add three. ``variants`` has
the queries without one grain, with another value of it, and in other words. ``lists`` has the candidates that a query
is searched among, and ``exclusions`` those that it is not searched among.

Tables of a task with complete judgements have the columns of format version 1. Tables of an *open* task, with partial
judgements, have more columns, and unknown values are empty.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from mrbench.benchmark.image_root import ImageRoot
from mrbench.errors import BenchmarkError
from mrbench.files import canonical_json
from mrbench.records import (
    TASKS,
    AnyImage,
    Candidate,
    CandidateList,
    Grain,
    ImageFile,
    Judgement,
    Ladder,
    Modality,
    Query,
    Task,
    Variant,
)

FORMAT = "mrbench"
FORMAT_VERSION = 2
TABLES = ("corpus", "queries", "qrels", "top_ranked", "variants", "lists", "exclusions")

_STRING = {"dtype": "string", "_type": "Value"}
_INT = {"dtype": "int32", "_type": "Value"}
_GRAINS = {
    "feature": {"type": _STRING, "value": _STRING, "start": _INT, "end": _INT},
    "_type": "List",
}
_STRINGS = {"feature": _STRING, "_type": "List"}
_IMAGE = {"_type": "Image"}
_IMAGES = {"feature": _IMAGE, "_type": "List"}

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Table:
    """A kind of table, with its columns as features of the ``datasets`` library, in order."""

    name: str
    features: Mapping[str, Any]

    def schema(self) -> pa.Schema:
        """The Arrow schema. Its metadata has the features, so that ``datasets`` decodes images."""
        fields = [pa.field(name, _arrow(feature)) for name, feature in self.features.items()]
        info = json.dumps({"info": {"features": {n: _any_version(f) for n, f in self.features.items()}}})
        return pa.schema(fields, metadata={"huggingface": info})


def corpus_table(modality: str, *, open_world: bool = False) -> Table:
    """Return the table of candidates of one modality."""
    return Table("corpus", {"id": _STRING, "modality": _STRING, **_content(modality, open_world), "grains": _GRAINS})


def queries_table(modality: str, *, open_world: bool = False) -> Table:
    """Return the table of queries of one modality."""
    shown = {"image_grains": _GRAINS} if "image" in modality else {}
    more = {"cluster": _STRING} if open_world else {}
    return Table(
        "queries",
        {
            "id": _STRING,
            "task": _STRING,
            "modality": _STRING,
            "instruction": _STRING,
            **_content(modality, open_world),
            "grains": _GRAINS,
            **shown,
            **more,
        },
    )


def variants_table(modality: str) -> Table:
    """Return the table of variants of queries of one modality."""
    key = {"query-id": _STRING, "kind": _STRING, "grain": _STRING, "number": _INT}
    return Table("variants", {**key, "positive-id": _STRING, **_content(modality, open_world=False)})


_QRELS = {"query-id": _STRING, "corpus-id": _STRING, "score": _INT, "grade": _INT, "violates": _STRINGS}
QRELS = Table("qrels", _QRELS)
OPEN_QRELS = Table("qrels", {**_QRELS, "asked": _INT, "origin": _STRING})
TOP_RANKED = Table("top_ranked", {"query-id": _STRING, "positive-id": _STRING, "corpus-ids": _STRINGS})
LISTS = Table("lists", {"query-id": _STRING, "corpus-ids": _STRINGS})
EXCLUSIONS = Table("exclusions", LISTS.features)


def table_of(kind: str, stem: str, tasks: Sequence[Task], corpora: Mapping[str, Modality]) -> Table:
    """Return the table of one kind that belongs to a task or, for ``corpus``, to a corpus.

    Raises:
        BenchmarkError: There is no such task or corpus.

    Args:
        kind: One of :data:`TABLES`.
        stem: Name of the task or of the corpus.
        tasks: All tasks of the benchmark.
        corpora: Modality of each corpus.
    """
    if kind == "corpus":
        if stem not in corpora:
            raise BenchmarkError("unknown corpus", got=stem, accepted=", ".join(corpora))
        using = [task for task in tasks if stem in task.own_corpora]
        return corpus_table(corpora[stem], open_world=any(task.judgements == "partial" for task in using))
    task = next((task for task in tasks if task.name == stem), TASKS.get(stem))
    if task is None:
        raise BenchmarkError(
            "a table belongs to no task", got=f"{kind}/{stem}", accepted=", ".join(t.name for t in tasks)
        )
    open_world = task.judgements == "partial"
    return {
        "queries": lambda: queries_table(task.query_modality, open_world=open_world),
        "variants": lambda: variants_table(task.query_modality),
        "qrels": lambda: OPEN_QRELS if open_world else QRELS,
        "top_ranked": lambda: TOP_RANKED,
        "lists": lambda: LISTS,
        "exclusions": lambda: EXCLUSIONS,
    }[kind]()


def _content(modality: str, open_world: bool) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    if "text" in modality:
        columns["text"] = _STRING
    if "image" in modality:
        columns |= {"image": _IMAGE, "image_sha256": _STRING}
        if open_world:
            columns |= {"more_images": _IMAGES, "more_images_sha256": _STRINGS}
    return columns


def _any_version(feature: Mapping[str, Any]) -> Any:
    """Return a feature in a form that every version of ``datasets`` reads; version 3 does not know ``List``."""
    return [feature["feature"]] if feature["_type"] == "List" else feature


def _arrow(feature: Mapping[str, Any]) -> pa.DataType:
    kind = feature["_type"]
    if kind == "Image":
        return pa.struct({"bytes": pa.binary(), "path": pa.string()})
    if kind == "List":
        inner = feature["feature"]
        if "_type" in inner:
            return pa.list_(_arrow(inner))  # of strings or of images
        return pa.list_(pa.struct({name: _arrow(part) for name, part in inner.items()}))
    return {"string": pa.string(), "int32": pa.int32()}[feature["dtype"]]


COLUMNS: Mapping[str, pa.DataType] = {
    field.name: field.type
    for table in (
        corpus_table("text"),
        queries_table("image,text", open_world=True),
        variants_table("image,text"),
        OPEN_QRELS,
        TOP_RANKED,
    )
    for field in table.schema()
}
"""The type of every column. A name has the same type in every table."""
OPTIONAL = ("start", "end", "path", "bytes")
"""Fields of grains and images that may be empty."""
NULLABLE = ("grade", "violates", "asked", "image_sha256")
"""Columns that may be empty where the value is unknown."""


_PIXELS = ("image", "more_images", "more_images_sha256")


def row_sha256(row: Row) -> bytes:
    """Return the digest of a row's content. A picture counts by the digest of its pixels, not by its encoding."""
    content = {name: value for name, value in row.items() if name not in _PIXELS}
    if not row.get("image_sha256", "known"):
        content["image"] = row["image"]["path"]
    if row.get("more_images"):
        content["more_images"] = [
            digest or image["path"] or hashlib.sha256(image["bytes"]).hexdigest()
            for image, digest in zip(row["more_images"], _more_digests(row), strict=True)
        ]
    return hashlib.sha256(canonical_json(content).encode()).digest()


# Records to rows


def candidate_row(candidate: Candidate, *, open_world: bool = False) -> Row:
    """Return the ``corpus`` row of a candidate."""
    return {
        "id": candidate.id,
        "modality": candidate.modality,
        **_content_row(candidate, open_world),
        "grains": _grain_rows(candidate.grains),
    }


def candidate_table(
    modality: Modality, ids: Sequence[str], texts: Sequence[str | None], paths: Sequence[str | None]
) -> pa.Table:
    """Return the ``corpus`` rows of many candidates without grains, made column by column.

    Args:
        modality: The modality of all candidates.
        ids: Their ids.
        texts: Their texts; ignored if the modality has no text.
        paths: Names of their images below the image root; ignored if the modality has no image.
    """
    columns = corpus_table(modality, open_world=True).schema()
    number = len(ids)
    made: dict[str, pa.Array] = {"id": pa.array(ids, pa.string()), "modality": pa.repeat(modality, number)}
    if "text" in modality:
        made["text"] = pa.array(texts, pa.string())
    if "image" in modality:
        image = columns.field("image").type
        parts = [pa.nulls(number, pa.binary()), pa.array(paths, pa.string())]
        made["image"] = pa.StructArray.from_arrays(parts, fields=list(image))
        made["image_sha256"] = pa.nulls(number, pa.string())
    no_items = pa.repeat(pa.scalar(0, pa.int32()), number + 1)
    for name in ("more_images", "more_images_sha256", "grains"):
        if name in columns.names:
            inner = columns.field(name).type.value_type
            made[name] = pa.ListArray.from_arrays(no_items, pa.array([], inner))
    return pa.table([made[name].cast(columns.field(name).type) for name in columns.names], schema=columns)


def query_row(query: Query, *, open_world: bool = False) -> Row:
    """Return the ``queries`` row of a query."""
    shown = {"image_grains": _grain_rows(query.image_grains)} if query.image else {}
    return {
        "id": query.id,
        "task": query.task,
        "modality": query.modality,
        "instruction": query.instruction,
        **_content_row(query, open_world),
        "grains": _grain_rows(query.grains),
        **shown,
        **({"cluster": query.cluster} if open_world else {}),
    }


def variant_row(variant: Variant) -> Row:
    """Return the ``variants`` row of a variant."""
    return {
        "query-id": variant.query_id,
        "kind": variant.kind,
        "grain": variant.grain,
        "number": variant.number,
        "positive-id": variant.positive_id,
        **_content_row(variant, open_world=False),
    }


def judgement_row(judgement: Judgement, *, open_world: bool = False) -> Row:
    """Return the ``qrels`` row of a judgement; ``score`` is the relevance, as MTEB reads it."""
    return {
        "query-id": judgement.query_id,
        "corpus-id": judgement.candidate_id,
        "score": judgement.relevance,
        "grade": judgement.grade,
        "violates": None if judgement.violates is None else list(judgement.violates),
        **({"asked": judgement.asked, "origin": judgement.origin} if open_world else {}),
    }


def ladder_row(ladder: Ladder) -> Row:
    """Return the ``top_ranked`` row of a ladder."""
    return {
        "query-id": ladder.query_id,
        "positive-id": ladder.positive_id,
        "corpus-ids": list(ladder.candidate_ids),
    }


def list_row(record: CandidateList) -> Row:
    """Return the row of a list of candidates, or of an exclusion."""
    return {"query-id": record.query_id, "corpus-ids": list(record.candidate_ids)}


def _content_row(record: Candidate | Query | Variant, open_world: bool) -> Row:
    row: Row = {}
    if record.text is not None:
        row["text"] = record.text
    if record.image is not None:
        row |= {"image": _image_cell(record.image), "image_sha256": record.image.sha256 or None}
        if open_world:
            more: tuple[AnyImage, ...] = getattr(record, "more_images", ())
            row["more_images"] = [_image_cell(image) for image in more]
            row["more_images_sha256"] = [image.sha256 for image in more]
    return row


def _image_cell(image: AnyImage) -> Row:
    if isinstance(image, ImageFile):
        return {"bytes": None, "path": image.name}
    return {"bytes": image.data, "path": None}


def _grain_rows(grains: tuple[Grain, ...]) -> list[Row]:
    return [{"type": g.type, "value": g.value, "start": g.start, "end": g.end} for g in grains]


# Rows to records


def row_candidate(row: Row, images: ImageRoot) -> Candidate:
    """Return the candidate of a ``corpus`` row."""
    return Candidate(
        row["id"], _row_grains(row["grains"]), row.get("text"), _row_image(row, images), _more_images(row, images)
    )


def row_query(row: Row, images: ImageRoot) -> Query:
    """Return the query of a ``queries`` row."""
    return Query(
        id=row["id"],
        task=row["task"],
        instruction=row["instruction"],
        grains=_row_grains(row["grains"]),
        text=row.get("text"),
        image=_row_image(row, images),
        image_grains=_row_grains(row.get("image_grains") or []),
        more_images=_more_images(row, images),
        cluster=row.get("cluster") or "",
    )


def row_variant(row: Row, images: ImageRoot) -> Variant:
    """Return the variant of a ``variants`` row."""
    return Variant(
        query_id=row["query-id"],
        kind=row["kind"],
        grain=row["grain"],
        positive_id=row["positive-id"],
        text=row.get("text"),
        image=_row_image(row, images),
        number=row["number"],
    )


def row_judgement(row: Row, images: ImageRoot) -> Judgement:
    """Return the judgement of a ``qrels`` row."""
    return Judgement(
        row["query-id"],
        row["corpus-id"],
        row["score"],
        row["grade"],
        None if row["violates"] is None else tuple(row["violates"]),
        row.get("asked"),
        row.get("origin", "grains"),
    )


def row_ladder(row: Row, images: ImageRoot) -> Ladder:
    """Return the ladder of a ``top_ranked`` row."""
    return Ladder(row["query-id"], row["positive-id"], tuple(row["corpus-ids"]))


def row_list(row: Row, images: ImageRoot) -> CandidateList:
    """Return the list of candidates of a row."""
    return CandidateList(row["query-id"], tuple(row["corpus-ids"]))


def _row_grains(rows: list[Row]) -> tuple[Grain, ...]:
    return tuple(Grain(r["type"], r["value"], r["start"], r["end"]) for r in rows)


def _row_image(row: Row, images: ImageRoot) -> AnyImage | None:
    image = row.get("image")
    return None if image is None else images.image(image["bytes"], image["path"], row.get("image_sha256") or "")


def _more_images(row: Row, images: ImageRoot) -> tuple[AnyImage, ...]:
    pairs = zip(row.get("more_images") or (), _more_digests(row), strict=True)
    return tuple(images.image(image["bytes"], image["path"], digest) for image, digest in pairs)


def _more_digests(row: Row) -> list[str]:
    """Return the digest of each further image; empty where unknown, as in folders of earlier versions.

    Raises:
        BenchmarkError: There are not as many digests as images.
    """
    number = len(row.get("more_images") or ())
    digests: list[str] = row.get("more_images_sha256") or [""] * number
    if len(digests) != number:
        got = f"{len(digests)} digests of {number} images"
        accepted = "a digest of each image"
        what = "a record has another number of digests than of images"
        raise BenchmarkError(what, where=row["id"], got=got, accepted=accepted)
    return digests


RowReader = Callable[[Row, ImageRoot], Any]
