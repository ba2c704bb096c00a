"""Files that people write: every fault is named, and nothing is taken in silence."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from mrbench.errors import InputError
from mrbench.fields import limits, parse_fields, ranged, read_yaml


@dataclass
class Inner:
    share: float = ranged(0.5, 0, 1)


@dataclass
class Outer:
    name: str = field(metadata=limits(1))
    side: Literal["left", "right"] = "left"
    sizes: list[int] | None = field(default=None, metadata=limits(2, 2))
    prompts: dict[str, str] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    inner: Inner = field(default_factory=Inner)
    seed: int = ranged(0, 0)
    exact: bool = False


def faults(**changes: Any) -> list[str]:
    problems: list[str] = []
    parse_fields(Outer, {"name": "x", **changes}, problems, "entry 1: ")
    return problems


def test_a_mapping_becomes_a_dataclass() -> None:
    problems: list[str] = []
    given = {"name": "x", "sizes": [3, 4], "prompts": {"text": "t"}, "options": {"a": [1]}, "inner": {"share": "1e-2"}}
    whole = parse_fields(Outer, given, problems)
    assert whole == Outer("x", "left", [3, 4], {"text": "t"}, {"a": [1]}, Inner(0.01))
    assert problems == []


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"name": ""}, "entry 1: name='' (accepted: 1 or more characters)"),
        ({"name": None}, "entry 1: name=None (accepted: a text)"),
        ({"name": "a" * 100}, None),
        ({"side": "top"}, "entry 1: side='top' (accepted: left, right)"),
        ({"sizes": [1]}, "entry 1: sizes=[1] (accepted: 2 entries)"),
        ({"sizes": [1, "b"]}, "entry 1: sizes[1]='b' (accepted: a whole number)"),
        ({"sizes": None}, None),
        ({"prompts": {1: "a"}}, "entry 1: prompts={1: 'a'} (accepted: texts as keys)"),
        ({"prompts": {"text": 1}}, "entry 1: prompts.text=1 (accepted: a text)"),
        ({"prompts": ["a"]}, "entry 1: prompts=['a'] (accepted: a mapping)"),
        ({"inner": {"share": 1.5}}, "entry 1: inner.share=1.5 (accepted: 0 to 1)"),
        ({"inner": {"share": float("nan")}}, "entry 1: inner.share=nan (accepted: a finite number)"),
        ({"inner": 3}, "entry 1: inner: not a mapping"),
        ({"seed": True}, "entry 1: seed=True (accepted: a whole number)"),
        ({"seed": 2**31}, "entry 1: seed=2147483648 (accepted: 0 to 2147483647)"),
        ({"exact": 1}, "entry 1: exact=1 (accepted: true or false)"),
        ({"sead": 1}, "entry 1: sead: unknown"),
        ({"name": "a" * 50 + "\ud800"}, f"entry 1: name='{'a' * 36}... (accepted: text in Unicode)"),
    ],
)
def test_each_fault_is_named_with_its_path(changes: dict[str, Any], fault: str | None) -> None:
    assert faults(**changes) == ([] if fault is None else [fault])


def test_a_missing_field_is_a_fault_and_no_mapping_is_one_fault() -> None:
    problems: list[str] = []
    parse_fields(Outer, {}, problems)
    parse_fields(Outer, 3, problems, "entry 2: ")
    assert problems == ["name: missing", "entry 2: not a mapping"]


@pytest.mark.parametrize("text", ["a: [", "{a: {b: 1, b: 2}}", "[" * 3000, "a: !!python/object/apply:os.getcwd []"])
def test_what_is_not_yaml_is_one_line(text: str) -> None:
    with pytest.raises(InputError, match=r"the recipe is not YAML; where: r\.yaml") as error:
        read_yaml(text, what="recipe", where="r.yaml")
    assert "\n" not in str(error.value)
