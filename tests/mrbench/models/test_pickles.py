"""``mrbench models convert``: pickled weights become safetensors, and no code of a pickle runs."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from argparse import Namespace
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
    message = "reading it would run code" if write == "torch" else "no file of torch.save"
    with pytest.raises(ModelError, match=message) as caught:
        convert(str(old), tmp_path / "new")
    assert "\n" not in str(caught.value)
    assert "weights_only" not in str(caught.value)  # torch's advice would run it
    assert not ran.exists()
    assert {path.name for path in tmp_path.iterdir()} == {"old"}


@pytest.mark.parametrize(
    ("held", "message"),
    [
        ([1], "something else than tensors.*got: 'list'"),
        ({"a": 1, "b": torch.zeros(1), "c": {}}, "something else than tensors.*got: 'a: int, c: dict'"),
        ({}, "something else than.*got: 'nothing'"),
        ({"__metadata__": torch.zeros(1)}, "a name that safetensors cannot hold"),
        ({3: torch.zeros(1)}, "a name that safetensors cannot hold"),
        ({"b": torch.zeros(1, dtype=torch.complex128)}, r"of this kind; where: .*weights\.pt, b; got: 'complex128'"),
        ({"b": torch.eye(2).to_sparse()}, r"of this kind; where: .*weights\.pt, b; got: 'sparse_coo'"),
        ({"b": torch.eye(2).to_sparse_csr()}, "of this kind; .* got: 'sparse_csr'"),
        ({"b": torch.zeros(1, device="meta")}, "of this kind; .* got: 'without values"),
        ({"args": Namespace(a=1)}, r"reading it would run code; .* got: 'argparse\.Namespace'"),
    ],
)
@pytest.mark.filterwarnings("ignore:Sparse CSR")
def test_what_safetensors_cannot_hold_is_one_line(held: Any, message: str, tmp_path: Path) -> None:
    torch.save(held, tmp_path / "weights.pt")
    check_refused(tmp_path / "weights.pt", message)


@pytest.mark.filterwarnings("ignore:.*quantized tensor creation", "ignore:TypedStorage")
def test_a_quantised_tensor_is_named(tmp_path: Path) -> None:
    torch.save({"a": torch.quantize_per_tensor(torch.zeros(2), 1.0, 0, torch.qint8)}, tmp_path / "weights.pt")
    check_refused(tmp_path / "weights.pt", r"of this kind; where: .*weights\.pt, a; got: 'qint8'")


def check_refused(source: Path, message: str) -> None:
    """Check that a conversion ends in one line of ours that says what to do next, and writes nothing."""
    with pytest.raises(ModelError, match=f"(?s){message}.*; next: ") as caught:
        convert(str(source), source.parent / "new")
    line = str(caught.value)
    assert not [word for word in ("\n", "weights_only", "PytorchStreamReader", "Error:") if word in line]
    assert not (source.parent / "new").exists()


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_file_is_one_line(share: float, zipped: bool, tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1000)}, tmp_path / "weights.pt", _use_new_zipfile_serialization=zipped)
    content = (tmp_path / "weights.pt").read_bytes()[: int(share * (tmp_path / "weights.pt").stat().st_size)]
    (tmp_path / "weights.pt").write_bytes(content)
    check_refused(tmp_path / "weights.pt", f"damaged or no file of torch.save; .* got: .*{len(content)} bytes")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<!DOCTYPE html><html>", "damaged or no file of torch.save.*DOCTYPE"),
        (b"hello", "damaged or no file of torch.save.*hello"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a pointer without its content"),
    ],
)
def test_a_file_of_another_kind_is_one_line(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(content)
    check_refused(tmp_path / "weights.bin", message)


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_a_program_of_torchscript_and_a_file_of_safetensors_are_named(clip: Path, tmp_path: Path) -> None:
    torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)), tmp_path / "weights.pt")  # type: ignore[no-untyped-call]
    check_refused(tmp_path / "weights.pt", "a program of TorchScript")
    shutil.copyfile(clip / "model.safetensors", tmp_path / "model.safetensors")
    check_refused(tmp_path / "model.safetensors", "one of safetensors, which needs no conversion")


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("[]", r"malformed index.*got: \[\]"),
        ("null", "malformed index.*got: 'null'"),
        ("3", "malformed index.*got: 3"),
        ('{"weight_map": []}', "malformed index"),
        ("{", "the index of the weights is not JSON"),
        ("[" * 100_000, "the index of the weights is not JSON"),
    ],
)
def test_a_malformed_index_is_one_line(said: str, message: str, clip: Path, tmp_path: Path) -> None:
    old = pickled(clip, tmp_path / "old")
    (old / "pytorch_model.bin.index.json").write_text(said)
    check_refused(old, f"{message}.*accepted: .*weight_map")


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
    refused(ModelError, old, tmp_path / "new", "damaged or no file of torch.save")
    monkeypatch.setattr(torch, "__version__", "2.5.1+cpu")
    refused(MissingExtraError, old, tmp_path / "new", r"needs torch 2\.6")
    assert not (tmp_path / "new").exists()
