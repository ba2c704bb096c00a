"""Croissant metadata (MLCommons Croissant 1.0): every file of a benchmark, and the fields of its records."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mrbench.benchmark import schema
from mrbench.benchmark.manifest import Manifest
from mrbench.files import write_json_atomic

CROISSANT = "croissant.json"
HOME = "https://pypi.org/project/mrbench/"
# The day of version 1 of the format. No clock is read: equal builds are equal to the byte.
PUBLISHED = "2026-11-23"

Json = dict[str, Any]

# The context of the Croissant 1.0 specification.
CONTEXT: Json = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "dct": "http://purl.org/dc/terms/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
    **{
        name: f"cr:{name}"
        for name in (
            *("citeAs", "column", "equivalentProperty", "extract", "field", "fileObject", "fileProperty", "fileSet"),
            *("format", "includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet"),
            *("references", "regex", "repeated", "replace", "samplingRate", "separator", "source", "subField"),
            "transform",
        )
    },
}
_DESCRIPTIONS = {
    "corpus": "Candidates with the grains that they show or state.",
    "queries": "Queries with the grains that they ask for.",
    "qrels": "Judgements: relevance (score), grade, and the grain types that the candidate violates.",
    "top_ranked": "The ladder of each query: its positive and graded negatives, sorted by id.",
    "variants": "Queries without one of their grains, with another value of it, or in other words.",
    "lists": "The candidates that each query is searched among.",
    "exclusions": "The candidates that some queries are not searched among.",
}


def write_croissant(folder: Path, manifest: Manifest) -> None:
    """Write croissant.json: a file object and a record set for each data file."""
    write_json_atomic(folder / CROISSANT, _dataset(manifest))


def _dataset(manifest: Manifest) -> Json:
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": f"mrbench-{manifest.name}",
        "description": f"{manifest.title}. Queries with known grains and ladders of graded negatives; content SHA-256 "
        f"{manifest.content_sha256}.",
        "url": HOME,
        "license": f"https://spdx.org/licenses/{manifest.licence}.html",
        "version": f"{manifest.builder.get('version', 1)}.0.0",
        "datePublished": PUBLISHED,
        "creator": {"@type": "Organization", "name": "The MRBench authors", "url": HOME},
        "citeAs": f"@misc{{mrbench_{manifest.name}, title = {{{manifest.title}}}, author = {{The MRBench authors}}, "
        f"note = {{content SHA-256 {manifest.content_sha256}}}}}",
        "keywords": ["retrieval", "composed retrieval", "grain sensitivity"],
        "inLanguage": "en",
        "isLiveDataset": False,
        "distribution": [_file_object(name, manifest) for name in sorted(manifest.files)],
        "recordSet": [_record_set(name, manifest) for name in sorted(manifest.files)],
    }


def _file_object(name: str, manifest: Manifest) -> Json:
    entry = manifest.files[name]
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "contentUrl": name,
        "contentSize": f"{entry.bytes} B",
        "encodingFormat": "application/x-parquet",
        "sha256": entry.sha256,
    }


def _record_set(name: str, manifest: Manifest) -> Json:
    """Return the record set of a file, named as the file without ``data/`` and ``.parquet``."""
    _, kind, leaf = name.split("/")
    stem = leaf.split("-")[0]
    table = schema.table_of(kind, stem, manifest.tasks, manifest.corpora)
    record_set = f"{kind}/{leaf.removesuffix('.parquet')}"
    return {
        "@type": "cr:RecordSet",
        "@id": record_set,
        "name": record_set,
        "description": _DESCRIPTIONS[kind],
        **({"key": {"@id": f"{record_set}/id"}} if "id" in table.features else {}),
        "field": [_field(f"{record_set}/{column}", name, column, f) for column, f in table.features.items()],
    }


def _field(identifier: str, file: str, column: str, feature: Mapping[str, Any], part: str | None = None) -> Json:
    field: Json = {"@type": "cr:Field", "@id": identifier, "name": identifier}
    if feature["_type"] == "List":
        inner = feature["feature"]
        if "_type" in inner:
            return {**_field(identifier, file, column, inner), "repeated": True}
        parts = [_field(f"{identifier}/{name}", file, column, f, name) for name, f in inner.items()]
        return {**field, "repeated": True, "source": _source(file, column), "subField": parts}
    if feature["_type"] == "Image":
        return {**field, "dataType": "sc:ImageObject", "source": _source(file, column, "bytes")}
    kind = {"string": "sc:Text", "int32": "sc:Integer"}[feature["dtype"]]
    return {**field, "dataType": kind, "source": _source(file, column, part)}


def _source(file: str, column: str, part: str | None = None) -> Json:
    source: Json = {"fileObject": {"@id": file}, "extract": {"column": column}}
    return source if part is None else {**source, "transform": {"jsonPath": part}}
