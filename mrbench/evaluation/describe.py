"""The facts of a model that a result holds."""

from __future__ import annotations

from typing import Any

from mrbench.models.protocol import EmbeddingModel, is_multi_vector

_TEXTS = ("licence", "template", "image_size", "source")
_NUMBERS = ("parameter_count", "max_text_length", "text_limit")


def describe(model: EmbeddingModel) -> dict[str, Any]:
    """Return the facts of a model for its results.

    Returns:
        ``name``, ``revision``, ``dimension``, ``modalities``, ``device``, ``dtype``, ``variant`` (options of the spec
        that decide vectors; empty without them), ``remote_code`` and ``control``;
        ``seed`` of a model that depends on it, ``source`` (digest of the file) of a model from a Python file;
        and where the model states them ``parameter_count``, ``max_text_length`` (tokens), ``text_limit`` (the same,
        where the user gave it), ``image_size`` (pixels, as ``"224x224"``), ``licence`` and ``template``, under the
        names of :class:`EmbeddingModel`'s attributes.
        ``multi_vector`` of a model that returns several vectors an item; ``dimension`` is then that of each.
    """
    stated: dict[str, Any] = {}
    for name in _NUMBERS:
        value = getattr(model, name, None)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            stated[name] = value
    for name in _TEXTS:
        value = getattr(model, name, None)
        if isinstance(value, str) and value:
            stated[name] = value
    seed = getattr(model, "seed", None)
    if isinstance(seed, int) and not isinstance(seed, bool):
        stated["seed"] = seed
    return {
        "name": str(model.name),
        "revision": str(model.revision),
        "dimension": int(model.dimension),
        "modalities": sorted(model.modalities),
        "device": str(model.device),
        "dtype": str(model.dtype),
        "variant": str(getattr(model, "variant", "") or ""),
        **({"multi_vector": True} if is_multi_vector(model) else {}),
        **stated,
        "remote_code": getattr(model, "remote_code", False) is True,
        "control": getattr(model, "control", False) is True,
    }
