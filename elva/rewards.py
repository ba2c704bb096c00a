"""Rewards of stage 3: pure functions of the scores inside one rollout, without a label beside which is the positive.

``scores`` has shape ``(..., 1 + num_negatives)``: cosines of the query with its positive (index 0) and its negatives,
-1 to 1. Every reward has shape ``(...)``, higher is better, and is differentiable in the scores.

Source: ELVA (arXiv 2606.20280), margin, ranking and total reward. What the paper leaves open is an option of
:class:`elva.config.Reward`. The graded and the listwise reward are ours.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from elva.config import Reward
from mrbench.errors import InputError


def margin_reward(scores: Tensor, *, delta: float = 0.0, softness: float = 0.0) -> Tensor:
    """Return by how much the positive leads the best negative.

    R_margin = max(0, cos(q, c_p) - max_n cos(q, c_n) - delta).

    Args:
        scores: Shape ``(..., 1 + num_negatives)``, the positive first.
        delta: Lead that earns nothing.
        softness: Above 0, the hinge is ``softness * log(1 + exp(x / softness))``: the paper's has neither value nor
            gradient where the model is wrong.

    Returns:
        Shape ``(...)``, 0 to 2; a tie is 0 (``softness = 0``).

    >>> margin_reward(torch.tensor([[0.9, 0.5, 0.4], [0.2, 0.5, 0.4]]))
    tensor([0.4000, 0.0000])
    """
    _check(scores)
    lead = scores[..., 0] - scores[..., 1:].amax(-1) - delta
    return softness * torch.nn.functional.softplus(lead / softness) if softness > 0 else lead.clamp(min=0)


def ranks(scores: Tensor, *, temperature: float = 0.0) -> Tensor:
    """Return the rank of every score in the joint list, 1 is the highest.

    Args:
        scores: Shape ``(..., 1 + num_negatives)``, the positive first.
        temperature: 0 gives ranks 1, 2, ..., without gradient. Above 0, rank i is
            ``1 + sum over j != i of sigmoid((s_j - s_i) / temperature)``: differentiable, near the same far from ties.

    Returns:
        Shape of ``scores``. At temperature 0 the positive stands behind whatever ties with it.

    >>> ranks(torch.tensor([0.5, 0.9, 0.5]))
    tensor([3., 1., 2.])
    """
    if temperature > 0:
        ahead = torch.sigmoid((scores.unsqueeze(-2) - scores.unsqueeze(-1)) / temperature)
        return ahead.sum(-1) + 0.5  # an item is half ahead of itself
    positive_last = scores.detach().roll(-1, -1)
    order = positive_last.argsort(dim=-1, descending=True, stable=True)
    return (order.argsort(dim=-1).roll(1, -1) + 1).to(scores.dtype)


def ranking_reward(
    scores: Tensor,
    *,
    gamma: float = 1.0,
    average: bool = True,
    base: float = math.e,
    offset: float = 1.0,
    floor: bool = False,
    joint: bool = True,
    temperature: float = 0.0,
) -> Tensor:
    """Return the score of the positive, discounted by its rank, less the scores of the negatives, weighted by theirs.

    R_rank = s_(r) / (1 + log r) - gamma * sum over k != r of s_(k) * (log k - 1), where s_(k) is the k-th highest
    score and r the rank of the positive.

    Args:
        scores: Shape ``(..., 1 + num_negatives)``, the positive first.
        gamma: Weight of the negatives.
        average: Mean over the negatives instead of the sum, so that gamma does not depend on their number.
        base: Of the logarithm.
        offset: The 1 in ``log k - 1``. The weight is negative for k below ``base ** offset``: there a negative earns by
            being similar.
        floor: Weights below 0 become 0, so that no negative earns.
        joint: Negatives have their rank in the joint list; else among the negatives alone.
        temperature: Of the ranks, see :func:`ranks`; at 0 the gradient flows through the scores only.

    Returns:
        Shape ``(...)``.

    >>> ranking_reward(torch.tensor([0.8, 0.5]), average=False)  # 0.8 - 0.5 * (log 2 - 1)
    tensor(0.9534)
    """
    _check(scores)
    rank = ranks(scores, temperature=temperature)
    first, others = rank[..., :1], rank[..., 1:]
    if not joint:
        lead = scores[..., :1] - scores[..., 1:]
        others = others - (torch.sigmoid(lead / temperature) if temperature > 0 else (first < others).to(scores.dtype))
    weight = others.log() / math.log(base) - offset
    penalty = scores[..., 1:] * (weight.clamp(min=0) if floor else weight)
    gain = scores[..., 0] / (1 + first[..., 0].log() / math.log(base))
    return gain - gamma * (penalty.mean(-1) if average else penalty.sum(-1))


def graded_reward(scores: Tensor, grades: Tensor, *, temperature: float = 0.05) -> Tensor:
    """Return how well the order of scores agrees with the order of grades. Ours, beyond the paper.

    R_graded = weighted mean over pairs i, j with g_i > g_j of tanh((s_i - s_j) / (2 * temperature)).
    A pair weighs ``2**g_i - 2**g_j`` (the difference of its gains in nDCG) over the number of pairs of its two grades:
    fifty random negatives weigh no more than one that lacks a single grain. Unlike the paper's ranking reward
    it knows a true order, so it is highest for that order and no other.

    Args:
        scores: Shape ``(..., 1 + num_negatives)``.
        grades: Same shape, whole numbers: how many grains of the query are kept.
        temperature: A lead of about twice this counts as full; 0 counts the sign alone.

    Returns:
        Shape ``(...)``, -1 to 1. Equal scores give 0; all grades equal give 0.

    >>> graded_reward(torch.tensor([0.9, 0.5, 0.1]), torch.tensor([2, 1, 0]), temperature=0)
    tensor(1.)
    """
    _check(scores)
    top = int(grades.max()) + 1
    onehot = torch.nn.functional.one_hot(grades.long(), top).to(scores.dtype)
    number = onehot.sum(-2)  # of each grade
    gains = 2.0 ** torch.arange(top, device=scores.device, dtype=scores.dtype)
    gain, count = gains[grades.long()], (onehot * number.unsqueeze(-2)).sum(-1)
    weight = (gain.unsqueeze(-1) - gain.unsqueeze(-2)).clamp(min=0) / (count.unsqueeze(-1) * count.unsqueeze(-2))
    lead = scores.unsqueeze(-1) - scores.unsqueeze(-2)
    agreement = torch.tanh(lead / (2 * temperature)) if temperature > 0 else lead.sign()
    return (weight * agreement).sum((-2, -1)) / weight.sum((-2, -1)).clamp(min=torch.finfo(scores.dtype).tiny)


def listwise_reward(scores: Tensor, others: Tensor | None = None, *, temperature: float = 0.05) -> Tensor:
    """Return the log-probability that a softmax over the list gives to the positive. Ours, beyond the paper.

    R_list = s_p / tau - log( sum over all k of exp(s_k / tau) ): less InfoNCE, so that its own gradient is a
    contrastive step, and the policy gradient teaches the summaries what it teaches the embeddings. Unlike the
    margin and the ranking reward it pays for differences alone: similarity to all candidates earns nothing.

    Args:
        scores: Shape ``(..., 1 + num_negatives)``, the positive first.
        others: Scores of further negatives, shape ``(..., num_others)``; minus infinity leaves one out.
        temperature: tau, above 0.

    Returns:
        Shape ``(...)``, 0 or less; ``-log(length)`` where all scores are equal.

    >>> listwise_reward(torch.tensor([0.5, 0.5]))  # -log 2
    tensor(-0.6931)
    """
    _check(scores)
    everyone = scores if others is None else torch.cat([scores, others], -1)
    return torch.log_softmax(everyone / temperature, -1)[..., 0]


def reward_parts(
    scores: Tensor, options: Reward, grades: Tensor | None = None, others: Tensor | None = None
) -> dict[str, Tensor]:
    """Return the parts that have a weight and their ``total``, each of shape ``(...)``.

    R = alpha * R_margin + epsilon * R_rank (alpha 0.4, epsilon 0.6 in the paper) + graded * R_graded
    + listwise * R_list.

    Args:
        scores: Shape ``(..., 1 + num_negatives)``, the positive first.
        options: Weights and options.
        grades: Shape of ``scores``; needed where the graded part has a weight.
        others: Further negatives of the listwise reward.

    Raises:
        InputError: The graded reward without grades, or no negative.

    >>> parts = reward_parts(torch.tensor([0.8, 0.5]), Reward(gamma=0))
    >>> {name: round(float(value), 2) for name, value in parts.items()}  # 0.4 * 0.3 + 0.6 * 0.8
    {'margin': 0.3, 'ranking': 0.8, 'total': 0.6}
    """
    parts: dict[str, Tensor] = {}
    if options.alpha:
        parts["margin"] = margin_reward(scores, delta=options.delta, softness=options.softness)
    if options.epsilon:
        parts["ranking"] = ranking_reward(
            scores,
            gamma=options.gamma,
            average=options.average,
            base=options.base,
            offset=options.offset,
            floor=options.floor,
            joint=options.joint,
            temperature=options.rank_temperature,
        )
    if options.graded:
        if grades is None:
            raise InputError("the graded reward needs the grades of the negatives", where="reward.graded")
        parts["graded"] = graded_reward(scores, grades, temperature=options.graded_temperature)
    if options.listwise:
        parts["listwise"] = listwise_reward(scores, others, temperature=options.listwise_temperature)
    weights = {"margin": options.alpha, "ranking": options.epsilon, "graded": options.graded}
    weights["listwise"] = options.listwise
    total = sum((weights[name] * part for name, part in parts.items()), scores.new_zeros(scores.shape[:-1]))
    return {**parts, "total": total}


def _check(scores: Tensor) -> None:
    if scores.shape[-1] < 2:
        raise InputError("a reward needs a positive and at least one negative", got=tuple(scores.shape))
