"""A run: from a recipe and data sets to a folder a stage, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from elva import checkpoints
from elva.config import Contrastive, Embedding, Optimiser, Recipe
from elva.engine import STATE, Objective, Stage, run
from elva.inputs import Data, check, check_summaries
from elva.model import Elva, seeded_globally
from elva.naming import naming
from elva.processes import Processes
from elva.runs import claim, facts_of, look
from elva.sampler import steps_of
from elva.stages.contrastive import InfoNCE
from elva.stages.generative import Generation
from elva.stages.plug_in import PlugIn
from elva.stages.reinforcement import Learner
from mrbench.errors import InputError
from mrbench.folders import replaced_folder
from mrbench.models.checkpoint import weights_of
from mrbench.models.checkpoint_folders import find_checkpoint
from mrbench.models.common import weights_digest
from mrbench.models.dual_encoder import DualEncoder


def train(
    recipe: Recipe,
    data: Data,
    out: Path,
    *,
    stages: Sequence[int] | None = None,
    start: Path | None = None,
    resume: bool = False,
    device: str = "auto",
    save_every: int = 100,
    quiet: bool = False,
) -> Path:
    """Run stages and return the folder of the last one's model.

    Args:
        recipe: What to run.
        data: What to run it on.
        out: Folder of the run: ``run.json``, ``metrics.jsonl``, ``stage0/`` ... ``stage3/``.
        stages: Which; None for all that the recipe has.
        start: Model folder to start from, in the place of the stage before the first.
        resume: Go on with a run in ``out``: stages that are done are kept.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        save_every: Steps between two writes of the state.
        quiet: No progress bar.

    Raises:
        InputError: Of :func:`elva.inputs.check`, or the folder is of another recipe, data, pairs of sentences or start.
        OutputError: The folder is in use.
    """
    wanted = sorted(recipe.stages() if stages is None else stages)
    check(recipe, data, wanted)
    processes = Processes.here()
    small = min(getattr(recipe, f"stage{number}").batch for number in wanted)
    if small < processes.world:
        raise InputError(
            "more processes than queries of a step",
            got=processes.world,
            accepted=f"up to {small}",
            hint="start fewer processes, or raise batch in the recipe",
        )
    facts = facts_of(recipe, data.benchmarks, data.pairs, start)
    known = look(out, facts, resume=resume)
    if known["start"] is not None:
        start = Path(known["start"])
    model, before = _begin(recipe, data, out, wanted[0], start, device)
    check_summaries(recipe, data, model, wanted)
    with claim(out, facts, processes, resume=resume):
        for number in wanted:
            folder = out / f"stage{number}"
            if (folder / checkpoints.MARKER).exists():
                model, before = checkpoints.load(folder, device=device)[0], folder
                continue
            model, before = _run_stage(
                number, recipe, data, model, before, folder, resume, processes, save_every, quiet
            )
    return out / f"stage{wanted[-1]}"


def _begin(
    recipe: Recipe, data: Data, out: Path, first: int, start: Path | None, device: str
) -> tuple[Elva, Path | None]:
    """Return the model to start with, and its folder."""
    done = [out / f"stage{number}" for number in range(first) if (out / f"stage{number}" / checkpoints.MARKER).exists()]
    folder = start or (done[-1] if done else None)
    if folder is not None:
        model, known, _ = checkpoints.load(folder, device=device)
        if (known.base, known.architecture, known.prompt) != (recipe.base, recipe.architecture, recipe.prompt):
            raise InputError(
                "the model to start from is of another recipe",
                where=folder,
                got=known.name,
                hint="name the recipe that it was trained with, or leave --start out",
            )
        model.max_summary = recipe.max_summary
        return model, folder
    earlier = [number for number in recipe.stages() if number < first]
    if earlier:
        hint = f"run stage {earlier[-1]} first, or name a model with --start"
        raise InputError(f"stage {first} needs the model of stage {earlier[-1]}", where=out, hint=hint)
    if recipe.base is not None:
        return checkpoints.load_base(recipe, device=device), None
    return checkpoints.build(recipe, data.texts(), device=device), None


def _run_stage(
    number: int,
    recipe: Recipe,
    data: Data,
    model: Elva,
    before: Path | None,
    folder: Path,
    resume: bool,
    processes: Processes,
    save_every: int,
    quiet: bool,
) -> tuple[Elva, Path]:
    options: Optimiser = getattr(recipe, f"stage{number}")
    if options.train == "lora":
        with seeded_globally(recipe.seed, number):
            model.adapt(recipe.lora)
    weights = model.unfreeze(options.train)
    objective, rows, embedding = make_objective(number, recipe, options, data, model, processes)
    stage = Stage(number, options, steps_of(options, rows), recipe.digest, folder.parent, save_every, processes, quiet)
    run(stage, objective, weights, resume=resume)
    if recipe.base is None:
        model.merge()
    if processes.first:
        named = naming(model, data.benchmarks, data.summaries)
        checkpoints.save(model, folder, recipe, stage=number, embedding=embedding, before=before, named=named)
        for path in folder.parent.glob(f"{Path(STATE).stem}*.safetensors"):
            path.unlink()
    processes.wait()
    model.merge()
    return model, folder


def make_objective(
    number: int, recipe: Recipe, options: Any, data: Data, model: Elva, processes: Processes
) -> tuple[Objective, int, Embedding]:
    """Return a stage's objective, the number of rows it goes over, and how its model is to embed."""
    if number == 0:
        generation = Generation(model, data.pools, options, seed=recipe.seed, processes=processes)
        return generation, len(generation), "summary"
    if isinstance(options, Contrastive):
        pools = [data.sentences] if number == 1 and data.sentences else data.pools
        if number == 1:
            # Sentences have no canonical summary: they are embedded at the end of the prompt.
            options = replace(options, embedding="prompt", generation=0.0)
        loss = InfoNCE(model, pools, options, seed=recipe.seed, processes=processes, sampling=options.sampling)
        return loss, len(loss), options.embedding
    learner = Learner(
        model,
        data.pools,
        options,
        seed=recipe.seed,
        max_tokens=recipe.max_summary,
        processes=processes,
    )
    return learner, len(learner.sampler), "summary"


def train_plug_in(
    source: str,
    recipe: Recipe,
    data: Data,
    out: Path,
    *,
    part: Literal["language", "all"] = "all",
    resume: bool = False,
    device: str = "auto",
    save_every: int = 100,
    quiet: bool = False,
) -> Path:
    """Run stage 3 alone on an encoder that generates nothing, and return the folder of the trained encoder.

    Args:
        source: Folder or hub id, ``ORG/NAME`` or ``ORG/NAME@REVISION``, of a checkpoint that ``hf:PATH`` loads.
        recipe: With a stage 3; the other stages and the prompt do not matter.
        data: What to run it on.
        out: Folder of the run: ``run.json``, ``metrics.jsonl``, ``model/``.
        part: Train the text tower (``language``) or ``all``.
        resume: Go on with a run in ``out``.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        save_every: Steps between two writes of the state.
        quiet: No progress bar.

    Raises:
        InputError: The recipe has no stage 3, the folder is of another recipe, or there are several processes.
        OutputError: The folder is in use.
        ModelError: The encoder cannot be loaded, or training went wrong.
    """
    if recipe.stage3 is None:
        raise InputError(
            "the recipe lacks the stage",
            where=recipe.name,
            got=3,
            accepted=recipe.stages(),
            hint="take --recipe tiny, or write stage3 into the recipe",
        )
    processes = Processes.here()
    if processes.world > 1:
        raise InputError(
            "the plug-in mode runs in one process", got=processes.world, accepted=1, hint="run it without torchrun"
        )
    options = replace(recipe.stage3, train=part)
    recipe = replace(recipe, stage3=options)
    if options.updates > 1:
        raise InputError(
            "the plug-in mode makes one update a batch",
            where="stage3.updates",
            got=options.updates,
            accepted=1,
            hint="set stage3.updates to 1 in the recipe",
        )
    check(recipe, data, [3])
    found = find_checkpoint(source)
    facts = facts_of(recipe, data.benchmarks, data.pairs, found.folder)
    facts["weights"] = weights_digest(weights_of(found.folder))
    if found.commit:
        facts["start"] = f"{found.name}@{found.commit}"
    look(out, facts, resume=resume)
    encoder = DualEncoder(str(found.folder), device=device)
    with claim(out, facts, processes, resume=resume):
        if (out / "model").exists():
            return out / "model"
        named = dict(encoder.module.named_parameters())
        weights = {name: w for name, w in named.items() if part == "all" or not name.startswith(("vision", "visual"))}
        for name, weight in named.items():
            weight.requires_grad_(name in weights)
        objective = PlugIn(encoder, data.pools, options, seed=recipe.seed)
        stage = Stage(
            3, options, steps_of(options, len(objective.sampler)), recipe.digest, out, save_every, quiet=quiet
        )
        run(stage, objective, weights, resume=resume)
        with replaced_folder(out / "model", checkpoints.FOLDER, overwrite=False) as folder:
            encoder.save(folder)
        (out / STATE).unlink(missing_ok=True)
    return out / "model"
