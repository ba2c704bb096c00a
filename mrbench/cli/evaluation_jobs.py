"""The models of one `mrbench evaluate`, one after the other: what fails does not stop the others."""

from __future__ import annotations

import gc
import os
import sys
import traceback
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mrbench.cli.model_choices import ModelChoice
from mrbench.errors import ModelError, MRBenchError, OutputError, advised, command_line, out_of_memory, redacted_spec
from mrbench.files import short_name
from mrbench.workers import cores

if TYPE_CHECKING:
    from mrbench.benchmark import Benchmark
    from mrbench.encode import Share
    from mrbench.models.protocol import EmbeddingModel
    from mrbench.results import Result

LONGEST_FOLDER, REVISION_DIGITS, OPTION_DIGITS = 100, 8, 6  # bytes, and digits
MOST_WORKERS = 16  # by default: what one process can take from others


@dataclass(frozen=True)
class Outcome:
    """What became of a model.

    Attributes:
        choice: The model.
        status: ``scored``; ``skipped``, since its result is there; ``failed``; or ``embedded``, by a process that
            leaves the scoring to another.
        target: The folder of its result.
        result: The result, where there is one.
        error: Why it failed, in one line.
    """

    choice: ModelChoice
    status: Literal["scored", "skipped", "failed", "embedded"]
    target: Path | None = None
    result: Result | None = None
    error: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return it as `--json` prints it for several models."""
        found: dict[str, Any] = {"model": redacted_spec(self.choice.model), "status": self.status}
        found |= {"folder": str(self.target)} if self.target else {}
        found |= {"error": self.error} if self.error else {}
        return found | ({"result": self.result.to_json()} if self.result else {})


@dataclass(frozen=True)
class Jobs:
    """How models are evaluated.

    Attributes:
        benchmark: The benchmark.
        spec: How the user named it.
        output: Where results go: the folder of the one model, or the folder of the models' folders; None takes
            ``results/BENCHMARK``.
        several: Whether there may be several models.
        settings: What ``mrbench.evaluation`` takes beside: tasks, split, pool, limit, seed, depth, overlay,
            instruction.
        command: Words of the command that are the same for all models.
        cache: Folder of embeddings.
        share: What of the work is this process's.
        workers: Processes that decode images; None decides by the model.
        overwrite: Whether results may be replaced.
        skip_existing: Whether a model whose result is there is left out.
        debug: Whether to show the traceback of an error.
        part: Folder below a model's, where a model is evaluated several times; empty for its own.
    """

    benchmark: Benchmark
    spec: str
    output: Path | None
    several: bool
    settings: dict[str, Any]
    command: tuple[object, ...]
    cache: Path | None
    share: Share
    workers: int | None = None
    overwrite: bool = False
    skip_existing: bool = False
    debug: bool = False
    part: str = ""
    written: set[Path] = field(default_factory=set)

    def run(self, choice: ModelChoice) -> Outcome:
        """Evaluate one model.

        Raises:
            MRBenchError: As :func:`mrbench.evaluation` and :func:`mrbench.models.zoo.load_model` do.
        """
        from mrbench.models.zoo import load_model

        model = load_model(
            choice.model,
            seed=self.settings["seed"],
            device=choice.device,
            batch_size=choice.batch_size,
            dtype=choice.dtype,
            max_length=choice.max_length,
            trust_remote_code=choice.trust_remote_code,
        )
        with advised(command_line("mrbench", "models", "check", redacted_spec(choice.model)), ModelError):
            return self._run(choice, model)

    def _run(self, choice: ModelChoice, model: EmbeddingModel) -> Outcome:
        from mrbench.evaluation import embed, evaluate

        share = replace(self.share, workers=decoding_workers(model) if self.workers is None else self.workers)
        if share.process and self.cache:
            embedding = {name: value for name, value in self.settings.items() if name not in ("depth", "overlay")}
            embed(self.benchmark, model, self.cache, share, **embedding)
            return Outcome(choice, "embedded")
        target = self._target(choice, model)
        if target in self.written:
            raise OutputError(
                "two models have one folder of results",
                where=target,
                hint="give one another --name, or name: in the file of models",
            )
        if self.skip_existing and self._is_there(target, choice, model):
            return Outcome(choice, "skipped", target)
        if not self.overwrite:
            check_no_other_model(target, model, choice.name)
        self.written.add(target)
        result = evaluate(
            self.benchmark,
            model,
            target,
            **self.settings,
            name=choice.name,
            overwrite=self.overwrite,
            command=self._command(choice),
            cache=self.cache,
            share=share,
        )
        return Outcome(choice, "scored", target, result)

    def run_alone(self, choice: ModelChoice) -> Outcome:
        """Evaluate one of several models, and say what failed instead of raising it. Ctrl-C passes."""
        try:
            return self.run(choice)
        except Exception as error:  # of code that is not ours too: the other models have a right to their turn
            if self.debug:
                traceback.print_exc()
            said = _said(error)
        finally:
            _free()
        return Outcome(choice, "failed", error=said)

    def _target(self, choice: ModelChoice, model: EmbeddingModel) -> Path:
        if self.output is not None and not self.several:
            return self.output / self.part
        if choice.name:
            named = short_name(plain(choice.name).strip("."), LONGEST_FOLDER)
            name = "-".join(part for part in (named, plain(choice.dtype or "")) if part)
        else:
            name = folder_name(choice.model, model, dtype=choice.dtype, max_length=choice.max_length)
        return (self.output or Path("results") / self.benchmark.name) / (name or "model") / self.part

    def _is_there(self, target: Path, choice: ModelChoice, model: EmbeddingModel) -> bool:
        """Return whether a folder holds this evaluation of this model."""
        from mrbench.pools import DISTRACTORS
        from mrbench.results import read_result

        try:
            held = read_result(target / "result.json")
        except (MRBenchError, OSError):
            return False
        asked = self.settings
        benchmark = {"digest": self.benchmark.digest, "split": asked["split"], "pool": asked["pool"]}
        tasks = asked["tasks"] or self.benchmark.task_names
        return (
            _held_key(held.model, model) == _key(model, choice.name)
            and {name: held.benchmark[name] for name in benchmark} == benchmark
            and set(held.tasks) == set(tasks)
            and held.benchmark.get("instruction") == asked["instruction"]
            and _overlay_of(held) == (asked["overlay"].sha256 if asked.get("overlay") else None)
            and held.limit == asked["limit"]
            and held.benchmark.get("distractors") == (None if held.limit is None else DISTRACTORS)
            and (held.limit is None or held.seed == asked["seed"])
        )

    def _command(self, choice: ModelChoice) -> str:
        words: list[object] = ["--name", choice.name] if choice.name else []
        words += ["--dtype", choice.dtype] if choice.dtype else []
        words += ["--max-length", choice.max_length] if choice.max_length else []
        words += ["--trust-remote-code"] if choice.trust_remote_code else []
        words += ["--batch-size", choice.batch_size] if choice.batch_size != ModelChoice("").batch_size else []
        said = ("evaluate", self.spec, "--model", choice.model, *self.command, *words)
        return command_line("mrbench", *said)


def _overlay_of(result: Result) -> str | None:
    """Return the digest of what was laid over the judgements of a result, None where nothing was."""
    return next((task.overlay["sha256"] for task in result.tasks.values() if task.overlay), None)


def decoding_workers(model: EmbeddingModel) -> int:
    """Return how many processes decode images ahead: this process's share of the cores where a GPU embeds, else 0."""
    from mrbench.models.protocol import on_gpu

    if not on_gpu(model):
        return 0
    local = os.environ.get("LOCAL_WORLD_SIZE", "")  # torchrun's: the processes of this machine
    return min(MOST_WORKERS, max(1, cores() // max(1, int(local) if local.isdecimal() else 1)))


def folder_name(spec: str, model: EmbeddingModel, *, dtype: str | None = None, max_length: int | None = None) -> str:
    """Return the name of a model's folder of results: its name, its revision where a path names the model, its options.

    Any number of checkpoints lie in folders of one name; a name of ours, or of a plugin, is one model's. Options of
    the spec that decide vectors are there as a short digest.

    Args:
        spec: What was asked for, such as ``conse`` or ``hf:PATH``.
        model: What was loaded.
        dtype: The number format that was asked for; None leaves it out.
        max_length: The length of texts that was asked for; None leaves it out.
    """
    from mrbench.models.zoo import ZOO

    name = short_name(plain(str(model.name)).strip("-."), LONGEST_FOLDER) or "model"
    revision = "" if spec in ZOO else plain(str(model.revision).rpartition(":")[2])[:REVISION_DIGITS].strip("-.")
    length = f"{max_length}-tokens" if max_length else ""
    variant = str(getattr(model, "variant", "") or "")
    options = sha256(variant.encode()).hexdigest()[:OPTION_DIGITS] if variant else ""
    return "-".join(part for part in (name, revision, plain(dtype or ""), length, options) if part)


def check_no_other_model(target: Path, model: EmbeddingModel, name: str | None = None) -> None:
    """Raise :class:`OutputError` where a folder holds the result of another model: to replace it is no good advice."""
    from mrbench.results import read_result

    try:
        held = read_result(target / "result.json").model
    except (MRBenchError, OSError):  # none, or none that can be read: what may be written there is decided later
        return
    asked = _key(model, name)
    known = _held_key(held, model)
    if known != asked:
        got, accepted = (" ".join(str(part) for part in key if part) for key in (known, asked))
        raise OutputError(
            "the output folder holds the result of another model",
            where=target,
            got=got,
            accepted=f"that of {accepted}, or a new folder",
            hint="choose another --output or --name",
        )


def _key(model: EmbeddingModel, name: str | None) -> tuple[str, str, str, int, str]:
    """Return what tells the results of a model from those of others, as :func:`mrbench.results.model_key` does."""
    from mrbench.evaluation.describe import describe
    from mrbench.results import model_key

    return model_key(describe(model) | ({"name": name} if name else {}))


def _held_key(held: dict[str, Any], model: EmbeddingModel) -> tuple[str, str, str, int, str]:
    """Return the key of a result that is there, where one of before says less: as the model has it, unless it differs.

    Such a result says no options of the spec, but it says the dimension, and some say the template.
    """
    from mrbench.evaluation.describe import describe
    from mrbench.results import model_key

    asked = describe(model)
    filled = {"dtype": held.get("dtype") or asked["dtype"]}
    of_before = "variant" not in held
    if of_before and all(held.get(name, asked.get(name)) == asked.get(name) for name in ("dimension", "template")):
        filled |= {name: asked[name] for name in ("variant", "seed", "source") if name in asked}
    return model_key(held | filled)


def plain(text: str) -> str:
    """Return a text as a name of a folder: what is neither letter, digit, hyphen, underscore nor dot is a hyphen.

    >>> plain("org/model v2")
    'org-model-v2'
    """
    return "".join(character if character.isalnum() or character in "-_." else "-" for character in text)


def _said(error: Exception) -> str:
    """Return an error in one line."""
    if isinstance(error, MRBenchError):
        return str(error)
    if out_of_memory(error):
        return "out of memory"
    return str(MRBenchError(f"{type(error).__name__}: {error}", hint="--debug shows where"))


def _free() -> None:
    """Give back the memory of the last model before the next is loaded."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
