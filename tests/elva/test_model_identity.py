"""What an ELVA model is known by: all that decides a vector, the base too, and nothing else."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from test_model import recipe_of, write

import elva
from elva import checkpoints
from elva.config import Lora
from elva.zoo import ElvaModel
from mrbench.errors import ModelError
from mrbench.models.zoo import load_model

TINY = Path(elva.__file__).parent / "weights" / "tiny"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def put_files_beside(folder):
    save_file({"x": torch.zeros(3)}, folder / "other.safetensors")
    (folder / "README.md").write_text("read by nobody")


def scale_the_processor(folder):
    said = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").write_text(json.dumps(said | {"image_mean": [0.1] * 3}))


def change_the_prompt(folder):
    said = json.loads((folder / "elva.json").read_text())
    said["recipe"]["max_summary"] += 1
    (folder / "elva.json").write_text(json.dumps(said))


@pytest.mark.parametrize(
    ("change", "same"), [(put_files_beside, True), (scale_the_processor, False), (change_the_prompt, False)]
)
def test_what_is_read_of_a_folder_is_its_revision(change, same, tmp_path):
    folder = tmp_path / "tiny"
    shutil.copytree(TINY, folder)
    before = ElvaModel(str(folder), device="cpu").revision
    change(folder)
    assert (ElvaModel(str(folder), device="cpu").revision == before) == same


def test_a_tilde_after_the_colon_is_the_home_folder(tmp_path, monkeypatch):
    shutil.copytree(TINY, tmp_path / "run")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_model("elva:~/run", device="cpu").dimension == ElvaModel("~/run", device="cpu").dimension


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return write(tmp_path_factory.mktemp("qwen2-vl") / "base", "qwen2-vl")


def save_adapter(base, folder):
    recipe = recipe_of(base, lora={"rank": 2, "alpha": 4})
    model = checkpoints.load_base(recipe, device="cpu")
    model.adapt(Lora(rank=2, alpha=4))
    checkpoints.save(model, folder, recipe, stage=1, embedding="prompt", before=None)
    return folder


def test_another_base_under_the_same_adapter_is_another_model(base, tmp_path):
    copy = tmp_path / "base"
    shutil.copytree(base, copy)
    folder = save_adapter(copy, tmp_path / "stage1")
    before = ElvaModel(str(folder), device="cpu").revision
    put_files_beside(copy)
    assert ElvaModel(str(folder), device="cpu").revision == before
    weights = load_file(copy / "model.safetensors")
    name = next(name for name in weights if name.endswith("q_proj.weight"))
    save_file(weights | {name: weights[name] * 2}, copy / "model.safetensors", metadata={"format": "pt"})
    assert ElvaModel(str(folder), device="cpu").revision != before


def test_a_base_named_by_hub_id_comes_from_the_cache(base, tmp_path, monkeypatch):
    storage = tmp_path / "hub" / "models--org--tiny"
    (storage / "snapshots" / COMMIT).mkdir(parents=True)
    (storage / "refs").mkdir()
    (storage / "refs" / "main").write_text(COMMIT)
    for path in base.iterdir():
        (storage / "snapshots" / COMMIT / path.name).symlink_to(path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    model = ElvaModel(str(save_adapter("org/tiny", tmp_path / "stage1")), device="cpu")
    same = ElvaModel(str(save_adapter(base, tmp_path / "same")), device="cpu")
    assert model.dimension == same.dimension
    with pytest.raises(ModelError, match="it is not in the cache, and HF_HUB_OFFLINE is set"):
        checkpoints.load_base(recipe_of("org/other"), device="cpu")
