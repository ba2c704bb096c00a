"""Heads as they are trained and as they are written embed alike; the identity embeds as the model does."""

import numpy as np
import pytest
import torch

from elva.heads.linear import Heads
from elva.heads.load_head import embed

RNG = np.random.default_rng(0)
UNITS = {
    part: (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    for part, rows in {"image": RNG.normal(0.5, 1, (6, 5)), "text": RNG.normal(0.2, 1, (6, 5))}.items()
}
TABLES = {part: torch.from_numpy(rows) for part, rows in UNITS.items()}
BOTH = torch.tensor([[row, row, -1] for row in range(6)])


@pytest.mark.parametrize("identity", [False, True])
def test_what_is_written_embeds_as_what_was_trained(identity):
    heads = Heads(TABLES, 5, identity=identity, seed=3)
    with torch.no_grad():
        for tensor in heads.parameters():
            tensor += 0.1 * torch.randn(tensor.shape, generator=torch.Generator().manual_seed(1))
        trained = heads.embed(TABLES, BOTH).numpy()
    np.testing.assert_allclose(embed(heads.export(), UNITS), trained, atol=1e-5)


def test_the_identity_leaves_vectors_and_adds_up_parts():
    heads = Heads(TABLES, 5, identity=True)
    with torch.no_grad():
        alone = heads.embed(TABLES, torch.tensor([[2, -1, -1]])).numpy()
        both = heads.embed(TABLES, BOTH).numpy()
    np.testing.assert_allclose(alone[0], UNITS["image"][2], atol=1e-6)
    total = UNITS["image"] + UNITS["text"]
    np.testing.assert_allclose(both, total / np.linalg.norm(total, axis=1, keepdims=True), atol=1e-6)
