from math import exp, log, sqrt

import pytest
import torch

from elva.grpo import VarianceWatch, clipped_loss, group_advantages, k3_divergence, masked_mean, zero_variance
from mrbench.errors import ModelError


def test_advantages_by_hand():
    rewards = torch.tensor([[1.0, 2.0, 3.0, 6.0]])
    assert group_advantages(rewards)[0].tolist() == pytest.approx([n / sqrt(3.5) for n in (-2, -1, 0, 3)])
    assert group_advantages(rewards, normalise=False)[0].tolist() == [-2, -1, 0, 3]


def test_advantages_do_not_blow_up_a_group_that_hardly_differs():
    rewards = torch.tensor([[0.5, 0.5 + 1e-5]])
    assert group_advantages(rewards).abs().max() == pytest.approx(5e-3, rel=0.02)
    assert zero_variance(torch.tensor([[0.5, 0.5 + 1e-5], [0.5, 0.6]])).tolist() == [True, False]
    assert group_advantages(torch.tensor([[0.7]])).tolist() == [[0]]


@pytest.mark.parametrize(
    ("advantage", "ratio", "value", "moves"),
    [(2.0, 1.5, -2.4, False), (2.0, 0.5, -1.0, True), (-2.0, 1.5, 3.0, True), (-2.0, 0.5, 1.6, False)],
)
def test_clipping_by_hand(advantage, ratio, value, moves):
    """min(w A, clip(w) A): the gradient stops only where the step would go further in the direction already taken."""
    old = torch.tensor([[-1.0]])
    now = (old + log(ratio)).requires_grad_()
    loss = clipped_loss(now, old, torch.tensor([advantage]), torch.ones(1, 1), clip_ratio=0.2)
    loss.backward()
    assert loss.item() == pytest.approx(value)
    assert bool(now.grad.abs().sum() > 0) is moves


def test_the_first_step_is_the_plain_policy_gradient():
    log_probs = torch.log(torch.tensor([[0.5, 0.25], [0.1, 0.9]])).requires_grad_()
    mask, advantages = torch.tensor([[1.0, 1.0], [1.0, 0.0]]), torch.tensor([1.0, -2.0])
    clipped_loss(log_probs, log_probs.detach(), advantages, mask).backward()
    assert log_probs.grad.tolist() == [[-0.25, -0.25], [1.0, 0.0]]


def test_masked_tokens_count_nowhere():
    values, mask = torch.tensor([[1.0, 3.0], [5.0, 99.0], [99.0, 99.0]]), torch.tensor([[1, 1], [1, 0], [0, 0]])
    assert masked_mean(values, mask).item() == 3.5
    assert masked_mean(values, mask, per="token").item() == 3
    assert masked_mean(values, torch.zeros(3, 2)).item() == 0


def test_k3_by_hand_and_unbiased():
    policy, reference = torch.tensor([0.7, 0.2, 0.1]), torch.tensor([0.3, 0.3, 0.4])
    k3 = k3_divergence(policy.log(), reference.log())
    assert k3[0].item() == pytest.approx(3 / 7 - log(3 / 7) - 1)
    assert (k3 >= 0).all()
    assert (policy * k3).sum().item() == pytest.approx((policy * (policy / reference).log()).sum().item())
    assert k3_divergence(policy.log(), policy.log()).tolist() == [0, 0, 0]


def test_the_divergence_pulls_towards_the_reference():
    log_prob = torch.tensor([[log(0.5)]], requires_grad=True)
    k3_divergence(log_prob, torch.tensor([[log(0.25)]])).sum().backward()
    assert log_prob.grad.item() == pytest.approx(1 - exp(log(0.25) - log(0.5)))


def test_long_without_variance_is_a_plain_failure():
    watch = VarianceWatch(patience=3)
    for share in (1.0, 1.0, 0.5, 1.0, 1.0):
        watch.see(share)
    with pytest.raises(ModelError, match="equal for 3 steps"):
        watch.see(1.0)
