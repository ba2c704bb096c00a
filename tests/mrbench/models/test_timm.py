"""Image encoders of timm, against the library's documented use."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from test_open_clip import images
from vectors_alike import cosines

from mrbench.errors import InputError, ModelError
from mrbench.models.protocol import Item
from mrbench.models.zoo import load_model

timm = pytest.importorskip("timm", reason="timm is not installed: pip install mrbench[timm]")


def write(folder: Path) -> Path:
    """A small vision transformer with a classifier, as the library saves it."""
    from timm.models import save_for_hf

    torch.manual_seed(0)
    sizes = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 2}
    cfg = {"input_size": (3, 32, 32), "mean": (0.4, 0.5, 0.6), "std": (0.2, 0.3, 0.25), "crop_pct": 0.9}
    model = timm.create_model("vit_tiny_patch16_224", num_classes=5, pretrained_cfg_overlay=cfg, **sizes)
    save_for_hf(model, str(folder), model_args=sizes, safe_serialization=True)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("timm") / "tiny")


@pytest.fixture
def commit(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    from huggingface_hub import constants

    name = "0123456789abcdef" * 2 + "01234567"
    for repository in ("models--org--tiny", "models--timm--vit_tiny_patch16_224.augreg_in21k_ft_in1k"):
        shutil.copytree(folder, tmp_path / "hub" / repository / "snapshots" / name)
        (tmp_path / "hub" / repository / "refs").mkdir()
        (tmp_path / "hub" / repository / "refs" / "main").write_text(name)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return name


def expected(folder: Path) -> Any:
    model = timm.create_model(f"local-dir:{folder}", pretrained=True, num_classes=0).eval()
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model), is_training=False)
    with torch.no_grad():
        return model(torch.stack([transform(image) for image in images()])).numpy()


def test_features_are_those_of_the_library(folder: Path) -> None:
    model = load_model(f"timm:{folder}", device="cpu")
    items = [Item(image=image) for image in images()]
    assert cosines(model.embed_candidates(items), expected(folder)).min() > 0.9999
    assert (model.dimension, model.modalities) == (24, {"image"})
    alone = np.concatenate([model.embed_queries([item], "") for item in items])
    assert cosines(model.embed_queries(items, ""), alone).min() > 0.9999
    prepare = pickle.loads(pickle.dumps(model.prepare))  # type: ignore[attr-defined]
    ready = model.embed_candidates([Item(image=prepare(image)) for image in images()])
    np.testing.assert_array_equal(ready, model.embed_candidates(items))
    for dtype, least in (("float16", 0.9999), ("bfloat16", 0.999)):
        half = load_model(f"timm:{folder}", device="cpu", dtype=dtype)
        assert cosines(half.embed_candidates(items), expected(folder)).min() > least


def test_names_are_those_of_the_hub(folder: Path, commit: str) -> None:
    items = [Item(image=image) for image in images()]
    for spec in ("hf-hub:org/tiny", "vit_tiny_patch16_224", "vit_tiny_patch16_224.augreg_in21k_ft_in1k"):
        model = load_model(f"timm:{spec}")
        assert model.revision == commit
        assert cosines(model.embed_candidates(items), expected(folder)).min() > 0.9999


def test_faults_are_one_line(folder: Path, tmp_path: Path) -> None:
    def refused(spec: str, message: str) -> None:
        with pytest.raises((ModelError, InputError), match=message) as caught:
            load_model(f"timm:{spec}")
        assert "\n" not in str(caught.value)

    refused("no_such_model", "no such model of timm")
    copy = shutil.copytree(folder, tmp_path / "copy")
    weights = load_file(copy / "model.safetensors")
    save_file({k: v for k, v in weights.items() if k != "norm.weight"}, copy / "model.safetensors")
    refused(str(copy), "cannot load the model.*norm.weight")
    save_file(weights | {"lora": torch.ones(2)}, copy / "model.safetensors")
    refused(str(copy), "cannot load the model.*lora")
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    refused(str(copy), r"lacks model\.safetensors.*pytorch_model\.bin")
    with pytest.raises(ModelError, match="takes no text"):
        load_model(f"timm:{folder}").embed_candidates([Item("a")])
