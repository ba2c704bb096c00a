"""Decoding images that nobody has vouched for, and the digest of what they show."""

from __future__ import annotations

import hashlib
import io
import warnings

from PIL import Image, UnidentifiedImageError

from mrbench.errors import BenchmarkError
from mrbench.records import ImageData

FORMATS = ("PNG", "JPEG", "WEBP")
MAX_PIXELS = 64_000_000


def decode(image: ImageData, *, where: object) -> Image.Image:
    """Decode to RGB; transparency is laid over white.

    Only PNG, JPEG and WebP are tried, and the size in the header is checked before any pixel is decoded.

    Args:
        image: The encoded image.
        where: What to name in the error, for example the record's id.

    Raises:
        BenchmarkError: Not one of the formats, too large, or broken.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit, below, is stricter
            opened = Image.open(io.BytesIO(image.data), formats=FORMATS)
        if opened.width * opened.height > MAX_PIXELS:
            raise BenchmarkError(
                "image too large", where=where, got=f"{opened.width}x{opened.height}", accepted=f"{MAX_PIXELS} pixels"
            )
        if opened.mode == "RGB":
            opened.load()
            return opened
        rgba = opened.convert("RGBA")
    except BenchmarkError:
        raise
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError) as error:
        raise BenchmarkError("unreadable image", where=where, got=str(error), accepted=", ".join(FORMATS)) from error
    white = Image.new("RGBA", rgba.size, "white")
    return Image.alpha_composite(white, rgba).convert("RGB")


def header_pixels(image: ImageData) -> int:
    """Return width times height as the header has it, 0 where it cannot be read: :func:`decode` will say why.

    >>> header_pixels(encode_png(Image.new("RGB", (3, 2))))
    6
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            width, height = Image.open(io.BytesIO(image.data), formats=FORMATS).size
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError):
        return 0
    return width * height


def pixel_sha256(image: Image.Image) -> str:
    """Return the SHA-256 over width, height and RGB pixels: equal for equal pictures, whatever the encoder.

    >>> pixel_sha256(Image.new("RGB", (1, 1), "white"))[:16]
    'c404e54e9f2202d7'
    """
    rgb = image.convert("RGB")
    return hashlib.sha256(f"{rgb.width}x{rgb.height}:RGB:".encode() + rgb.tobytes()).hexdigest()


def encode_png(image: Image.Image) -> ImageData:
    """Encode as RGB PNG without metadata."""
    rgb = image.convert("RGB")
    buffer = io.BytesIO()
    rgb.save(buffer, "PNG", compress_level=6)
    return ImageData(buffer.getvalue(), pixel_sha256(rgb))
