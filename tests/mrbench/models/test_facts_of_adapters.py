"""What each adapter states of a model: in results, and in `mrbench models show`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from embedding_server import serving
from test_families import two_towers
from tiny_mllms import write_llava_next, write_qwen
from tiny_sentence_transformers import PROMPTS, quiet, write_clip_model, write_text_model

from mrbench.cli.app import main
from mrbench.errors import ModelError
from mrbench.evaluation.describe import describe
from mrbench.models.zoo import load_model

CARD = "---\nlicense: apache-2.0\n---\n"


@pytest.fixture(scope="module", autouse=True)
def _quiet() -> None:
    quiet()


def facts(spec: str, **options: Any) -> dict[str, Any]:
    return describe(load_model(spec, device="cpu", **options))


def carded(folder: Path) -> Path:
    (folder / "README.md").write_text(CARD)
    return folder


def number_of_weights(model: Any) -> int:
    return sum(weight.numel() for weight in model.module.parameters())


def test_towers_state_all(tmp_path: Path) -> None:
    folder = carded(two_towers(tmp_path / "towers"))
    said = facts(f"hf:{folder}")
    assert (said["licence"], said["image_size"], said["max_text_length"]) == ("apache-2.0", "32x32", 24)
    assert (said["template"], said["dtype"], said["dimension"], said["remote_code"]) == ("{text}", "float32", 16, False)
    assert said["parameter_count"] == number_of_weights(load_model(f"hf:{folder}"))


def test_sentence_transformers_state_prompts_and_size(tmp_path: Path, clip: Path) -> None:
    folder = carded(write_text_model(tmp_path / "text", prompts=dict(PROMPTS)))
    said = facts(f"st:{folder}")
    assert said["template"] == "query: red cats {text}; candidate: two {text}"
    assert (said["licence"], said["max_text_length"], said["dtype"]) == ("apache-2.0", 24, "float32")
    assert "image_size" not in said
    assert facts(f"st:{folder}?query=find {{instruction}}: ")["template"].startswith(
        "query: find {instruction}: {text};"
    )
    shown = facts(f"st:{write_clip_model(tmp_path / 'clip', clip)}")
    assert (shown["image_size"], shown["max_text_length"]) == ("32x32", 20)


def test_leave_to_run_code_is_no_code_that_ran(tmp_path: Path) -> None:
    folder = write_text_model(tmp_path / "text")
    assert facts(f"st:{folder}", trust_remote_code=True)["remote_code"] is False
    (folder / "own.py").write_text("from sentence_transformers.sentence_transformer.modules import Normalize as Own\n")
    modules = json.loads((folder / "modules.json").read_text())
    (folder / "modules.json").write_text(json.dumps([*modules[:-1], modules[-1] | {"type": "own.Own"}]))
    assert facts(f"st:{folder}", trust_remote_code=True)["remote_code"] is True


def test_multimodal_language_models_state_template_and_size(tmp_path: Path) -> None:
    said = facts(f"mllm:{carded(write_qwen(tmp_path / 'qwen', 'qwen2_vl'))}@gme")
    assert (said["template"], said["image_size"], said["licence"]) == ("gme", "at most 1003520 pixels", "apache-2.0")
    assert said["max_text_length"] == 1800
    assert said["parameter_count"] > 1000
    said = facts(f"mllm:{tmp_path / 'qwen'}@unime-v2")
    assert said["image_size"] == "1344x1344"
    assert said["max_text_length"] > 0
    assert "image_size" not in facts(f"mllm:{write_llava_next(tmp_path / 'llava')}@e5-v")  # which varies with its shape


def test_models_of_mteb_state_what_they_are_made_of() -> None:
    said = facts("mteb:mteb/baseline-random-encoder")
    assert said["dtype"] == "unknown"  # no network
    assert said["template"] == "MTEB's own"


def test_what_comes_with_the_package_is_stated() -> None:
    said = facts("conse")
    texts, images = facts("minilm"), facts("efficientnet-lite0")
    assert said["parameter_count"] == texts["parameter_count"] + images["parameter_count"]
    assert texts["parameter_count"] == 22_713_216
    assert (said["max_text_length"], said["image_size"], texts["licence"]) == (256, "224x224", "apache-2.0")


def test_a_server_states_its_templates() -> None:
    with serving() as server:
        said = facts(f"openai:{server.url}#org/model?images=messages&system={{instruction}}&query=find {{text}}")
    assert said["template"] == "query: find {text}; candidate: {text}; system: {instruction}"


def test_show_says_that_a_url_is_stored(capsys: pytest.CaptureFixture[str]) -> None:
    with serving() as server, pytest.raises(SystemExit) as done:
        main(["models", "show", f"openai:{server.url}#org/m"])
    assert done.value.code == 0
    said = capsys.readouterr().out
    assert re.search(r"revision +http://127\.0\.0\.1:\d+/v1#org/m\n", said)
    assert re.search(r"remark +results and messages hold the whole URL, its path too", said)


def test_vectors_of_elsewhere_state_what_their_settings_say(tmp_path: Path) -> None:
    np.save(tmp_path / "corpus-text.npy", np.ones((1, 3), dtype=np.float32))
    (tmp_path / "corpus-text.ids.txt").write_text("a")
    stated = {
        "licence": "mit",
        "template": "{text}",
        "image_size": "224x224",
        "parameter_count": 7,
        "max_text_length": 9,
    }
    (tmp_path / "model.json").write_text(json.dumps({"name": "mine", **stated}))
    said = facts(f"vectors:{tmp_path}")
    assert {name: said[name] for name in stated} == stated
    (tmp_path / "model.json").write_text(json.dumps({"parameter_count": "many"}))
    with pytest.raises(ModelError, match=r"malformed setting; .*parameter_count; got: 'many'; accepted: a whole"):
        load_model(f"vectors:{tmp_path}")


def test_show_prints_what_a_result_would_hold(clip: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["models", "show", f"hf:{clip}"])
    shown = dict(line.split(None, 1) for line in capfd.readouterr().out.splitlines())
    said = facts(f"hf:{clip}")
    assert {name: shown[name] for name in said if name != "modalities"} == {
        name: str(value) or "none" for name, value in said.items() if name != "modalities"
    }
