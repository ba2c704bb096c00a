"""The hub of models and its cache: ids, commits, downloads.

Which files of a repository are wanted, and whether a folder has them all, is said in
:mod:`mrbench.models.checkpoint_folders`.
"""

from __future__ import annotations

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
from mrbench.models.hub_cache import cached_commits, is_edited, storage_of

ANSWER_SECONDS = 5.0
"""How long the hub may take to answer before what is in the cache is taken."""
_NAME = r"[A-Za-z0-9][\w.-]*"
COMMIT = r"[0-9a-f]{40}"


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


def hub_model_at(folder: Path) -> Checkpoint | None:
    """Return the model of the hub whose snapshot in the cache a folder is, by any path; None for any other folder.

    A folder elsewhere that is only named like a snapshot may hold anything.
    """
    real = folder.resolve()
    repository = re.fullmatch(r"models--(.+)", real.parent.parent.name)
    in_cache = real.parent.name == "snapshots" and real.parents[2:3] == (Path(constants.HF_HUB_CACHE).resolve(),)
    if repository and in_cache and re.fullmatch(COMMIT, real.name):
        return unless_edited(Checkpoint(folder, repository[1].replace("--", "/"), real.name))
    return None


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
            fetch = f"unset HF_HUB_OFFLINE, or copy a cache that has it: hf download {repository}" if offline else None
            raise _hub_error(where, f"it is not in the cache, and {why}", fetch) from error
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


def _hub_error(where: str, why: str, hint: str | None = None) -> ModelError:
    return ModelError(
        f"neither a local folder nor a model that the hub gave us: {why}",
        where="model",
        got=where,
        hint=hint or "check the id, or the network and the access to the hub",
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
