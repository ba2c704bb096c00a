"""A CLIP checkpoint with random weights that reads letters and looks at 16 patches, in the format of the hub."""

import json

import torch
from transformers import CLIPConfig, CLIPModel

TOWER = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}


def write_clip(folder):
    """Write the checkpoint and return its folder."""
    folder.mkdir(parents=True)
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    words = ["<|startoftext|>", "<|endoftext|>", *letters, *(letter + "</w>" for letter in letters)]
    colours = ["red", "green", "blue", "yellow", "black", "white"]
    merges = []
    for colour in colours:  # a token for each colour
        parts = [*colour[:-1], colour[-1] + "</w>"]
        while len(parts) > 1:
            merges.append(f"{parts[-2]} {parts[-1]}")
            parts[-2:] = [parts[-2] + parts[-1]]
            words.append(parts[-1])
    words = list(dict.fromkeys(words))
    ends = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    text = TOWER | ends | {"vocab_size": len(words), "max_position_embeddings": 48}
    torch.manual_seed(0)
    config = CLIPConfig(text_config=text, vision_config=TOWER | {"image_size": 32, "patch_size": 8}, projection_dim=24)
    CLIPModel(config).save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps({word: n for n, word in enumerate(words)}))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]) + "\n")
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "CLIPTokenizer"}))
    processor = {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 32}, "crop_size": 32}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder
