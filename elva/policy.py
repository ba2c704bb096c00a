"""Random directions around an embedding: what an encoder that generates nothing explores with.

A policy has a mean (the embedding) and one fixed width, so its normalising constant has no gradient; it is part of the
log-density all the same. ``spread`` is about the angle, in radians, between a mean and what is drawn around it.
"""

from __future__ import annotations

import math
from typing import Protocol

import torch
from scipy.special import ive
from torch import Tensor

from mrbench.errors import InputError


class Policy(Protocol):
    """A distribution around unit vectors."""

    def sample(self, means: Tensor, rollouts: int, generator: torch.Generator) -> Tensor:
        """Draw, differentiably in the means ``(..., dimension)``: ``(..., rollouts, dimension)``, not normalised."""
        ...

    def log_prob(self, samples: Tensor, means: Tensor) -> Tensor:
        """Return the log-density of samples ``(..., dimension)`` around means that broadcast; ``(...)``."""
        ...

    def divergence(self, means: Tensor, reference: Tensor) -> Tensor:
        """Return KL(policy around ``means`` || policy around ``reference``), ``(...)``, at least 0."""
        ...


class Gaussian:
    """N(mean, sigma^2 I) with sigma = spread / sqrt(dimension).

    Args:
        dimension: Length of an embedding.
        spread: About the angle between mean and sample, in radians.

    >>> policy = Gaussian(2, spread=math.sqrt(2))  # sigma 1
    >>> round(float(policy.log_prob(torch.tensor([1.0, 1.0]), torch.tensor([1.0, 0.0]))), 4)  # -1/2 - log(2 pi)
    -2.3379
    """

    def __init__(self, dimension: int, spread: float) -> None:
        self.sigma = spread / math.sqrt(dimension)

    def sample(self, means: Tensor, rollouts: int, generator: torch.Generator) -> Tensor:
        """Draw ``mean + sigma * noise``."""
        centre = means.unsqueeze(-2).expand(*means.shape[:-1], rollouts, means.shape[-1])
        return centre + self.sigma * torch.randn(centre.shape, generator=generator).to(centre)

    def log_prob(self, samples: Tensor, means: Tensor) -> Tensor:
        """Return -|z - mean|^2 / (2 sigma^2) - dimension / 2 * log(2 pi sigma^2)."""
        distance = (samples - means).square().sum(-1) / (2 * self.sigma**2)
        return -distance - samples.shape[-1] / 2 * math.log(2 * math.pi * self.sigma**2)

    def divergence(self, means: Tensor, reference: Tensor) -> Tensor:
        """Return |mean - reference|^2 / (2 sigma^2)."""
        return (means - reference).square().sum(-1) / (2 * self.sigma**2)


class VonMisesFisher:
    """The normal distribution of the sphere, with kappa = dimension / spread^2.

    Args:
        dimension: Length of an embedding, at least 2.
        spread: About the angle between mean and sample, in radians.

    Source: Wood, "Simulation of the von Mises Fisher distribution" (1994), for the sampler.

    >>> policy = VonMisesFisher(3, spread=1.0)  # kappa 3, C = kappa / (4 pi sinh kappa)
    >>> pole = torch.tensor([0.0, 0.0, 1.0])
    >>> bool(abs(float(policy.log_prob(pole, pole)) - math.log(3 / (4 * math.pi * math.sinh(3))) - 3) < 1e-6)
    True
    """

    def __init__(self, dimension: int, spread: float) -> None:
        if dimension < 2:
            raise InputError(
                "no sphere of this dimension", got=dimension, accepted="2 or more", hint="take policy: gaussian"
            )
        self.dimension, self.kappa = dimension, dimension / spread**2
        order = dimension / 2 - 1
        self.log_constant = (
            order * math.log(self.kappa) - dimension / 2 * math.log(2 * math.pi) - log_bessel(order, self.kappa)
        )
        self.mean_cosine = math.exp(log_bessel(order + 1, self.kappa) - log_bessel(order, self.kappa))

    def sample(self, means: Tensor, rollouts: int, generator: torch.Generator) -> Tensor:
        """Draw a cosine by rejection and a direction at random, then turn the first axis onto the mean."""
        shape = (*means.shape[:-1], rollouts)
        cosine = self._cosines(math.prod(shape), generator).reshape(*shape, 1).to(means)
        tangent = torch.randn(*shape, self.dimension - 1, generator=generator).to(means)
        tangent = torch.nn.functional.normalize(tangent, dim=-1) * (1 - cosine.square()).clamp(min=0).sqrt()
        drawn = torch.cat([cosine, tangent], -1)
        axis = torch.zeros_like(means)
        axis[..., 0] = 1
        mirror = torch.nn.functional.normalize(axis - means, dim=-1).unsqueeze(-2)  # Householder: axis -> mean
        return drawn - 2 * (drawn * mirror).sum(-1, keepdim=True) * mirror

    def _cosines(self, number: int, generator: torch.Generator) -> Tensor:
        width = self.dimension - 1
        b = width / (2 * self.kappa + math.sqrt(4 * self.kappa**2 + width**2))
        centre = (1 - b) / (1 + b)
        c = self.kappa * centre + width * math.log(1 - centre**2)
        gamma = torch.full((2 * max(number, 8),), width / 2, dtype=torch.float64)
        kept: list[Tensor] = []
        while sum(map(len, kept)) < number:
            # A Beta(a, a) is the share of one of two Gamma(a); torch draws those with a generator.
            one, other = (torch._standard_gamma(gamma, generator=generator) for _ in range(2))
            z = one / (one + other)
            w = (1 - (1 + b) * z) / (1 - (1 - b) * z)
            u = torch.rand(len(w), generator=generator, dtype=torch.float64)
            kept.append(w[self.kappa * w + width * torch.log(1 - centre * w) - c >= u.log()])
        return torch.cat(kept)[:number]

    def log_prob(self, samples: Tensor, means: Tensor) -> Tensor:
        """Return kappa * cos(z, mean) + log C(kappa); both must have unit length."""
        return self.kappa * (samples * means).sum(-1) + self.log_constant

    def divergence(self, means: Tensor, reference: Tensor) -> Tensor:
        """Return kappa * A(kappa) * (1 - cos(mean, reference)), A the mean cosine."""
        return self.kappa * self.mean_cosine * (1 - (means * reference).sum(-1))


def log_bessel(order: float, x: float) -> float:
    """Return log I_order(x), the modified Bessel function of the first kind, for order >= 0 and x > 0.

    From order 30 on by the uniform asymptotic expansion (Abramowitz and Stegun 9.7.7, two terms: below 1e-6 there),
    because the function itself underflows for the orders that embeddings have.

    >>> round(log_bessel(0.5, 1.0), 6)  # sqrt(2 / pi) * sinh 1
    -0.064352
    """
    if order < 30:
        return math.log(float(ive(order, x))) + x
    z = x / order
    root = math.hypot(1, z)
    t = 1 / root
    eta = root + math.log(z / (1 + root))
    first = (3 * t - 5 * t**3) / 24
    second = (81 * t**2 - 462 * t**4 + 385 * t**6) / 1152
    series = math.log1p(first / order + second / order**2)
    return order * eta - 0.5 * math.log(2 * math.pi * order) - 0.5 * math.log(root) + series
