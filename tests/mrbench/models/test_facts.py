"""The facts of a checkpoint that results state."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_towers import write_clip

from mrbench.evaluation.describe import describe
from mrbench.models.dual_encoder import DualEncoder
from mrbench.models.facts import licence_of


def test_a_checkpoint_states_its_size_and_licence(tmp_path: Path) -> None:
    folder = write_clip(tmp_path)
    (folder / "README.md").write_text("---\nlanguage: en\nlicense: apache-2.0\n---\n# Model\nlicense: mit\n")
    model = DualEncoder(str(folder), device="cpu")
    said = describe(model)
    assert said["parameter_count"] == sum(weight.numel() for weight in model.module.parameters())
    assert said["licence"] == "apache-2.0"
    assert said["image_size"].count("x") == 1
    assert 0 < said["max_text_length"] < 1000


@pytest.mark.parametrize("card", ["", "license: mit", "---\nlicence: mit\n---\n", "---\nlicense:\ntags: x\n---\n"])
def test_no_licence_is_made_up(tmp_path: Path, card: str) -> None:
    (tmp_path / "README.md").write_text(card)
    assert licence_of(tmp_path) == ""
