"""Models of MTEB, against MTEB's own loader of data and ``encode``."""

from __future__ import annotations

import json
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import datasets
import mteb
import numpy as np
import pytest
import torch
from mteb._create_dataloaders import create_dataloader
from mteb.types import PromptType
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from test_mllm import pictures as any_pictures
from tiny_sentence_transformers import PROMPTS, quiet, write_text_model
from tiny_towers import pictures
from vectors_alike import cosines

from mrbench.errors import InputError, MissingExtraError, ModelError
from mrbench.models.guard import guarded
from mrbench.models.mteb_model import _metadata
from mrbench.models.protocol import Item
from mrbench.models.zoo import load_model

TEXTS = ["a red dog", "two cats", "a " * 300, "dog\ndog", "собака"]
RANDOM = "mteb/baseline-random-encoder"
MINILM = "sentence-transformers/all-MiniLM-L6-v2"
CLIP = "openai/clip-vit-base-patch32"


@pytest.fixture(scope="module", autouse=True)
def _quiet() -> None:
    quiet()


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of the hub, where a tiny model stands in the place of another one, and no network."""
    made = write_text_model(tmp_path / "tiny", prompts=dict(PROMPTS))
    return in_cache(made, MINILM, tmp_path, monkeypatch)


@pytest.fixture
def cached_clip(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A CLIP in the cache. MTEB asks for torchvision, which nothing here calls: transformers reads with Pillow."""
    monkeypatch.setattr("mteb.models.model_meta.ModelMeta._check_requirements", lambda self: None)
    return in_cache(clip, CLIP, tmp_path, monkeypatch)


def in_cache(made: Path, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a model into a cache of the hub in the place of another one, and return its snapshot."""
    from huggingface_hub import constants

    target = tmp_path / "hub" / f"models--{name.replace('/', '--')}"
    revision = str(mteb.get_model_meta(name).revision)
    shutil.copytree(made, target / "snapshots" / revision)
    (target / "refs").mkdir()
    (target / "refs" / "main").write_text(revision)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr("sentence_transformers.util.file_io.is_offline_mode", lambda: True, raising=False)
    return target / "snapshots" / revision


def own(model: Any, rows: dict[str, Any], category: str, side: PromptType, instruction: str = "") -> Any:
    """What MTEB's retrieval evaluation does with a corpus or with queries."""
    features = {name: datasets.Image() if name == "image" else datasets.Value("string") for name in rows}
    data = datasets.Dataset.from_dict(rows, features=datasets.Features(features))
    metadata = _metadata(category, instruction)
    loader = create_dataloader(data, task_metadata=metadata, prompt_type=side, input_column="image")
    return model.encode(loader, task_metadata=metadata, hf_split="test", hf_subset="default", prompt_type=side)


def test_a_text_model_is_what_mteb_makes_of_it(cached: Path) -> None:
    model = load_model(f"mteb:{MINILM}", device="cpu")
    module = mteb.get_model(MINILM, device="cpu")
    rows = {"id": [str(number) for number in range(len(TEXTS))], "text": TEXTS}
    items = [Item(text) for text in TEXTS]
    expected = own(module, rows, "t2t", PromptType.document)
    assert cosines(model.embed_candidates(items), expected).min() > 0.9999
    for instruction in ("find it", ""):
        expected = own(module, rows, "t2t", PromptType.query, instruction)
        assert cosines(model.embed_queries(items, instruction), expected).min() > 0.9999
    together = model.embed_candidates([*items, Item("")])
    alone = np.concatenate([model.embed_candidates([item]) for item in [*items, Item("")]])
    assert cosines(together, alone).min() > 0.9999
    assert (model.name, model.revision, model.modalities) == (MINILM, cached.name, {"text"})
    with pytest.raises(ModelError, match=r"takes no such item.*got: 'image'"):
        model.embed_candidates([Item(image=pictures()[0])])


def test_pictures_and_both(tmp_path: Path) -> None:
    model, module = load_model(f"mteb:{RANDOM}"), mteb.get_model(RANDOM)
    assert model.modalities == {"text", "image", "image,text"}
    images, texts = pictures(), TEXTS[:3]
    seen = own(module, {"image": images}, "i2i", PromptType.document)
    both = own(module, {"id": list("abc"), "image": images, "text": texts}, "it2it", PromptType.query)
    items = [Item(image=images[0]), Item(texts[0], images[0]), Item(image=images[1]), Item(texts[2], images[2])]
    np.testing.assert_allclose(model.embed_candidates([items[0], items[2]]), seen[:2], rtol=1e-6)
    np.testing.assert_allclose(model.embed_queries([items[1], items[3]], ""), both[[0, 2]], rtol=1e-6)
    mixed = model.embed_candidates(items)  # which MTEB itself does not take
    np.testing.assert_allclose(mixed[[0, 2]], seen[:2], rtol=1e-6)
    np.testing.assert_allclose(mixed[1], both[0], rtol=1e-6)


def test_a_model_of_pictures_and_texts_is_what_mteb_makes_of_it(cached_clip: Path) -> None:
    model, module = load_model(f"mteb:{CLIP}", device="cpu"), mteb.get_model(CLIP, device="cpu")
    texts = [*TEXTS, ""]
    images = [image.convert("RGB") for image in any_pictures().values()]  # noise, grey, RGBA, tiny, narrow and huge
    said = own(module, {"id": [str(n) for n in range(len(texts))], "text": texts}, "t2t", PromptType.query)
    seen = own(module, {"image": images}, "i2i", PromptType.document)
    items = [*map(Item, texts), *(Item(image=image) for image in images), *map(Item, texts, images)]
    found = model.embed_candidates(items)
    assert cosines(found[: len(texts)], said).min() > 0.9999
    assert cosines(found[len(texts) : len(texts) + len(images)], seen).min() > 0.9999
    number = min(len(texts), len(images))
    assert cosines(found[-number:], np.asarray(said)[:number] + np.asarray(seen)[:number]).min() > 0.9999
    alone = np.concatenate([model.embed_queries([item], "ignored") for item in items])
    assert cosines(found, alone).min() > 0.9999


def test_a_missing_key_is_an_error_and_one_too_many_is_not(cached_clip: Path) -> None:
    """MTEB would run a network of which a part is random."""
    path = cached_clip / "model.safetensors"
    held = load_file(path)
    save_file(held | {"left.over": torch.ones(1)}, path, metadata={"format": "pt"})
    load_model(f"mteb:{CLIP}")
    save_file({k: v for k, v in held.items() if k != "visual_projection.weight"}, path, metadata={"format": "pt"})
    with pytest.raises(ModelError, match=rf"the weights lack keys: visual_projection\.weight; where: mteb:{CLIP}"):
        load_model(f"mteb:{CLIP}")


@pytest.mark.skipif(find_spec("torchvision") is not None, reason="torchvision is installed")
def test_a_package_that_mteb_asks_for_is_one_line() -> None:
    message = r"not installed that the model needs; .*torchvision.*; next: pip install mteb\[image\]$"
    with pytest.raises(MissingExtraError, match=message):
        load_model(f"mteb:{CLIP}")


def test_unknown_and_unfit_models() -> None:
    with pytest.raises(InputError, match=r"not found in MTEB registry.*Did you mean.*next: for other models"):
        load_model("mteb:intfloat/e5-base-v3")
    with pytest.raises(ModelError, match=r"no dense embedder.*cross"):
        load_model("mteb:mteb/baseline-random-cross-encoder")


def test_code_of_a_checkpoint_runs_only_where_it_is_trusted(cached: Path, tmp_path: Path) -> None:
    """Also where the library trusts it, as 73 files of MTEB do."""
    modules, ran = json.loads((cached / "modules.json").read_text()), tmp_path / "ran"
    (cached / "own.py").write_text(
        f"from pathlib import Path\nPath({str(ran)!r}).touch()\n"
        "from sentence_transformers.sentence_transformer.modules import Normalize as Own\n"
    )
    (cached / "modules.json").write_text(json.dumps([*modules[:-1], modules[-1] | {"type": "own.Own"}]))
    with pytest.raises(ModelError):
        load_model(f"mteb:{MINILM}")
    with pytest.raises(ModelError, match=r"nobody allowed.*own\.py.*--trust"), guarded("m", trusted=False):
        SentenceTransformer(str(cached), device="cpu", trust_remote_code=True)
    assert not ran.exists()
    with guarded("m", trusted=True):
        SentenceTransformer(str(cached), device="cpu", trust_remote_code=True)
    assert ran.exists()


def test_pickles_are_refused(cached: Path) -> None:
    dense = next(cached.glob("2_Dense/*.safetensors"))
    dense.rename(dense.with_name("pytorch_model.bin"))
    with pytest.raises(ModelError, match="the weights are a pickle"):
        load_model(f"mteb:{MINILM}")
