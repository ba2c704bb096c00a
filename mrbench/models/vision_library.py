"""What the adapters of open_clip and timm share: a torchvision that may not load, and transforms of pictures."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image

from mrbench.errors import MissingExtraError, ModelError


def import_library(name: str, extra: str) -> Any:
    """Import a library that needs torchvision.

    Raises:
        MissingExtraError: The library, or a package that it needs, is not installed.
        ModelError: It is, and does not load. A torchvision built for another torch fails so.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        hint = f'pip install "mrbench[{extra}]"'
        raise MissingExtraError(f"the model needs the package {error.name}", hint=hint) from error
    except (RuntimeError, OSError, AttributeError, ImportError) as error:
        raise ModelError(
            f"{name} does not load; torchvision and torch have to be builds for one another",
            got=f"{type(error).__name__}: {error}",
            accepted=f"a torchvision for torch {torch.__version__}",
            hint="pip install torch torchvision, both from one index of https://download.pytorch.org/whl",
        ) from error


def transformed(transform: Callable[[Image.Image], Any], image: Image.Image) -> np.ndarray[Any, Any]:
    """Return what a transform of the library makes of a picture, float32, shape ``(3, height, width)``."""
    pixels: np.ndarray[Any, Any] = transform(image).numpy()
    return pixels


def check_finite(source: str, **vectors: torch.Tensor) -> int:
    """Return the dimension of vectors of a trial.

    Args:
        source: The model, for messages.
        vectors: By what was embedded, each of shape ``(number, dimension)``.

    Raises:
        ModelError: A vector is not finite, or the dimensions differ.
    """
    for part, rows in vectors.items():
        if rows.ndim != 2 or not rows.isfinite().all():
            got, accepted = tuple(rows.shape), "finite numbers, shape (number, dimension)"
            raise ModelError(f"the {part} tower returns no vectors", where=source, got=got, accepted=accepted)
    lengths = {part: rows.shape[1] for part, rows in vectors.items()}
    if len(set(lengths.values())) > 1:
        raise ModelError("the vectors differ in dimension", where=source, got=lengths, accepted="one dimension")
    return next(iter(lengths.values()))
