import subprocess
import sys
from types import SimpleNamespace

import pytest
from tiny_towers import write_clip

from mrbench.errors import InputError, MissingExtraError
from mrbench.models.common import package_folder, weights_digest
from mrbench.models.zoo import ZOO, load_model

BUILT_IN = ["random", "constant", "colour-histogram", "minilm", "efficientnet-lite0", "conse"]


def test_importing_the_zoo_imports_no_torch() -> None:
    code = (
        "import sys; from mrbench.models.zoo import ZOO, load_model; list(ZOO); load_model('random');"
        "load_model('colour-histogram');"
        "print(sorted({'torch', 'transformers', 'datasets', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_entries() -> None:
    assert ZOO.names()[: len(BUILT_IN)] == BUILT_IN
    for entry in ZOO:
        assert entry.summary
        assert set(dict(entry.facts)["modalities"].split(", ")) <= {"text", "image", "image+text"}


def test_listed_modalities_are_those_of_the_models() -> None:
    for name in BUILT_IN:
        listed = set(dict(ZOO.get(name).facts)["modalities"].replace("+", ",").split(", "))
        assert listed == ZOO.get(name).load().modalities


def test_unknown_model_lists_the_known() -> None:
    with pytest.raises(InputError) as caught:
        load_model("clip")
    assert all(name in str(caught.value) for name in [*BUILT_IN, "hf:PATH", "'clip'"])


@pytest.mark.parametrize(
    ("spec", "meant"),
    [
        ("minlm", "--model minilm"),
        ("a clip", "--model 'hf:a clip'"),
        ("words", "mrbench models"),
        ("mine.py", "--model py:mine.py:CLASS"),
        ("nothing like it", "mrbench models"),
    ],
)
def test_an_unknown_model_says_what_may_be_meant(spec: str, meant: str, tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    write_clip(tmp_path / "a clip")
    (tmp_path / "words").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="unknown model") as caught:
        load_model(spec)
    assert str(caught.value).endswith(f"; next: {meant}")


@pytest.mark.parametrize(
    ("spec", "options", "message"),
    [
        ("random", {"batch_size": 0}, "batch size"),
        ("minilm", {"device": "abacus"}, "unknown device"),
        ("minilm", {"device": "cuda:97"}, "lacks the device"),
        ("hf:no/such/folder", {}, "no such folder"),
        ("hf:/no/such", {}, "no such folder"),
        ("hf:../such", {}, "no such folder"),
        ("hf:", {}, "no path of a model"),
    ],
)
def test_bad_input(spec: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_model(spec, **options)  # type: ignore[arg-type]


def test_a_missing_package_names_the_extra() -> None:
    with pytest.raises(MissingExtraError, match=r"needs the package not_there.*mrbench\[models\]"):
        package_folder("not_there", "model")


def test_digest_of_one_file_is_what_sha256sum_prints(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "weights"
    path.write_bytes(b"abc")
    assert weights_digest([path]) == "sha256:ba7816bf8f01cfea"


def test_digest_of_weights_in_several_files_knows_each(tmp_path) -> None:  # type: ignore[no-untyped-def]
    shards = [tmp_path / name for name in "ab"]
    digests = set()
    for words in (b"xy", b"xz", b"zy"):
        for path, byte in zip(shards, words, strict=True):
            path.write_bytes(bytes([byte]))
        digests.add(weights_digest(shards))
    assert len(digests) == 3


def test_a_tilde_after_the_colon_is_the_home_folder(tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """No shell expands it there. Of a user who is not there, and within a path, it stays as it is."""
    monkeypatch.setenv("HOME", str(tmp_path))
    write_clip(tmp_path / "models" / "mine")
    write_clip(tmp_path / "~")
    monkeypatch.chdir(tmp_path)
    for path, name in (("~/models/mine", "mine"), ("~/models/../models/mine/", "mine"), ("./~", "~")):
        assert load_model(f"hf:{path}", device="cpu").name == name
    for path in ("~nobody-of-this-name/mine", "models/~/mine", "~/absent"):
        with pytest.raises(InputError, match="no such folder"):
            load_model(f"hf:{path}")


def test_what_follows_a_colon_may_be_a_url(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    given: list[str] = []
    entry = SimpleNamespace(load=lambda: lambda path, **options: given.append(path))
    monkeypatch.setattr(type(ZOO), "get", lambda self, name: entry)
    load_model("hf:https://example.org//v1#model")
    assert given == ["https://example.org//v1#model"]
