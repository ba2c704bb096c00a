"""Visual Dialog as image retrieval: a caption and rounds of questions and answers ask for an image.

The protocol and the files are those of ChatIR (Levy et al., NeurIPS 2023, arXiv 2305.20062): a JSON list of
``{"img": PATH, "dialog": [caption, "question? answer", ...]}``, and the search space, a JSON list of paths. The JSON of
visualdialog.org, version 1.0, is read too: ``{"data": {"questions", "answers", "dialogs"}, "split"}``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from mrbench.benchmark import Contents
from mrbench.errors import BenchmarkError
from mrbench.records import Candidate, Judgement, Modality, Query, Split, Task
from mrbench.sources.files import field, files_digest, images_below, need_file, read_json
from mrbench.sources.image_names import check_name, image_file
from mrbench.sources.image_text import text_of, text_to_image
from mrbench.spec_options import check_options
from mrbench.words import counted

OPTIONS = {
    "corpus": "the search space, a JSON list of paths (Search_Space_val_50k.json); the images asked for by default",
    "separator": "what stands between caption and rounds; a comma and a space by default, as in ChatIR",
}
_SAID = (
    "The text is the caption and the first {round} rounds; k is 10. ChatIR's Hits@10 counts a dialogue as found once "
    "any round so far finds its image; here each round stands for itself."
)


def read(location: str, image_root: Path | None, options: Mapping[str, str]) -> Contents:
    """Open dialogues on images.

    Args:
        location: A file of dialogues, such as ``VisDial_v1.0_queries_val.json``.
        image_root: Folder below which the images lie; the folder of the file by default.
        options: See :data:`OPTIONS`.

    Raises:
        InputError: An unknown option.
        BenchmarkError: A file is missing or malformed.
    """
    check_options(options, OPTIONS)
    return VisDial(need_file(Path(location)), image_root, options)


class VisDial(Contents):
    """A task for each number of rounds, over one pool of images."""

    name, title = "visdial", "Visual Dialog (ChatIR)"
    licence = "MIT (dialogues of ChatIR); VisDial CC-BY-4.0; photos as on Flickr"
    splits: Sequence[Split] = ("test",)
    corpora: Mapping[str, Modality] = {"image": "image"}

    def __init__(self, path: Path, image_root: Path | None, options: Mapping[str, str]) -> None:
        self.location, self._options = path, dict(options)
        self.images = images_below(path.absolute().parent, image_root)
        self._corpus = need_file(Path(options["corpus"]).expanduser()) if "corpus" in options else None
        self._separator = options.get("separator", ", ")
        rounds = max(len(turns) for _, turns, _ in self._dialogues)
        self.tasks: Sequence[Task] = [
            text_to_image(f"round{n}", ("hit_rate@1", "hit_rate@10"), "hit_rate@10", _SAID.format(round=n))
            for n in range(rounds)
        ]

    def digest(self) -> str:
        """Return the digest over the files and the options."""
        options = {name: value for name, value in self._options.items() if name != "corpus"}
        files = [self.location, *([self._corpus] if self._corpus else [])]
        return files_digest(files, self.location.parent, options)

    @cached_property
    def _dialogues(self) -> list[tuple[str, list[str], str]]:
        """Image, turns and place of each dialogue."""
        made = []
        for number, row in enumerate(self._rows()):
            where = f"{self.location}, dialogue {number}"
            if not isinstance(row, dict):
                raise BenchmarkError("a dialogue is not a JSON object", where=where, got=row, accepted="a JSON object")
            turns = field(row, "dialog", where, kind=list)
            if not turns:
                raise BenchmarkError("a dialogue has no caption", where=where, accepted="a caption before the dialogue")
            texts = [text_of(turn, f"{where}, dialog") for turn in turns]
            made.append((check_name(self.images, field(row, "img", where), where), texts, where))
        if not made:
            raise BenchmarkError("a file has no dialogue", where=self.location, accepted="one dialogue or more")
        return made

    def _rows(self) -> list[Any]:
        value = read_json(self.location)
        if not isinstance(value, dict) or "data" not in value:
            return _list(self.location, value)
        where = str(self.location)
        data, split = field(value, "data", where, kind=dict), str(value.get("split"))
        folder = next((f"VisualDialog_{name}2018" for name in ("val", "test") if split.startswith(name)), None)
        if folder is None:
            raise BenchmarkError("a split whose images are not known", where=where, got=split, accepted="val or test")
        texts = [field(data, name, where, kind=list) for name in ("questions", "answers")]
        path = "" if self.images.path is None or not (self.images.path / folder).is_dir() else f"{folder}/"
        return [
            {
                "img": f"{path}{folder}_{field(row, 'image_id', at, kind=int):012d}.jpg",
                "dialog": _turns(row, at, *texts),
            }
            for number, row in enumerate(field(data, "dialogs", where, kind=list))
            for at in [f"{where}, dialogue {number}"]
        ]

    @cached_property
    def _names(self) -> list[str]:
        """The names of all images that are searched, each once."""
        asked = [image for image, _, _ in self._dialogues]
        if self._corpus is None:
            return list(dict.fromkeys(asked))
        listed = [
            check_name(self.images, name, str(self._corpus)) for name in _list(self._corpus, read_json(self._corpus))
        ]
        names = dict.fromkeys(listed)
        lost = [name for name in dict.fromkeys(asked) if name not in names]
        if lost:
            raise BenchmarkError(
                counted(len(lost), "image that dialogues ask for is", "images that dialogues ask for are")
                + " not in the search space",
                where=self._corpus,
                got=lost[0],
                hint="take dialogues and search space from one release",
            )
        return list(names)

    def candidates(self, corpus: str, split: str) -> Iterator[Candidate]:
        """Yield the images of the search space."""
        where = str(self._corpus or self.location)
        return (Candidate(name, image=image_file(self.images, name, where)) for name in self._names)

    def queries(self, task: str, split: str) -> Iterator[Query]:
        """Yield the dialogues, cut after as many rounds as the task has; a shorter one asks with all it has."""
        rounds = int(task.removeprefix("round"))
        for number, (image, turns, _) in enumerate(self._dialogues):
            text = self._separator.join(turns[: rounds + 1])
            yield Query(f"{number}:{image}", task, "", text=text, cluster=image)

    def judgements(self, task: str, split: str) -> Iterator[Judgement]:
        """Yield the image of each dialogue."""
        for number, (image, _, _) in enumerate(self._dialogues):
            yield Judgement(f"{number}:{image}", image, 1)


def _list(path: Path, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise BenchmarkError(
            "not a JSON list", where=path, got=type(value).__name__, accepted="a JSON list of dialogues"
        )
    return value


def _turns(row: Mapping[str, Any], where: str, questions: list[Any], answers: list[Any]) -> list[str]:
    """Return the caption and the rounds of a dialogue, whose questions and answers are numbers of texts.

    The last round of a dialogue of the test set has no answer.
    """
    made = [text_of(field(row, "caption", where), f"{where}, caption")]
    for turn in field(row, "dialog", where, kind=list):
        said = [_numbered(questions, turn, "question", where).rstrip(" ?") + "?"]
        if "answer" in turn:
            said.append(_numbered(answers, turn, "answer", where))
        made.append(" ".join(said))
    return made


def _numbered(texts: list[Any], turn: Mapping[str, Any], name: str, where: str) -> str:
    number = field(turn, name, f"{where}, dialog", kind=int)
    if not 0 <= number < len(texts):
        raise BenchmarkError(f"no such {name}", where=where, got=number, accepted=f"0 to {len(texts) - 1}")
    return text_of(texts[number], f"{where}, {name} {number}")
