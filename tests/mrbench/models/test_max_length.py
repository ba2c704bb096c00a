"""``--max-length``: adapters that take it cut texts there, say so, and are other models for caches and boards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tiny_benchmark import write_tiny
from tiny_mllms import write_qwen
from tiny_sentence_transformers import (
    PROMPTS,
    quiet,
    word_tokenizer,
    write_clip_model,
    write_routed_model,
    write_text_model,
)
from tiny_towers import WORDS
from vectors_alike import cosines

from mrbench.cli.app import main
from mrbench.encode.store import fingerprint
from mrbench.errors import InputError
from mrbench.evaluation.describe import describe
from mrbench.models.protocol import Item
from mrbench.models.zoo import load_model
from mrbench.results import model_key, read_result

LIMIT = 8
TEXTS = ["a a a a a a a a dog", "a a a a a a a a red", "a red dog"]


@pytest.fixture(scope="module", autouse=True)
def _quiet() -> None:
    quiet()


def embed(model: Any, texts: list[str] = TEXTS) -> Any:
    return model.embed_candidates([Item(text) for text in texts])


def check_cut(spec: str, texts: list[str] = TEXTS) -> Any:
    """Long texts that differ after the limit alone have one vector, short ones theirs; the result says why."""
    whole, cut = load_model(spec, device="cpu"), load_model(spec, device="cpu", max_length=LIMIT)
    one, other = embed(whole, texts), embed(cut, texts)
    assert cosines(one[:1], one[1:2])[0] < 1 - 1e-7
    assert cosines(other[:1], other[1:2])[0] > 1 - 1e-10
    assert cosines(one[2:], other[2:])[0] > 0.99999
    assert fingerprint(cut) != fingerprint(whole)
    assert cut.preprocessing != whole.preprocessing  # type: ignore[attr-defined]
    assert describe(cut)["text_limit"] == describe(cut)["max_text_length"] == LIMIT
    assert "text_limit" not in describe(whole)
    assert model_key(describe(cut)) != model_key(describe(whole))
    return cut


@pytest.mark.parametrize(("family", "own"), [("clip", 20), ("siglip", 12), ("siglip2", 12)])
def test_dual_encoders(family: str, own: int, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(family)
    texts = ["a a a a a a", "a a a a a", "a"] if family == "siglip2" else TEXTS  # whose tokenizer counts spaces
    cut = check_cut(f"hf:{folder}", texts)
    assert cut.cut_texts(texts).tolist() == [True, True, False]
    if family != "clip":  # trained on texts filled up to the whole length
        assert {len(tokens) for tokens in cut.prepare_texts(texts)} == {own}
    for wrong in (1 if family == "clip" else 0, own + 1):
        with pytest.raises(InputError, match=rf"too small|does not fit.*got: {wrong}; accepted: \d to {own} tokens"):
            load_model(f"hf:{folder}", max_length=wrong)


def test_a_cut_text_is_what_transformers_makes_of_it(clip: Path) -> None:
    model = load_model(f"hf:{clip}", device="cpu", max_length=LIMIT)
    given = {"truncation": True, "max_length": LIMIT, "return_tensors": "pt"}
    with torch.inference_mode():
        for text, vector in zip(TEXTS, embed(model), strict=True):
            expected = model.module.get_text_features(**model._tokenizer(text, **given)).pooler_output[0]
            np.testing.assert_allclose(vector, expected, atol=1e-5)


def test_sentence_transformers(tmp_path: Path, clip: Path) -> None:
    for folder in (
        write_text_model(tmp_path / "text", prompts=dict(PROMPTS)),
        write_clip_model(tmp_path / "clip", clip),
        write_routed_model(tmp_path / "routed"),
    ):
        check_cut(f"st:{folder}")
        own = SentenceTransformer(str(folder), device="cpu")
        own.max_seq_length = LIMIT
        model = load_model(f"st:{folder}", device="cpu", max_length=LIMIT)
        assert cosines(model.embed_queries([Item(text) for text in TEXTS], ""), own.encode_query(TEXTS)).min() > 0.9999
    with pytest.raises(InputError, match=r"does not take so long texts.*got: 30; accepted: 24"):
        load_model(f"st:{tmp_path / 'text'}", max_length=30)
    static = StaticEmbedding(word_tokenizer(WORDS, 24)._tokenizer, embedding_dim=4)
    SentenceTransformer(modules=[static], device="cpu").save(str(tmp_path / "static"))
    with pytest.raises(InputError, match="cut elsewhere"):
        load_model(f"st:{tmp_path / 'static'}", max_length=9)


def test_multimodal_language_models(tmp_path: Path) -> None:
    folder = write_qwen(tmp_path / "qwen", "qwen2_vl")
    model = load_model(f"mllm:{folder}@gme", device="cpu", max_length=60)
    assert describe(model)["text_limit"] == describe(model)["max_text_length"] == 60
    texts = ["two large dogs " * 30 + last for last in ("dog", "cats")]
    assert np.array_equal(*embed(model, texts))
    whole = load_model(f"mllm:{folder}@gme", device="cpu")
    assert cosines(*np.split(embed(whole, texts), 2))[0] < 0.99999
    assert fingerprint(whole) != fingerprint(model)
    with pytest.raises(InputError, match=r"does not fit the model.*got: 5; accepted: \d+ to \d+ tokens"):
        load_model(f"mllm:{folder}@gme", max_length=5)


def test_minilm_may_read_more_than_it_was_trained_with() -> None:
    check_cut("minilm")
    texts = ["a red dog " * 90 + last for last in ("dog", "moon")]
    assert cosines(*np.split(embed(load_model("minilm"), texts), 2))[0] > 0.9999999
    assert cosines(*np.split(embed(load_model("minilm", max_length=400), texts), 2))[0] < 0.99999
    with pytest.raises(InputError, match="accepted: 3 to 512 tokens"):
        load_model("minilm", max_length=513)


OWN = """
class Model:
    name, revision, dimension = "own", "1", 2
    modalities, device, dtype = frozenset({"text"}), "cpu", "float32"

    def __init__(self%s):
        self.limit = max_length if %s else None

    def embed_queries(self, items, instruction):
        return self.embed_candidates(items)

    def embed_candidates(self, items):
        import numpy as np
        return np.array([[1, len(item.text.split()[: self.limit])] for item in items], dtype=np.float32)
"""


def test_an_object_of_ones_own_takes_it_or_says_that_it_does_not(tmp_path: Path) -> None:
    (tmp_path / "takes.py").write_text(OWN % (", max_length=None", "True"))
    (tmp_path / "lacks.py").write_text(OWN % ("", "False"))
    model = load_model(f"py:{tmp_path / 'takes.py'}:Model", max_length=3)
    assert embed(model)[:, 1].tolist() == [3, 3, 3]
    assert fingerprint(model) != fingerprint(load_model(f"py:{tmp_path / 'takes.py'}:Model"))
    with pytest.raises(InputError, match="the object takes no max_length"):
        load_model(f"py:{tmp_path / 'lacks.py'}:Model", max_length=3)


@pytest.mark.parametrize("spec", ["random", "colour-histogram", "vectors:x", "openai:http://x#m", "timm:x"])
def test_an_adapter_that_cannot_cut_texts_says_so_in_one_line(spec: str) -> None:
    with pytest.raises(InputError, match=r"the model takes no --max-length; where: .*; got: 9") as caught:
        load_model(spec, max_length=9)
    assert "\n" not in str(caught.value)


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in words])
    return int(stopped.value.code or 0)


@pytest.mark.slow
def test_the_commands_take_it_and_two_lengths_are_two_models(
    tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    benchmark = write_tiny(tmp_path / "tiny").folder
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models.yaml").write_text(
        yaml.safe_dump([{"model": f"hf:{clip}", "max_length": length} for length in (6, 9)] + [f"hf:{clip}"])
    )
    words = ("evaluate", benchmark, "--models", "models.yaml", "--output", "out", "--task", "t2i")
    assert run(*words) == 0
    folders = sorted(path.parent for path in Path("out").rglob("result.json"))
    assert [folder.name.rpartition("-")[2] for folder in folders].count("tokens") == 2
    results = [read_result(folder / "result.json") for folder in folders]
    assert sorted(result.model.get("text_limit", 0) for result in results) == [0, 6, 9]
    assert ["--max-length 6" in result.command for result in results].count(True) == 1
    assert run("leaderboard", "build", "out", "--output", "board") == 0
    capfd.readouterr()
    said = Path("board/leaderboard.md").read_text()
    assert {part in said for part in ("texts of 6 tokens", "texts of 9 tokens", "whole texts")} == {True}
    assert run(*words, "--skip-existing") == 0
    assert capfd.readouterr().err.count("skipped") == 3
    one = next(folder for folder in folders if "-6-tokens" in folder.name)
    assert run("evaluate", benchmark, "--model", f"hf:{clip}", "--output", one, "--max-length", 9) == 2
    assert "the result of another model" in capfd.readouterr().err
    assert run("models", "check", f"hf:{clip}", "--max-length", 9, "--json") == 0
    assert json.loads(capfd.readouterr().out)["model"]["text_limit"] == 9
