"""Tiny multimodal language models with random weights, in the format of the hub."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
    LlavaNextProcessor,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
)
from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

QWEN = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
]
LLAMA = ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<image>"]
CORPUS = ["system You are a helpful assistant. user assistant Find a picture of two large dogs on the beach"] * 3
WORDS = (
    r"""[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"""  # roughly as Qwen splits
)
TEXT = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
ROPE = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0}
VISION = {"depth": 2, "num_heads": 2, "spatial_merge_size": 2, "temporal_patch_size": 2}
FAMILIES: dict[str, Any] = {
    "qwen2_vl": (
        Qwen2VLConfig,
        Qwen2VLForConditionalGeneration,
        {"embed_dim": 16, "hidden_size": 32, "mlp_ratio": 2, "patch_size": 14},
    ),
    "qwen2_5_vl": (
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        {
            "hidden_size": 16,
            "out_hidden_size": 32,
            "intermediate_size": 24,
            "fullatt_block_indexes": [1],
            "patch_size": 14,
        },
    ),
    "qwen3_vl": (
        Qwen3VLConfig,
        Qwen3VLForConditionalGeneration,
        {
            "hidden_size": 16,
            "out_hidden_size": 32,
            "intermediate_size": 24,
            "deepstack_visual_indexes": [0],
            "num_position_embeddings": 64,
            "patch_size": 16,
        },
    ),
}


def byte_tokenizer(special: list[str], *, begins: str | None = None) -> Any:
    """A byte-level BPE with a few merges, which knows every script."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    core.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=340, initial_alphabet=alphabet, special_tokens=special, show_progress=False
    )
    core.train_from_iterator(CORPUS, trainer)
    if begins is not None:
        number = core.token_to_id(begins)
        core.post_processor = processors.TemplateProcessing(single=f"{begins} $A", special_tokens=[(begins, number)])
    ends = "<|im_end|>" if "<|im_end|>" in special else "<|eot_id|>"
    pads = "<|endoftext|>" if "<|endoftext|>" in special else ends
    rest = [token for token in special if token not in (ends, pads)]
    return PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token=ends, pad_token=pads, additional_special_tokens=rest, model_max_length=100_000
    )


def write_qwen(folder: Path, family: str, *, more: tuple[str, ...] = (), seed: int = 0, **settings: Any) -> Path:
    """A Qwen2-VL, Qwen2.5-VL or Qwen3-VL; ``settings`` go into its configuration."""
    config, network, vision = FAMILIES[family]
    tokenizer = byte_tokenizer([*QWEN, *more])
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in QWEN}
    tokens = {"bos_token_id": None, "eos_token_id": ids["<|im_end|>"], "pad_token_id": ids["<|endoftext|>"]}
    text = TEXT | tokens | {"num_key_value_heads": 1, "vocab_size": len(tokenizer) + 2, "rope_parameters": ROPE}
    text |= {"max_position_embeddings": 32768} | ({"head_dim": 16} if family == "qwen3_vl" else {})
    torch.manual_seed(seed)
    model = network(
        config(
            text_config=text,
            vision_config=VISION | vision,
            image_token_id=ids["<|image_pad|>"],
            video_token_id=ids["<|video_pad|>"],
            vision_start_token_id=ids["<|vision_start|>"],
            vision_end_token_id=ids["<|vision_end|>"],
            tie_word_embeddings=family != "qwen2_5_vl",
        )
    )
    spread(model)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    Qwen2VLImageProcessorPil(patch_size=vision["patch_size"], merge_size=2, temporal_patch_size=2).save_pretrained(
        folder
    )
    change_json(folder / "config.json", **settings)
    return folder


def write_llava_next(folder: Path, **settings: Any) -> Path:
    tokenizer = byte_tokenizer(LLAMA, begins="<|begin_of_text|>")
    image = tokenizer.convert_tokens_to_ids("<image>")
    sizes = [[32, 64], [64, 32], [64, 64]]
    tower = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
    vision = CLIPVisionConfig(**tower, image_size=32, patch_size=8)
    text = LlamaConfig(**TEXT, num_key_value_heads=1, vocab_size=len(tokenizer) + 2, max_position_embeddings=8192)
    torch.manual_seed(0)
    model = LlavaNextForConditionalGeneration(
        LlavaNextConfig(vision_config=vision, text_config=text, image_token_index=image, image_grid_pinpoints=sizes)
    )
    spread(model)
    model.save_pretrained(folder)
    cut = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}, "image_grid_pinpoints": sizes}
    LlavaNextProcessor(
        image_processor=LlavaNextImageProcessorPil(**cut),
        tokenizer=tokenizer,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        image_token="<image>",
    ).save_pretrained(folder)
    change_json(folder / "config.json", **settings)
    return folder


def spread(model: Any) -> None:
    """Make weights large enough for attention to matter, so that a wrong position or mask shows."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim > 1 and "embed" not in name:
                weight.mul_(6)


def write_adapter(folder: Path, base: Path, network: Any, *, old_names: bool = False) -> Path:
    """LoRA on the language model, as PEFT saves it; with the names of parts from before transformers 4.52."""
    torch.manual_seed(7)
    target = r".*language_model.*\.(q_proj|v_proj|up_proj)"
    config = LoraConfig(r=4, lora_alpha=8, target_modules=target)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers by a name that it will drop
        model = get_peft_model(network, config)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.3)
    model.save_pretrained(folder)
    change_json(folder / "adapter_config.json", base_model_name_or_path=str(base))
    if old_names:
        from safetensors.torch import load_file, save_file

        held = load_file(folder / "adapter_model.safetensors")
        renamed = {name.replace("model.language_model.layers", "model.layers"): tensor for name, tensor in held.items()}
        assert renamed.keys() != held.keys()
        save_file(renamed, folder / "adapter_model.safetensors")
        change_json(folder / "adapter_config.json", target_modules=["q_proj", "v_proj", "up_proj"])
    return folder


def change_json(path: Path, **settings: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))
