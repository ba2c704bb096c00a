"""Pictures of the site: written once each, or shown from where they lie."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from urllib.parse import quote

from mrbench.records import AnyImage, ImageFile

_KINDS = ((b"\x89PNG\r\n\x1a\n", "png"), (b"\xff\xd8\xff", "jpg"))


class Pictures:
    """Gives pictures an address.

    Args:
        folder: The folder that is being written.
        output: Where it will lie.

    Attributes:
        left: Pictures that may still be written.
    """

    def __init__(self, folder: Path, output: Path) -> None:
        self._folder = folder
        self._output = Path(os.path.realpath(output))
        self.left = 0
        self._written: set[str] = set()

    def address(self, image: AnyImage | None, *, new: bool = True) -> str | None:
        """Return the address of a picture relative to the site; None where it is none, or too many are written.

        Args:
            image: A picture, or None.
            new: Whether it may be written; one that was written before has its address anyway.

        Pictures in files of their own are not copied. Others are written once, named by their bytes.
        """
        if image is None:
            return None
        if isinstance(image, ImageFile):
            below = os.path.relpath(os.path.realpath(image.path), self._output)
            return quote(below if below.startswith(".") else f"./{below}")
        data = image.data
        kind = next((kind for start, kind in _KINDS if data.startswith(start)), "")
        if not kind and data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            kind = "webp"
        if not kind:
            return None
        digest = hashlib.sha256(data).hexdigest()[:32]
        name = f"pictures/{digest[:2]}/{digest}.{kind}"
        if name not in self._written:
            if not (new and self.left):
                return None
            self.left -= 1
            path = self._folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            self._written.add(name)
        return name
