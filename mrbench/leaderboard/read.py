"""Find result files and read them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from mrbench.errors import MRBenchError, ResultError
from mrbench.files import FETCH, absent_content, sha256_file, walk_files
from mrbench.leaderboard.overlays import one_of
from mrbench.leaderboard.standings import contestant
from mrbench.results import FORMAT, Evidence, Result, Results, read_checked, read_result
from mrbench.runs import RUN, read_header

_OF_NO_RESULT = (".parquet", ".trec")  # the tables of a run, which no leaderboard reads


def read_results(paths: str | Path | Sequence[str | Path]) -> Results:
    """Read result files, and every result file below the folders.

    In a folder, ``result.json`` has to be a result, and so has every other ``*.json`` that cannot be parsed or that
    says it is one; JSON of other kinds and hidden files are passed over. Links are followed. A file that is named
    twice is read once. Each result says what stands behind it (:data:`mrbench.results.Evidence`).

    Args:
        paths: A file or folder, or several.

    Returns:
        The results, in the order of the paths, those of a folder in the order of their names. Of two of a model that
        differ in an overlay alone, the one with it is kept: it holds the scores without it too.

    Raises:
        ResultError: A path does not exist or cannot be read, a link leads to nothing, a file is malformed, there is no
            result at all, or two files hold the same model, revision, dtype, length of texts and options on the same
            benchmark, split and pool.
        FormatVersionError: A file was written by a newer version of MRBench.
    """
    named = [paths] if isinstance(paths, str | Path) else paths
    results = Results()
    seen: set[str] = set()
    places: dict[tuple[str | int, ...], int] = {}
    for file in (file for path in named for file in _files(Path(path))):
        real = os.path.realpath(file)
        if real in seen:
            continue
        seen.add(real)
        result = read_result(file)
        result = replace(result, evidence=_evidence(file, result), file=str(file))
        at = places.setdefault(contestant(result), len(results))
        if at == len(results):
            results.append(result)
        else:
            results[at] = one_of(results[at], result)
    if not results:
        raise ResultError(
            "no result file found", where=", ".join(map(str, named)) or None, hint="mrbench evaluate DIR --model NAME"
        )
    return results


def find_runs(paths: Sequence[Path]) -> list[Path]:
    """Return the folders that hold a run, among some folders and all below them; of a file, the folder it lies in."""
    folders = [path if path.is_dir() else path.parent for path in paths]
    found = [file.parent for folder in folders for file in walk_files(folder) if file.name == "run.json"]
    return sorted(dict.fromkeys(found))


def _evidence(file: Path, result: Result) -> Evidence:
    """Return what stands behind a result: a run of the same evaluation beside it, or the word of who had the run."""
    if file.name == "result.json" and (file.parent / RUN).is_file():
        try:
            header = read_header(file.parent)
        except MRBenchError:
            return "self-reported"
        said = {"model": result.model, "benchmark": result.benchmark, "seed": result.seed, "limit": result.limit}
        return "run" if all(header.get(name) == part for name, part in said.items()) else "self-reported"
    known = read_checked(file.parent).get(file.name)
    return "recomputed" if known is not None and known.sha256 == sha256_file(file) else "self-reported"


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        if absent := absent_content(path):
            raise ResultError(absent, where=path, hint=FETCH)
        if not path.exists():
            raise ResultError("no such result file or folder", where=path, hint="mrbench evaluate DIR --model NAME")
        yield path
        return
    try:
        for file in walk_files(path):
            if not file.exists() and file.suffix not in _OF_NO_RESULT:  # it may have been a folder of results
                raise ResultError(absent_content(file) or "a file is gone", where=file, hint=f"remove it, or {FETCH}")
            if file.suffix == ".json" and file.is_file() and (file.name == "result.json" or _claims_to_be_one(file)):
                yield file
    except OSError as error:
        raise ResultError(
            f"cannot read: {error.strerror or error}",
            where=error.filename or path,
            hint="name the results that you can read",
        ) from error


def _claims_to_be_one(file: Path) -> bool:
    """Return whether JSON says that it is a result, or cannot be parsed: that may be a torn result."""
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return True
    return isinstance(raw, dict) and raw.get("format") == FORMAT
