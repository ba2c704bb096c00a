"""Dual encoders against forward passes by hand."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_towers import (
    DEVIATION,
    MEAN,
    TEXTS,
    WORDS,
    changed,
    copied,
    pictures,
    write_clip,
    write_word_tokenizer,
)
from transformers import (
    CLIPModel,
    PreTrainedTokenizerFast,
    Siglip2Model,
    SiglipModel,
)

from mrbench.encode.batches import fetch
from mrbench.errors import InputError
from mrbench.models.dual_encoder import DualEncoder
from mrbench.models.families import fills_up
from mrbench.models.protocol import EmbeddingModel, Item
from mrbench.models.zoo import load_model


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def pixel_values(crop: bool) -> torch.Tensor:
    """Resize, crop, scale and normalise without transformers."""
    arrays = []
    for image in pictures():
        if crop:
            image = image.resize((42, 32), Image.Resampling.BICUBIC).crop((5, 0, 37, 32))
        else:
            image = image.resize((32, 32), Image.Resampling.BICUBIC)
        arrays.append((np.asarray(image) / 255 - MEAN) / DEVIATION)
    return torch.tensor(np.stack(arrays), dtype=torch.float32).permute(0, 3, 1, 2)


def clip_ids() -> torch.Tensor:
    letter = {c: 2 + 26 + ord(c) - ord("a") for c in "abcdefghijklmnopqrstuvwxyz"}
    begin = {c: 2 + ord(c) - ord("a") for c in "abcdefghijklmnopqrstuvwxyz"}
    dog = 55
    rows = [
        [letter["a"], begin["r"], begin["e"], letter["d"], dog],
        [begin["t"], begin["w"], letter["o"], begin["c"], begin["a"], begin["t"], letter["s"]],
        [letter["a"]] * 18,
    ]
    return torch.tensor([([0, *row, 1] + [1] * 20)[:20] for row in rows])


def test_clip_equals_a_forward_pass_by_hand(clip: Path) -> None:
    model = load_model(f"hf:{clip}", device="cpu")
    assert isinstance(model, EmbeddingModel)
    assert (model.name, model.dimension, model.dtype) == ("tiny-clip", 16, "float32")
    with torch.inference_mode():
        ids = clip_ids()
        reference = CLIPModel.from_pretrained(clip).eval()(
            input_ids=ids, pixel_values=pixel_values(crop=True), attention_mask=torch.ones_like(ids)
        )
    texts = model.embed_queries([Item(text=text) for text in TEXTS], "ignored")
    images = model.embed_candidates([Item(image=image) for image in pictures()])
    np.testing.assert_allclose(unit(texts), reference.text_embeds, atol=1e-5)
    np.testing.assert_allclose(unit(images), reference.image_embeds, atol=2e-4)


def test_siglip_pads_to_the_end_unmasked_and_in_lower_case(siglip: Path) -> None:
    model = load_model(f"hf:{siglip}", device="cpu")
    ids = torch.tensor([([WORDS.index(word) for word in text.split()] + [0] * 12)[:12] for text in TEXTS])
    with torch.inference_mode():
        reference = SiglipModel.from_pretrained(siglip).eval()(input_ids=ids, pixel_values=pixel_values(crop=False))
    texts = model.embed_queries([Item(text=text.upper()) for text in TEXTS], "ignored")
    images = model.embed_candidates([Item(image=image) for image in pictures()])
    np.testing.assert_allclose(unit(texts), reference.text_embeds, atol=1e-5)
    np.testing.assert_allclose(unit(images), reference.image_embeds, atol=2e-4)


def test_siglip2_keeps_the_aspect_ratio(siglip2: Path) -> None:
    model = load_model(f"hf:{siglip2}", device="cpu")
    image = pictures()[0].resize((40, 24), Image.Resampling.BILINEAR)  # 5 x 3 patches: fits without resizing
    patches = ((np.asarray(image) / 255 - MEAN) / DEVIATION).reshape(3, 8, 5, 8, 3).swapaxes(1, 2).reshape(15, 192)
    with torch.inference_mode():
        reference = (
            Siglip2Model.from_pretrained(siglip2)
            .eval()
            .get_image_features(
                pixel_values=torch.tensor(patches, dtype=torch.float32)[None],
                pixel_attention_mask=torch.ones(1, 15, dtype=torch.long),
                spatial_shapes=torch.tensor([[3, 5]]),
            )
        )
    embedding = model.embed_candidates([Item(image=image)])
    np.testing.assert_allclose(embedding, reference.pooler_output, atol=2e-4)


@pytest.mark.parametrize("family", ["clip", "siglip", "siglip2"])
def test_batches_and_fusion(family: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(family)
    images = pictures()
    items = [Item(text=text) for text in TEXTS] + [Item(image=image) for image in images]
    items += [Item(text=text, image=image) for text, image in zip(TEXTS, images, strict=True)]
    whole = DualEncoder(str(folder), device="cpu").embed_candidates(items)
    np.testing.assert_allclose(whole[6:], whole[:3] + whole[3:6], atol=1e-5)
    assert np.abs(np.linalg.norm(whole[:6], axis=1) - 1).max() > 0.01, "the features are not normalised"
    single = DualEncoder(str(folder), device="cpu", batch_size=1)
    np.testing.assert_allclose(single.embed_queries(items, ""), whole, atol=1e-4)
    assert single.embed_candidates([]).shape == (0, whole.shape[1])
    assert single.embed_candidates([]).dtype == np.float32


@pytest.mark.parametrize("family", ["clip", "siglip", "siglip2"])
def test_bytes_that_are_scaled_later_are_the_processor_s_pixels(family: str, request: pytest.FixtureRequest) -> None:
    model = DualEncoder(str(request.getfixturevalue(family)), device="cpu")
    image = pictures()[0]
    expected = model._processor(images=image, return_tensors="np")["pixel_values"]
    ready = model.prepare(image)["pixel_values"][None]
    assert (ready.dtype == np.uint8) == (family != "siglip2")  # whose patches are not scaled as a picture is
    found = ready if model._scaling is None else model._scaling(torch.from_numpy(ready)).numpy()
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("family", ["clip", "siglip", "siglip2"])
def test_tokens_made_ahead_give_the_same_vectors(family: str, request: pytest.FixtureRequest) -> None:
    model = DualEncoder(str(request.getfixturevalue(family)), device="cpu")
    items = [Item(text=tokens) for tokens in model.prepare_texts(list(TEXTS))]
    whole = model.embed_candidates([Item(text=text) for text in TEXTS])
    np.testing.assert_array_equal(model.embed_candidates(items), whole)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("family", ["clip", "siglip", "siglip2"])
def test_a_gpu_gives_the_vectors_of_a_cpu(family: str, request: pytest.FixtureRequest) -> None:
    """Several batches, of what was made ready ahead, fetched later, as the engine does."""
    here, there = (DualEncoder(str(request.getfixturevalue(family)), device=name) for name in ("cpu", "cuda"))
    pending, expected = [], []
    for number in range(6):
        texts = [f"{text} {number}" for text in TEXTS]
        batch = [Item(text=tokens) for tokens in there.prepare_texts(texts)]
        batch = batch if number % 2 else [Item(image=there.prepare(image)) for image in pictures()]
        pending.append(fetch(there.embed_candidates(batch), np.asarray))
        expected.append(here.embed_candidates(batch))
    for found, wanted in zip(pending, expected, strict=True):
        np.testing.assert_allclose(found(), wanted, atol=1e-3)


def write_unpadded(clip: Path, tmp_path: Path, kind: str) -> Path:
    """A tokenizer of the kind that fills up where the text tower would see it."""
    folder = copied(clip, tmp_path)
    if kind == "left":
        changed(folder, "tokenizer_config.json", padding_side="left")
    else:  # by the old end the highest token is read: z</w>, had it been filled up
        changed(folder, "tokenizer_config.json", pad_token="z</w>")
        changed(folder, "config.json", "text_config", eos_token_id=2)
    return folder


UNPADDED = ["left", "pad above the end"]
LENGTHS = ["a", "two cats", "a red cat", "see a bee", "a b c d " * 9, "two dogs", "b"]


@pytest.mark.parametrize("kind", UNPADDED)
@pytest.mark.parametrize("batch_size", [2, 16])
def test_a_text_is_embedded_as_if_alone(kind: str, batch_size: int, clip: Path, tmp_path: Path) -> None:
    model = DualEncoder(str(write_unpadded(clip, tmp_path, kind)), device="cpu", batch_size=batch_size)
    assert model.faster_texts is None
    items = [Item(text=text) for text in LENGTHS]
    alone = np.concatenate([model.embed_candidates([item]) for item in items])
    np.testing.assert_allclose(model.embed_candidates(items), alone, atol=1e-6)
    given = {"truncation": True, "max_length": 20, "return_tensors": "pt"}
    with torch.inference_mode():
        for text, vector in zip(LENGTHS, alone, strict=True):
            expected = model.module.get_text_features(**model._tokenizer(text, **given)).pooler_output[0]
            np.testing.assert_allclose(vector, expected, atol=1e-6)
    assert np.abs(alone[:, None] - alone).max(axis=2)[np.triu_indices(len(alone), 1)].min() > 1e-3


@pytest.mark.parametrize("kind", UNPADDED)
def test_texts_that_are_not_padded_keep_their_gradients(kind: str, clip: Path, tmp_path: Path) -> None:
    model = DualEncoder(str(write_unpadded(clip, tmp_path, kind)), device="cpu")
    weight = model.module.text_projection.weight
    factors = torch.arange(1.0, 1 + len(LENGTHS))[:, None]  # that tell the rows apart
    (together,) = torch.autograd.grad((model.text_features(LENGTHS) * factors).sum(), weight)
    alone = torch.cat([model.text_features([text]) for text in LENGTHS])
    torch.testing.assert_close(together, torch.autograd.grad((alone * factors).sum(), weight)[0], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("kind", "passes"), [("", 1), *((kind, 4) for kind in UNPADDED)])
def test_texts_of_one_length_run_together(kind: str, passes: int, clip: Path, tmp_path: Path) -> None:
    model = DualEncoder(str(write_unpadded(clip, tmp_path, kind) if kind else clip), device="cpu")
    model.faster_texts = None  # as on a GPU
    given, features = [], model.module.get_text_features
    model.module.get_text_features = lambda **those: (given.append(those), features(**those))[1]
    texts = ["a", "b", "ab", "a b", "ba", "a " * 40, "b a b"]
    model.embed_candidates([Item(text=text) for text in texts])
    assert {name for those in given for name in those} == {"input_ids"}
    assert len(given) == passes
    assert sum(len(those["input_ids"]) for those in given) == len(texts)


def test_texts_are_not_padded_where_the_tokenizer_does_not_end_them(clip: Path, tmp_path: Path) -> None:
    write_word_tokenizer(tmp_path)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    assert tokenizer.pad_token_id <= tokenizer.eos_token_id
    model = DualEncoder(str(clip), device="cpu")
    assert not fills_up(model.module.config, tokenizer)
    assert fills_up(model.module.config, model._tokenizer)


def test_a_processor_that_scales_in_another_way_is_left_to_it(clip: Path, tmp_path: Path) -> None:
    folder = copied(clip, tmp_path)
    changed(folder, "preprocessor_config.json", do_normalize=False)
    model = DualEncoder(str(folder), device="cpu")
    assert model._scaling is None
    image = pictures()[0]
    expected = model._processor(images=image, return_tensors="np")["pixel_values"][0]
    np.testing.assert_array_equal(model.prepare(image)["pixel_values"], expected)


def test_lower_precision_returns_float32(clip: Path) -> None:
    item = [Item(text="a dog", image=pictures()[0])]
    half = DualEncoder(str(clip), device="cpu", dtype="bfloat16")
    assert half.dtype == "bfloat16"
    embedding = half.embed_candidates(item)
    assert embedding.dtype == np.float32
    np.testing.assert_allclose(
        unit(embedding), unit(DualEncoder(str(clip), device="cpu").embed_candidates(item)), atol=0.03
    )
    with pytest.raises(InputError, match="unknown dtype"):
        DualEncoder(str(clip), dtype="int3")


def test_a_large_batch_is_cut_for_a_processor(tmp_path: Path) -> None:
    model = DualEncoder(str(write_clip(tmp_path)), batch_size=64)
    sizes: list[int] = []
    pass_images = model.image_features
    model.image_features = lambda batch: (sizes.append(len(batch)), pass_images(batch))[1]
    images = pictures() * 14
    found = model.embed_candidates([Item(image=image) for image in images])
    assert sorted(sizes) == [10, 16, 16]
    np.testing.assert_allclose(
        found,
        DualEncoder(str(tmp_path), batch_size=3).embed_candidates([Item(image=image) for image in images]),
        rtol=1e-4,
        atol=1e-6,
    )
