"""Tiny CLIP and SigLIP checkpoints with random weights, in the format of the hub."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
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

TOWER = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
WORDS = ["<pad>", "</s>", "<unk>", "a", "red", "dog", "two", "cats"]
TEXTS = ["a red dog", "two cats", "a " * 40]
MEAN, DEVIATION = [0.48, 0.46, 0.41], [0.27, 0.26, 0.28]


def pictures() -> list[Image.Image]:
    noise = np.random.default_rng(0).integers(0, 256, (3, 48, 64, 3), dtype=np.uint8)
    return [Image.fromarray(pixels) for pixels in noise]


def write_clip(folder: Path, words: Sequence[str] = ("dog",), *, dimension: int = 16, max_length: int = 20) -> Path:
    """Write a CLIP that reads letters, and each of some words as one token; return its folder."""
    characters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    tokens = ["<|startoftext|>", "<|endoftext|>", *characters, *(c + "</w>" for c in characters)]
    merges = []
    for word in words:
        first, *rest = [*word[:-1], word[-1] + "</w>"]
        for piece in rest:
            merges.append(f"{first} {piece}")
            first += piece
            tokens.append(first)
    vocabulary = {token: index for index, token in enumerate(dict.fromkeys(tokens))}
    torch.manual_seed(0)
    ends = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    text = TOWER | ends | {"vocab_size": len(vocabulary) + 2, "max_position_embeddings": max_length}
    vision = TOWER | {"image_size": 32, "patch_size": 8}
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=dimension)).save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *dict.fromkeys(merges)]) + "\n")
    write_file(folder, "tokenizer_config.json", tokenizer_class="CLIPTokenizer", model_max_length=max_length)
    sizes = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}, "do_center_crop": True}
    _write_processor(folder, "CLIPImageProcessor", **sizes)
    return folder


def write_siglip(folder: Path, words: Sequence[str] = WORDS) -> Path:
    """Write a SigLIP that reads some words and return its folder."""
    torch.manual_seed(0)
    text = TOWER | {"vocab_size": len(words), "max_position_embeddings": 12, "projection_size": 32}
    config = SiglipConfig(text_config=text, vision_config=TOWER | {"image_size": 32, "patch_size": 8})
    SiglipModel(config).save_pretrained(folder)
    write_word_tokenizer(folder, words)
    _write_processor(folder, "SiglipImageProcessor", size={"height": 32, "width": 32})
    return folder


def write_siglip2(folder: Path, words: Sequence[str] = WORDS) -> Path:
    """Write the variant that keeps the aspect ratio and takes a varying number of patches."""
    torch.manual_seed(0)
    text = TOWER | {"vocab_size": len(words), "max_position_embeddings": 12, "projection_size": 32}
    config = Siglip2Config(text_config=text, vision_config=TOWER | {"num_patches": 16, "patch_size": 8})
    Siglip2Model(config).save_pretrained(folder)
    write_word_tokenizer(folder, words)
    _write_processor(folder, "Siglip2ImageProcessor", patch_size=8, max_num_patches=16)
    return folder


def write_word_tokenizer(folder: Path, words: Sequence[str] = WORDS) -> None:
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)


def _write_processor(folder: Path, kind: str, **values: object) -> None:
    write_file(
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


def write_file(folder: Path, name: str, **values: object) -> None:
    (folder / name).write_text(json.dumps(values))


def changed(folder: Path, name: str, part: str = "", /, **values: object) -> None:
    """Set values in a JSON file of a checkpoint, or in an object of it."""
    said = json.loads((folder / name).read_text())
    (said[part] if part else said).update(values)
    (folder / name).write_text(json.dumps(said))


def copied(folder: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in folder.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    return copy
