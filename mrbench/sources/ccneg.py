"""CC-Neg: an image, its caption, and the caption negated (Singh et al., WACV 2025, arXiv 2403.20312).

The data set is published as a pickled file of torch, which may run anything and is not read. The page of this data set
(``docs/reference/datasets/ccneg.md``) has the lines that turn it into a table.
"""

from __future__ import annotations

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
from mrbench.sources.files import field, files_digest, images_below, need_file, read_jsonl, read_table
from mrbench.sources.image_text import text_of
from mrbench.spec_options import check_options

PICKLED = (".pt", ".pth", ".pkl", ".pickle")
_COLUMNS = "a CSV or JSONL file with the columns image, caption and negated"
_PROTOCOL = (
    "Each image is searched among its caption and the negated caption; hit_rate@1 is CC-Neg's accuracy, where a tie "
    "counts half."
)


def read(location: str, image_root: Path | None, options: Mapping[str, str]) -> Contents:
    """Open CC-Neg.

    Args:
        location: A CSV or JSONL file with the columns ``image``, ``caption`` and ``negated``.
        image_root: Folder below which the images lie; the folder of the file by default.
        options: There are none.

    Raises:
        InputError: An option.
        BenchmarkError: The file is missing, or is the pickled one.
    """
    check_options(options, {})
    path = need_file(Path(location))
    if path.suffix.lower() in PICKLED:
        raise BenchmarkError(
            "a pickled file is not read: it may run anything",
            where=path,
            accepted=_COLUMNS,
            hint="docs/reference/datasets/ccneg.md has the lines that make one",
        )
    return CcNeg(path, image_root, options)


class CcNeg(Contents):
    """Images that are searched among a true and a negated caption."""

    name, title, licence = "ccneg", "CC-Neg", "unknown"
    splits: Sequence[Split] = ("test",)
    corpora: Mapping[str, Modality] = {"text": "text"}

    def __init__(self, path: Path, image_root: Path | None, options: Mapping[str, str]) -> None:
        self.location, self._options = path, dict(options)
        self.images = images_below(path.parent, image_root)
        self.tasks: Sequence[Task] = (choice_task("i2t", "text", _PROTOCOL),)

    def digest(self) -> str:
        """Return the digest over the file."""
        return files_digest([self.location], self.location.parent, self._options)

    @cached_property
    def _choices(self) -> list[Choice]:
        jsonl = self.location.name.removesuffix(".gz").endswith((".jsonl", ".ndjson"))
        made = []
        for number, (where, row) in enumerate((read_jsonl if jsonl else read_table)(self.location)):
            texts = tuple(text_of(field(row, name, where), f"{where}, {name}") for name in ("caption", "negated"))
            made.append(Choice(str(number), field(row, "image", where), texts, 0, "negation", where))
        return made

    def candidates(self, corpus: str, split: str) -> Iterator[Candidate]:
        """Yield all captions."""
        return choice_candidates(self._choices)

    def queries(self, task: str, split: str) -> Iterator[Query]:
        """Yield the images."""
        return choice_queries(self._choices, task, self.images)

    def judgements(self, task: str, split: str) -> Iterator[Judgement]:
        """Yield that the caption is relevant, and that the other violates by negation."""
        return choice_judgements(self._choices)

    def lists(self, task: str, split: str) -> Iterator[CandidateList]:
        """Yield the two captions of each image."""
        return choice_lists(self._choices)
