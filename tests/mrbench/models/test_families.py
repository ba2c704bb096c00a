"""MetaCLIP 2, AltCLIP, Chinese-CLIP and ALIGN against transformers' own forward pass, with its own processors."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import sentencepiece
import torch
from tiny_towers import DEVIATION, MEAN, TOWER, pictures, write_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    AlignConfig,
    AlignModel,
    AltCLIPConfig,
    AltCLIPModel,
    BertTokenizer,
    ChineseCLIPConfig,
    ChineseCLIPModel,
    CLIPTextConfig,
    CLIPTextModelWithProjection,
    MetaClip2Config,
    MetaClip2Model,
    PreTrainedTokenizerFast,
    SiglipConfig,
    SiglipModel,
)

from mrbench.errors import ModelError
from mrbench.models import dual_encoder
from mrbench.models.dual_encoder import DualEncoder
from mrbench.models.protocol import Item

WORDS = ["<s>", "<pad>", "</s>", "<unk>", *"abcdefghijklmnopqrstuvwxyz狗猫人", "红"]
TEXTS = ["a red dog", "", "狗 红", "z", "a b c d e f g h i j k l m n o p q r s t u v w x y z " * 3, "Ünknown 🐕"]
VISION = TOWER | {"image_size": 32, "patch_size": 8}


def write_processor(folder: Path, kind: str, **values: object) -> None:
    both = {"do_resize": True, "do_rescale": True, "do_normalize": True, "rescale_factor": 1 / 255, "resample": 3}
    write_file(
        folder,
        "preprocessor_config.json",
        **both | {"image_processor_type": kind, "image_mean": MEAN, "image_std": DEVIATION} | values,
    )


def write_xlm_tokenizer(folder: Path, length: int) -> None:
    """Of the kind of XLM-R: <s> before a text and </s> after it."""
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(WORDS)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    names = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>", "cls_token": "<s>"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=length, **names).save_pretrained(folder)


def write_bert_tokenizer(folder: Path) -> None:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS[4:]]
    BertTokenizer(vocab={word: n for n, word in enumerate(words)}, model_max_length=32).save_pretrained(folder)


def metaclip_2(folder: Path) -> Path:
    ends = {"bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1}
    text = TOWER | ends | {"vocab_size": len(WORDS), "max_position_embeddings": 20}
    MetaClip2Model(MetaClip2Config(text_config=text, vision_config=VISION, projection_dim=16)).save_pretrained(folder)
    write_xlm_tokenizer(folder, 512)
    sizes = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}, "do_center_crop": True}
    write_processor(folder, "CLIPImageProcessor", **sizes)
    return folder


def altclip(folder: Path) -> Path:
    text = TOWER | {"vocab_size": len(WORDS), "max_position_embeddings": 26, "project_dim": 24, "pad_token_id": 1}
    AltCLIPModel(AltCLIPConfig(text_config=text, vision_config=VISION, projection_dim=16)).save_pretrained(folder)
    write_xlm_tokenizer(folder, 512)
    sizes = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}, "do_center_crop": True}
    write_processor(folder, "CLIPImageProcessor", **sizes)
    return folder


def chinese_clip(folder: Path) -> Path:
    text = TOWER | {"vocab_size": len(WORDS) + 1, "max_position_embeddings": 40}
    config = ChineseCLIPConfig(text_config=text, vision_config=VISION, projection_dim=16)
    ChineseCLIPModel(config).save_pretrained(folder)
    write_bert_tokenizer(folder)
    write_processor(folder, "ChineseCLIPImageProcessor", size={"height": 32, "width": 32}, do_center_crop=False)
    return folder


def align(folder: Path) -> Path:
    text = TOWER | {"vocab_size": len(WORDS) + 1, "max_position_embeddings": 40}
    blocks = {
        "image_size": 64, "width_coefficient": 0.1, "depth_coefficient": 0.1, "hidden_dim": 16,
        "kernel_sizes": [3, 3], "in_channels": [32, 16], "out_channels": [16, 24], "strides": [1, 2],
        "num_block_repeats": [1, 1], "expand_ratios": [1, 6], "depthwise_padding": [],
    }  # fmt: skip
    AlignModel(AlignConfig(text_config=text, vision_config=blocks, projection_dim=8)).save_pretrained(folder)
    write_bert_tokenizer(folder)
    sizes = {"size": {"height": 64, "width": 64}, "rescale_offset": True, "include_top": False, "resample": 2}
    write_processor(folder, "EfficientNetImageProcessor", **sizes, rescale_factor=1 / 127.5)
    return folder


FAMILIES: dict[str, tuple[Callable[[Path], Path], int]] = {
    "metaclip_2": (metaclip_2, 20),
    "altclip": (altclip, 24),  # of 26 positions, which begin after that of the padding
    "chinese_clip": (chinese_clip, 32),
    "align": (align, 32),
}


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    torch.manual_seed(0)
    write, length = FAMILIES[request.param]
    return write(tmp_path_factory.mktemp("models") / request.param), length


def test_a_text_and_an_image_are_what_transformers_makes_of_each(family: tuple[Path, int]) -> None:
    folder, length = family
    model = DualEncoder(str(folder), device="cpu", batch_size=4)
    texts = model.embed_candidates([Item(text=text) for text in TEXTS])
    images = model.embed_candidates([Item(image=image) for image in pictures()])
    with torch.inference_mode():
        for text, found in zip(TEXTS, texts, strict=True):
            given = model._tokenizer(text, truncation=True, max_length=length, return_tensors="pt")
            expected = model.module.get_text_features(**given).pooler_output[0]
            np.testing.assert_allclose(found, expected, atol=2e-5)
        pixels = model._processor(images=pictures(), return_tensors="pt")
        expected = model.module.get_image_features(**pixels).pooler_output
    np.testing.assert_allclose(images, expected, atol=2e-4)
    assert texts.shape == (len(TEXTS), images.shape[1])
    distances = np.abs(texts[:, None] - texts).max(axis=2)[np.triu_indices(len(TEXTS), 1)]
    assert distances.min() > 3e-4, "two texts have one vector"


def test_the_joint_forward_pass_agrees(family: tuple[Path, int]) -> None:
    """With padding and its mask, as transformers' own example calls it."""
    folder, length = family
    model = DualEncoder(str(folder), device="cpu")
    given = model._tokenizer(TEXTS[:3], padding=True, truncation=True, max_length=length, return_tensors="pt")
    pixels = model._processor(images=pictures(), return_tensors="pt")
    with torch.inference_mode():
        reference = model.module(**given, **pixels)
    for found, expected in (
        (model.embed_candidates([Item(text=text) for text in TEXTS[:3]]), reference.text_embeds),
        (model.embed_candidates([Item(image=image) for image in pictures()]), reference.image_embeds),
    ):
        unit = found / np.linalg.norm(found, axis=1, keepdims=True)
        wanted = expected / expected.norm(dim=-1, keepdim=True)
        np.testing.assert_allclose(unit, wanted, atol=1e-4)


def test_batches_change_nothing_and_no_code_of_clip_runs(
    family: tuple[Path, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dual_encoder, "use_quick_mlps", lambda module: pytest.fail("of CLIP alone"))
    model = DualEncoder(str(family[0]), device="cpu", batch_size=1)
    assert not model.shares_prefixes
    items = [Item(text=text, image=image) for text, image in zip(TEXTS, pictures() * 2, strict=True)]
    whole = DualEncoder(str(family[0]), device="cpu").embed_queries(items, "ignored")
    np.testing.assert_allclose(model.embed_queries(items, ""), whole, atol=1e-4)


@pytest.fixture(scope="module")
def siglip_pieces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SigLIP as it is on the hub: its tokenizer is a SentencePiece model alone."""
    folder = tmp_path_factory.mktemp("models") / "pieces"
    torch.manual_seed(0)
    text = TOWER | {"vocab_size": 60, "max_position_embeddings": 12, "projection_size": 32}
    SiglipModel(SiglipConfig(text_config=text, vision_config=VISION)).save_pretrained(folder)
    sentences = [f"{number} {what} to the {side} of a {other}" for number in ("one", "two", "three")
                 for what in ("dogs", "cats") for side in ("left", "right") for other in ("house", "car")]  # fmt: skip
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences * 20), model_prefix=str(folder / "spiece"), vocab_size=60, minloglevel=9,
        unk_id=2, bos_id=-1, eos_id=1, pad_id=0, hard_vocab_limit=False,
    )  # fmt: skip
    (folder / "spiece.vocab").unlink()
    write_file(folder, "tokenizer_config.json", tokenizer_class="SiglipTokenizer", model_max_length=12)
    write_processor(folder, "SiglipImageProcessor", size={"height": 32, "width": 32})
    return folder


def test_a_tokenizer_of_sentence_pieces(siglip_pieces: Path) -> None:
    model = DualEncoder(str(siglip_pieces), device="cpu")
    pieces = sentencepiece.SentencePieceProcessor(str(siglip_pieces / "spiece.model"))
    texts = ["two dogs to the left of a car", "one cat"]
    ids = [([*pieces.encode(text)[:11], 1] + [1] * 12)[:12] for text in texts]
    assert model.prepare_texts([text.upper() for text in texts]) == ids
    with torch.inference_mode():
        expected = model.module.get_text_features(input_ids=torch.tensor(ids)).pooler_output
    np.testing.assert_allclose(model.embed_candidates([Item(text=text) for text in texts]), expected, atol=1e-5)


def test_the_pieces_are_part_of_what_the_model_is(siglip_pieces: Path, tmp_path: Path) -> None:
    from mrbench.models.checkpoint import processors_of, settings_digest

    tokenizer, _ = processors_of(siglip_pieces)
    before = settings_digest(siglip_pieces, tokenizer=tokenizer)
    path = siglip_pieces / "spiece.model"
    kept = path.read_bytes()
    try:
        path.write_bytes(kept + b"\n")
        assert settings_digest(siglip_pieces, tokenizer=tokenizer) != before
    finally:
        path.write_bytes(kept)


def test_the_extra_that_installs_models_installs_what_reads_sentence_pieces() -> None:
    import tomllib

    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    extra = {line.partition(">")[0] for line in project["optional-dependencies"]["models"]}
    assert {"protobuf", "sentencepiece"} <= extra
    assert "torchvision" not in extra


def test_a_siglip_without_a_pooling_head_is_refused(siglip: Path, siglip2: Path, tmp_path: Path) -> None:
    for folder in (siglip, siglip2):
        copy = tmp_path / folder.name
        copy.mkdir()
        for path in folder.iterdir():
            (copy / path.name).write_bytes(path.read_bytes())
        said = json.loads((copy / "config.json").read_text())
        said["vision_config"]["vision_use_head"] = False
        (copy / "config.json").write_text(json.dumps(said))
        with pytest.raises(ModelError, match=r"returns no embedding: .*, vision_config.vision_use_head; got: False"):
            DualEncoder(str(copy), device="cpu")


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("clip_text_model", "holds the text tower alone, and no image tower"),
        ("siglip2_vision_model", "holds the image tower alone, and no text tower"),
        ("bert", "no adapter for this type of model"),
        ("blip", "no adapter for this type of model"),
        (None, "no adapter for this type of model"),
    ],
)
def test_another_kind_of_model_is_told_what_is_supported(
    kind: str | None, said: str, clip: Path, tmp_path: Path
) -> None:
    (tmp_path / "model.safetensors").write_bytes((clip / "model.safetensors").read_bytes())
    write_file(tmp_path, "config.json", model_type=kind)
    with pytest.raises(ModelError, match=f"{said}; .* got: '{kind}'; accepted: clip, siglip, siglip2, metaclip_2, alt"):
        DualEncoder(str(tmp_path), device="cpu")


def test_a_text_tower_saved_alone_is_one_line(tmp_path: Path) -> None:
    config = CLIPTextConfig(**TOWER, vocab_size=9, projection_dim=8)
    CLIPTextModelWithProjection(config).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="holds the text tower alone"):
        DualEncoder(str(tmp_path), device="cpu")
