"""Where a checkpoint lies: in a folder, or in the cache of the hub at one commit.

What loads the checkpoint afterwards reads a folder and never asks the network.
"""

from __future__ import annotations

import json
import os
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from logging import CRITICAL
from pathlib import Path
from typing import Any

import huggingface_hub
from huggingface_hub import constants
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import logging, validate_repo_id  # type: ignore[attr-defined]  # not listed as exported
from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

from mrbench.errors import InputError, ModelError
from mrbench.files import absent_content
from mrbench.models.hub_cache import cached_commits, is_edited, storage_of

ANSWER_SECONDS = 5.0
"""How long the hub may take to answer before what is in the cache is taken."""
_READ = (".json", ".txt", ".model", ".jinja")
_NAME = r"[A-Za-z0-9][\w.-]*"
_COMMIT = r"[0-9a-f]{40}"
_LONGEST = 100
_PICKLES = (".bin", ".pt", ".pth", ".ckpt")
_INDEX = "model.safetensors.index.json"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A folder with a checkpoint.

    Attributes:
        folder: The folder.
        name: What to call the model: the hub id, or the name of the folder.
        commit: The commit of a model of the hub; None for any other folder, and where its files were edited.
    """

    folder: Path
    name: str
    commit: str | None = None


def find_checkpoint(source: str) -> Checkpoint:
    """Return where a checkpoint lies, downloaded where need be. Pickles are never downloaded.

    The hub is asked for the commit of a branch or a tag. Where it does not answer in :data:`ANSWER_SECONDS`, or where
    ``HF_HUB_OFFLINE`` is set, the cache is taken. A commit that is in the cache is not asked for.

    Args:
        source: A folder, in which ``~`` is expanded, or ``ORG/NAME`` or ``ORG/NAME@REVISION`` with a branch, a tag or a
            commit, which may be short. A folder of this name comes before a model of the hub.

    Raises:
        InputError: Neither a folder nor of the form of a hub id.
        ModelError: The hub and its cache do not have it.
    """
    source = os.path.expanduser(source)  # noqa: PTH111 - of an unknown user it leaves the path as it is
    if source and os.path.isdir(source):  # noqa: PTH112 - Path.is_dir raises where the name is too long
        return _of_folder(Path(source))
    repository, revision = split_id(source)
    if revision and re.fullmatch(_COMMIT, revision):
        cached = cached_model(repository, revision)
        if cached is not None and is_complete(cached.folder):
            return unless_edited(cached)
    found = of_hub(repository, revision, _wanted)
    check_download(found, None if any(_weights(path) for path in found.folder.iterdir()) else "it has no weights")
    return unless_edited(found)


def split_id(source: str) -> tuple[str, str | None]:
    """Return the repository and the revision of a hub id, or None where it names no revision.

    Raises:
        InputError: It does not have the form of a hub id, or the hub's library refuses the name.
    """
    found = re.fullmatch(rf"({_NAME}(?:/{_NAME})?)(?:@(\w[\w./+-]*))?", source, re.ASCII)
    accepted = "a folder, or a hub id such as ORG/NAME or ORG/NAME@REVISION"
    if found is None or "//" in source or any(part in (".", "..") for part in re.split("[/@]", source)):
        raise InputError("no such folder", where="model", got=source, accepted=accepted)
    try:
        validate_repo_id(found[1])
    except HFValidationError as error:
        why = "no such folder, and the hub does not allow such a name (at most 96 characters; no --, no .., no .git"
        raise InputError(f"{why} or - or . at the end)", where="model", got=source, accepted=accepted) from error
    return found[1], found[2]


def _of_folder(folder: Path) -> Checkpoint:
    """Return a folder as a checkpoint; a snapshot in the cache of the hub is the model of the hub, by any path.

    A folder elsewhere that is only named like a snapshot may hold anything, so it has no commit.
    """
    real = folder.resolve()
    repository = re.fullmatch(r"models--(.+)", real.parent.parent.name)
    in_cache = real.parent.name == "snapshots" and real.parents[2:3] == (Path(constants.HF_HUB_CACHE).resolve(),)
    if repository and in_cache and re.fullmatch(_COMMIT, real.name):
        return unless_edited(Checkpoint(folder, repository[1].replace("--", "/"), real.name))
    return Checkpoint(folder, real.name[:_LONGEST] or "model")


def of_hub(repository: str, revision: str | None, wanted: Callable[[str, list[str]], list[str]]) -> Checkpoint:
    """Return a model of the hub, of which the files that the cache lacks are downloaded.

    Args:
        repository: ``ORG/NAME``.
        revision: A branch, a tag or a commit; None for the main branch.
        wanted: Takes the id and the names of the repository's files, and returns those to download.

    Raises:
        ModelError: The hub and its cache do not have it.
    """
    where = repository + (f"@{revision}" if revision else "")
    try:
        with quiet_hub():
            said = huggingface_hub.HfApi().model_info(repository, revision=revision, timeout=ANSWER_SECONDS)
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise _hub_error(where, f"the hub says {type(error).__name__}") from error
    except Exception as error:  # offline mode, no network, a proxy, a server that fails: of several libraries
        cached = cached_model(repository, revision)
        if cached is None:
            offline = isinstance(error, OfflineModeIsEnabled)
            if len(several := cached_commits(repository, revision)) > 1:
                raise ModelError(
                    "several commits in the cache begin with this one",
                    where="model",
                    got=where,
                    accepted=", ".join(several),
                ) from error
            why = "HF_HUB_OFFLINE is set" if offline else f"the hub does not answer ({type(error).__name__})"
            raise _hub_error(where, f"it is not in the cache, and {why}") from error
        return cached
    names = wanted(where, [file.rfilename for file in said.siblings or ()])
    cached = cached_model(repository, revision)
    if cached is not None and cached.commit == said.sha and all((cached.folder / name).is_file() for name in names):
        return cached
    return _downloaded(where, repository, revision, names)


def _downloaded(where: str, repository: str, revision: str | None, names: list[str]) -> Checkpoint:
    """Return the model with these files, of which those that the cache lacks are downloaded.

    The cache then knows the commit of the branch or the tag, so that it is found without the network too.
    """
    try:
        with quiet_hub(bars=sys.stderr.isatty()):
            folder = huggingface_hub.snapshot_download(repository, revision=revision, allow_patterns=names)
    except GatedRepoError as error:
        raise _hub_error(where, "the model is gated: its terms have to be accepted on the hub") from error
    except Exception as error:
        raise _hub_error(where, f"the download failed: {textwrap.shorten(str(error), 150)}") from error
    return Checkpoint(Path(folder), repository, Path(folder).name)


def cached_model(repository: str, revision: str | None) -> Checkpoint | None:
    """Return the model in the cache of the hub at a branch, a tag or a commit; None where it is not there.

    A short commit is taken where one commit in the cache begins with it.
    """
    commits = cached_commits(repository, revision)
    if len(commits) != 1:
        return None
    return Checkpoint(storage_of(repository) / "snapshots" / commits[0], repository, commits[0])


def unless_edited(found: Checkpoint) -> Checkpoint:
    """Return a checkpoint without its commit where a file of the snapshot is not what was downloaded."""
    return replace(found, commit=None) if found.commit and is_edited(found.folder) else found


def check_download(found: Checkpoint, lacks: str | None = None) -> None:
    """Refuse a snapshot of the hub's cache of which an interrupted download left a part.

    Args:
        found: The snapshot.
        lacks: What the caller knows to be missing, as a clause.

    Raises:
        ModelError: A file is a link to what is not there, a shard is missing, or something else is.
    """
    for path in sorted(found.folder.rglob("*")):
        if lacks is None and path.name.endswith((*_READ, ".safetensors")) and (absent := absent_content(path)):
            lacks = f"{path.name} is {absent}"
        if lacks is None and path.name == _INDEX and not (path.parent / "model.safetensors").is_file():
            lacks = next((f"{name} is missing" for name in missing_shards(path.parent)), None)
    if lacks is not None:
        raise ModelError(
            f"the download is not complete: {lacks}",
            where=found.folder,
            got=found.name,
            hint="run the same again where the hub answers, which downloads the rest",
        )


def _weights(path: Path) -> bool:
    return path.name.endswith((".safetensors", ".safetensors.index.json", *_PICKLES))


def is_complete(folder: Path) -> bool:
    """Whether a snapshot has all that loading needs: configuration, weights, image processor and tokenizer.

    An interrupted download leaves a part of them. All the shards that an index names have to be there, and the merges
    beside a ``vocab.json``.
    """
    names = {path.name for path in folder.iterdir() if path.is_file()}
    whole = {"tokenizer.json", "vocab.txt", "spiece.model", "sentencepiece.bpe.model"}
    return (
        {"config.json", "tokenizer_config.json"} <= names
        and bool(names & {"preprocessor_config.json", "processor_config.json"})
        and (bool(names & whole) or {"vocab.json", "merges.txt"} <= names)
        and ("vocab.json" not in names or "merges.txt" in names)
        and ("model.safetensors" in names or (_INDEX in names and not missing_shards(folder)))
    )


def missing_shards(folder: Path) -> list[str]:
    """Return the shards that the index of a checkpoint names and the folder lacks; the index where it is malformed."""
    try:
        index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
        shards = sorted(set(index["weight_map"].values()))
        return [name for name in shards if not (folder / name).is_file()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return [_INDEX]


def _wanted(where: str, names: list[str]) -> list[str]:
    """Return the files of a repository that loading reads: never a pickle, nor weights twice.

    Raises:
        ModelError: It holds no safetensors.
    """
    above = [name for name in names if "/" not in name]
    weights = [name for name in above if name.endswith(".safetensors")]
    if "model.safetensors" in weights:
        weights = ["model.safetensors"]
    if not weights:
        raise ModelError(
            "the repository holds no safetensors weights, and pickled ones can run code",
            where=where,
            got=", ".join(name for name in above if name.endswith(_PICKLES)) or None,
            accepted="model.safetensors",
        )
    return [*(name for name in above if name.endswith(_READ)), *weights]


def _hub_error(where: str, why: str) -> ModelError:
    return ModelError(
        f"neither a local folder nor a model that the hub gave us: {why}",
        where="model",
        got=where,
        hint="check the id, or the network and the access to the hub",
    )


@contextmanager
def quiet_hub(*, bars: bool = False) -> Iterator[None]:
    """Keep the hub's library from writing: what matters becomes an error.

    Args:
        bars: Whether it may draw the progress of a download.
    """
    verbosity, hidden = logging.get_verbosity(), are_progress_bars_disabled()
    change: Any = None if bars or hidden else disable_progress_bars
    logging.set_verbosity(CRITICAL)
    try:
        if change:
            change()
        yield
    finally:
        logging.set_verbosity(verbosity)
        if change:
            enable_progress_bars()
