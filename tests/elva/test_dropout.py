"""Adapters with dropout, and checkpointing: what the recipes of the large models have and the tiny one lacks."""

import pytest
import torch
from small_recipe import SMALL

from elva import checkpoints
from elva.config import parse_recipe
from elva.stages.contrastive import InfoNCE
from elva.stages.reinforcement import Learner


def adapted(data, **changes):
    recipe = parse_recipe(SMALL | {"lora": {"rank": 4, "alpha": 64, "dropout": 0.5}} | changes)
    model = checkpoints.build(recipe, data.texts(), device="cpu")
    torch.manual_seed(0)
    model.adapt(recipe.lora)
    weights = model.unfreeze("lora")
    for name, weight in weights.items():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.3)
    return model, weights, recipe


def gradient_of(objective, weights):
    for weight in weights.values():
        weight.grad = None
    objective.backward(0)
    return torch.cat([weight.grad.flatten() for weight in weights.values()])


@pytest.mark.parametrize("embedding", ["prompt", "summary"])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_both_passes_of_a_large_batch_drop_the_same(data, embedding, checkpointing):
    stage = SMALL["stage2"] | {"embedding": embedding, "chunk": 4}
    model, _, recipe = adapted(data, stage2=stage, gradient_checkpointing=checkpointing)
    objective = InfoNCE(model, data.pools, recipe.stage2, seed=0)
    rows = objective._batch(0)[0][:4]
    with torch.no_grad():
        first = objective._run(rows, 0, 0)[0]
    assert torch.allclose(objective._run(rows, 0, 0)[0], first, atol=1e-6)
    assert not torch.allclose(objective._run(rows, 1, 0)[0], first, atol=1e-2)  # it does drop


def test_stage_3_is_a_function_of_its_seed(data):
    model, weights, recipe = adapted(data)
    found = []
    for noise in range(2):
        torch.manual_seed(noise)
        found.append(gradient_of(Learner(model, data.pools, recipe.stage3, seed=0, max_tokens=6), weights))
    assert torch.equal(*found)
    assert float(found[0].norm()) > 0
    other = gradient_of(Learner(model, data.pools, recipe.stage3, seed=1, max_tokens=6), weights)
    assert not torch.allclose(found[0], other)


def test_rollouts_are_without_dropout_and_checkpointing(data):
    model, weights, recipe = adapted(data, gradient_checkpointing=True)
    held = []
    for mode in (True, False):
        learner = Learner(model, data.pools, recipe.stage3, seed=0, max_tokens=6)
        model.network.train(mode)
        gradient_of(learner, weights)
        held.append(learner._held["tokens"])
    plain, _, _ = adapted(data)
    learner = Learner(plain, data.pools, recipe.stage3, seed=0, max_tokens=6)
    learner.backward(0)
    assert all(torch.equal(tokens, learner._held["tokens"]) for tokens in held)
