"""All kinds of dual encoders but CLIP and SigLIP against transformers' own forward pass, with its own processors."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import sentencepiece
import torch
from safetensors.torch import load_file, save_file
from tiny_towers import DEVIATION, MEAN, TOWER, pictures, write_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    Aimv2Config,
    Aimv2Model,
    AlignConfig,
    AlignModel,
    AltCLIPConfig,
    AltCLIPModel,
    BertTokenizer,
    BlipConfig,
    BlipForConditionalGeneration,
    BlipForImageTextRetrieval,
    BlipModel,
    ChineseCLIPConfig,
    ChineseCLIPModel,
    CLIPSegConfig,
    CLIPSegForImageSegmentation,
    CLIPSegModel,
    CLIPTextConfig,
    CLIPTextModelWithProjection,
    FlavaConfig,
    FlavaForPreTraining,
    FlavaModel,
    GroupViTConfig,
    GroupViTModel,
    MetaClip2Config,
    MetaClip2Model,
    PreTrainedTokenizerFast,
    SiglipConfig,
    SiglipModel,
    VisionTextDualEncoderConfig,
    VisionTextDualEncoderModel,
    ViTConfig,
    XLMRobertaConfig,
)

from mrbench.errors import ModelError
from mrbench.models import prefixes
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


CLIP_TEXT = TOWER | {"bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1, "vocab_size": len(WORDS)}
CLIP_SIZES = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}, "do_center_crop": True}


def blip_config() -> BlipConfig:
    text = TOWER | {"vocab_size": len(WORDS) + 1, "max_position_embeddings": 40, "bos_token_id": 2}
    return BlipConfig(text_config=text, vision_config=VISION, projection_dim=16, image_text_hidden_size=16)


def write_blip(folder: Path, model: type) -> Path:
    model(blip_config()).save_pretrained(folder)
    write_bert_tokenizer(folder)
    write_processor(folder, "BlipImageProcessor", size={"height": 32, "width": 32})
    return folder


def blip(folder: Path) -> Path:
    return write_blip(folder, BlipModel)


def flava(folder: Path) -> Path:
    text = TOWER | {"vocab_size": len(WORDS) + 1, "max_position_embeddings": 40}
    config = FlavaConfig(
        text_config=text, image_config=VISION, multimodal_config=TOWER, hidden_size=32, projection_dim=16
    )
    FlavaModel(config).save_pretrained(folder)
    write_bert_tokenizer(folder)
    write_processor(folder, "FlavaImageProcessor", size={"height": 32, "width": 32}, do_center_crop=False)
    return folder


def groupvit(folder: Path) -> Path:
    vision = {
        "hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2, "image_size": 32, "patch_size": 8,
        "depths": [1, 1, 1], "num_hidden_layers": 3, "num_group_tokens": [8, 4, 0], "num_output_groups": [8, 4, 0],
    }  # fmt: skip
    config = GroupViTConfig(
        text_config=CLIP_TEXT | {"max_position_embeddings": 20}, vision_config=vision, projection_dim=16,
        projection_intermediate_dim=24,
    )  # fmt: skip
    GroupViTModel(config).save_pretrained(folder)
    write_xlm_tokenizer(folder, 512)
    write_processor(folder, "CLIPImageProcessor", **CLIP_SIZES)
    return folder


def clipseg(folder: Path) -> Path:
    config = CLIPSegConfig(
        text_config=CLIP_TEXT | {"max_position_embeddings": 20}, vision_config=VISION, projection_dim=16
    )
    CLIPSegModel(config).save_pretrained(folder)
    write_xlm_tokenizer(folder, 512)
    write_processor(folder, "ViTImageProcessor", size={"height": 48, "width": 48})  # not the tower's own size
    return folder


def aimv2(folder: Path) -> Path:
    config = Aimv2Config(
        text_config=CLIP_TEXT | {"max_position_embeddings": 20}, vision_config=VISION, projection_dim=16
    )
    Aimv2Model(config).save_pretrained(folder)
    write_xlm_tokenizer(folder, 512)
    write_processor(folder, "CLIPImageProcessor", **CLIP_SIZES)
    return folder


def two_towers(folder: Path) -> Path:
    text = XLMRobertaConfig(**TOWER, vocab_size=len(WORDS), max_position_embeddings=26, pad_token_id=1)
    config = VisionTextDualEncoderConfig.from_vision_text_configs(ViTConfig(**VISION), text, projection_dim=16)
    VisionTextDualEncoderModel(config).save_pretrained(folder)
    write_xlm_tokenizer(folder, 512)
    write_processor(folder, "ViTImageProcessor", size={"height": 32, "width": 32})
    return folder


FAMILIES: dict[str, tuple[Callable[[Path], Path], int]] = {
    "blip": (blip, 32),
    "flava": (flava, 32),
    "groupvit": (groupvit, 20),
    "clipseg": (clipseg, 20),
    "aimv2": (aimv2, 20),
    "vision-text-dual-encoder": (two_towers, 24),
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
            if folder.name == "aimv2":  # whose tokens see those after them where no text of a batch is filled up
                beside = [text, "", "z"]
                given = model._tokenizer(beside, truncation=True, padding=True, max_length=length, return_tensors="pt")
            expected = model.module.get_text_features(**given).pooler_output[0]
            expected = expected[0] if expected.ndim == 2 else expected  # FLAVA's first token
            np.testing.assert_allclose(found, expected, atol=2e-5)
        pixels = model._processor(images=pictures(), return_tensors="pt")
        expected = model.module.get_image_features(**pixels).pooler_output
        expected = expected[:, 0] if expected.ndim == 3 else expected
    np.testing.assert_allclose(images, expected, atol=2e-4)
    assert texts.shape == (len(TEXTS), images.shape[1])
    distances = np.abs(texts[:, None] - texts).max(axis=2)[np.triu_indices(len(TEXTS), 1)]
    assert distances.min() > 3e-5, "two texts have one vector"


def test_the_joint_forward_pass_agrees(family: tuple[Path, int]) -> None:
    """With padding and its mask, as transformers' own example calls it."""
    folder, length = family
    model = DualEncoder(str(folder), device="cpu")
    given = model._tokenizer(TEXTS[:3], padding=True, truncation=True, max_length=length, return_tensors="pt")
    if folder.name == "flava":  # whose joint pass returns no features, but the states that are projected
        pytest.skip("FLAVA's joint forward pass projects nothing")
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
    monkeypatch.setattr(prefixes, "embed_texts", lambda *args, **options: pytest.fail("of CLIP alone"))
    model = DualEncoder(str(family[0]), device="cpu", batch_size=1)
    assert model.faster_texts is None
    items = [Item(text=text, image=image) for text, image in zip(TEXTS, pictures() * 2, strict=True)]
    whole = DualEncoder(str(family[0]), device="cpu").embed_queries(items, "ignored")
    np.testing.assert_allclose(model.embed_queries(items, ""), whole, atol=1e-4)


def test_the_retrieval_class_of_blip_is_what_its_contrastive_head_scores(tmp_path: Path) -> None:
    """As the checkpoints of BLIP for retrieval are: other names, and a head for pairs that is not used."""
    torch.manual_seed(0)
    folder = write_blip(tmp_path / "itm", BlipForImageTextRetrieval)
    model = DualEncoder(str(folder), device="cpu", batch_size=2)
    given = model._tokenizer(TEXTS, padding=True, truncation=True, return_tensors="pt")
    given.pop("token_type_ids", None)
    pixels = model._processor(images=pictures(), return_tensors="pt")
    with torch.inference_mode():
        shown = torch.cat([pixels["pixel_values"]] * 2)
        expected = model.module(**given, pixel_values=shown, use_itm_head=False).itm_score[:3]
    texts = model.embed_candidates([Item(text=text) for text in TEXTS])
    images = model.embed_candidates([Item(image=image) for image in pictures()])
    texts, images = (part / np.linalg.norm(part, axis=1, keepdims=True) for part in (texts, images))
    np.testing.assert_allclose(images @ texts.T, expected, atol=1e-5)
    both = model.embed_candidates([Item(TEXTS[0], pictures()[0])])
    parts = model.embed_candidates([Item(TEXTS[0])]) + model.embed_candidates([Item(image=pictures()[0])])
    np.testing.assert_allclose(both, parts, atol=1e-5)


def test_a_blip_that_writes_captions_is_refused(tmp_path: Path) -> None:
    folder = write_blip(tmp_path / "captions", BlipForConditionalGeneration)
    with pytest.raises(ModelError, match=r"not trained to embed; .*got: .?BlipForCondit.*accepted: BlipForIma"):
        DualEncoder(str(folder), device="cpu")


@pytest.mark.parametrize(("kind", "whole"), [("clipseg", CLIPSegForImageSegmentation), ("flava", FlavaForPreTraining)])
def test_heads_for_other_tasks_are_left_and_any_other_key_is_an_error(kind: str, whole: type, tmp_path: Path) -> None:
    """As the checkpoints on the hub are: the towers below a prefix, and heads beside them."""
    torch.manual_seed(0)
    folder = FAMILIES[kind][0](tmp_path / kind)
    plain = DualEncoder(str(folder), device="cpu")
    config = plain.module.config
    if kind == "flava":
        config.image_codebook_config.hidden_size, config.image_codebook_config.num_blocks_per_group = 8, 1
        config.image_codebook_config.vocab_size = 16
    trained = whole(config)
    part = trained.clip if kind == "clipseg" else trained.flava
    part.load_state_dict(plain.module.state_dict())
    trained.save_pretrained(folder)
    items = [Item(text) for text in TEXTS[:3]] + [Item(image=image) for image in pictures()]
    found = DualEncoder(str(folder), device="cpu").embed_candidates(items)
    np.testing.assert_allclose(found, plain.embed_candidates(items), atol=1e-5)
    weights = load_file(folder / "model.safetensors")
    save_file(weights | {"more.weight": torch.ones(2)}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=r"unexpected keys: more\.weight"):
        DualEncoder(str(folder), device="cpu")


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
        ("blip-2", "no adapter for this type of model: a picture becomes 32 vectors, .* nearest of them"),
        ("owlvit", "no adapter for this type of model: it finds objects.*not trained"),
        ("xclip", "no adapter for this type of model: it embeds videos"),
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
