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
        ModelError: Others can load it, and this one cannot; or it is of a class of sentence-transformers that nobody
            loads.
    """
    found = adapters_of(folder)
    if (folder / "modules.json").is_file() and library_class(folder) not in _OF_LIBRARY and own in ("st", "late"):
        raise ModelError(
            "no adapter for this class of sentence-transformers",
            where=folder / "config_sentence_transformers.json",
            got=library_class(folder),
            accepted=", ".join(_OF_LIBRARY),
        )
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
    if (folder / "modules.json").is_file() and library_class(folder) in _OF_LIBRARY:
        found.append(_OF_LIBRARY[library_class(folder)])
    return list(dict.fromkeys(found))


_OF_LIBRARY = {"SentenceTransformer": "st", "MultiVectorEncoder": "late", "ColBERT": "late"}
"""By the class that sentence-transformers or PyLate saved a folder with, the adapter for it."""
_OF_PYLATE = {"query_prefix", "document_prefix", "skiplist_words", "attend_to_expansion_tokens"}


def library_class(folder: Path) -> str:
    """Return the class that a folder with ``modules.json`` was saved with, as sentence-transformers tells it.

    The library converts a model of another class, and gives it new layers at random where some are missing.

    >>> library_class(Path("nowhere"))
    'SentenceTransformer'
    """
    try:
        said = json.loads((folder / "config_sentence_transformers.json").read_text(encoding="utf-8"))
        modules = (folder / "modules.json").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return "SentenceTransformer"
    said = said if isinstance(said, dict) else {}
    of_pylate = "pylate." in modules or bool(_OF_PYLATE & said.keys())
    return str(said.get("model_type") or ("ColBERT" if of_pylate else "SentenceTransformer"))
