"""The packaged model as MRBench calls it: many items at once give what each gives alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from elva import rollouts
from elva.zoo import tiny
from mrbench.models.protocol import Item

PICTURES = [Image.new("RGB", (40 + 8 * n, 64), (50 * n, 90, 200 - 40 * n)) for n in range(4)]
ITEMS = [
    *(Item(image=picture) for picture in PICTURES),
    *(Item("two red foxes on a beach", picture) for picture in PICTURES),
    *(Item("a small cow", picture) for picture in PICTURES),
    *(Item(text) for text in ("", "a cow", "three big cows between the red curtains of a theatre", "an owl " * 30)),
]


@pytest.fixture(scope="module")
def model():
    return tiny(device="cpu", batch_size=5)


def test_passes_side_by_side_give_what_one_item_gives(model) -> None:
    together = model.embed_candidates(ITEMS)
    for row, item in enumerate(ITEMS):
        model._model.forget()
        np.testing.assert_allclose(model.embed_candidates([item])[0], together[row], atol=1e-5)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        np.testing.assert_array_equal(model.embed_candidates(ITEMS), together)
    finally:
        torch.set_num_threads(threads)
    assert torch.get_num_threads() == threads


def test_a_picture_that_comes_with_several_texts_is_encoded_once(monkeypatch) -> None:
    model = tiny(device="cpu", batch_size=len(ITEMS))
    shown, run = [], model._model._run_vision
    monkeypatch.setattr(model._model, "_run_vision", lambda images: (shown.extend(images), run(images))[1])
    model.embed_candidates(ITEMS)
    model.embed_queries(ITEMS, "find it")
    assert len(shown) == len(PICTURES)


def test_prompts_whose_summaries_have_ended_are_taken_out(model, monkeypatch) -> None:
    """Fewer prompts are decoded as time goes on, and what is returned is what all of them together give."""
    sizes: list[int] = []
    draw = rollouts._draw
    monkeypatch.setattr(rollouts, "_draw", lambda scores, *more: (sizes.append(len(scores)), draw(scores, *more))[1])
    big = tiny(device="cpu", batch_size=len(ITEMS))
    taken_out = big.embed_candidates(ITEMS)
    assert sizes[0] == len(ITEMS)
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < len(ITEMS)
    monkeypatch.setattr(rollouts, "_FEWER", 0.0)
    np.testing.assert_allclose(big.embed_candidates(ITEMS), taken_out, atol=1e-5)
