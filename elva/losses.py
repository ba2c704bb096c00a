"""The contrastive loss of stages 1 and 2."""

from __future__ import annotations

import torch
from torch import Tensor


def info_nce(queries: Tensor, candidates: Tensor, positives: Tensor, masked: Tensor, *, temperature: float) -> Tensor:
    """Return InfoNCE, a scalar; lower is better.

    L = -(1/N) sum_n log( exp(cos(q_n, c_n+) / tau) / sum_m exp(cos(q_n, c_m) / tau) ).

    Args:
        queries: Unit length, shape ``(num_queries, dimension)``.
        candidates: Unit length, shape ``(num_candidates, dimension)``.
        positives: Index of each query's positive, shape ``(num_queries,)``.
        masked: Candidates that the query must not be pushed from: those that answer it too, and what only pads the
            list; shape ``(num_queries, num_candidates)``. The positive itself is never left out.
        temperature: tau.

    Source: ELVA (arXiv 2606.20280), InfoNCE; the masking of false negatives is ours.

    >>> one = torch.eye(2)
    >>> round(float(info_nce(one, one, torch.arange(2), torch.zeros(2, 2).bool(), temperature=1.0)), 4)  # log(1 + 1/e)
    0.3133
    >>> float(info_nce(one, one, torch.arange(2), torch.ones(2, 2).bool(), temperature=1.0))
    0.0
    """
    scores = queries @ candidates.T / temperature
    own = torch.nn.functional.one_hot(positives, len(candidates)).bool()
    return torch.nn.functional.cross_entropy(scores.masked_fill(masked & ~own, -torch.inf), positives)
