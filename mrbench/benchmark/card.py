"""The data card: a README.md with the configurations that ``datasets`` and MTEB read, and text for people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from mrbench.benchmark import schema
from mrbench.benchmark.manifest import Manifest
from mrbench.files import write_atomic

CARD = "README.md"


def write_card(folder: Path, manifest: Manifest, description: str) -> None:
    """Write README.md.

    The configurations ``corpus``, ``queries``, ``qrels``, ``top_ranked`` and ``variants`` hold all tasks.
    ``<task>-corpus``, ``<task>-queries`` and ``<task>-qrels`` hold one task over its whole pool. The same names with
    ``<task>_ladder-``, and ``<task>_ladder-top_ranked``, hold one task over each query's ladder. ``ladders`` is
    ``top_ranked`` with the id of the positive.
    """
    header = yaml.safe_dump(_header(manifest), sort_keys=False, allow_unicode=True, width=1000)
    write_atomic(folder / CARD, f"---\n{header}---\n\n{_body(manifest, description)}")


def _header(manifest: Manifest) -> dict[str, Any]:
    configs: list[dict[str, Any]] = []

    def config(name: str, table: str, stems: list[str]) -> None:
        data_files = []
        for split in manifest.counts:
            held = manifest.counts[split].get(table, {})
            globs = [f"data/{table}/{s}-{split}-*.parquet" for s in stems if held.get(s)]
            if globs:
                data_files.append({"split": split, "path": globs})
        columns = _mteb_columns(name, table, manifest)
        if data_files:
            configs.append({"config_name": name, "data_files": data_files, **columns})

    open_world = any(task.judgements == "partial" for task in manifest.tasks)
    corpora = sorted({name for counts in manifest.counts.values() for name in counts["corpus"]})
    names = [task.name for task in manifest.tasks]
    for table in schema.TABLES:
        config(table, table, corpora if table == "corpus" else names)
    config("ladders", "top_ranked", names)
    for task in manifest.tasks:
        for prefix, tables in (
            (task.name, ("corpus", "queries", "qrels")),
            (f"{task.name}_ladder", ("corpus", "queries", "qrels", "top_ranked")),
        ):
            if prefix != task.name and not any(c["top_ranked"].get(task.name) for c in manifest.counts.values()):
                continue
            for table in tables:
                config(f"{prefix}-{table}", table, list(task.own_corpora) if table == "corpus" else [task.name])
    return {
        "pretty_name": manifest.title,
        "license": _hub_licence(manifest.licence),
        "language": ["en"],
        "task_categories": ["image-to-text", "image-to-image", "zero-shot-image-classification"],
        "tags": ["retrieval", "composed-retrieval", "grain-sensitivity", "mrbench"],
        "size_categories": [_size_category(manifest)],
        "configs": configs,
        "dataset_info": [
            _info("corpus", schema.corpus_table("image,text", open_world=open_world)),
            _info("queries", schema.queries_table("image,text", open_world=open_world)),
            _info("variants", schema.variants_table("image,text")),
        ],
    }


def _mteb_columns(name: str, table: str, manifest: Manifest) -> dict[str, list[str]]:
    """Return the columns of a configuration that MTEB reads, where it cannot read all of them.

    MTEB requires exactly two columns in the lists that it ranks. It puts all columns of queries and corpus into
    batches, where lists of grains of different length fail. It appends the instruction to the text of a query.
    """
    if name.endswith("top_ranked"):
        return {"columns": ["query-id", "corpus-ids"]}
    of = name.split("-")[0]
    named = [task for task in manifest.tasks if of in (task.name, f"{task.name}_ladder")]
    if "-" not in name or not named or table not in ("corpus", "queries"):
        return {}
    modality = named[0].candidate_modality if table == "corpus" else named[0].query_modality
    return {"columns": ["id", *modality.split(",")]}


def _hub_licence(spdx: str) -> str:
    return spdx.lower()


def _size_category(manifest: Manifest) -> str:
    rows = sum(n for counts in manifest.counts.values() for n in counts["corpus"].values())
    for limit, name in ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M")):
        if rows < limit:
            return name
    return "1M<n<10M"


def _info(name: str, table: schema.Table) -> dict[str, Any]:
    return {"config_name": name, "features": [_feature(n, f) for n, f in table.features.items()]}


def _feature(name: str, feature: Any) -> dict[str, Any]:
    if feature["_type"] == "Image":
        return {"name": name, "dtype": "image"}
    if feature["_type"] == "List":
        inner = feature["feature"]
        listed = inner.get("dtype", "image") if "_type" in inner else [_feature(n, f) for n, f in inner.items()]
        return {"name": name, "list": listed}
    return {"name": name, "dtype": feature["dtype"]}


def _body(manifest: Manifest, description: str) -> str:
    lines = [f"# {manifest.title}", "", description.strip(), "", "## Contents", ""]
    lines += ["| split | table | rows |", "|---|---|---|"]
    for split, counts in manifest.counts.items():
        lines += [f"| {split} | {kind}/{stem} | {n:,} |" for kind, part in counts.items() for stem, n in part.items()]
    first = manifest.tasks[0].name if manifest.tasks else "t2i"
    if manifest.grain_types:
        lines += ["", "Grain types: " + ", ".join(manifest.grain_types) + "."]
    lines += ["", "## Load", "", "```python"]
    lines += [
        "from datasets import load_dataset",
        "",
        'queries = load_dataset(FOLDER, "queries", split="test")',
        f'corpus = load_dataset(FOLDER, "{first}-corpus", split="test")',
        "```",
        "",
        "`mrbench evaluate FOLDER --model NAME` scores a model on it; MTEB's own loader reads it too, with a task's",
        f"name as the subset (`{first}`: whole pool, `{first}_ladder`: the ladder of each query).",
        "",
        "## Sources and licences",
        "",
        f"Licence of this data set: {manifest.licence}.",
        "",
    ]
    lines += [f"- {s.package} {s.version}, {s.licence}: {s.attribution} <{s.url}>" for s in manifest.sources]
    lines += ["", "## Identity", "", f"Content SHA-256: `{manifest.content_sha256}`; seed {manifest.seed}.", ""]
    return "\n".join(lines)
