"""``mrbench models convert``: pickled weights become safetensors, and no code of a pickle runs."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from small_hub import serving
from tiny_sentence_transformers import write_text_model
from tiny_towers import TEXTS, pictures

from mrbench.cli.app import main
from mrbench.errors import InputError, MissingExtraError, ModelError, MRBenchError, OutputError
from mrbench.models.pickles import convert
from mrbench.models.protocol import Item
from mrbench.models.zoo import load_model

ITEMS = [Item(text) for text in TEXTS]


def pickled(folder: Path, target: Path) -> Path:
    """Return a copy of a checkpoint whose weights are pickles alone, and nothing else of it changed."""
    shutil.copytree(folder, target)
    for path in target.rglob("model.safetensors"):
        torch.save(load_file(path), path.with_name("pytorch_model.bin"))
        path.unlink()
    return target


def command(*words: object) -> int:
    with pytest.raises(SystemExit) as done:
        main([str(word) for word in words])
    return int(done.value.code or 0)


def test_the_error_names_a_command_whose_folder_gives_the_vectors(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = pickled(clip, tmp_path / "old")
    (old / "training_args.bin").write_bytes(b"whatever")
    with pytest.raises(ModelError, match=rf"next: mrbench models convert {old} --output FOLDER"):
        load_model(f"hf:{old}")
    assert command("models", "convert", old, "--output", tmp_path / "new") == 0
    said = capsys.readouterr().out
    assert "training_args.bin" in said
    assert f"next: mrbench models check hf:{tmp_path / 'new'}" in said
    assert not list((tmp_path / "new").glob("*.bin"))
    found, there = load_model(f"hf:{tmp_path / 'new'}"), load_model(f"hf:{clip}")
    items = [*ITEMS, *(Item(image=image) for image in pictures())]
    np.testing.assert_array_equal(found.embed_candidates(items), there.embed_candidates(items))
    assert found.revision == there.revision  # the same tensors and settings


def test_weights_below_a_folder_of_sentence_transformers(tmp_path: Path) -> None:
    whole = write_text_model(tmp_path / "whole")
    old = pickled(whole, tmp_path / "old")
    with pytest.raises(ModelError, match="mrbench models convert"):
        load_model(f"st:{old}")
    done = convert(str(old), tmp_path / "new")
    assert done.weights == ("2_Dense/model.safetensors", "model.safetensors")
    found, there = (load_model(f"st:{folder}").embed_candidates(ITEMS) for folder in (done.folder, whole))
    np.testing.assert_array_equal(found, there)


def test_shards_and_their_index(clip: Path, tmp_path: Path) -> None:
    old = shutil.copytree(clip, tmp_path / "old")
    held = load_file(old / "model.safetensors")
    (old / "model.safetensors").unlink()
    names, shards = sorted(held), ("pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin")
    where = {name: shards[row % 2] for row, name in enumerate(names)}
    for shard in shards:
        torch.save({name: held[name] for name in names if where[name] == shard}, old / shard)
    (old / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}))
    done = convert(str(old), tmp_path / "new")
    assert not list(done.folder.glob("pytorch_model*"))
    found, there = (load_model(f"hf:{folder}").embed_candidates(ITEMS) for folder in (done.folder, clip))
    np.testing.assert_array_equal(found, there)


@pytest.mark.parametrize("shape", ["plain", "shared memory", "of a training script"])
def test_one_file_of_weights(shape: str, tmp_path: Path) -> None:
    tensor = torch.arange(6.0).reshape(2, 3)
    held: Any = {"a": tensor, "b": tensor if shape == "shared memory" else tensor.T}
    if shape == "of a training script":
        held = {"epoch": 3, "state_dict": {f"module.{name}": one for name, one in held.items()}}
    torch.save(held, tmp_path / "epoch_3.pt")
    done = convert(str(tmp_path / "epoch_3.pt"), tmp_path / "new")
    found = load_file(done.folder / "epoch_3.safetensors")
    assert torch.equal(found["a"], tensor)
    assert torch.equal(found["b"], tensor if shape == "shared memory" else tensor.T)


@pytest.mark.slow
def test_a_model_of_the_hub_is_downloaded_with_its_pickle_by_this_command_alone(clip: Path, tmp_path: Path) -> None:
    def run(*words: object) -> subprocess.CompletedProcess[str]:
        hub = {"HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "0", "HF_ENDPOINT": address}
        call = [sys.executable, "-m", "mrbench", "models", *map(str, words)]
        return subprocess.run(call, capture_output=True, text=True, env=os.environ | hub, timeout=120)

    with serving(pickled(clip, tmp_path / "old")) as (address, asked):
        for adapter in ("hf", "st"):
            refused = run("show", f"{adapter}:org/tiny").stderr
            assert "next: mrbench models convert org/tiny --output FOLDER" in refused
        assert not any("/resolve/" in path for path in asked)
        done = run("convert", "org/tiny", "--output", tmp_path / "new", "--json")
    assert json.loads(done.stdout)["weights"] == ["model.safetensors"], done.stderr
    found, there = load_model(f"hf:{tmp_path / 'new'}"), load_model(f"hf:{clip}")
    np.testing.assert_array_equal(found.embed_candidates(ITEMS), there.embed_candidates(ITEMS))


class Canary:
    """Leaves a file where it is unpickled."""

    def __init__(self, ran: Path) -> None:
        self.ran = ran

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.ran,)


@pytest.mark.parametrize("write", ["torch", "pickle"])
def test_code_in_a_pickle_does_not_run_and_nothing_is_written(write: str, clip: Path, tmp_path: Path) -> None:
    old, ran = pickled(clip, tmp_path / "old"), tmp_path / "ran"
    with (old / "pytorch_model.bin").open("wb") as stream:
        (torch.save if write == "torch" else pickle.dump)({"weight": Canary(ran)}, stream)
    with pytest.raises(ModelError, match="cannot load the model: the pickle") as caught:
        convert(str(old), tmp_path / "new")
    assert "\n" not in str(caught.value)
    assert not ran.exists()
    assert {path.name for path in tmp_path.iterdir()} == {"old"}


@pytest.mark.parametrize(
    ("held", "message"),
    [
        ([1], "something else than tensors"),
        ({"a": 1}, "something else than tensors"),
        ({}, "something else than"),
        ({"__metadata__": torch.zeros(1)}, "a name that safetensors cannot hold"),
    ],
)
def test_what_holds_no_tensors_is_refused(held: Any, message: str, tmp_path: Path) -> None:
    torch.save(held, tmp_path / "weights.pt")
    with pytest.raises(ModelError, match=message):
        convert(str(tmp_path / "weights.pt"), tmp_path / "new")


@pytest.mark.parametrize("named", ["../outside.bin", "/outside.bin", "nowhere.bin", 3])
def test_an_index_names_files_beside_it_alone(named: Any, clip: Path, tmp_path: Path) -> None:
    old = pickled(clip, tmp_path / "old")
    torch.save({"a": torch.zeros(1)}, tmp_path / "outside.bin")
    (old / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": {"a": named}}))
    with pytest.raises(ModelError, match="names no shard of the folder"):
        convert(str(old), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_linked_folder_is_not_copied_and_all_may_read_what_is_written(clip: Path, tmp_path: Path) -> None:
    old = pickled(clip, tmp_path / "old")
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "key.txt").write_text("secret")
    (old / "tokens").symlink_to(tmp_path / "private")
    done = convert(str(old), tmp_path / "new")
    assert not list(done.folder.rglob("key.txt"))
    assert (done.folder / done.weights[0]).stat().st_mode == (done.folder / "config.json").stat().st_mode


def test_other_faults_are_one_line(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(kind: type[MRBenchError], source: Path, output: Path, message: str) -> None:
        with pytest.raises(kind, match=message):
            convert(str(source), output)

    refused(ModelError, clip, tmp_path / "new", r"no pickled weights.*accepted: pytorch_model\.bin")
    refused(InputError, tmp_path / "nowhere" / "at" / "all", tmp_path / "new", "no such folder")
    old = pickled(clip, tmp_path / "old")
    refused(OutputError, old, clip, "the output folder is not empty")
    (old / "pytorch_model.bin").write_bytes((old / "pytorch_model.bin").read_bytes()[:500])
    refused(ModelError, old, tmp_path / "new", "cannot load the model: the pickle")
    monkeypatch.setattr(torch, "__version__", "2.5.1+cpu")
    refused(MissingExtraError, old, tmp_path / "new", r"needs torch 2\.6")
    assert not (tmp_path / "new").exists()
