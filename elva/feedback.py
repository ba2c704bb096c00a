"""From the embeddings of all rollouts to what each of them should have done more or less of.

Embeddings have the shape ``(num_queries, 2 + num_negatives, num_rollouts, dimension)``: query, positive, negatives.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from elva.config import Reinforcement
from elva.grpo import FLOOR, group_advantages, zero_variance
from elva.rewards import reward_parts


@dataclass(frozen=True, slots=True)
class Feedback:
    """What one batch of rollouts teaches.

    Attributes:
        advantages: Of every rollout of every item, shape ``(num_queries, 2 + num_negatives, num_rollouts)``.
        gradient: Of the loss ``-mean reward`` in the embeddings, their shape; zero where it is not used.
        metrics: Means over the batch: ``reward`` and its parts, ``reward_std`` inside groups, ``zero_variance``
            (share of groups), ``top`` (share of rollouts whose positive scores strictly highest).
    """

    advantages: Tensor
    gradient: Tensor
    metrics: dict[str, float]


def give_feedback(
    embeddings: Tensor, grades: Tensor, settings: Reinforcement, answers: Tensor | None = None
) -> Feedback:
    """Score every rollout and compare it with its group.

    Args:
        embeddings: Unit length, shape ``(num_queries, 2 + num_negatives, num_rollouts, dimension)``.
        grades: Of positive and negatives, shape ``(num_queries, 1 + num_negatives)``.
        settings: Reward, credit and kind of gradient.
        answers: Which candidate of which query answers a query, shape ``(num_queries, num_queries, 1 +
            num_negatives)``: needed where candidates of other queries are negatives too.
    """
    leaf = embeddings.detach().float().requires_grad_()
    scores = joint_scores(leaf)
    rows = grades.unsqueeze(1).expand(scores.shape)
    others = other_scores(leaf, answers) if settings.reward.in_batch and answers is not None else None
    parts = reward_parts(scores, settings.reward, rows, others)
    rewards = parts["total"]
    gradient = torch.zeros_like(leaf)
    if settings.gradient != "score":
        (gradient,) = torch.autograd.grad(-settings.pathwise * rewards.mean(), leaf)
    rewards, scores = rewards.detach(), scores.detach()
    if settings.credit == "joint":
        credits = rewards.unsqueeze(1).expand(leaf.shape[:3])
    else:
        credits = own_credits(leaf.detach(), grades, settings, None if others is None else others.detach())
    metrics = {
        ("reward" if name == "total" else f"reward_{name}"): float(part.detach().mean()) for name, part in parts.items()
    }
    metrics["reward_std"] = float(rewards.std(-1, correction=0).mean())
    metrics["zero_variance"] = float(zero_variance(rewards).float().mean())
    metrics["top"] = float((scores[..., 0] > scores[..., 1:].amax(-1)).float().mean())
    advantages = group_advantages(credits, normalise=False)
    if settings.normalise:
        # By the reward's deviation, also for own credits: by its own, an item that decides nothing would weigh as much.
        advantages = advantages / rewards.std(-1, correction=0).clamp(min=FLOOR)[:, None, None]
    return Feedback(advantages, gradient, metrics)


def joint_scores(embeddings: Tensor) -> Tensor:
    """Return the scores inside each rollout, shape ``(num_queries, num_rollouts, 1 + num_negatives)``."""
    return torch.einsum("qgd,qngd->qgn", embeddings[:, 0], embeddings[:, 1:])


def other_scores(embeddings: Tensor, answers: Tensor) -> Tensor:
    """Return the scores of other queries' candidates inside each rollout.

    Args:
        embeddings: Shape ``(num_queries, 2 + num_negatives, num_rollouts, dimension)``.
        answers: Shape ``(num_queries, num_queries, 1 + num_negatives)``; these are left out.

    Returns:
        Shape ``(num_queries, num_rollouts, num_queries * (1 + num_negatives))``; minus infinity for what answers the
        query, and for the query's own candidates.
    """
    scores = torch.einsum("qgd,pngd->qgpn", embeddings[:, 0], embeddings[:, 1:])
    own = torch.eye(len(answers), dtype=torch.bool, device=scores.device).unsqueeze(-1)
    return scores.masked_fill((answers | own).unsqueeze(1), -torch.inf).flatten(2)


def own_credits(embeddings: Tensor, grades: Tensor, settings: Reinforcement, others: Tensor | None = None) -> Tensor:
    """Return the mean reward of every item's every rollout, over the rollouts of what it was scored with.

    In one rollout all items share one reward, so an item's own doing drowns in what the others did. Here a
    query's rollout g meets the candidates of every rollout h, and a candidate's rollout h takes its
    place beside the others of every rollout g: the same expectation with less noise.

    Args:
        embeddings: Shape ``(num_queries, 2 + num_negatives, num_rollouts, dimension)``.
        grades: Shape ``(num_queries, 1 + num_negatives)``.
        settings: The reward.
        others: Of :func:`other_scores`: what an item does to other queries is not its credit.

    Returns:
        Shape ``(num_queries, 2 + num_negatives, num_rollouts)``.
    """
    scores = torch.einsum("qgd,qnhd->qghn", embeddings[:, 0], embeddings[:, 1:])
    rows = grades[:, None, None].expand(scores.shape)
    if others is not None:
        others = others.unsqueeze(2).expand(*scores.shape[:3], -1)
    credits = [reward_parts(scores, settings.reward, rows, others)["total"].mean(2)]
    together = scores.diagonal(dim1=1, dim2=2).permute(0, 2, 1)  # (query, g, candidate)
    for candidate in range(scores.shape[-1]):
        mixed = together.unsqueeze(2).expand_as(scores).clone()
        mixed[..., candidate] = scores[..., candidate]
        credits.append(reward_parts(mixed, settings.reward, rows, others)["total"].mean(1))
    return torch.stack(credits, 1)
