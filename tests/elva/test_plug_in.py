import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from small_recipe import SMALL
from transformers import CLIPConfig, CLIPModel

from elva.config import Reinforcement, Reward, Sampling, parse_recipe
from elva.data import Pool
from elva.negatives import code_grains
from elva.prompts import Input
from elva.stages.plug_in import PlugIn
from elva.train import train_plug_in
from mrbench.errors import InputError, ModelError
from mrbench.models.dual_encoder import DualEncoder
from mrbench.models.zoo import load_model
from mrbench.records import Grain

COLOURS = {"a": (250, 20, 20), "b": (20, 250, 20), "c": (20, 20, 250), "d": (240, 240, 20)}
TOWER = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A CLIP checkpoint with random weights that tells letters apart, in the format of the hub."""
    folder = tmp_path_factory.mktemp("clip")
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    words = ["<|startoftext|>", "<|endoftext|>", *letters, *(letter + "</w>" for letter in letters)]
    ends = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    text = TOWER | ends | {"vocab_size": len(words), "max_position_embeddings": 8}
    torch.manual_seed(0)
    config = CLIPConfig(text_config=text, vision_config=TOWER | {"image_size": 16, "patch_size": 8}, projection_dim=12)
    CLIPModel(config).save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps({word: n for n, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "CLIPTokenizer"}))
    processor = {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 16}, "crop_size": 16}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder


@pytest.fixture(scope="module")
def pool():
    """Two letters name the colours of the upper and of the lower half."""
    pairs = [(upper, lower) for upper in COLOURS for lower in COLOURS]
    grains = [[Grain("upper", upper), Grain("lower", lower)] for upper, lower in pairs]
    return Pool(
        "t2i",
        ["".join(pair) for pair in pairs],
        [Input(text=f"{upper} {lower}") for upper, lower in pairs],
        [Input(image=picture(*pair)) for pair in pairs],
        np.arange(16),
        *code_grains(grains, grains),
    )


def picture(upper, lower):
    image = Image.new("RGB", (16, 16), COLOURS[upper])
    image.paste(COLOURS[lower], (0, 8, 16, 16))
    return image


def settings(**changes):
    return Reinforcement(
        **{"rollouts": 8, "batch": 4, "chunk": 16, "beta": 0.0, "spread": 0.3}
        | {"sampling": Sampling(hard=3, random=3), "reward": Reward(softness=0.1, floor=True)}
        | changes
    )


def train(folder, pool, options, steps=60, lr=3e-3):
    encoder = DualEncoder(str(folder), device="cpu")
    objective = PlugIn(encoder, [pool], options, seed=0)
    optimiser = torch.optim.AdamW(encoder.module.parameters(), lr=lr)
    metrics = []
    for step in range(steps):
        metrics.append(objective.backward(step))
        optimiser.step()
        optimiser.zero_grad()
    return encoder, metrics


def mean(metrics, name):
    return float(np.mean([row[name] for row in metrics]))


@pytest.mark.slow
@pytest.mark.parametrize(("gradient", "policy"), [("score", "fisher"), ("score", "gaussian"), ("pathwise", "gaussian")])
def test_the_reward_rises(folder, pool, gradient, policy):
    _, metrics = train(folder, pool, settings(gradient=gradient, policy=policy, credit="own"))
    assert mean(metrics[-8:], "reward") > mean(metrics[:8], "reward") + 0.05
    assert mean(metrics[-8:], "top") > mean(metrics[:8], "top") + 0.1


@pytest.mark.parametrize("policy", ["gaussian", "fisher"])
def test_the_divergence_pulls_back_to_the_encoder_as_it_was(folder, pool, policy):
    far, near = (train(folder, pool, settings(beta=beta, policy=policy), steps=15)[1] for beta in (1e-6, 3.0))
    assert far[0]["kl"] == pytest.approx(0, abs=1e-4)
    assert 0 < near[-1]["kl"] < far[-1]["kl"] / 2


def test_the_pathwise_gradient_is_that_of_the_mean_reward_of_the_same_draws(folder, pool):
    """By differences: one weight moved a little, the noise as it was."""
    options = settings(gradient="pathwise", rollouts=4, chunk=100, spread=2.0)
    encoder = DualEncoder(str(folder), device="cpu")
    encoder.module.double()
    weight = encoder.module.text_projection.weight
    PlugIn(encoder, [pool], options, seed=0).backward(0)
    place = divmod(int(weight.grad.abs().argmax()), weight.shape[1])
    objective, rewards = PlugIn(encoder, [pool], options, seed=0), []
    objective.sampler.draws(0)  # negatives are mined before the weight moves
    found = -float(weight.grad[place])
    for move in (1e-3, -2e-3):
        with torch.no_grad():
            weight[place] += move
        rewards.append(objective.backward(0)["reward"])
    assert (rewards[0] - rewards[1]) / 2e-3 == pytest.approx(found, rel=0.02)


def test_more_than_one_update_is_refused(folder, data, tmp_path):
    recipe = parse_recipe(SMALL | {"stage3": SMALL["stage3"] | {"updates": 2}})
    with pytest.raises(InputError, match="one update"):
        train_plug_in(str(folder), recipe, data, tmp_path / "run", device="cpu", quiet=True)
    assert not (tmp_path / "run").exists()


def test_a_run_of_its_own_is_written_evaluated_and_continued(folder, scenes, data, tmp_path, monkeypatch):
    recipe = parse_recipe(SMALL | {"stage3": SMALL["stage3"] | {"batch": 4}})
    whole = train_plug_in(str(folder), recipe, data, tmp_path / "whole", device="cpu", save_every=1, quiet=True)
    original = PlugIn.backward

    def stops(self, step):
        if step == 2:
            raise KeyboardInterrupt
        return original(self, step)

    monkeypatch.setattr(PlugIn, "backward", stops)
    with pytest.raises(KeyboardInterrupt):
        train_plug_in(str(folder), recipe, data, tmp_path / "again", device="cpu", save_every=1, quiet=True)
    monkeypatch.setattr(PlugIn, "backward", original)
    again = train_plug_in(
        str(folder), recipe, data, tmp_path / "again", device="cpu", save_every=1, quiet=True, resume=True
    )
    one, other, before = (load_file(path / "model.safetensors") for path in (whole, again, folder))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert any(not torch.equal(one[name], before[name]) for name in one)
    assert load_model(f"hf:{whole}", device="cpu").dimension == 12


def test_only_the_text_tower_trains_if_asked(folder, data, tmp_path):
    out = train_plug_in(
        str(folder), parse_recipe(SMALL), data, tmp_path / "run", part="language", device="cpu", quiet=True
    )
    before, after = load_file(folder / "model.safetensors"), load_file(out / "model.safetensors")
    moved = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert "text_model" in moved
    assert not {"vision_model", "visual_projection"} & moved


def test_a_hub_id_trains_from_the_cache_and_the_run_knows_its_commit(folder, data, tmp_path, monkeypatch):
    commit, storage = "0123456789abcdef0123456789abcdef01234567", tmp_path / "hub" / "models--org--tiny"
    (storage / "snapshots" / commit).mkdir(parents=True)
    (storage / "refs").mkdir()
    (storage / "refs" / "v1").write_text(commit)
    for path in folder.iterdir():
        (storage / "snapshots" / commit / path.name).symlink_to(path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    out = train_plug_in("org/tiny@v1", parse_recipe(SMALL), data, tmp_path / "run", device="cpu", quiet=True)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["start"] == f"org/tiny@{commit}"
    same = train_plug_in(str(folder), parse_recipe(SMALL), data, tmp_path / "same", device="cpu", quiet=True)
    one, other = (load_file(path / "model.safetensors") for path in (out, same))
    assert all(torch.equal(one[name], other[name]) for name in one)
    with pytest.raises(ModelError, match=r"not in the cache, and HF_HUB_OFFLINE is set; .* got: 'org/tiny@v2'"):
        train_plug_in("org/tiny@v2", parse_recipe(SMALL), data, tmp_path / "other", device="cpu", quiet=True)
    assert not (tmp_path / "other").exists()


def test_a_file_that_is_not_loaded_is_no_other_start(folder, data, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    train_plug_in(str(copy), parse_recipe(SMALL), data, tmp_path / "run", device="cpu", quiet=True)
    shutil.copy(copy / "model.safetensors", copy / "open_clip_model.safetensors")
    train_plug_in(str(copy), parse_recipe(SMALL), data, tmp_path / "run", device="cpu", quiet=True, resume=True)
