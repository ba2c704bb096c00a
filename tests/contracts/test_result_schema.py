"""docs/reference/result.schema.json describes what is written, and refuses what is not."""

from __future__ import annotations

import copy
import importlib.util
import json
from pathlib import Path

import pytest

jsonschema = pytest.importorskip("jsonschema", reason='pip install "mrbench[test]"')
ROOT = Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location("schema", ROOT / "docs/reference/generate_result_schema.py")
assert spec is not None
assert spec.loader is not None
schema = importlib.util.module_from_spec(spec)
spec.loader.exec_module(schema)


@pytest.fixture(scope="module")
def validator() -> object:
    found = json.loads(schema.PAGE.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(found)
    return jsonschema.Draft202012Validator(found)


@pytest.fixture(scope="module")
def entry() -> dict:
    return json.loads((ROOT / "leaderboards/entries/scenes-conse.json").read_text(encoding="utf-8"))


def test_the_file_is_that_of_the_records() -> None:
    assert schema.PAGE.read_text(encoding="utf-8") == schema.page()


def test_every_attribute_is_described() -> None:
    found = schema.schema()
    for record in (found, *found["$defs"].values()):
        fields = record["properties"]
        said = {name for name, part in fields.items() if "description" in part or "$ref" in part}
        plain = {"format", "format_version", "tasks", "seed", "command", "seconds"}
        assert set(fields) - said <= plain


@pytest.mark.slow
def test_the_committed_results_are_valid(validator: object) -> None:
    for path in sorted((ROOT / "leaderboards/entries").glob("*.json")):
        assert not list(validator.iter_errors(json.loads(path.read_text(encoding="utf-8")))), path  # type: ignore[attr-defined]


def test_a_result_that_is_written_now_is_valid(validator: object, tmp_path: Path) -> None:
    import sys

    sys.path.insert(0, str(ROOT / "tests/mrbench"))
    from tiny_benchmark import Oracle, write_tiny

    from mrbench.evaluation import evaluate

    evaluate(write_tiny(tmp_path / "tiny"), Oracle(), tmp_path / "r", limit=3)
    raw = json.loads((tmp_path / "r/result.json").read_text(encoding="utf-8"))
    assert not list(validator.iter_errors(raw))  # type: ignore[attr-defined]
    assert raw["tasks"]["i2i"]["pair_counts"]


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw.pop("benchmark"),
        lambda raw: raw["benchmark"].pop("digest"),
        lambda raw: raw["model"].update(name=""),
        lambda raw: raw.update(format_version=3),
        lambda raw: raw.update(tasks={}),
        lambda raw: raw["tasks"]["i2i"].update(status="perfect"),
        lambda raw: raw["tasks"]["i2i"].update(queries=-1),
        lambda raw: raw["tasks"]["i2i"]["scores"].update(mrr="0.9"),
        lambda raw: raw["tasks"]["i2i"]["intervals"].update(mrr=[0.1]),
        lambda raw: raw["tasks"]["i2i"]["by_grain"]["pair_accuracy"]["size"].pop("count"),
    ],
)
def test_a_malformed_result_is_not(validator: object, entry: dict, change: object) -> None:
    raw = copy.deepcopy(entry)
    change(raw)  # type: ignore[operator]
    assert list(validator.iter_errors(raw))  # type: ignore[attr-defined]
