"""Text to video from frames: MSR-VTT's 1k-A test set, and MSVD.

Videos are folders of frames below the image root: ``VIDEO/000.jpg``, in the order of their names. A candidate holds
all frames of a video, or as many as asked for, spread evenly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from mrbench.benchmark import Contents, ImageRoot
from mrbench.errors import BenchmarkError
from mrbench.records import Split, Task
from mrbench.sources.files import field, images_below, lines_of, read_json, read_table, read_text
from mrbench.sources.image_text import (
    RECALL,
    ImageTextContents,
    ImageTextSet,
    Shown,
    file_in,
    folder_of,
    image_to_text,
    text_of,
    text_to_image,
)
from mrbench.spec_options import check_options, whole_number

OPTIONS = {"frames": "how many frames of each video, spread evenly; all that are there by default"}
FRAMES = (".jpg", ".jpeg", ".png", ".webp")
_MEASURES = (*RECALL, "median_rank")
_MSRVTT = "MSRVTT_JSFUSION_test.csv with the columns video_id and sentence, and frames/VIDEO/000.jpg"
_MSVD = "test_list.txt, raw-captions.json with the captions of each video, and frames/VIDEO/000.jpg"
_FOLDERS = ("msrvtt_data", "msvd_data", "annotations", "annotation")
_LISTS: dict[Split, str] = {"train": "train_list.txt", "validation": "val_list.txt", "test": "test_list.txt"}


class _Videos(ImageTextContents):
    """Videos and their captions; frames are listed when a video is asked for."""

    def __init__(
        self,
        names: tuple[str, str],
        root: Path,
        image_root: Path | None,
        files: Sequence[Path],
        options: Mapping[str, str],
        captions: Callable[[str], Mapping[str, tuple[Sequence[str], str]]],
        tasks: tuple[Task, ...],
    ) -> None:
        self._frames = whole_number(options, "frames") or 0
        images = images_below(root / "frames", image_root)

        def shown(split: str) -> list[Shown]:
            return [
                Shown(video, (), tuple((f"{video}#{n}", text) for n, text in enumerate(texts)), where)
                for video, (texts, where) in captions(split).items()
            ]

        held = ImageTextSet(cache(shown), "video", "caption", tasks)
        super().__init__(root, images, files, options, [held])
        self.name, self.title = names

    def _pictures(self, shown: Shown) -> Any:
        frames = tuple(frames_of(self.images, shown.id, self._frames))
        return super()._pictures(Shown(shown.id, frames, shown.texts, shown.where))


def frames_of(images: ImageRoot, video: str, number: int) -> list[str]:
    """Return the names of a video's frames below the image root, all or some that are spread evenly.

    Raises:
        BenchmarkError: There is none, or the name leaves the image root.
    """
    folder = images.resolve(video)
    names = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in FRAMES) if folder.is_dir() else []
    if not names:
        raise BenchmarkError(
            "a video has no frames",
            where=folder,
            accepted=f"a folder of its frames in order ({', '.join(FRAMES)})",
            hint="--image-root FOLDER says where the folders of videos lie",
        )
    if number and number < len(names):
        names = [names[at] for at in np.linspace(0, len(names) - 1, number, dtype=int).tolist()]
    return [f"{video}/{name}" for name in names]


def read_msrvtt(location: str, image_root: Path | None, options: Mapping[str, str]) -> Contents:
    """Open the 1k-A test set of MSR-VTT: 1,000 videos with a caption each.

    Args:
        location: The folder with ``MSRVTT_JSFUSION_test.csv``.
        image_root: Folder of the videos' folders of frames; ``frames`` below the location by default.
        options: See :data:`OPTIONS`.

    Raises:
        InputError: An unknown or malformed option.
        BenchmarkError: The file is missing.
    """
    check_options(options, OPTIONS)
    root = folder_of(location, _MSRVTT)
    path = file_in(root, ["MSRVTT_JSFUSION_test.csv"], _FOLDERS, _MSRVTT)

    def captions(split: str) -> dict[str, tuple[Sequence[str], str]]:
        found: dict[str, tuple[Sequence[str], str]] = {}
        for where, row in read_table(path):
            video = field(row, "video_id", where)
            if video in found:
                raise BenchmarkError("a video is there twice", where=where, got=video, accepted="one caption a video")
            found[video] = [text_of(field(row, "sentence", where), f"{where}, sentence")], where
        return found

    said = "One caption a video, 1,000 of each in 1k-A; papers call these R@k and MdR."
    tasks = (
        text_to_image("text_to_video", _MEASURES, "hit_rate@1", said, ("video",)),
        image_to_text("video_to_text", _MEASURES, "hit_rate@1", said, ("caption",)),
    )
    return _Videos(("msrvtt", "MSR-VTT 1k-A"), root, image_root, [path], options, captions, tasks)


def read_msvd(location: str, image_root: Path | None, options: Mapping[str, str]) -> Contents:
    """Open MSVD, in which every caption of a video asks for it, and a video for any of its captions.

    Args:
        location: The folder with ``raw-captions.json`` and ``test_list.txt``.
        image_root: As for :func:`read_msrvtt`.
        options: See :data:`OPTIONS`.

    Raises:
        InputError: An unknown or malformed option.
        BenchmarkError: A file is missing, or only the pickled one is there.
    """
    check_options(options, OPTIONS)
    root = folder_of(location, _MSVD)
    folders = [root, *(root / folder for folder in _FOLDERS)]
    pickled = next((path for folder in folders if (path := folder / "raw-captions.pkl").is_file()), None)
    try:
        path = file_in(root, ["raw-captions.json"], _FOLDERS, _MSVD)
    except BenchmarkError as error:
        if pickled is None:
            raise
        raise BenchmarkError(
            "a pickled file is not read: it may run anything",
            where=pickled,
            accepted="raw-captions.json",
            hint="docs/reference/datasets/msvd.md has the line that makes one",
        ) from error
    lists = {split: place for split, name in _LISTS.items() for place in _there(folders, name)}
    if not lists:
        raise BenchmarkError("test_list.txt is missing", where=root, accepted=_MSVD)

    def captions(split: str) -> dict[str, tuple[Sequence[str], str]]:
        value = read_json(path)
        if not isinstance(value, dict):
            raise BenchmarkError("not a JSON object", where=path, got=type(value).__name__, accepted="a JSON object")
        return dict(_listed(value, lists[split], path))  # type: ignore[index]

    said = "Every caption of a video is a query, 670 videos in the test list; papers call these R@k and MdR."
    back = (
        "Each video is searched among all captions; papers call hit_rate@1 R@1 and rank videos by their best caption "
        "beyond it, so that these hit rates at 5 and 10 are at most theirs."
    )
    tasks = (
        text_to_image("text_to_video", _MEASURES, "hit_rate@1", said, ("video",)),
        image_to_text("video_to_text", _MEASURES, "hit_rate@1", back, ("caption",)),
    )
    made = _Videos(("msvd", "MSVD"), root, image_root, [path, *lists.values()], options, captions, tasks)
    made.splits = list(lists)
    return made


def _there(folders: Sequence[Path], name: str) -> Iterator[Path]:
    found = next((path for folder in folders if (path := folder / name).is_file()), None)
    if found is not None:
        yield found


def _listed(captions: Mapping[str, Any], listed: Path, path: Path) -> Iterator[tuple[str, tuple[Sequence[str], str]]]:
    """Yield the videos of a list with their captions; a caption is a text, or a list of its words."""
    seen: set[str] = set()
    for number, line in enumerate(lines_of(read_text(listed)), 1):
        video, where = line.strip(), f"{listed}:{number}"
        if not video:
            continue
        if video in seen:
            raise BenchmarkError("a video is there twice", where=where, got=video, accepted="each once")
        seen.add(video)
        said = captions.get(video)
        if not isinstance(said, list) or not said:
            raise BenchmarkError("a video has no captions", where=where, got=video, accepted=f"a key of {path.name}")
        yield video, ([text_of(_joined(text), f"{path}, {video}") for text in said], where)


def _joined(caption: Any) -> Any:
    """Return a caption as a text, where it is a list of its words; anything else as it is."""
    words = isinstance(caption, list) and all(isinstance(word, str) for word in caption)
    return " ".join(caption) if words else caption
