"""The file of a model's verdicts: JSON Lines that people read and edit, and that an interrupted run goes on from."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mrbench.errors import InputError
from mrbench.files import canonical_json, output_error
from mrbench.grains import Grain
from mrbench.judge.verdicts import KEPT, UNKNOWN, VIOLATED

try:
    import fcntl
except ImportError:  # not on Windows: there two runs may write one file
    fcntl = None  # type: ignore[assignment]

_ANSWERS = (KEPT, VIOLATED, UNKNOWN)
_ACCEPTED = (
    '{"query", "grains": [{"type", "value", "start", "end", "answer": kept, violated or unknown}], "candidate": '
    '{"id", "texts", "image"}, "judge", "prompt"}'
)


@dataclass(frozen=True, slots=True)
class Question:
    """What a verdict answers.

    Attributes:
        query: The query.
        grains: Its grains.
        candidate: Id of the candidate; empty where only its texts are known.
        texts: Its texts.
        image: Digest of the pixels of its photo; empty where the judge is shown none.
        judge: Name of the judge.
        prompt: Version of the prompt.
    """

    query: str
    grains: tuple[Grain, ...]
    candidate: str
    texts: tuple[str, ...]
    image: str
    judge: str
    prompt: str

    @property
    def key(self) -> str:
        """Digest of everything that the model is asked; the candidate's id is not."""
        grains = [[g.type, g.value, g.start, g.end] for g in self.grains]
        return _key(self.query, grains, self.texts, self.image, self.judge, self.prompt)

    def line(self, answers: Sequence[str]) -> str:
        """Return the line of the file."""
        grains = [g.to_json() | {"answer": answer} for g, answer in zip(self.grains, answers, strict=True)]
        candidate = {"id": self.candidate, "texts": list(self.texts), "image": self.image}
        record = {"query": self.query, "grains": grains, "candidate": candidate}
        return json.dumps(record | {"judge": self.judge, "prompt": self.prompt}, ensure_ascii=False)


class VerdictFile:
    """Verdicts of models, each a line. They are written one by one, as they come.

    A line may be edited: its ``answer`` then counts. Of two lines on one question the later one counts. A last line
    that a killed run left half-written is dropped. A full disk leaves whole lines only.

    Args:
        path: The file; it is made when the first verdict is written.

    Raises:
        InputError: A line is malformed, or another run writes the file.
        OutputError: The file cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._stream: Any = None
        self._end = 0
        self._of: dict[str, tuple[str, ...]] = {}
        if os.path.lexists(path):
            self._open()
            try:
                self._read()
            except BaseException:
                self.close()
                raise

    def keys(self) -> frozenset[str]:
        """Return the keys of all questions that have a verdict."""
        return frozenset(self._of)

    def get(self, question: Question) -> tuple[str, ...] | None:
        """Return the answers to a question, one for each grain; None where there are none."""
        return self._of.get(question.key)

    def add(self, question: Question, answers: Sequence[str]) -> None:
        """Write a verdict: a whole line, or nothing.

        Raises:
            OutputError: The disk is full, or the file cannot be written.
        """
        data = (question.line(answers) + "\n").encode()
        with self._lock:
            if self._stream is None:
                self._open()
            try:
                self._append(data)
            except OSError as error:
                raise output_error(error, self.path) from error
            self._of[question.key] = tuple(answers)

    def close(self) -> None:
        """Close the file; what was written is then on the disk."""
        with self._lock:
            if self._stream is not None:
                try:
                    os.fsync(self._stream.fileno())
                except OSError as error:
                    raise output_error(error, self.path) from error
                finally:
                    self._stream.close()
                    self._stream = None

    def _append(self, data: bytes) -> None:
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(self._stream.fileno(), left) :]
        except OSError:
            os.ftruncate(self._stream.fileno(), self._end)
            os.lseek(self._stream.fileno(), self._end, os.SEEK_SET)
            raise
        self._end += len(data)

    def _open(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
            self._stream = os.fdopen(handle, "r+b", buffering=0)
        except OSError as error:
            raise output_error(error, self.path) from error
        if fcntl is not None:
            try:
                fcntl.flock(self._stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                self._stream.close()
                hint = "wait for it, or name another file with --verdicts"
                raise InputError("another run writes the file of verdicts", where=self.path, hint=hint) from error

    def _read(self) -> None:
        content = self._stream.read()
        lines = content.split(b"\n")
        for number, line in enumerate(lines[:-1], start=1):
            if line.strip():
                self._take(line, f"{self.path}:{number}")
        self._end = len(content) - len(lines[-1])
        if lines[-1].strip() and _whole(lines[-1]):  # an editor that ends no line
            self._take(lines[-1], f"{self.path}:{len(lines)}")
            self._end = len(content)
            os.lseek(self._stream.fileno(), self._end, os.SEEK_SET)
            self._append(b"\n")
        else:
            os.ftruncate(self._stream.fileno(), self._end)
            os.lseek(self._stream.fileno(), self._end, os.SEEK_SET)

    def _take(self, line: bytes, where: str) -> None:
        try:
            record = json.loads(line)
            grains = [[g["type"], g["value"], g["start"], g["end"]] for g in record["grains"]]
            said = tuple(g["answer"] for g in record["grains"])
            candidate = record["candidate"]
            texts, image = tuple(candidate["texts"]), candidate["image"]
            key = _key(record["query"], grains, texts, image, record["judge"], record["prompt"])
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            got = f"{type(error).__name__}: {error}"
            hint = "correct the line, or delete it: its question is then asked again"
            raise InputError("not a line of verdicts", where=where, got=got, accepted=_ACCEPTED, hint=hint) from error
        wrong = next((answer for answer in said if answer not in _ANSWERS), None)
        if wrong is not None or None in said:
            hint = "correct the line, or delete it: its question is then asked again"
            raise InputError("no verdict", where=where, got=wrong, accepted=", ".join(_ANSWERS), hint=hint)
        self._of[key] = said


def _whole(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _key(query: Any, grains: Any, texts: Any, image: Any, judge: Any, prompt: Any) -> str:
    return hashlib.sha256(canonical_json([query, grains, list(texts), image, judge, prompt]).encode()).hexdigest()
