"""An evaluator for sentence-transformers' trainer: MRBench's measures at every evaluation step.

``SentenceTransformerTrainer(model=..., evaluator=BenchmarkEvaluator("scenes"))``; needs ``pip install "mrbench[st]"``.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mrbench.benchmark import Benchmark
from mrbench.errors import InputError, MissingExtraError, ResultError
from mrbench.evaluation import evaluate
from mrbench.measures import declared
from mrbench.results import Result
from mrbench.sources import load_benchmark

try:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.evaluation import BaseEvaluator
    from sentence_transformers.base.model import BaseModel
except ImportError as error:
    raise MissingExtraError("sentence-transformers is not installed", hint='pip install "mrbench[st]"') from error


class BenchmarkEvaluator(BaseEvaluator):
    """Evaluates a model on a benchmark while it is trained.

    A call returns for each task the main measure, pair accuracy, and pair accuracy by grain type, under names such as
    ``scenes_t2i_hit_rate@5`` and ``scenes_t2i_pair_accuracy[count]``. The trainer chooses the best checkpoint by the
    primary metric, the mean of the main measure over the tasks that the model takes.

    Attributes:
        primary_metric: Name of that mean, for example ``scenes_hit_rate@5``.
        greater_is_better: False if low values of the primary metric are better.
        result: The result of the last call; None before the first.

    Args:
        benchmark: The benchmark, or its spec.
        tasks: Some of its tasks; None takes all.
        split: One of its splits, by which checkpoints are chosen. None takes ``validation`` if the benchmark has it,
            else its default split.
        limit: Queries of each task, with the candidates that they need and 500 others; None takes all.
        batch_size: Most items in a forward pass.
        name: Prefix of the names of metrics; None takes the name of the benchmark.
        write_results: Whether to keep run and result, in the trainer's output folder.

    Raises:
        InputError: A task is unknown, or the main measures of the tasks differ.
    """

    def __init__(
        self,
        benchmark: Benchmark | str | Path,
        *,
        tasks: Sequence[str] | None = None,
        split: str | None = None,
        limit: int | None = None,
        batch_size: int = 32,
        name: str | None = None,
        write_results: bool = False,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.benchmark = load_benchmark(benchmark) if isinstance(benchmark, str | Path) else benchmark
        self.tasks = list(self.benchmark.task_names) if tasks is None else list(tasks)
        mains = {self.benchmark.task(task).main for task in self.tasks}
        if len(mains) != 1:
            raise InputError(
                "an evaluator needs tasks of one main measure",
                got=", ".join(sorted(mains)) or "no task",
                accepted=", ".join(f"{name} ({self.benchmark.task(name).main})" for name in self.benchmark.task_names),
                hint="name tasks of one measure: BenchmarkEvaluator(benchmark, tasks=[...])",
            )
        self.main = mains.pop()
        held_out = "validation" if "validation" in self.benchmark.splits else self.benchmark.default_split
        self.split, self.limit, self.batch_size = split or held_out, limit, batch_size
        self.name, self.write_results = self.benchmark.name if name is None else name, write_results
        self.primary_metric = f"{self.name}_{self.main}" if self.name else self.main
        self.greater_is_better = declared(self.main).higher_is_better is not False
        self.result: Result | None = None

    def __call__(
        self, model: BaseModel, output_path: str | None = None, epoch: int = -1, steps: int = -1
    ) -> dict[str, float]:
        """Evaluate the model and return its metrics.

        Args:
            model: The trainer's model.
            output_path: Folder of the trainer's evaluations.
            epoch: Number of the epoch, or -1.
            steps: Number of the step, or -1.

        Raises:
            InputError: The model is not a SentenceTransformer.
            ResultError: The model takes none of the tasks.
        """
        from mrbench.models.sentence_transformer import SentenceTransformerModel

        if not isinstance(model, SentenceTransformer):
            raise InputError("the evaluator embeds", got=type(model).__name__, accepted="a SentenceTransformer")
        training = model.training
        try:
            embedder = SentenceTransformerModel.around(model, name=self.name, batch_size=self.batch_size)
            with tempfile.TemporaryDirectory() as scratch:
                kept = self.write_results and output_path is not None
                folder = (
                    Path(output_path or scratch, f"mrbench-{self.name}-{epoch:g}-{steps}") if kept else Path(scratch)
                )
                self.result = evaluate(
                    self.benchmark,
                    embedder,
                    folder if kept else folder / "result",
                    tasks=self.tasks,
                    split=self.split,
                    limit=self.limit,
                    overwrite=kept,
                )
        finally:
            model.train(training)
        metrics: dict[str, float] = self.prefix_name_to_metrics(self._metrics(self.result), self.name)
        self.store_metrics_in_model_card_data(model, metrics, epoch, steps)
        return metrics

    def _metrics(self, result: Result) -> dict[str, float]:
        scores: dict[str, float] = {}
        scored = {task: part for task, part in result.tasks.items() if self.main in part.scores}
        if not scored:
            reasons = "; ".join(f"{task}: {part.reason}" for task, part in result.tasks.items())
            hint = "name tasks that it takes: BenchmarkEvaluator(benchmark, tasks=[...])"
            raise ResultError("the model takes none of the tasks", where=self.benchmark.name, got=reasons, hint=hint)
        scores[self.main] = sum(part.scores[self.main] for part in scored.values()) / len(scored)
        for task, part in scored.items():
            scores |= {
                f"{task}_{name}": part.scores[name] for name in (self.main, "pair_accuracy") if name in part.scores
            }
            scores |= {f"{task}_pair_accuracy[{grain}]": score.score for grain, score in part.pair_accuracy.items()}
        return scores

    def get_config_dict(self) -> dict[str, Any]:
        """Return the facts of this evaluator for the model card."""
        about = {"benchmark": self.benchmark.name, "digest": self.benchmark.digest[:12], "split": self.split}
        return {**about, "tasks": ", ".join(self.tasks), **({} if self.limit is None else {"limit": self.limit})}
