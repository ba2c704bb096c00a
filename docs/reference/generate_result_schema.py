"""Writes docs/reference/result.schema.json from the records of `mrbench.results`. Run it after a change of a record."""

from __future__ import annotations

import dataclasses
import json
import re
import types
import typing
from pathlib import Path
from typing import Any

from mrbench.results import FORMAT, FORMAT_VERSION, GrainScore, PairCounts, Result, TaskResult

PAGE = Path(__file__).with_name("result.schema.json")
RECORDS = {record: record.__name__ for record in (GrainScore, PairCounts, TaskResult)}
LATER = {"left_out", "task", "setting", "chance", "overlay", "cut_texts", "cut_pairs", "pair_counts"}
NAMES = {"type": "string", "minLength": 1, "maxLength": 200}


def schema_of(kind: Any) -> dict[str, Any]:
    """Return the schema of a type as it stands in a result file."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind in RECORDS:
        return {"$ref": f"#/$defs/{RECORDS[kind]}"}
    if origin is typing.Literal:
        return {"enum": list(arguments)}
    if origin in (types.UnionType, typing.Union):
        return {"anyOf": [schema_of(part) for part in arguments]}
    if origin is dict:
        return {"type": "object"} | ({} if arguments[1] is Any else {"additionalProperties": schema_of(arguments[1])})
    if origin is tuple and arguments[-1] is ...:
        return {"type": "array", "items": schema_of(arguments[0])}
    if origin is tuple:
        return {"type": "array", "items": schema_of(arguments[0]), "minItems": 2, "maxItems": len(arguments)}
    known = {str: {"type": "string"}, float: {"type": "number"}, type(None): {"type": "null"}}
    return known.get(kind, {"type": "integer", "minimum": 0})


def record_schema(record: type) -> dict[str, Any]:
    """Return the schema of a record, its descriptions from the docstring."""
    hints = typing.get_type_hints(record)
    said = dict(re.findall(r"^        (\w+): ((?:.|\n(?!        \w+:|    \"))+)", _attributes(record), re.MULTILINE))
    fields = {}
    for field in (one for one in dataclasses.fields(record) if one.metadata.get("written", True)):
        fields[field.name] = schema_of(hints[field.name])
        if field.name in said:
            fields[field.name] |= {"description": " ".join(said[field.name].replace("``", "`").split())}
    required = [name for name in fields if name not in LATER]
    return {"type": "object", "properties": fields, "required": required}


def _attributes(record: type) -> str:
    return "\n" + (record.__doc__ or "").partition("Attributes:\n")[2]


def schema() -> dict[str, Any]:
    """Return the schema of a result file."""
    result = record_schema(Result)
    fields = result["properties"]
    fields["model"] |= {"required": ["name", "revision"], "properties": {"name": NAMES, "revision": NAMES}}
    keys = ("name", "title", "digest", "split", "pool")
    fields["benchmark"] |= {"required": list(keys), "properties": dict.fromkeys(keys, NAMES)}
    fields["tasks"] |= {"minProperties": 1}
    versions = {"type": "integer", "minimum": 1, "maximum": FORMAT_VERSION}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Result of MRBench",
        "description": "What `mrbench evaluate` writes as result.json: one model on one split of one benchmark.",
        "type": "object",
        "properties": {"format": {"const": FORMAT}, "format_version": versions, **fields},
        "required": ["format", "format_version", *result["required"]],
        "$defs": {name: record_schema(record) for record, name in RECORDS.items()},
    }


def page() -> str:
    """Return the file."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
