"""What decides vectors beside the checkpoint is part of which model a result is of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tiny_mllms import write_qwen
from tiny_sentence_transformers import quiet, write_clip_model

from mrbench.benchmark import Benchmark
from mrbench.cli.app import main
from mrbench.comparison import compare
from mrbench.evaluation.describe import describe
from mrbench.leaderboard import read_results
from mrbench.leaderboard.standings import boards
from mrbench.models.zoo import load_model
from mrbench.results import model_key

OWN = """
import numpy as np

class Mean:
    name, revision, dimension = "mean", "1", 3
    modalities, device, dtype = frozenset({"image"}), "cpu", "float32"

    def embed_queries(self, items, instruction):
        return self.embed_candidates(items)

    def embed_candidates(self, items):
        return np.stack([np.asarray(item.image, dtype=np.float32).mean((0, 1)) for item in items])
"""


@pytest.fixture(scope="module", autouse=True)
def _quiet() -> None:
    quiet()


@pytest.fixture
def run(tiny: Benchmark, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)

    def call(*words: str, task: str = "i2i") -> tuple[int, str]:
        with pytest.raises(SystemExit) as stopped:
            main(["evaluate", str(tiny.folder), "--task", task, "--device", "cpu", *words])
        said = capfd.readouterr()
        return int(stopped.value.code or 0), said.out + said.err

    return call


def without_variant(path: Path) -> None:
    """Make a result one of before."""
    said = json.loads(path.read_text())
    for name in ("variant", "seed", "source"):
        said["model"].pop(name, None)
    path.write_text(json.dumps(said))


@pytest.mark.slow
def test_options_of_a_spec_make_another_model(run: Any, tmp_path: Path, clip: Path) -> None:
    folder = write_clip_model(tmp_path / "texts", clip)
    specs = [f"st:{folder}", f"st:{folder}?dimension=4", f"st:{folder}?query=find: ", f"st:{folder}?dimension=5"]
    (tmp_path / "models.yaml").write_text(json.dumps(specs))
    code, said = run("--models", "models.yaml", task="t2i")
    assert code == 0, said
    found = sorted(Path("results/tiny").iterdir())
    assert len(found) == 4
    results = read_results("results")
    assert len({model_key(result.model) for result in results}) == 4
    labels = {row.label for row in boards(results)[0].rows}
    assert labels == {f"texts ({part})" for part in ("no options", "dimension=4", "dimension=5", "query=find:")}
    assert {
        name.rpartition(" (")[2] for pair in compare(*results, resamples=10) for name in (pair.first, pair.second)
    } == {
        "no options)",
        "dimension=4)",
        "dimension=5)",
        "query=find:)",
    }


def test_the_result_of_other_options_is_not_skipped(run: Any, tmp_path: Path, clip: Path) -> None:
    folder = write_clip_model(tmp_path / "texts", clip)
    words = ("--output", "out", "--skip-existing")
    assert run("-m", f"st:{folder}", *words, task="t2i")[0] == 0
    for option in ("dimension=4", "query=find: "):
        code, said = run("-m", f"st:{folder}?{option}", *words, task="t2i")
        assert code == 2
        assert "the output folder holds the result of another model" in said
    without_variant(Path("out/result.json"))
    assert "skipped" in run("-m", f"st:{folder}", *words, task="t2i")[1]  # one of before is still its own
    for option in ("dimension=4", "query=find: "):
        assert run("-m", f"st:{folder}?{option}", *words, task="t2i")[0] == 2


def test_another_seed_of_a_model_that_draws(run: Any) -> None:
    words = ("-m", "random", "--output", "out", "--skip-existing")
    assert run(*words, "--seed", "1")[0] == 0
    assert "skipped" in run(*words, "--seed", "1")[1]
    assert run(*words, "--seed", "2")[0] == 2
    constant = [describe(load_model("constant", seed=seed)) for seed in (1, 2)]
    assert model_key(constant[0]) == model_key(constant[1])


def test_an_edited_file_of_code(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "own_variant.py"
    file.write_text(OWN)
    words = ("-m", "py:own_variant.py:Mean", "--skip-existing")
    assert run(*words)[0] == 0
    assert "skipped" in run(*words)[1]
    file.write_text(OWN.replace(".mean((0, 1))", ".max((0, 1))"))
    code, said = run(*words)
    assert code == 2
    assert "choose another --output or --name" in said
    without_variant(next(Path("results").rglob("result.json")))
    assert "skipped" in run(*words)[1]  # one of before does not say


def test_the_template_that_was_asked_for(tmp_path: Path) -> None:
    folder = write_qwen(tmp_path / "qwen", "qwen2_vl")
    keys = [model_key(describe(load_model(f"mllm:{folder}@{name}", device="cpu"))) for name in ("gme", "unime-v2")]
    assert keys[0][:4] == keys[1][:4]
    assert keys[0][4].startswith("template gme ")
    assert keys[1][4].startswith("template unime-v2 ")


def test_two_models_of_one_folder_are_told_how_to_part(run: Any, tmp_path: Path) -> None:
    (tmp_path / "own_variant.py").write_text(OWN + "\nclass Other(Mean):\n    pass\n")
    code, said = run("-m", "py:own_variant.py:Mean", "-m", "py:own_variant.py:Other")
    assert code == 2
    assert "two models have one folder" in said
    assert "--name" in said
