"""Where a checkpoint lies: in a folder, or in the cache of the hub at one commit.

What loads the checkpoint afterwards reads a folder and never asks the network.
"""

from __future__ import annotations

import os
import re
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from logging import CRITICAL
from pathlib import Path
from typing import Any

import huggingface_hub
from huggingface_hub.errors import GatedRepoError, OfflineModeIsEnabled, RepositoryNotFoundError, RevisionNotFoundError
from huggingface_hub.utils import logging
from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

from mrbench.errors import InputError, ModelError

ANSWER_SECONDS = 5.0
"""How long the hub may take to answer before what is in the cache is taken."""
_READ = (".json", ".txt", ".model", ".jinja")
_NAME = r"[A-Za-z0-9][\w.-]*"
_COMMIT = r"[0-9a-f]{40}"
_LONGEST = 100


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A folder with a checkpoint.

    Attributes:
        folder: The folder.
        name: What to call the model: the hub id, or the name of the folder.
        commit: The commit of a model of the hub; None for any other folder.
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
            commit. A folder of this name comes before a model of the hub.

    Raises:
        InputError: Neither a folder nor of the form of a hub id.
        ModelError: The hub and its cache do not have it.
    """
    source = os.path.expanduser(source)  # noqa: PTH111 - of an unknown user it leaves the path as it is
    if source and Path(source).is_dir():
        return _of_folder(Path(source))
    found = re.fullmatch(rf"({_NAME}(?:/{_NAME})?)(?:@(\w[\w./+-]*))?", source, re.ASCII)
    if found is None or "//" in source or any(part in (".", "..") for part in re.split("[/@]", source)):
        accepted = "a folder, or a hub id such as ORG/NAME or ORG/NAME@REVISION"
        raise InputError("no such folder", where="model", got=source, accepted=accepted)
    return _of_hub(found[1], found[2])


def _of_folder(folder: Path) -> Checkpoint:
    """Return a folder as a checkpoint; a snapshot in a cache of the hub is the model of the hub, by any path."""
    real = folder.resolve()
    repository = re.fullmatch(r"models--(.+)", real.parent.parent.name)
    if repository and real.parent.name == "snapshots" and re.fullmatch(_COMMIT, real.name):
        return Checkpoint(folder, repository[1].replace("--", "/"), real.name)
    return Checkpoint(folder, real.name[:_LONGEST] or "model")


def _of_hub(repository: str, revision: str | None) -> Checkpoint:
    where = repository + (f"@{revision}" if revision else "")
    if revision and re.fullmatch(_COMMIT, revision):
        cached = _cached(repository, revision)
        if cached is not None and is_complete(cached.folder):
            return cached
    try:
        with quiet_hub():
            said = huggingface_hub.HfApi().model_info(repository, revision=revision, timeout=ANSWER_SECONDS)
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise _hub_error(where, f"the hub says {type(error).__name__}") from error
    except Exception as error:  # offline mode, no network, a proxy, a server that fails: of several libraries
        cached = _cached(repository, revision)
        if cached is None:
            offline = isinstance(error, OfflineModeIsEnabled)
            why = "HF_HUB_OFFLINE is set" if offline else f"the hub does not answer ({type(error).__name__})"
            raise _hub_error(where, f"it is not in the cache, and {why}") from error
        return cached
    names = _wanted(where, [file.rfilename for file in said.siblings or ()])
    cached = _cached(repository, revision)
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


def _cached(repository: str, revision: str | None) -> Checkpoint | None:
    """Return the model in the cache of the hub at a branch, a tag or a commit; None where it is not there."""
    path = huggingface_hub.try_to_load_from_cache(repository, "config.json", revision=revision)
    if not isinstance(path, str):
        return None
    return Checkpoint(Path(path).parent, repository, Path(path).parent.name)


def is_complete(folder: Path) -> bool:
    """Whether a snapshot has a configuration, weights, an image processor and a tokenizer: a part of it may lack."""
    names = {path.name for path in folder.iterdir() if path.is_file()}
    vocabularies = {"tokenizer.json", "vocab.json", "vocab.txt", "spiece.model", "sentencepiece.bpe.model"}
    weights = {"model.safetensors", "model.safetensors.index.json"}
    return (
        "config.json" in names
        and bool(names & {"preprocessor_config.json", "processor_config.json"})
        and bool(names & vocabularies)
        and bool(names & weights)
    )


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
            got=", ".join(name for name in above if name.endswith((".bin", ".pt", ".pth", ".ckpt"))) or None,
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
