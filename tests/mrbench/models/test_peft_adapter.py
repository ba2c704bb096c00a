"""Adapter folders of PEFT in ``hf:``, against PEFT's own unmerged model."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from small_hub import COMMIT, OLDER, cached, serving
from test_mllm import pictures as any_pictures
from tiny_towers import TEXTS, pictures
from transformers import AutoImageProcessor, CLIPModel, CLIPTokenizer
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


def unmerged(clip: Path, adapter: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return PeftModel.from_pretrained(CLIPModel.from_pretrained(clip), adapter).eval()


def expected(clip: Path, adapter: Path) -> Any:
    model = unmerged(clip, adapter)
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


def test_pictures_both_batches_and_16_bit(clip: Path, adapter: Path) -> None:
    model, images = load_model(f"hf:{adapter}", device="cpu"), [one.convert("RGB") for one in any_pictures().values()]
    texts = [*TEXTS, "", "собака 狗 كلب", "dog"]
    items = [*map(Item, texts), *(Item(image=one) for one in images), *map(Item, texts, images)]
    found = model.embed_candidates(items)
    processor = AutoImageProcessor.from_pretrained(clip, backend="pil")
    with torch.no_grad():
        seen = unmerged(clip, adapter).get_image_features(**processor(images=images, return_tensors="pt")).pooler_output
    assert cosines(found[6:12], seen).min() > 0.9999
    assert cosines(found[12:], found[:6] + found[6:12]).min() > 0.9999
    assert cosines(found, np.concatenate([model.embed_candidates([item]) for item in items])).min() > 0.9999
    for dtype, least in (("float16", 0.9999), ("bfloat16", 0.999)):
        half = load_model(f"hf:{adapter}", device="cpu", dtype=dtype)
        assert cosines(half.embed_candidates(items), found).min() > least


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


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the hub, and no network."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "home" / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return tmp_path / "home"


def naming(adapter: Path, copy: Path, **said: object) -> Path:
    """A copy of an adapter that names another base."""
    shutil.copytree(adapter, copy)
    config = json.loads((copy / "adapter_config.json").read_text())
    (copy / "adapter_config.json").write_text(json.dumps(config | said))
    return copy


def test_a_base_of_the_hub_comes_from_its_cache(clip: Path, adapter: Path, home: Path, tmp_path: Path) -> None:
    cached(home, clip, repository="org/base", commit=OLDER, refs="v1")
    copy = naming(adapter, tmp_path / "lora", base_model_name_or_path="org/base", revision="v1")
    model, same = load_model(f"hf:{copy}", device="cpu"), load_model(f"hf:{adapter}", device="cpu")
    items = [Item(text) for text in TEXTS] + [Item(image=image) for image in pictures()]
    np.testing.assert_array_equal(model.embed_candidates(items), same.embed_candidates(items))
    assert model.revision.startswith("sha256:")
    other = load_model(f"hf:{naming(adapter, tmp_path / 'other', base_model_name_or_path='org/base', revision=OLDER)}")
    assert other.revision == model.revision  # a tag and its commit are one
    copy = naming(adapter, tmp_path / "gone", base_model_name_or_path="org/base", revision="v2")
    with pytest.raises(ModelError, match=r"base of the adapter is not there: .*not in the cache, and HF_HUB_OFFLINE"):
        load_model(f"hf:{copy}")


def test_an_adapter_of_the_hub_is_merged_into_its_base(clip: Path, adapter: Path, home: Path, tmp_path: Path) -> None:
    cached(home, clip, repository="org/base", commit=OLDER)
    cached(home, naming(adapter, tmp_path / "lora", base_model_name_or_path="org/base"), repository="org/lora")
    same = load_model(f"hf:{adapter}", device="cpu")
    items = [Item(text) for text in TEXTS]
    for spec in ("org/lora", "org/lora@main", f"org/lora@{COMMIT}", f"org/lora?base={clip}"):
        model = load_model(f"hf:{spec}", device="cpu")
        np.testing.assert_array_equal(model.embed_candidates(items), same.embed_candidates(items))
        assert model.name == "org/lora"
        if "?" not in spec:
            assert model.revision == f"{COMMIT} on {OLDER}"
            assert fingerprint(model) == fingerprint(load_model("hf:org/lora"))
    assert model.revision == same.revision  # of a base in a folder there is no commit


def test_a_download_of_an_adapter_takes_what_is_read(clip: Path, adapter: Path, tmp_path: Path) -> None:
    """From a server that answers as the hub does, and its pickle is left there."""
    folder = naming(adapter, tmp_path / "lora", base_model_name_or_path=str(clip))
    (folder / "adapter_model.bin").write_bytes(b"not to be read")
    code = (
        "from mrbench.models.peft_adapter import find_parts as find; p = find('org/tiny'); print(p.name, p.base.name)"
    )
    with serving(folder) as (address, _):
        hub = {"HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "0", "HF_ENDPOINT": address}
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | hub, timeout=90
        )
    assert done.stdout == "org/tiny tiny-clip\n", done.stderr
    snapshot = tmp_path / "home" / "hub" / "models--org--tiny" / "snapshots" / COMMIT
    assert {path.name for path in snapshot.iterdir()} == {"adapter_config.json", WEIGHTS}
