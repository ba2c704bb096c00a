"""What a result says of its model: facts that it states, and none that it does not."""

from __future__ import annotations

from pathlib import Path

import torch
from tiny_benchmark import Oracle, write_tiny

from mrbench.evaluation import evaluate
from mrbench.evaluation.describe import describe
from mrbench.results import read_result

ALWAYS = {"name", "revision", "dimension", "modalities", "device", "dtype", "variant", "remote_code", "control"}


def test_a_result_holds_what_the_model_states(tmp_path: Path) -> None:
    model = Oracle()
    model.parameter_count, model.licence, model.max_text_length = 12, "MIT", 77
    model.image_size, model.template, model.remote_code = "224x196", "{text}", True
    evaluate(write_tiny(tmp_path / "b"), model, tmp_path / "r", tasks=["i2i"])
    said = read_result(tmp_path / "r" / "result.json").model
    assert {name: said[name] for name in said.keys() - ALWAYS} == {
        "parameter_count": 12,
        "licence": "MIT",
        "max_text_length": 77,
        "image_size": "224x196",
        "template": "{text}",
    }
    assert said["remote_code"] is True


def test_what_a_model_does_not_state_is_left_out() -> None:
    model = Oracle()
    model.parameter_count, model.licence, model.max_text_length = torch.nn.Linear(2, 2).parameters, "", None
    assert describe(model).keys() == ALWAYS
    assert describe(model)["remote_code"] is False
