"""Every kind of PNG that the standard knows, written here bit by bit, is decoded as it looks over white."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
import pytest

from mrbench.benchmark import decode
from mrbench.records import ImageData

Pixels = np.ndarray[Any, np.dtype[np.int64]]
GREY, COLOUR, PALETTE, GREY_ALPHA, COLOUR_ALPHA = 0, 2, 3, 4, 6
CHANNELS = {GREY: 1, COLOUR: 3, PALETTE: 1, GREY_ALPHA: 2, COLOUR_ALPHA: 4}
DEPTHS = {GREY: (1, 2, 4, 8, 16), COLOUR: (8, 16), PALETTE: (1, 2, 4, 8), GREY_ALPHA: (8, 16), COLOUR_ALPHA: (8, 16)}
KINDS = [(kind, depth) for kind, depths in DEPTHS.items() for depth in depths]
PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))  # Adam7


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def lines(pixels: Pixels, depth: int) -> bytes:
    made = b""
    for row in pixels.reshape(len(pixels), -1):
        bits = "".join(f"{value:0{depth}b}" for value in row.tolist())
        bits += "0" * (-len(bits) % 8)
        made += b"\0" + int(bits, 2).to_bytes(len(bits) // 8, "big")
    return made


def png(pixels: Pixels, kind: int, depth: int, *, interlaced: bool, extra: bytes = b"") -> ImageData:
    parts = [pixels[y::dy, x::dx] for x, y, dx, dy in PASSES] if interlaced else [pixels]
    content = b"".join(lines(part, depth) for part in parts if part.size)
    height, width = pixels.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, interlaced)
    body = extra + chunk(b"IDAT", zlib.compress(content)) + chunk(b"IEND", b"")
    return ImageData(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body, "")


def to_8_bits(values: Pixels, depth: int) -> Pixels:
    return values >> 8 if depth == 16 else values * 255 // (2**depth - 1)


def over_white(colours: Pixels, opacity: Pixels) -> Pixels:
    return np.rint(colours * (opacity / 255) + 255 * (1 - opacity / 255)).astype(np.int64)


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(("kind", "depth"), KINDS)
@pytest.mark.parametrize("extra", ["", "tRNS", "gAMA"])
def test_a_png_is_decoded_as_it_looks(kind: int, depth: int, extra: str, interlaced: bool) -> None:
    drawn = np.random.default_rng(kind * 100 + depth)
    pixels = drawn.integers(0, 2**depth, (13, 11, CHANNELS[kind]))
    expected = to_8_bits(pixels[..., : 1 if kind in (GREY, GREY_ALPHA) else 3], depth)
    opacity = np.full((13, 11, 1), 255)
    added = chunk(b"gAMA", struct.pack(">I", 100_000)) if extra == "gAMA" else b""
    if kind in (GREY_ALPHA, COLOUR_ALPHA):
        opacity = to_8_bits(pixels[..., -1:], depth)
    if kind == PALETTE:
        palette = drawn.integers(0, 256, (2**depth, 4))
        added += chunk(b"PLTE", palette[:, :3].astype(np.uint8).tobytes())
        expected = palette[pixels[..., 0], :3]
        if extra == "tRNS":
            added += chunk(b"tRNS", palette[:, 3].astype(np.uint8).tobytes())
            opacity = palette[pixels[..., 0], 3:]
    elif extra == "tRNS" and kind in (GREY, COLOUR):
        key = pixels[3, 4]
        added += chunk(b"tRNS", struct.pack(f">{len(key)}H", *key))
        opacity = np.where((pixels == key).all(axis=2, keepdims=True), 0, 255)
    found = np.asarray(decode(png(pixels, kind, depth, interlaced=interlaced, extra=added), where="here")).astype(int)
    assert np.abs(found - over_white(np.broadcast_to(expected, (13, 11, 3)), opacity)).max() <= 1  # rounding
