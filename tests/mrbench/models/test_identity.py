"""What a checkpoint is known by: all that decides a vector, and nothing else."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_towers import changed, copied, pictures, write_file
from transformers import CLIPModel

from mrbench.errors import ModelError
from mrbench.models.common import tensors_digest
from mrbench.models.dual_encoder import DualEncoder
from mrbench.models.protocol import Item


def load(folder: Path) -> DualEncoder:
    return DualEncoder(str(folder), device="cpu")


def scale_weights(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["text_projection.weight"] *= 1.5
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def swap_letters(folder: Path) -> None:
    words = json.loads((folder / "vocab.json").read_text())
    words["a</w>"], words["e</w>"] = words["e</w>"], words["a</w>"]
    (folder / "vocab.json").write_text(json.dumps(words))


def store_in_16_bit(folder: Path) -> None:
    weights = {name: tensor.bfloat16() for name, tensor in load_file(folder / "model.safetensors").items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


CHANGES: dict[str, Callable[[Path], None]] = {
    "weights": scale_weights,
    "16 bit": store_in_16_bit,
    "activation": lambda folder: changed(folder, "config.json", "text_config", hidden_act="gelu"),
    "mean": lambda folder: changed(folder, "preprocessor_config.json", image_mean=[0.0] * 3),
    "vocabulary": swap_letters,
    "merges": lambda folder: (folder / "merges.txt").write_text("#version: 0.2\nd o\n") and None,
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_changes_a_vector_changes_the_revision(change: str, clip: Path, tmp_path: Path) -> None:
    copy = copied(clip, tmp_path)
    CHANGES[change](copy)
    before, after = load(clip), load(copy)
    item = Item(text="a dog", image=pictures()[0])
    assert (before.embed_candidates([item]) != after.embed_candidates([item])).any()
    assert before.revision != after.revision
    assert after.revision.startswith("sha256:")
    assert (before.preprocessing != after.preprocessing) == (change not in ("weights", "16 bit"))


def lay_out_json_anew(folder: Path) -> None:
    for path in folder.glob("*.json"):
        said = dict(reversed(json.loads(path.read_text()).items()))
        path.write_text(json.dumps(said, indent=7) + "\n")
    changed(folder, "config.json", _name_or_path="/elsewhere", transformers_version="4.1", torch_dtype="float16")


def split_weights(folder: Path) -> None:
    CLIPModel.from_pretrained(folder).save_pretrained(folder / "shards", max_shard_size="50KB")
    (folder / "model.safetensors").unlink()
    for path in (folder / "shards").glob("model*"):
        shutil.move(path, folder / path.name)
    shutil.rmtree(folder / "shards")
    assert len(list(folder.glob("*.safetensors"))) > 1


def put_files_beside(folder: Path) -> None:
    save_file({"x": torch.zeros(3)}, folder / "open_clip_model.safetensors")
    (folder / "pytorch_model.bin").write_bytes(b"never read")
    (folder / "README.md").write_text("read by nobody")
    write_file(folder, "open_clip_config.json", model_cfg={})
    write_file(folder, "generation_config.json", max_length=3)
    for name in ("vocab.txt", "spiece.model", "sentencepiece.bpe.model"):
        (folder / name).write_text("read by tokenizers of other kinds")
    for name in ("preprocessor_config.json", "tokenizer_config.json"):
        changed(folder, name, processor_class="CLIPProcessor")
    write_file(folder, "processor_config.json", processor_class="CLIPProcessor")
    (folder / "onnx").mkdir()
    write_file(folder / "onnx", "config.json", model_type="other")


SAME: dict[str, Callable[[Path], None]] = {
    "files that are not loaded": put_files_beside,
    "layout of JSON": lay_out_json_anew,
    "sharding": split_weights,
}


@pytest.mark.parametrize("change", SAME)
def test_what_changes_no_vector_changes_no_revision(change: str, clip: Path, tmp_path: Path) -> None:
    copy = copied(clip, tmp_path)
    SAME[change](copy)
    assert load(copy).revision == load(clip).revision


def test_an_unloaded_file_enters_no_key_of_embeddings(clip: Path, tmp_path: Path) -> None:
    copy = copied(clip, tmp_path)
    put_files_beside(copy)
    assert load(copy).preprocessing == load(clip).preprocessing


@pytest.mark.parametrize("path", ["{}/", "{}/.", "{}/../copy", "{}/../link"])
def test_the_name_is_that_of_the_folder(path: str, clip: Path, tmp_path: Path) -> None:
    copy = copied(clip, tmp_path)
    (tmp_path / "link").symlink_to(copy)
    assert load(Path(copy)).name == "copy"
    assert DualEncoder(path.format(copy), device="cpu").name == "copy"


def test_the_current_folder_and_a_long_name(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = copied(clip, tmp_path).rename(tmp_path / ("n" * 255))
    monkeypatch.chdir(folder)
    assert DualEncoder(".", device="cpu").name == "n" * 100  # a result refuses more than 200


def test_weights_that_only_another_library_reads_are_refused(clip: Path, tmp_path: Path) -> None:
    copy = copied(clip, tmp_path)
    (copy / "model.safetensors").rename(copy / "open_clip_model.safetensors")
    with pytest.raises(ModelError, match=r"no safetensors weights by the name .* got: 'open_clip_model.safetensors'"):
        load(copy)


@pytest.mark.parametrize("place", ["mine.safetensors", "below/mine.safetensors"])
def test_weights_that_the_configuration_names_are_those_that_count(place: str, clip: Path, tmp_path: Path) -> None:
    copy = copied(clip, tmp_path)
    changed(copy, "config.json", transformers_weights=place)
    before = copy / "model.safetensors"
    (copy / place).parent.mkdir(exist_ok=True)
    (copy / place).write_bytes(before.read_bytes())
    scale_weights(copy)  # of the file that nobody reads
    item = [Item(text="a dog")]
    assert (load(copy).embed_candidates(item) == load(clip).embed_candidates(item)).all()
    revision = load(copy).revision
    before.unlink()
    assert load(copy).revision == revision


@pytest.mark.parametrize("name", ["absent.safetensors", "../x.safetensors", "/x.safetensors", ""])
def test_a_configuration_that_names_absent_weights_is_one_line(name: str, clip: Path, tmp_path: Path) -> None:
    copy = copied(clip, tmp_path)
    (tmp_path / "x.safetensors").write_bytes((copy / "model.safetensors").read_bytes())
    changed(copy, "config.json", transformers_weights=name)
    with pytest.raises(ModelError, match=r"names a file of weights that is not there; where: .*transformers_weights"):
        load(copy)


@pytest.mark.parametrize("index", ['{"weight_map": {"a": "absent"}}', '{"weight_map": {"a": "../x"}}', "{", "[]"])
def test_an_index_of_shards_that_are_not_there_is_one_line(index: str, clip: Path, tmp_path: Path) -> None:
    copy = copied(clip, tmp_path)
    (copy / "model.safetensors").rename(tmp_path / "x")
    (copy / "model.safetensors.index.json").write_text(index)
    with pytest.raises(ModelError, match=r"a shard of the weights is missing|cannot load the model: .*index.json"):
        load(copy)


def test_tensors_are_told_apart_by_name_format_shape_and_bytes(tmp_path: Path) -> None:
    digests = []
    for number, tensors in enumerate(
        [
            {"a": torch.zeros(4), "b": torch.ones(4)},
            {"a": torch.ones(4), "b": torch.zeros(4)},
            {"a": torch.zeros(4), "c": torch.ones(4)},
            {"a": torch.zeros(2, 2), "b": torch.ones(4)},
            {"a": torch.zeros(4, dtype=torch.int32), "b": torch.ones(4)},
        ]
    ):
        save_file(tensors, tmp_path / str(number))
        digests.append(tensors_digest([tmp_path / str(number)]))
    assert len(set(digests)) == 5
    save_file({"a": torch.zeros(4)}, tmp_path / "first")
    save_file({"b": torch.ones(4), "x.position_ids": torch.arange(3)}, tmp_path / "second", metadata={"by": "me"})
    assert tensors_digest([tmp_path / "second", tmp_path / "first"]) == digests[0]
    (tmp_path / "first").write_bytes(b"torn")
    with pytest.raises(ModelError, match="the weights are damaged"):
        tensors_digest([tmp_path / "first"])
