"""How well a policy gradient points where the expected reward rises: draws of embeddings, or of scores.

python benchmarks/policy_noise.py

A query and 37 candidates of given cosines, the positive in the second place. ``embeddings``: query and candidates are
drawn jointly, as `mrbench train plug-in` does. ``scores``: the scores are drawn, as `--objective policy` does.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from elva.config import Reinforcement, Reward
from elva.grpo import group_advantages
from elva.policy import Gaussian
from elva.rewards import reward_parts

NUMBER, DEVIATION, REPEATS, MANY = 37, 0.05, 20, 20_000


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    settings = Reinforcement()
    for dimension in (64, 512):
        found: dict[tuple[str, int], list[tuple[float, float]]] = {}
        for _ in range(REPEATS):
            query, candidates = drawn(dimension)
            scores = candidates @ query
            true = across(by_scores(scores, MANY) @ candidates, query)
            for rollouts in (8, 32):
                for name, gradient in (
                    ("embeddings", by_embeddings(query, candidates, rollouts, settings.spread)),
                    ("scores", by_scores(scores, rollouts) @ candidates),
                ):
                    moved = across(gradient, query)
                    cosine = float(torch.cosine_similarity(moved, true, dim=0))
                    found.setdefault((name, rollouts), []).append((cosine, float(moved.norm())))
        for (name, rollouts), values in found.items():
            cosine, length = torch.tensor(values).mean(0).tolist()
            useful = f"cosine {cosine:.3f}, useful part {cosine * length:.0f}"
            print(f"dimension {dimension}, {rollouts} draws of {name}: {useful}")
        pull = settings.beta * dimension / settings.spread**2
        print(f"dimension {dimension}: the divergence pulls back with {pull:.0f} a radian")


def drawn(dimension: int) -> tuple[Tensor, Tensor]:
    """Return a query and candidates around it."""
    query = normalize(torch.randn(dimension), dim=0)
    cosines = torch.linspace(0.35, 0.0, NUMBER)
    cosines[0] = 0.3
    aside = torch.randn(NUMBER, dimension)
    aside = normalize(aside - (aside @ query)[:, None] * query, dim=1)
    return query, cosines[:, None] * query + (1 - cosines.square()).sqrt()[:, None] * aside


def by_scores(scores: Tensor, rollouts: int) -> Tensor:
    """Return the policy gradient in the scores."""
    noise = torch.randn(rollouts, NUMBER)
    return (advantages(scores + DEVIATION * noise)[:, None] * noise / DEVIATION).mean(0)


def by_embeddings(query: Tensor, candidates: Tensor, rollouts: int, spread: float) -> Tensor:
    """Return the policy gradient in the query's embedding where all embeddings are drawn."""
    policy, generator = Gaussian(len(query), spread), torch.Generator().manual_seed(int(torch.randint(1 << 30, ())))
    asked = policy.sample(query[None], rollouts, generator)[0]
    found = policy.sample(candidates, rollouts, generator)
    scores = torch.einsum("gd,ngd->gn", normalize(asked, dim=-1), normalize(found, dim=-1))
    return (advantages(scores)[:, None] * (asked - query) / policy.sigma**2).mean(0)


def advantages(scores: Tensor) -> Tensor:
    """Return the advantages of rollouts by ELVA's reward."""
    return group_advantages(reward_parts(scores, Reward(floor=True))["total"][None])[0]


def across(gradient: Tensor, query: Tensor) -> Tensor:
    """Return the part of a gradient that turns the query."""
    return gradient - (gradient @ query) * query


if __name__ == "__main__":
    main()
