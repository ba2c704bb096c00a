"""Tiny CLIP and SigLIP checkpoints with random weights, in the format of the hub."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    CLIPConfig,
    CLIPModel,
    PreTrainedTokenizerFast,
    Siglip2Config,
    Siglip2Model,
    SiglipConfig,
    SiglipModel,
)

from mrbench.errors import InputError, ModelError
from mrbench.models import dual_encoder
from mrbench.models.dual_encoder import DualEncoder
from mrbench.models.protocol import EmbeddingModel, Item
from mrbench.models.zoo import load_model
from mrbench.retrieve.batches import fetch

TOWER = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
WORDS = ["<pad>", "</s>", "<unk>", "a", "red", "dog", "two", "cats"]
TEXTS = ["a red dog", "two cats", "a " * 40]
MEAN, DEVIATION = [0.48, 0.46, 0.41], [0.27, 0.26, 0.28]


def pictures() -> list[Image.Image]:
    noise = np.random.default_rng(0).integers(0, 256, (3, 48, 64, 3), dtype=np.uint8)
    return [Image.fromarray(pixels) for pixels in noise]


def write_clip(folder: Path) -> Path:
    characters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    start = {"<|startoftext|>": 0, "<|endoftext|>": 1}
    vocabulary = start | {word: index for index, word in enumerate(characters + [c + "</w>" for c in characters], 2)}
    vocabulary["dog</w>"] = len(vocabulary) + 1
    vocabulary["do"] = len(vocabulary) - 1
    torch.manual_seed(0)
    ends = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    text = TOWER | ends | {"vocab_size": len(vocabulary) + 2, "max_position_embeddings": 20}
    config = CLIPConfig(text_config=text, vision_config=TOWER | {"image_size": 32, "patch_size": 8}, projection_dim=16)
    CLIPModel(config).save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\nd o\ndo g</w>\n")
    _write(folder, "tokenizer_config.json", tokenizer_class="CLIPTokenizer", model_max_length=20)
    sizes = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}, "do_center_crop": True}
    _write_processor(folder, "CLIPImageProcessor", **sizes)
    return folder


def write_siglip(folder: Path) -> Path:
    torch.manual_seed(0)
    text = TOWER | {"vocab_size": len(WORDS), "max_position_embeddings": 12, "projection_size": 32}
    config = SiglipConfig(text_config=text, vision_config=TOWER | {"image_size": 32, "patch_size": 8})
    SiglipModel(config).save_pretrained(folder)
    _write_word_tokenizer(folder)
    _write_processor(folder, "SiglipImageProcessor", size={"height": 32, "width": 32})
    return folder


def write_siglip2(folder: Path) -> Path:
    """The variant that keeps the aspect ratio and takes a varying number of patches."""
    torch.manual_seed(0)
    text = TOWER | {"vocab_size": len(WORDS), "max_position_embeddings": 12, "projection_size": 32}
    config = Siglip2Config(text_config=text, vision_config=TOWER | {"num_patches": 16, "patch_size": 8})
    Siglip2Model(config).save_pretrained(folder)
    _write_word_tokenizer(folder)
    _write_processor(folder, "Siglip2ImageProcessor", patch_size=8, max_num_patches=16)
    return folder


def _write_word_tokenizer(folder: Path) -> None:
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)


def _write_processor(folder: Path, kind: str, **values: object) -> None:
    _write(
        folder,
        "preprocessor_config.json",
        image_processor_type=kind,
        image_mean=MEAN,
        image_std=DEVIATION,
        resample=3,
        do_resize=True,
        do_rescale=True,
        do_normalize=True,
        rescale_factor=1 / 255,
        **values,
    )


def _write(folder: Path, name: str, **values: object) -> None:
    (folder / name).write_text(json.dumps(values))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("models") / "tiny-clip")


@pytest.fixture(scope="module")
def siglip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_siglip(tmp_path_factory.mktemp("models") / "tiny-siglip")


@pytest.fixture(scope="module")
def siglip2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_siglip2(tmp_path_factory.mktemp("models") / "tiny-siglip2")


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


def test_texts_are_padded_where_the_tokenizer_says(clip: Path, tmp_path: Path) -> None:
    folder = _copy(clip, tmp_path)
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"padding_side": "left"}))
    model = DualEncoder(str(folder), device="cpu")
    tokens = model._tokenizer(list(TEXTS), padding=True, truncation=True, max_length=20, return_tensors="pt")
    assert tokens["attention_mask"][:, 0].min() == 0
    with torch.inference_mode():
        expected = model.module.get_text_features(**tokens).pooler_output.numpy()
    np.testing.assert_allclose(model.embed_candidates([Item(text=text) for text in TEXTS]), expected, atol=1e-6)


@pytest.mark.parametrize("pad", ["<|endoftext|>", "z</w>"])
def test_what_fills_up_is_masked_where_it_could_be_read(pad: str, clip: Path, tmp_path: Path) -> None:
    folder = _copy(clip, tmp_path)
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"pad_token": pad}))
    model = DualEncoder(str(folder), device="cpu")
    tokens = model._tokenizer(list(TEXTS), padding=True, truncation=True, max_length=20, return_tensors="pt")
    assert tokens["attention_mask"].min() == 0
    with torch.inference_mode():
        expected = model.module.get_text_features(**tokens).pooler_output.numpy()
    assert model.shares_prefixes == (pad == "<|endoftext|>")
    model.shares_prefixes = False  # as on a GPU
    given, features = [], model.module.get_text_features
    model.module.get_text_features = lambda **those: (given.append(sorted(those)), features(**those))[1]
    np.testing.assert_allclose(model.embed_candidates([Item(text=text) for text in TEXTS]), expected, atol=1e-6)
    assert given == [["input_ids"] if pad == "<|endoftext|>" else ["attention_mask", "input_ids"]]


def test_a_mask_is_given_where_the_tokenizer_does_not_end_texts(clip: Path, tmp_path: Path) -> None:
    _write_word_tokenizer(tmp_path)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    assert tokenizer.pad_token_id <= tokenizer.eos_token_id
    assert not dual_encoder._ends_before_padding(tokenizer)
    assert dual_encoder._ends_before_padding(DualEncoder(str(clip), device="cpu")._tokenizer)


def test_a_processor_that_scales_in_another_way_is_left_to_it(clip: Path, tmp_path: Path) -> None:
    folder = _copy(clip, tmp_path)
    path = folder / "preprocessor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"do_normalize": False}))
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


def test_revision_follows_the_weights(clip: Path, tmp_path: Path) -> None:
    copy = _copy(clip, tmp_path)
    assert DualEncoder(str(copy)).revision == DualEncoder(str(clip)).revision
    weights = load_file(copy / "model.safetensors")
    weights["logit_scale"] += 1
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    assert DualEncoder(str(copy)).revision != DualEncoder(str(clip)).revision


@pytest.mark.parametrize("change", ["missing", "unexpected", "shape", "torn"])
def test_half_loaded_weights_are_refused(clip: Path, tmp_path: Path, change: str) -> None:
    copy = _copy(clip, tmp_path)
    path = copy / "model.safetensors"
    weights = load_file(path)
    if change == "missing":
        del weights["text_projection.weight"]
    elif change == "unexpected":
        weights["text_projection.lora_A"] = weights["text_projection.weight"].clone()
    elif change == "shape":
        weights["text_projection.weight"] = torch.zeros(16, 31)
    save_file(weights, path, metadata={"format": "pt"})
    if change == "torn":
        path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ModelError, match="cannot load the model" if change == "torn" else "keys: text_projection"):
        DualEncoder(str(copy))


def test_old_position_ids_are_no_fault(clip: Path, tmp_path: Path) -> None:
    copy = _copy(clip, tmp_path)
    weights = load_file(copy / "model.safetensors")
    weights["text_model.embeddings.position_ids"] = torch.arange(20)[None]
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    assert DualEncoder(str(copy)).dimension == 16


class Canary:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.path,))


def test_pickled_weights_are_refused_unread(clip: Path, tmp_path: Path) -> None:
    copy, ran = _copy(clip, tmp_path), tmp_path / "ran"
    (copy / "model.safetensors").unlink()
    torch.save({"logit_scale": Canary(ran)}, copy / "pytorch_model.bin")
    with pytest.raises(ModelError, match="safetensors") as caught:
        load_model(f"hf:{copy}")
    assert "pytorch_model.bin" in str(caught.value)
    assert not ran.exists()


def test_code_of_the_folder_never_runs(clip: Path, tmp_path: Path) -> None:
    copy, ran = _copy(clip, tmp_path), tmp_path / "ran"
    (copy / "evil.py").write_text(f"open({str(ran)!r}, 'w')\n")
    for name, keys in {
        "config.json": {"AutoConfig": "evil.Config", "AutoModel": "evil.Model"},
        "tokenizer_config.json": {"AutoTokenizer": ["evil.Tokenizer", None]},
        "preprocessor_config.json": {"AutoImageProcessor": "evil.Processor"},
    }.items():
        values = json.loads((copy / name).read_text())
        _write(copy, name, **values, auto_map=keys)
    assert DualEncoder(str(copy)).dimension == 16
    values = json.loads((copy / "config.json").read_text()) | {"model_type": "evil"}
    _write(copy, "config.json", **values)
    with pytest.raises(ModelError):
        DualEncoder(str(copy))
    assert not ran.exists()


def test_other_models_and_broken_folders(clip: Path, tmp_path: Path) -> None:
    copy = _copy(clip, tmp_path)
    (copy / "preprocessor_config.json").unlink()
    with pytest.raises(ModelError, match="cannot load the model"):
        DualEncoder(str(copy))
    _write(copy, "adapter_config.json", base_model_name_or_path="other")
    with pytest.raises(ModelError, match="adapter"):
        DualEncoder(str(copy))
    (copy / "adapter_config.json").unlink()
    _write(copy, "config.json", model_type="bert")
    with pytest.raises(ModelError, match="got: 'bert'; accepted: clip, siglip, siglip2"):
        DualEncoder(str(copy))
    (copy / "config.json").write_text("{")
    with pytest.raises(ModelError) as caught:
        DualEncoder(str(copy))
    assert "\n" not in str(caught.value)


def test_a_hub_id_that_cannot_be_reached_is_one_line() -> None:
    code = (
        "from mrbench.models.zoo import load_model\n"
        "from mrbench.errors import ModelError\n"
        "try: load_model('hf:example/clip-vit-base-patch32')\n"
        "except ModelError as error: print(error)"
    )
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert "neither a local folder nor a model that the hub gave us" in done.stdout
    assert "example/clip-vit-base-patch32" in done.stdout
    assert done.stdout.count("\n") == 1


def _copy(folder: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in folder.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    return copy


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "merges.txt", "preprocessor_config.json"])
def test_every_file_of_a_checkpoint_enters_the_key_of_its_embeddings(tmp_path: Path, name: str) -> None:
    before = DualEncoder(str(write_clip(tmp_path)))
    path = tmp_path / name
    changed = path.read_text().replace("#version: 0.2", "#version: 0.3") + "\n" * (name != "merges.txt")
    path.write_text(changed)
    after = DualEncoder(str(tmp_path))
    assert after.revision == before.revision  # the same weights
    assert after.preprocessing != before.preprocessing
    (tmp_path / "notes.md").write_text("read by nobody")
    assert DualEncoder(str(tmp_path)).preprocessing == after.preprocessing


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
