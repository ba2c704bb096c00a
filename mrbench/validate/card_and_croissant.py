"""The files beside the data: the data card's configurations and the Croissant metadata."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from mrbench.benchmark.manifest import Manifest
from mrbench.validate.report import Report


def check_card(folder: Path, manifest: Manifest, report: Report) -> None:
    """Check that README.md's configurations point to the data files, and to all of them."""
    try:
        text = (folder / "README.md").read_text(encoding="utf-8")
        header: Any = yaml.safe_load(text.split("---\n")[1]) if text.startswith("---\n") else None
        configs = {config["config_name"]: config["data_files"] for config in header["configs"]}
        paths = {
            name: {part["split"]: [part["path"]] if isinstance(part["path"], str) else part["path"] for part in parts}
            for name, parts in configs.items()
        }
    except (OSError, ValueError, LookupError, TypeError, AttributeError, yaml.YAMLError) as error:
        report.problem("data card", "README.md", error, "a header with configs")
        return
    for name, kind, stems in _expected(manifest):
        found = {}
        for split, globs in paths.get(name, {}).items():
            found[split] = sorted({file for glob in globs for file in _glob(folder, glob)})
            report.expect(all(_glob(folder, g) for g in globs), "configuration without files", name, globs)
        expected: dict[str, list[str]] = {}
        for file in sorted(manifest.files):
            _, table, leaf = file.split("/")
            file_stem, split, _ = leaf.split("-")
            if table == kind and (stems is None or file_stem in stems):
                expected.setdefault(split, []).append(file)
        report.expect(found == expected, "configuration", name, found, expected)
        report.count("configurations")


def _glob(folder: Path, pattern: str) -> list[str]:
    if pattern.startswith("/") or ".." in pattern:
        return []
    return [path.relative_to(folder).as_posix() for path in folder.glob(pattern)]


def _expected(manifest: Manifest) -> list[tuple[str, str, tuple[str, ...] | None]]:
    """Return name, table and stems of every configuration; None for the stems means all of them."""
    expected: list[tuple[str, str, tuple[str, ...] | None]] = [("ladders", "top_ranked", None)]
    expected += [(kind, kind, None) for kind in ("corpus", "queries", "qrels", "top_ranked")]
    for task in manifest.tasks:
        laddered = any(part.get("top_ranked", {}).get(task.name) for part in manifest.counts.values())
        for prefix, kinds in ((task.name, 3), *([(f"{task.name}_ladder", 4)] if laddered else [])):
            for kind in ("corpus", "queries", "qrels", "top_ranked")[:kinds]:
                expected.append((f"{prefix}-{kind}", kind, task.own_corpora if kind == "corpus" else (task.name,)))
    for kind in ("variants", "lists", "exclusions"):
        if any(file.startswith(f"data/{kind}/") for file in manifest.files):
            expected.append((kind, kind, None))
    return expected


def check_croissant(folder: Path, manifest: Manifest, report: Report) -> None:
    """Check that croissant.json is JSON-LD with every data file and its digest, and a record set for each."""
    where = "croissant.json"
    try:
        value: Any = json.loads((folder / where).read_text(encoding="utf-8"))
        form = (value["@type"], value["conformsTo"], isinstance(value["@context"], dict))
        files = {item["contentUrl"]: item for item in value["distribution"]}
        described = {
            field["source"]["fileObject"]["@id"] for records in value["recordSet"] for field in records["field"]
        }
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        report.problem("croissant", where, error, "JSON-LD with distribution and recordSet")
        return
    right = ("sc:Dataset", "http://mlcommons.org/croissant/1.0", True)
    report.expect(form == right, "croissant", where, form, right)
    found = {url: (item.get("sha256"), item.get("contentSize")) for url, item in files.items()}
    expected = {name: (entry.sha256, f"{entry.bytes} B") for name, entry in manifest.files.items()}
    for name in sorted(found.keys() | expected.keys()):
        report.expect(found.get(name) == expected.get(name), "croissant", name, found.get(name), expected.get(name))
    ids = {item.get("@id") for item in files.values()}
    report.expect(described == ids, "croissant", where, sorted(map(str, described ^ ids)), "a record set for each file")
