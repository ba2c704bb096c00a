"""What ECCV Caption and CxC share: photos and captions of COCO by number, and texts from COCO's own file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from mrbench.errors import BenchmarkError, InputError
from mrbench.records import Candidate
from mrbench.sources.files import field, read_json

CAPTIONS = "a captions JSON of COCO, such as captions_val2014.json, with the wording of all captions"
FILE = "name of a photo below the image root, with {id} for its twelve digits; COCO_val2014_{id}.jpg by default"
_DEFAULT = "COCO_val2014_{id}.jpg"
_NAMED = 3


class Photos:
    """Names of photos by number: these are their ids, as in COCO's own files.

    Args:
        options: Those of the spec.

    Raises:
        InputError: The pattern has no ``{id}``.
    """

    def __init__(self, options: Mapping[str, str]) -> None:
        self._pattern = options.get("file", _DEFAULT)
        if "{id}" not in self._pattern:
            raise InputError("malformed option of a spec", where="?file=", got=self._pattern, accepted=FILE)

    def name(self, number: int) -> str:
        """Return the name of a photo."""
        return self._pattern.replace("{id}", f"{number:012}")


def caption_texts(path: Path, wanted: Iterable[int]) -> dict[int, str]:
    """Return the wording of captions by number.

    Raises:
        BenchmarkError: The file is missing or malformed, or lacks some of them.
    """
    value = read_json(path)
    rows = value.get("annotations") if isinstance(value, dict) else None
    if not isinstance(rows, list):
        raise BenchmarkError(
            "not a captions file of COCO", where=path, accepted='{"images": [...], "annotations": [...]}'
        )
    lacking = dict.fromkeys(wanted)
    found: dict[int, str] = {}
    for number, row in enumerate(rows):
        where = f"{path}, annotation {number}"
        if not isinstance(row, dict):
            raise BenchmarkError("an annotation is not a JSON object", where=where, got=row, accepted="a JSON object")
        key = field(row, "id", where, kind=int)
        if key in lacking:
            found[key] = field(row, "caption", where)
            if not found[key].strip():
                raise BenchmarkError("a caption is empty", where=where, accepted="a text")
    lost = [key for key in lacking if key not in found]
    if lost:
        raise BenchmarkError(
            f"{len(lost)} of {len(lacking)} captions {'has' if len(lost) == 1 else 'have'} no text",
            where=path,
            got=lost[:_NAMED],
            accepted="a captions JSON of COCO that holds them all: captions_val2014.json",
        )
    return found


def caption_candidates(texts: Mapping[int, str], numbers: Iterable[int]) -> Iterable[Candidate]:
    """Yield captions as candidates; their ids are COCO's numbers."""
    return (Candidate(str(number), text=texts[number]) for number in numbers)


def captions_file(options: Mapping[str, str], root: Path) -> Path | None:
    """Return the file that the option ``captions`` names, as a path or a path below the root; None without one."""
    if "captions" not in options:
        return None
    named = Path(options["captions"]).expanduser()
    return named if named.is_file() or not (root / named).is_file() else root / named
