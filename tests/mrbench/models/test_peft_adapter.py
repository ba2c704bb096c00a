"""Adapter folders of PEFT in ``hf:``, against PEFT's own unmerged model."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from tiny_towers import TEXTS, pictures
from transformers import CLIPModel, CLIPTokenizer
from vectors_alike import cosines

from mrbench.encode.store import fingerprint
from mrbench.errors import InputError, ModelError
from mrbench.models.protocol import Item
from mrbench.models.zoo import load_model

WEIGHTS = "adapter_model.safetensors"


@pytest.fixture(scope="module")
def adapter(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LoRA on both towers, and a projection that was trained as a whole."""
    folder = tmp_path_factory.mktemp("peft") / "lora"
    torch.manual_seed(5)
    lora = LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], modules_to_save=["text_projection"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers by a name that it will drop
        model = get_peft_model(CLIPModel.from_pretrained(clip), lora)
    for name, weight in model.named_parameters():
        if "lora_B" in name or "modules_to_save" in name:
            torch.nn.init.normal_(weight, std=0.3)
    model.save_pretrained(folder)
    return folder


def expected(clip: Path, adapter: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        model = PeftModel.from_pretrained(CLIPModel.from_pretrained(clip), adapter).eval()
    tokens = CLIPTokenizer.from_pretrained(clip)(TEXTS, padding=True, truncation=True, return_tensors="pt")
    with torch.no_grad():
        return model.get_text_features(**tokens).pooler_output.numpy()


def test_vectors_are_those_of_the_unmerged_model(clip: Path, adapter: Path) -> None:
    model = load_model(f"hf:{adapter}", device="cpu")
    base = load_model(f"hf:{clip}", device="cpu")
    items = [Item(text) for text in TEXTS]
    found = model.embed_candidates(items)
    assert cosines(found, expected(clip, adapter)).min() > 0.9999
    assert cosines(found, base.embed_candidates(items)).max() < 0.99
    images = [Item(image=image) for image in pictures()]
    assert cosines(model.embed_candidates(images), base.embed_candidates(images)).max() < 0.9999
    assert model.name == "lora"


def test_a_base_elsewhere(clip: Path, adapter: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(adapter, tmp_path / "copy")
    said = json.loads((copy / "adapter_config.json").read_text())
    (copy / "adapter_config.json").write_text(json.dumps(said | {"base_model_name_or_path": "/gone"}))
    with pytest.raises(ModelError, match=r"the base of the adapter is not there: no such folder.*base=SOURCE"):
        load_model(f"hf:{copy}")
    items = [Item(text) for text in TEXTS]
    moved, there = load_model(f"hf:{copy}?base={clip}"), load_model(f"hf:{adapter}")
    np.testing.assert_array_equal(moved.embed_candidates(items), there.embed_candidates(items))
    assert moved.revision == there.revision
    (copy / "adapter_config.json").write_text(json.dumps(said | {"base_model_name_or_path": None}))
    with pytest.raises(ModelError, match="names no base"):
        load_model(f"hf:{copy}")
    with pytest.raises(InputError, match="a base without an adapter"):
        load_model(f"hf:{clip}?base={clip}")


def test_base_and_adapter_decide_the_identity(clip: Path, adapter: Path, tmp_path: Path) -> None:
    base, model = load_model(f"hf:{clip}"), load_model(f"hf:{adapter}")
    assert model.revision != base.revision
    assert fingerprint(model) == fingerprint(load_model(f"hf:{adapter}"))
    copy = shutil.copytree(adapter, tmp_path / "lora")
    said = json.loads((copy / "adapter_config.json").read_text())
    (copy / "adapter_config.json").write_text(json.dumps(said | {"lora_alpha": 16}))
    assert load_model(f"hf:{copy}").revision != model.revision
    (copy / "adapter_config.json").write_text(json.dumps(said))
    save_file({name: 2 * weight for name, weight in load_file(copy / WEIGHTS).items()}, copy / WEIGHTS)
    assert load_model(f"hf:{copy}").revision != model.revision


def test_a_missing_or_unexpected_key_is_an_error(adapter: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(adapter, tmp_path / "copy")
    weights = load_file(copy / WEIGHTS)
    lost = next(name for name in weights if "lora_A" in name)
    save_file({name: weight for name, weight in weights.items() if name != lost}, copy / WEIGHTS)
    with pytest.raises(ModelError, match=f"the weights lack keys: {lost}"):
        load_model(f"hf:{copy}")
    other = {name.replace("vision_model.encoder", "vision_model"): weight for name, weight in weights.items()}
    save_file(other, copy / WEIGHTS)  # as another version names them: PEFT leaves such at zero
    with pytest.raises(ModelError, match=r"the weights lack keys: .*vision_model.*and \d+ more"):
        load_model(f"hf:{copy}")
    save_file(weights | {"base_model.model.more.lora_A.weight": torch.ones(2, 2)}, copy / WEIGHTS)
    with pytest.raises(ModelError, match="the weights hold unexpected keys"):
        load_model(f"hf:{copy}")
    (copy / WEIGHTS).rename(copy / "adapter_model.bin")
    with pytest.raises(ModelError, match=r"no safetensors weights.*adapter_model\.bin"):
        load_model(f"hf:{copy}")
