"""NegBench: captions that say what is not there (Alhamoud et al., CVPR 2025, arXiv 2501.09425).

Two kinds of CSV file: retrieval (``filepath``, ``captions``) and multiple choice (``image_path``, ``caption_0`` to
``caption_3``, ``correct_answer``, ``correct_answer_template``).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from mrbench.benchmark import Contents
from mrbench.errors import BenchmarkError
from mrbench.records import Candidate, CandidateList, Judgement, Modality, Query, Split, Task
from mrbench.sources.choices import (
    Choice,
    choice_candidates,
    choice_judgements,
    choice_lists,
    choice_queries,
    choice_task,
)
from mrbench.sources.files import check_unicode, field, files_digest, images_below, need_file, plain_name, read_table
from mrbench.sources.image_text import (
    RECALL,
    ImageTextContents,
    ImageTextSet,
    Shown,
    image_to_text,
    text_of,
    text_to_image,
)
from mrbench.spec_options import check_options

OPTIONS = {"strip": "what paths of images begin with that is not below the image root, such as data/coco/images/"}
_ANSWERS = tuple(f"caption_{number}" for number in range(4))
_LAYOUT = "the CSV files of NegBench: filepath and captions, or image_path, caption_0 to caption_3 and correct_answer"
_RETRIEVAL = "k is 1, 5 and 10; NegBench calls these hit rates R@k and reports R@5 of text to image."
_CHOICE = (
    "Each image is searched among the four texts of its question; hit_rate@1 is NegBench's accuracy, but a tie counts "
    "with its share. Pairs are by the kind of the right answer."
)


def read(location: str, image_root: Path | None, options: Mapping[str, str]) -> Contents:
    """Open NegBench.

    Args:
        location: One of its CSV files, packed or not, or a folder of them.
        image_root: Folder below which the images lie; the folder of the files by default.
        options: See :data:`OPTIONS`.

    Raises:
        InputError: An unknown option.
        BenchmarkError: No file is there, or one of another layout.
    """
    check_options(options, OPTIONS)
    path = Path(location)
    files = sorted([*path.glob("*.csv"), *path.glob("*.csv.gz")]) if path.is_dir() else [need_file(path)]
    if not files:
        raise BenchmarkError("no CSV file in a folder", where=path, accepted=_LAYOUT)
    return NegBench(path, files, image_root, options)


class NegBench(Contents):
    """The tasks of some files: two for a file of retrieval, one for a file of questions."""

    licence = "MIT (annotations)"
    splits: Sequence[Split] = ("test",)

    def __init__(
        self, location: Path, files: Sequence[Path], image_root: Path | None, options: Mapping[str, str]
    ) -> None:
        self.location, self._options, self._all = location, dict(options), list(files)
        folder = location if location.is_dir() else location.parent
        self.images = images_below(folder, image_root)
        self.name = "negbench" if location.is_dir() else f"negbench-{task_name(location)}"
        self.title = "NegBench" if location.is_dir() else f"NegBench {task_name(location)}"
        names = [task_name(path) for path in files]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise BenchmarkError("two files have one name", where=location, got=twice, hint="name one of the files")
        retrieval = {name: path for name, path in zip(names, files, strict=True) if _kind(path) == "retrieval"}
        self._questions = {
            name: _Questions(path, name, options.get("strip", ""))
            for name, path in zip(names, files, strict=True)
            if name not in retrieval
        }
        sets = [_set(name, path, options.get("strip", "")) for name, path in retrieval.items()]
        self._retrieval = ImageTextContents(location, self.images, files, options, sets)
        choices = [choice_task(name, f"{name}_text", _CHOICE) for name in self._questions]
        self.tasks: Sequence[Task] = [*self._retrieval.tasks, *choices]
        self.corpora: dict[str, Modality] = dict(self._retrieval.corpora)
        self.corpora |= {f"{name}_text": "text" for name in self._questions}

    def digest(self) -> str:
        """Return the digest over the files and the options."""
        root = self.location if self.location.is_dir() else self.location.parent
        return files_digest(self._all, root, self._options)

    def notes(self) -> list[str]:
        """Return what was left out."""
        return ["empty captions were left out"]

    def _asked(self, task: str) -> Sequence[Choice] | None:
        """Return the questions of a task, None where it is one of retrieval."""
        return self._questions[task].choices if task in self._questions else None

    def candidates(self, corpus: str, split: str) -> Iterator[Candidate]:
        """Yield images or texts."""
        choices = self._asked(corpus.removesuffix("_text"))
        return self._retrieval.candidates(corpus, split) if choices is None else choice_candidates(choices)

    def queries(self, task: str, split: str) -> Iterator[Query]:
        """Yield images or texts; what is about one image is one cluster."""
        choices = self._asked(task)
        if choices is None:
            return self._retrieval.queries(task, split)
        return choice_queries(choices, task, self.images)

    def judgements(self, task: str, split: str) -> Iterator[Judgement]:
        """Yield what is relevant; of questions, what the other answers violate too."""
        choices = self._asked(task)
        return self._retrieval.judgements(task, split) if choices is None else choice_judgements(choices)

    def lists(self, task: str, split: str) -> Iterator[CandidateList]:
        """Yield the answers of each question."""
        return choice_lists(self._asked(task) or ())


class _Questions:
    """The questions of a file, read once when they are asked for."""

    def __init__(self, path: Path, name: str, strip: str) -> None:
        self._path, self._name, self._strip = path, name, strip

    @cached_property
    def choices(self) -> list[Choice]:
        """The questions.

        Raises:
            BenchmarkError: A row is malformed.
        """
        made = []
        for number, (where, row) in enumerate(read_table(self._path)):
            texts = tuple(text_of(row.get(answer), f"{where}, {answer}") for answer in _ANSWERS)
            right = field(row, "correct_answer", where)
            if right not in ("0", "1", "2", "3"):
                raise BenchmarkError("malformed correct_answer", where=where, got=right, accepted="0, 1, 2 or 3")
            kind = row.get("correct_answer_template") or "answer"
            image = _below(field(row, "image_path", where), self._strip)
            made.append(Choice(f"{self._name}-{number}", image, texts, int(right), kind, where))
        return made


def task_name(path: Path) -> str:
    """Return the name of a file's task: without the split, and what made the captions.

    >>> task_name(Path("COCO_val_mcq_llama3.1_rephrased.csv.gz"))
    'coco_mcq'
    """
    stem = path.name.partition(".csv")[0]
    return plain_name(re.sub(r"_llama.*$", "", stem).lower().replace("_val_", "_"))


def _kind(path: Path) -> str:
    """Return which kind of table a file holds: ``retrieval`` or ``questions``.

    Raises:
        BenchmarkError: Neither, or empty.
    """
    _, row = next(read_table(path), (None, None))
    if row is None:
        raise BenchmarkError("a table has no row", where=path, accepted="a header and one row or more")
    if {"filepath", "captions"} <= row.keys():
        return "retrieval"
    if {"image_path", "correct_answer", *_ANSWERS} <= row.keys():
        return "questions"
    raise BenchmarkError("a table of another layout", where=path, got=sorted(row), accepted=_LAYOUT)


def _set(name: str, path: Path, strip: str) -> ImageTextSet:
    held: list[Shown] = []

    def read_once(split: str) -> Sequence[Shown]:
        if not held:
            held.extend(_read_retrieval(path, name, strip))
        return held

    image, text = f"{name}_image", f"{name}_text"
    tasks = (
        text_to_image(f"{name}_t2i", RECALL, "hit_rate@5", _RETRIEVAL, (image,)),
        image_to_text(f"{name}_i2t", RECALL, "hit_rate@5", _RETRIEVAL, (text,)),
    )
    return ImageTextSet(read_once, image, text, tasks)


def _read_retrieval(path: Path, name: str, strip: str) -> Iterator[Shown]:
    seen: set[str] = set()
    for where, row in read_table(path):
        image = _below(field(row, "filepath", where), strip)
        if image in seen:
            raise BenchmarkError("an image is there twice", where=where, got=image, accepted="each once")
        seen.add(image)
        captions = _texts(field(row, "captions", where), where)
        texts = [(f"{name}:{image}#{number}", text) for number, text in enumerate(captions) if text.strip()]
        yield Shown(f"{name}:{image}", (image,), tuple(texts), where)


def _texts(cell: str, where: str) -> list[str]:
    """Return the texts of a cell that holds a list as Python writes it."""
    try:
        value = ast.literal_eval(cell)
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise BenchmarkError(
            "captions are no list of texts", where=where, got=cell[:100], accepted="['a text', ...]"
        ) from error
    if not isinstance(value, list) or not value or not all(isinstance(text, str) for text in value):
        raise BenchmarkError("captions are no list of texts", where=where, got=cell[:100], accepted="['a text', ...]")
    check_unicode(value, where)
    return value


def _below(name: str, strip: str) -> str:
    return name.removeprefix(strip)
