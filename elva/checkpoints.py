"""Models from nothing, from a base, and from and to folders. Weights are safetensors and nothing else."""

from __future__ import annotations

import json
import re
import shutil
import warnings
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import PeftModel, get_peft_model_state_dict
from PIL import Image
from safetensors import safe_open
from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoTokenizer, Qwen2VLConfig
from transformers import Qwen2VLForConditionalGeneration as Network
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from elva.config import Architecture, Embedding, Recipe, parse_recipe
from elva.model import Elva, no_future_warnings, seeded_globally
from elva.prompts import IMAGE, IMAGE_END, IMAGE_START, PAD, RET, Input
from elva.tokenizer import SPECIAL, build_tokenizer
from mrbench.errors import InputError, ModelError
from mrbench.files import read_versioned_json, write_json_atomic
from mrbench.folders import FolderKind, replaced_folder
from mrbench.models.checkpoint import weights_of
from mrbench.models.checkpoint_folders import find_checkpoint
from mrbench.models.pretrained import check_keys, load_error, loading, quiet, resolve_device, writing_weights

MARKER = "elva.json"
FOLDER = FolderKind(MARKER, holds=".*", option="--out")
FORMAT, FORMAT_VERSION = "mrbench-elva", 1
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def build(recipe: Recipe, texts: Iterable[str], *, device: str = "auto") -> Elva:
    """Return a small Qwen2-VL with random weights, a function of the recipe's seed.

    Args:
        recipe: With an ``architecture``.
        texts: Everything that it has to know the words of.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    """
    shape = recipe.architecture
    if shape is None:
        raise InputError(
            "the recipe has no architecture to build",
            got=recipe.name,
            hint="name architecture: in the recipe, or a base: to start from",
        )
    prompt = recipe.prompt
    tokenizer = build_tokenizer([*texts, prompt.template, prompt.summary, prompt.word])
    config = _qwen2_vl(shape, {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL})
    config.text_config.vocab_size = len(tokenizer)
    with seeded_globally(recipe.seed):
        network = Network(config)
    pixels = shape.image_size**2
    processor = Qwen2VLImageProcessorPil(
        patch_size=shape.patch,
        merge_size=shape.merge,
        temporal_patch_size=1,
        size={"shortest_edge": pixels, "longest_edge": pixels},
    )
    return _elva(network, tokenizer, processor, recipe, device)


def _qwen2_vl(shape: Architecture, ids: dict[str, int]) -> Any:
    head = shape.hidden // shape.heads
    time = head // 8  # of the rotary frequencies, a quarter tells time, the rest height and width
    height = (head // 2 - time) // 2
    rope = {
        "rope_type": "default",
        "rope_theta": 10000.0,
        "mrope_section": [time, height, head // 2 - time - height],
    }
    return Qwen2VLConfig(
        text_config={
            "hidden_size": shape.hidden,
            "intermediate_size": shape.intermediate,
            "num_hidden_layers": shape.layers,
            "num_attention_heads": shape.heads,
            "num_key_value_heads": shape.heads,
            "max_position_embeddings": 4096,
            "rope_parameters": rope,
            "tie_word_embeddings": True,
            "bos_token_id": None,
            "eos_token_id": ids[RET],
            "pad_token_id": ids[PAD],
        },
        vision_config={
            "depth": shape.vision_layers,
            "embed_dim": shape.hidden,
            "hidden_size": shape.hidden,
            "num_heads": shape.heads,
            "mlp_ratio": 2,
            "patch_size": shape.patch,
            "spatial_merge_size": shape.merge,
            "temporal_patch_size": 1,
        },
        image_token_id=ids[IMAGE],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids[IMAGE_START],
        vision_end_token_id=ids[IMAGE_END],
        tie_word_embeddings=True,
    )


def load_base(recipe: Recipe, *, device: str = "auto") -> Elva:
    """Return the recipe's base model with ``[RET]`` in its vocabulary.

    ``[RET]`` starts as a copy of the token that ends a turn, in and out: a model that was taught to stop there puts
    ``[RET]`` where its summary ends.

    Raises:
        ModelError: It cannot be loaded, lacks weights, has some too many, or is not of the Qwen2-VL kind.
    """
    if recipe.base is None:
        raise InputError(
            "the recipe has no base to load",
            got=recipe.name,
            hint="name base: in the recipe, or take a recipe with an architecture: --recipe tiny",
        )
    network, tokenizer, processor = _read(recipe.base, DTYPES[recipe.dtype])
    if RET not in tokenizer.get_vocab():
        end = tokenizer.eos_token_id
        if end is None:
            raise ModelError(
                "the tokenizer has no token that ends a turn",
                where=recipe.base,
                hint="name eos_token in tokenizer_config.json",
            )
        tokenizer.add_special_tokens({"additional_special_tokens": [RET]}, replace_extra_special_tokens=False)
        if len(tokenizer) > network.get_input_embeddings().weight.shape[0]:
            network.resize_token_embeddings(len(tokenizer), mean_resizing=False)
        with torch.no_grad():
            for table in (network.get_input_embeddings().weight, network.get_output_embeddings().weight):
                table[tokenizer.convert_tokens_to_ids(RET)] = table[end]
    with loading(recipe.base, "the image processor", got=processor.size):
        processor.size = {**dict(processor.size), "longest_edge": recipe.max_pixels}
    return _tried(_elva(network, tokenizer, processor, recipe, device), recipe.base)


def _read(source: str, dtype: torch.dtype) -> tuple[Any, Any, Any]:
    source = str(find_checkpoint(source).folder)
    weights_of(Path(source))  # raises where there are none but pickles
    images: Any = AutoImageProcessor
    safe: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
    try:
        with quiet():
            loaded: Any = AutoModelForImageTextToText.from_pretrained(
                source,
                dtype=dtype,
                use_safetensors=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # so that the keys are named below
                attn_implementation="sdpa",
                **safe,
            )
            network, info = loaded
            tokenizer = AutoTokenizer.from_pretrained(source, **safe)
            processor = images.from_pretrained(source, backend="pil", **safe)
    except Exception as error:  # transformers and safetensors raise whatever they like
        raise load_error(source, error) from error
    check_keys(source, info["missing_keys"], info["unexpected_keys"], [k[0] for k in info["mismatched_keys"]])
    if not hasattr(getattr(network, "model", None), "get_rope_index"):
        raise ModelError(
            "not a model of the Qwen2-VL kind",
            where=source,
            got=type(network).__name__,
            accepted="Qwen2-VL, Qwen2.5-VL or Qwen3-VL",
            hint="name another base: in the recipe",
        )
    for name, theirs in (("patch_size", "patch_size"), ("merge_size", "spatial_merge_size")):
        cut, taken = getattr(processor, name, None), getattr(network.config.vision_config, theirs, None)
        if cut != taken:
            raise ModelError(
                f"the processor has another {name} than the network",
                where=source,
                got=cut,
                accepted=taken,
                hint="copy preprocessor_config.json from where the weights are from",
            )
    return network, tokenizer, processor


def _elva(network: Any, tokenizer: Any, processor: Any, recipe: Recipe, device: str) -> Elva:
    if recipe.gradient_checkpointing:
        # transformers renames it; the new name is not in all versions that we take
        name = "activation_checkpointing_enable"
        enable = getattr(network, name, None) or network.gradient_checkpointing_enable
        enable({"use_reentrant": False})
    network.to(resolve_device(device))
    return Elva(network.eval(), tokenizer, processor, recipe.prompt, max_summary=recipe.max_summary)


def _tried(model: Elva, source: str) -> Elva:
    """Return the model, unless it fails at a text and a picture: a damaged one is refused before any work."""
    picture = Image.fromarray(np.random.default_rng(0).integers(256, size=(64, 64, 3), dtype=np.uint8))
    with torch.no_grad():
        with loading(source, "the image processor", got=model.processor.to_dict()):
            pixels = model.processor(images=[picture], return_tensors="pt")["pixel_values"]
        with loading(source, "the network"):
            vectors = model.embed([Input("a dog"), Input(image=picture)], "prompt")
    for what, values in (("the image processor returns pixels", pixels), ("the network returns vectors", vectors)):
        if not values.isfinite().all():
            raise ModelError(f"{what} that are not finite", where=source, hint="copy or train the checkpoint again")
    return model


def save(
    model: Elva,
    folder: Path,
    recipe: Recipe,
    *,
    stage: int,
    embedding: Embedding,
    before: Path | None,
    named: dict[str, dict[str, float]] | None = None,
) -> None:
    """Write a model folder, or nothing at all.

    A model with a base is written as its adapters alone, those of the stages before among them; any other as a whole
    checkpoint in the format of transformers.

    Args:
        model: With its adapters on, if it has a base; without, if not.
        folder: Where to; must not exist, or be empty.
        recipe: How it came to be.
        stage: The last stage that it went through.
        embedding: How it is to embed.
        before: Folder of the stage before whose adapters are already in the weights.
        named: How often its summaries name each grain, for the record.
    """
    with replaced_folder(folder, FOLDER, overwrite=False) as target:
        adapters: list[str] = []
        if recipe.base is None:
            with writing_weights(folder):
                model.network.save_pretrained(target)
            model.tokenizer.save_pretrained(target)
            model.processor.save_pretrained(target)
        else:
            for path in [] if before is None else _adapters(before):
                adapters.append(f"adapter-{len(adapters)}")
                shutil.copytree(path, target / adapters[-1])
            adapters.append(f"adapter-{len(adapters)}")
            with writing_weights(folder):
                model.adapted.save_pretrained(target / adapters[-1])
        facts: dict[str, Any] = {"stage": stage, "embedding": embedding, "adapters": adapters, "named": named or {}}
        facts["recipe"] = asdict(recipe)
        write_json_atomic(target / MARKER, {"format": FORMAT, "format_version": FORMAT_VERSION, **facts})


def _adapters(folder: Path) -> list[Path]:
    return [folder / name for name in read_facts(folder)["adapters"]]


def read_facts(folder: Path) -> dict[str, Any]:
    """Return what a model folder says of itself: ``stage``, ``embedding``, ``adapters``, ``recipe``.

    Raises:
        ModelError: Not a folder that :func:`save` wrote.
    """
    facts = read_versioned_json(
        folder / MARKER, what="ELVA model", name=FORMAT, newest=FORMAT_VERSION, error=ModelError
    )
    names = facts.get("adapters")
    if (
        facts.get("embedding") not in ("prompt", "summary")
        or not isinstance(facts.get("recipe"), dict)
        or not isinstance(names, list)
        or any(not isinstance(name, str) or not re.fullmatch(r"adapter-\d+", name) for name in names)
    ):
        raise ModelError(
            "malformed ELVA model",
            where=folder / MARKER,
            got=json.dumps(facts)[:100],
            hint="copy the folder again, or write it with mrbench train elva",
        )
    return facts


def load(folder: Path, *, device: str = "auto") -> tuple[Elva, Recipe, Embedding]:
    """Return the model of a folder, its recipe, and how it embeds. Adapters are merged into the weights.

    Raises:
        ModelError: Malformed, or weights are lacking or too many.
    """
    facts = read_facts(folder)
    recipe = parse_recipe(facts["recipe"], where=str(folder / MARKER))
    if recipe.base is None:
        network, tokenizer, processor = _read(str(folder), torch.float32)
        return _tried(_elva(network, tokenizer, processor, recipe, device), str(folder)), recipe, facts["embedding"]
    model = load_base(recipe, device=device)
    for name in facts["adapters"]:
        _put_on(model, folder / name)
    return model, recipe, facts["embedding"]


def _put_on(model: Elva, path: Path) -> None:
    """Merge an adapter into the weights; of its folder only safetensors are read."""
    weights = path / "adapter_model.safetensors"
    if not weights.is_file():
        raise ModelError(
            "the adapter has no safetensors weights",
            where=path,
            accepted=weights.name,
            hint="copy the folder again, or write it with mrbench train elva",
        )
    try:
        with no_future_warnings(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Found missing adapter keys")  # they are named below
            adapted = PeftModel.from_pretrained(model.network, str(path))
        with safe_open(weights, "pt") as file:
            found = set(file.keys())
    except Exception as error:  # peft and safetensors raise whatever they like
        raise load_error(str(path), error) from error
    expected = set(get_peft_model_state_dict(adapted))
    check_keys(str(path), expected - found, found - expected)
    model.network = adapted.merge_and_unload()
