"""``mrbench evaluate``: run a model over a benchmark and score it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mrbench.cli.common import (
    BenchmarkFolder,
    Cache,
    Json,
    OverlayOption,
    Overwrite,
    Seed,
    command_line,
    print_json,
)
from mrbench.cli.streams import say
from mrbench.errors import InputError, MRBenchError, OutputError
from mrbench.workers import cores

BATCH_SIZE = 1024
LONGEST_FOLDER, REVISION_DIGITS = 100, 8
MOST_WORKERS = 16  # by default: what one process can take from others

if TYPE_CHECKING:
    from mrbench.models.protocol import EmbeddingModel
    from mrbench.results import Result, TaskResult


def evaluate(
    folder: BenchmarkFolder,
    model: Annotated[
        str, typer.Option("--model", "-m", help="A name of `mrbench models`, or hf:PATH.", show_default=False)
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Folder to write. [default: results/BENCHMARK/MODEL, with the revision where MODEL is a path]",
            show_default=False,
        ),
    ] = None,
    task: Annotated[
        list[str] | None, typer.Option("--task", "-t", help="A task; may be repeated. [default: all]")
    ] = None,
    split: Annotated[str, typer.Option("--split", help="train, validation or test.")] = "test",
    pool: Annotated[
        str, typer.Option("--pool", help="task: candidates of the task's modality; union: of all modalities.")
    ] = "task",
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Queries per task, for a quick look.", show_default=False)
    ] = None,
    depth: Annotated[int, typer.Option("--depth", min=10, help="Candidates per query kept in the run.")] = 100,
    batch_size: Annotated[
        int,
        typer.Option(
            "--batch-size",
            min=1,
            help="Items per forward pass, at most; a model gets 256, or 1,024 texts on a GPU, at a time. "
            "The last bits of a vector depend on what it shares a pass with.",
        ),
    ] = BATCH_SIZE,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")] = "auto",
    cache: Cache = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            min=0,
            help="Processes that decode images ahead of the model; 0: a thread. "
            "[default: a core each, at most 16, where the model is on a GPU, else 0]",
            show_default=False,
        ),
    ] = None,
    patience: Annotated[
        float,
        typer.Option(
            "--patience", min=0, help="Seconds without news of other processes, then their part is done here."
        ),
    ] = 300,
    overlay: OverlayOption = None,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Run a model over a benchmark, keep the whole run, and score it.

    With --cache, `torchrun --nproc-per-node N -m mrbench evaluate ...` shares the embedding among N processes.

    Example: mrbench evaluate emoji --model conse
    """
    from mrbench.benchmark import Benchmark
    from mrbench.encode import Share
    from mrbench.evaluate import embed
    from mrbench.evaluate import evaluate as run
    from mrbench.models.zoo import load_model
    from mrbench.sources.overlay import read_overlay

    if pool not in ("task", "union"):
        raise InputError("unknown pool", where="--pool", got=pool, accepted="task, union")
    if workers is not None and workers > 8 * cores():
        raise InputError("more workers than help", where="--workers", got=workers, accepted=f"0 to {8 * cores()} here")
    share = Share.from_environment(patience=patience, workers=workers or 0)
    if cache is None and share.processes > 1:
        raise InputError("several processes need a folder to share", accepted="--cache DIR")
    benchmark = Benchmark(folder)
    laid = read_overlay(overlay, split) if overlay else None
    loaded = load_model(model, seed=seed, device=device, batch_size=batch_size)
    if workers is None:
        share = replace(share, workers=decoding_workers(loaded))
    if share.process and cache:
        return embed(
            benchmark, loaded, cache, share, tasks=task or None, split=split, pool=pool, limit=limit, seed=seed
        )
    target = output or Path("results") / benchmark.name / folder_name(model, loaded)
    if not overwrite:
        check_no_other_model(target, loaded)
    options: list[object] = ["--seed", seed, "--split", split, "--pool", pool, "--depth", depth]
    options += [word for name in task or [] for word in ("--task", name)]
    options += ["--limit", limit] if limit else []
    options += ["--overlay", overlay] if overlay else []
    options += ["--batch-size", batch_size] if batch_size != BATCH_SIZE else []
    result = run(
        benchmark,
        loaded,
        target,
        tasks=task or None,
        split=split,
        pool=pool,
        limit=limit,
        seed=seed,
        depth=depth,
        overwrite=overwrite,
        command=command_line("mrbench", "evaluate", folder, "--model", model, *options),
        cache=cache,
        share=share,
        overlay=laid,
    )
    if as_json:
        print_json(result.to_json())
    else:
        say(summary(result))
        say(f"result: {target / 'result.json'}")
    return None


def decoding_workers(model: EmbeddingModel) -> int:
    """Return how many processes decode images ahead: this process's share of the cores where a GPU embeds, else 0."""
    from mrbench.models.protocol import on_gpu

    if not on_gpu(model):
        return 0
    local = os.environ.get("LOCAL_WORLD_SIZE", "")  # torchrun's: the processes of this machine
    return min(MOST_WORKERS, max(1, cores() // max(1, int(local) if local.isdecimal() else 1)))


def summary(result: Result) -> str:
    """Return the scores of a result as lines of text."""
    lines = [f"{result.model['name']} on {result.benchmark['title']} ({result.benchmark['split']})"]
    for name, task in result.tasks.items():
        if task.status != "scored":
            lines.append(f"  {name:<5} not supported: {task.reason}")
            continue
        scores = "  ".join(
            f"{measure} {task.scores[measure]:.3f}" for measure in ("hit_rate@1", "hit_rate@5", "mrr", "ndcg@10")
        )
        lines.append(f"  {name:<5} {scores}  ({task.queries} queries, {task.candidates:,} candidates)")
        lines += overlay_lines(task)
        pairs = "  ".join(f"{grain} {pair.score:.3f}" for grain, pair in task.pair_accuracy.items())
        lines.append(f"        pair accuracy: {pairs}")
        heard = task.by_grain.get("grain_sensitivity", {})
        if heard:
            said = "  ".join(f"{grain} {part.score:.3f}" for grain, part in heard.items())
            lines.append(f"        grain sensitivity: {said}")
        for reason in dict.fromkeys(task.missing.values()):
            names = ", ".join(name for name, why in task.missing.items() if why == reason)
            lines.append(f"        no {names}: {reason}")
    return "\n".join(lines)


def overlay_lines(task: TaskResult) -> list[str]:
    """Return what further judgements change in a task: every score with them, and without them in brackets."""
    over = task.overlay
    if not over:
        return []

    def compared(with_it: dict[str, float], without: dict[str, float]) -> str:
        shown = (f"{name} {value:.3f} ({without[name]:.3f})" for name, value in with_it.items() if name in without)
        return "  ".join(shown)

    judged = over["judged_queries"]
    gone = over["without_relevant"]
    left = f"; {gone} queries have no relevant candidate any more" if gone else ""
    lines = [
        f"        with {over['name']} (without): {over['changed']:,} of {over['pairs']:,} pairs change{left}",
        f"          all {over['queries']:,} queries: {compared(over['scores'], task.scores)}",
    ]
    if judged["queries"] != over["queries"]:
        with_it, without = judged["with"], judged["without"]
        lines.append(f"          the {judged['queries']:,} queries that it judges: {compared(with_it, without)}")
    return lines


def folder_name(spec: str, model: EmbeddingModel) -> str:
    """Return the name of a model's folder of results: its name, and its revision where a path names the model.

    Any number of checkpoints lie in folders of one name; a name of ours, or of a plugin, is one model's.

    Args:
        spec: What was asked for, such as ``conse`` or ``hf:PATH``.
        model: What was loaded.
    """
    from mrbench.models.zoo import ZOO

    name = _plain(str(model.name))[:LONGEST_FOLDER].strip("-.") or "model"
    if spec in ZOO:
        return name
    revision = _plain(str(model.revision).rpartition(":")[2])[:REVISION_DIGITS].strip("-.")
    return f"{name}-{revision}" if revision else name


def check_no_other_model(target: Path, model: EmbeddingModel) -> None:
    """Raise :class:`OutputError` where a folder holds the result of another model: to replace it is no good advice."""
    from mrbench.results import read_result

    try:
        held = read_result(target / "result.json").model
    except (MRBenchError, OSError):  # none, or none that can be read: what may be written there is decided later
        return
    known = held["name"], held["revision"]
    if known != (str(model.name), str(model.revision)):
        raise OutputError(
            "the output folder holds the result of another model",
            where=target,
            got=" ".join(known),
            accepted=f"that of {model.name} {model.revision}, or a new folder",
            hint="choose another --output",
        )


def _plain(text: str) -> str:
    return "".join(character if character.isalnum() or character in "-_." else "-" for character in text)
