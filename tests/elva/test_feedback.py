import pytest
import torch

from elva.config import Reinforcement, Reward
from elva.feedback import give_feedback, joint_scores, other_scores, own_credits
from elva.grpo import group_advantages
from elva.rewards import listwise_reward, reward_parts


def embeddings(queries=2, items=5, rollouts=3, dimension=6):
    drawn = torch.randn(queries, items, rollouts, dimension, generator=torch.manual_seed(0), dtype=torch.float64)
    return torch.nn.functional.normalize(drawn, dim=-1)


GRADES = torch.tensor([[3, 2, 1, 0], [2, 1, 1, 0]])


def test_scores_stay_inside_a_rollout():
    found = embeddings()
    assert joint_scores(found)[1, 2, 3].item() == pytest.approx(float(found[1, 0, 2] @ found[1, 4, 2]))


def test_joint_credit_is_shared_and_own_credit_is_not():
    joint = give_feedback(embeddings(), GRADES, Reinforcement())
    assert (joint.advantages == joint.advantages[:, :1]).all()
    rewards = reward_parts(joint_scores(embeddings().float()), Reward())["total"]
    assert torch.allclose(joint.advantages[:, 0], group_advantages(rewards))
    own = give_feedback(embeddings(), GRADES, Reinforcement(credit="own"))
    assert (own.advantages != own.advantages[:, :1]).any()
    assert own.advantages.mean(-1).abs().max() < 1e-5


def test_own_credit_by_loops():
    found, settings = embeddings(), Reinforcement(reward=Reward(graded=1))
    credits = own_credits(found, GRADES, settings)

    def reward(query, g, chosen):
        scores = torch.stack([found[query, 0, g] @ found[query, 1 + n, h] for n, h in enumerate(chosen)])
        return reward_parts(scores, settings.reward, GRADES[query])["total"].item()

    for query in range(2):
        for g in range(3):
            of_query = [reward(query, g, [h] * 4) for h in range(3)]
            assert credits[query, 0, g].item() == pytest.approx(sum(of_query) / 3)
        for candidate in range(4):
            for h in range(3):
                chosen = [[h if n == candidate else g for n in range(4)] for g in range(3)]
                expected = sum(reward(query, g, chosen[g]) for g in range(3)) / 3
                assert credits[query, 1 + candidate, h].item() == pytest.approx(expected)


def test_candidates_of_other_queries_are_negatives_unless_they_answer_the_query_too():
    found = embeddings().float()
    answers = torch.zeros(2, 2, 4, dtype=torch.bool)
    answers[0, 1, 2] = True
    reward = Reward(alpha=0, epsilon=0, listwise=1, in_batch=True)
    for g in range(3):
        seen = [found[1, 1 + n, g] for n in (0, 1, 3)]
        expected = [float(found[0, 0, g] @ candidate) for candidate in seen]
        got = other_scores(found, answers)[0, g]
        assert got[torch.isfinite(got)].tolist() == pytest.approx(expected)
    alone = give_feedback(found, GRADES, Reinforcement(gradient="pathwise", reward=reward))
    together = give_feedback(found, GRADES, Reinforcement(gradient="pathwise", reward=reward), answers)
    rewards = listwise_reward(joint_scores(found), other_scores(found, answers))
    assert together.metrics["reward"] == pytest.approx(float(rewards.mean()))
    assert together.metrics["reward"] < alone.metrics["reward"]
    assert together.gradient[1, 3].abs().sum() != alone.gradient[1, 3].abs().sum()  # pushed by the first query too


def test_own_credit_counts_candidates_of_other_queries():
    found, answers = embeddings(), torch.zeros(2, 2, 4, dtype=torch.bool)
    settings = Reinforcement(reward=Reward(alpha=0, epsilon=0, listwise=1, in_batch=True), credit="own")
    others = other_scores(found, answers)
    credits = own_credits(found, GRADES, settings, others)
    mixed = [torch.stack([found[0, 0, 1] @ found[0, 1 + n, h] for n in range(4)]) for h in range(3)]
    expected = sum(float(listwise_reward(scores, others[0, 1])) for scores in mixed) / 3
    assert float(credits[0, 0, 1]) == pytest.approx(expected)


def test_advantages_of_own_credit_are_those_of_the_whole_list():
    found, answers = embeddings().float(), torch.zeros(2, 2, 4, dtype=torch.bool)
    reward = Reward(alpha=0, epsilon=0, listwise=1, in_batch=True)
    settings = Reinforcement(reward=reward, credit="own", normalise=False)
    credits = own_credits(found, GRADES, settings, other_scores(found, answers))
    expected = group_advantages(credits, normalise=False)
    assert torch.allclose(give_feedback(found, GRADES, settings, answers).advantages, expected, atol=1e-6)
    assert not torch.allclose(give_feedback(found, GRADES, settings).advantages, expected, atol=1e-3)


def test_the_gradient_is_that_of_the_mean_reward():
    found = embeddings().float()
    settings = Reinforcement(gradient="pathwise", pathwise=2.0, reward=Reward(softness=0.1))
    leaf = found.clone().requires_grad_()
    (-2 * reward_parts(joint_scores(leaf), settings.reward)["total"].mean()).backward()
    assert torch.allclose(give_feedback(found, GRADES, settings).gradient, leaf.grad)
    assert give_feedback(found, GRADES, Reinforcement()).gradient.abs().sum() == 0


def test_metrics_see_a_group_without_variance():
    found = embeddings().float()
    found[0] = found[0, :, :1]
    metrics = give_feedback(found, GRADES, Reinforcement()).metrics
    assert metrics["zero_variance"] == 0.5
    perfect = torch.zeros(1, 3, 2, 2)
    perfect[0, :2, :, 0], perfect[0, 2, :, 1] = 1, 1
    metrics = give_feedback(perfect, torch.tensor([[1, 0]]), Reinforcement()).metrics
    assert metrics["top"] == 1
    assert metrics["reward_margin"] == 1
