"""Models of open_clip, against the library's documented use; where it is not installed, its absence alone."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from tiny_towers import pictures
from vectors_alike import cosines

from mrbench.errors import InputError, MissingExtraError, ModelError
from mrbench.models.protocol import Item
from mrbench.models.zoo import load_model

try:
    import open_clip
except ImportError:
    open_clip = None

needs_library = pytest.mark.skipif(open_clip is None, reason="not installed: pip install mrbench[open_clip]")
TEXTS = ["a red dog", "", "two cats", "a dog " * 100, "собака 狗 كلب 🐕"]
TOWER = {"width": 32, "layers": 2}
MODEL = {
    "embed_dim": 16,
    "vision_cfg": {**TOWER, "image_size": 32, "patch_size": 8, "head_width": 16},
    "text_cfg": {**TOWER, "context_length": 20, "vocab_size": 49408, "heads": 2},
}
PREPROCESS = {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.25], "interpolation": "bilinear", "resize_mode": "squash"}


def images() -> list[Image.Image]:
    """As models get them: RGB of any size, whatever they were."""
    sizes = [(64, 48), (1, 1), (500, 30)]
    made = [picture.resize(size) for picture, size in zip(pictures(), sizes, strict=True)]
    others = [made[0].convert("L"), made[0].convert("RGBA").rotate(45), made[0].resize((2000, 1500))]
    return [*made, *(picture.convert("RGB") for picture in others)]


def write(folder: Path, **preprocess: Any) -> Path:
    """The layout of the hub: what ``push_to_hf_hub`` writes."""
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    weights = open_clip.CLIP(**MODEL).state_dict()
    save_file(weights, folder / "open_clip_model.safetensors")
    config = {"model_cfg": MODEL, "preprocess_cfg": PREPROCESS | preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("open_clip") / "tiny")


@pytest.fixture
def architecture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An architecture that the library knows by name, with tags."""
    from open_clip import factory, pretrained

    (tmp_path / "tiny-arch.json").write_text(json.dumps(MODEL))
    monkeypatch.setattr(factory, "_MODEL_CONFIG_PATHS", [*factory._MODEL_CONFIG_PATHS])
    monkeypatch.setattr(factory, "_MODEL_CONFIGS", dict(factory._MODEL_CONFIGS))
    open_clip.add_model_config(tmp_path / "tiny-arch.json")
    hub = {"hf_hub": "org/tiny/", "url": "", **PREPROCESS}
    tags = {"good": hub, "quick": hub | {"quick_gelu": True}, "pickled": {"url": "https://example.org/a.pt"}}
    monkeypatch.setitem(pretrained._PRETRAINED, "tiny-arch", tags)
    return "tiny-arch"


@pytest.fixture
def commit(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The cache of the hub with the model, and no network."""
    from huggingface_hub import constants

    name = "0123456789abcdef" * 2 + "01234567"
    repository = tmp_path / "hub" / "models--org--tiny"
    shutil.copytree(folder, repository / "snapshots" / name)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(name)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return name


def check_equal(model: Any, name: str, weights: str | None = None, **options: Any) -> None:
    """Compare with what the library's readme does."""
    module, _, preprocess = open_clip.create_model_and_transforms(name, pretrained=weights, **options)
    tokenizer = open_clip.get_tokenizer(name)
    with torch.no_grad():
        texts = module.eval().encode_text(tokenizer(TEXTS)).numpy()
        seen = module.encode_image(torch.stack([preprocess(image) for image in images()])).numpy()
    assert cosines(model.embed_candidates([Item(text) for text in TEXTS]), texts).min() > 0.9999
    assert cosines(model.embed_queries([Item(image=image) for image in images()], ""), seen).min() > 0.9999
    both = [Item(text, image) for text, image in zip(TEXTS, images(), strict=False)]
    assert cosines(model.embed_queries(both, "ignored"), texts + seen[: len(texts)]).min() > 0.9999
    assert model.dimension == 16


@needs_library
def test_a_folder_is_what_the_library_makes_of_it(folder: Path) -> None:
    model = load_model(f"open_clip:{folder}", device="cpu")
    assert model.name == "tiny"
    assert model.revision.startswith("sha256:")
    check_equal(model, f"local-dir:{folder}")


@needs_library
def test_the_transform_is_that_of_the_folder(folder: Path, tmp_path: Path) -> None:
    other = load_model(f"open_clip:{write(tmp_path / 'other', mean=[0.0, 0.0, 0.0], resize_mode='longest')}")
    model = load_model(f"open_clip:{folder}")
    items = [Item(image=image) for image in images()]
    assert other.revision != model.revision  # a digest of all that decides a vector
    assert other.preprocessing != model.preprocessing  # type: ignore[attr-defined]
    assert cosines(other.embed_candidates(items), model.embed_candidates(items)).min() < 0.999


@needs_library
def test_an_architecture_and_a_file(folder: Path, architecture: str) -> None:
    path = folder / "open_clip_model.safetensors"
    check_equal(load_model(f"open_clip:{architecture}/{path}"), architecture, str(path))


@needs_library
def test_an_architecture_and_a_tag(folder: Path, architecture: str, commit: str) -> None:
    model = load_model(f"open_clip:{architecture}/good")
    assert (model.name, model.revision) == (f"{architecture}/good", commit)
    check_equal(model, architecture, "good")
    with pytest.raises(ModelError, match=rf"another activation.*accepted: {architecture}-quickgelu"):
        load_model(f"open_clip:{architecture}/quick")
    with pytest.raises(ModelError, match=r"not there as safetensors.*example\.org/a\.pt"):
        load_model(f"open_clip:{architecture}/pickled")


@needs_library
def test_a_model_of_the_hub(commit: str) -> None:
    model = load_model("open_clip:hf-hub:org/tiny")
    assert (model.name, model.revision) == ("org/tiny", commit)
    with pytest.raises(ModelError, match="nor a model that the hub gave us"):
        load_model("open_clip:hf-hub:org/other")


@needs_library
def test_a_batch_does_not_change_a_vector(folder: Path) -> None:
    model = load_model(f"open_clip:{folder}", batch_size=3)
    items = [Item(text) for text in TEXTS] + [Item(image=image) for image in images()] + [Item(TEXTS[0], images()[0])]
    alone = np.concatenate([model.embed_queries([item], "") for item in items])
    assert cosines(model.embed_queries(items, ""), alone).min() > 0.9999


@needs_library
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_16_bit_stays_near_32_bit(folder: Path, dtype: str) -> None:
    items = [Item(text) for text in TEXTS] + [Item(image=image) for image in images()]
    half, full = load_model(f"open_clip:{folder}", dtype=dtype), load_model(f"open_clip:{folder}")
    found = half.embed_candidates(items)
    assert found.dtype == np.float32
    assert cosines(found, full.embed_candidates(items)).min() > 0.999


@needs_library
def test_pictures_are_prepared_ahead(folder: Path) -> None:
    model = load_model(f"open_clip:{folder}")
    prepare = pickle.loads(pickle.dumps(model.prepare))  # type: ignore[attr-defined]  as worker processes get it
    ready = [Item(image=prepare(image)) for image in images()]
    plain = [Item(image=image) for image in images()]
    np.testing.assert_array_equal(model.embed_candidates(ready), model.embed_candidates(plain))


@needs_library
def test_faults_are_one_line(folder: Path, tmp_path: Path) -> None:
    def refused(spec: str, message: str) -> None:
        with pytest.raises((ModelError, InputError), match=message) as caught:
            load_model(f"open_clip:{spec}")
        assert "\n" not in str(caught.value)

    refused("ViT-B-32", "no such model of open_clip")
    refused("no-such/laion2b", "no such model of open_clip")
    refused("ViT-B-32/no_such", "no such weights.*laion2b_s34b_b79k")
    copy = shutil.copytree(folder, tmp_path / "copy")
    weights = load_file(copy / "open_clip_model.safetensors")
    save_file({k: v for k, v in weights.items() if k != "text_projection"}, copy / "open_clip_model.safetensors")
    refused(str(copy), "cannot load the model.*text_projection")
    save_file(weights | {"lora": torch.ones(2)}, copy / "open_clip_model.safetensors")
    refused(str(copy), "cannot load the model.*lora")
    (copy / "open_clip_model.safetensors").rename(copy / "open_clip_pytorch_model.bin")
    refused(str(copy), "not there as safetensors")
    (copy / "open_clip_config.json").unlink()
    refused(str(copy), "not a model of open_clip")
    with pytest.raises(InputError, match="unknown dtype"):
        load_model(f"open_clip:{folder}", dtype="int8")


@needs_library
def test_a_pickle_beside_is_not_read(folder: Path, tmp_path: Path) -> None:
    """The library itself prefers this name to ``model.safetensors``."""
    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / "open_clip_model.safetensors").rename(copy / "model.safetensors")
    (copy / "open_clip_pytorch_model.bin").write_bytes(b"no weights")
    items = [Item(text) for text in TEXTS]
    found = load_model(f"open_clip:{copy}").embed_candidates(items)
    np.testing.assert_array_equal(found, load_model(f"open_clip:{folder}").embed_candidates(items))


@pytest.mark.skipif(open_clip is not None, reason="open_clip is installed")
@pytest.mark.parametrize(("spec", "extra"), [("open_clip:ViT-B-32/openai", "open_clip"), ("timm:resnet18", "timm")])
def test_without_the_library_the_extra_is_named(spec: str, extra: str) -> None:
    with pytest.raises(MissingExtraError, match=rf'needs the package {extra}.*pip install "mrbench\[{extra}\]"'):
        load_model(spec)


@pytest.mark.slow
@pytest.mark.parametrize("library", ["open_clip", "timm"])
def test_a_torchvision_that_does_not_load_is_one_line(tmp_path: Path, library: str) -> None:
    """Packages that fail as torchvision of the registry does beside a torch for CPUs."""
    (tmp_path / "torchvision.py").write_text('raise RuntimeError("operator torchvision::nms does not exist")\n')
    (tmp_path / f"{library}.py").write_text("import torchvision\n")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from mrbench.models.zoo import load_model\n"
    code += (
        f"try: load_model('{library}:ViT-B-32/openai')\nexcept Exception as error: print(type(error).__name__, error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(
        f"ModelError {library} does not load; torchvision and torch have to be builds for one"
    )
    assert "operator torchvision::nms does not exist" in done.stdout
