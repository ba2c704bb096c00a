"""Several models in one command: `--model` again and again, or a YAML file."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from mrbench.benchmark import Benchmark
from mrbench.cli.app import main
from mrbench.cli.model_choices import ModelChoice, chosen
from mrbench.errors import InputError

OWN = """
import numpy as np

class Mean:
    name, revision, dimension = "mean", "1", 3
    modalities, device, dtype = frozenset({"image"}), "cpu", "float32"

    def embed_queries(self, items, instruction):
        return self.embed_candidates(items)

    def embed_candidates(self, items):
        return np.stack([np.asarray(item.image, dtype=np.float32).mean((0, 1)) for item in items])

class Other(Mean):
    revision = "2"

class Sized(Mean):
    def __init__(self, dtype="float32"):
        self.dtype = dtype

class Faulty(Mean):
    name = "faulty"

    def embed_candidates(self, items):
        raise RuntimeError("wires crossed")
"""


@pytest.fixture
def run(tiny: Benchmark, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run `mrbench evaluate` in an empty folder, and return exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(OWN)

    def call(*words: str, task: str = "i2i") -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stopped:
            main(["evaluate", str(tiny.folder), "--task", task, *words])
        said = capfd.readouterr()
        return int(stopped.value.code or 0), said.out, said.err

    return call


def results(folder: str = "results/tiny") -> dict[str, dict[str, Any]]:
    """The models of the results in a folder, by folder."""
    found = {path.parent.name: json.loads(path.read_text()) for path in Path(folder).glob("*/result.json")}
    return {name: result["model"] | {"command": result["command"]} for name, result in found.items()}


def test_models_are_evaluated_in_order(run: Any, tiny: Benchmark) -> None:
    code, out, err = run("-m", "constant", "-m", "py:own.py:Mean")
    assert code == 0, err
    assert [line.split(" on ")[0] for line in out.splitlines() if " on Tiny" in line] == ["constant", "mean"]
    assert sorted(results()) == ["constant", "mean-1"]
    said = results()["constant"]["command"]
    assert said.startswith(f"mrbench evaluate {tiny.folder} --model constant --seed 0")
    assert "own.py" not in said


def test_one_that_fails_does_not_stop_the_others(run: Any) -> None:
    words = ("-m", "no-such-model", "-m", "py:own.py:Faulty", "-m", "constant", "--json")
    code, out, err = run(*words)
    assert code == 2
    assert sorted(results()) == ["constant"]
    assert "error: no-such-model: unknown model" in err
    line = 1 + OWN.splitlines().index('        raise RuntimeError("wires crossed")')
    place = f"{Path('own.py').resolve()}:{line}"
    raised = "the code of the model raises RuntimeError: wires crossed"
    assert f"error: py:own.py:Faulty: {raised}; where: faulty, {place}" in err
    assert "Traceback" not in err
    assert "error: 2 of 3 models failed: no-such-model, py:own.py:Faulty" in err
    said = json.loads(out)
    assert [entry["status"] for entry in said] == ["failed", "failed", "scored"]
    assert said[2]["result"]["model"]["name"] == "constant"


def test_a_single_model_fails_as_ever(run: Any) -> None:
    code, out, err = run("-m", "no-such-model", "--json")
    assert (code, out) == (2, "")
    assert err.startswith("error: unknown model")


@pytest.mark.parametrize("side", ["candidates", "queries"])
def test_the_code_of_a_single_model_that_raises(run: Any, side: str) -> None:
    own = OWN.replace("def embed_candidates(self, items):\n        raise", "def fail(self):\n        raise")
    own += f"    def embed_{side}(self, items{', instruction' if side == 'queries' else ''}):\n"
    own += "        return np.broadcast_to(np.zeros(3), (2, 2))\n"
    Path("own.py").write_text(own)
    code, out, err = run("-m", "py:own.py:Faulty")
    assert (code, out) == (2, "")
    said = [line for line in err.splitlines() if line.startswith("error: ")]
    place = f"{Path('own.py').resolve()}:{len(own.splitlines())}"  # not a line of the library that it calls
    assert len(said) == 1
    assert said[0].startswith("error: the code of the model raises ValueError: ")
    assert said[0].endswith(f"; where: faulty, {place}; next: --debug shows where")
    assert "Traceback" not in err


def test_a_name_in_results_and_folder(run: Any) -> None:
    assert run("-m", "py:own.py:Mean", "--name", "my mean")[0] == 0
    assert list(results()) == ["my-mean"]
    assert results()["my-mean"]["name"] == "my mean"
    assert "--name 'my mean'" in results()["my-mean"]["command"]


def test_two_dtypes_under_one_name_have_folders_of_their_own(run: Any) -> None:
    words = ("-m", "py:own.py:Sized", "--name", "mean")
    for dtype in ((), ("--dtype", "bfloat16"), ("--dtype", "float16")):
        code, _, err = run(*words, *dtype)
        assert code == 0, err
    assert {name: said["dtype"] for name, said in results().items()} == {
        "mean": "float32",
        "mean-bfloat16": "bfloat16",
        "mean-float16": "float16",
    }
    with pytest.raises(SystemExit):
        main(["leaderboard", "build", "results", "--output", "board"])
    with Path("board/leaderboard.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert {(row["model"], row["dtype"]) for row in rows} == {("mean", f) for f in ("float32", "float16", "bfloat16")}


def test_another_model_is_not_replaced(run: Any) -> None:
    assert run("-m", "py:own.py:Mean", "-o", "r")[0] == 0
    code, _, err = run("-m", "py:own.py:Other", "-o", "r")
    assert code == 2
    assert "holds the result of another model" in err
    assert "--overwrite" not in err


@pytest.mark.slow
def test_skip_existing(run: Any) -> None:
    assert run("-m", "constant", "-m", "py:own.py:Mean")[0] == 0
    before = {path: path.stat().st_mtime_ns for path in Path("results").rglob("result.json")}
    code, out, err = run("-m", "constant", "-m", "py:own.py:Mean", "-m", "random", "--skip-existing")
    assert code == 0, err
    assert "constant: skipped, its result is there" in err
    assert "random on Tiny" in out
    assert {path: path.stat().st_mtime_ns for path in before} == before
    code, _, err = run("-m", "constant", "--limit", "2", "--skip-existing")  # another evaluation
    assert code == 2
    assert "the output folder exists" in err
    code, _, err = run("-m", "constant", "--skip-existing", task="t2i")
    assert code == 2


def test_skip_existing_knows_another_model_of_the_same_name(run: Any) -> None:
    assert run("-m", "py:own.py:Mean", "--name", "a")[0] == 0
    code, _, err = run("-m", "py:own.py:Other", "--name", "a", "--skip-existing")
    assert code == 2
    assert "another model" in err


def test_two_models_of_one_folder(run: Any) -> None:
    Path("m.yaml").write_text("[{model: constant, name: a}, {model: random, name: a}]")
    code, _, err = run("--models", "m.yaml", "--overwrite")
    assert code == 2
    assert "two models have one folder of results" in err
    assert results()["a"]["command"].count("constant")


def test_a_file_of_models(run: Any) -> None:
    Path("m.yaml").write_text(
        "- constant\n- model: py:own.py:Mean\n  name: first\n- {model: 'py:own.py:Other', batch_size: 8}\n"
    )
    code, out, err = run("--models", "m.yaml", "-o", "table")
    assert code == 0, err
    assert sorted(results("table")) == ["constant", "first", "mean-2"]
    assert "--batch-size 8" in results("table")["mean-2"]["command"]
    assert out.count("result: table/") == 3


def test_a_file_that_is_not_there_says_what_it_holds(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no such file of models; where: --models; got: '.*m\.yaml'; next: list the"):
        chosen([], tmp_path / "m.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "the list of models is not YAML"),
        ("model: constant", "malformed file of models.*got: 'dict'"),
        ("- {name: a}", "entry 1: model: missing"),
        (
            "- 3\n- {model: a, size: 3}\n- {model: a, dtype: 16}",
            "entry 1: not a mapping; entry 2: size: unknown; entry 3: dtype=16 .accepted: a text",
        ),
        ("- {model: a, batch_size: 0}", "entry 1: batch_size=0"),
        ("- {model: a, trust_remote_code: 'yes'}", r"entry 1: trust_remote_code='yes' \(accepted: true or false\)"),
        ("[]", "no model"),
    ],
)
def test_malformed_files(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "m.yaml").write_text(text)
    with pytest.raises(InputError, match=message):
        chosen([], tmp_path / "m.yaml")


def test_choices(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text("- a\n- {model: b, dtype: float32}")
    found = chosen(["c"], tmp_path / "m.yaml", dtype="bfloat16", device="cpu")
    assert found == [
        ModelChoice("c", dtype="bfloat16", device="cpu"),
        ModelChoice("a", dtype="bfloat16", device="cpu"),
        ModelChoice("b", dtype="float32", device="cpu"),
    ]
    for words, name, message in (
        ([], None, "no model"),
        (["a", "b"], "x", "a name for several models"),
        (["a", "a"], None, "a model is there twice"),
        (["a"], "x\ny", "malformed name"),
    ):
        with pytest.raises(InputError, match=message):
            chosen(words, None, name=name)


def test_dtype_is_refused_where_a_model_has_none(run: Any) -> None:
    code, _, err = run("-m", "constant", "--dtype", "float16")
    assert code == 2
    assert "the model takes no --dtype; where: constant" in err


def test_one_instruction_for_all_queries(run: Any) -> None:
    with Path("own.py").open("a") as file:
        file.write(
            "\nclass Listening(Mean):\n    def embed_queries(self, items, instruction):\n"
            "        assert instruction == 'find it', instruction\n        return self.embed_candidates(items)\n"
        )
    words = ("-m", "py:own.py:Listening", "-o", "r")
    code, _, err = run(*words)
    assert code == 2
    assert "the code of the model raises AssertionError: find i2i" in err
    assert run(*words, "--instruction", "find it")[0] == 0
    said = json.loads(Path("r/result.json").read_text())
    assert said["benchmark"]["instruction"] == "find it"
    assert "--instruction 'find it'" in said["command"]


def test_leave_to_run_code_does_not_stop_models_without_any(run: Any) -> None:
    code, _, err = run("-m", "constant", "-m", "py:own.py:Mean", "--trust-remote-code")
    assert code == 0, err


def test_remote_code_is_recorded(run: Any) -> None:
    with Path("own.py").open("a") as file:
        file.write(
            "\ndef trusting(trust_remote_code):\n    m = Mean()\n    m.remote_code = trust_remote_code\n    return m\n"
        )
    assert run("-m", "py:own.py:trusting", "--trust-remote-code", "-o", "r/a")[0] == 0
    assert results("r")["a"]["remote_code"] is True
    assert "--trust-remote-code" in results("r")["a"]["command"]
    assert run("-m", "py:own.py:Mean", "-o", "r/b")[0] == 0
    assert results("r")["b"]["remote_code"] is False
