"""A model that says what photos show: a caption of each, kept in a file that people read and edit."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from mrbench.benchmark import decode
from mrbench.errors import ModelError
from mrbench.files import output_error
from mrbench.judge.asking import TRIES, answer, each
from mrbench.judge.chat import NoReplyError
from mrbench.judge.model_judge import UNANSWERED, ModelJudge
from mrbench.judge.prompt import describing_messages, once_more_caption, read_caption
from mrbench.records import AnyImage


class Describer:
    """Asks the model of a judge for captions, and writes each at once as a line ``{"id", "text"}``.

    Args:
        judge: Whose model is asked, and whose tally counts.
        path: The file.
        known: Captions that are there already, by id; they are not asked for.
    """

    def __init__(self, judge: ModelJudge, path: Path, known: Mapping[str, str]) -> None:
        self._judge, self._path, self._known = judge, path, dict(known)
        self._lock = threading.Lock()
        self._without = 0
        self._asked = 0

    def describe(self, pictures: Sequence[tuple[str, AnyImage]]) -> dict[str, str]:
        """Return a caption of each picture by its id; those that the model does not describe are left out.

        Raises:
            ModelError: The model cannot be reached, or does not describe more than one picture in fifty.
            OutputError: A caption cannot be written. Those before it are kept.
        """
        new = [(name, image) for name, image in pictures if name not in self._known]
        self._asked += len(new)
        each(self._judge.chat, new, self._describe, doing="describing")
        return {name: self._known[name] for name, _ in pictures if name in self._known}

    def _describe(self, named: tuple[str, AnyImage]) -> None:
        name, image = named
        first = describing_messages(decode(image, where=name))
        tally = self._judge.tally
        try:
            caption, fault = answer(
                self._judge.chat, first, read_caption, lambda *told: once_more_caption(first, *told), tally
            )
        except NoReplyError as error:
            caption, fault = None, str(error)
        with self._lock:
            if caption is None:
                self._without += 1
                self._stop_where_too_many(name, fault)
                return
            self._write(name, caption)
            self._known[name] = caption
        with tally.lock:
            tally.asked += 1

    def _stop_where_too_many(self, name: str, fault: str) -> None:
        if self._without > UNANSWERED * self._asked:
            raise ModelError(
                f"the model does not describe photos as it was asked, {TRIES} times: {fault}",
                where=f"{self._judge.name}, {name}",
                accepted='{"caption": "Two brown dogs run across a sandy beach."}',
                hint=f"take a model that follows instructions; captions so far are kept in {self._path}",
            )

    def _write(self, name: str, caption: str) -> None:
        data = (json.dumps({"id": name, "text": caption}, ensure_ascii=False) + "\n").encode()
        try:
            with self._path.open("ab", buffering=0) as stream:
                end = stream.seek(0, os.SEEK_END)
                try:
                    left = memoryview(data)
                    while left:
                        left = left[stream.write(left) :]
                except OSError:
                    os.ftruncate(stream.fileno(), end)
                    raise
        except OSError as error:
            raise output_error(error, self._path) from error
