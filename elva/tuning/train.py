"""The loop. Options and the stopping point are picked on validation data; nothing else is tuned.

Every setting of a small grid trains for its share of the steps. The one that validates best goes on, from where it is,
until it has not improved for a while. What is kept is the point at which it validated best. All randomness is a
function of the seed and the step, so a run that is interrupted and continued ends in the same weights.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import kl_div
from tqdm import tqdm

from elva.rollouts import seeded
from elva.states import of_training, read_state, restore, write_state
from elva.tuning.batches import Draws, make_batch
from elva.tuning.data import Split
from elva.tuning.objectives import OBJECTIVES, Setting
from elva.tuning.trainable import Trainable, embed
from elva.tuning.validation import overall, quality
from mrbench.arrays import Embeddings, Ints
from mrbench.errors import ModelError

WARMUP, PATIENCE = 20, 6
GUARD_TEMPERATURE = 0.05


@dataclass(frozen=True)
class Plan:
    """How a model is trained.

    Attributes:
        objective: One of :data:`elva.tuning.objectives.OBJECTIVES`.
        grid: Settings to try.
        identity: Whether step 0 is the frozen model itself, and so may be the best.
        steps: Steps of a run, at most.
        every: Steps between two looks at the validation data.
        batch: Queries of a step.
        negatives: Further candidates that a step has for every query: of its ladder, or random ones.
        guard: Weight of the divergence from the similarities of the frozen model.
        seed: Decides every draw.
    """

    objective: str
    grid: tuple[Setting, ...]
    identity: bool = False
    steps: int = 800
    every: int = 20
    batch: int = 128
    negatives: int = 4
    guard: float = 0.0
    seed: int = 0

    @property
    def trial(self) -> int:
        """Steps that every setting is tried for: all trials together take as many as one whole run."""
        return max(self.every, self.steps // len(self.grid) // self.every * self.every)


@dataclass(frozen=True)
class Trained:
    """What was trained and how it came about.

    Attributes:
        weights: As :meth:`elva.tuning.trainable.Trainable.export` returns them.
        setting: What the validation split picked.
        step: The step that was kept; 0 where training did not help.
        curve: Step and validation score of the run that was kept.
        tried: The best validation score of each setting after its share of the steps.
        validation: Scores on the validation split, by task and measure, at the step that was kept.
    """

    weights: dict[str, Embeddings]
    setting: Setting
    step: int
    curve: tuple[tuple[int, float], ...]
    tried: tuple[tuple[Setting, float], ...]
    validation: dict[str, float]

    def to_json(self, plan: Plan) -> dict[str, Any]:
        """Return how it came about, as a result's JSON file holds it."""
        return {
            **{name: value for name, value in asdict(plan).items() if name != "grid"},
            "setting": asdict(self.setting),
            "step": self.step,
            "curve": [list(point) for point in self.curve],
            "tried": [{**asdict(setting), "validation": score} for setting, score in self.tried],
            "validation": self.validation,
        }


Start = Callable[[Setting], Trainable]
"""Returns the model as it is before the first step under a setting."""
State = tuple[dict[str, str], dict[str, Tensor]]


def train(
    data: Split,
    validation: Split,
    plan: Plan,
    start: Start,
    keep: Split | None = None,
    folder: Path | None = None,
    *,
    writes: bool = True,
) -> Trained:
    """Train a model on a split.

    Args:
        data: What to train on.
        validation: What picks the setting and the step.
        plan: How.
        start: Makes the model. Of models that it made, only the last is used.
        keep: What the guard holds fast to; None takes the training data.
        folder: Where states are kept after each look; a run goes on from those that are there.
        writes: Whether this process writes them.

    Raises:
        ModelError: The loss is not finite, or a state cannot be read.
    """
    states: list[State] = []
    tried: list[tuple[Setting, float]] = []
    total = plan.trial * len(plan.grid) + plan.steps - plan.trial
    with tqdm(total=total, desc=f"train {plan.objective}", unit="step", leave=False, disable=None) as bar:
        first: dict[str, float] | None = None
        for number, setting in enumerate(plan.grid):
            run = Run(data, validation, plan, setting, start(setting), keep, _path(folder, number), writes)
            first = run.begin(first)
            bar.update(min(run.step, plan.trial))
            run.advance(plan.trial, bar)
            tried.append((setting, max(score for step, score in run.curve if step <= plan.trial)))
            states.append(run.state())
        best = max(range(len(tried)), key=lambda number: tried[number][1])  # the first of equals
        run = Run(data, validation, plan, plan.grid[best], start(plan.grid[best]), keep, _path(folder, best), writes)
        run.go_on(states[best])
        bar.update(run.step - plan.trial)
        run.advance(plan.steps, bar, patience=PATIENCE)
    return Trained(run.best, run.setting, run.best_step, tuple(run.curve), tuple(tried), run.scores)


def _path(folder: Path | None, number: int) -> Path | None:
    return None if folder is None else folder / f"setting-{number}.safetensors"


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute with one thread for a while, so that results do not depend on how many there are."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@dataclass
class Run:
    """A model under one setting; it can go on from where it is.

    Attributes:
        step: Steps done.
        curve: Step and validation score of every look.
        best: What was exported at the look that was best so far.
        best_step: Its step.
        scores: Its scores by task and measure.
    """

    data: Split
    validation: Split
    plan: Plan
    setting: Setting
    model: Trainable
    keep: Split | None = None
    path: Path | None = None
    writes: bool = True
    step: int = 0
    curve: list[tuple[int, float]] = field(default_factory=list)
    best: dict[str, Embeddings] = field(default_factory=dict)
    best_step: int = 0
    scores: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        plan = self.plan
        self.weights = self.model.weights()
        self.optimiser = torch.optim.AdamW(self.weights.values(), lr=self.setting.rate, weight_decay=0.0)
        self.drawn = Draws(self.data.tasks, plan.batch, plan.steps, plan.seed)
        held = self.keep or self.data
        self.guarded = Draws(held.tasks, plan.batch, plan.steps, plan.seed + 1) if plan.guard else None

    def begin(self, first: dict[str, float] | None) -> dict[str, float] | None:
        """Go on from the state in the folder, if there is one; else look at the model as it is, if it may be kept.

        Args:
            first: Scores of the model as it is, where they are known.

        Returns:
            These scores.
        """
        if self.path is not None and self.path.exists():
            self.go_on(read_state(self.path))
        elif self.plan.identity:  # random weights are no result
            first = quality(self.model, self.validation) if first is None else first
            self._note(first)
        return first

    def advance(self, until: int, bar: Any, patience: int | None = None) -> None:
        """Train until a step, or until the validation score has not risen for some looks."""
        while self.step < until and not (patience and self._idle() >= patience):
            loss = self.loss(self.step)
            for group in self.optimiser.param_groups:
                group["lr"] = self.setting.rate * min(1.0, (self.step + 1) / WARMUP)
            self.optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self.model.share_gradients()
            self.optimiser.step()
            self._check_finite(loss)
            self.step += 1
            bar.update()
            if self.step % self.plan.every == 0:
                self._note(quality(self.model, self.validation))
                if self.path is not None and self.writes:
                    facts, tensors = self.state()
                    write_state(self.path, tensors, facts)

    def loss(self, step: int) -> Tensor:
        """Return the loss of a step."""
        plan = self.plan
        task, queries = self.drawn(step)
        noise = (plan.seed, step)
        batch = make_batch(self.model, self.data, task, queries, plan.negatives, objective=plan.objective, noise=noise)
        generator = seeded(*noise, 3, device=batch.scores.device)
        loss = OBJECTIVES[plan.objective](batch, self.setting, generator)
        return loss if self.guarded is None else loss + plan.guard * self.divergence(step)

    def divergence(self, step: int) -> Tensor:
        """Return how far similarities have moved from those of the frozen model.

        That is the mean divergence KL(frozen || now) of softmaxes over the candidates of a draw.
        """
        assert self.guarded is not None  # noqa: S101 - asked for where there is a guard
        held = self.keep or self.data
        task, queries = self.guarded(step)
        rng = np.random.default_rng([self.plan.seed, step, 4])
        rows = task.queries[queries], task.candidates[np.unique(task.relevant.draw(queries, 1, rng))]
        with torch.no_grad():
            before = _log_softmax(partial(self.model.frozen, held), *rows)
        now = _log_softmax(partial(self.model.outputs, held), *rows)
        return kl_div(now, before, reduction="batchmean", log_target=True)

    def state(self) -> State:
        """Return all that the run needs to go on."""
        facts = {
            "setting": json.dumps(asdict(self.setting)),
            "step": str(self.step),
            "curve": json.dumps(self.curve),
            "best_step": str(self.best_step),
            "scores": json.dumps(self.scores),
        }
        now = {name: tensor.cpu().clone() for name, tensor in of_training(self.weights, self.optimiser).items()}
        return facts, now | {f"best.{name}": torch.from_numpy(array) for name, array in self.best.items()}

    def go_on(self, state: State) -> None:
        """Go on from :meth:`state`."""
        facts, tensors = state
        held = {name: tensor for name, tensor in tensors.items() if not name.startswith("best.")}
        restore(self.weights, self.optimiser, held, self.path)
        self.step, self.best_step = int(facts["step"]), int(facts["best_step"])
        self.curve = [(int(step), float(score)) for step, score in json.loads(facts["curve"])]
        self.scores = json.loads(facts["scores"])
        self.best = {name[5:]: tensor.numpy() for name, tensor in tensors.items() if name.startswith("best.")}

    def _note(self, scores: dict[str, float]) -> None:
        """Remember scores, and the weights where they are the best so far."""
        score = overall(scores)
        if not self.curve or score > max(known for _, known in self.curve):
            self.best, self.best_step, self.scores = self.model.export(), self.step, scores
        self.curve.append((self.step, score))

    def _idle(self) -> int:
        return (self.step - self.best_step) // self.plan.every

    def _check_finite(self, loss: Tensor) -> None:
        """Raise where the loss, or the length of a weight, is no number any more."""
        lengths = [tensor.detach().norm() for tensor in self.weights.values()]
        if not torch.isfinite(torch.stack([loss.detach(), *lengths])).all():
            raise ModelError(
                "training diverged, nothing is written: the loss or a weight is not finite",
                where=f"{self.plan.objective}, step {self.step}, learning rate {self.setting.rate:g}",
                got=float(loss.detach()),
                hint="lower --rate",
            )


def _log_softmax(outputs: Any, queries: Ints, candidates: Ints) -> Tensor:
    asked, found = embed(outputs, queries), embed(outputs, candidates)
    return (asked @ found.T / GUARD_TEMPERATURE).log_softmax(-1)
