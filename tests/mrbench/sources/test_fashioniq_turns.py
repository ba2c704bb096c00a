"""Multi-turn FashionIQ, in the layout of its authors' repository."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from controls import constant_hit_rates, pool_sizes, write_json

from mrbench.errors import BenchmarkError
from mrbench.sources import open_benchmark


def conversation(target: str, *turns: tuple[str, list[str]]) -> dict[str, Any]:
    return {
        "target": [f"http://example.org/{target}.jpg", target],
        "reference": [[f"http://example.org/{name}.jpg", texts, name] for name, texts in turns],
    }


@pytest.fixture
def root(tmp_path: Path) -> Path:
    conversations = [
        conversation("B5", ("B0", ["is red", " is long."]), ("B1", ["has a belt"])),
        conversation("B5", ("B2", ["a", "b"]), ("B3", ["c", "d"]), ("B4", ["e", "f", "g"])),
    ]
    write_json(tmp_path / "data" / "dress.val.json", conversations)
    write_json(tmp_path / "image_splits" / "split.dress.val.json", [f"B{n}" for n in range(20)])
    return tmp_path


def test_a_query_holds_all_turns(root: Path) -> None:
    benchmark = open_benchmark(f"fashioniq-turns:{root}")
    assert benchmark.task_names == ("dress",)
    assert benchmark.task("dress").measures == ("hit_rate@5", "hit_rate@10", "hit_rate@50")
    first, second = benchmark.queries("dress", "validation")
    assert first.text == "is red and is long. has a belt"
    assert second.text == "a and b. c and d. e and f and g"
    assert first.image is not None
    assert [first.image.name, *(image.name for image in first.more_images)] == ["B0.jpg", "B1.jpg"]  # type: ignore[union-attr]
    assert len(second.more_images) == 2
    assert first.cluster == second.cluster == "dress/B5"
    assert pool_sizes(benchmark, "dress", "validation") == {"dress-0": (20, 1), "dress-1": (20, 1)}
    assert constant_hit_rates(benchmark, "dress", "validation") == pytest.approx([0.25, 0.5, 1.0])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"reference": []}, r"no turns.*item 1, reference"),
        ({"reference": [["B0", ["a"]]]}, r"no turns.*item 1, reference"),
        ({"target": "B5"}, r"no target.*item 1, target"),
        ({"target": ["x", 5]}, r"id is missing or malformed.*item 1"),
        ({"target": ["x", "B77"]}, r"1 image .*not listed.*item 1.*B77"),
        ({"reference": [["x", "text", "B0"]]}, r"another type.*item 1, turn 0"),
    ],
)
def test_what_is_wrong_with_an_item(root: Path, change: dict[str, Any], said: str) -> None:
    path = root / "data" / "dress.val.json"
    items = json.loads(path.read_text())
    items[1] |= change
    write_json(path, items)
    with pytest.raises(BenchmarkError, match=said):
        list(open_benchmark(f"fashioniq-turns:{root}").queries("dress", "validation"))


def test_missing_files(root: Path) -> None:
    (root / "image_splits" / "split.dress.val.json").unlink()
    with pytest.raises(BenchmarkError, match=r"missing.*image_splits/split.dress.val.json"):
        open_benchmark(f"fashioniq-turns:{root}")
    (root / "data" / "dress.val.json").unlink()
    with pytest.raises(BenchmarkError, match=r"missing.*data/dress.val.json or Multiturn/dress.val.json"):
        open_benchmark(f"fashioniq-turns:{root}")
