"""A Qwen2-VL of two layers with random weights, as stage 3 sees a model, and a world of letters to train it on."""

from __future__ import annotations

import warnings
from types import SimpleNamespace

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

from elva.data import Pool
from elva.negatives import code_grains
from elva.prompts import Input
from mrbench.records import Grain

PAD, END, IMAGE, START, STOP, ASK = range(40, 46)
SPECIAL = torch.tensor([PAD, IMAGE, START, STOP, ASK])
PATCHES = 4  # along the side of a picture, two of which make a token
SHAPE = {"hidden_size": 32, "num_attention_heads": 2, "num_key_value_heads": 2, "vocab_size": 48}


class TinySummariser:
    """Texts are single letters; a picture is filled with one level of grey by each half."""

    end, forbidden, device = END, SPECIAL, torch.device("cpu")

    def __init__(self, seed: int = 0, dtype: torch.dtype = torch.float32) -> None:
        torch.manual_seed(seed)
        rope = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0}
        tokens = {"bos_token_id": PAD, "eos_token_id": END, "pad_token_id": PAD}
        vision = {"depth": 1, "embed_dim": 16, "hidden_size": 32, "num_heads": 2, "mlp_ratio": 2, "patch_size": 2}
        config = Qwen2VLConfig(
            text_config=SHAPE | tokens | {"intermediate_size": 48, "num_hidden_layers": 2, "rope_parameters": rope},
            vision_config=vision | {"spatial_merge_size": 2, "temporal_patch_size": 1},
            image_token_id=IMAGE,
            video_token_id=46,
            vision_start_token_id=START,
            vision_end_token_id=STOP,
        )
        self.plain = Qwen2VLForConditionalGeneration(config).to(dtype).eval()
        self.plain.lm_head.weight.data *= 8  # sharp enough to end now and then
        targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
        lora = LoraConfig(r=8, lora_alpha=16, target_modules=targets)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers by a name that it will drop
            self.adapted = get_peft_model(self.plain, lora).eval()
        self.backbone, self.head = self.plain.model, self.plain.lm_head
        self.encoded = 0

    def reference(self):
        return self.adapted.disable_adapter()

    def tokens(self, item: Input) -> list[int]:
        picture = [START, *[IMAGE] * (PATCHES**2 // 4), STOP] if item.image is not None else []
        return [*picture, *(ord(letter) - ord("a") for letter in item.text or ""), ASK]

    def pixels(self, inputs) -> tuple[torch.Tensor, torch.Tensor]:
        images = [np.asarray(item.image, dtype=np.float32) / 255 for item in inputs if item.image is not None]
        patches = [
            image.reshape(2, 2, 2, 2, 2, 2, 3).transpose(0, 3, 1, 4, 6, 2, 5).reshape(16, -1) for image in images
        ]
        grid = torch.tensor([[1, PATCHES, PATCHES]] * len(images))
        return torch.tensor(np.concatenate(patches)), grid

    def prompts(self, inputs, ask):
        rows = [self.tokens(item) for item in inputs]
        width = max(map(len, rows))
        input_ids = torch.tensor([[PAD] * (width - len(row)) + row for row in rows])
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
        images, grid = None, None
        if (input_ids == IMAGE).any():
            pixels, grid = self.pixels(inputs)
            with torch.no_grad():
                images = {"image": self.plain.model.get_image_features(pixels, grid, return_dict=True)}
        kinds = (input_ids == IMAGE).int()
        position_ids, _ = self.plain.model.get_rope_index(input_ids, kinds, grid, attention_mask=mask)
        return SimpleNamespace(input_ids=input_ids, attention_mask=mask, position_ids=position_ids, images=images)


def letters() -> Pool:
    """Two letters, each a grain; the text of a candidate has them in the other order."""
    pairs = [(one, other) for one in "abcd" for other in "efgh"]
    grains = [[Grain("one", one), Grain("other", other)] for one, other in pairs]
    return Pool(
        "t2t",
        ["".join(pair) for pair in pairs],
        [Input(text="".join(pair)) for pair in pairs],
        [Input(text="".join(reversed(pair))) for pair in pairs],
        np.arange(len(pairs)),
        *code_grains(grains, grains),
    )
