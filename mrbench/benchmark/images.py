"""Decodes untrusted images, and computes digests of their pixels."""

from __future__ import annotations

import base64
import hashlib
import io
import warnings

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from mrbench.errors import BenchmarkError
from mrbench.files import FETCH, absent_bytes
from mrbench.records import AnyImage, ImageData, ImageFile

FORMATS = ("PNG", "JPEG", "WEBP")
MAX_PIXELS = 64_000_000
MAX_RATIO = 200  # of the sides: models scale the short side to a fixed length, so the long one needs a bound
_ORIENTATION = 0x0112  # of EXIF
_UNREADABLE = (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError)


def decode(image: AnyImage, *, where: object) -> Image.Image:
    """Return the image decoded to RGB and turned as its EXIF says.

    Transparency becomes white, and 16-bit values keep their upper 8 bits. Only PNG, JPEG and WebP are decoded; of an
    animation, only the first picture. The size in the header is checked before any pixel is decoded.

    Args:
        image: The encoded image.
        where: Name of the image for error messages, for example the record's id.

    Raises:
        BenchmarkError: The image has another format, is too large, too long and narrow, or is broken.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's on size (our limit is stricter) and on EXIF
            opened = Image.open(io.BytesIO(image.data), formats=FORMATS)
        if opened.width * opened.height > MAX_PIXELS:
            raise BenchmarkError(
                "the image is too large",
                where=where,
                got=f"{opened.width}x{opened.height}",
                accepted=f"at most {MAX_PIXELS:,} pixels",
                hint="save the image smaller",
            )
        if max(opened.size) > MAX_RATIO * min(opened.size):
            raise BenchmarkError(
                "the image is too long and narrow",
                where=where,
                got=f"{opened.width}x{opened.height}",
                accepted=f"a side at most {MAX_RATIO} times the other",
                hint="crop the image",
            )
        stored = opened.tile[0][3] if opened.tile else None  # known until the pixels are read
        opened.load()
        _scale_transparent_colour(opened, stored)
        upright = _upright(opened)
        if upright.mode == "RGB" and "transparency" not in upright.info:
            return upright
        rgba = _to_8_bits(upright).convert("RGBA")
    except _UNREADABLE as error:
        if isinstance(error, UnidentifiedImageError) and (absent := absent_bytes(image.data)):
            raise BenchmarkError(f"unreadable image: {absent}", where=where, hint=FETCH) from error
        begins = f"{len(image.data)} bytes that begin with {image.data[:8]!r}"
        got = begins if isinstance(error, UnidentifiedImageError) else str(error)
        accepted, hint = ", ".join(FORMATS), "save the image again in one of these formats, or leave it out"
        raise BenchmarkError("unreadable image", where=where, got=got, accepted=accepted, hint=hint) from error
    white = Image.new("RGBA", rgba.size, "white")
    return Image.alpha_composite(white, rgba).convert("RGB")


def _upright(image: Image.Image) -> Image.Image:
    """Return the image turned as its EXIF says, if that can be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            turned = image.getexif().get(_ORIENTATION, 1) != 1
            return ImageOps.exif_transpose(image) if turned else image
    except Exception:
        return image


def _scale_transparent_colour(image: Image.Image, stored: object) -> None:
    """Convert the transparent colour of a PNG to 8 bits. Pillow converts the pixels, but not this colour.

    The upper 8 bits of 16-bit colours are compared, since Pillow keeps no more.

    Args:
        image: A decoded image, whose ``info`` is changed.
        stored: Pillow's name for the file's pixel format.
    """
    key = image.info.get("transparency")
    steps = {"L;2": 85, "L;4": 17}.get(str(stored))
    if steps is not None and isinstance(key, int):
        image.info["transparency"] = key * steps
    elif stored == "RGB;16B" and isinstance(key, tuple):
        image.info["transparency"] = tuple(value >> 8 for value in key)


def _to_8_bits(image: Image.Image) -> Image.Image:
    """Return the image with 8-bit values. Pillow would cut 16-bit grey off at 255, which is white."""
    if not image.mode.startswith("I"):
        return image
    grey = np.asarray(image)
    upper = (grey.astype(np.int32).clip(0, 0xFFFF) >> 8).astype(np.uint8)
    opaque = np.where(grey == image.info.get("transparency", -1), 0, 255).astype(np.uint8)
    return Image.merge("LA", [Image.fromarray(upper), Image.fromarray(opaque)])


def header_pixels(image: AnyImage) -> int:
    """Return width times height from the header; 0 if it cannot be read (:func:`decode` then says why).

    >>> header_pixels(encode_png(Image.new("RGB", (3, 2))))
    6
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            width, height = Image.open(io.BytesIO(image.data), formats=FORMATS).size
    except _UNREADABLE:
        return 0
    return width * height


def pixel_sha256(image: Image.Image) -> str:
    """Return the SHA-256 over width, height and RGB pixels. Equal pictures have equal digests, whatever the encoder.

    >>> pixel_sha256(Image.new("RGB", (1, 1), "white"))[:16]
    'c404e54e9f2202d7'
    """
    rgb = image.convert("RGB")
    return hashlib.sha256(f"{rgb.width}x{rgb.height}:RGB:".encode() + rgb.tobytes()).hexdigest()


def check_pixels(picture: Image.Image, image: AnyImage, *, where: object) -> str:
    """Return the digest of a decoded image after comparing it with the one that the image states, if any.

    Args:
        picture: The decoded image.
        image: The encoded image, with the digest that its pixels should have, or none.
        where: Name of the image for error messages, for example the record's id.

    Raises:
        BenchmarkError: The image states another digest.
    """
    digest = pixel_sha256(picture)
    if image.sha256 and image.sha256 != digest:
        named = f"{where}, {image.path}" if isinstance(image, ImageFile) else where
        raise BenchmarkError(
            "an image has other pixels than its digest says", where=named, got=digest, accepted=image.sha256
        )
    return digest


def encode_png(image: Image.Image) -> ImageData:
    """Return a picture encoded as an RGB PNG without metadata."""
    rgb = image.convert("RGB")
    buffer = io.BytesIO()
    rgb.save(buffer, "PNG", compress_level=6)
    return ImageData(buffer.getvalue(), pixel_sha256(rgb))


def data_uri(image: Image.Image, *, quality: int | None = None) -> str:
    """Return a picture as a data URI.

    Args:
        image: The picture.
        quality: 1 to 95 for JPEG; None for PNG, which loses nothing.

    >>> data_uri(Image.new("RGB", (1, 1)))[:25], data_uri(Image.new("RGB", (1, 1)), quality=80)[:26]
    ('data:image/png;base64,iVB', 'data:image/jpeg;base64,/9j')
    """
    stream = io.BytesIO()
    if quality is None:
        image.save(stream, "PNG", compress_level=1)
    else:
        image.convert("RGB").save(stream, "JPEG", quality=quality)
    kind = "png" if quality is None else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(stream.getvalue()).decode()}"
