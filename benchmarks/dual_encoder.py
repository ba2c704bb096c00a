"""A small CLIP from nothing, trained with InfoNCE on the train splits: what the plug-in mode starts from.

    python benchmarks/dual_encoder.py --data OUT/scenes-train --data OUT/emoji-train --out OUT/clip

No trained CLIP could be had offline. This one has CLIP's two towers at 64 pixels and learns all four tasks.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers.processors import TemplateProcessing
from transformers import CLIPConfig, CLIPModel

from elva.config import Contrastive, load_recipe
from elva.data import Pool
from elva.engine import Stage, run
from elva.inputs import Data, read_data
from elva.prompts import RET, Input
from elva.stages.contrastive import InfoNCE
from elva.stages.plug_in import embed
from elva.tokenizer import build_tokenizer
from mrbench.folders import FolderKind, replaced_folder
from mrbench.models.dual_encoder import DualEncoder

TOWER = {"hidden_size": 128, "intermediate_size": 320, "num_attention_heads": 4}
PRETRAINING = Contrastive(steps=3000, batch=64, chunk=1024, lr=1e-3, balance=0.5, train="all")


class Towers:
    """A dual encoder where the contrastive stage expects an ELVA model: embeddings at once, and no summary."""

    def __init__(self, encoder: DualEncoder) -> None:
        self._encoder = encoder

    def forced(self, inputs: Sequence[Input], ask: str, *, dropout: bool) -> tuple[None, None, torch.Tensor]:
        """Return nothing, nothing, and embeddings under gradient; the towers have no dropout."""
        return None, None, embed(self._encoder, inputs)

    def embed(self, inputs: Sequence[Input], how: str) -> torch.Tensor:
        """Return embeddings."""
        with torch.no_grad():
            return embed(self._encoder, inputs)


def build(texts: Sequence[str], folder: Path, seed: int) -> None:
    """Write a CLIP with random weights that knows all words of the texts."""
    tokenizer = build_tokenizer(texts)
    end, pad = tokenizer.convert_tokens_to_ids(RET), tokenizer.pad_token_id
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single=f"$A {RET}", special_tokens=[(RET, end)])
    ends = {"eos_token_id": end, "pad_token_id": pad, "bos_token_id": pad}
    text = TOWER | ends | {"vocab_size": len(tokenizer), "max_position_embeddings": 64, "num_hidden_layers": 4}
    picture = TOWER | {"num_hidden_layers": 4, "image_size": 64, "patch_size": 16}
    torch.manual_seed(seed)
    CLIPModel(CLIPConfig(text_config=text, vision_config=picture, projection_dim=128)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    processor = {
        "image_processor_type": "CLIPImageProcessor",
        "size": {"height": 64, "width": 64},
        "do_center_crop": False,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))


def train(start: Path, pools: Sequence[Pool], settings: Contrastive, out: Path, *, seed: int, resume: bool) -> Path:
    """Train a dual encoder with InfoNCE and return the folder of the model; an interrupted run can go on."""
    if (out / "model").exists():
        return out / "model"
    out.mkdir(parents=True, exist_ok=True)
    encoder: Any = DualEncoder(str(start), device="cpu")
    weights: Mapping[str, torch.nn.Parameter] = dict(encoder.module.named_parameters())
    towers: Any = Towers(encoder)
    loss = InfoNCE(towers, pools, settings, seed=seed, sampling=settings.sampling)
    run(Stage(2, settings, settings.steps, f"{settings} {seed}", out), loss, weights, resume=resume)
    with replaced_folder(out / "model", FolderKind("config.json", ".*"), overwrite=False) as folder:
        encoder.save(folder)
    return out / "model"


def pretrain(data: Data, out: Path, *, seed: int = 0, resume: bool = False) -> Path:
    """Build a dual encoder and train it."""
    with tempfile.TemporaryDirectory() as name:
        build(data.texts(), Path(name), load_recipe("tiny").seed + seed)
        return train(Path(name), data.pools, PRETRAINING, out, seed=seed, resume=resume)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, action="append", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resume", action="store_true")
    args = parser.parse_args()
    print(pretrain(read_data(args.data), args.out, seed=args.seed, resume=args.resume))


if __name__ == "__main__":
    main()
