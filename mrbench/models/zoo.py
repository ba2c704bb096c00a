"""The models that can be loaded by name. Importing this module imports no model and no torch."""

from __future__ import annotations

import difflib
import inspect
import os
import re
from collections.abc import Callable
from pathlib import Path
from shlex import quote
from typing import Any

from mrbench.errors import InputError, ModelError, MRBenchError, out_of_memory, redacted_spec
from mrbench.foreign import ForeignExitError, foreign_code
from mrbench.models.protocol import EmbeddingModel, note
from mrbench.registry import Entry, Registry

_ALL = (("modalities", "text, image, image+text"),)
_IMAGE = (("modalities", "image"),)
_TEXT = (("modalities", "text"),)

ZOO = Registry(
    "model",
    [
        Entry("random", "random unit vectors: chance", "mrbench.models.controls:RandomModel", facts=_ALL),
        Entry("constant", "one vector for everything: a control", "mrbench.models.controls:ConstantModel", facts=_ALL),
        Entry("colour-histogram", "colours by quarter", "mrbench.models.histogram:ColourHistogram", facts=_IMAGE),
        Entry("minilm", "all-MiniLM-L6-v2, text encoder", "mrbench.models.minilm:MiniLM", "models", _TEXT),
        Entry(
            "efficientnet-lite0",
            "EfficientNet-Lite0 features, trained on ImageNet",
            "mrbench.models.efficientnet:EfficientNetLite0",
            "models",
            _IMAGE,
        ),
        Entry(
            "conse",
            "ImageNet class names of EfficientNet in MiniLM's space",
            "mrbench.models.conse:ConSE",
            "models",
            _ALL,
        ),
        Entry(
            "hf:PATH",
            "CLIP, SigLIP and their kin in transformers' format: a folder, or a hub id ORG/NAME[@REVISION]",
            "mrbench.models.dual_encoder:DualEncoder",
            "models",
            _ALL,
        ),
        Entry(
            "st:ID_OR_PATH",
            "models of sentence-transformers, with their prompts",
            "mrbench.models.sentence_transformer:SentenceTransformerModel",
            "st",
            _ALL,
        ),
        Entry(
            "mllm:ID_OR_PATH",
            "embedders on Qwen2-VL, Qwen2.5-VL, Qwen3-VL, LLaVA-Next; @TEMPLATE where a checkpoint does not tell how",
            "mrbench.models.mllm:load_mllm",
            "models",
            _ALL,
        ),
        Entry(
            "late:ID_OR_PATH",
            "multi-vector models: ColPali, ColQwen2; ColBERT in the format of sentence-transformers or PyLate",
            "mrbench.models.late:load_late",
            "models",
            (("modalities", "text, image"),),
        ),
        Entry(
            "open_clip:ARCH/WEIGHTS",
            "models of open_clip; or open_clip:PATH, open_clip:hf-hub:ORG/NAME",
            "mrbench.models.open_clip_model:OpenClipModel",
            "open_clip",
            _ALL,
        ),
        Entry(
            "timm:NAME",
            "image encoders of timm; or timm:PATH, timm:hf-hub:ORG/NAME",
            "mrbench.models.timm_model:TimmModel",
            "timm",
            _IMAGE,
        ),
        Entry(
            "mteb:NAME",
            "any model of MTEB's registry, as MTEB embeds with it",
            "mrbench.models.mteb_model:MtebModel",
            "mteb",
            _ALL,
        ),
        Entry(
            "py:MODULE:OBJECT",
            "a class, factory or instance of your own; the module may be a file: py:FILE.py:OBJECT",
            "mrbench.models.python_object:load_object",
            facts=_ALL,
        ),
        Entry(
            "vectors:DIR",
            "embeddings computed elsewhere, by the ids of the records",
            "mrbench.models.vectors:VectorFolder",
            facts=_ALL,
        ),
        Entry(
            "openai:URL#MODEL",
            "a server with OpenAI's /embeddings, such as vLLM, Infinity or TEI",
            "mrbench.models.served:ServedModel",
            "api",
            _ALL,
        ),
    ],
)
"""Every entry loads a callable ``(*, seed: int, device: str, batch_size: int) -> EmbeddingModel``. It may also take
``dtype: str``, ``max_length: int`` and ``trust_remote_code: bool``, which are passed where the user gives them.

An entry whose name has capitals after its first colon, such as ``hf:PATH``, takes what the user writes there as its
first argument.

A plugin adds its own with an entry point in the group ``mrbench.models``.
"""


def load_model(
    spec: str,
    *,
    seed: int = 0,
    device: str = "auto",
    batch_size: int = 1024,
    dtype: str | None = None,
    max_length: int | None = None,
    trust_remote_code: bool = False,
) -> EmbeddingModel:
    """Load a model.

    Args:
        spec: A name of :data:`ZOO`; where the name ends in a word in capitals, such as ``hf:PATH``, with that word
            replaced. ``~`` at the beginning of a path is the home folder.
        seed: Seed of models that draw at random.
        device: ``auto`` (a GPU where there is one), ``cpu``, ``cuda`` or ``cuda:N``.
        batch_size: Items per forward pass at most; models may take fewer on a CPU.
        dtype: Number format of the weights, such as ``bfloat16``; None leaves it to the model.
        max_length: Tokens of a text that are read at most; None reads as many as the model takes.
        trust_remote_code: Whether code that comes with the weights may run.

    Raises:
        InputError: Unknown model or device, a batch size or a length below 1, or a dtype or a length for a model that
            takes none.
        MissingExtraError: An optional package is not installed.
        ModelError: The weights cannot be loaded, or the model's code raises.

    >>> load_model("constant").dimension
    2
    """
    if batch_size < 1:
        raise InputError("the batch size is too small", where="batch_size", got=batch_size, accepted="1 or more")
    if max_length is not None and max_length < 1:
        raise InputError("the length of texts is too small", where="max_length", got=max_length, accepted="1 or more")
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", device):
        raise InputError("unknown device", where="device", got=device, accepted="auto, cpu, cuda, cuda:N")
    entry, rest = find_entry(spec)
    load: Callable[..., EmbeddingModel] = entry.load()
    options: dict[str, Any] = {"seed": seed, "device": device, "batch_size": batch_size}
    for name, value in (("dtype", dtype), ("max_length", max_length)):
        if value is not None and not _takes(load, name):
            raise InputError(
                f"the model takes no --{name.replace('_', '-')}",
                where=entry.name,
                got=value,
                hint=f"leave out --{name.replace('_', '-')}",
            )
        options |= {} if value is None else {name: value}
    if trust_remote_code and _takes(load, "trust_remote_code"):  # leave, not a wish: others have no code to run
        options["trust_remote_code"] = True
    try:
        with foreign_code():
            model = load(*rest, **options)
        if max_length is not None:
            note(model, "text_limit", max_length)
        return model
    except ForeignExitError as error:
        raise ModelError(
            "the model cannot be loaded", where=redacted_spec(spec), got=str(error), hint="--debug shows where"
        ) from error
    except (MRBenchError, OSError, MemoryError, ImportError):  # the command line says these in one line as they are
        raise
    except Exception as error:
        if out_of_memory(error) or "start new thread" in str(error):
            raise
        said = f"{type(error).__name__}: {error}"
        where = redacted_spec(spec)
        raise ModelError("the model cannot be loaded", where=where, got=said, hint="--debug shows where") from error


def find_entry(spec: str) -> tuple[Entry, tuple[str, ...]]:
    """Return the entry that a spec names, and what it is given: nothing, or the rest of the spec.

    Raises:
        InputError: No entry has this name, or the rest is empty.

    >>> entry, rest = find_entry("hf:some/folder")
    >>> entry.name, rest
    ('hf:PATH', ('some/folder',))
    """
    if spec in ZOO and not _takes_rest(spec):
        return ZOO.get(spec), ()
    prefix, colon, rest = spec.partition(":")
    for entry in ZOO:
        if colon and entry.name.startswith(f"{prefix}:") and _takes_rest(entry.name):
            if not rest:
                raise InputError("no path of a model", got=spec, accepted=entry.name)
            path = os.path.expanduser(rest)  # noqa: PTH111 - no shell expands ~ after a colon, and a path may be a URL
            return ZOO.get(entry.name), (path,)
    raise InputError(
        "unknown model", got=redacted_spec(spec), accepted=", ".join(ZOO.names()), hint=_meant(spec) or "mrbench models"
    )


def _meant(spec: str) -> str | None:
    """Return the option that the user may have meant: an adapter for a folder or a file, or a name that is alike."""
    path = Path(spec).expanduser()
    if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises where the name is too long
        try:
            from mrbench.models.other_adapter import adapters_of
        except ImportError:  # without the extra models
            return None
        found = [f"--model {quote(f'{prefix}:{spec}')}" for prefix in adapters_of(path)]
        return found[0] if found else None
    if spec.endswith(".py"):
        return f"--model {quote(f'py:{spec}:CLASS')}"
    alike = difflib.get_close_matches(spec, [name for name in ZOO.names() if not _takes_rest(name)], 1)
    return f"--model {alike[0]}" if alike else None


def _takes_rest(name: str) -> bool:
    return name.partition(":")[2].isupper()


def _takes(load: Callable[..., Any], option: str) -> bool:
    parameters = inspect.signature(load).parameters.values()
    return any(parameter.name == option or parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
