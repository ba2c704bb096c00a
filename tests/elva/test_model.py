"""Small checkpoints of three families, written to disk in the format of the hub."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import (
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
)
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from elva import checkpoints
from elva import model as model_module
from elva.config import Lora, parse_recipe
from elva.model import content
from elva.prompts import RET, Input
from elva.rollouts import sample, seeded, teacher_forced
from elva.tokenizer import build_tokenizer
from elva.zoo import ElvaModel
from mrbench.errors import InputError, ModelError
from mrbench.models.protocol import Item

NOISE = np.random.default_rng(0).integers(0, 256, (3, 56, 84, 3), dtype=np.uint8)
PICTURES = [Image.fromarray(array) for array in NOISE]
WORDS = ["a picture of two large dogs on the beach", "summarise word user assistant"]
TEXT = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
ROPE = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0}
VISION = {"depth": 2, "num_heads": 2, "patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2}
FAMILIES = {
    "qwen2-vl": (Qwen2VLConfig, Qwen2VLForConditionalGeneration, {"embed_dim": 16, "hidden_size": 32, "mlp_ratio": 2}),
    "qwen2.5-vl": (
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        {"hidden_size": 16, "out_hidden_size": 32, "intermediate_size": 24, "fullatt_block_indexes": [1]},
    ),
    "qwen3-vl": (
        Qwen3VLConfig,
        Qwen3VLForConditionalGeneration,
        {
            "hidden_size": 16,
            "out_hidden_size": 32,
            "intermediate_size": 24,
            "deepstack_visual_indexes": [0],
            "num_position_embeddings": 64,
        },
    ),
}


def write(folder, family):
    """A checkpoint as its publisher would have it: without ``[RET]``, a row or two of the vocabulary unused."""
    config, network, vision = FAMILIES[family]
    tokenizer = build_tokenizer(WORDS)
    special = {token: tokenizer.convert_tokens_to_ids(token) for token in tokenizer.get_vocab()}
    vocabulary = json.loads(tokenizer.backend_tokenizer.to_str())
    vocabulary["added_tokens"] = [t for t in vocabulary["added_tokens"] if t["content"] != RET]
    ret = vocabulary["model"]["vocab"].pop(RET)
    vocabulary["model"]["vocab"]["<|filler|>"] = ret
    tokens = {"bos_token_id": None, "eos_token_id": special["<|im_end|>"], "pad_token_id": special["<|endoftext|>"]}
    text = TEXT | tokens | {"num_key_value_heads": 1, "vocab_size": len(tokenizer) + 2, "rope_parameters": ROPE}
    if family == "qwen3-vl":
        text["head_dim"] = 16
    torch.manual_seed(0)
    model = network(
        config(
            text_config=text,
            vision_config=VISION | vision,
            image_token_id=special["<|image_pad|>"],
            video_token_id=special["<|video_pad|>"],
            vision_start_token_id=special["<|vision_start|>"],
            vision_end_token_id=special["<|vision_end|>"],
            tie_word_embeddings=family != "qwen2.5-vl",
        )
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "tokenizer.json").write_text(json.dumps(vocabulary))
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings = {k: v for k, v in settings.items() if k not in ("added_tokens_decoder", "extra_special_tokens")}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"eos_token": "<|im_end|>"}))
    Qwen2VLImageProcessorPil(patch_size=14, merge_size=2, temporal_patch_size=2).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=FAMILIES)
def base(request, tmp_path_factory):
    return write(tmp_path_factory.mktemp(request.param) / "base", request.param)


def recipe_of(base, **changes):
    prompt = {"summary": "summarise", "word": "word"}
    return parse_recipe(
        {"name": "t", "base": str(base), "max_summary": 5, "max_pixels": 6272, "prompt": prompt} | changes
    )


INPUTS = [
    Input("two dogs"),
    Input(image=PICTURES[0], key="0"),
    Input("a beach", PICTURES[1], "1"),
    Input("large dogs on the beach", PICTURES[2], "2"),
]


def test_a_batch_gives_what_one_by_one_gives(base):
    model = checkpoints.load_base(recipe_of(base), device="cpu")
    for how in ("prompt", "summary"):
        together = model.embed(INPUTS, how)
        assert together.norm(dim=-1).tolist() == pytest.approx([1] * 4)
        for row, item in enumerate(INPUTS):
            model.forget()
            assert torch.allclose(model.embed([item], how)[0], together[row], atol=1e-5)


def test_the_mean_over_sampled_summaries_depends_on_content_and_seed_alone(base):
    model = checkpoints.load_base(recipe_of(base), device="cpu")
    together = model.embed(INPUTS, "summary", samples=3)
    assert together.norm(dim=-1).tolist() == pytest.approx([1] * 4)
    for row, item in enumerate(INPUTS):
        assert torch.allclose(model.embed([item], "summary", samples=3)[0], together[row], atol=1e-5)
    generators = [seeded(0, *content(item)) for item in INPUTS]
    rolled = sample(
        model.backbone, model.head, model.prompts(INPUTS, "summary"), rollouts=3, max_tokens=5, end=model.end,
        forbidden=model.forbidden, generators=generators,
    )  # fmt: skip
    assert torch.allclose(torch.nn.functional.normalize(rolled.embeddings.mean(1), dim=-1), together, atol=1e-5)
    assert len({tuple(row.flatten().tolist()) for row in rolled.tokens}) > 1
    assert not torch.allclose(model.embed(INPUTS, "summary", samples=3, seed=1), together, atol=1e-3)


def test_the_embedding_is_what_transformers_computes(base):
    """Prompt tokens and picture through the model's own forward, without remembered pictures."""
    model = checkpoints.load_base(recipe_of(base), device="cpu")
    item = INPUTS[2]
    pixels = model.processor(images=[item.image], return_tensors="pt")
    number = int(pixels["image_grid_thw"].prod()) // 4
    ids = torch.tensor([[*model.prompter.prompt_ids(item, "word", number), model.end]])
    model.backbone.rope_deltas = None
    with torch.no_grad():
        hidden = model.backbone(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            mm_token_type_ids=(ids == model.tokenizer.convert_tokens_to_ids("<|image_pad|>")).int(),
            **pixels,
        ).last_hidden_state[0, -1]
    expected = torch.nn.functional.normalize(hidden, dim=-1)
    assert torch.allclose(model.embed([item], "prompt")[0], expected, atol=1e-5)


def test_a_picture_is_encoded_once(base, monkeypatch):
    model = checkpoints.load_base(recipe_of(base), device="cpu")
    runs = []
    encode = model.backbone.get_image_features
    monkeypatch.setattr(model.backbone, "get_image_features", lambda *a, **k: runs.append(1) or encode(*a, **k))
    model.embed(INPUTS, "prompt")
    model.embed(INPUTS, "summary")
    assert len(runs) == 1


def test_the_pictures_that_were_used_last_are_remembered(base, monkeypatch):
    model = checkpoints.load_base(recipe_of(base), device="cpu")
    first, second, third = (item for item in INPUTS if item.image is not None)
    expected = model.embed(INPUTS, "prompt")
    model.forget()
    model.embed([first], "prompt")
    monkeypatch.setattr(model_module, "FEATURE_BYTES", 2 * model._bytes)  # all three are of one size
    model.embed([second], "prompt")
    model.embed([first], "prompt")
    model.embed([third], "prompt")
    assert list(model._pictures) == [first.key, third.key]
    assert model._bytes == model_module.FEATURE_BYTES
    assert torch.allclose(model.embed(INPUTS, "prompt"), expected, atol=1e-5)


def test_in_training_a_frozen_picture_is_encoded_by_itself(base, monkeypatch):
    model = checkpoints.load_base(recipe_of(base), device="cpu")
    model.unfreeze("language")
    runs = []
    encode = model.backbone.get_image_features
    monkeypatch.setattr(
        model.backbone, "get_image_features", lambda p, grid, **k: runs.append(len(grid)) or encode(p, grid, **k)
    )
    pictures = [item for item in INPUTS if item.image is not None]
    model.embed(INPUTS, "prompt")
    model.embed(INPUTS, "prompt")
    assert runs == [1] * len({item.key for item in pictures})
    model.unfreeze("all")
    model.embed(pictures, "prompt")
    assert runs[-1] == len({item.key for item in pictures})


def test_ret_starts_as_the_end_of_a_turn_and_no_special_token_is_said(base):
    model = checkpoints.load_base(recipe_of(base), device="cpu")
    end = model.tokenizer.convert_tokens_to_ids("<|im_end|>")
    for table in (model.network.get_input_embeddings().weight, model.head.weight):
        assert torch.equal(table[model.end], table[end])
    assert end in model.forbidden
    assert model.end not in model.forbidden
    assert model.prompter.text_ids(f"dogs {RET} <|im_end|>")[1:] != [model.end, end]


def test_adapters_reach_the_language_model_alone_and_survive_the_disk(base, tmp_path):
    recipe = recipe_of(base, lora={"rank": 2, "alpha": 4})
    model = checkpoints.load_base(recipe, device="cpu")
    before = model.embed(INPUTS, "prompt")
    model.adapt(Lora(rank=2, alpha=4))
    weights = model.unfreeze("lora")
    assert weights
    assert all("language_model" in name and "visual" not in name for name in weights)
    assert torch.allclose(model.embed(INPUTS, "prompt"), before, atol=1e-6)
    torch.manual_seed(0)
    for weight in weights.values():
        torch.nn.init.normal_(weight, std=0.3)
    changed = model.embed(INPUTS, "prompt")
    assert not torch.allclose(changed, before, atol=1e-2)
    with model.reference():
        assert torch.allclose(model.embed(INPUTS, "prompt"), before, atol=1e-5)
    checkpoints.save(model, tmp_path / "stage1", recipe, stage=1, embedding="prompt", before=None)
    model.merge()
    model.adapt(Lora(rank=2, alpha=4))
    for weight in model.unfreeze("lora").values():
        torch.nn.init.normal_(weight, std=0.3)
    twice = model.embed(INPUTS, "prompt")
    checkpoints.save(model, tmp_path / "stage2", recipe, stage=2, embedding="prompt", before=tmp_path / "stage1")
    for name, expected in (("stage1", changed), ("stage2", twice)):
        loaded = ElvaModel(str(tmp_path / name), device="cpu", batch_size=3)
        found = loaded.embed_candidates([Item(item.text, item.image) for item in INPUTS])
        assert np.allclose(found, expected.numpy(), atol=1e-4)
    assert sum(path.stat().st_size for path in (tmp_path / "stage2").rglob("*.safetensors")) < 200_000


def test_gradients_with_checkpointing_are_those_without(base):
    found = []
    for switched in (False, True):
        recipe = recipe_of(base, gradient_checkpointing=switched)
        model = checkpoints.load_base(recipe, device="cpu")
        weights = model.unfreeze("language")
        log_probs, lengths, embeddings = model.forced(
            INPUTS, "summary", ["dogs", "a beach", "two", "large"], log_probs=True
        )
        assert lengths.tolist() == [2, 3, 2, 2]
        (log_probs[:, 0].sum() + embeddings[:, 0].sum()).backward()
        found.append(torch.cat([w.grad.flatten() for w in weights.values() if w.grad is not None]))
    assert torch.allclose(*found, atol=1e-5)
    assert float(found[0].norm()) > 0.1


def test_a_missing_or_unexpected_key_is_an_error(base, tmp_path):
    for change in ("missing", "unexpected"):
        folder = tmp_path / change
        shutil.copytree(base, folder)
        tensors = load_file(folder / "model.safetensors")
        name = next(name for name in tensors if "layers.1.mlp.up_proj" in name)
        tensors.update({"extra.weight": torch.zeros(1)}) if change == "unexpected" else tensors.pop(name)
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        with pytest.raises(ModelError, match="keys"):
            checkpoints.load_base(recipe_of(folder), device="cpu")


def test_pickled_weights_are_refused(base, tmp_path):
    folder = tmp_path / "pickled"
    shutil.copytree(base, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    torch.save({}, folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="safetensors"):
        checkpoints.load_base(recipe_of(folder), device="cpu")


@pytest.mark.parametrize("token", [RET, "<|image_pad|>"])
def test_a_template_with_tokens_of_its_own_is_refused(base, token):
    template = "{image}{text}{ask}" + token
    with pytest.raises(InputError, match="tokens of its own"):
        checkpoints.load_base(recipe_of(base, prompt={"template": template}), device="cpu")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model.safetensors", b"torn"),
        ("config.json", b'{"model_type": "qwen2_vl", "text_config": 3}'),
        ("config.json", b"{"),
        ("tokenizer.json", b"{}"),
        ("preprocessor_config.json", b"[]"),
    ],
)
def test_a_broken_file_of_a_base_is_one_line(base, tmp_path, name, content):
    folder = shutil.copytree(base, tmp_path / "broken")
    (folder / name).write_bytes(content)
    with pytest.raises(ModelError, match="cannot load the model"):
        checkpoints.load_base(recipe_of(folder), device="cpu")


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        ("preprocessor_config.json", {"image_mean": [0.5]}, "the image processor"),
        ("preprocessor_config.json", {"image_std": [0, 0, 0]}, "pixels that are not finite"),
        ("preprocessor_config.json", {"resample": 77}, "the image processor"),
        ("preprocessor_config.json", {"temporal_patch_size": 3}, "the network"),
        ("preprocessor_config.json", {"temporal_patch_size": None}, "the image processor"),
        ("config.json", {"image_token_id": 9999}, "the network"),
    ],
)
def test_a_damaged_setting_of_a_base_is_one_line_at_loading(base, tmp_path, capfd, file, change, said):
    folder = shutil.copytree(base, tmp_path / "broken")
    raw = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps(raw | change))
    with pytest.raises(ModelError, match=said):
        checkpoints.load_base(recipe_of(folder), device="cpu")
    assert capfd.readouterr() == ("", "")


def test_a_weight_of_another_shape_is_named(base, tmp_path):
    folder = shutil.copytree(base, tmp_path / "shape")
    tensors = load_file(folder / "model.safetensors")
    name = next(name for name in tensors if "layers.1.mlp.up_proj" in name)
    save_file(tensors | {name: tensors[name][:3].clone()}, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"wrongly shaped keys: .*up_proj"):
        checkpoints.load_base(recipe_of(folder), device="cpu")


class Canary:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_an_adapter_that_was_tampered_with_is_refused(base, tmp_path):
    recipe = recipe_of(base, lora={"rank": 2, "alpha": 4})
    model = checkpoints.load_base(recipe, device="cpu")
    model.adapt(recipe.lora)
    checkpoints.save(model, tmp_path / "whole", recipe, stage=1, embedding="prompt", before=None)
    checkpoints.load(tmp_path / "whole", device="cpu")

    def broken(change):
        folder = tmp_path / "broken"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(tmp_path / "whole", folder)
        change(folder)
        with pytest.raises(ModelError) as error:
            checkpoints.load(folder, device="cpu")
        return str(error.value)

    def names(*adapters):
        def change(folder):
            facts = json.loads((folder / "elva.json").read_text())
            (folder / "elva.json").write_text(json.dumps(facts | {"adapters": adapters}))

        return change

    def weights(change):
        def write_again(folder):
            path = folder / "adapter-0/adapter_model.safetensors"
            save_file(change(load_file(path)), path)

        return write_again

    def pickled(folder):
        path = folder / "adapter-0/adapter_model.safetensors"
        path.rename(path.with_name("other.safetensors"))
        torch.save({"weight": Canary(tmp_path / "canary")}, path.with_suffix(".bin"))

    for adapters in (("..",), (".",), ("adapter-0/../../x",), ("/adapter-0",), ("adapter-0\0",), (3,)):
        assert "malformed ELVA model" in broken(names(*adapters))
    assert "no safetensors weights" in broken(names("adapter-1"))
    assert "lack keys" in broken(weights(lambda tensors: dict(list(tensors.items())[1:])))
    assert "unexpected keys" in broken(weights(lambda tensors: tensors | {"extra": torch.zeros(1)}))
    assert "cannot load" in broken(weights(lambda tensors: {name: t[:1, :1].clone() for name, t in tensors.items()}))
    assert "cannot load" in broken(lambda folder: (folder / "adapter-0/adapter_config.json").write_text("{"))
    assert "no safetensors weights" in broken(pickled)
    assert not (tmp_path / "canary").exists()


def test_branches_of_every_family_compute_what_they_compute_alone(base):
    """Sampled and teacher-forced branches behind one prompt, against the model's own forward on each sequence."""
    model = checkpoints.load_base(recipe_of(base), device="cpu")
    generators = [seeded(3, row) for row in range(len(INPUTS))]
    with torch.no_grad():
        rolled = sample(
            model.backbone, model.head, model.prompts(INPUTS, "summary"), rollouts=3, max_tokens=5, end=model.end,
            forbidden=model.forbidden, generators=generators,
        )  # fmt: skip
        log_probs, embeddings = teacher_forced(
            model.backbone, model.head, model.prompts(INPUTS, "summary"), rolled.tokens, rolled.lengths,
            forbidden=model.forbidden,
        )  # fmt: skip
        assert torch.allclose(embeddings, rolled.embeddings, atol=1e-5)
        for row, item in enumerate(INPUTS):
            pixels = model.processor(images=[item.image], return_tensors="pt") if item.image else {}
            number = int(pixels["image_grid_thw"].prod()) // 4 if item.image else 0
            prompt = model.prompter.prompt_ids(item, "summary", number)
            for branch in range(3):
                tokens = rolled.tokens[row, branch, : rolled.lengths[row, branch]].tolist()
                ids = torch.tensor([[*prompt, *tokens]])
                kinds = (ids == model.tokenizer.convert_tokens_to_ids("<|image_pad|>")).int()
                model.backbone.rope_deltas = None
                more = {"mm_token_type_ids": kinds, **pixels} if item.image else {}
                out = model.backbone(input_ids=ids, attention_mask=torch.ones_like(ids), **more)
                hidden = out.last_hidden_state[0]
                scores = model.head(hidden[len(prompt) - 1 : -1]).index_fill(-1, model.forbidden, -torch.inf)
                expected = scores.log_softmax(-1)[range(len(tokens)), tokens]
                assert torch.allclose(log_probs[row, branch, : len(tokens)], expected, atol=1e-4)
                end = torch.nn.functional.normalize(hidden[-1], dim=-1)
                assert torch.allclose(embeddings[row, branch], end, atol=1e-5)
