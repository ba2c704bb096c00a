"""A PNG of a few bytes whose header promises more pixels than anyone should decode."""

from __future__ import annotations

import struct
import zlib


def png_header(width: int, height: int) -> bytes:
    """Signature, header and an empty data chunk."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
