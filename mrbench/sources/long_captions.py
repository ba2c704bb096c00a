"""Long captions: Urban-1k, and the first 1,000 of ShareGPT4V, as Long-CLIP has them (arXiv 2403.15378)."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from mrbench.benchmark import Contents, ImageRoot
from mrbench.errors import BenchmarkError, InputError
from mrbench.sources.files import field, images_below, lines_of, need_file, open_bytes, read_text
from mrbench.sources.image_text import (
    ImageTextContents,
    ImageTextSet,
    Shown,
    folder_of,
    image_to_text,
    text_of,
    text_to_image,
)
from mrbench.spec_options import check_options

_URBAN = "Urban-1k: the folders caption/ (NAME.txt) and image/ (NAME.jpg)"
_PICTURES = (".jpg", ".jpeg", ".png", ".webp")
_MEASURES = ("hit_rate@1", "hit_rate@5", "hit_rate@10")
_SAID = "One caption an image; Long-CLIP reports hit_rate@1 both ways and calls it R@1."
_CHUNK = 1 << 20  # bytes that are read at a time
_LONGEST = 1 << 24  # characters of one record
_GAP = re.compile(r"[\s,]*")
SHARE_OPTIONS = {"limit": "the first N records, 1000 by default as in Long-CLIP; all takes every one"}


class _LongCaptions(ImageTextContents):
    def __init__(
        self,
        names: tuple[str, str, str],
        location: Path,
        images: ImageRoot,
        files: Sequence[Path],
        options: Mapping[str, str],
        shown: Any,
    ) -> None:
        tasks = (
            text_to_image("t2i", _MEASURES, "hit_rate@1", _SAID),
            image_to_text("i2t", _MEASURES, "hit_rate@1", _SAID),
        )
        super().__init__(location, images, files, options, [ImageTextSet(cache(shown), "image", "text", tasks)])
        self.name, self.title, self.licence = names


def read_urban1k(location: str, image_root: Path | None, options: Mapping[str, str]) -> Contents:
    """Open Urban-1k.

    Args:
        location: The folder that holds ``caption`` and ``image``.
        image_root: Folder in which the images lie; ``image`` below the location by default.
        options: There are none.

    Raises:
        InputError: An option.
        BenchmarkError: A folder is missing, or has no caption.
    """
    check_options(options, {})
    root = folder_of(location, _URBAN)
    captions = folder_of(str(root / "caption"), _URBAN)
    files = sorted(captions.glob("*.txt"))
    if not files:
        raise BenchmarkError("no caption in a folder", where=captions, accepted=_URBAN)
    images = images_below(root / "image", image_root)

    def shown(split: str) -> list[Shown]:
        return [_urban(path, images) for path in files]

    names = ("urban1k", "Urban-1k", "unknown")
    return _LongCaptions(names, root, images, files, options, shown)


def _urban(path: Path, images: ImageRoot) -> Shown:
    """Return a caption, the first line of its file as Long-CLIP reads it, and its image."""
    text = text_of(next(lines_of(read_text(path)), "").rstrip("\r\n"), str(path))
    names = [path.stem + end for end in _PICTURES]
    there = next((name for name in names if images.resolve(name).is_file()), names[0])
    return Shown(there, (there,), ((path.stem, text),), str(path))


def read_sharegpt4v(location: str, image_root: Path | None, options: Mapping[str, str]) -> Contents:
    """Open the records that Long-CLIP takes of ShareGPT4V.

    Args:
        location: ``share-captioner_coco_lcs_sam_1246k_1107.json``, or a part of it.
        image_root: Folder below which the images lie; the folder of the file by default.
        options: See :data:`SHARE_OPTIONS`.

    Raises:
        InputError: An unknown or malformed option.
        BenchmarkError: The file is missing.
    """
    check_options(options, SHARE_OPTIONS)
    said = options.get("limit", "1000")
    if said != "all" and not (said.isascii() and said.isdecimal() and int(said)):
        raise InputError("malformed option of a spec", where="?limit=", got=said, accepted="a number from 1, or all")
    limit = None if said == "all" else int(said)
    path = need_file(Path(location))

    def shown(split: str) -> list[Shown]:
        return _share(path, limit)

    names = ("sharegpt4v", "ShareGPT4V", "CC-BY-NC-4.0")
    return _LongCaptions(names, path, images_below(path.absolute().parent, image_root), [path], options, shown)


def _share(path: Path, limit: int | None) -> list[Shown]:
    made: dict[str, Shown] = {}
    for number, record in enumerate(first_records(path, limit)):
        where = f"{path}, record {number}"
        if not isinstance(record, dict):
            raise BenchmarkError("a record is not a JSON object", where=where, got=record, accepted="a JSON object")
        image = field(record, "image", where)
        said = field(record, "conversations", where, kind=list)
        answer = said[1] if len(said) > 1 else None
        if not isinstance(answer, dict):
            raise BenchmarkError("a record has no answer", where=where, got=said, accepted="two turns")
        text = text_of(answer.get("value"), f"{where}, conversations").replace("\n", " ")
        if image in made:
            raise BenchmarkError("an image is there twice", where=where, got=image, accepted="each once")
        made[image] = Shown(image, (image,), ((f"{image}#caption", text),), where)
    return list(made.values())


def first_records(path: Path, limit: int | None) -> Iterator[Any]:
    """Yield the first records of a JSON list, without reading the rest of the file.

    Raises:
        BenchmarkError: It is missing, not UTF-8, or no JSON list.
    """
    decoder, parts = json.JSONDecoder(), _decoded(path)
    text = next((begun for part in parts if (begun := part.lstrip())), "")
    if not text.startswith("["):
        raise BenchmarkError("not a JSON list", where=path, got=text[:50], accepted="a JSON list of records")
    at, found = 1, 0
    while limit is None or found < limit:
        at = _GAP.match(text, at).end()  # type: ignore[union-attr]  # it matches nothing, too
        if text.startswith("]", at):
            return
        try:
            record, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            part = next(parts, "") if len(text) - at < _LONGEST else ""
            if not part:
                raise BenchmarkError(
                    "a file is not JSON", where=f"{path}, record {found}", got=str(error), accepted="JSON in UTF-8"
                ) from error
            text, at = text[at:] + part, 0
            continue
        yield record
        found, at = found + 1, end


def _decoded(path: Path) -> Iterator[str]:
    """Yield the text of a file in parts."""
    utf8 = codecs.getincrementaldecoder("utf-8-sig")()
    with open_bytes(path) as stream:
        while part := stream.read(_CHUNK):
            try:
                text = utf8.decode(part)
            except UnicodeDecodeError as error:
                raise BenchmarkError("a file is not UTF-8", where=path, got=str(error), accepted="UTF-8") from error
            if text:  # nothing, where the part is the first bytes of a character
                yield text
