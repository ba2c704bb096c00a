"""Images, or the frames of videos, with the texts that describe them: what readers of such data sets share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mrbench.benchmark import Contents, ImageRoot
from mrbench.errors import BenchmarkError
from mrbench.records import AnyImage, Candidate, Judgement, Modality, Query, Split, Task
from mrbench.sources.files import files_digest
from mrbench.sources.image_names import image_file

RECALL = ("hit_rate@1", "hit_rate@5", "hit_rate@10")
"""What papers on COCO, Flickr30k and MSR-VTT call R@1, R@5 and R@10."""


@dataclass(frozen=True, slots=True)
class Shown:
    """An image, or a video, with its texts.

    Attributes:
        id: Its id.
        images: Name of the image below the image root, or of all frames in order.
        texts: Id and wording of each text.
        where: File and line that it was read from.
    """

    id: str
    images: tuple[str, ...]
    texts: tuple[tuple[str, str], ...]
    where: str


@dataclass(frozen=True)
class ImageTextSet:
    """Images and texts that are searched among each other.

    Attributes:
        read: Reads them from one split.
        image_corpus: Name of the corpus of images.
        text_corpus: Name of the corpus of texts.
        tasks: The tasks over these corpora: texts ask, or images do.
    """

    read: Callable[[str], Sequence[Shown]]
    image_corpus: str
    text_corpus: str
    tasks: tuple[Task, ...]


class ImageTextContents(Contents):
    """A data set of such sets; a text is relevant to the images that it describes, and the other way round.

    Args:
        location: Where it was read from.
        images: Where the images lie.
        files: The annotation files.
        options: Those of the spec.
        sets: What it holds.
    """

    name = title = "images-and-texts"
    licence = "unknown"
    splits: Sequence[Split] = ("test",)

    def __init__(
        self,
        location: Path,
        images: ImageRoot,
        files: Sequence[Path],
        options: Mapping[str, str],
        sets: Sequence[ImageTextSet],
    ) -> None:
        self.location, self.images, self._files, self._options = location, images, list(files), dict(options)
        self._of_task = {task.name: held for held in sets for task in held.tasks}
        self._of_corpus = {name: held for held in sets for name in (held.image_corpus, held.text_corpus)}
        self._image_corpora = {held.image_corpus for held in sets}
        self.tasks: Sequence[Task] = [task for held in sets for task in held.tasks]
        self.corpora: dict[str, Modality] = {
            name: "image" if name in self._image_corpora else "text" for name in self._of_corpus
        }

    def digest(self) -> str:
        """Return the digest over the annotation files and the options."""
        root = self.location if self.location.is_dir() else self.location.parent
        return files_digest(self._files, root, self._options)

    def candidates(self, corpus: str, split: str) -> Iterator[Candidate]:
        """Yield the images or the texts."""
        for shown in self._of_corpus[corpus].read(split):
            if corpus in self._image_corpora:
                first, *rest = self._pictures(shown)
                yield Candidate(shown.id, image=first, more_images=tuple(rest))
            else:
                yield from (Candidate(name, text=text) for name, text in shown.texts)

    def queries(self, task: str, split: str) -> Iterator[Query]:
        """Yield the texts or the images; what is about one image is one cluster."""
        texts_ask = self._texts_ask(task)
        for shown in self._of_task[task].read(split):
            if texts_ask:
                yield from (Query(name, task, "", text=text, cluster=shown.id) for name, text in shown.texts)
            elif shown.texts:
                first, *rest = self._pictures(shown)
                yield Query(shown.id, task, "", image=first, more_images=tuple(rest), cluster=shown.id)

    def judgements(self, task: str, split: str) -> Iterator[Judgement]:
        """Yield what is relevant."""
        texts_ask = self._texts_ask(task)
        for shown in self._of_task[task].read(split):
            for name, _ in shown.texts:
                yield Judgement(name, shown.id, 1) if texts_ask else Judgement(shown.id, name, 1)

    def _texts_ask(self, task: str) -> bool:
        return next(known for known in self.tasks if known.name == task).query_modality == "text"

    def _pictures(self, shown: Shown) -> list[AnyImage]:
        return [image_file(self.images, name, shown.where) for name in shown.images]


def text_to_image(
    name: str, measures: tuple[str, ...], main: str, protocol: str, corpora: tuple[str, ...] = ("image",)
) -> Task:
    """Return a task in which texts ask for images."""
    title = "text → image" if "video" not in name else "text → video"
    return Task(name, title, "text", "image", corpora, "partial", "corpus", measures, main, protocol)


def image_to_text(
    name: str, measures: tuple[str, ...], main: str, protocol: str, corpora: tuple[str, ...] = ("text",)
) -> Task:
    """Return a task in which images ask for texts."""
    title = "image → text" if "video" not in name else "video → text"
    return Task(name, title, "image", "text", corpora, "partial", "corpus", measures, main, protocol)


def folder_of(location: str, what: str) -> Path:
    """Return the path of a folder.

    Raises:
        BenchmarkError: It is not there.
    """
    path = Path(location)
    if not path.is_dir():
        raise BenchmarkError("a folder is missing", where=path, accepted=what)
    return path


def file_in(root: Path, names: Sequence[str], folders: Sequence[str], layout: str) -> Path:
    """Return the first file that is there, packed as ``.gz`` or not, below a root or one of its folders.

    Args:
        root: The folder.
        names: Names of the file, the published one first.
        folders: Folders of the root to look in, beside itself.
        layout: What the layout is, for the error.

    Raises:
        BenchmarkError: None is there.
    """
    places = [root / folder / f"{name}{end}" for folder in ("", *folders) for name in names for end in ("", ".gz")]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise BenchmarkError(f"{names[0]} is missing", where=root, accepted=layout)
    return found


def text_of(value: object, where: str) -> str:
    """Return a text that says something.

    Raises:
        BenchmarkError: It is empty, or no text.
    """
    if not isinstance(value, str) or not value.strip():
        raise BenchmarkError("a text is empty, or is none", where=where, got=value, accepted="a text")
    return value
