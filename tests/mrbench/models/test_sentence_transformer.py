"""Models of sentence-transformers, against the library's own ``encode``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer
from tiny_sentence_transformers import (
    PROMPTS,
    quiet,
    write_bert,
    write_chat_model,
    write_clip_model,
    write_old_clip_model,
    write_routed_model,
    write_text_model,
)
from tiny_towers import pictures
from vectors_alike import cosines

from mrbench.encode.store import fingerprint
from mrbench.errors import InputError, ModelError
from mrbench.models.protocol import Item
from mrbench.models.zoo import load_model

LEAST = {"float16": 0.9999, "bfloat16": 0.999}
TEXTS = ["a red dog", "", "two cats", "a " * 400, "собака 狗 كلب 🐕", "red", "dog\ndog", "a a red two"]
SIZES = [(64, 48), (1, 1), (2, 300), (2000, 1500)]


def images() -> list[Image.Image]:
    """As models get them: RGB of any size, whatever they were."""
    made = [picture.resize(size) for picture, size in zip([*pictures(), pictures()[0]], SIZES, strict=True)]
    return [*made, made[0].convert("L").convert("RGB"), made[0].convert("RGBA").rotate(45).convert("RGB")]


@pytest.fixture(scope="module", autouse=True)
def _quiet() -> None:
    quiet()


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, clip: Path) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("st")
    return {
        "plain": write_text_model(root / "plain"),
        "prompts": write_text_model(root / "prompts", prompts=dict(PROMPTS)),
        "routed": write_routed_model(root / "routed"),
        "clip": write_clip_model(root / "clip", clip),
        "old clip": write_old_clip_model(root / "old-clip", clip),
        "chat": write_chat_model(root / "chat"),
    }


def library(folder: Path, **options: Any) -> SentenceTransformer:
    return SentenceTransformer(str(folder), device="cpu", local_files_only=True, **options)


@pytest.mark.parametrize("name", ["plain", "prompts", "routed", "clip", "old clip", "chat"])
def test_texts_are_those_of_the_library(folders: dict[str, Path], name: str) -> None:
    model, own = load_model(f"st:{folders[name]}", device="cpu"), library(folders[name])
    items = [Item(text) for text in TEXTS]
    queries, candidates = model.embed_queries(items, "ignored"), model.embed_candidates(items)
    assert cosines(queries, own.encode_query(TEXTS)).min() > 0.9999
    assert cosines(candidates, own.encode_document(TEXTS)).min() > 0.9999
    differ = np.abs(queries - candidates).max() > 1e-3
    assert differ == (name in ("prompts", "routed", "chat"))
    assert model.symmetric == (not differ)  # type: ignore[attr-defined]
    assert model.dimension == queries.shape[1]


@pytest.mark.parametrize("name", ["clip", "old clip", "chat"])
def test_pictures_are_those_of_the_library(folders: dict[str, Path], name: str) -> None:
    model, own = load_model(f"st:{folders[name]}", device="cpu"), library(folders[name])
    items = [Item(image=image) for image in images()]
    assert cosines(model.embed_queries(items, ""), own.encode_query(images())).min() > 0.9999
    assert cosines(model.embed_candidates(items), own.encode_document(images())).min() > 0.9999


def test_both_in_one_input_where_the_model_takes_it(folders: dict[str, Path]) -> None:
    model, own = load_model(f"st:{folders['chat']}", device="cpu"), library(folders["chat"])
    items = [Item(text, image) for text, image in zip(TEXTS, images(), strict=False)]
    inputs = [{"image": item.image, "text": item.text} for item in items]
    assert cosines(model.embed_queries(items, ""), own.encode_query(inputs)).min() > 0.9999  # type: ignore[arg-type]
    assert not model.additive  # type: ignore[attr-defined]


def test_both_are_added_up_where_the_model_takes_each_alone(folders: dict[str, Path]) -> None:
    model, own = load_model(f"st:{folders['clip']}", device="cpu"), library(folders["clip"])
    items = [Item(text, image) for text, image in zip(TEXTS, images(), strict=False)]
    texts = [item.text for item in items if item.text is not None]
    expected = own.encode(texts) + own.encode([item.image for item in items])  # type: ignore[operator, type-var]
    assert cosines(model.embed_queries(items, ""), expected).min() > 0.9999
    assert model.additive  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["prompts", "clip", "chat"])
def test_a_batch_does_not_change_a_vector(folders: dict[str, Path], name: str) -> None:
    model = load_model(f"st:{folders[name]}", device="cpu")
    items = [Item(text) for text in TEXTS]
    if name != "prompts":
        items += [Item(image=image) for image in images()] + [Item(TEXTS[0], images()[0])]
    alone = np.concatenate([model.embed_queries([item], "") for item in items])
    assert cosines(model.embed_queries(items, ""), alone).min() > 0.9999


def test_a_text_that_names_a_picture_is_a_text(folders: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    pictures()[0].save(path)
    texts = [str(path), "http://127.0.0.1:9/a.png", "data:image/png;base64,AAAA"]
    for name in ("plain", "clip", "chat"):
        model, own = load_model(f"st:{folders[name]}", device="cpu"), library(folders[name])
        found = model.embed_candidates([Item(text) for text in texts])
        expected = own.encode_document([{"text": text} for text in texts])  # type: ignore[arg-type]
        assert cosines(found, expected).min() > 0.9999
    misread = own.encode_document([str(path)])
    assert cosines(found[:1], misread).max() < 0.99  # the library opens the file


def test_dimensions_are_cut(folders: dict[str, Path]) -> None:
    model, own = load_model(f"st:{folders['plain']}?dimension=8"), library(folders["plain"], truncate_dim=8)
    found = model.embed_candidates([Item(text) for text in TEXTS])
    assert model.dimension == found.shape[1] == 8
    assert cosines(found, own.encode(TEXTS)).min() > 0.9999
    with pytest.raises(InputError, match=r"fewer dimensions.*got: 99; accepted: 1 to 20"):
        load_model(f"st:{folders['plain']}?dimension=99")


def test_prompts_of_ones_own(folders: dict[str, Path]) -> None:
    model = load_model(f"st:{folders['prompts']}?query=dog {{instruction}} two &candidate=")
    own = library(folders["prompts"])
    items = [Item(text) for text in TEXTS]
    expected = own.encode(TEXTS, prompt="dog red two ")
    assert cosines(model.embed_queries(items, "red"), expected).min() > 0.9999
    assert cosines(model.embed_candidates(items), own.encode(TEXTS, prompt="")).min() > 0.9999
    with pytest.raises(InputError, match="malformed option query"):
        load_model(f"st:{folders['prompts']}?query={{text}}")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_16_bit_stays_near_32_bit(folders: dict[str, Path], dtype: str) -> None:
    for name in ("plain", "clip", "chat"):
        items = [Item(text) for text in TEXTS]
        if name != "plain":
            items += [Item(image=image) for image in images()] + [Item(TEXTS[0], images()[0])]
        half = load_model(f"st:{folders[name]}", device="cpu", dtype=dtype)
        assert half.dtype == dtype
        full = load_model(f"st:{folders[name]}", device="cpu", dtype="float32")
        assert cosines(half.embed_queries(items, ""), full.embed_queries(items, "")).min() > LEAST[dtype], name
    assert fingerprint(half) != fingerprint(full)
    with pytest.raises(InputError, match="unknown dtype"):
        load_model(f"st:{folders['plain']}", dtype="int8")


def test_what_decides_vectors_decides_the_cache(folders: dict[str, Path], tmp_path: Path) -> None:
    def said(spec: str) -> dict[str, Any]:
        return {name: value for name, value in fingerprint(load_model(spec)).items() if name != "name"}

    copy = shutil.copytree(folders["prompts"], tmp_path / "copy")
    before = said(f"st:{folders['prompts']}")
    assert said(f"st:{copy}") == before
    assert said(f"st:{copy}?query=a") != before
    settings = json.loads((copy / "config_sentence_transformers.json").read_text())
    settings["prompts"]["query"] = "dog "
    (copy / "config_sentence_transformers.json").write_text(json.dumps(settings))
    assert said(f"st:{copy}") != before
    assert load_model(f"st:{copy}").revision != before["revision"]
    before = said(f"st:{copy}")
    dense = next(copy.glob("2_Dense/*.safetensors"))
    weights = load_file(dense)
    save_file({name: tensor * 1.01 for name, tensor in weights.items()}, dense)
    assert load_model(f"st:{copy}").revision != before["revision"]


def test_a_missing_or_unexpected_key_is_an_error(folders: dict[str, Path], tmp_path: Path) -> None:
    copy = shutil.copytree(folders["plain"], tmp_path / "copy")
    weights = load_file(copy / "model.safetensors")
    key = "encoder.layer.1.output.dense.weight"
    kept = {name: tensor for name, tensor in weights.items() if name != key}
    save_file(kept, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=f"the weights lack keys: {key}"):
        load_model(f"st:{copy}")
    save_file(weights | {"adapter.weight": torch.ones(2)}, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"the weights hold unexpected keys: adapter\.weight"):
        load_model(f"st:{copy}")
    save_file(weights | {"lm_head.weight": torch.ones(2)}, copy / "model.safetensors", metadata={"format": "pt"})
    load_model(f"st:{copy}")  # of another task, and not used


def test_weights_of_another_task_may_lack_only_where_no_vector_depends_on_them(tmp_path: Path) -> None:
    """The library fills up a pooler that the file lacks at random, at each load anew."""
    first = Transformer(
        str(write_bert(tmp_path / "bert")),
        modality_config={"text": {"method": "forward", "method_output_name": "pooler_output"}},
        module_output_name="sentence_embedding",
    )
    SentenceTransformer(modules=[first], device="cpu").save(str(tmp_path / "pooled"))
    mean = write_text_model(tmp_path / "mean")
    for folder in (tmp_path / "pooled", mean):
        weights = load_file(folder / "model.safetensors")
        kept = {name: tensor for name, tensor in weights.items() if "pooler" not in name}
        assert len(kept) < len(weights)
        save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    assert np.isfinite(load_model(f"st:{mean}").embed_candidates([Item("two cats")])).all()
    with pytest.raises(ModelError, match=r"the weights lack keys: pooler\.dense\.bias, pooler\.dense\.weight"):
        load_model(f"st:{tmp_path / 'pooled'}")


def test_another_similarity_than_the_cosine_is_said(folders: dict[str, Path], tmp_path: Path) -> None:
    write_text_model(tmp_path / "dot", similarity_fn_name="dot")
    model = load_model(f"st:{tmp_path / 'dot'}")
    assert (
        model.remark
        == "scored by cosine, while its own similarity is dot: ranks differ unless its vectors have length 1"
    )
    assert model.template.endswith(f"; {model.remark}")
    assert not load_model(f"st:{folders['plain']}").remark


def test_code_in_the_folder_does_not_run_unless_allowed(folders: dict[str, Path], tmp_path: Path) -> None:
    copy, ran = shutil.copytree(folders["plain"], tmp_path / "copy"), tmp_path / "ran"
    (copy / "own.py").write_text(
        f"from pathlib import Path\nPath({str(ran)!r}).touch()\n"
        "from sentence_transformers.sentence_transformer.modules import Normalize\n"
        "class Own(Normalize):\n    pass\n"
    )
    modules = json.loads((copy / "modules.json").read_text())
    modules[-1]["type"] = "own.Own"
    (copy / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ModelError, match=r"nobody allowed to run.*own.Own.*--trust-remote-code"):
        load_model(f"st:{copy}")
    assert not ran.exists()
    model = load_model(f"st:{copy}", trust_remote_code=True)
    assert ran.exists()
    assert model.remote_code  # type: ignore[attr-defined]


def test_pickles_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    for part in ("", "2_Dense"):
        copy = shutil.copytree(folders["plain"], tmp_path / f"copy{part}")
        weights = next((copy / part).glob("*.safetensors"))
        weights.rename(copy / part / "pytorch_model.bin")
        with pytest.raises(ModelError, match=rf"pickles alone.*copy{part}.*pytorch_model.bin"):
            load_model(f"st:{copy}")


@pytest.fixture
def hub(folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The cache of the hub with one model, and no network."""
    from huggingface_hub import constants

    commit = "0123456789abcdef" * 2 + "01234567"
    repository = tmp_path / "hub" / "models--org--tiny"
    shutil.copytree(folders["prompts"], repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return commit


def test_a_model_of_the_hub_comes_from_its_cache(hub: str, folders: dict[str, Path]) -> None:
    for spec in ("st:org/tiny", "st:org/tiny@main", f"st:org/tiny@{hub}"):
        model = load_model(spec)
        assert (model.name, model.revision) == ("org/tiny", hub)
    expected = library(folders["prompts"]).encode_query(TEXTS)
    assert cosines(model.embed_queries([Item(text) for text in TEXTS], ""), expected).min() > 0.9999
    with pytest.raises(ModelError, match=r"neither a local folder nor a model that the hub gave us.*org/other"):
        load_model("st:org/other")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "modules.json").unlink(), "without modules.json its pooling would be guessed"),
        (lambda folder: (folder / "modules.json").write_text("{"), "malformed modules.json"),
        (lambda folder: (folder / "modules.json").write_text("[3]"), "malformed modules.json"),
        (lambda folder: (folder / "config.json").unlink(), "cannot load the model"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"\0" * 9), "cannot load the model"),
        (lambda folder: shutil.rmtree(folder / "1_Pooling"), "cannot load the model"),
    ],
)
def test_damaged_folders_are_one_line(folders: dict[str, Path], tmp_path: Path, change: Any, message: str) -> None:
    copy = shutil.copytree(folders["plain"], tmp_path / "copy")
    change(copy)
    with pytest.raises(ModelError, match=message) as caught:
        load_model(f"st:{copy}")
    assert "\n" not in str(caught.value)


def test_an_activation_of_other_code_runs_with_leave_alone(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copytree(folders["plain"], tmp_path / "copy")
    file = copy / "2_Dense" / "config.json"
    said = json.loads(file.read_text())
    assert said["activation_function"].startswith("torch.nn.")
    file.write_text(json.dumps(said | {"activation_function": "squares_of_mine.Square"}))
    code = "import torch\n\nclass Square(torch.nn.Module):\n    def forward(self, x):\n        return x * x\n"
    (tmp_path / "squares_of_mine.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        ModelError, match=r"nobody allowed to run.*2_Dense/config.json.*squares_of_mine.Square.*--trust-remote-code"
    ):
        load_model(f"st:{copy}", device="cpu")
    model = load_model(f"st:{copy}", device="cpu", trust_remote_code=True)
    assert model.remote_code is True  # type: ignore[attr-defined]
    assert (model.embed_candidates([Item(text) for text in TEXTS]) >= 0).all()
    assert load_model(f"st:{folders['plain']}", trust_remote_code=True).remote_code is False  # type: ignore[attr-defined]


def test_other_faults(folders: dict[str, Path]) -> None:
    with pytest.raises(InputError, match="no such folder"):
        load_model("st:no/such/folder")
    with pytest.raises(InputError, match=r"unknown option.*accepted: dimension: "):
        load_model(f"st:{folders['plain']}?size=3")
    model = load_model(f"st:{folders['plain']}")
    for items, got in (([Item(image=pictures()[0])], "image"), ([Item("a", pictures()[0])], "image and text")):
        with pytest.raises(ModelError, match=f"takes no such item.*got: '{got}'; accepted: text"):
            model.embed_candidates(items)
