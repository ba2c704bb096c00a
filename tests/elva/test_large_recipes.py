"""A recipe as the large ones are: a base in bfloat16, adapters with dropout, checkpointing; stages 1 to 3."""

import pytest
import torch
from safetensors.torch import load_file
from small_recipe import SMALL
from test_model import write

from elva.config import parse_recipe
from elva.stages.contrastive import InfoNCE
from elva.stages.reinforcement import Learner
from elva.train import train


class StoppedError(Exception):
    pass


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    base = write(tmp_path_factory.mktemp("base") / "base", "qwen2-vl")
    lora = {name: SMALL[name] | {"train": "lora"} for name in ("stage1", "stage2", "stage3")}
    lora["stage3"] |= {"steps": 4, "updates": 2, "gradient": "both", "reward": {"listwise": 1.0, "in_batch": True}}
    return parse_recipe(
        {"name": "large", "base": str(base), "dtype": "bfloat16", "gradient_checkpointing": True, "max_pixels": 6272}
        | {"max_summary": 5, "lora": {"rank": 2, "alpha": 4, "dropout": 0.3}, **lora}
    )


def adapters(folder):
    return {p.parent.name: load_file(p) for p in sorted(folder.glob("adapter-*/adapter_model.safetensors"))}


@pytest.mark.slow
@pytest.mark.parametrize(("objective", "stage"), [(InfoNCE, 2), (Learner, 3)])
def test_interrupted_and_continued_is_uninterrupted(data, recipe, tmp_path, monkeypatch, objective, stage):
    options = {"device": "cpu", "quiet": True, "save_every": 1}
    whole, out, original = train(recipe, data, tmp_path / "whole", **options), tmp_path / "run", objective.backward

    def stops(self, step):
        if step == (1 if stage == 2 else 3) and (out / f"stage{stage - 1}").exists():
            raise StoppedError
        return original(self, step)

    monkeypatch.setattr(objective, "backward", stops)
    with pytest.raises(StoppedError):
        train(recipe, data, out, **options)
    monkeypatch.setattr(objective, "backward", original)
    one, other = adapters(whole), adapters(train(recipe, data, out, resume=True, **options))
    assert list(one) == ["adapter-0", "adapter-1", "adapter-2"]
    for name, tensors in one.items():
        assert any(bool(tensor.any()) for key, tensor in tensors.items() if "lora_B" in key)
        assert all(torch.equal(tensor, other[name][key]) for key, tensor in tensors.items())
