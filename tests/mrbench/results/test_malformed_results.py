"""A result file with any value replaced or left out is read, or refused in a line of ours."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from tiny_benchmark import Guess

from mrbench.benchmark import Benchmark
from mrbench.errors import MRBenchError
from mrbench.evaluation import evaluate
from mrbench.leaderboard import boards
from mrbench.results import read_result

LEFT_OUT = object()
VALUES = (LEFT_OUT, None, 7, -1.5, True, "x", [], [1], {}, {"x": 1})
NOT_OURS = ("object", "Error", "Traceback", "NoneType", "indices", "unhashable")


def places(value: Any, found: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the keys that lead to each value of a JSON document; of lists and of deep values only to the first."""
    steps = list(value) if isinstance(value, dict) else range(min(1, len(value))) if isinstance(value, list) else ()
    for step in steps[:1] if len(found) >= 3 else steps:
        yield (*found, step)
        yield from places(value[step], (*found, step))


def test_any_change_of_a_value_is_read_or_refused_in_one_line(tiny: Benchmark, tmp_path: Path) -> None:
    evaluate(tiny, Guess("a guess"), tmp_path / "r")
    written = json.loads((tmp_path / "r/result.json").read_text())
    path, refusals = tmp_path / "changed.json", []
    for way in places(written):
        for value in VALUES:
            changed = deepcopy(written)
            inner = changed
            for step in way[:-1]:
                inner = inner[step]
            if value is LEFT_OUT:
                del inner[way[-1]]
            else:
                inner[way[-1]] = value
            path.write_text(json.dumps(changed))
            try:
                boards([read_result(path)])
            except MRBenchError as error:
                refusals.append((way, value, str(error)))
    assert len(refusals) > 500
    assert [one for one in refusals if "\n" in one[2] or any(word in one[2] for word in NOT_OURS)] == []


def test_the_place_is_named(tiny: Benchmark, tmp_path: Path) -> None:
    evaluate(tiny, Guess("a guess"), tmp_path / "r")
    written = json.loads((tmp_path / "r/result.json").read_text())
    del written["tasks"]["t2i"]["queries"]
    (tmp_path / "changed.json").write_text(json.dumps(written))
    with pytest.raises(MRBenchError, match=r"no key 'queries'; in tasks\.t2i.*next: evaluate again: mrbench evaluate"):
        read_result(tmp_path / "changed.json")
