"""Checkpoints that are damaged, half loaded or hostile: one line when they are loaded, and nothing of them runs."""

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_towers import (
    changed,
    copied,
    write_file,
)
from tokenizers.pre_tokenizers import ByteLevel
from transformers import (
    CLIPConfig,
    CLIPModel,
    SiglipConfig,
    SiglipModel,
)

from mrbench.errors import ModelError
from mrbench.models.dual_encoder import DualEncoder
from mrbench.models.zoo import load_model


@pytest.mark.parametrize("change", ["missing", "unexpected", "shape", "torn"])
def test_half_loaded_weights_are_refused(clip: Path, tmp_path: Path, change: str) -> None:
    copy = copied(clip, tmp_path)
    path = copy / "model.safetensors"
    weights = load_file(path)
    if change == "missing":
        del weights["text_projection.weight"]
    elif change == "unexpected":
        weights["text_projection.lora_A"] = weights["text_projection.weight"].clone()
    elif change == "shape":
        weights["text_projection.weight"] = torch.zeros(16, 31)
    save_file(weights, path, metadata={"format": "pt"})
    if change == "torn":
        path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ModelError, match="cannot load the model" if change == "torn" else "keys: text_projection"):
        DualEncoder(str(copy))


def test_old_position_ids_are_no_fault(clip: Path, tmp_path: Path) -> None:
    copy = copied(clip, tmp_path)
    weights = load_file(copy / "model.safetensors")
    weights["text_model.embeddings.position_ids"] = torch.arange(20)[None]
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    assert DualEncoder(str(copy)).dimension == 16


class Canary:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.path,))


def test_pickled_weights_are_refused_unread(clip: Path, tmp_path: Path) -> None:
    copy, ran = copied(clip, tmp_path), tmp_path / "ran"
    (copy / "model.safetensors").unlink()
    torch.save({"logit_scale": Canary(ran)}, copy / "pytorch_model.bin")
    with pytest.raises(ModelError, match="safetensors") as caught:
        load_model(f"hf:{copy}")
    assert "pytorch_model.bin" in str(caught.value)
    assert not ran.exists()


def test_code_of_the_folder_never_runs(clip: Path, tmp_path: Path) -> None:
    copy, ran = copied(clip, tmp_path), tmp_path / "ran"
    (copy / "evil.py").write_text(f"open({str(ran)!r}, 'w')\n")
    for name, keys in {
        "config.json": {"AutoConfig": "evil.Config", "AutoModel": "evil.Model"},
        "tokenizer_config.json": {"AutoTokenizer": ["evil.Tokenizer", None]},
        "preprocessor_config.json": {"AutoImageProcessor": "evil.Processor"},
    }.items():
        values = json.loads((copy / name).read_text())
        write_file(copy, name, **values, auto_map=keys)
    assert DualEncoder(str(copy)).dimension == 16
    values = json.loads((copy / "config.json").read_text()) | {"model_type": "evil"}
    write_file(copy, "config.json", **values)
    with pytest.raises(ModelError):
        DualEncoder(str(copy))
    assert not ran.exists()


def test_other_models_and_broken_folders(clip: Path, tmp_path: Path) -> None:
    copy = copied(clip, tmp_path)
    (copy / "preprocessor_config.json").unlink()
    with pytest.raises(ModelError, match="cannot load the model"):
        DualEncoder(str(copy))
    write_file(copy, "adapter_config.json", base_model_name_or_path="other")
    with pytest.raises(ModelError, match="adapter"):
        DualEncoder(str(copy))
    (copy / "adapter_config.json").unlink()
    write_file(copy, "config.json", model_type="bert")
    with pytest.raises(ModelError, match="got: 'bert'; accepted: clip, siglip, siglip2"):
        DualEncoder(str(copy))
    (copy / "config.json").write_text("{")
    with pytest.raises(ModelError) as caught:
        DualEncoder(str(copy))
    assert "\n" not in str(caught.value)


SETTING = "cannot load the model: a wrong setting; where: .*, config.json, "
PROCESSOR = "cannot load the model: the image processor: "
FILES = "accepted: tokenizer.json, or vocab.json and merges.txt"
DAMAGE: dict[str, tuple[str, str, dict[str, object], str]] = {
    "no end": ("config.json", "text_config", {"eos_token_id": None}, f"{SETTING}text_config.eos_token_id; got: 'null'"),
    "ends": (
        "config.json",
        "text_config",
        {"eos_token_id": [1, 2]},
        rf"{SETTING}text_config.eos_token_id; got: \[1, 2",
    ),
    "another end": (
        "config.json",
        "text_config",
        {"eos_token_id": 5},
        r"the tokenizer does not put .* tower reads; .* got: '1 after a text of \d+ tokens'; accepted: '?5, text_",
    ),
    "activation": (
        "config.json",
        "text_config",
        {"hidden_act": "nope"},
        f"{SETTING}text_config.hidden_act; got: 'nope'; accepted: .*, quick_gelu,",
    ),
    "overriding activation": (
        "config.json",
        "",
        {"vision_config_dict": {"hidden_act": "nope"}},
        f"{SETTING}vision_config.hidden_act; got: 'nope'; accepted: gelu,",
    ),
    "no heads": (
        "config.json",
        "vision_config",
        {"num_attention_heads": 0},
        f"{SETTING}vision_config.num_attention_heads; got: 0; accepted: 1 or more",
    ),
    "no list": (
        "config.json",
        "",
        {"text_config": [1]},
        "cannot load the model: config.json: TypeError: 'list' object",
    ),
    "high token": (
        "vocab.json",
        "",
        {"zz": 5000},
        "the tokenizer has tokens beyond the embedding of the text tower; .* got: '5000 for zz'; accepted: 0 to 57",
    ),
    "negative size": (
        "preprocessor_config.json",
        "",
        {"size": {"shortest_edge": -1}},
        f"{PROCESSOR}height and width must be > 0; .* got: {{'size': {{'shortest_edge': -1}}",
    ),
    "size": (
        "preprocessor_config.json",
        "",
        {"crop_size": {"height": 16, "width": 16}},
        r"the image tower: .*; got: \{'pixel_values': \(3, 16, 16\)\}; accepted: \{'image_size': 32",
    ),
    "one mean": (
        "preprocessor_config.json",
        "",
        {"image_mean": [0.5]},
        rf"{PROCESSOR}mean must have 3 elements .* got: .*'image_mean': \(0.5,\)",
    ),
    "no deviation": (
        "preprocessor_config.json",
        "",
        {"image_std": [0, 0, 0]},
        r"the image processor makes pixels that are not finite; .* got: .*'image_std': \(0, 0, 0\).* accepted: finite",
    ),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_file_is_one_line_when_it_is_loaded(
    kind: str, clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    name, part, values, message = DAMAGE[kind]
    folder = copied(clip, tmp_path)
    changed(folder, name, part, **values)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ModelError, match=message) as caught:
            DualEncoder(str(folder), device="cpu")
    assert str(folder) in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["vocab.json"], f"the tokenizer: .*; got: 'merges.txt'; {FILES}"),
        (["merges.txt"], f"the tokenizer: .*; got: 'vocab.json'; {FILES}"),
        (
            ["vocab.json", "merges.txt"],
            "the tokenizer knows no word; .* got: '2 tokens'; accepted: a vocabulary in tok",
        ),
        (["preprocessor_config.json"], f"{PROCESSOR}Can't load"),
    ],
)
def test_a_missing_file_is_one_line(names: list[str], message: str, clip: Path, tmp_path: Path) -> None:
    folder = copied(clip, tmp_path)
    for name in names:
        (folder / name).unlink()
    with pytest.raises(ModelError, match=message):
        DualEncoder(str(folder), device="cpu")


@pytest.mark.parametrize(
    ("characters", "message"),
    [
        ("some", "the tokenizer: Unk token `<.endoftext.>` not found"),
        ("all", "the tokenizer does not put the token after"),
    ],
)
def test_a_vocabulary_without_the_end_of_texts(characters: str, message: str, clip: Path, tmp_path: Path) -> None:
    """It fails at a character that it does not know; where it knows all, what is added as the end is another."""
    folder = copied(clip, tmp_path)
    vocabulary = json.loads((folder / "vocab.json").read_text())
    del vocabulary["<|endoftext|>"]
    if characters == "all":
        vocabulary |= {letter + end: 2 for letter in ByteLevel.alphabet() for end in ("", "</w>")} | vocabulary
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    config = CLIPConfig.from_pretrained(folder)
    config.text_config.vocab_size = 1000
    CLIPModel(config).save_pretrained(folder)
    with pytest.raises(ModelError, match=message):
        DualEncoder(str(folder), device="cpu")


def test_the_text_that_lacks_its_end_is_the_one_named(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tokenizer may end short texts as it should, and cut the end off long ones."""
    folder = copied(clip, tmp_path)
    end = CLIPConfig.from_pretrained(folder).text_config.eos_token_id
    monkeypatch.setattr(DualEncoder, "prepare_texts", lambda self, texts: [[0, end], [0, 3, 4]])
    with pytest.raises(ModelError, match=f"got: '4 after a text of 3 tokens'; accepted: {end}, text_config"):
        DualEncoder(str(folder), device="cpu")


@pytest.mark.parametrize(("part", "weight"), [("text", "text_projection"), ("image", "visual_projection")])
def test_vectors_that_are_not_finite_are_refused(part: str, weight: str, clip: Path, tmp_path: Path) -> None:
    folder = copied(clip, tmp_path)
    weights = load_file(folder / "model.safetensors")
    weights[f"{weight}.weight"][0, 0] = torch.nan
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=f"the {part} tower returns vectors that are not finite; .* got: nan"):
        DualEncoder(str(folder), device="cpu")


def test_towers_of_different_dimensions_are_refused(siglip: Path, tmp_path: Path) -> None:
    folder = copied(siglip, tmp_path)
    changed(folder, "config.json", "text_config", projection_size=16)
    SiglipModel(SiglipConfig.from_pretrained(folder)).save_pretrained(folder)
    with pytest.raises(ModelError, match=r"different dimensions; .* got: '16 of texts, 32 of images'"):
        DualEncoder(str(folder), device="cpu")


@pytest.mark.parametrize("tower", ["get_text_features", "get_image_features"])
@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError(), RuntimeError("CUDA error: out of memory")])
def test_a_lack_of_memory_is_no_damage(
    tower: str, error: Exception, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: CLIPModel, **given: object) -> None:
        raise error

    monkeypatch.setattr(CLIPModel, tower, fail)
    with pytest.raises(type(error)) as caught:
        DualEncoder(str(clip), device="cpu")
    assert caught.value is error


@pytest.mark.parametrize(("tower", "part"), [("get_text_features", "text"), ("get_image_features", "image")])
def test_a_tower_that_fails_is_named(tower: str, part: str, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CLIPModel, tower, lambda self, **given: {}["nope"])
    with pytest.raises(ModelError, match=f"cannot load the model: the {part} tower: KeyError: 'nope'; where: {clip}"):
        DualEncoder(str(clip), device="cpu")


def test_texts_on_trial_are_long_and_in_other_scripts(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[list[str]] = []
    prepare = DualEncoder.prepare_texts
    monkeypatch.setattr(
        DualEncoder, "prepare_texts", lambda self, texts: (calls.append(texts), prepare(self, texts))[1]
    )
    model = DualEncoder(str(clip), device="cpu")
    tried = calls[0]  # the others are for prefixes
    assert any(not text.isascii() for text in tried)
    assert any(text.isascii() and len(model._tokenizer(text)["input_ids"]) > 20 for text in tried)
    assert any(len(model._tokenizer(text)["input_ids"]) < 20 for text in tried)


@pytest.mark.slow
def test_loading_prints_nothing(siglip: Path) -> None:
    """In a process of its own: transformers warns once, here of default tokens beyond a small vocabulary."""
    code = f"from mrbench.models.zoo import load_model; load_model('hf:{siglip}', device='cpu')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""


@pytest.mark.slow
def test_a_hub_id_that_cannot_be_reached_is_one_line() -> None:
    code = (
        "from mrbench.models.zoo import load_model\n"
        "from mrbench.errors import ModelError\n"
        "try: load_model('hf:example/clip-vit-base-patch32')\n"
        "except ModelError as error: print(error)"
    )
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert "neither a local folder nor a model that the hub gave us" in done.stdout
    assert "example/clip-vit-base-patch32" in done.stdout
    assert done.stdout.count("\n") == 1
