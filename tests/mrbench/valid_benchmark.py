"""A small benchmark that breaks no rule, and the means to break one rule and no other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from mrbench.benchmark import encode_png, read_manifest, schema, write_benchmark
from mrbench.benchmark.croissant import write_croissant
from mrbench.records import Candidate, Grain, Ladder, Query, Variant, judge

VALUES = {
    "count": ("one", "two", "three", "four", "five"),
    "entity": ("cats", "dogs", "owls", "foxes"),
    "place": ("sea", "hill", "road", "farm"),
}
SPLITS = ("train", "test")
Row = dict[str, Any]
Values = dict[str, str]


def split_of(values: Values) -> str:
    pairs = json.dumps(sorted([k, v] for k, v in values.items()), separators=(",", ":"))
    return "train" if hashlib.sha256(pairs.encode()).digest()[0] < 128 else "test"


def record_id(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def picture(values: Values, artist: int):
    image = Image.new("RGB", (6, 6), (artist, 0, 0))
    for row, (kind, choices) in enumerate(VALUES.items()):
        if kind in values:
            image.paste((artist, 40 * (1 + choices.index(values[kind])), 90), (0, 2 * row, 6, 2 * row + 2))
    return encode_png(image)


def sentence(start: str, values: Values, end: str = "") -> tuple[str, tuple[Grain, ...]]:
    text, grains = start, []
    for kind, value in values.items():
        text += " "
        grains.append(Grain(kind, value, len(text), len(text) + len(value)))
        text += value
    return f"{text}{end}.", tuple(grains)


def plain(values: Values) -> tuple[Grain, ...]:
    return tuple(Grain(kind, value) for kind, value in values.items())


def scenes(split: str, types: tuple[str, ...] = tuple(VALUES)) -> list[Values]:
    everything = [dict(zip(types, values, strict=True)) for values in product(*(VALUES[kind] for kind in types))]
    return [values for values in everything if split_of(values) == split]


def candidate(modality: str, values: Values) -> Candidate:
    identifier = record_id(modality, values)
    if modality == "image":
        return Candidate(identifier, plain(values), None, picture(values, 0))
    text, grains = sentence("Here are", values)
    return Candidate(identifier, grains, text)


def targets(split: str, types: tuple[str, ...]) -> list[Values]:
    """Scenes that have a neighbour in the split for every grain."""
    pool = scenes(split, types)
    return [v for v in pool if all(any(differing(v, other) == {kind} for other in pool) for kind in types)]


def differing(one: Values, other: Values) -> set[str]:
    return {kind for kind in one if one[kind] != other[kind]}


def query(task: str, values: Values, pool: list[Values]) -> tuple[Query, list[Variant]]:
    """A query, and its variants without the candidates that they ask for."""
    identifier = record_id(task, values)

    def variant(kind: str, grain: str, text: str | None, image=None) -> Variant:
        return Variant(identifier, kind, grain, "", text, image)

    def flipped(kind: str) -> Values:
        return next(other for other in pool if differing({k: other[k] for k in values}, values) == {kind})

    if task == "t2i":
        text, grains = sentence("Show", values)
        variants = [
            variant("degrained", kind, sentence("Show", {k: v for k, v in values.items() if k != kind})[0])
            for kind in values
        ]
        other = {kind: flipped(kind)[kind] for kind in values}
        variants += [variant("flipped", kind, sentence("Show", {**values, kind: other[kind]})[0]) for kind in values]
        variants.append(variant("paraphrased", "", sentence("I want", values)[0]))
        return Query(identifier, task, "Find it.", grains, text), variants
    if task == "it2i":
        shown = next(other for other in pool if differing(values, other) == {"entity"})
        text, changed = sentence("Now with", {"entity": values["entity"]})
        grains = tuple(changed[0] if g.type == "entity" else g for g in plain(values))
        image = picture(shown, 9)
        variants = [variant("degrained", "entity", "Now with something.", image)]
        variants.append(variant("degrained", "place", text, picture({**shown, "place": "sea"}, 20)))
        variants.append(variant("paraphrased", "", sentence("This but", {"entity": values["entity"]})[0], image))
        return Query(identifier, task, "Find it.", grains, text, image, plain(shown)), variants
    image = picture(values, 9)
    variants = [variant("degrained", "place", None, picture({k: values[k] for k in ("count", "entity")}, 20))]
    variants.append(variant("flipped", "count", None, picture(flipped("count"), 9)))
    variants.append(variant("paraphrased", "", None, picture(values, 11)))
    return Query(identifier, task, "Find it.", plain(values), None, image, plain(values)), variants


def write_valid(folder: Path) -> Path:
    with write_benchmark(folder) as writer:
        for split in SPLITS:
            three, two = scenes(split), scenes(split, ("count", "entity"))
            pools = {m: [candidate(m, values) for values in three + two] for m in ("image", "text")}
            for pool in pools.values():
                writer.add_candidates(split, sorted(pool, key=lambda c: c.id))
            for task in ("t2i", "i2t", "i2i", "it2i"):
                wanted = targets(split, tuple(VALUES))[:3]
                if task == "t2i":
                    wanted += targets(split, ("count", "entity"))[:2]
                _write_task(writer, split, task, wanted, three, pools["text" if task == "i2t" else "image"])
        writer.finish(
            name="valid",
            title="Valid",
            builder={"name": "valid", "version": 1, "config": {"size": 6}},
            seed=0,
            tools={},
            sources=(),
            licence="CC0-1.0",
            split_rule={"shares": [["train", 0.5], ["validation", 0.0], ["test", 0.5]]},
            description="Valid.",
        )
    return repair(folder)


def _write_task(writer, split: str, task: str, wanted: list[Values], three: list[Values], pool: list[Candidate]):
    for values in wanted:
        asked, variants = query(task, values, three)
        same = [c for c in pool if {g.type for g in c.grains} == set(values)]
        judged = {c.id: judge(asked, c) for c in pool}
        positive = next(c.id for c in same if judged[c.id].relevance)
        steps: dict[tuple[str, ...], str] = {}
        for member in same:
            steps.setdefault(judged[member.id].violates, member.id)
        members = {positive, *steps.values()}
        writer.add_queries(split, [asked])
        asks_for = [steps[(v.grain,)] if v.kind == "flipped" else positive for v in variants]
        writer.add_variants(split, task, [replace(v, positive_id=a) for v, a in zip(variants, asks_for, strict=True)])
        writer.add_ladders(split, task, [Ladder(asked.id, positive, tuple(sorted(members)))])
        writer.add_judgements(split, task, [j for j in judged.values() if j.relevance or j.candidate_id in members])


def repair(folder: Path) -> Path:
    """Make manifest, digests and Croissant metadata agree with the files, whatever these hold."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    counts: dict[str, Any] = {}
    digests, sums = {}, {}
    for name in sorted(manifest["files"]):
        data = (folder / name).read_bytes()
        manifest["files"][name] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data), "rows": 0}
        try:
            rows = pq.read_table(folder / name, partitioning=None).to_pylist()
        except (pa.ArrowException, OSError):
            rows = []
        manifest["files"][name]["rows"] = len(rows)
        kind, leaf = name.split("/")[1:]
        stem, split, _ = leaf.split("-")
        counts.setdefault(split, {}).setdefault(kind, {})[stem] = len(rows)
        digest = hashlib.sha256(b"".join(schema.row_sha256(row) for row in rows))
        digests[f"{kind}/{stem}-{split}"] = digest.hexdigest()
        if kind in ("corpus", "queries"):
            _sum(sums.setdefault(split, []), rows)
    manifest |= {"tables": digests, "counts": counts}
    manifest["content_sha256"] = hashlib.sha256(
        json.dumps(digests, sort_keys=True, separators=(",", ":")).encode()
    ).hexdigest()
    manifest["split_rule"]["combinations"] = {
        split: {"records": len(numbers), "sum": f"{sum(numbers) % 2**256:064x}"} for split, numbers in sums.items()
    }
    path.write_text(json.dumps(manifest))
    write_croissant(folder, read_manifest(folder))
    return folder


def _sum(numbers: list[int], rows: list[Row]) -> None:
    for row in rows:
        for grains in (row.get("grains"), row.get("image_grains")):
            if grains:
                pairs = sorted(([g["type"], g["value"]] for g in grains), key=lambda pair: list(map(str, pair)))
                pairs = json.dumps(pairs, separators=(",", ":"))
                numbers.append(int(hashlib.sha256(pairs.encode()).hexdigest(), 16))


def not_utf8(number: int) -> pa.Array:
    """Strings for a column, of one byte each that UTF-8 does not have."""
    ends = pa.array(range(number + 1), pa.int32())
    return pa.Array.from_buffers(pa.string(), number, [None, ends.buffers()[1], pa.py_buffer(b"\xff" * number)])


def change_rows(folder: Path, table: str, change: Callable[[list[Row]], Any]) -> None:
    """Change the rows of a table in place (or return new ones)."""
    path = folder / f"data/{table}-00000.parquet"
    columns = pq.read_schema(path)
    rows = pq.read_table(path, partitioning=None).to_pylist()
    changed = change(rows)
    rows = changed if isinstance(changed, list) else rows
    pq.write_table(pa.Table.from_pylist(rows, schema=columns), path)


def change_manifest(folder: Path, change: Callable[[dict[str, Any]], Any], *, croissant: bool = True) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))
    if croissant:
        write_croissant(folder, read_manifest(folder))
