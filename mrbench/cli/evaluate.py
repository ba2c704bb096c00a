"""``mrbench evaluate``: run a model over a benchmark and score it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from mrbench.cli.common import (
    BenchmarkSpec,
    Cache,
    ImageRootOption,
    Json,
    MaxLength,
    OverlayOption,
    Overwrite,
    Seed,
    print_json,
)
from mrbench.cli.completion import model_names
from mrbench.cli.evaluation_jobs import Jobs, Outcome
from mrbench.cli.instructions import Wording, spread, spread_lines, wordings
from mrbench.cli.model_choices import ModelChoice, chosen
from mrbench.cli.streams import note, say
from mrbench.cli.summary import summary
from mrbench.errors import InputError
from mrbench.workers import cores

BATCH_SIZE = ModelChoice("").batch_size


def evaluate(
    context: typer.Context,
    spec: BenchmarkSpec,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            help="A spec as `mrbench models` lists them; may be repeated.",
            show_default=False,
            autocompletion=model_names,
        ),
    ] = None,
    models: Annotated[
        Path | None,
        typer.Option("--models", help="YAML file: a list of models, each with options of its own.", show_default=False),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Folder to write; with several models, the folder that gets a folder for each. "
            "[default: results/BENCHMARK/MODEL, with the revision where MODEL is a path, and --dtype and "
            "--max-length where given]",
            show_default=False,
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="What to call the model in results.", show_default=False)
    ] = None,
    task: Annotated[
        list[str] | None, typer.Option("--task", "-t", help="A task; may be repeated. [default: all]")
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            "--split",
            help="train, validation or test. [default: test, else validation, else train]",
            show_default=False,
        ),
    ] = None,
    pool: Annotated[
        str, typer.Option("--pool", help="task: candidates of the task's modality; union: of all modalities.")
    ] = "task",
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            min=1,
            help="Queries per task, for a quick look: among the candidates that they need and 500 others.",
            show_default=False,
        ),
    ] = None,
    instruction: Annotated[
        str | None,
        typer.Option(
            "--instruction",
            metavar="TEXT|N|all",
            help="A text for all queries; or wording N of the data set's own, from 0; or all: each wording in turn, "
            "with mean and spread. [default: each query's own]",
            show_default=False,
        ),
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
    dtype: Annotated[
        str | None,
        typer.Option("--dtype", help="float32, float16 or bfloat16. [default: the model's own]", show_default=False),
    ] = None,
    max_length: MaxLength = None,
    trust_remote_code: Annotated[
        bool,
        typer.Option("--trust-remote-code", help="Run code that comes with a model's weights. Read that code first."),
    ] = False,
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
            "--patience", min=0, help="Seconds to wait for news of another process before taking over its share."
        ),
    ] = 300,
    image_root: ImageRootOption = None,
    overlay: OverlayOption = None,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Leave out a model whose result of this evaluation is there.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Run models over a benchmark, keep the whole runs, and score them.

    A model that fails does not stop the others; the exit code is then 2.

    With --cache, `torchrun --nproc-per-node N -m mrbench evaluate ...` shares the embedding among N processes.

    Example: mrbench evaluate emoji --model conse
    """
    from mrbench.encode import Share
    from mrbench.sources.open import open_benchmark
    from mrbench.sources.overlay import read_overlay

    if pool not in ("task", "union"):
        raise InputError("unknown pool", where="--pool", got=pool, accepted="task, union")
    if workers is not None and workers > 8 * cores():
        raise InputError("more workers than help", where="--workers", got=workers, accepted=f"0 to {8 * cores()} here")
    common = {"dtype": dtype, "max_length": max_length, "device": device, "batch_size": batch_size}
    common |= {"trust_remote_code": trust_remote_code}
    choices = chosen(model or [], models, name=name, **common)
    share = Share.from_environment(patience=patience, workers=workers or 0)
    if cache is None and share.processes > 1:
        raise InputError("several processes need a folder to share", accepted="--cache DIR")
    benchmark = open_benchmark(spec, image_root=image_root)
    split = split or benchmark.default_split
    words: list[object] = ["--seed", seed, "--split", split, "--pool", pool, "--depth", depth]
    words += [word for one in task or [] for word in ("--task", one)]
    words += ["--limit", limit] if limit else []
    words += ["--instruction", instruction] if instruction is not None else []
    words += ["--image-root", image_root] if image_root else []
    words += ["--overlay", overlay] if overlay else []
    settings: dict[str, Any] = {
        "tasks": task or None,
        "split": split,
        "pool": pool,
        "limit": limit,
        "seed": seed,
        "depth": depth,
    }
    settings["overlay"] = read_overlay(overlay, split) if overlay else None
    said = wordings(benchmark, task, instruction)
    if len(said) > 1 and len(choices) > 1:
        raise InputError(
            "several instructions take one model at a time",
            where="--instruction",
            got=instruction,
            hint="run the command once for each model",
        )
    jobs = Jobs(
        benchmark,
        spec,
        output,
        several=len(choices) > 1 or models is not None,
        settings=settings,
        command=tuple(words),
        cache=cache,
        share=share,
        workers=workers,
        overwrite=overwrite,
        skip_existing=skip_existing,
        debug=bool(context.find_root().obj),
    )
    if len(said) > 1:
        _evaluate_wordings(jobs, choices[0], said, as_json)
        return
    jobs = replace(jobs, settings={**settings, "instruction": said[0]})
    if jobs.several:
        _evaluate_several(jobs, choices, as_json)
        return
    outcome = jobs.run(choices[0])
    if as_json and outcome.result:
        print_json(outcome.result.to_json())
    elif outcome.status != "embedded":
        _tell(outcome)


def _evaluate_wordings(jobs: Jobs, choice: ModelChoice, said: list[Wording], as_json: bool) -> None:
    """Evaluate a model with each wording of the instructions, and print mean and spread of each task's main measure."""
    results = []
    for number, wording in enumerate(said):
        one = replace(jobs, settings={**jobs.settings, "instruction": wording}, part=f"instruction-{number}")
        outcome = one.run(choice)
        if outcome.result:
            results.append(outcome.result)
            note(f"instruction {number}: {outcome.target}/result.json")
    if not results:
        return
    found = spread(results)
    if as_json:
        print_json(found)
    else:
        say("\n".join([f"{results[0].model['name']} on {results[0].benchmark['title']}", *spread_lines(found)]))


def _evaluate_several(jobs: Jobs, choices: list[ModelChoice], as_json: bool) -> None:
    """Evaluate models one after the other.

    Raises:
        typer.Exit: A model failed: exit code 2.
    """
    outcomes = []
    for choice in choices:
        outcomes.append(jobs.run_alone(choice))
        if outcomes[-1].error:
            note(f"error: {choice.label}: {outcomes[-1].error}")
        elif not as_json and outcomes[-1].status != "embedded":
            _tell(outcomes[-1])
    if as_json:
        print_json([outcome.to_json() for outcome in outcomes])
    failed = [outcome.choice.label for outcome in outcomes if outcome.error]
    if failed:
        note(f"error: {len(failed)} of {len(outcomes)} models failed: {', '.join(failed)}")
        raise typer.Exit(2)


def _tell(outcome: Outcome) -> None:
    if outcome.result:
        say(summary(outcome.result))
        say(f"result: {outcome.target}/result.json")
    else:
        note(f"{outcome.choice.label}: skipped, its result is there: {outcome.target}/result.json")
