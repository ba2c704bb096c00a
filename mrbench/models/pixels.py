"""What an image tower takes of an image: through the checkpoint's own image processor, or scaled where the tower is."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from PIL import Image

from mrbench.errors import ModelError

Pixels = dict[str, np.ndarray[Any, Any]]
MOST_NARROW = 200  # times as long as wide: the image processors of the Qwen2-VL kind refuse more
TRIAL = Image.fromarray(np.random.default_rng(0).integers(256, size=(90, 70, 3), dtype=np.uint8))
"""An image to try a checkpoint with: higher than wide, as images are."""


def pixels_of(processor: Any, image: Image.Image, *, scaled: bool) -> Pixels:
    """Return what the image tower takes of one image: ``pixel_values``, and what else SigLIP 2 wants beside them.

    Args:
        processor: The image processor.
        image: The image.
        scaled: Whether to rescale and normalise; else the pixels stay bytes, of which a fourth goes from one process to
            another and to a GPU, and :class:`Scaling` does it there.
    """
    options = {} if scaled else {"do_rescale": False, "do_normalize": False}
    found = processor(images=image.convert("RGB"), return_tensors="np", **options)
    return {name: array[0] for name, array in found.items()}


def widened(image: Image.Image) -> Image.Image:
    """Return an image that is at most :data:`MOST_NARROW` times as long as wide."""
    least = math.ceil(max(image.size) / MOST_NARROW)
    if min(image.size) >= least:
        return image
    return image.resize((max(image.width, least), max(image.height, least)), Image.Resampling.BICUBIC)


class Scaling:
    """Rescales and normalises bytes as the image processor would, to the last bit.

    Args:
        processor: The image processor.
        device: Where the bytes will be.
    """

    def __init__(self, processor: Any, device: torch.device) -> None:
        self._factor = float(processor.rescale_factor)
        mean, std = torch.tensor([processor.image_mean, processor.image_std], dtype=torch.float32, device=device)
        self._mean, self._std = mean[:, None, None], std[:, None, None]

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return float32 of bytes, both of shape ``(number, channels, height, width)``."""
        return (pixels.double() * self._factor).float().sub_(self._mean).div_(self._std)


def scaling_of(processor: Any, device: torch.device) -> Scaling | None:
    """Return what does an image processor's scaling; None where that is another one than is known here."""
    try:
        scaling = Scaling(processor, device)
        expected, plain = (pixels_of(processor, TRIAL, scaled=scaled) for scaled in (True, False))
        if plain["pixel_values"].dtype != np.uint8:
            return None
        found = scaling(torch.from_numpy(plain["pixel_values"][None]).to(device))[0].cpu().numpy()
    except (AttributeError, RuntimeError, TypeError, ValueError):
        return None
    same = expected.keys() == plain.keys() and np.array_equal(found, expected["pixel_values"])
    return scaling if same else None


def check_pixels(source: str, processor: Any) -> None:
    """Raise :class:`ModelError` where the image processor of a checkpoint makes pixels that are not finite."""
    if not np.isfinite(pixels_of(processor, TRIAL, scaled=True)["pixel_values"]).all():
        raise ModelError(
            "the image processor makes pixels that are not finite",
            where=source,
            got={name: value for name, value in settings(processor).items() if "size" not in name},
            accepted="finite numbers, and no image_std of 0",
        )


def settings(processor: Any) -> dict[str, Any]:
    """Return what an image processor says of sizes and scale, for messages."""
    said = processor.to_dict()
    names = ("size", "crop_size", "image_mean", "image_std", "rescale_factor")
    return {name: said[name] for name in names if said.get(name) is not None}
