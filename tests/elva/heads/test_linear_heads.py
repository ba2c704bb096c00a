"""Heads as they are trained and as they are written embed alike; the identity embeds as the model does."""

from functools import partial

import numpy as np
import pytest
import torch

from elva.heads.linear import Heads
from elva.heads.load_head import embed
from elva.tuning.data import Split
from elva.tuning.trainable import embed as embed_items

RNG = np.random.default_rng(0)
UNITS = {
    part: (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    for part, rows in {"image": RNG.normal(0.5, 1, (6, 5)), "text": RNG.normal(0.2, 1, (6, 5))}.items()
}
SPLIT = Split(UNITS, (), {})
BOTH = np.array([[row, row, -1] for row in range(6)])


@pytest.mark.parametrize("identity", [False, True])
def test_what_is_written_embeds_as_what_was_trained(identity):
    heads = Heads(UNITS, 5, identity=identity, seed=3)
    with torch.no_grad():
        for tensor in heads.weights().values():
            tensor += 0.1 * torch.randn(tensor.shape, generator=torch.Generator().manual_seed(1))
        trained = embed_items(partial(heads.outputs, SPLIT), BOTH).numpy()
    np.testing.assert_allclose(embed(heads.export(), UNITS), trained, atol=1e-5)


def test_the_identity_leaves_vectors_and_adds_up_parts():
    outputs = partial(Heads(UNITS, 5, identity=True).outputs, SPLIT)
    with torch.no_grad():
        alone = embed_items(outputs, np.array([[2, -1, -1]])).numpy()
        both = embed_items(outputs, BOTH).numpy()
    np.testing.assert_allclose(alone[0], UNITS["image"][2], atol=1e-6)
    total = UNITS["image"] + UNITS["text"]
    np.testing.assert_allclose(both, total / np.linalg.norm(total, axis=1, keepdims=True), atol=1e-6)
