"""A folder that another adapter is for: the error names the spec that loads it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny_late import write_colpali

from mrbench.errors import ModelError
from mrbench.models.late import FAMILIES
from mrbench.models.other_adapter import MULTI_VECTOR, adapters_of
from mrbench.models.zoo import load_model


@pytest.mark.parametrize(
    ("file", "said", "prefix"),
    [
        ("modules.json", [], "st"),
        ("open_clip_config.json", {}, "open_clip"),
        ("config.json", {"architecture": "resnet10t", "pretrained_cfg": {}}, "timm"),
        ("config.json", {"model_type": "qwen3_vl"}, "mllm"),
        ("config.json", {"model_type": "colqwen2"}, "late"),
        ("config.json", {"model_type": "siglip"}, "hf"),
    ],
)
def test_the_adapter_is_told_by_what_lies_in_the_folder(tmp_path: Path, file: str, said: object, prefix: str) -> None:
    folder = tmp_path / "a model"
    folder.mkdir()
    (folder / file).write_text(json.dumps(said))
    fit = adapters_of(folder)
    assert fit[0] == prefix
    for adapter in {"hf", "st", "mllm", "late"} - set(fit):
        with pytest.raises(ModelError, match=f"the folder is for another adapter.*next: --model '{prefix}:"):
            load_model(f"{adapter}:{folder}")


def test_a_folder_may_be_for_several(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "qwen3_vl"}')
    (tmp_path / "modules.json").write_text("[]")
    assert adapters_of(tmp_path) == ["mllm", "st"]


@pytest.mark.parametrize(
    ("kind", "adapter"), [("SentenceTransformer", "st"), ("MultiVectorEncoder", "late"), ("ColBERT", "late")]
)
def test_the_class_of_sentence_transformers_tells_the_adapter(kind: str, adapter: str, tmp_path: Path) -> None:
    """The library itself converts one to the other, and puts a layer at random where none is."""
    (tmp_path / "modules.json").write_text("[]")
    (tmp_path / "config_sentence_transformers.json").write_text(json.dumps({"model_type": kind}))
    assert adapters_of(tmp_path) == [adapter]
    other = {"st": "late", "late": "st"}[adapter]
    with pytest.raises(ModelError, match=rf"for another adapter; .*accepted: {adapter}:; next: --model {adapter}:"):
        load_model(f"{other}:{tmp_path}")


def test_old_folders_of_pylate_do_not_say_their_class(tmp_path: Path) -> None:
    (tmp_path / "modules.json").write_text("[]")
    (tmp_path / "config_sentence_transformers.json").write_text(json.dumps({"query_prefix": "[Q] "}))
    assert adapters_of(tmp_path) == ["late"]


@pytest.mark.parametrize("adapter", ["st", "late"])
def test_a_sparse_encoder_is_no_embedder_of_ours(adapter: str, tmp_path: Path) -> None:
    (tmp_path / "modules.json").write_text("[]")
    (tmp_path / "config_sentence_transformers.json").write_text(json.dumps({"model_type": "SparseEncoder"}))
    with pytest.raises(ModelError, match=r"no adapter for this class .* got: 'SparseEncoder'; accepted: Sentence"):
        load_model(f"{adapter}:{tmp_path}")


def test_nothing_is_advised_for_an_unknown_folder(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    assert adapters_of(tmp_path) == []


def test_a_checkpoint_of_several_vectors_is_not_one_for_hf(tmp_path: Path) -> None:
    folder = write_colpali(tmp_path / "colpali")
    with pytest.raises(ModelError, match="next: --model late:"):
        load_model(f"hf:{folder}")


def test_the_kinds_are_those_that_the_adapters_take() -> None:
    assert set(MULTI_VECTOR) == set(FAMILIES)
