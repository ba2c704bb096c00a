"""Reading checkpoints of dual encoders: whatever can be wrong with one is one line, before any work."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import transformers
from transformers.activations import ACT2FN

from mrbench.errors import ModelError
from mrbench.models.checkpoint_folders import conversion_of
from mrbench.models.common import tensors_digest
from mrbench.models.families import FAMILIES, UNFIT, vision_settings
from mrbench.models.pretrained import load_error, loading, quiet

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
_TOKENIZER_FILES = "tokenizer.json, or vocab.json and merges.txt, or spiece.model"
_SETTINGS = ("config.json", "preprocessor_config.json", "processor_config.json", "tokenizer_config.json")
_VOCABULARIES = (
    "tokenizer.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
)
_IDLE = {"_name_or_path", "name_or_path", "_commit_hash", "transformers_version", "architectures", "auto_map"}
_IDLE |= {"dtype", "torch_dtype", "tokenizer_file", "special_tokens_map_file", "processor_class"}
_ADDED = ("special_tokens_map.json", "added_tokens.json")


def weights_of(folder: Path) -> list[Path]:
    """Return the files of weights that transformers loads from a folder: what lies beside them does not count.

    Raises:
        ModelError: There are none but pickles, or those of an adapter, or a shard is missing, or the file that the
            configuration names.
    """
    if (folder / "adapter_config.json").exists():
        raise ModelError("the folder holds an adapter, not a whole model", where=folder, hint="merge it into its base")
    named = _named_weights(folder)
    if named is not None and named.suffix == ".json":
        return _shards(named)
    if named is not None:
        return [named]
    suffixes = ("*.safetensors", "*.bin", "*.pt", "*.pth", "*.ckpt")
    others = sorted(path.name for suffix in suffixes for path in folder.glob(suffix))
    raise ModelError(
        "the folder holds no safetensors weights by the name that transformers reads, and pickled ones can run code",
        where=folder,
        got=", ".join(others) or None,
        accepted=f"{WEIGHTS}, or {INDEX} and its shards",
        hint=conversion_of(folder) if others else None,
    )


def _named_weights(folder: Path) -> Path | None:
    """Return the file of weights, or the index of its shards, in the order in which transformers looks for them.

    Raises:
        ModelError: The configuration names a file that is not there.
    """
    try:
        said = json.loads((folder / "config.json").read_text(encoding="utf-8"))["transformers_weights"]
    except (OSError, ValueError, KeyError, TypeError):
        said = None
    if not isinstance(said, str):
        return next((folder / name for name in (WEIGHTS, INDEX) if (folder / name).is_file()), None)
    if ".." in Path(said).parts or Path(said).is_absolute() or not (folder / said).is_file():
        raise ModelError(
            "the configuration names a file of weights that is not there",
            where=f"{folder}, config.json, transformers_weights",
            got=said,
            accepted="a file in the folder, or no such key",
        )
    return folder / said


def _shards(index: Path) -> list[Path]:
    with loading(str(index.parent), index.name):
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    for name in names:
        if name != Path(name).name or not (index.parent / name).is_file():
            raise ModelError("a shard of the weights is missing", where=index, got=name, accepted="a file beside it")
    return [index.parent / name for name in names]


def identity(folder: Path, weights: list[Path], tokenizer: Any = None) -> str:
    """Return a digest of a checkpoint that changes when, and only when, something that is read of it changes.

    It covers the tensors, the configuration, the image processor and the tokenizer. Sharding, metadata of files, the
    layout of JSON and files that are not loaded do not count.

    Args:
        folder: The checkpoint.
        weights: From :func:`weights_of`.
        tokenizer: As for :func:`settings_digest`.
    """
    parts = f"{tensors_digest(weights)} {settings_digest(folder, tokenizer=tokenizer)}"
    return f"sha256:{hashlib.sha256(parts.encode()).hexdigest()[:16]}"


def settings_digest(folder: Path, *more: str, tokenizer: Any = None) -> str:
    """Return 64 hexadecimal digits over what is read of a checkpoint beside its weights.

    Args:
        folder: The checkpoint.
        more: Names of files that are read of it beside those of a dual encoder.
        tokenizer: What was loaded of the folder, whose kind tells which vocabularies it reads; None takes all.
    """
    digest = hashlib.sha256()
    for name in (*_SETTINGS, *_vocabularies(folder, tokenizer), *more):
        if (folder / name).is_file() and (said := _as_read(folder / name)) != b"{}":
            digest.update(f"{name} {hashlib.sha256(said).hexdigest()}\n".encode())
    return digest.hexdigest()


def _vocabularies(folder: Path, tokenizer: Any) -> list[str]:
    """Return the files of vocabularies that a tokenizer reads of a folder, in a fixed order.

    Those that its class names, unless none of them is there. A fast tokenizer that has ``tokenizer.json`` reads no
    model of SentencePiece beside it.
    """
    named = set(getattr(tokenizer, "vocab_files_names", {}).values())
    if getattr(tokenizer, "is_fast", False):
        named.add("tokenizer.json")
        if (folder / "tokenizer.json").is_file():
            named = {name for name in named if not name.endswith(".model")}
    if not any((folder / name).is_file() for name in named):
        return list(_VOCABULARIES)
    return [name for name in _VOCABULARIES if name in named or name in _ADDED]


def _as_read(path: Path) -> bytes:
    """Return a file as its reader takes it: of JSON neither the layout nor, of settings, what changes no vector."""
    content = path.read_bytes()
    if path.suffix != ".json":
        return content
    try:
        said = json.loads(content)
    except (ValueError, RecursionError):
        return content  # refused where it is loaded
    if path.name.endswith("config.json") and isinstance(said, dict):
        parts = {name: _without_idle(part) for name, part in said.items()}
        said = _without_idle(parts)
    return json.dumps(said, sort_keys=True).encode()


def _without_idle(said: Any) -> Any:
    return {name: part for name, part in said.items() if name not in _IDLE} if isinstance(said, dict) else said


def config_of(folder: Path) -> Any:
    """Return the configuration of a checkpoint.

    Raises:
        ModelError: Not of one of :data:`FAMILIES`, a setting that nothing can be built with, or a tower that returns no
            embedding.
    """
    source = str(folder)
    try:
        with quiet():
            values = transformers.CLIPConfig.get_config_dict(source, local_files_only=True)[0]
            _check_family(source, values)
            _check_towers(source, values)
            config = transformers.AutoConfig.from_pretrained(source, local_files_only=True, trust_remote_code=False)
    except ModelError:
        raise
    except Exception as error:  # transformers raises whatever it likes
        raise load_error(source, error, "config.json") from error
    end = getattr(config.text_config, "eos_token_id", None)
    if FAMILIES[config.model_type].reads_end and not isinstance(end, int):
        raise _bad_setting(source, "text_config.eos_token_id", end, "the number of a token")
    if getattr(vision_settings(config), "vision_use_head", True) is False:  # SigLIP without its attention pooling
        raise ModelError(
            "the image tower returns no embedding: it has no pooling head",
            where=f"{source}, config.json, vision_config.vision_use_head",
            got=False,
            accepted=True,
        )
    return config


def _check_family(source: str, values: dict[str, Any]) -> None:
    """Refuse a checkpoint of another kind, a single tower among them, and say which kinds are known."""
    kind = str(values.get("model_type"))
    if kind in FAMILIES:
        wanted, named = FAMILIES[kind].architectures, values.get("architectures") or ()
        if wanted and named and not set(wanted) & set(named):
            what, where = "the checkpoint was not trained to embed", f"{source}, config.json, architectures"
            raise ModelError(what, where=where, got=", ".join(named), accepted=", ".join(wanted))
        return
    part = re.fullmatch(r"(.+)_(text|vision)_model", kind)
    if part and part[1] in FAMILIES:
        have, lack = ("text", "image") if part[2] == "text" else ("image", "text")
        what = f"the checkpoint holds the {have} tower alone, and no {lack} tower"
    else:
        why = f": {UNFIT[kind]}" if kind in UNFIT else ""
        what = f"no adapter for this type of model{why}"
    raise ModelError(what, where=f"{source}, config.json, model_type", got=kind, accepted=", ".join(FAMILIES))


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


def processors_of(folder: Path) -> tuple[Any, Any]:
    """Return the tokenizer and the image processor of a checkpoint.

    Raises:
        ModelError: One of them is missing or malformed.
    """
    backend: dict[str, Any] = (
        {"backend": "pil"} if int(transformers.__version__.split(".")[0]) >= 5 else {"use_fast": False}
    )
    source, options = str(folder), {"local_files_only": True, "trust_remote_code": False}
    loader: Any = transformers.AutoImageProcessor
    there = ", ".join(name for name in _VOCABULARIES if (folder / name).is_file()) or "none of them"
    with loading(source, "the tokenizer", got=there, accepted=_TOKENIZER_FILES):
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
