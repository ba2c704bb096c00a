"""Group-relative policy optimisation: advantages, the clipped loss, and the divergence from the reference.

Source: Shao et al., DeepSeekMath (arXiv 2402.03300), equations 3 and 4; the k3 estimator is Schulman's
("Approximating KL divergence", 2020).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from mrbench.errors import ModelError

FLOOR = 1e-3


def group_advantages(rewards: Tensor, *, normalise: bool = True, floor: float = FLOOR) -> Tensor:
    """Return how much better each rollout is than its group.

    A_g = (R_g - mean R) / max(std R, floor), with the standard deviation of the population.

    Args:
        rewards: Shape ``(..., num_rollouts)``.
        normalise: Whether to divide by the standard deviation. Without it, easy and hard queries weigh by how much
            their rewards differ (Liu et al., Dr. GRPO, arXiv 2503.20783).
        floor: A group that hardly differs must not be blown up to one that does.

    Returns:
        Shape of ``rewards``, no gradient; the mean of a group is 0; a group of one rollout has 0.

    >>> group_advantages(torch.tensor([[1.0, 3.0], [2.0, 2.0]]))
    tensor([[-1.,  1.],
            [ 0.,  0.]])
    """
    centred = rewards.detach() - rewards.detach().mean(-1, keepdim=True)
    if not normalise:
        return centred
    return centred / centred.square().mean(-1, keepdim=True).sqrt().clamp(min=floor)


def zero_variance(rewards: Tensor, *, floor: float = FLOOR) -> Tensor:
    """Return which groups differ too little to teach anything: standard deviation below ``floor``; shape ``(...)``.

    >>> zero_variance(torch.tensor([[1.0, 3.0], [2.0, 2.0]]))
    tensor([False,  True])
    """
    return rewards.detach().std(-1, correction=0) < floor


def clipped_loss(
    log_probs: Tensor,
    old_log_probs: Tensor,
    advantages: Tensor,
    mask: Tensor,
    *,
    clip_ratio: float = 0.2,
    per: Literal["sequence", "token"] = "sequence",
) -> Tensor:
    """Return the clipped importance ratio loss, a scalar; lower is better.

    L = - mean of min(w * A, clip(w, 1 - clip_ratio, 1 + clip_ratio) * A), where w = exp(log p - log p_old) per token.

    Args:
        log_probs: Shape ``(num_sequences, num_tokens)``, of the sampled tokens under the policy.
        old_log_probs: Same shape, under the policy that sampled them; no gradient.
        advantages: Shape ``(num_sequences,)``.
        mask: Same shape as ``log_probs``; 0 after the end of a sequence.
        clip_ratio: How far the ratio may move before its gradient stops.
        per: Mean over the tokens of a sequence first, as in GRPO, or over all tokens alike.

    >>> zeros, ones = torch.zeros(1, 2), torch.ones(1, 2)
    >>> clipped_loss(zeros, zeros, torch.tensor([3.0]), ones)
    tensor(-3.)
    """
    ratio = (log_probs - old_log_probs.detach()).exp()
    advantage = advantages.unsqueeze(-1)
    clipped = ratio.clamp(1 - clip_ratio, 1 + clip_ratio)
    return masked_mean(-torch.minimum(ratio * advantage, clipped * advantage), mask, per=per)


def k3_divergence(log_probs: Tensor, reference_log_probs: Tensor) -> Tensor:
    """Return an estimate of KL(policy || reference) per token, shape of ``log_probs``, at least 0.

    k3 = p_ref / p - log(p_ref / p) - 1 for a token drawn from the policy: unbiased, and never negative.

    >>> k3_divergence(torch.tensor([0.5]).log(), torch.tensor([0.25]).log())  # 1/2 + log 2 - 1
    tensor([0.1931])
    """
    difference = reference_log_probs.detach() - log_probs
    return difference.exp() - difference - 1


def masked_mean(values: Tensor, mask: Tensor, *, per: Literal["sequence", "token"] = "sequence") -> Tensor:
    """Return the mean of ``values`` where ``mask`` is 1, a scalar; 0 where there is nothing.

    Args:
        values: Shape ``(num_sequences, num_tokens)``.
        mask: Same shape.
        per: ``sequence``: mean of the means of sequences that have a token; ``token``: all tokens alike.

    >>> values, mask = torch.tensor([[1.0, 3.0], [5.0, 0.0]]), torch.tensor([[1, 1], [1, 0]])
    >>> masked_mean(values, mask), masked_mean(values, mask, per="token")
    (tensor(3.5000), tensor(3.))
    """
    mask = mask.to(values.dtype)
    if per == "token":
        return (values * mask).sum() / mask.sum().clamp(min=1)
    lengths = mask.sum(-1)
    means = (values * mask).sum(-1) / lengths.clamp(min=1)
    return means.sum() / (lengths > 0).sum().clamp(min=1)


class VarianceWatch:
    """Stops a training in which no group has had differing rewards for a while: nothing can be learned from it.

    Args:
        patience: Steps in a row that may pass without.

    >>> watch = VarianceWatch(patience=2)
    >>> watch.see(share=1.0)
    >>> watch.see(share=0.9)
    >>> watch.steps
    0
    """

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.steps = 0

    def see(self, share: float) -> None:
        """Take note of a step in which this share of the groups, 0 to 1, had no variance.

        Raises:
            ModelError: That is the last of ``patience`` steps in which no group had any.
        """
        self.steps = self.steps + 1 if share >= 1 else 0
        if self.steps >= self.patience:
            raise ModelError(
                f"all rewards of every group were equal for {self.steps} steps, nothing can be learned",
                where="stage 3",
                hint="raise stage3.temperature or stage3.rollouts, lower stage3.sampling.threshold, "
                "or set stage3.gradient: pathwise",
            )
