"""The kinds of dual encoders of transformers: how each is given texts, and which of its outputs is the embedding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import transformers

from mrbench.models.pretrained import load_transformer

HIGHEST = 2
"""As ``eos_token_id`` of a text tower: the token with the highest number is read, as before 2023."""


@dataclass(frozen=True, slots=True)
class Family:
    """How a kind of model is given texts.

    Attributes:
        whole_length: Texts are lower-cased and filled up to the length of the tower, which sees what fills up.
        masked: Texts are filled up to the longest, and the tower is told what fills up.
        in_order: Each token sees those before it alone. Texts are filled up only where the tokenizer ends them first.
        shows_order: The tower has to be told that, by a mask of all pairs of tokens: transformers' AIMv2 lets tokens
            see those after them, unless a text of the batch is filled up.
        reads_end: The tower reads the token ``text_config.eos_token_id``.
        reads_highest: It reads the highest token where that is :data:`HIGHEST`.
        architectures: Classes whose checkpoints embed, where others of the kind do not; empty where all do.
        idle: Regular expression of weights that a checkpoint may hold beside the towers, for other tasks.
    """

    whole_length: bool = False
    masked: bool = False
    in_order: bool = False
    shows_order: bool = False
    reads_end: bool = False
    reads_highest: bool = False
    architectures: tuple[str, ...] = ()
    idle: str = r"(?!)"


_CLIP = Family(in_order=True, reads_end=True, reads_highest=True)
FAMILIES: Mapping[str, Family] = {
    "clip": _CLIP,
    "siglip": Family(whole_length=True),
    "siglip2": Family(whole_length=True),
    "metaclip_2": Family(masked=True, reads_end=True),
    "altclip": Family(masked=True),
    "chinese_clip": Family(masked=True),
    "align": Family(masked=True),
    "blip": Family(masked=True, architectures=("BlipForImageTextRetrieval", "BlipModel")),
    "flava": Family(masked=True, idle=r"^(image_codebook|mim_head|mlm_head|itm_head|mmm_\w+|global_\w+)\."),
    "groupvit": _CLIP,
    "clipseg": Family(in_order=True, reads_end=True, reads_highest=True, idle=r"^decoder\."),
    "aimv2": Family(in_order=True, shows_order=True, reads_end=True),
    "vision-text-dual-encoder": Family(masked=True),
}
"""By ``model_type``: two towers, each with a projection into one space."""

UNFIT: Mapping[str, str] = {
    "blip-2": "a picture becomes 32 vectors, and each text is compared with the nearest of them",
    "owlvit": "it finds objects in a picture; vectors of whole pictures are not trained",
    "owlv2": "it finds objects in a picture; vectors of whole pictures are not trained",
    "tipsv2": "transformers reads its pictures with torchvision alone",
    "bridgetower": "it reads a text and a picture together",
    "vilt": "it reads a text and a picture together",
    "xclip": "it embeds videos",
    "videoprism": "it embeds videos",
    "pe_video": "it embeds videos",
    "clap": "it embeds sounds",
    "clvp": "it embeds sounds",
}
"""Why models of transformers that look alike are not loaded, by ``model_type``."""

_FROM_ONE = ("altclip", "roberta", "xlm-roberta", "camembert")
"""Text towers that count positions from after the number of the token that fills up."""


def load_towers(source: str, config: Any, *, dtype: torch.dtype) -> Any:
    """Return the model of a checkpoint of one of :data:`FAMILIES`.

    Args:
        source: A folder.
        config: Its configuration.
        dtype: Number format of the weights in memory.

    Raises:
        ModelError: A key is missing, unexpected or of another shape, or the files cannot be read.
    """
    retrieval = "BlipForImageTextRetrieval" in (config.architectures or ())
    loader: Any = transformers.BlipForImageTextRetrieval if retrieval else transformers.AutoModel
    return load_transformer(source, dtype=dtype, loader=loader, idle=FAMILIES[config.model_type].idle)


def features_of_texts(module: Any, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Return the projected features of texts, shape ``(number, dimension)``."""
    if isinstance(module, transformers.BlipForImageTextRetrieval):  # its features before they are normalised
        found: torch.Tensor = module.text_proj(module.text_encoder(**inputs).last_hidden_state[:, 0])
        return found
    return _first(module.get_text_features(**inputs))


def features_of_images(module: Any, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Return the projected features of images, shape ``(number, dimension)``."""
    if isinstance(module, transformers.BlipForImageTextRetrieval):
        found: torch.Tensor = module.vision_proj(module.vision_model(**inputs).last_hidden_state[:, 0])
        return found
    return _first(module.get_image_features(**inputs))


def _first(features: Any) -> torch.Tensor:
    # transformers 4 returns the tensor, 5 an object that holds it. FLAVA projects every token; it was trained with the
    # first.
    found: torch.Tensor = features if isinstance(features, torch.Tensor) else features.pooler_output
    return found[:, 0] if found.ndim == 3 else found


def vision_settings(config: Any) -> Any:
    """Return the configuration of the image tower."""
    return config.image_config if config.model_type == "flava" else config.vision_config


def most_tokens(config: Any, tokenizer: Any) -> int:
    """Return how many tokens of a text the text tower can take, and a tokenizer with a limit of its own is made for."""
    text = config.text_config
    positions = int(text.max_position_embeddings)
    if not FAMILIES[config.model_type].masked:
        return positions
    if {config.model_type, text.model_type} & set(_FROM_ONE):
        positions -= int(text.pad_token_id) + 1
    return min(positions, int(tokenizer.model_max_length))


def fills_up(config: Any, tokenizer: Any) -> bool:
    """Return whether texts of several lengths can share a forward pass.

    Where each token sees those before it alone, they can where the one that is read comes before what fills up: the end
    of the text, or the highest token of older configurations. Other texts run with those of their length: transformers
    would read the highest token in what fills up, and counts positions from the left end, masked or not.
    """
    if not FAMILIES[config.model_type].in_order:
        return True
    pad, end = tokenizer.pad_token_id or 0, tokenizer.eos_token_id
    return bool(
        tokenizer.padding_side == "right" and end is not None and pad <= end and tokenizer("a")["input_ids"][-1] == end
    )
