from itertools import permutations
from math import e, log, tanh

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from elva.config import Reward
from elva.losses import info_nce
from elva.rewards import graded_reward, listwise_reward, margin_reward, ranking_reward, ranks, reward_parts
from mrbench.errors import InputError

SCORES = torch.tensor([0.6, 0.8, 0.3], dtype=torch.float64)  # ranks: positive 2, negatives 1 and 3
GRADES = torch.tensor([2, 1, 0])
score_lists = st.lists(st.integers(-99, 99).map(lambda n: n / 100), min_size=2, max_size=9, unique=True)


def test_margin_by_hand():
    scores = torch.tensor([[0.9, 0.5, 0.4], [0.5, 0.9, 0.4], [0.5, 0.5, 0.4]])
    assert margin_reward(scores, delta=0.1).tolist() == pytest.approx([0.3, 0, 0])
    soft = margin_reward(scores, delta=0.1, softness=0.1).tolist()
    assert soft == pytest.approx([0.1 * log(1 + e**3), 0.1 * log(1 + e**-5), 0.1 * log(1 + e**-1)], abs=1e-6)


def test_a_hard_margin_is_silent_where_the_model_is_wrong_and_a_soft_one_is_not():
    gradients = []
    for softness in (0.0, 0.1):
        scores = SCORES.clone().requires_grad_()
        margin_reward(scores, softness=softness).backward()
        gradients.append(scores.grad)
    assert gradients[0].abs().sum() == 0
    assert gradients[1][0] > 0 > gradients[1][1]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"average": False}, 0.6 / (1 + log(2)) - (0.8 * (log(1) - 1) + 0.3 * (log(3) - 1))),
        ({}, 0.6 / (1 + log(2)) - (0.8 * (log(1) - 1) + 0.3 * (log(3) - 1)) / 2),
        ({"gamma": 0}, 0.6 / (1 + log(2))),
        ({"base": 2, "gamma": 0.5}, 0.6 / 2 - 0.5 * (0.8 * -1 + 0.3 * (log(3) / log(2) - 1)) / 2),
        ({"floor": True}, 0.6 / (1 + log(2)) - 0.3 * (log(3) - 1) / 2),
        ({"offset": 0}, 0.6 / (1 + log(2)) - 0.3 * log(3) / 2),
        ({"joint": False}, 0.6 / (1 + log(2)) - (0.8 * -1 + 0.3 * (log(2) - 1)) / 2),
    ],
)
def test_ranking_by_hand(options, expected):
    assert float(ranking_reward(SCORES, **options)) == pytest.approx(expected)


def test_the_formula_as_printed_pays_a_negative_on_top_and_the_floor_does_not():
    higher = torch.tensor([0.6, 0.9, 0.3])
    assert ranking_reward(higher) > ranking_reward(SCORES)
    assert ranking_reward(higher, floor=True) == pytest.approx(float(ranking_reward(SCORES, floor=True)))


def test_ranks_count_ties_against_the_positive():
    assert ranks(torch.tensor([[0.5, 0.5, 0.5], [0.1, 0.3, 0.2]])).tolist() == [[3, 1, 2], [3, 1, 2]]
    assert ranks(torch.tensor([0.5, 0.5, 0.9]), temperature=1e-3).tolist() == pytest.approx([2.5, 2.5, 1])


@given(score_lists)
def test_soft_ranks_become_the_ranks(values):
    scores = torch.tensor(values, dtype=torch.float64)
    assert torch.allclose(ranks(scores, temperature=1e-4), ranks(scores))
    assert sorted(ranks(scores).tolist()) == list(range(1, len(values) + 1))


@given(score_lists, st.integers(0, 10**6))
def test_the_order_of_negatives_changes_nothing(values, seed):
    scores = torch.tensor(values, dtype=torch.float64)
    order = torch.cat([torch.tensor([0]), 1 + torch.randperm(len(values) - 1, generator=torch.manual_seed(seed))])
    grades = torch.tensor([3, *(n % 3 for n in range(len(values) - 1))])
    options = Reward(graded=1, softness=0.1, rank_temperature=0.1)
    one, other = reward_parts(scores, options, grades), reward_parts(scores[order], options, grades[order])
    for name in ("margin", "ranking", "graded", "total"):
        assert float(one[name]) == pytest.approx(float(other[name]))


def test_the_listwise_reward_is_less_infonce_and_pays_no_common_similarity():
    queries, candidates = torch.nn.functional.normalize(torch.randn(2, 5, 8, generator=torch.manual_seed(0)), dim=-1)
    scores = queries[:1] @ candidates.T
    loss = info_nce(queries[:1], candidates, torch.tensor([0]), torch.zeros(1, 5).bool(), temperature=0.1)
    assert float(listwise_reward(scores, temperature=0.1)) == pytest.approx(-float(loss), abs=1e-5)
    assert float(listwise_reward(scores + 0.3)) == pytest.approx(float(listwise_reward(scores)), abs=1e-4)
    split = listwise_reward(scores[:, :3], torch.cat([scores[:, 3:], torch.tensor([[-torch.inf]])], 1), temperature=0.1)
    assert float(split) == pytest.approx(-float(loss), abs=1e-5)
    parts = reward_parts(scores, Reward(alpha=0, epsilon=0, listwise=2.0, listwise_temperature=0.1))
    assert float(parts["total"]) == pytest.approx(-2 * float(loss), abs=1e-5)


def test_graded_by_hand():
    # pairs of grades (2, 1): 2**2 - 2 = 2; (2, 0): 3, shared by two pairs; (1, 0): 1, shared by two pairs
    scores, grades = torch.tensor([0.5, 0.6, 0.4, 0.7], dtype=torch.float64), torch.tensor([2, 1, 0, 0])
    signs = 2 * -1 + 3 / 2 * (1 - 1) + 1 / 2 * (1 - 1)
    assert float(graded_reward(scores, grades, temperature=0)) == pytest.approx(signs / 6)
    soft = 2 * tanh(-1) + 3 / 2 * (tanh(1) + tanh(-2)) + 1 / 2 * (tanh(2) + tanh(-1))
    assert float(graded_reward(scores, grades, temperature=0.05)) == pytest.approx(soft / 6)


@pytest.mark.parametrize("temperature", [0, 0.05])
def test_graded_is_highest_for_the_true_order_and_no_other(temperature):
    grades, values = torch.tensor([3, 2, 1, 0]), torch.tensor([0.7, 0.5, 0.4, 0.1])
    rewards = {
        p: float(graded_reward(values[list(p)], grades, temperature=temperature)) for p in permutations(range(4))
    }
    assert sorted(rewards.values())[-2] < rewards[0, 1, 2, 3] == max(rewards.values())
    assert min(rewards, key=rewards.get) == (3, 2, 1, 0)


def test_the_papers_negative_term_knows_no_true_order():
    """Sorted scores have one sum, whichever candidate has which: swapping two negatives changes nothing."""
    assert ranking_reward(torch.tensor([0.9, 0.5, 0.1])) == ranking_reward(torch.tensor([0.9, 0.1, 0.5]))


@pytest.mark.parametrize("grades", [[2, 2, 2], [2, 1, 0]])
def test_equal_scores_or_equal_grades_give_zero(grades):
    scores = torch.tensor([0.3, 0.3, 0.3] if grades[1] == 1 else [0.1, 0.2, 0.3])
    assert float(graded_reward(scores, torch.tensor(grades))) == 0


def test_batches_are_scored_one_by_one():
    scores = torch.rand(3, 4, 6, generator=torch.manual_seed(0)) * 2 - 1
    grades = torch.tensor([3, 2, 1, 1, 0, 0]).expand(3, 4, 6)
    options = Reward(graded=0.5, floor=True, delta=0.05)
    whole = reward_parts(scores, options, grades)
    for name, values in whole.items():
        assert values.shape == (3, 4)
        assert float(values[2, 1]) == pytest.approx(float(reward_parts(scores[2, 1], options, grades[2, 1])[name]))


@settings(deadline=None, max_examples=20)
@given(score_lists)
def test_gradients_are_those_of_finite_differences(values):
    scores = torch.tensor(values, dtype=torch.float64, requires_grad=True)
    grades = torch.arange(len(values)).flip(0)
    options = Reward(graded=1, softness=0.1, rank_temperature=0.1)
    assert torch.autograd.gradcheck(lambda s: reward_parts(s, options, grades)["total"], (scores,))


def test_total_weighs_the_parts_and_leaves_out_those_without_weight():
    parts = reward_parts(SCORES, Reward(alpha=0, epsilon=0.5, graded=2), torch.tensor([2, 1, 0]))
    assert set(parts) == {"ranking", "graded", "total"}
    assert float(parts["total"]) == pytest.approx(0.5 * float(parts["ranking"]) + 2 * float(parts["graded"]))


def test_what_a_reward_cannot_do_without():
    with pytest.raises(InputError, match="at least one negative"):
        reward_parts(torch.tensor([[0.5]]), Reward())
    with pytest.raises(InputError, match="needs the grades"):
        reward_parts(SCORES, Reward(graded=1))


MARGIN = {"alpha": 1, "epsilon": 0}
RANKING = {"alpha": 0, "epsilon": 1}
OTHERS = torch.tensor([0.7, -torch.inf], dtype=torch.float64)


@pytest.mark.parametrize(
    ("weights", "option", "expected"),
    [
        (MARGIN, {"delta": 0.25}, lambda s: margin_reward(s, delta=0.25)),
        (MARGIN, {"softness": 0.2}, lambda s: margin_reward(s, softness=0.2)),
        (RANKING, {"gamma": 0.5}, lambda s: ranking_reward(s, gamma=0.5)),
        (RANKING, {"average": False}, lambda s: ranking_reward(s, average=False)),
        (RANKING, {"base": 2.0}, lambda s: ranking_reward(s, base=2.0)),
        (RANKING, {"offset": 0.5}, lambda s: ranking_reward(s, offset=0.5)),
        (RANKING, {"floor": True}, lambda s: ranking_reward(s, floor=True)),
        (RANKING, {"joint": False}, lambda s: ranking_reward(s, joint=False)),
        (RANKING, {"rank_temperature": 0.3}, lambda s: ranking_reward(s, temperature=0.3)),
        (
            MARGIN | {"alpha": 0, "graded": 1},
            {"graded_temperature": 0.3},
            lambda s: graded_reward(s, GRADES, temperature=0.3),
        ),
        (
            MARGIN | {"alpha": 0, "listwise": 1},
            {"listwise_temperature": 0.3},
            lambda s: listwise_reward(s, OTHERS, temperature=0.3),
        ),
    ],
)
def test_every_option_reaches_its_reward(weights, option, expected):
    scores = torch.tensor([0.8, 0.6, 0.3], dtype=torch.float64)
    total = float(reward_parts(scores, Reward(**weights, **option), GRADES, OTHERS)["total"])
    assert total == pytest.approx(float(expected(scores)))
    assert total != pytest.approx(float(reward_parts(scores, Reward(**weights), GRADES, OTHERS)["total"]))


def test_defaults_are_those_of_a_recipe():
    scores, soft = torch.tensor([0.8, 0.6, 0.3], dtype=torch.float64), Reward(graded=1, listwise=1)
    parts = reward_parts(scores, soft, GRADES)
    assert float(parts["graded"]) == float(graded_reward(scores, GRADES))
    assert float(parts["listwise"]) == float(listwise_reward(scores))
    assert float(parts["margin"]) == float(margin_reward(scores))
    assert float(parts["ranking"]) == float(ranking_reward(scores))


def test_messages_name_the_field_and_the_shape():
    with pytest.raises(InputError, match=r"^a reward needs a positive and at least one negative; got: \(3, 1\)"):
        margin_reward(torch.zeros(3, 1))
    with pytest.raises(InputError, match=r"^the graded reward needs the grades of the negatives; where: reward.graded"):
        reward_parts(SCORES, Reward(graded=1))


def test_soft_ranks_of_negatives_alone():
    soft, alone = ranks(SCORES, temperature=0.3), ranks(SCORES[1:], temperature=0.3)
    expected = SCORES[0] / (1 + soft[0].log()) - (SCORES[1:] * (alone.log() - 1)).mean()
    assert float(ranking_reward(SCORES, joint=False, temperature=0.3)) == pytest.approx(float(expected))


def test_soft_ranks_and_sums_of_a_batch_are_those_of_its_rows():
    scores = torch.rand(3, 4, 6, generator=torch.manual_seed(1), dtype=torch.float64)
    assert torch.allclose(ranks(scores, temperature=0.2)[2, 1], ranks(scores[2, 1], temperature=0.2))
    assert torch.allclose(ranking_reward(scores, average=False)[2, 1], ranking_reward(scores[2, 1], average=False))


def test_without_a_weight_the_total_is_zero_for_each_rollout():
    assert reward_parts(torch.rand(3, 4), Reward(alpha=0, epsilon=0))["total"].tolist() == [0, 0, 0]
