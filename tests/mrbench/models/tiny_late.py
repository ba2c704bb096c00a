"""Tiny multi-vector models with random weights, in the formats of transformers, sentence-transformers and PyLate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from tiny_mllms import QWEN, ROPE, TEXT, VISION, byte_tokenizer, change_json, spread
from tiny_sentence_transformers import write_bert
from transformers import (
    ColPaliConfig,
    ColPaliForRetrieval,
    ColPaliProcessor,
    ColQwen2Config,
    ColQwen2ForRetrieval,
    ColQwen2Processor,
    PaliGemmaConfig,
    Qwen2VLConfig,
)
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

PALI = ["<pad>", "<eos>", "<bos>", "<|endoftext|>", "<|im_end|>"]
CARD = "---\nlicense: gemma\nlibrary_name: transformers\n---\n# A model\n"


def write_colpali(folder: Path, **settings: Any) -> Path:
    """A ColPali of four tokens a picture beside its prompt; ``settings`` go into its configuration."""
    tokenizer = byte_tokenizer(PALI)
    tokenizer.pad_token, tokenizer.eos_token, tokenizer.bos_token = "<pad>", "<eos>", "<bos>"
    images = SiglipImageProcessorPil(size={"height": 28, "width": 28})
    images.image_seq_length = 4
    processor = ColPaliProcessor(image_processor=images, tokenizer=tokenizer)
    vision = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
    vision |= {"image_size": 28, "patch_size": 14, "projection_dim": 32, "vision_use_head": False}
    text = TEXT | {"model_type": "gemma", "num_key_value_heads": 1, "head_dim": 16, "vocab_size": len(tokenizer) + 2}
    text |= {"max_position_embeddings": 400}
    vlm = PaliGemmaConfig(
        text_config=text,
        vision_config=vision | {"model_type": "siglip_vision_model"},
        image_token_index=processor.image_token_id,
        projection_dim=32,
        hidden_size=32,
    )
    torch.manual_seed(0)
    return _write(folder, ColPaliForRetrieval(ColPaliConfig(vlm_config=vlm, embedding_dim=12)), processor, settings)


def write_colqwen2(folder: Path, **settings: Any) -> Path:
    """A ColQwen2; ``settings`` go into its configuration."""
    tokenizer = byte_tokenizer(QWEN)
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in QWEN}
    tokens = {"bos_token_id": None, "eos_token_id": ids["<|im_end|>"], "pad_token_id": ids["<|endoftext|>"]}
    text = TEXT | tokens | {"num_key_value_heads": 1, "vocab_size": len(tokenizer) + 2, "rope_parameters": ROPE}
    vision = {"embed_dim": 16, "hidden_size": 32, "mlp_ratio": 2, "patch_size": 14}
    vlm = Qwen2VLConfig(
        text_config=text | {"max_position_embeddings": 400},
        vision_config=VISION | vision,
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
    )
    images = Qwen2VLImageProcessorPil(patch_size=14, merge_size=2, temporal_patch_size=2)
    images.size = {"shortest_edge": 4 * 28 * 28, "longest_edge": 64 * 28 * 28}
    processor = ColQwen2Processor(image_processor=images, tokenizer=tokenizer)
    torch.manual_seed(0)
    return _write(folder, ColQwen2ForRetrieval(ColQwen2Config(vlm_config=vlm, embedding_dim=12)), processor, settings)


def _write(folder: Path, model: Any, processor: Any, settings: dict[str, Any]) -> Path:
    spread(model)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    (folder / "README.md").write_text(CARD)
    change_json(folder / "config.json", **settings)
    return folder


WRITERS = {"colpali": write_colpali, "colqwen2": write_colqwen2}


def write_colbert(folder: Path) -> Path:
    """A ColBERT of sentence-transformers: a projection of every token, with prompts of queries and documents."""
    from sentence_transformers import MultiVectorEncoder
    from sentence_transformers.base.modules import Normalize, Transformer
    from sentence_transformers.base.modules.dense import Dense
    from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask

    torch.manual_seed(1)
    first = Transformer(str(write_bert(folder.parent / f"{folder.name}-bert")))
    names = {"module_input_name": "token_embeddings", "module_output_name": "token_embeddings"}
    modules = [
        first,
        Dense(32, 12, bias=False, activation_function=torch.nn.Identity(), **names),
        Normalize("token_embeddings"),
        MultiVectorMask(),
    ]
    prompts = {"query": "red ", "document": "two cats "}
    MultiVectorEncoder(modules=modules, device="cpu", prompts=prompts).save(str(folder))
    return folder


def rename_modules(folder: Path, old: str, new: str) -> None:
    path = folder / "modules.json"
    path.write_text(path.read_text().replace(old, new))
    json.loads(path.read_text())
