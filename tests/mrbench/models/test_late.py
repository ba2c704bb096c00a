"""``late:`` against transformers and sentence-transformers, used in a straight line for one item at a time."""

from __future__ import annotations

import json
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file, save_file
from test_mllm import TEXTS, pictures
from tiny_late import WRITERS, rename_modules, write_colbert
from vectors_alike import cosines

from mrbench.arrays import Ragged
from mrbench.errors import InputError, ModelError
from mrbench.models.check import check_model, compare
from mrbench.models.protocol import Item
from mrbench.models.zoo import load_model
from mrbench.search.maxsim import maxsim_scores

CLASSES = {
    "colpali": (transformers.ColPaliForRetrieval, transformers.ColPaliProcessor),
    "colqwen2": (transformers.ColQwen2ForRetrieval, transformers.ColQwen2Processor),
}
KINDS = sorted(WRITERS)


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("late")
    return {kind: write(root / kind) for kind, write in WRITERS.items()} | {"colbert": write_colbert(root / "colbert")}


@cache
def library(kind: str, folder: Path) -> tuple[Any, Any]:
    network, processor = (one.from_pretrained(folder) for one in CLASSES[kind])
    return network.eval(), processor


@torch.no_grad()
def straight(kind: str, folder: Path, item: Item) -> torch.Tensor:
    """One item through transformers as its page has it; nothing is filled up."""
    network, processor = library(kind, folder)
    if item.image is None:
        inputs = processor.process_queries([item.text])
    else:
        inputs = processor.process_images([item.image.convert("RGB")])
    assert inputs["attention_mask"].all()
    return network(**inputs).embeddings[0]


def every_item() -> list[Item]:
    return [Item(text) for text in TEXTS] + [Item(image=image) for image in pictures().values()]


@pytest.mark.parametrize("kind", KINDS)
def test_vectors_and_scores_are_those_of_transformers(kind, folders):
    items = every_item()
    model = load_model(f"late:{folders[kind]}")
    expected = [straight(kind, folders[kind], item) for item in items]
    together = model.embed_candidates(items)  # all in one call, padded in batches
    alone = [model.embed_queries([item], "Find it") for item in items]
    assert together.counts.tolist() == [len(one) for one in expected]
    for n, (item, theirs) in enumerate(zip(items, expected, strict=True)):
        assert cosines(together[n].flat, theirs).min() >= 0.9999, item
        assert cosines(alone[n].flat, theirs).min() >= 0.9999, item
    score = library(kind, folders[kind])[1].score_retrieval
    for n, theirs in enumerate(expected[:4]):
        table = [float(score([theirs], [candidate])[0, 0]) for candidate in expected]
        mine = maxsim_scores(together[n].flat, together, np.arange(len(items)))
        assert mine == pytest.approx(table, rel=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_texts_and_pictures_differ_and_keep_their_places(kind, folders):
    model = load_model(f"late:{folders[kind]}")
    items = [Item("a"), Item(image=pictures()["noise"]), Item("two large dogs on the beach"), Item("a")]
    found = model.embed_candidates(items)
    assert np.array_equal(found[0].flat, found[3].flat)
    for n, item in enumerate(items):
        assert cosines(found[n].flat, straight(kind, folders[kind], item)).min() >= 0.9999
    assert len(model.embed_candidates([])) == 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("dtype", "least"), [("float16", 0.9999), ("bfloat16", 0.995)])
def test_sixteen_bits_are_near_thirty_two(kind, dtype, least, folders):
    items = every_item()
    one, other = (load_model(f"late:{folders[kind]}", dtype=name).embed_candidates(items) for name in (dtype, None))
    assert one.flat.dtype == np.float32
    assert cosines(one.flat, other.flat).min() >= least


@pytest.mark.parametrize("kind", KINDS)
def test_texts_that_spell_special_tokens_stay_texts(kind, folders):
    model = load_model(f"late:{folders[kind]}")
    spelt, plain = "a <image> <|image_pad|> <pad><loc0001>", "a < image> < |image_pad|> < pad>< loc0001>"
    special = model._processor.tokenizer.get_added_vocab()
    for token in ("<image>", "<|image_pad|>", "<pad>", "<loc0001>"):
        if token not in special:
            plain = plain.replace(f"< {token[1:]}", token)
    found = model.embed_queries([Item(spelt), Item(plain)], "")
    assert np.array_equal(found[0].flat, found[1].flat)
    ids = model._processor.process_queries([model._plain(spelt)])["input_ids"]
    assert model._processor.image_token_id not in ids


@pytest.mark.parametrize("kind", KINDS)
def test_a_long_text_loses_its_end_and_is_known_to_be_cut(kind, folders):
    model = load_model(f"late:{folders[kind]}")
    long = "dog " * 600
    found = model.embed_queries([Item(long), Item(long + "moon")], "")
    limit = library(kind, folders[kind])[0].config.vlm_config.text_config.max_position_embeddings
    assert ((limit - 2 <= found.counts) & (found.counts <= limit)).all()  # a space may join another token
    assert np.array_equal(found[0].flat, found[1].flat)
    assert model.cut_texts(["dog", long, ""]).tolist() == [False, True, False]


@pytest.mark.parametrize("kind", [*KINDS, "colbert"])
def test_what_the_model_says_of_itself(kind, folders, tmp_path):
    model = load_model(f"late:{folders[kind]}")
    assert (model.name, model.dimension, model.multi_vector, model.dtype) == (kind, 12, True, "float32")
    assert model.revision.startswith("sha256:")
    assert model.revision_is_digest
    assert model.modalities == {"text"} if kind == "colbert" else {"text", "image"}
    assert model.parameter_count > 1000
    assert model.max_text_length > 10
    assert kind == "colbert" or model.licence == "gemma"
    moved = shutil.copytree(folders[kind], tmp_path / "elsewhere")
    assert load_model(f"late:{moved}").revision == model.revision


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*KINDS, "colbert"])
def test_the_model_passes_its_check(kind, folders):
    findings = {one.check: one for one in check_model(load_model(f"late:{folders[kind]}"))}
    assert [one for one in findings.values() if one.status == "FAIL"] == []
    assert "vectors an item" in findings["text: vectors"].detail
    assert findings["text: MaxSim in a batch and alone"].status == "PASS"
    assert "items/s" in findings["speed: texts"].detail


@pytest.mark.slow
def test_a_check_fails_where_the_batch_shows_in_the_vectors(folders):
    model = load_model(f"late:{folders['colpali']}")
    honest = model.embed_candidates

    def padded(items: list[Item]) -> Ragged:
        """Fillings of the batch are taken for tokens, as in a padded tensor."""
        found = honest(items)
        most = int(found.counts.max())
        flat = [
            np.concatenate([found[n].flat, found[n].flat[:1].repeat(most - len(found[n].flat), 0)])
            for n in range(len(items))
        ]
        return Ragged.of_counts(np.concatenate(flat), np.full(len(items), most))

    model.embed_candidates = padded
    failed = {one.check for one in check_model(model) if one.status == "FAIL"}
    assert "text: the same in a batch and alone" in failed


def test_two_specs_of_one_checkpoint_are_alike_and_two_models_are_not(folders):
    one, other = (load_model(f"late:{folders[kind]}") for kind in KINDS)
    assert {finding.status for finding in compare(one, one)} == {"PASS"}
    assert {finding.status for finding in compare(one, other)} == {"FAIL"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("item", "said"),
    [
        (Item("a dog", Image.new("RGB", (9, 9))), "takes no text with a picture"),
        (Item(), "neither a text nor an image"),
        (
            Item(None, Image.new("RGB", (9, 9)), (Image.new("RGB", (9, 9)),)),
            "one picture an item; .* got: '2 pictures'",
        ),
    ],
)
def test_items_that_the_processor_does_not_take_are_one_line(kind, item, said, folders):
    with pytest.raises(ModelError, match=said) as error:
        load_model(f"late:{folders[kind]}").embed_candidates([Item("a"), item])
    assert "item 1" in str(error.value)


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_key_a_pickle_and_a_foreign_type_are_refused(kind, folders, tmp_path):
    lacking = shutil.copytree(folders[kind], tmp_path / "lacking")
    held = load_file(lacking / "model.safetensors")
    save_file({k: v for k, v in held.items() if "embedding_proj" not in k}, lacking / "model.safetensors")
    with pytest.raises(ModelError, match="the weights lack keys: embedding_proj_layer"):
        load_model(f"late:{lacking}")
    pickled = shutil.copytree(folders[kind], tmp_path / "pickled")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    with pytest.raises(ModelError, match="pickled ones can run code"):
        load_model(f"late:{pickled}")
    other = shutil.copytree(folders[kind], tmp_path / "other")
    (other / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(
        ModelError, match=r"no adapter for this type of model; .*got: 'bert'; accepted: colpali, colqwen2"
    ):
        load_model(f"late:{other}")


def test_what_is_not_there_is_one_line(folders):
    with pytest.raises(InputError, match="no such folder"):
        load_model("late:/no/such/folder")
    with pytest.raises(InputError, match="unknown dtype"):
        load_model(f"late:{folders['colpali']}", dtype="int8")


def test_a_colbert_embeds_as_its_library_does(folders):
    from sentence_transformers import MultiVectorEncoder

    theirs = MultiVectorEncoder(str(folders["colbert"]), device="cpu")
    model = load_model(f"late:{folders['colbert']}")
    items = [
        Item(text) for text in ("two red cats", "a", "a dog on a hill", "собака 狗 كلب", "dog\ndog", "", "cat " * 400)
    ]
    for mine, encode in (
        (model.embed_queries(items, "Find it"), theirs.encode_query),
        (model.embed_candidates(items), theirs.encode_document),
    ):
        expected = encode([item.text for item in items], show_progress_bar=False)
        assert mine.counts.tolist() == [len(one) for one in expected]
        assert cosines(mine.flat, np.concatenate(expected)).min() >= 0.9999
    alone = [model.embed_candidates([item]).flat for item in items]
    assert cosines(model.embed_candidates(items).flat, np.concatenate(alone)).min() >= 0.9999
    queries, candidates = model.embed_queries(items, ""), model.embed_candidates(items)
    table = theirs.similarity(
        theirs.encode_query([i.text for i in items]), theirs.encode_document([i.text for i in items])
    )
    for n in range(len(items)):
        mine = maxsim_scores(queries[n].flat, candidates, np.arange(len(items)))
        assert mine == pytest.approx(np.asarray(table[n]), abs=1e-4)


@pytest.mark.parametrize(("dtype", "least"), [("float16", 0.9999), ("bfloat16", 0.995)])
def test_sixteen_bits_of_a_colbert_are_near_thirty_two(dtype, least, folders):
    items = [Item(text) for text in ("two red cats", "собака 狗", "cat " * 50)]
    half, whole = (load_model(f"late:{folders['colbert']}", dtype=name) for name in (dtype, "float32"))
    assert half.dtype == dtype
    assert cosines(half.embed_candidates(items).flat, whole.embed_candidates(items).flat).min() >= least


def test_leave_to_run_code_of_a_colbert_is_no_code_that_ran(folders):
    one, other = (load_model(f"late:{folders['colbert']}", trust_remote_code=leave) for leave in (True, False))
    assert one.remote_code is other.remote_code is False
    assert one.preprocessing == other.preprocessing


def test_a_colbert_of_pylate_is_read_and_foreign_code_is_not(folders, tmp_path):
    pylate = shutil.copytree(folders["colbert"], tmp_path / "pylate")
    rename_modules(pylate, "sentence_transformers.base.modules.dense.Dense", "pylate.models.Dense.Dense")
    one, other = (load_model(f"late:{folder}") for folder in (pylate, folders["colbert"]))
    items = [Item("two red cats")]
    assert np.array_equal(one.embed_queries(items, "").flat, other.embed_queries(items, "").flat)
    rename_modules(pylate, "pylate.models.Dense.Dense", "mine.Dense")
    with pytest.raises(ModelError, match=r"code of its own, which nobody allowed to run; .*mine\.Dense"):
        load_model(f"late:{pylate}")


def test_a_colbert_takes_no_picture_and_needs_unit_vectors(folders, tmp_path):
    with pytest.raises(ModelError, match=r"takes no such item; .*got: 'image'; accepted: one text"):
        load_model(f"late:{folders['colbert']}").embed_candidates([Item(image=pictures()["noise"])])
    long = shutil.copytree(folders["colbert"], tmp_path / "long")
    modules = json.loads((long / "modules.json").read_text())
    (long / "modules.json").write_text(json.dumps([one for one in modules if "Normalize" not in one["type"]]))
    with pytest.raises(ModelError, match="vectors of tokens have other lengths"):
        load_model(f"late:{long}")
