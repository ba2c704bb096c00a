"""Where the images of a benchmark lie that are referenced by path, and which paths may be followed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from mrbench.errors import BenchmarkError
from mrbench.records import AnyImage, ImageData, ImageFile


@dataclass(frozen=True, slots=True)
class ImageRoot:
    """The folder below which referenced images lie.

    A path that leaves it is refused, so that a data set that came from elsewhere cannot name other files.

    Attributes:
        path: The folder; None where the benchmark references no images.
        allowed: Whether the user named the folder, or it lies in the benchmark's own. A folder elsewhere that only the
            benchmark names is not followed.
    """

    path: Path | None = None
    allowed: bool = True

    def image(self, data: bytes | None, name: str | None, sha256: str) -> AnyImage:
        """Return the image of a cell: its bytes where it holds them, else a reference to a file.

        Raises:
            BenchmarkError: The cell has neither, or a path that may not be followed.
        """
        if data is not None:
            return ImageData(data, sha256)
        if not name:
            raise BenchmarkError("an image has neither bytes nor a path", accepted="one of the two")
        return ImageFile(self.resolve(name), name, sha256)

    def resolve(self, name: str) -> Path:
        """Return the path of a named image.

        An absolute name is accepted where it lies below the folder, since people's own files often have them.

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
                hint=f"--image-root {self.path}",
            )
        if "\x00" in name:
            raise BenchmarkError("an image path holds a zero byte", got=name)
        path = Path(name)
        if path.is_absolute():
            inside = path.is_relative_to(self.path) and ".." not in path.parts
        else:
            inside = ".." not in PurePosixPath(name).parts and not PureWindowsPath(name).is_absolute()
            path = self.path / name
        if not inside:
            raise BenchmarkError("an image path leaves the image folder", where=self.path, got=name, hint=hint)
        return path
