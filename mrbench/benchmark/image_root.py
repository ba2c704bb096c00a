"""The folder of images that a benchmark references by path, and the rule for paths that may be followed."""

from __future__ import annotations

import os
import shlex
import unicodedata
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from mrbench.errors import BenchmarkError
from mrbench.records import AnyImage, ImageData, ImageFile


@dataclass(frozen=True, slots=True)
class ImageRoot:
    """The folder below which referenced images lie.

    A path that leaves the folder is refused, so that a downloaded data set cannot name other files.

    Attributes:
        path: The folder; None if the benchmark references no images.
        allowed: Whether the folder may be read: the user named it, or it lies in the benchmark folder. Otherwise only
            the benchmark names it.
    """

    path: Path | None = None
    allowed: bool = True

    @classmethod
    def below(cls, folder: Path) -> ImageRoot:
        """Return the root for a folder that the user named, as an absolute path without ``..``.

        Links are kept. Only a link before a ``..`` is resolved, because removing the two would name another folder.
        """
        path = folder.absolute()
        plain = Path(os.path.normpath(path))
        same = plain == path or (plain.exists() and path.exists() and plain.samefile(path))
        return cls(plain if same else path.resolve())

    def relative(self, name: str) -> str:
        """Return the name of an image relative to the folder, which is the same on every machine.

        An absolute name is made relative to the folder as the user named it, or to the folder that a link leads to. A
        relative name, or one outside the folder, is returned as it is.
        """
        path = Path(name)
        if self.path is None or not path.is_absolute() or ".." in path.parts:
            return name
        for folder in (self.path, Path(os.path.realpath(self.path))):
            if path != folder and path.is_relative_to(folder):
                return path.relative_to(folder).as_posix()
        return name

    def image(self, data: bytes | None, name: str | None, sha256: str) -> AnyImage:
        """Return the image of a cell: its bytes if the cell holds them, else a reference to a file.

        Raises:
            BenchmarkError: The cell has neither, or a path that may not be followed.
        """
        if data is not None:
            return ImageData(data, sha256)
        if not name:
            raise BenchmarkError("an image has neither bytes nor a path", accepted="one of the two")
        return ImageFile(self.resolve(name), self.relative(name), sha256)

    def resolve(self, name: str) -> Path:
        """Return the path of a named image.

        An absolute name below the folder is accepted, since people's own tables often have them.

        Raises:
            BenchmarkError: No folder is known, or the name leaves it.
        """
        hint = "--image-root FOLDER says where images may lie"
        if self.path is None:
            raise BenchmarkError("an image is referenced by path, and no image folder is known", got=name, hint=hint)
        if not self.allowed:
            raise BenchmarkError(
                "the images lie outside the benchmark folder",
                where=self.path,
                got=name,
                hint=f"--image-root {shlex.quote(str(self.path))}",
            )
        if "\x00" in name:
            raise BenchmarkError("an image path holds a zero byte", got=name)
        below = self.relative(name)
        if ".." in PurePosixPath(below).parts:
            below = os.path.normpath(below)  # `sub/../a.png` stays in the folder
        absolute = Path(below).is_absolute() or PureWindowsPath(below).is_absolute()
        if absolute or ".." in PurePosixPath(below).parts:
            raise BenchmarkError("an image path leaves the image folder", where=self.path, got=name, hint=hint)
        return as_on_disk(self.path / below)


def as_on_disk(path: Path) -> Path:
    """Return a path in the Unicode form that its file has on disk.

    ``é`` is one character in the form NFC and two in NFD, which macOS writes. A path that leads to a file, or to no
    file in either form, is returned as it is.
    """
    name = str(path)
    if name.isascii() or os.path.exists(path):  # noqa: PTH110 - Path.exists raises where the name is too long
        return path
    forms = (Path(unicodedata.normalize(form, name)) for form in ("NFC", "NFD"))
    return next((other for other in forms if os.path.exists(other)), path)  # noqa: PTH110
