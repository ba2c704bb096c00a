"""Which files of a data set hold its corpus, queries and judgements: MTEB's, BEIR's and NanoBEIR's layouts."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from mrbench.errors import BenchmarkError, InputError
from mrbench.files import sha256_file
from mrbench.sources.files import read_text
from mrbench.sources.rows import kind_of

LAYOUT = (
    "a README.md whose header lists the configurations corpus, queries and qrels (or default); or corpus.jsonl, "
    "queries.jsonl and qrels/SPLIT.tsv; or the folders corpus, queries and qrels with a file for each split"
)
KINDS = (".parquet", ".jsonl", ".csv", ".tsv")
_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_SHARD = re.compile(r"(.+?)(?:-\d{3,5}-of-\d{3,5}(?:-[0-9a-f]+)?)?")
_BLOB = re.compile(r"[0-9a-f]{64}")
Files = dict[str, dict[str, list[Path]]]


@dataclass
class Layout:
    """The files of a data set.

    Attributes:
        folder: Where it lies.
        revision: Its revision in the hub's cache; empty for a folder of one's own.
        files: By configuration and split.
        licence: What the data card says.
    """

    folder: Path
    revision: str
    files: Files = field(default_factory=dict)
    licence: str = "unknown"

    def table(self, name: str, subset: str) -> tuple[str, dict[str, list[Path]]]:
        """Return the configuration of a table and its files by split; an empty name where there is none.

        Args:
            name: ``corpus``, ``queries``, ``qrels``, ``top_ranked`` or ``instruction``.
            subset: Name of the part that the user wants; empty for the default one.
        """
        others = {"qrels": ("default",), "queries": ("query",)}.get(name, ())
        wanted = [f"{subset}-{name}", f"{name}-{subset}"] if subset else []
        for config in (*wanted, name, *others):
            if config in self.files:
                return config, self.files[config]
        return "", {}

    def subsets(self) -> list[str]:
        """Return the names of the parts that have judgements of their own."""
        before = {config.removesuffix("-qrels") for config in self.files if config.endswith("-qrels")}
        return sorted(before | {config.removeprefix("qrels-") for config in self.files if config.startswith("qrels-")})


def find_folder(location: str) -> tuple[Path, str]:
    """Return the folder of a data set and its revision; one of the hub is looked for in the local cache only.

    Args:
        location: A folder, or ``OWNER/NAME`` or ``OWNER/NAME@REVISION`` of the hub.

    Raises:
        BenchmarkError: There is no such folder, and no such data set in the cache.
    """
    if Path(location).is_dir():
        return Path(location).absolute(), ""
    name, _, revision = location.partition("@")
    if not _ID.fullmatch(name):
        raise BenchmarkError("no such folder", where=location, accepted="a folder, or OWNER/NAME[@REVISION] of the hub")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        found = snapshot_download(name, repo_type="dataset", revision=revision or None, local_files_only=True)
    except (LocalEntryNotFoundError, HFValidationError, OSError) as error:
        command = f"hf download {name} --repo-type dataset" + (f" --revision {revision}" if revision else "")
        raise BenchmarkError("a data set is not in the local hub cache", got=location, hint=command) from error
    return Path(found), Path(found).name


def read_layout(folder: Path, revision: str = "") -> Layout:
    """Find the files of a data set.

    Raises:
        BenchmarkError: The folder has none of the layouts.
    """
    header = _card_header(folder)
    layout = Layout(folder, revision, licence=str(header.get("license") or "unknown"))
    if header.get("configs"):
        layout.files = _of_card(folder, header["configs"])
    else:
        layout.files = _of_names(folder)
    if not layout.files:
        raise BenchmarkError("a data set of another layout", where=folder, accepted=LAYOUT)
    return layout


def _card_header(folder: Path) -> dict[str, Any]:
    card = folder / "README.md"
    if not card.is_file():
        return {}
    text = read_text(card)
    match = re.match(r"---\s*\n(.*?)\n---\s*(\n|$)", text, re.DOTALL)
    if match is None:
        return {}
    try:
        header = yaml.safe_load(match[1])
    except yaml.YAMLError as error:
        raise BenchmarkError(
            "the header of a data card is not YAML",
            where=card,
            got=str(error),
            accepted="YAML between two lines of ---",
        ) from error
    return header if isinstance(header, dict) else {}


def _of_card(folder: Path, configs: Any) -> Files:
    card, found = folder / "README.md", Files()
    if not isinstance(configs, list):
        raise BenchmarkError(
            "configs of a data card are no list", where=card, got=configs, accepted="a list of configurations"
        )
    for config in configs:
        name = config.get("config_name") if isinstance(config, dict) else None
        if not isinstance(name, str):
            raise BenchmarkError("a configuration without a name", where=card, got=config, accepted="config_name: NAME")
        below = str(config.get("data_dir") or "")
        parts = _data_files(config.get("data_files"))
        if parts is None:
            found[name] = _by_split(sorted(_inside(folder, below or name, card).glob("*")))
            continue
        splits: dict[str, list[Path]] = {}
        for split, pattern in parts:
            _inside(folder, pattern, card)
            files = sorted(path for path in folder.glob(str(PurePosixPath(below, pattern))) if path.is_file())
            if not files:
                where = f"{card}, {name}"
                raise BenchmarkError(
                    "the files of a configuration are missing",
                    where=where,
                    got=pattern,
                    hint="download them: hf download OWNER/NAME --repo-type dataset",
                )
            for own, paths in {split: files}.items() if split else _by_split(files, "train").items():
                splits.setdefault(own, []).extend(paths)
        found[name] = splits
    return {name: splits for name, splits in found.items() if splits}


def _data_files(said: Any) -> list[tuple[str, str]] | None:
    """Return split and pattern of each entry; an empty split where none is said; None where there are no entries."""
    if said is None:
        return None
    if isinstance(said, dict):
        said = [{"split": split, "path": path} for split, path in said.items()]
    entries: list[tuple[str, str]] = []
    for entry in [said] if isinstance(said, str) else said:
        if isinstance(entry, str):
            entries.append(("", entry))
        else:
            paths = entry["path"]
            entries += [(str(entry.get("split", "")), p) for p in ([paths] if isinstance(paths, str) else paths)]
    return entries


def _inside(folder: Path, pattern: str, card: Path) -> Path:
    if PurePosixPath(pattern).is_absolute() or ".." in PurePosixPath(pattern).parts:
        raise BenchmarkError(
            "a path of a data card leaves its folder", where=card, got=pattern, accepted="a path below the folder"
        )
    return folder / pattern


def _of_names(folder: Path) -> Files:
    """Find tables by the names of files and folders, as BEIR has them and as the hub writes them."""
    found = Files()
    tables = ("corpus", "queries", "qrels", "top_ranked", "instruction")
    for path in sorted(folder.iterdir()):
        if path.is_dir() and any(path.name == table or path.name.endswith(f"-{table}") for table in tables):
            splits = _by_split(sorted(path.iterdir()))
            if splits:
                found[path.name] = splits
        elif path.is_file() and kind_of(path) in KINDS and path.name.partition(".")[0] in tables:
            stem = path.name.partition(".")[0]
            found[stem] = {stem: [path]}
    return found


def _by_split(paths: list[Path], default: str = "") -> dict[str, list[Path]]:
    """Sort files by the split that their names begin with: ``test-00000-of-00002.parquet``, ``test.tsv``."""
    splits: dict[str, list[Path]] = {}
    for path in paths:
        if path.is_file() and kind_of(path) in KINDS:
            match = _SHARD.fullmatch(path.name.partition(".")[0])
            splits.setdefault((match[1] if match else "") or default, []).append(path)
    return splits


def pick_split(table: str, splits: dict[str, list[Path]], wanted: str, folder: Path) -> list[Path]:
    """Return the files of a table for a split of the judgements: those of that name, else of the only one there is.

    Raises:
        InputError: It has several, and none of that name.
    """
    if wanted in splits:
        return splits[wanted]
    if len(splits) == 1:
        return next(iter(splits.values()))
    raise InputError(f"no split of that name in {table}", where=folder, got=wanted, accepted=", ".join(sorted(splits)))


def content_digest(path: Path) -> str:
    """Return the SHA-256 of a file; in the hub's cache a large file is stored under it and is not read."""
    target = path.readlink().name if path.is_symlink() else ""
    return target if _BLOB.fullmatch(target) else sha256_file(path)
