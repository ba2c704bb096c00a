import numpy as np
import pytest
import torch
from tiny_summariser import TinySummariser, letters

from elva.config import Reinforcement, Reward, Sampling
from elva.negatives import grades
from elva.rewards import reward_parts
from elva.rollouts import teacher_forced
from elva.stages.reinforcement import Learner
from mrbench.errors import ModelError


def learner(model, pool, **changes):
    settings = {"rollouts": 6, "batch": 4, "chunk": 120, "beta": 0.0, "sampling": Sampling(hard=3, random=3)}
    settings |= {"reward": Reward(softness=0.1, floor=True)} | changes
    return Learner(model, [pool], Reinforcement(**settings), seed=0, max_tokens=3)


def train(steps, lr=2e-3, **changes):
    model = TinySummariser()
    objective = learner(model, letters(), **changes)
    weights = [weight for weight in model.adapted.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=lr)
    rows = []
    for step in range(steps):
        rows.append(objective.backward(step))
        optimiser.step()
        optimiser.zero_grad()
    return rows


def mean(rows, name):
    return float(np.mean([row[name] for row in rows if name in row]))


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{"gradient": "pathwise"}, {"gradient": "both"}, {"credit": "own"}])
def test_the_reward_rises(changes):
    rows = train(40, **changes)
    assert mean(rows[-8:], "reward") > mean(rows[:8], "reward") + 0.03


def test_the_graded_reward_is_given_true_grades():
    model, pool = TinySummariser(), letters()
    objective = learner(model, pool, reward=Reward(alpha=0, epsilon=0, graded=1.0))
    for draw in objective.sampler.draws(0):
        kept = grades(pool.query_grains[[draw.query]], pool.candidate_grains[draw.candidates])[0]
        assert draw.grades.tolist() == kept.tolist()
        assert kept[0] == 2
        assert kept[1:].max() < 2
    metrics = objective.backward(0)
    assert metrics["reward"] == pytest.approx(metrics["reward_graded"])


def test_kl_is_zero_at_the_reference_and_pulls_back_to_it():
    near, far = train(12, beta=0.0), train(12, beta=20.0)
    assert "kl" not in near[0]
    assert far[0]["kl"] == pytest.approx(0, abs=1e-6)
    assert far[-1]["kl"] > 0


def test_a_second_update_uses_the_rollouts_of_the_first():
    model, pool = TinySummariser(), letters()
    objective = learner(model, pool, updates=2)
    first = objective.backward(0)
    tokens, old = objective._held["tokens"].clone(), objective._held["old"].clone()
    with torch.no_grad():
        for weight in model.adapted.parameters():
            weight += 0.05 * weight.requires_grad
    second = objective.backward(1)
    assert torch.equal(objective._held["old"], old)  # of the policy that sampled
    assert "reward" in first
    assert "reward" not in second
    assert torch.equal(objective._held["tokens"], tokens)


def test_draws_do_not_depend_on_the_chunk():
    tokens = []
    for chunk in (6, 36, 600):
        objective = learner(TinySummariser(), letters(), chunk=chunk)
        objective.backward(0)
        tokens.append(objective._held["tokens"])
    assert torch.equal(tokens[0], tokens[1])
    assert torch.equal(tokens[0], tokens[2])


@pytest.mark.parametrize("updates", [1, 2])
def test_the_gradient_does_not_depend_on_the_chunk(updates):
    found = []
    for chunk in (6, 36, 600):
        model = TinySummariser()
        weights = [weight for weight in model.adapted.parameters() if weight.requires_grad]
        for row, weight in enumerate(weights):
            torch.nn.init.normal_(weight, std=0.1, generator=torch.manual_seed(row))
        objective = learner(model, letters(), chunk=chunk, beta=0.5, gradient="both", updates=updates)
        for step in range(updates):
            metrics = objective.backward(step)
            with torch.no_grad():
                for weight in weights:
                    weight += 0.01 * weight.sign()  # the same step for all: the ratio leaves 1
        assert metrics["kl"] > 0
        found.append(torch.cat([weight.grad.flatten() for weight in weights]))
    assert float(found[0].norm()) > 0.01
    for other in found[1:]:
        assert float((other - found[0]).norm()) < 1e-3 * float(found[0].norm())


def test_the_pathwise_gradient_is_that_of_the_mean_reward():
    model, pool = TinySummariser(), letters()
    weights = [weight for weight in model.adapted.parameters() if weight.requires_grad]
    options = Reinforcement(
        rollouts=3, batch=4, chunk=6, beta=0.0, gradient="pathwise", reward=Reward(softness=0.1),
        sampling=Sampling(hard=3, random=3),
    )  # fmt: skip
    objective = Learner(model, [pool], options, seed=0, max_tokens=3)
    objective.backward(0)
    found = [weight.grad.clone() for weight in weights if weight.grad is not None]
    total, held, per_draw = torch.zeros(()), objective._held, 8
    for number, draw in enumerate(objective.sampler.draws(0)):
        part = slice(number * per_draw, (number + 1) * per_draw)
        inputs = [pool.queries[draw.query], *(pool.candidates[row] for row in draw.candidates)]
        prompts = model.prompts(inputs, "summary")
        _, embeddings = teacher_forced(
            model.backbone, None, prompts, held["tokens"][part], held["lengths"][part], forbidden=model.forbidden
        )
        scores = torch.einsum("gd,ngd->gn", embeddings[0], embeddings[1:])
        total = total - reward_parts(scores, options.reward)["total"].mean() / 4
    expected = torch.autograd.grad(total, weights, allow_unused=True)
    expected = [gradient for gradient in expected if gradient is not None]
    assert max(float(gradient.abs().max()) for gradient in found) > 1e-3
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_rewards_that_never_differ_stop_the_run():
    objective = learner(TinySummariser(), letters(), reward=Reward(alpha=0, epsilon=0, graded=0), patience=3)
    for step in range(2):
        objective.backward(step)
    with pytest.raises(ModelError, match="equal for 3 steps"):
        objective.backward(2)


def test_the_temperature_is_that_of_sampling_and_of_log_probabilities():
    cold, warm = (learner(TinySummariser(), letters(), temperature=value) for value in (1e-3, 1.0))
    cold.backward(0)
    warm.backward(0)
    spread = [float((each._held["old"] * each._held["mask"]).abs().mean()) for each in (cold, warm)]
    assert spread[0] < 0.05 < 0.2 < spread[1]  # nearly all are the likeliest, and sure
    same = [(each._held["tokens"] == each._held["tokens"][:, :1]).float().mean() for each in (cold, warm)]
    assert same[0] > 0.95 > same[1]


def test_the_rewards_own_gradient_needs_no_differences_between_rollouts():
    objective = learner(TinySummariser(), letters(), rollouts=1, gradient="pathwise", patience=2)
    for step in range(3):
        assert objective.backward(step)["zero_variance"] == 1
