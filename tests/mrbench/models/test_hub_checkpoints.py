"""Models named by hub id: from a cache as the hub's library lays it out, and from a server that answers as the hub."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import huggingface_hub.constants
import numpy as np
import pytest
from small_hub import COMMIT, OLDER, cached, serving
from tiny_towers import changed, copied, pictures, write_clip
from transformers import CLIPModel

from mrbench.errors import InputError, ModelError
from mrbench.models import hub_cache
from mrbench.models.checkpoint_folders import find_checkpoint, find_whole_checkpoint
from mrbench.models.dual_encoder import DualEncoder
from mrbench.models.protocol import Item
from mrbench.models.zoo import load_model

FINDERS = ("find_checkpoint", "find_whole_checkpoint")
SECONDS = 20  # the hub's library by itself would retry for longer


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub, and no network."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "home" / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "home"


@pytest.mark.parametrize("family", ["clip", "siglip", "siglip2"])
def test_a_cached_id_is_the_folder_it_was_made_of(family: str, home: Path, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(family)
    cached(home, folder)
    model, same = load_model("hf:org/tiny", device="cpu"), DualEncoder(str(folder), device="cpu")
    assert (model.name, model.revision) == ("org/tiny", COMMIT)
    item = [Item(text="a dog", image=pictures()[0])]
    np.testing.assert_array_equal(model.embed_candidates(item), same.embed_candidates(item))


def test_a_branch_a_tag_and_a_commit_are_recorded_as_the_commit(clip: Path, home: Path, tmp_path: Path) -> None:
    cached(home, clip, refs="main v1.0")
    other = write_clip(tmp_path / "other")
    (other / "merges.txt").write_text("#version: 0.2\n")
    cached(home, other, commit=OLDER, refs="dev")
    found = {at: find_checkpoint(f"org/tiny{at}").commit for at in ("", "@v1.0", f"@{COMMIT}", "@dev", f"@{OLDER}")}
    assert found == {"": COMMIT, "@v1.0": COMMIT, f"@{COMMIT}": COMMIT, "@dev": OLDER, f"@{OLDER}": OLDER}
    model = load_model("hf:org/tiny@dev", device="cpu")
    assert (model.name, model.revision) == ("org/tiny", OLDER)
    assert model.preprocessing != load_model("hf:org/tiny@main", device="cpu").preprocessing


def test_a_snapshot_named_by_its_path_is_the_model_of_the_hub(clip: Path, home: Path, tmp_path: Path) -> None:
    snapshot = cached(home, clip)
    (tmp_path / "mine").symlink_to(snapshot)
    for path in (snapshot, tmp_path / "mine"):
        model = DualEncoder(str(path), device="cpu")
        assert (model.name, model.revision) == ("org/tiny", COMMIT)


@pytest.mark.parametrize("finder", [find_checkpoint, find_whole_checkpoint])
def test_a_short_commit_is_found_in_the_cache(finder: Callable, clip: Path, home: Path) -> None:
    cached(home, clip)
    cached(home, clip, commit=OLDER, refs="0123")
    assert finder(f"org/tiny@{COMMIT[:7]}").commit == COMMIT
    assert finder(f"org/tiny@{OLDER[:4]}").commit == OLDER
    assert finder("org/tiny@0123").commit == OLDER  # a branch of this name comes first
    cached(home, clip, commit=f"{COMMIT[:39]}f", refs="")
    with pytest.raises(
        ModelError, match=f"several commits in the cache begin with this one; .*{COMMIT}, {COMMIT[:39]}f"
    ):
        finder(f"org/tiny@{COMMIT[:7]}")
    for absent in ("012", "fedc", COMMIT[1:8]):
        with pytest.raises(ModelError, match="it is not in the cache, and HF_HUB_OFFLINE is set"):
            finder(f"org/tiny@{absent}")


EDITS: dict[str, Callable[[Path], object]] = {
    "blob": lambda path: path.write_text(path.read_text().replace("3", "4")),
    "link": lambda path: (text := path.read_text(), path.unlink(), path.write_text(text + " ")),
    "other link": lambda path: (
        path.unlink(),
        (path.parent / "mine").write_text("{}"),
        path.symlink_to(path.parent / "mine"),
    ),
}


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("git", [False, True])
def test_an_edited_snapshot_is_not_its_commit(edit: str, git: bool, clip: Path, home: Path) -> None:
    snapshot = cached(home, clip, git=git)
    for path in (snapshot, "org/tiny", f"org/tiny@{COMMIT}"):
        assert find_checkpoint(str(path)).commit == COMMIT
    EDITS[edit](snapshot / "preprocessor_config.json")
    for path in (snapshot, "org/tiny", f"org/tiny@{COMMIT}"):
        found = find_checkpoint(str(path))
        assert (found.name, found.commit) == ("org/tiny", None)
    assert find_whole_checkpoint("org/tiny").commit is None


def test_the_revision_of_an_edited_snapshot_is_a_digest(clip: Path, home: Path) -> None:
    snapshot = cached(home, clip)
    changed(snapshot, "preprocessor_config.json", image_mean=[0.0] * 3)  # through the link, into the blob
    model = DualEncoder("org/tiny", device="cpu")
    assert (model.name, model.revision_is_digest) == ("org/tiny", True)
    assert model.revision.startswith("sha256:")


def test_large_files_are_hashed_where_they_are_younger_than_their_link(
    clip: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = cached(home, clip)
    monkeypatch.setattr(hub_cache, "_SMALL", 10_000)
    blob = (snapshot / "model.safetensors").resolve()
    assert blob.stat().st_size > hub_cache._SMALL
    then = os.lstat(snapshot / "model.safetensors").st_mtime
    blob.write_bytes(blob.read_bytes()[:-1] + b"x")
    os.utime(blob, (then - 5, then - 5))
    assert find_checkpoint("org/tiny").commit == COMMIT  # as hub_cache says: written anew with its old time
    os.utime(blob, (then + 5, then + 5))
    assert find_checkpoint("org/tiny").commit is None


def test_a_cache_without_links_or_copied_with_their_content_keeps_its_commit(
    clip: Path, home: Path, tmp_path: Path
) -> None:
    snapshot = cached(home, clip)
    for path in snapshot.iterdir():
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content)
    assert find_checkpoint("org/tiny").commit == COMMIT
    shutil.rmtree(home / "hub" / "models--org--tiny" / "blobs")
    assert find_checkpoint("org/tiny").commit == COMMIT


def test_a_folder_that_only_looks_like_a_snapshot_has_no_commit(clip: Path, home: Path, tmp_path: Path) -> None:
    cached(home, clip)
    model = DualEncoder(str(cached(tmp_path / "elsewhere", clip)), device="cpu")
    assert (model.name, model.revision_is_digest) == (COMMIT, True)
    assert model.revision != COMMIT


def test_shards_are_loaded_from_a_cache(clip: Path, home: Path, tmp_path: Path) -> None:
    copy = copied(clip, tmp_path)
    CLIPModel.from_pretrained(copy).save_pretrained(copy, max_shard_size="50KB")
    (copy / "model.safetensors").unlink()
    cached(home, copy)
    item = [Item(text="a dog", image=pictures()[0])]
    found = load_model("hf:org/tiny", device="cpu").embed_candidates(item)
    np.testing.assert_allclose(found, DualEncoder(str(clip), device="cpu").embed_candidates(item), atol=1e-5)


@pytest.mark.parametrize("spec", ["org/other", "org/tiny@v2", f"org/tiny@{OLDER}"])
def test_what_is_not_in_the_cache_is_one_line_offline(spec: str, clip: Path, home: Path) -> None:
    cached(home, clip)
    repository = spec.partition("@")[0]
    message = (
        rf"cache, and HF_HUB_OFFLINE is set; .* got: '{spec}'; next: unset HF_HUB_OFFLINE, .* download {repository}$"
    )
    with pytest.raises(ModelError, match=message):
        find_checkpoint(spec)


@pytest.mark.parametrize("spec", ["a/b/c", "../b", "org/..", "org/x@../../y", "org/x@", "@v1", "org//x", "org/x@a//b"])
def test_what_is_no_hub_id_asks_nobody(spec: str) -> None:
    with pytest.raises(InputError, match="no such folder"):
        find_checkpoint(spec)


def test_a_cache_that_lacks_a_part_says_which(clip: Path, home: Path) -> None:
    snapshot = cached(home, clip)
    (snapshot / "preprocessor_config.json").unlink()
    with pytest.raises(ModelError, match="the image processor"):
        load_model("hf:org/tiny", device="cpu")
    (snapshot / "model.safetensors").resolve().unlink()
    with pytest.raises(ModelError, match=r"not complete: model\.safetensors is a link to what is not there"):
        load_model("hf:org/tiny", device="cpu")
    (snapshot / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="not complete: it has no weights"):
        load_model("hf:org/tiny", device="cpu")


def test_a_ref_may_end_in_a_newline(clip: Path, home: Path) -> None:
    cached(home, clip)
    (home / "hub" / "models--org--tiny" / "refs" / "main").write_text(f"{COMMIT}\n")
    assert find_checkpoint("org/tiny").commit == find_whole_checkpoint("org/tiny").commit == COMMIT


@pytest.mark.parametrize(
    "name", ["org/dash--es", "org/a..b", "org/x-", "org/x.git", "org/x.git@main", "o/" + "x" * 300]
)
@pytest.mark.parametrize("finder", [find_checkpoint, find_whole_checkpoint])
def test_a_name_that_the_hub_refuses_is_one_line(name: str, finder: Callable[[str], object]) -> None:
    with pytest.raises(InputError, match="the hub does not allow such a name") as caught:
        finder(name)
    assert "\n" not in str(caught.value)


def sharded(folder: Path) -> list[str]:
    """Write the weights anew as shards, and return the names of these."""
    CLIPModel.from_pretrained(folder).save_pretrained(folder, max_shard_size="50KB")
    (folder / "model.safetensors").unlink()
    return sorted(path.name for path in folder.glob("*.safetensors"))


@pytest.mark.slow
@pytest.mark.parametrize("lacks", ["a shard", "merges.txt", "tokenizer_config.json"])
@pytest.mark.parametrize("revision", ["", f"@{COMMIT}"])
def test_an_interrupted_download_is_taken_up_again(lacks: str, revision: str, clip: Path, tmp_path: Path) -> None:
    folder, home = copied(clip, tmp_path), tmp_path / "home"
    shards = sharded(folder)
    assert len(shards) > 1
    for name in ("vocab.json", "merges.txt"):
        (folder / name).touch()
    snapshot = cached(home, folder)
    gone = shards[1] if lacks == "a shard" else lacks
    (snapshot / gone).unlink()
    with serving(folder) as (address, asked):
        assert find(f"org/tiny{revision}", home, HF_ENDPOINT=address)[:2] == (f"org/tiny {COMMIT}", "")
        assert (snapshot / gone).read_bytes() == (folder / gone).read_bytes()
        asked.clear()
        find(f"org/tiny@{COMMIT}", home, HF_ENDPOINT=address)
        assert asked == []  # it is complete now


def test_a_missing_shard_is_named_offline(clip: Path, home: Path, tmp_path: Path) -> None:
    folder = copied(clip, tmp_path)
    gone = sharded(folder)[1]
    (cached(home, folder) / gone).unlink()
    for spec in ("org/tiny", f"org/tiny@{COMMIT}"):
        with pytest.raises(ModelError, match=f"the download is not complete: {gone} is missing"):
            find_checkpoint(spec)


def find(spec: str, home: Path, *, finder: str = FINDERS[0], **environment: str) -> tuple[str, str, float]:
    """Find a checkpoint in a process of its own, whose library of the hub reads this environment.

    Returns what was found, what was written on stderr, and the seconds that it took.
    """
    code = (
        "import sys, time; from mrbench.errors import MRBenchError\n"
        f"from mrbench.models.checkpoint_folders import {finder} as find\n"
        f"start = time.monotonic()\ntry: found = find({spec!r}); print(found.name, found.commit, end='')\n"
        "except MRBenchError as error: print(error, file=sys.stderr)\n"
        "print(f'|{time.monotonic() - start}')"
    )
    hub = {"HF_HOME": str(home), "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_TELEMETRY": "1"}
    words = [sys.executable, "-c", code]
    done = subprocess.run(
        words, capture_output=True, text=True, check=True, env=os.environ | hub | environment, timeout=90
    )
    said, _, seconds = done.stdout.partition("|")
    return said, done.stderr, float(seconds)


@pytest.mark.slow
def test_a_download_takes_what_is_read_and_no_pickle(clip: Path, tmp_path: Path) -> None:
    folder, home = copied(clip, tmp_path), tmp_path / "home"
    for name in ("pytorch_model.bin", "open_clip_model.safetensors", "README.md", "model.onnx"):
        (folder / name).write_bytes(b"not to be read")
    with serving(folder) as (address, asked):
        assert find("org/tiny@v1", home, HF_ENDPOINT=address)[:2] == (f"org/tiny {COMMIT}", "")
        snapshot = home / "hub" / "models--org--tiny" / "snapshots" / COMMIT
        assert {path.name for path in snapshot.iterdir()} == {path.name for path in clip.iterdir()}
        assert find(str(snapshot), home, HF_ENDPOINT=address)[0] == f"org/tiny {COMMIT}"
        assert find("org/tiny", home, HF_ENDPOINT=address)[0] == f"org/tiny {COMMIT}"
        asked.clear()
        assert find("org/tiny", home, HF_ENDPOINT=address)[0] == f"org/tiny {COMMIT}"
        assert asked == ["/api/models/org/tiny"]  # which commit main is, and nothing more
        asked.clear()
        assert find(f"org/tiny@{COMMIT}", home, HF_ENDPOINT=address)[0] == f"org/tiny {COMMIT}"
        assert asked == []
    for spec in ("org/tiny", "org/tiny@v1", f"org/tiny@{COMMIT}"):  # as on a node without a network
        assert find(spec, home, HF_HUB_OFFLINE="1")[:2] == (f"org/tiny {COMMIT}", "")


def test_two_processes_may_load_one_id_at_once(clip: Path, tmp_path: Path) -> None:
    folder, home = copied(clip, tmp_path), tmp_path / "home"
    with serving(folder) as (address, _), ThreadPoolExecutor(2) as both:
        told = list(both.map(lambda _: find("org/tiny", home, HF_ENDPOINT=address)[:2], range(2)))
    assert told == [(f"org/tiny {COMMIT}", "")] * 2
    snapshot = home / "hub" / "models--org--tiny" / "snapshots" / COMMIT
    assert {path.name: path.read_bytes() for path in snapshot.iterdir()} == {
        path.name: path.read_bytes() for path in folder.iterdir()
    }


@pytest.mark.parametrize(
    ("spec", "why"), [("org/other", "RepositoryNotFoundError"), ("org/tiny@v2", "RevisionNotFoundError")]
)
def test_what_the_hub_does_not_have_is_one_line(spec: str, why: str, clip: Path, tmp_path: Path) -> None:
    with serving(clip) as (address, _):
        said, error, seconds = find(spec, tmp_path, HF_ENDPOINT=address)
    assert (said, error.count("\n")) == ("", 1)
    assert f"neither a local folder nor a model that the hub gave us: the hub says {why}" in error
    assert seconds < SECONDS


def test_a_repository_of_pickles_is_not_downloaded(clip: Path, tmp_path: Path) -> None:
    folder = copied(clip, tmp_path)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with serving(folder) as (address, asked):
        _, error, _ = find("org/tiny", tmp_path / "home", HF_ENDPOINT=address)
    assert "the repository holds no safetensors weights" in error
    assert "pytorch_model.bin" in error
    assert asked == ["/api/models/org/tiny"]


def test_a_model_that_a_library_loads_is_downloaded_once_without_pickles(clip: Path, tmp_path: Path) -> None:
    folder, home = copied(clip, tmp_path), tmp_path / "home"
    (folder / "pytorch_model.bin").write_bytes(b"not to be read")
    with serving(folder) as (address, asked):
        assert find("org/tiny", home, finder=FINDERS[1], HF_ENDPOINT=address)[:2] == (f"org/tiny {COMMIT}", "")
        snapshot = home / "hub" / "models--org--tiny" / "snapshots" / COMMIT
        assert {path.name for path in snapshot.iterdir()} == {path.name for path in clip.iterdir()}
        asked.clear()
        find("org/tiny", home, finder=FINDERS[1], HF_ENDPOINT=address)
        assert asked == ["/api/models/org/tiny"]
        (snapshot / "model.safetensors").unlink()  # as an interrupted download leaves it
        find(f"org/tiny@{COMMIT}", home, finder=FINDERS[1], HF_ENDPOINT=address)
    assert (snapshot / "model.safetensors").is_file()
    assert find("org/tiny", home, finder=FINDERS[1], HF_HUB_OFFLINE="1")[:2] == (f"org/tiny {COMMIT}", "")


@pytest.mark.slow
@pytest.mark.parametrize("finder", FINDERS)
@pytest.mark.parametrize("network", ["refused", "silent"])
def test_without_the_hub_a_cached_id_loads_and_another_fails_in_seconds(
    network: str, finder: str, clip: Path, tmp_path: Path
) -> None:
    cached(tmp_path, clip)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if network == "silent":
            listener.listen()  # takes connections and never answers
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        said, error, seconds = find("org/tiny", tmp_path, finder=finder, HF_ENDPOINT=address)
        assert (said, error) == (f"org/tiny {COMMIT}", "")
        assert seconds < SECONDS
        said, error, seconds = find("org/other", tmp_path, finder=finder, HF_ENDPOINT=address)
        assert (said, error.count("\n")) == ("", 1)
        assert "it is not in the cache, and the hub does not answer" in error
        assert seconds < SECONDS
