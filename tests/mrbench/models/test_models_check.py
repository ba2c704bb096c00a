"""`mrbench models check`: every fault that it looks for, planted."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mrbench.cli.app import main
from mrbench.errors import ModelError
from mrbench.models import check
from mrbench.models.check import check_model, compare
from mrbench.models.protocol import Item
from mrbench.models.zoo import load_model
from mrbench.records import MODALITIES


@pytest.fixture(autouse=True)
def _few_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "_LONG", 64)
    monkeypatch.setattr(check, "_TIMED", 4)


def vector(*parts: object) -> Any:
    seed = int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8], "big")
    return np.random.default_rng(seed).standard_normal(8)


X = vector("x")


def seen(item: Item) -> Any:
    return hashlib.sha256(item.image.tobytes()).hexdigest() if item.image is not None else None


class Sound:
    """Vectors that the content of each half decides, added up."""

    name, revision, dimension = "sound", "1", 8
    modalities, device, dtype = frozenset(MODALITIES), "cpu", "float32"
    symmetric = additive = True

    def embed_queries(self, items: Sequence[Item], instruction: str) -> Any:
        return self.embed_candidates(items)

    def embed_candidates(self, items: Sequence[Item]) -> Any:
        return np.array([self.embed(item, row) for row, item in enumerate(items)], dtype=np.float32)

    def embed(self, item: Item, row: int) -> Any:
        text = vector("text", item.text) if item.text is not None else 0
        return text + (vector("image", seen(item)) if item.image is not None else 0)


def failed(model: Any) -> dict[str, str]:
    return {finding.check: finding.detail for finding in check_model(model) if finding.status == "FAIL"}


def test_a_sound_model_passes() -> None:
    findings = check_model(Sound())
    assert {finding.status for finding in findings} == {"PASS", "NOTE"}
    said = {finding.check: finding.detail for finding in findings}
    assert said["text: 64 words"] == "the end of the longest text is seen"
    assert "is ignored" in said["queries: the instruction changes the vector"]
    assert len(findings) > 30


@pytest.mark.slow
def test_the_zoo_passes() -> None:
    assert failed(load_model("random")) == {}
    assert set(failed(load_model("colour-histogram"))) == set()


def planted(change: Callable[[Any, Item, int], Any]) -> Any:
    model = Sound()
    sound = model.embed
    model.embed = lambda item, row: change(sound, item, row)  # type: ignore[method-assign]
    return model


def drifting() -> Any:
    calls = iter(range(10**6))
    return planted(lambda sound, item, row: sound(item, row) + 0.5 * vector(next(calls)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "checks"),
    [
        (
            planted(lambda sound, item, row: sound(item, row) + row * vector("x")),
            ["text: the same in a batch and alone"],
        ),
        (planted(lambda sound, item, row: sound(item, row) + row * vector("x")), ["image: the same in another order"]),
        (drifting(), ["text: the same twice", "image: the same twice", "image and text: the same twice"]),
        (planted(lambda sound, item, row: sound(item, row) * (np.nan if item.text == "" else 1)), ["text: empty"]),
        (planted(lambda sound, item, row: sound(item, row) * (item.text != "")), ["text: empty"]),
        (
            planted(lambda sound, item, row: sound(Item(None, item.image) if item.image is not None else item, row)),
            ["image and text: the text changes the vector", "image and text: the sum of both"],
        ),
        (
            planted(lambda sound, item, row: sound(Item(item.text) if item.text is not None else item, row)),
            ["image and text: the picture changes the vector", "image and text: the sum of both"],
        ),
        (planted(lambda sound, item, row: vector(1)), ["text: content changes the vector"]),
        (
            planted(lambda sound, item, row: sound(item, row) if getattr(item.image, "width", 9) < 3000 else 1 / 0),
            ["image: 4000 x 3000"],
        ),
        (planted(lambda sound, item, row: sound(item, row)[:5]), ["text: vectors", "image: 1 x 1"]),
    ],
    ids=["batch", "order", "drift", "NaN", "zero", "text lost", "picture lost", "constant", "huge", "dimension"],
)
def test_a_planted_fault_is_found(model: Any, checks: list[str]) -> None:
    found = failed(model)
    assert set(checks) <= set(found)
    if checks[0] in ("text: empty", "image: 4000 x 3000"):
        assert set(found) == set(checks)


def test_what_is_raised_is_one_line() -> None:
    def raising(sound: Any, item: Item, row: int) -> Any:
        raise ValueError("two\nlines")

    said = failed(planted(raising))["text: vectors"]
    assert said.startswith("the code of the model raises ValueError: two lines; where: sound, ")
    assert re.search(r"test_models_check\.py:\d+; next: --debug shows where$", said)


class Listening(Sound):
    def embed_queries(self, items: Sequence[Item], instruction: str) -> Any:
        return self.embed_candidates(items) + vector(instruction)


@pytest.mark.slow
def test_a_model_that_listens_must_not_say_symmetric() -> None:
    found = failed(Listening())
    assert set(found) == {"queries: the instruction changes the vector", "queries and candidates differ"}
    assert "caches would mix them up" in found["queries and candidates differ"]
    honest = Listening()
    honest.symmetric = False
    assert failed(honest) == {}
    said = {finding.check: finding for finding in check_model(honest)}
    assert said["queries: the instruction changes the vector"].detail.startswith("yes")


def test_where_texts_are_cut_is_told() -> None:
    model = planted(lambda sound, item, row: vector(" ".join((item.text or "").split(" ")[:20]), seen(item)))
    model.additive = False
    said = {finding.check: finding.detail for finding in check_model(model)}
    assert said["text: 64 words"] == "cut after about 20 words"


def test_scripts_that_a_model_does_not_know_are_told() -> None:
    model = planted(lambda sound, item, row: vector((item.text or "").encode("ascii", "replace")[:1], seen(item)))
    model.additive = False
    said = {finding.check: finding for finding in check_model(model)}["text: other scripts"]
    assert (said.status, said.detail) == ("NOTE", "no difference within Cyrillic, Chinese, Arabic, emoji")


def test_two_models_are_compared_vector_by_vector() -> None:
    scaled = planted(lambda sound, item, row: 3 * sound(item, row))
    assert {finding.status for finding in compare(Sound(), scaled)} == {"PASS"}
    other = planted(lambda sound, item, row: sound(item, row) + (vector("x") if item.image is not None else 0))
    found = {finding.check: finding.status for finding in compare(Sound(), other)}
    assert found["text: queries"] == found["text: candidates"] == "PASS"
    assert found["image: queries"] == found["image and text: candidates"] == "FAIL"
    text = Sound()
    text.modalities = frozenset({"text"})
    assert {f.check: f.status for f in compare(Sound(), text)}["modalities"] == "FAIL"
    short = planted(lambda sound, item, row: sound(item, row)[:5])
    short.dimension = 5
    assert "dimension 8 against 5" in compare(Sound(), short)[0].detail


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(["models", *words])
    return int(stopped.value.code or 0)


@pytest.mark.slow
def test_the_commands(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run("check", "random") == 0
    assert "PASS  text: the same twice" in capfd.readouterr().out
    assert run("check", "constant", "--json") == 2
    said = capfd.readouterr()
    report = json.loads(said.out)
    assert report["model"]["name"] == "constant"
    assert not report["passed"]
    assert {"FAIL"} == {f["status"] for f in report["findings"] if f["check"] == "text: content changes the vector"}
    assert "checks failed" in said.err
    assert run("check", "random", "--against", "random") == 0
    assert run("check", "random", "--against", "constant") == 2
    capfd.readouterr()
    assert run("show", "colour-histogram", "--json") == 0
    shown = json.loads(capfd.readouterr().out)
    assert (shown["name"], shown["modalities"]) == ("colour-histogram", ["image"])
    assert run("show", "random") == 0
    assert re.search(r"^modalities +image; image,text; text$", capfd.readouterr().out, re.MULTILINE)
    assert run() == 0
    assert "py:MODULE:OBJECT" in capfd.readouterr().out


def test_vectors_by_id_cannot_be_tried(tmp_path: Path) -> None:
    np.save(tmp_path / "corpus-text.npy", np.ones((1, 3), dtype=np.float32))
    (tmp_path / "corpus-text.ids.txt").write_text("a")
    model = load_model(f"vectors:{tmp_path}")
    assert "can embed nothing new" in failed(model)["text: vectors"]
    with pytest.raises(ModelError):
        model.embed_queries([Item("a")], "")
