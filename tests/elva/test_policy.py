import math

import pytest
import torch
from scipy.special import ive
from scipy.stats import multivariate_normal, vonmises_fisher

from elva.policy import Gaussian, VonMisesFisher, log_bessel
from mrbench.errors import InputError


def unit(*shape, seed=0):
    drawn = torch.randn(*shape, generator=torch.manual_seed(seed), dtype=torch.float64)
    return torch.nn.functional.normalize(drawn, dim=-1)


@pytest.mark.parametrize("dimension", [2, 3, 64])
def test_densities_agree_with_scipy(dimension):
    mean, samples = unit(dimension), unit(5, dimension, seed=1)
    fisher, gaussian = VonMisesFisher(dimension, 0.7), Gaussian(dimension, 0.7)
    expected = vonmises_fisher(mean.numpy(), fisher.kappa).logpdf(samples.numpy())
    assert fisher.log_prob(samples, mean).tolist() == pytest.approx(expected)
    expected = multivariate_normal(mean.numpy(), gaussian.sigma**2).logpdf(samples.numpy())
    assert gaussian.log_prob(samples, mean).tolist() == pytest.approx(expected)


@pytest.mark.parametrize(("order", "x"), [(30, 0.5), (30, 40.0), (31, 200.0), (255, 700.0), (50, 2000.0)])
def test_the_expansion_of_bessel_agrees_with_scipy(order, x):
    assert log_bessel(order, x) == pytest.approx(math.log(ive(order, x)) + x, abs=1e-6)


def test_the_constant_exists_where_the_bessel_function_underflows():
    assert ive(1023, 5.0) == 0
    assert math.isfinite(VonMisesFisher(2048, 20.0).log_constant)


@pytest.mark.parametrize("policy", [Gaussian(16, 0.5), VonMisesFisher(16, 0.5)])
def test_samples_have_the_mean_and_the_divergence_that_are_claimed(policy):
    mean, reference = unit(16), torch.nn.functional.normalize(unit(16) + 0.3 * unit(16, seed=1), dim=-1)
    samples = policy.sample(mean, 20_000, torch.Generator().manual_seed(0))
    if isinstance(policy, VonMisesFisher):
        assert torch.allclose(samples.norm(dim=-1), torch.ones(()).double())
        assert (samples @ mean).mean().item() == pytest.approx(policy.mean_cosine, abs=3e-3)
    centre = torch.nn.functional.normalize(samples.mean(0), dim=-1)
    assert (centre @ mean).item() > 0.999
    angle = torch.arccos((torch.nn.functional.normalize(samples, dim=-1) @ mean).clamp(-1, 1)).mean().item()
    assert angle == pytest.approx(0.5, abs=0.1)
    estimate = (policy.log_prob(samples, mean) - policy.log_prob(samples, reference)).mean().item()
    assert policy.divergence(mean, reference).item() == pytest.approx(estimate, rel=0.03)
    assert policy.divergence(mean, mean).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("kind", [Gaussian, VonMisesFisher])
def test_samples_move_with_the_mean(kind):
    """Pathwise gradient of E[a . z]: that of the expected sample, (mean cosine) * a."""
    policy, weights = kind(8, 0.6), unit(8, seed=2)
    mean = unit(8).requires_grad_()
    unit_mean = torch.nn.functional.normalize(mean, dim=-1)
    drawn = policy.sample(unit_mean, 40_000, torch.Generator().manual_seed(0))
    (drawn @ weights).mean().backward()
    scale = policy.mean_cosine if kind is VonMisesFisher else 1
    expected = scale * (weights - (weights @ unit_mean.detach()) * unit_mean.detach())
    assert torch.allclose(mean.grad, expected, atol=0.02)


def test_a_seed_gives_the_same_samples_and_a_line_has_no_sphere():
    one, other = (VonMisesFisher(6, 0.4).sample(unit(3, 6), 4, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(one, other)
    assert one.shape == (3, 4, 6)
    with pytest.raises(InputError, match="no sphere"):
        VonMisesFisher(1, 0.5)
