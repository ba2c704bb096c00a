"""Tiny models of sentence-transformers with random weights, as the library saves them."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Router, Transformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling
from tiny_towers import TOWER, WORDS
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    BertConfig,
    BertModel,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaModel,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

PROMPTS = {"query": "red cats ", "document": "two "}
CHAT = (
    "{% for m in messages %}{{ m['role'] }} : {% for c in m['content'] %}{% if c['type'] == 'image' %}<image> "
    "{% else %}{{ c['text'] }} {% endif %}{% endfor %}{% endfor %}"
)


def word_tokenizer(words: Sequence[str], length: int) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    named = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=length, **named)


def write_bert(folder: Path) -> Path:
    torch.manual_seed(0)
    config = BertConfig(vocab_size=len(WORDS), max_position_embeddings=24, **TOWER)
    BertModel(config).save_pretrained(folder)
    word_tokenizer(WORDS, 24).save_pretrained(folder)
    return folder


def write_text_model(folder: Path, **options: object) -> Path:
    """Mean pooling, a projection, unit length; with prompts where they are given."""
    torch.manual_seed(1)
    first = Transformer(str(write_bert(folder.parent / f"{folder.name}-bert")))
    modules = [first, Pooling(32, "mean"), Dense(32, 20), Normalize()]
    SentenceTransformer(modules=modules, device="cpu", **options).save(str(folder))  # type: ignore[arg-type]
    return folder


def write_routed_model(folder: Path) -> Path:
    """Other weights for queries than for documents."""
    torch.manual_seed(2)
    routes = []
    for number in range(2):
        bert = write_bert(folder.parent / f"{folder.name}-bert{number}")
        routes.append([Transformer(str(bert)), Pooling(32, "mean" if number else "cls")])
    router = Router.for_query_document(query_modules=routes[0], document_modules=routes[1])
    SentenceTransformer(modules=[router], device="cpu").save(str(folder))
    return folder


def write_clip_model(folder: Path, clip: Path) -> Path:
    SentenceTransformer(modules=[Transformer(str(clip))], device="cpu").save(str(folder))
    return folder


def write_old_clip_model(folder: Path, clip: Path) -> Path:
    """As versions before 5.4 saved it, for example ``clip-ViT-B-32``."""
    shutil.copytree(clip, folder / "0_CLIPModel")
    module = {"idx": 0, "name": "0", "path": "0_CLIPModel", "type": "sentence_transformers.models.CLIPModel"}
    (folder / "modules.json").write_text(json.dumps([module]))
    return folder


def write_chat_model(folder: Path) -> Path:
    """LLaVA with a chat template: picture and text in one input, prompts as a system message."""
    words = [*WORDS, "<image>", "user", "system", "assistant", ":"]
    image = words.index("<image>")
    vision = CLIPVisionConfig(**TOWER, image_size=32, patch_size=8)
    sizes = {**TOWER, "num_key_value_heads": 1}
    text = LlamaConfig(vocab_size=len(words), pad_token_id=0, **sizes)
    base = folder.parent / f"{folder.name}-llava"
    torch.manual_seed(3)
    config = LlavaConfig(vision_config=vision, text_config=text, image_token_id=image, vision_feature_layer=-1)
    LlavaModel(config).save_pretrained(base)
    tokenizer = word_tokenizer(words, 256)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
    LlavaProcessor(
        image_processor=CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}),
        tokenizer=tokenizer,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        image_token="<image>",
        chat_template=CHAT,
    ).save_pretrained(base)
    modules = [Transformer(str(base)), Pooling(32, "lasttoken"), Normalize()]
    SentenceTransformer(modules=modules, device="cpu", prompts=dict(PROMPTS)).save(str(folder))
    return folder


def quiet() -> None:
    """Keep the library from telling that it writes and reads."""
    for name in ("transformers", "sentence_transformers"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
