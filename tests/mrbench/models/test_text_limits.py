"""Which texts a model cuts, against what its vectors say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tiny_towers import write_clip, write_siglip, write_siglip2

from mrbench.models.protocol import EmbeddingModel, Item
from mrbench.models.text_limits import longer_than
from mrbench.models.zoo import load_model


def embedded(model: EmbeddingModel, texts: list[str]) -> np.ndarray:
    return np.asarray(model.embed_candidates([Item(text=text) for text in texts]))


@pytest.mark.parametrize(("write", "words"), [(write_clip, 18), (write_siglip, 12), (write_siglip2, 6)])
def test_texts_beyond_the_tower_are_cut(tmp_path: Path, write: Callable[[Path], Path], words: int) -> None:
    """CLIP adds two tokens to a text; of the tiny SigLIP 2 a word is two tokens."""
    model = load_model(f"hf:{write(tmp_path / 'model')}")
    cut = model.cut_texts([" ".join("a" * number) for number in range(words + 5)])
    assert cut.tolist() == [number > words for number in range(words + 5)]


def test_a_text_is_cut_where_another_end_gives_the_same_vector(tmp_path: Path) -> None:
    model = load_model(f"hf:{write_siglip(tmp_path / 'model')}")
    texts, others = (["a " * number + end for number in range(16)] for end in ("cats", "two"))
    same = [np.array_equal(*embedded(model, [text, other])) for text, other in zip(texts, others, strict=True)]
    assert model.cut_texts(texts).tolist() == same
    assert {True, False} == set(same)


def test_letters_that_become_several_tokens_are_counted_as_such(tmp_path: Path) -> None:
    model = load_model(f"hf:{write_clip(tmp_path / 'model')}")
    assert model.cut_texts(["ab" * 9, "ab" * 10, "", "é" * 9, "DOG " * 18, "dog " * 19]).tolist() == [
        False, True, False, False, False, True,
    ]  # fmt: skip


def test_minilm_reads_254_words_and_conse_too() -> None:
    texts = ["dog " * 254, "dog " * 255, "a dog"]
    assert load_model("minilm").cut_texts(texts).tolist() == [False, True, False]
    assert load_model("conse").cut_texts(texts).tolist() == [False, True, False]


def test_elva_reads_512_words() -> None:
    texts = ["dog " * 512, "dog " * 513]
    assert load_model("elva:tiny").cut_texts(texts).tolist() == [False, True]


def test_short_texts_are_not_tokenized() -> None:
    asked: list[str] = []

    def tokenize(texts: list[str]) -> list[list[int]]:
        asked.extend(texts)
        return [[0, *text.encode(), 1] for text in texts]

    texts = ["abcdefg", "abcdefgh", "é", "abcdefghi"]
    assert longer_than(10, texts, tokenize, 2).tolist() == [False, False, False, True]
    assert asked == ["abcdefgh", "é", "abcdefghi"]
