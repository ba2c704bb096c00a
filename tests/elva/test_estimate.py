"""The dry run of `train elva` against what a run takes, on a clock that counts multiplications: it has no noise."""

import copy
import json
import time

import pytest
import torch
from small_recipe import SMALL
from torch.nn.modules.module import register_module_forward_hook

from elva.config import parse_recipe
from elva.estimate import estimate, whole_time
from elva.train import train


class Multiplications:
    """A clock that counts the multiplications of linear layers on their way forward."""

    def __init__(self):
        self.total = 0

    def __call__(self, module, inputs, output):
        if isinstance(module, torch.nn.Linear):
            self.total += output.numel() * module.in_features

    def seconds(self):
        return self.total / 1e6


@pytest.mark.slow
def test_the_estimate_is_within_a_factor_of_two_of_the_run(data, tmp_path, monkeypatch):
    settings = copy.deepcopy(SMALL)
    for stage in ("stage0", "stage1", "stage2", "stage3"):
        settings[stage]["steps"] = 6
    recipe, clock = parse_recipe(settings), Multiplications()
    counted = register_module_forward_hook(clock)
    try:
        monkeypatch.setattr(time, "perf_counter", clock.seconds)
        rows = estimate(recipe, data, (0, 1, 2, 3), device="cpu")
        train(recipe, data, tmp_path / "run", quiet=True)
    finally:
        monkeypatch.undo()
        counted.remove()
    took = dict.fromkeys(range(4), 0.0)
    for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines():
        said = json.loads(line)
        took[said["stage"]] += said["seconds"]
    for row in rows:
        assert row["by"] == "trial"
        assert 0.5 < row["hours"] * 3600 / took[row["stage"]] < 2, row


def test_what_the_first_step_takes_longer_comes_again_at_every_mining():
    assert whole_time([9.0, 1.0, 1.0], steps=20, mined=1) == 28
    assert whole_time([9.0, 1.0, 1.0], steps=20, mined=3) == 44
    assert whole_time([2.0], steps=1, mined=1) == 2
