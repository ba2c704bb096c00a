"""Names of images as annotation files have them: checked where they are read, so that an error has the line."""

from __future__ import annotations

from mrbench.benchmark import ImageRoot
from mrbench.errors import BenchmarkError
from mrbench.records import ImageFile


def image_file(images: ImageRoot, name: object, where: str) -> ImageFile:
    """Return a reference to an image; the file is not looked for.

    Args:
        images: Where images lie.
        name: Its path below that folder.
        where: File and line, for errors.

    Raises:
        BenchmarkError: Not a path, or one that leaves the folder.
    """
    checked = check_name(images, name, where)
    return ImageFile(images.resolve(checked), checked)


def check_name(images: ImageRoot, name: object, where: str) -> str:
    """Return the path of an image below a folder, relative where it can be, without a leading ``./``.

    Raises:
        BenchmarkError: Not a path, or one that leaves the folder.
    """
    if not isinstance(name, str) or not name.strip():
        raise BenchmarkError("an image has no path", where=where, got=name, accepted="a path below the image folder")
    name = name.removeprefix("./")
    if ".." in name or name[0] in "/\\" or ":" in name or "\x00" in name:  # only then is there something to look into
        try:
            images.resolve(name)
        except BenchmarkError as error:
            raise BenchmarkError(f"{error}; named in: {where}") from error
    return images.relative(name)
