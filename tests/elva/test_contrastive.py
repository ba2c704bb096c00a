import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from elva import checkpoints
from elva.config import Sampling
from elva.losses import info_nce
from elva.stages.contrastive import InfoNCE
from elva.stages.generative import Generation


@pytest.fixture
def model(recipe, data):
    return checkpoints.build(recipe, data.texts(), device="cpu")


def gradients(model, objective, weights, step=0):
    model.network.zero_grad()
    metrics = objective.backward(step)
    return metrics, torch.cat([(w.grad if w.grad is not None else torch.zeros_like(w)).flatten() for w in weights])


@pytest.mark.parametrize(
    "changes", [{}, {"embedding": "summary"}, {"generation": 0.5}, {"embedding": "summary", "generation": 0.5}]
)
def test_chunks_have_the_gradient_of_the_whole_batch(model, data, recipe, changes):
    weights = list(model.unfreeze("language").values())
    results = []
    for chunk in (1000, 5, 1):
        options = replace(recipe.stage2, chunk=chunk, **changes)
        results.append(gradients(model, InfoNCE(model, data.pools, options, seed=0), weights))
    whole, gradient = results[0]
    assert float(gradient.norm()) > 0.1
    for metrics, other in results[1:]:
        assert metrics == pytest.approx(whole, abs=1e-5)
        assert float((other - gradient).norm()) < 1e-4 * float(gradient.norm())


def test_candidates_that_answer_too_are_no_negatives():
    queries, candidates = torch.eye(3)[:2], torch.eye(3)
    free = torch.zeros(2, 3, dtype=torch.bool)
    masked = free.clone()
    masked[0, 2] = True
    positives = torch.tensor([0, 1])
    plain = info_nce(queries, candidates, positives, free, temperature=1.0)
    # one query has two negatives left, the other one: log(e + 2) - 1 and log(e + 1) - 1
    expected = (np.log(np.e + 1) + np.log(np.e + 2)) / 2 - 1
    assert info_nce(queries, candidates, positives, masked, temperature=1.0).item() == pytest.approx(expected)
    assert plain.item() == pytest.approx(np.log(np.e + 2) - 1)


def test_what_is_masked_is_what_keeps_all_grains(model, data, recipe):
    objective = InfoNCE(model, data.pools, replace(recipe.stage2, batch=16), seed=0)
    rows, positives = objective._batch(0)
    embeddings = torch.nn.functional.normalize(torch.randn(len(rows), 8), dim=-1)
    embeddings[16 + positives[:4]] = embeddings[:4].clone()  # four queries at least find their own
    loss, top = objective._loss(embeddings, rows, positives)
    queries, candidates = rows[:16], rows[16:]
    total, hits = 0.0, 0
    for number, query in enumerate(queries):
        asked = data.pools[query.pool].query_grains[query.row]
        scores = []
        for place, candidate in enumerate(candidates):
            has = data.pools[candidate.pool].candidate_grains[candidate.row]
            keeps = all(a in (-1, h) for a, h in zip(asked.tolist(), has.tolist(), strict=True))
            if place == positives[number] or not keeps:
                scores.append(float(embeddings[number] @ embeddings[16 + place]) / recipe.stage2.temperature)
        target = float(embeddings[number] @ embeddings[16 + positives[number]]) / recipe.stage2.temperature
        total += float(torch.tensor(scores).logsumexp(0)) - target
        hits += target == max(scores)
    assert float(loss) == pytest.approx(total / 16, rel=1e-4)
    assert 4 / 16 <= float(top) == hits / 16 < 1


def test_balanced_negatives_take_the_place_of_the_ladder(model, data, recipe):
    options = replace(recipe.stage2, sampling=Sampling(hard=3, random=2))
    objective = InfoNCE(model, data.pools, options, seed=0, sampling=options.sampling)
    rows, positives = objective._batch(0)
    assert len(positives) == 6
    assert len(rows) > 6 + 2 * 6  # more than a positive and one member of the ladder each
    assert objective.backward(0)["loss"] > 0


def test_the_generation_loss_falls(model, data, recipe):
    weights = model.unfreeze("all")
    objective = Generation(model, data.pools, replace(recipe.stage0, batch=8, chunk=8), seed=0)
    optimiser = torch.optim.AdamW(weights.values(), lr=3e-3)
    seen = []
    for step in range(30):
        seen.append(objective.backward(step)["generation"])
        optimiser.step()
        optimiser.zero_grad()
    assert np.mean(seen[-5:]) < np.mean(seen[:5]) - 1


SCRIPT = Path(__file__).with_name("two_processes.py")


@pytest.mark.slow
@pytest.mark.parametrize("stage", [0, 2, 3])
def test_two_processes_have_the_gradient_of_one(scenes, tmp_path, stage):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    found = []
    for world in (1, 2):
        out = tmp_path / f"{world}.json"
        launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(world)]
        command = [sys.executable, *(launch if world > 1 else []), str(SCRIPT), str(scenes), str(stage), str(out)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        found.append(json.loads(out.read_text()))
    one, two = (np.array(result["gradient"]) for result in found)
    assert np.linalg.norm(one) > 1e-3
    assert np.linalg.norm(one - two) < 1e-4 * np.linalg.norm(one)
