"""``mrbench demo``: the whole way once, from nothing to a published leaderboard."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from mrbench.cli.common import WORKERS, Json, Seed, Workers, command_line, print_json
from mrbench.cli.streams import note, say
from mrbench.errors import BenchmarkError
from mrbench.files import write_json_atomic
from mrbench.folders import FolderKind, check_replaceable

if TYPE_CHECKING:
    from mrbench.results import Result

FOLDER = FolderKind("demo.json", holds=".*")
_PICTURES = 1200  # of a benchmark, on the pages


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write.")] = Path("demo"),
    small: Annotated[bool, typer.Option("--small", help="A few queries only, to see that everything works.")] = False,
    entries: Annotated[
        list[Path] | None,
        typer.Option(
            "--entries",
            metavar="DIR",
            help="Folder of results that take too long, or are on photos that a demo does not have; may be repeated. "
            "They join the leaderboard, marked as committed. Audits and numbers that others report join the site.",
            show_default=False,
        ),
    ] = None,
    seed: Seed = 0,
    workers: Workers = WORKERS,
    as_json: Json = False,
) -> None:
    """Build both benchmarks, evaluate every built-in model, publish and print the leaderboard.

    Runs again into a folder of an earlier demo.

    Example: mrbench demo --output demo
    """
    start = time.perf_counter()
    check_replaceable(output, FOLDER, overwrite=True)
    facts = {"format": "mrbench-demo", "format_version": 1, "seed": seed, "small": small}
    write_json_atomic(output / FOLDER.marker, facts)
    folders = _build(output, small, seed, workers)
    for folder in folders:
        _validate(folder)
    results = [_evaluate(folder, output, name, seed) for folder in folders for name in _models()]
    read = read_with_entries(results, entries)
    published = _publish(read, output / "leaderboard", folders, results, entries or [])
    note(f"demo finished in {time.perf_counter() - start:.0f} s")
    if as_json:
        print_json({name: str(path) for name, path in published.items()})
        return
    from mrbench.leaderboard import boards, terminal

    for board in boards(read):
        say(terminal(board))
    say(f"page: {published['html'].absolute()}")


def read_with_entries(measured: list[Path], entries: list[Path] | None) -> list[Result]:
    """Return what was measured, and committed results beside it, so marked.

    Those of models that were measured on the same benchmark are left out, and so are those on another build of a
    benchmark of the same name.
    """
    from mrbench.leaderboard import read_results

    found = list(read_results(measured))
    if not entries:
        return found
    settings = {result.setting for result in found}
    names = {result.benchmark["name"] for result in found}
    known = {(result.setting, result.model["name"]) for result in found}
    return found + [
        replace(result, committed=True)
        for result in read_results(entries)
        if (result.setting in settings or result.benchmark["name"] not in names)
        and (result.setting, result.model["name"]) not in known
    ]


def _publish(
    read: list[Result], board: Path, folders: list[Path], results: list[Path], entries: list[Path]
) -> dict[str, Path]:
    from mrbench.benchmark import Benchmark
    from mrbench.leaderboard import find_runs, publish, read_audits, read_reported

    note(f"publishing {board}")
    opened = [Benchmark(folder, verify=False) for folder in folders]  # checked when they were evaluated
    return publish(
        read,
        board,
        overwrite=True,
        benchmarks=opened,
        runs=find_runs(results),
        reported=read_reported(entries),
        audits=read_audits(entries),
        pictures=_PICTURES,
    )


def _build(output: Path, small: bool, seed: int, workers: int) -> list[Path]:
    from mrbench.build.emoji import EmojiConfig, build_emoji
    from mrbench.build.scenes import ScenesConfig, build_scenes

    emoji, scenes = output / "emoji", output / "scenes"
    if small:
        build_emoji(
            emoji, EmojiConfig(size=64, test_queries=12, splits=("test",)), seed=seed, workers=workers, overwrite=True
        )
        build_scenes(
            scenes,
            ScenesConfig(size=64, test_queries=12, pool=400, splits=("test",)),
            seed=seed,
            workers=workers,
            overwrite=True,
        )
    else:
        note(f"building {emoji}")
        build_emoji(emoji, EmojiConfig(), seed=seed, workers=workers, overwrite=True)
        note(f"building {scenes}")
        build_scenes(scenes, ScenesConfig(), seed=seed, workers=workers, overwrite=True)
    return [emoji, scenes]


def _validate(folder: Path) -> None:
    from mrbench.validate import validate

    note(f"validating {folder}")
    report = validate(folder)
    if report.problems:
        raise BenchmarkError(
            "the benchmark is not valid",
            where=folder,
            got=str(report.problems[0]),
            hint=f"mrbench validate {quote(str(folder))} lists all problems",
        )


def _models() -> list[str]:
    from mrbench.models.zoo import ZOO

    return [entry.name for entry in ZOO if entry.path.startswith("mrbench.") and ":" not in entry.name]


def _evaluate(folder: Path, output: Path, name: str, seed: int) -> Path:
    from mrbench.benchmark import Benchmark
    from mrbench.evaluation import evaluate
    from mrbench.models.zoo import load_model

    target = output / "results" / folder.name / name
    note(f"evaluating {name} on {folder.name}")
    command = command_line("mrbench", "evaluate", folder, "--model", name, "--output", target, "--seed", seed)
    benchmark = Benchmark(folder)
    evaluate(benchmark, load_model(name, seed=seed), target, seed=seed, overwrite=True, command=command)
    return target / "result.json"
