"""Models from the user's own code: ``py:``."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mrbench.encode.store import fingerprint
from mrbench.errors import InputError, ModelError
from mrbench.models.protocol import Item
from mrbench.models.zoo import find_entry, load_model

CODE = """
import numpy as np

class Mean:
    name, revision, dimension = "mean", "1", 3
    modalities, device, dtype = frozenset({"image"}), "cpu", "float32"

    def __init__(self, *, seed=0, batch_size=7):
        self.seed, self.batch_size = seed, batch_size

    def embed_queries(self, items, instruction):
        return self.embed_candidates(items)

    def embed_candidates(self, items):
        return np.stack([np.asarray(item.image, dtype=np.float32).mean((0, 1)) for item in items])

def factory(**options):
    model = Mean()
    model.options = options
    return model

def prepare(image):
    return image

class Models:
    ready = Mean(seed=5)

def broken():
    raise ValueError("no weights today")

def nothing():
    return 3

number = 3
"""


@pytest.fixture
def code(tmp_path: Path) -> Path:
    path = tmp_path / "own_model.py"
    path.write_text(CODE)
    return path


def test_a_class_is_called_with_the_options_that_it_takes(code: Path) -> None:
    model = load_model(f"py:{code}:Mean", seed=3, batch_size=9)
    assert (model.seed, model.batch_size) == (3, 9)  # type: ignore[attr-defined]
    red = Item(image=Image.new("RGB", (4, 4), (200, 10, 0)))
    np.testing.assert_allclose(model.embed_queries([red], ""), [[200, 10, 0]])


def test_a_factory_with_keywords_gets_all_options(code: Path) -> None:
    model = load_model(f"py:{code}:factory", device="cpu", dtype="float16")
    expected = {"seed": 0, "device": "cpu", "batch_size": 1024, "dtype": "float16"}
    assert model.options == expected  # type: ignore[attr-defined]


def test_an_instance_is_taken_as_it_is(code: Path) -> None:
    assert load_model(f"py:{code}:Models.ready").seed == 5  # type: ignore[attr-defined]


def test_a_module_is_imported(code: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(code.parent)
    (code.parent / "own_module.py").write_text(CODE)
    assert load_model("py:own_module:Mean").name == "mean"


def test_an_edit_of_the_file_changes_what_a_cache_is_good_for(code: Path) -> None:
    before = fingerprint(load_model(f"py:{code}:Mean"))
    assert fingerprint(load_model(f"py:{code}:Mean")) == before
    code.write_text(CODE.replace("(0, 1)", "(1, 0)"))
    after = load_model(f"py:{code}:Mean")
    assert fingerprint(after) != before
    assert {**fingerprint(after), "preprocessing": before["preprocessing"]} == before


def test_functions_of_a_file_reach_worker_processes(code: Path) -> None:
    """Worker processes unpickle ``prepare`` by the name of its module."""
    code = code.rename(code.with_name("reaches_workers.py"))
    load_model(f"py:{code}:Mean")
    sent = pickle.dumps(sys.modules["reaches_workers"].prepare)
    script = f"import pickle, sys; sys.path = {sys.path!r}; print(pickle.loads({sent!r}).__name__)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "prepare\n"


def test_a_file_named_like_a_library_does_not_replace_it(tmp_path: Path) -> None:
    path = tmp_path / "json.py"
    path.write_text(CODE)
    assert load_model(f"py:{path}:Mean").name == "mean"
    import json

    assert json.loads("[1]") == [1]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("py:FILE", "malformed spec"),
        ("py:FILE:", "malformed spec"),
        ("py:FILE:Absent", "no such object.*Absent.*accepted: .*Mean"),
        ("py:FILE:number", "no model and makes none.*int"),
        ("py:no_such_module_here:x", "no such module"),
        ("py:mrbench.no_such:x", "no such module"),
        ("py:none/such.py:x", "no such file"),
    ],
)
def test_bad_specs(code: Path, spec: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_model(spec.replace("FILE", str(code)))


def test_a_file_without_an_object_is_told_how_to_go_on(code: Path) -> None:
    with pytest.raises(InputError, match=rf"malformed spec; .*next: name the class or the function: py:{code}:NAME$"):
        load_model(f"py:{code}")


def test_an_option_that_a_class_does_not_take(code: Path) -> None:
    with pytest.raises(InputError, match="takes no dtype"):
        load_model(f"py:{code}:Mean", dtype="float16")
    with pytest.raises(InputError, match="an instance takes no options"):
        load_model(f"py:{code}:Models.ready", dtype="float16")
    with pytest.raises(InputError, match="takes no --dtype"):
        load_model("random", dtype="float16")


def test_what_the_code_raises_is_one_line_with_its_place(code: Path) -> None:
    line = CODE.splitlines().index('    raise ValueError("no weights today")') + 1
    with pytest.raises(ModelError, match=rf"ValueError: no weights today; where: .*own_model.py:{line}"):
        load_model(f"py:{code}:broken")


def test_what_is_no_model_is_told_what_it_lacks(code: Path) -> None:
    with pytest.raises(ModelError, match=r"it lacks name, revision, .*embed_candidates.*got: 'int'"):
        load_model(f"py:{code}:nothing")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import not_there_at_all", "needs the module not_there_at_all"),
        ("def (", r"SyntaxError: .*broken.py:1"),
        ("1 / 0", r"ZeroDivisionError.*broken.py:1"),
    ],
)
def test_a_file_that_cannot_be_imported(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "broken.py"
    path.write_text(text)
    with pytest.raises(ModelError, match=message):
        load_model(f"py:{path}:Mean")
    assert "broken" not in sys.modules


def test_names_in_capitals_take_the_rest_of_the_spec() -> None:
    assert find_entry("py:a:b")[1] == ("a:b",)
    assert find_entry("random") == (find_entry("random")[0], ())
    for spec in ("py:MODULE:OBJECT", "hf:PATH"):  # as copied from the list
        assert find_entry(spec)[0].name == spec
    with pytest.raises(InputError, match="unknown model"):
        find_entry("random:3")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip has installed the plugin."""
    folder = tmp_path_factory.mktemp("plugin")
    source = Path(__file__).parents[2] / "plugin_package"
    copy = folder / "source"
    for path in sorted(source.rglob("*")):
        if path.suffix in (".py", ".toml"):
            (copy / path.relative_to(source)).parent.mkdir(parents=True, exist_ok=True)
            (copy / path.relative_to(source)).write_bytes(path.read_bytes())
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--target", str(folder / "site"), str(copy)], check=True, capture_output=True)
    return folder / "site"


def run(installed: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join([str(installed), str(Path(__file__).parents[3])])
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "mrbench", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


@pytest.mark.slow
def test_an_installed_plugin_adds_models_to_the_command_line(installed: Path, tiny, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    listed = run(installed, "models", "list")
    assert "brightness" in listed.stdout
    assert "power:NUMBER" in listed.stdout
    for spec, name in (("brightness", "brightness"), ("power:2", "power-2")):
        done = run(installed, "evaluate", str(tiny.folder), "--model", spec, "--output", str(tmp_path / name))
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(f"{name} on Tiny")


@pytest.mark.parametrize("kind", ["SystemExit(3)", "KeyboardInterrupt()", "GeneratorExit()"])
def test_code_that_ends_the_program_is_one_line(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "ends.py"
    path.write_text(f"import sys\n\nraise {kind}\n")
    with pytest.raises(
        ModelError,
        match=rf"the code of the model raises {kind.partition('(')[0]}.*; where: .*:3; next: --debug shows where$",
    ):
        load_model(f"py:{path}:Model")
    path.write_text(f"def Model():\n    raise {kind}\n")
    with pytest.raises(
        ModelError, match=rf"the code of the model raises {kind.partition('(')[0]}.*:2; next: --debug shows where$"
    ):
        load_model(f"py:{path}:Model")


def test_a_signal_while_code_of_a_model_runs_passes(tmp_path: Path) -> None:
    path = tmp_path / "slow.py"
    path.write_text("import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(60)\n")
    with pytest.raises(KeyboardInterrupt):
        load_model(f"py:{path}:Model")
