"""The five training losses, computed from the cosines between a step's queries and its candidates.

All see the same candidates, so that they cost the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from elva.config import Reward
from elva.grpo import clipped_loss, group_advantages
from elva.policy import Gaussian
from elva.rewards import reward_parts

HARDEST = 32
"""Other candidates of a step, those that score highest, in the list that a reward looks at."""
ROLLOUTS = 32
"""Draws of the policy for a query."""


@dataclass(frozen=True)
class Batch:
    """The queries of a step and all of its candidates.

    Attributes:
        scores: Cosines, shape ``(num_queries, num_candidates)``.
        listed: Columns of each query's positive and, behind it, its own negatives, shape ``(num_queries, 1 + n)``.
        there: Which of them there are, same shape: a query without a ladder has no negative of its own.
        masked: Candidates that a query must not be pushed from: they answer it, or may; shape of ``scores``.
        kept: How many of the query's grains each candidate keeps; -1 where not known; shape of ``scores``.
    """

    scores: Tensor
    listed: Tensor
    there: Tensor
    masked: Tensor
    kept: Tensor

    @property
    def positives(self) -> Tensor:
        """Column of each query's positive."""
        return self.listed[:, 0]

    def open(self) -> Tensor:
        """Return the scores, minus infinity for masked candidates but the positive."""
        own = torch.zeros_like(self.masked).scatter(1, self.positives[:, None], True)
        return self.scores.masked_fill(self.masked & ~own, -torch.inf)


@dataclass(frozen=True)
class Setting:
    """What the validation split picks.

    Attributes:
        temperature: Of all softmaxes, of ranks and margins of the reward, and the deviation of what the policy draws.
        rate: Learning rate.
        weight: Of what the objective says of ladders, beside InfoNCE; 0 where it says nothing.
        drop: Share of the features that a step leaves out at random.
    """

    temperature: float
    rate: float
    weight: float = 0.0
    drop: float = 0.0


Objective = Callable[[Batch, Setting, torch.Generator], Tensor]


def infonce(batch: Batch, setting: Setting, generator: torch.Generator) -> Tensor:
    """Return InfoNCE, from queries to candidates and back, a scalar."""
    there = cross_entropy(batch.open() / setting.temperature, batch.positives)
    among = batch.scores[:, batch.positives].T  # rows: the positives; columns: the queries
    masked = batch.masked[:, batch.positives].T & ~torch.eye(len(among), dtype=torch.bool, device=among.device)
    own = torch.arange(len(among), device=among.device)
    back = cross_entropy(among.masked_fill(masked, -torch.inf) / setting.temperature, own)
    return (there + back) / 2


def ladder(batch: Batch, setting: Setting, generator: torch.Generator) -> Tensor:
    """Return InfoNCE and, by weight, the positive's cross-entropy among its own ladder alone."""
    scores = batch.scores.gather(1, batch.listed).masked_fill(~batch.there, -torch.inf)
    first = torch.zeros(len(scores), dtype=torch.long, device=scores.device)
    return infonce(batch, setting, generator) + setting.weight * cross_entropy(scores / setting.temperature, first)


def graded(batch: Batch, setting: Setting, generator: torch.Generator) -> Tensor:
    """Return InfoNCE and, by weight, the same for every member of the ladder against all that keep fewer grains.

    A candidate whose grade is not known counts as one that keeps none. Source of the idea: Hoffmann et al., Ranking
    info noise contrastive estimation (arXiv 2201.11736).
    """
    members = batch.listed[:, 1:]
    kept = batch.kept.gather(1, members)
    known = batch.there[:, 1:] & (kept >= 0)
    lower = (batch.kept[:, None] < kept[..., None]) & ~batch.masked[:, None]
    scores = batch.scores / setting.temperature
    own = scores.gather(1, members)
    rest = scores[:, None].masked_fill(~lower, -torch.inf).logsumexp(-1)
    lost = torch.logaddexp(own, rest) - own
    listwise = lost[known].sum() / known.sum().clamp(min=1)
    return infonce(batch, setting, generator) + setting.weight * listwise


def reward(batch: Batch, setting: Setting, generator: torch.Generator) -> Tensor:
    """Return InfoNCE less, by weight, ELVA's reward: margin and ranking, with its gradient through both.

    As printed, the ranking reward pays a negative of the first two ranks for being similar; here it earns nothing.
    The reward alone pays for likeness to everything, and collapses: ELVA too rewards what was trained by contrast.
    """
    options = Reward(floor=True, softness=setting.temperature, rank_temperature=setting.temperature)
    earned = reward_parts(_list(batch), options)["total"].mean() / setting.temperature
    return infonce(batch, setting, generator) - setting.weight * earned


def policy(batch: Batch, setting: Setting, generator: torch.Generator) -> Tensor:
    """Return InfoNCE and, by weight, the clipped loss of GRPO with ELVA's reward, for a policy around the embeddings.

    A Gaussian around every candidate's embedding meets the query in one number: the reward sees of it the score alone.
    So the scores are drawn, which is the same policy without the noise that the reward does not see.
    """
    scores = _list(batch)
    number = scores.shape[1]
    around = Gaussian(number, setting.temperature * number**0.5)
    drawn = around.sample(scores.detach(), ROLLOUTS, generator)
    advantages = group_advantages(reward_parts(drawn, Reward(floor=True))["total"])
    log_probs = around.log_prob(drawn, scores.unsqueeze(1)).reshape(-1, 1)
    ones = torch.ones_like(log_probs)
    learned = clipped_loss(log_probs, log_probs.detach(), advantages.reshape(-1), ones)
    return infonce(batch, setting, generator) + setting.weight * learned


def _list(batch: Batch) -> Tensor:
    """Return the scores of the positive, of the query's own negatives and of the hardest others, ``(n, length)``."""
    scores = batch.open()
    others = scores.detach().scatter(1, batch.listed, -torch.inf)
    hardest = others.topk(min(HARDEST, others.shape[1] - batch.listed.shape[1]), dim=1).indices
    found = scores.gather(1, torch.cat([batch.listed, hardest], 1))
    worst = found.detach().masked_fill(~found.isfinite(), 1).amin(1, keepdim=True)
    lacking = ~found.isfinite()
    lacking[:, : batch.there.shape[1]] |= ~batch.there
    return torch.where(lacking, worst, found)  # too few: the last one again, which changes no rank before it


OBJECTIVES: dict[str, Objective] = {
    "infonce": infonce,
    "ladder": ladder,
    "graded": graded,
    "reward": reward,
    "policy": policy,
}
NEED_LADDERS = ("ladder", "graded", "reward", "policy")


def grid(
    objective: str, *, identity: bool = False, rate: float | None = None, temperature: float | None = None
) -> tuple[Setting, ...]:
    """Return the settings that the validation split chooses among, as many for every objective: all cost the same.

    Args:
        objective: One of :data:`OBJECTIVES`.
        identity: Whether training starts from a model that smaller steps refine, and nothing is left out at random.
        rate: Learning rate in the place of the grid's.
        temperature: Of the model itself, where it has one.

    >>> [(setting.temperature, setting.rate) for setting in grid("infonce", identity=True)]
    [(0.05, 0.0001), (0.05, 0.001), (0.1, 0.0001), (0.1, 0.001)]
    """
    usual = (1e-4, 1e-3) if identity else (1e-3, 3e-3)
    rates = usual if rate is None else (rate,)
    drops = (0.0,) if identity else (0.25, 0.5)
    if objective == "infonce":
        pairs = [(tau, 0.0) for tau in (0.05, 0.1 if temperature is None else temperature)]
    else:
        pairs = [(0.05 if temperature is None else temperature, weight) for weight in (0.3, 1.0)]
    found = [Setting(tau, step, weight, drop) for tau, weight in pairs for drop in drops for step in rates]
    return tuple(dict.fromkeys(found))
