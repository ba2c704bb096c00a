"""Cut the crops of GeneCIS's two attribute tasks out of the photos of Visual Genome.

python -m mrbench.sources.genecis_crops ROOT --photos FOLDER

A box is made larger by 0.7 of its width and height, cut at the edges of the photo, and laid on a black square: the
crops that GeneCIS's own evaluation makes (https://github.com/facebookresearch/genecis, 0c5c968).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from mrbench.benchmark import decode, encode_png
from mrbench.errors import BenchmarkError, MRBenchError
from mrbench.files import write_atomic
from mrbench.records import ImageData, ImageFile
from mrbench.sources.composed import find_file, read_items
from mrbench.sources.genecis import CROPS, crop_id
from mrbench.words import counted

_LARGER = 0.7
_FOLDERS = ("", "VG_100K", "VG_100K_2", "images")


def crop(photo: Image.Image, box: tuple[float, float, float, float]) -> Image.Image:
    """Return a crop of a photo on a black square.

    Args:
        photo: RGB.
        box: Left, top, width and height in pixels.

    >>> crop(Image.new("RGB", (100, 100), "white"), (0, 0, 20, 10)).size
    (34, 34)
    """
    left, top, width, height = box
    left, top = max(0.0, left - _LARGER * width), max(0.0, top - _LARGER * height)
    right = min(float(photo.width), left + (1 + _LARGER) * width)
    bottom = min(float(photo.height), top + (1 + _LARGER) * height)
    cut = photo.crop((round(left), round(top), round(right), round(bottom)))
    side = max(cut.size)
    square = Image.new("RGB", (side, side))
    square.paste(cut, ((side - cut.width) // 2, (side - cut.height) // 2))
    return square


def write_crops(root: Path, photos: Path) -> int:
    """Write the crops that are not there yet into ``crops`` and return their number.

    Args:
        root: The folder of GeneCIS.
        photos: The folder of Visual Genome, with the photos or with ``VG_100K`` and ``VG_100K_2``.

    Raises:
        BenchmarkError: No attribute file is there, or photos are missing; all are counted.
    """
    wanted = dict(_boxes(root))
    if not wanted:
        raise BenchmarkError(
            "no attribute task is there", where=root, accepted="focus_attribute.json, change_attribute.json"
        )
    places = {number: _photo(photos, number) for number, _ in wanted.values()}
    missing = [number for number, place in places.items() if place is None]
    if missing:
        raise BenchmarkError(
            counted(len(missing), "photo is missing", "photos are missing"),
            where=photos,
            got=f"{missing[0]}.jpg",
            hint="download the photos, or name their folder with --image-root",
        )
    by_photo = sorted(wanted.items(), key=lambda item: item[1][0])
    opened: tuple[str, Image.Image] | None = None
    written = 0
    for name, (number, box) in by_photo:
        path, place = root / CROPS / f"{name}.png", places[number]
        if place is None or path.is_file():
            continue
        if opened is None or opened[0] != number:
            opened = number, decode(ImageData(ImageFile(place, place.name).data, ""), where=place)
        write_atomic(path, encode_png(crop(opened[1], box)).data)
        written += 1
    return written


def _boxes(root: Path) -> Iterator[tuple[str, tuple[str, tuple[float, float, float, float]]]]:
    """Yield the id of every crop, the number of its photo, and its box."""
    for task in ("focus_attribute", "change_attribute"):
        path = find_file(root, ("genecis",), f"{task}.json")
        for where, row in read_items(path) if path else ():
            gallery = row.get("gallery")
            for item in (row.get("reference"), row.get("target"), *(gallery if isinstance(gallery, list) else ())):
                name = crop_id(item, where)
                left, top, width, height = item["instance_bbox"]
                yield name, (str(item["image_id"]), (left, top, width, height))


def _photo(photos: Path, number: str) -> Path | None:
    places = (photos / folder / f"{number}.jpg" for folder in _FOLDERS)
    return next((place for place in places if number.isdecimal() and place.is_file()), None)


def main() -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="the folder of GeneCIS")
    parser.add_argument("--photos", type=Path, required=True, help="the folder of Visual Genome's photos")
    args = parser.parse_args()
    try:
        sys.stderr.write(f"{write_crops(args.root, args.photos):,} crops written\n")
    except MRBenchError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
