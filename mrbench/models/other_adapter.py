"""Which adapter a folder is for, by what lies in it: so that an error of another adapter names the right spec."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from mrbench.errors import ModelError
from mrbench.models.families import FAMILIES

QWEN_VL = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl")
"""Types that take a picture as a grid of patches. Their whole processor needs torchvision, for videos alone."""
MULTIMODAL = (*QWEN_VL, "llava_next")
"""Types of language models with pictures that ``mllm:`` loads without code of their own."""
MULTI_VECTOR = ("colpali", "colqwen2")
"""Types of models that ``late:`` takes."""


def check_adapter(own: str, folder: Path) -> None:
    """Refuse a folder that other adapters are for, and name the spec that loads it.

    Args:
        own: The prefix of the adapter that was asked for, such as ``hf``.
        folder: The folder.

    Raises:
        ModelError: Others can load it, and this one cannot.
    """
    found = adapters_of(folder)
    if found and own not in found:
        raise ModelError(
            "the folder is for another adapter",
            where=folder,
            got=f"{own}:",
            accepted=", ".join(f"{prefix}:" for prefix in found),
            hint=f"--model {shlex.quote(f'{found[0]}:{folder}')}",
        )


def adapters_of(folder: Path) -> list[str]:
    """Return the prefixes of the adapters that a folder is for, as far as its files tell.

    >>> adapters_of(Path("nowhere"))
    []
    """
    found = []
    if any((folder / name).is_file() for name in ("open_clip_config.json", "open_clip_model.safetensors")):
        found.append("open_clip")
    try:
        said = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        kind = said.get("model_type")
    except (OSError, ValueError, AttributeError):
        said, kind = {}, None
    if "pretrained_cfg" in said and "architecture" in said:
        found.append("timm")
    kinds = {"mllm": MULTIMODAL, "late": MULTI_VECTOR, "hf": FAMILIES}
    found += [prefix for prefix, known in kinds.items() if kind in known]
    if (folder / "modules.json").is_file():
        found += ["st", "late"] if "late" not in found else ["st"]
    return found
