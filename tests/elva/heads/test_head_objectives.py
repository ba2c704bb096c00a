"""Losses by hand, and what each of them pushes."""

import math

import pytest
import torch

from elva.tuning.objectives import NEED_LADDERS, OBJECTIVES, Batch, Setting, grid

ONE = Setting(1.0, 1e-3, 1.0)


def batch(scores, listed, *, masked=(), kept=None, there=None):
    scores = torch.tensor(scores, requires_grad=True)
    shape = scores.shape
    listed = torch.tensor(listed)
    mask = torch.zeros(shape, dtype=torch.bool)
    for row, column in masked:
        mask[row, column] = True
    kept = torch.full(shape, -1) if kept is None else torch.tensor(kept)
    there = torch.ones(listed.shape, dtype=torch.bool) if there is None else torch.tensor(there)
    return Batch(scores, listed, there, mask, kept)


def value(name, given, setting=ONE):
    return float(OBJECTIVES[name](given, setting, torch.Generator().manual_seed(0)).detach())


def test_infonce_by_hand():
    given = batch([[0.5, 0.0], [0.0, 0.5]], [[0], [1]])
    assert value("infonce", given) == pytest.approx(math.log(1 + math.exp(-0.5)), abs=1e-6)


def test_a_false_negative_is_masked_in_both_directions():
    scores = [[0.5, 0.9], [0.9, 0.5]]
    assert value("infonce", batch(scores, [[0], [1]], masked=[(0, 1), (1, 0)])) == pytest.approx(0, abs=1e-6)
    assert value("infonce", batch(scores, [[0], [1]])) > 0.5


def test_the_ladder_term_looks_at_the_own_ladder_alone():
    given = batch([[0.5, 0.0, 0.2], [0.0, 0.5, 0.2]], [[0, 2], [1, 2]])
    term = value("ladder", given) - value("infonce", given)
    assert term == pytest.approx(math.log(1 + math.exp(-0.3)), abs=1e-6)
    lacking = batch([[0.5, 0.0, 0.2], [0.0, 0.5, 0.2]], [[0, 2], [1, 2]], there=[[True, False], [True, False]])
    assert value("ladder", lacking) == pytest.approx(value("infonce", lacking), abs=1e-6)


def test_the_graded_term_puts_a_member_before_what_keeps_less_and_not_before_what_keeps_as_much():
    # one query; columns: positive (3 grains), member (2), as good as the member (2), worse (1)
    given = batch([[0.9, 0.4, 0.8, 0.1]], [[0, 1]], kept=[[3, 2, 2, 1]])
    term = value("graded", given) - value("infonce", given)
    assert term == pytest.approx(math.log(1 + math.exp(0.1 - 0.4)), abs=1e-6)


@pytest.mark.parametrize("name", ["reward", "policy"])
def test_a_reward_lifts_the_positive_and_sinks_its_ladder(name):
    torch.manual_seed(0)
    given = batch([[0.3, 0.35, 0.1, 0.0]] * 40, [[0, 1]] * 40)
    loss = OBJECTIVES[name](given, Setting(0.1, 1e-3, 1.0), torch.Generator().manual_seed(0))
    term = loss - OBJECTIVES["infonce"](given, Setting(0.1, 1e-3), torch.Generator())
    (gradient,) = torch.autograd.grad(term, given.scores)
    assert gradient[:, 0].mean() < 0 < gradient[:, 1].mean()


def test_the_policy_draws_as_the_generator_says():
    given = batch([[0.3, 0.35, 0.1, 0.0]] * 4, [[0, 1]] * 4)
    gradients = []
    for seed in (0, 0, 1):
        loss = OBJECTIVES["policy"](given, ONE, torch.Generator().manual_seed(seed))
        gradients.append(torch.autograd.grad(loss, given.scores)[0])
    assert torch.equal(gradients[0], gradients[1])
    assert not torch.equal(gradients[0], gradients[2])


def test_all_objectives_try_as_many_settings():
    assert {len(grid(name)) for name in OBJECTIVES} == {8}
    assert {len(grid(name, identity=True)) for name in OBJECTIVES} == {4}
    assert {setting.rate for name in OBJECTIVES for setting in grid(name, rate=0.5)} == {0.5}
    assert set(NEED_LADDERS) < set(OBJECTIVES)
