"""One stage's loop: schedule, optimiser, checks, metrics, and a state from which a run goes on exactly."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor
from tqdm import tqdm

from elva.config import Optimiser
from elva.processes import Processes
from elva.states import of_training, read_state, restore, write_state
from mrbench.errors import InputError, ModelError
from mrbench.files import output_error, write_atomic

STATE, METRICS = "state.safetensors", "metrics.jsonl"


class Objective(Protocol):
    """What a stage minimises. All of its randomness is a function of the seed and the step."""

    def backward(self, step: int) -> dict[str, float]:
        """Add this process's share of the gradient of a step; return metrics."""
        ...

    def state(self) -> dict[str, Tensor]:
        """Return what it remembers between steps."""
        ...

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Go on from :meth:`state`."""
        ...


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage to run.

    Attributes:
        number: 0 to 3.
        options: Of its optimiser.
        steps: How many.
        digest: Of the recipe: a state of another is refused.
        folder: Where state and metrics are kept.
        save_every: Steps between two writes of the state.
        processes: Who else runs it.
        quiet: No progress bar.
    """

    number: int
    options: Optimiser
    steps: int
    digest: str
    folder: Path
    save_every: int = 100
    processes: Processes = field(default_factory=Processes)
    quiet: bool = False

    @property
    def name(self) -> str:
        """For messages."""
        return f"stage {self.number}"


def learning_rate(options: Optimiser, step: int, steps: int) -> float:
    """Return the learning rate of a step, a pure function.

    >>> options = Optimiser(lr=1.0, warmup=0.2)
    >>> [round(learning_rate(options, step, 10), 3) for step in (0, 1, 2, 9)]
    [0.5, 1.0, 1.0, 0.125]
    """
    warmup = max(1, round(options.warmup * steps))
    if step < warmup:
        return options.lr * (step + 1) / warmup
    return options.lr * ((steps - step) / max(1, steps - warmup) if options.decay else 1.0)


def run(
    stage: Stage,
    objective: Objective,
    weights: Mapping[str, torch.nn.Parameter],
    *,
    resume: bool = False,
    after: Callable[[int], None] | None = None,
) -> None:
    """Run a stage to its end.

    Args:
        stage: What to run.
        objective: What to minimise.
        weights: What trains, by name.
        resume: Go on from the state in the folder, if there is one of this stage.
        after: Called with the number of steps done.

    Raises:
        InputError: The state is of another recipe or number of processes.
        ModelError: A loss or gradient is not finite, or the state does not fit the weights.
    """
    names = sorted(weights)
    matrices = [weights[name] for name in names if weights[name].ndim > 1]
    vectors = [weights[name] for name in names if weights[name].ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": stage.options.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW([group for group in groups if group["params"]], lr=stage.options.lr)
    start = _load(stage, objective, weights, optimiser) if resume else 0
    stage.processes.agree(weights[name] for name in names)
    with _metrics(stage, start) as write:
        bar = tqdm(
            range(start, stage.steps),
            initial=start,
            total=stage.steps,
            desc=stage.name,
            disable=stage.quiet or not stage.processes.first,
        )
        for step in bar:
            begun = time.perf_counter()
            metrics = objective.backward(step)
            stage.processes.add_gradients(weights[name] for name in names)
            norm = _step(stage, step, [weights[name] for name in names], optimiser, metrics)
            seconds = time.perf_counter() - begun
            write({"stage": stage.number, "step": step, **metrics, "norm": norm, "seconds": round(seconds, 4)})
            bar.set_postfix({name: f"{value:.3g}" for name, value in list(metrics.items())[:3]}, refresh=False)
            if (step + 1) % stage.save_every == 0 and step + 1 < stage.steps:
                _save(stage, step + 1, objective, weights, optimiser)
            if after is not None:
                after(step + 1)


def _step(
    stage: Stage, step: int, weights: list[torch.nn.Parameter], optimiser: Any, metrics: Mapping[str, float]
) -> float:
    limit = stage.options.clip if stage.options.clip > 0 else math.inf
    norm = float(torch.nn.utils.clip_grad_norm_(weights, limit))
    if not all(map(math.isfinite, (norm, *metrics.values()))):
        raise ModelError(
            "the loss or its gradient is not finite",
            where=f"{stage.name}, step {step}",
            got=", ".join(f"{name} {value:.4g}" for name, value in {**metrics, "norm": norm}.items()),
            hint=f"lower stage{stage.number}.lr",
        )
    for group in optimiser.param_groups:
        group["lr"] = learning_rate(stage.options, step, stage.steps)
    optimiser.step()
    optimiser.zero_grad()
    return norm


@contextmanager
def _metrics(stage: Stage, start: int) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Yield what writes a line of metrics; lines of steps that are run again are dropped first."""
    if not stage.processes.first:
        yield lambda line: None
        return
    path = stage.folder / METRICS
    kept = [row for row in _read_metrics(path) if (row["stage"], row["step"]) < (stage.number, start)]
    write_atomic(path, "".join(json.dumps(line) + "\n" for line in kept))
    board = _tensorboard(stage.folder)
    with path.open("a", encoding="utf-8") as file:

        def write(line: dict[str, Any]) -> None:
            try:
                file.write(json.dumps(line) + "\n")
                file.flush()
            except OSError as error:
                raise output_error(error, path) from error
            for name, value in line.items() if board else ():
                board.add_scalar(f"{stage.name}/{name}", value, line["step"])

        yield write
    if board:
        board.close()


def _read_metrics(path: Path) -> list[dict[str, Any]]:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(lines, 1):
        try:
            rows.append(json.loads(line))
            if not all(type(rows[-1][name]) is int for name in ("stage", "step")):
                raise ValueError("no whole number")
        except (ValueError, KeyError, TypeError) as error:
            if number == len(lines):  # torn when the run was killed: its step is run again
                return rows[: number - 1]
            hint = "mend or remove the file"
            raise InputError("malformed metrics", where=f"{path}:{number}", got=line, hint=hint) from error
    return rows


def _tensorboard(folder: Path) -> Any:
    """Return a writer where TensorBoard is installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder / "tensorboard"))


def _save(
    stage: Stage, step: int, objective: Objective, weights: Mapping[str, torch.nn.Parameter], optimiser: Any
) -> None:
    tensors = {f"objective.{name}": value for name, value in objective.state().items()}
    facts = {"stage": str(stage.number), "step": str(step), "digest": stage.digest}
    write_state(_state(stage), tensors | of_training(weights, optimiser), facts)
    stage.processes.wait()


def _state(stage: Stage, rank: int | None = None) -> Path:
    path = stage.folder / STATE
    # Each process has its own rollouts and negatives.
    rank = stage.processes.rank if rank is None else rank
    return path.with_suffix(f".{rank}.safetensors") if stage.processes.world > 1 else path


def _load(stage: Stage, objective: Objective, weights: Mapping[str, torch.nn.Parameter], optimiser: Any) -> int:
    path = _state(stage)
    own = {_state(stage, rank) for rank in range(stage.processes.world)}
    others = sorted(set(stage.folder.glob(f"{Path(STATE).stem}*.safetensors")) - own)
    if others:
        hint = "run as many, or remove state*.safetensors to start the stage anew"
        raise InputError("the state is of another number of processes", where=others[0], hint=hint)
    facts, tensors = _read_state(path, stage) if path.exists() else ({}, {})
    step = int(facts.get("step", 0))
    if not stage.processes.same(step):
        hint = f"remove {STATE.replace('.', '.*.')} to start the stage anew"
        raise ModelError("the processes stopped at different steps", where=stage.folder, hint=hint)
    if not tensors:
        return 0
    restore(weights, optimiser, tensors, path)
    objective.load_state({name[10:]: value for name, value in tensors.items() if name.startswith("objective.")})
    return step


def _read_state(path: Path, stage: Stage) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Return facts and tensors; nothing where the state is of another stage."""
    facts, tensors = read_state(path)
    if facts["stage"] != str(stage.number):
        return {}, {}
    if facts["digest"] != stage.digest:
        raise InputError(
            "the state is of another recipe",
            where=path,
            got=facts["digest"],
            accepted=stage.digest,
            hint="give the same recipe again, or choose another --out",
        )
    return facts, tensors
