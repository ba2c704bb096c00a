"""What texts begin with alike, computed once, against the tower as transformers runs it."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tiny_towers import write_clip
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import CLIPConfig, CLIPModel, PreTrainedTokenizerFast

from mrbench.encode.batches import fetch
from mrbench.encode.units import encode_records
from mrbench.models import prefixes
from mrbench.models.dual_encoder import DualEncoder
from mrbench.models.prefixes import SWITCH
from mrbench.models.protocol import Item
from mrbench.records import Candidate

LENGTH, START, END = 12, 8, 9
TOWER = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 2}


def clip(end: int, act: str = "quick_gelu") -> Any:
    torch.manual_seed(0)
    ends = {"bos_token_id": START, "eos_token_id": end, "pad_token_id": 0}
    text = TOWER | ends | {"vocab_size": END + 1, "max_position_embeddings": LENGTH, "hidden_act": act}
    return CLIPModel(CLIPConfig(text_config=text, vision_config=TOWER | {"image_size": 16, "patch_size": 8})).eval()


MODULES = {
    "an end": clip(END),
    "highest token": clip(2),  # configurations of before 2023
    "gelu": clip(END, "gelu"),
}
bodies = st.lists(st.lists(st.integers(0, 3), max_size=LENGTH - 2), min_size=1, max_size=12)
starts = st.sampled_from([[START], []])  # some tokenizers put nothing before a text


@pytest.mark.parametrize("kind", MODULES)
@given(bodies=bodies, start=starts, after=st.lists(st.integers(0, END), max_size=1), twice=st.booleans())
@settings(max_examples=100, deadline=None)
@example(bodies=[[], [1, 1], [2, 2, 2, 2]], start=[], after=[], twice=False)
def test_vectors_are_those_of_the_padded_tower(
    kind: str, bodies: list[list[int]], start: list[int], after: list[int], twice: bool
) -> None:
    texts = sorted([*start, *body, END, *after][:LENGTH] for body in bodies * (1 + twice))
    padded = torch.zeros(len(texts), LENGTH, dtype=torch.long)
    for row, text in enumerate(texts):
        padded[row, : len(text)] = torch.tensor(text)
    with torch.inference_mode():
        expected = MODULES[kind].get_text_features(input_ids=padded).pooler_output
        found = prefixes.features_of_sorted(MODULES[kind], texts)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["k_proj", "v_proj", "out_proj"])
def test_a_part_of_another_kind_is_called(name: str) -> None:
    """As adapters of weights are, put in after loading: a bias is then not taken out of them."""
    module = clip(END, "quick_gelu")

    class Twice(torch.nn.Linear):
        def forward(self, hidden: torch.Tensor) -> torch.Tensor:
            return 2 * super().forward(hidden)

    for layer in module.text_model.encoder.layers:
        getattr(layer.self_attn, name).bias.data.normal_()
        getattr(layer.self_attn, name).__class__ = Twice
    text = [START, 1, 2, 3, END]
    with torch.inference_mode():
        expected = module.get_text_features(input_ids=torch.tensor([text])).pooler_output
        torch.testing.assert_close(prefixes.features_of_sorted(module, [text]), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["q_proj", "k_proj", "v_proj", "out_proj"])
def test_biases_count(name: str) -> None:
    """Those of new models are zeros."""
    module = clip(END)
    for layer in module.text_model.encoder.layers:
        getattr(layer.self_attn, name).bias.data.normal_()
    texts = [[START, 1, 2, 3, END], [START, 1, 3, END]]
    with torch.inference_mode():
        found = prefixes.features_of_sorted(module, texts)
        for row, text in enumerate(texts):
            expected = module.get_text_features(input_ids=torch.tensor([text])).pooler_output[0]
            torch.testing.assert_close(found[row], expected, atol=1e-5, rtol=1e-4)


@given(bodies=bodies, start=starts)
@settings(deadline=None)
def test_prefixes_of_sorted_texts_are_the_distinct_ones(bodies: list[list[int]], start: list[int]) -> None:
    texts = sorted([*start, *body, END] for body in bodies)
    found = prefixes.find_prefixes(texts)
    distinct = {tuple(text[:length]) for text in texts for length in range(1, len(text) + 1)}
    assert len(found.tokens) == found.new.sum() == len(distinct)
    for row, text in enumerate(texts):
        path = found.paths[row, : len(text)]
        assert found.tokens[path].tolist() == text
        assert found.positions[path].tolist() == list(range(len(text)))


def test_a_text_without_an_end_is_read_at_its_first_token_as_by_transformers() -> None:
    padded = torch.tensor([[3, 1, 2, 0]])
    with torch.inference_mode():
        expected = MODULES["an end"].get_text_features(input_ids=padded).pooler_output
        torch.testing.assert_close(prefixes.features_of_sorted(MODULES["an end"], [[3, 1, 2]]), expected)


@given(bodies=bodies, copies=st.integers(1, 400))
@settings(deadline=None)
def test_passes_are_of_even_work_and_bounded(bodies: list[list[int]], copies: int) -> None:
    texts = sorted([START, *body, END] for body in bodies * copies)
    parts = prefixes.passes(texts)
    assert [text for part in parts for text in part] == texts
    assert all(parts)
    for part in parts:
        found = prefixes.find_prefixes(part)
        assert found.new.sum() <= prefixes._PASS + 2 * LENGTH
        assert found.lengths.sum() <= prefixes._ATTEND * (prefixes._PASS + 2 * LENGTH)


def test_a_batch_size_bounds_the_texts_of_a_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = DualEncoder(str(write_clip(tmp_path)), device="cpu", batch_size=3)
    passes, features = [], prefixes.features_of_sorted
    monkeypatch.setattr(
        prefixes, "features_of_sorted", lambda module, texts: (passes.append(len(texts)), features(module, texts))[1]
    )
    model.embed_candidates([Item(text="ab" * number) for number in range(8)])
    assert max(passes) == 3
    assert sum(passes) == 8


def test_a_tokenizer_that_begins_with_nothing(tmp_path: Path) -> None:
    folder = write_clip(tmp_path)
    words = {"<|endoftext|>": 1, "a": 2, "b": 3, "c": 4, "d": 5}
    tokenizer = Tokenizer(WordLevel(words, unk_token="d"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(single="$A <|endoftext|>", special_tokens=[("<|endoftext|>", 1)])
    end = "<|endoftext|>"
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=end, pad_token=end).save_pretrained(folder)
    model = DualEncoder(str(folder), device="cpu")
    assert model.faster_texts is not None
    texts = [Item(text=text) for text in ("a", "b b", "c c c c", "d")]
    alone = np.concatenate([model.embed_candidates([text]) for text in texts])
    np.testing.assert_allclose(model.embed_candidates(texts), alone, atol=1e-6)
    model.faster_texts = None
    np.testing.assert_allclose(model.embed_candidates(texts), alone, atol=1e-6)


def test_a_tower_of_other_parts_is_run_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = str(write_clip(tmp_path))
    texts = [Item(text=text) for text in ("two cats", "a red dog", "a red cat")]
    shared = DualEncoder(folder, device="cpu")
    assert shared.faster_texts is not None
    expected = shared.embed_candidates(texts)
    layer = type(shared.module.text_model.encoder.layers[0])
    forward = layer.forward
    monkeypatch.setattr(layer, "forward", lambda self, hidden, *a, **k: forward(self, hidden * 2, *a, **k))
    other = DualEncoder(folder, device="cpu")
    assert other.faster_texts is None  # what is computed is not what its layers compute
    assert np.abs(other.embed_candidates(texts) - expected).max() > 0.01
    monkeypatch.setattr(layer, "forward", forward)
    monkeypatch.setattr(prefixes, "find_prefixes", lambda texts: [].pop())
    stock = DualEncoder(folder, device="cpu")
    assert stock.faster_texts is None
    np.testing.assert_allclose(stock.embed_candidates(texts), expected, atol=1e-6)
    assert DualEncoder(folder, device="cpu", dtype="bfloat16").faster_texts is None


def test_the_order_in_which_texts_come_changes_nothing(tmp_path: Path) -> None:
    model = DualEncoder(str(write_clip(tmp_path)), device="cpu")
    texts = [*map("".join, itertools.permutations("zda")), "a", "zz", "d"]
    came: list[str] = []

    def embed(batch: Any, items: Any) -> Any:
        came.extend(record.text for record in batch)
        return fetch(model.embed_candidates(items), np.asarray)

    records = [Candidate(str(row), (), text) for row, text in enumerate(texts)]
    ids, found = encode_records(model, lambda: iter(records), len(records), "texts", embed, None)
    assert came == sorted(texts, key=len)  # as for every model
    assert ids == [record.id for record in records]
    alone = np.concatenate([model.embed_candidates([Item(text=text)]) for text in texts])
    np.testing.assert_allclose(found, alone / np.linalg.norm(alone, axis=1, keepdims=True), atol=1e-5)


@pytest.mark.parametrize(("said", "stock"), [("1", True), ("yes", True), ("0", False), ("", False), (None, False)])
def test_the_switch_leaves_texts_to_transformers(
    said: str | None, stock: bool, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(SWITCH, raising=False)
    usual = DualEncoder(str(clip), device="cpu")
    if said is not None:
        monkeypatch.setenv(SWITCH, said)
    model = DualEncoder(str(clip), device="cpu")
    assert (model.faster_texts is None) == stock
    items = [*map(Item, ("a red dog", "", "a red cat", "b " * 99))]
    np.testing.assert_allclose(model.embed_candidates(items), usual.embed_candidates(items), atol=1e-5)
    assert (model.revision, model.preprocessing) == (usual.revision, usual.preprocessing)
