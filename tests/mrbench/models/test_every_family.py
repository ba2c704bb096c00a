"""Every kind of dual encoder of ``hf:``: pictures and texts of all kinds, batches, 16 bit, against transformers."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from test_families import FAMILIES
from test_mllm import pictures
from transformers import AutoImageProcessor
from vectors_alike import cosines

from mrbench.models.dual_encoder import DualEncoder
from mrbench.models.protocol import Item

TEXTS = ["a red dog", "", "狗 собака كلب 🐕", "two cats", "a b c d e f g h i j k l m n o p " * 20, "a\nb"]
KINDS = [*FAMILIES, "clip", "siglip", "siglip2"]
LEAST = {"float16": 0.9999, "bfloat16": 0.999}
"""Least cosine of a vector to that of 32 bit, with random weights."""


@pytest.fixture(scope="module", params=KINDS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if request.param not in FAMILIES:
        found: Path = request.getfixturevalue(request.param)
        return found
    torch.manual_seed(0)
    return enlarged(FAMILIES[request.param][0](tmp_path_factory.mktemp("families") / request.param))


def enlarged(folder: Path) -> Path:
    """Give the image tower weights that keep a signal: BLIP and ALIGN start with some that float16 loses."""
    if folder.name in ("blip", "align"):
        held = load_file(folder / "model.safetensors")
        for name, weight in held.items():
            if "vision" in name and weight.ndim > 1:
                held[name] = weight / weight.std().clamp(min=1e-12) / (weight[0].numel() ** 0.5)
        save_file(held, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@cache
def loaded(folder: Path, dtype: str = "float32") -> DualEncoder:
    return DualEncoder(str(folder), device="cpu", dtype=dtype)


def images() -> list[Any]:
    """Noise, grey, RGBA, tiny, narrow and huge, as an evaluation gives them: RGB."""
    return [image.convert("RGB") for image in pictures().values()]


def items() -> list[Item]:
    both = [Item(text, image) for text, image in zip(TEXTS, images(), strict=True)]
    return [*map(Item, TEXTS), *(Item(image=image) for image in images()), *both]


def test_pictures_of_all_kinds_are_what_transformers_makes_of_each(folder: Path) -> None:
    model, processor = loaded(folder), AutoImageProcessor.from_pretrained(folder, backend="pil")
    with torch.inference_mode():
        made = [model.module.get_image_features(**processor(images=one, return_tensors="pt")) for one in images()]
    expected = [one.pooler_output[0, 0] if one.pooler_output.ndim == 3 else one.pooler_output[0] for one in made]
    found = model.embed_candidates([Item(image=image) for image in images()])
    assert cosines(found, torch.stack(expected)).min() > 0.9999
    texts = model.embed_candidates([Item(text) for text in TEXTS])
    both = model.embed_queries([Item(text, image) for text, image in zip(TEXTS, images(), strict=True)], "ignored")
    assert cosines(both, texts + found).min() > 0.9999


def test_a_batch_changes_no_vector(folder: Path) -> None:
    alone = np.concatenate([loaded(folder).embed_candidates([one]) for one in items()])
    assert cosines(loaded(folder).embed_candidates(items()), alone).min() > 0.9999


@pytest.mark.slow
@pytest.mark.parametrize("dtype", LEAST)
def test_sixteen_bit_is_near_thirty_two(folder: Path, dtype: str) -> None:
    found = loaded(folder, dtype).embed_candidates(items())
    assert found.dtype == np.float32
    assert cosines(found, loaded(folder).embed_candidates(items())).min() > LEAST[dtype]
