"""Checkpoints of MLLMs: which template they need, and their parts with every key checked."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers

from mrbench.errors import InputError, ModelError
from mrbench.models.other_adapter import MULTIMODAL, QWEN_VL
from mrbench.models.peft_adapter import Parts, merged
from mrbench.models.pretrained import check_keys, loading
from mrbench.models.template import Template
from mrbench.models.template_files import load_template, template_names

_HEAD = re.compile(r"(^|\.)lm_head\.")
_OLD_NAMES = (
    (r"(?<=base_model\.model\.)model\.(?=(layers|embed_tokens|norm)\.)", "model.language_model."),
    (r"(?<=base_model\.model\.)(?=(visual|vision_tower|multi_modal_projector)\.)", "model."),
    (r"(?<=base_model\.model\.)language_model\.model\.", "model.language_model."),
)
"""Names of adapters that were trained with transformers before 4.52, and what the parts are called now."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The parts of a checkpoint.

    Attributes:
        network: The network without the head that scores tokens.
        tokenizer: The tokenizer.
        images: The image processor, with its Pillow backend.
        counter: For the LLaVA kind: the whole processor; None otherwise.
    """

    network: Any
    tokenizer: Any
    images: Any
    counter: Any


def split_template(spec: str) -> tuple[str, str | None]:
    """Return the source of a checkpoint and the template that follows it after an at sign, or None.

    Raises:
        InputError: What follows a folder is no template.

    >>> split_template("Qwen/Qwen3-VL-Embedding-2B@main@gme")
    ('Qwen/Qwen3-VL-Embedding-2B@main', 'gme')
    """
    source, _, named = spec.rpartition("@")
    if not source or Path(spec).is_dir():
        return spec, None
    if named in template_names() or named.endswith((".yaml", ".yml")):
        return source, named
    if Path(source.partition("?base=")[0]).is_dir() and "?base=" not in source:
        load_template(named)  # raises, and says what there is
    return spec, None


def raw_config(folder: Path) -> dict[str, Any]:
    """Return what ``config.json`` holds.

    Raises:
        ModelError: It is missing or malformed.
    """
    with loading(str(folder), "config.json"):
        found: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if not isinstance(found, dict):
        raise ModelError("malformed config.json", where=folder, got=type(found).__name__, accepted="a JSON object")
    return found


def choose_template(named: str | None, names: Iterable[str], folder: Path, config: dict[str, Any]) -> Template:
    """Return the template that the user names, or the one that the checkpoint is known to need.

    Args:
        named: The user's choice, or None.
        names: Hub ids of the checkpoint and of its adapter.
        folder: The checkpoint.
        config: What its ``config.json`` holds.

    Raises:
        InputError: None is named, and not exactly one is known to fit; or the one is made for other types of models.
    """
    kind, names = str(config.get("model_type")), list(names)
    if named is not None:
        template = load_template(named)
        if kind not in template.model_types:
            accepted = ", ".join(template.model_types)
            raise InputError("the template is made for other models", where=template.name, got=kind, accepted=accepted)
        return template
    fitting = [one for one in map(load_template, template_names()) if kind in one.model_types]
    known = [one for one in fitting if any(_agrees(rule, names, folder, config) for rule in one.identified_by)]
    if len(known) == 1:
        return known[0]
    accepted = ", ".join(one.name for one in known or fitting) or ", ".join(template_names())
    raise InputError(
        "the checkpoint does not tell how it embeds",
        where=folder,
        got=f"model_type {kind}",
        accepted=f"PATH@TEMPLATE with {accepted}, or a YAML file",
        hint="docs/reference/models.md says what a template is",
    )


def _agrees(rule: dict[str, str], names: list[str], folder: Path, config: dict[str, Any]) -> bool:
    name, architecture, token = (rule.get(part) for part in ("name", "architecture", "token"))
    if name is not None and not any(re.fullmatch(name, one) for one in names):
        return False
    if architecture is not None and architecture not in (config.get("architectures") or ()):
        return False
    return token is None or _in_vocabulary(token, folder)


def _in_vocabulary(token: str, folder: Path) -> bool:
    for name in ("tokenizer.json", "added_tokens.json"):
        try:
            said = json.loads((folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            continue
        added = [one.get("content") for one in said.get("added_tokens", ())] if name == "tokenizer.json" else said
        if token in added:
            return True
    return False


def load_parts(parts: Parts, config: dict[str, Any], dtype: torch.dtype | None) -> Loaded:
    """Load a checkpoint, with its adapter merged into it.

    The tokenizer and the image processor are the adapter's, where its folder has them.

    Args:
        parts: Where it lies.
        config: What its ``config.json`` holds.
        dtype: Number format of the weights; None takes that of the file.

    Raises:
        ModelError: A key is missing, unexpected or of another shape, or a file cannot be read. The head that scores
            tokens is exempt: it is not used.
    """
    source = str(parts.base.folder)
    kind = str(config.get("model_type"))
    if kind not in MULTIMODAL:
        raise ModelError(
            "no adapter for this type of model",
            where=f"{source}, config.json",
            got=kind,
            accepted=", ".join(MULTIMODAL),
        )
    network = _network(source, dtype)
    if parts.adapter is not None:
        network = merged(network, parts.adapter.folder, old_names=_OLD_NAMES)
    safe: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
    folders = [one.folder for one in (parts.adapter, parts.base) if one is not None]
    texts, images = (_first_with(folders, names) for names in (_TOKENIZERS, _PROCESSORS))
    auto: Any = transformers.AutoImageProcessor
    with loading(texts, "the tokenizer"):
        tokenizer = transformers.AutoTokenizer.from_pretrained(texts, **safe)
    with loading(images, "the image processor"):
        processor = auto.from_pretrained(images, backend="pil", **safe)
    counter = None
    if kind in QWEN_VL:
        _check_patches(source, processor, network)
    else:
        with loading(source, "the processor"):
            whole: Any = transformers.AutoProcessor
            counter = whole.from_pretrained(images, **safe)
            counter.image_processor, counter.tokenizer = processor, tokenizer
    return Loaded(network.model, tokenizer, processor, counter)


_TOKENIZERS = ("tokenizer.json", "vocab.json", "tokenizer.model")
_PROCESSORS = ("preprocessor_config.json", "processor_config.json")


def _first_with(folders: list[Path], names: Iterable[str]) -> str:
    return str(next((folder for folder in folders if any((folder / name).is_file() for name in names)), folders[-1]))


def _network(source: str, dtype: torch.dtype | None) -> Any:
    auto: Any = transformers.AutoModelForImageTextToText
    with loading(source):
        network, info = auto.from_pretrained(
            source,
            dtype="auto" if dtype is None else dtype,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,  # so that the keys are named below
            output_loading_info=True,
            attn_implementation="sdpa",
        )
    check_loaded(source, info)
    return network.eval()


def check_loaded(source: str, info: dict[str, Any]) -> None:
    """Raise :class:`ModelError` unless the file held the weights of the network, with or without its token head."""
    mismatched = [key if isinstance(key, str) else key[0] for key in info["mismatched_keys"]]
    missing, unexpected = (
        [key for key in info[name] if not _HEAD.search(key)] for name in ("missing_keys", "unexpected_keys")
    )
    check_keys(source, missing, unexpected, mismatched)


def _check_patches(source: str, processor: Any, network: Any) -> None:
    for name, theirs in (("patch_size", "patch_size"), ("merge_size", "spatial_merge_size")):
        cut, taken = getattr(processor, name, None), getattr(network.config.vision_config, theirs, None)
        if cut != taken:
            what = f"the image processor has another {name} than the network"
            raise ModelError(what, where=source, got=cut, accepted=taken)


def hub_ids(parts: Parts) -> list[str]:
    """Return the hub ids by which a checkpoint and its adapter are known."""
    return sorted({one.name for one in (parts.base, parts.adapter) if one is not None and one.commit})
