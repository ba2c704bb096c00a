"""Reading CLIP and SigLIP checkpoints: whatever can be wrong with one is one line, before any work."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import transformers
from transformers.activations import ACT2FN

from mrbench.errors import InputError, ModelError
from mrbench.models.pretrained import load_error, loading, quiet

FAMILIES = ("clip", "siglip", "siglip2")
_TOKENIZER_FILES = "tokenizer.json, or vocab.json and merges.txt, or spiece.model"


def weights_of(source: str, local: bool) -> list[Path]:
    """Return the files of weights in a folder; none of a hub id.

    Raises:
        ModelError: There are none but pickles, or those of an adapter.
        InputError: Neither a folder nor a hub id.
    """
    if not local:
        if not re.fullmatch(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", source, re.ASCII):
            accepted = "a folder or a hub id such as ORG/NAME"
            raise InputError("no such folder", where="model", got=source, accepted=accepted)
        return []
    folder = Path(source)
    if (folder / "adapter_config.json").exists():
        raise ModelError("the folder holds an adapter, not a whole model", where=folder, hint="merge it into its base")
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        pickles = sorted(path.name for suffix in ("*.bin", "*.pt", "*.pth", "*.ckpt") for path in folder.glob(suffix))
        raise ModelError(
            "the folder holds no safetensors weights, and pickled ones can run code",
            where=folder,
            got=", ".join(pickles) or None,
            accepted="*.safetensors",
            hint="convert them with save_pretrained(FOLDER, safe_serialization=True) where you trust them",
        )
    return weights


def config_of(source: str, local: bool) -> Any:
    """Return the configuration of a checkpoint.

    Raises:
        ModelError: Not of CLIP or SigLIP, a setting that nothing can be built with, or a hub that does not answer.
    """
    try:
        with quiet():
            _check_towers(source, transformers.CLIPConfig.get_config_dict(source, local_files_only=local)[0])
            config = transformers.AutoConfig.from_pretrained(source, local_files_only=local, trust_remote_code=False)
    except ModelError:
        raise
    except Exception as error:  # transformers raises whatever it likes
        raise (load_error(source, error, "config.json") if local else _hub_error(source)) from error
    if config.model_type not in FAMILIES:
        raise ModelError(
            "not a model with a text and an image tower",
            where=source,
            got=config.model_type,
            accepted=", ".join(FAMILIES),
        )
    end = config.text_config.eos_token_id
    if config.model_type == "clip" and not isinstance(end, int):
        raise _bad_setting(source, "text_config.eos_token_id", end, "the number of a token")
    return config


def _check_towers(source: str, values: dict[str, Any]) -> None:
    """Refuse settings of a tower that transformers stumbles over without naming them."""
    for part in ("text_config", "vision_config"):
        tower = {**(values.get(part) or {}), **(values.get(f"{part}_dict") or {})}  # in old files the second counts
        for name in ("num_attention_heads", "patch_size"):
            if tower.get(name) == 0:
                raise _bad_setting(source, f"{part}.{name}", 0, "1 or more")
        if tower.get("hidden_act", "gelu") not in ACT2FN:
            raise _bad_setting(source, f"{part}.hidden_act", tower["hidden_act"], ", ".join(ACT2FN))


def _bad_setting(source: str, name: str, value: object, accepted: str) -> ModelError:
    return ModelError(
        "cannot load the model: a wrong setting",
        where=f"{source}, config.json, {name}",
        got="null" if value is None else value,
        accepted=accepted,
    )


def _hub_error(source: str) -> ModelError:
    return ModelError(
        "neither a local folder nor a model that the hub gave us",
        where="model",
        got=source,
        hint="check the path, or the network and the access to the hub",
    )


def processors_of(source: str, local: bool) -> tuple[Any, Any]:
    """Return the tokenizer and the image processor of a checkpoint.

    Raises:
        ModelError: One of them is missing or malformed.
    """
    backend: dict[str, Any] = (
        {"backend": "pil"} if int(transformers.__version__.split(".")[0]) >= 5 else {"use_fast": False}
    )
    options = {"local_files_only": local, "trust_remote_code": False}
    loader: Any = transformers.AutoImageProcessor
    names = ("tokenizer.json", "vocab.json", "merges.txt", "spiece.model")
    there = ", ".join(name for name in names if (Path(source) / name).is_file()) or "none of them"
    with loading(source, "the tokenizer", got=there if local else None, accepted=_TOKENIZER_FILES):
        tokenizer = transformers.AutoTokenizer.from_pretrained(source, **options)
    with loading(source, "the image processor"):
        return tokenizer, loader.from_pretrained(source, **options, **backend)


def check_tokens(source: str, tokenizer: Any, tokens: list[list[int]], rows: int) -> None:
    """Refuse a tokenizer that knows no word, or one that knows more than the text tower has rows for.

    Special tokens that no text has, such as the mask that transformers adds for SigLIP 2, need no row.
    """
    used, special = set().union(*tokens), set(tokenizer.all_special_ids)
    if used <= special:
        raise ModelError(
            "the tokenizer knows no word",
            where=source,
            got=f"{len(tokenizer.get_vocab())} tokens",
            accepted=f"a vocabulary in {_TOKENIZER_FILES}",
        )
    highest, word = max((token, word) for word, token in tokenizer.get_vocab().items() if token not in special - used)
    if highest >= rows:
        raise ModelError(
            "the tokenizer has tokens beyond the embedding of the text tower",
            where=source,
            got=f"{highest} for {word}",
            accepted=f"0 to {rows - 1}",
        )
