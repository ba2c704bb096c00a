"""The evaluator for sentence-transformers: its numbers are those of an evaluation, and a trainer takes it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from datasets import Dataset, disable_progress_bars
from sentence_transformers import (
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from tiny_sentence_transformers import quiet, write_clip_model, write_text_model

from mrbench.benchmark import Benchmark
from mrbench.errors import InputError, ResultError
from mrbench.evaluation import evaluate
from mrbench.evaluator import BenchmarkEvaluator
from mrbench.models.zoo import load_model
from mrbench.results import read_result


@pytest.fixture(scope="module", autouse=True)
def _quiet() -> None:
    quiet()
    disable_progress_bars()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, clip: Path) -> Path:
    return write_clip_model(tmp_path_factory.mktemp("st") / "clip", clip)


@pytest.fixture
def model(folder: Path) -> SentenceTransformer:
    return SentenceTransformer(str(folder), device="cpu", local_files_only=True)


def test_the_numbers_are_those_of_an_evaluation(
    folder: Path, model: SentenceTransformer, tiny: Benchmark, tmp_path: Path
) -> None:
    model.eval()
    found = BenchmarkEvaluator(tiny)(model)
    result = evaluate(tiny, load_model(f"st:{folder}", device="cpu"), tmp_path / "r")
    for task, part in result.tasks.items():
        assert found[f"tiny_{task}_hit_rate@5"] == pytest.approx(part.scores["hit_rate@5"])
        assert found[f"tiny_{task}_pair_accuracy[place]"] == pytest.approx(part.pair_accuracy["place"].score)
    mean = sum(part.scores["hit_rate@5"] for part in result.tasks.values()) / 4
    assert found["tiny_hit_rate@5"] == pytest.approx(mean)
    assert model.training is False


def test_a_trainer_reports_our_measures_and_keeps_the_runs(
    model: SentenceTransformer, tiny: Benchmark, tmp_path: Path
) -> None:
    evaluator = BenchmarkEvaluator(tiny, tasks=["i2i", "i2t"], limit=4, write_results=True)
    pairs = Dataset.from_dict({"anchor": ["one cat", "two dog", "three owl"], "positive": ["cat", "dog", "owl"]})
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(tmp_path),
        max_steps=2,
        per_device_train_batch_size=3,
        learning_rate=0.05,
        eval_strategy="steps",
        eval_steps=1,
        save_strategy="steps",
        save_steps=1,
        load_best_model_at_end=True,
        metric_for_best_model=f"eval_{evaluator.primary_metric}",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        dataloader_pin_memory=False,
    )
    before = torch.cat([p.detach().flatten() for p in model.parameters()]).clone()
    trainer = SentenceTransformerTrainer(
        model=model, args=arguments, train_dataset=pairs, loss=MultipleNegativesRankingLoss(model), evaluator=evaluator
    )
    trainer.train()
    logged = [entry for entry in trainer.state.log_history if "eval_tiny_hit_rate@5" in entry]
    assert [entry["step"] for entry in logged] == [1, 2]
    assert "eval_tiny_i2i_pair_accuracy[count]" in logged[0]
    assert trainer.state.best_metric == max(entry["eval_tiny_hit_rate@5"] for entry in logged)
    kept = sorted(tmp_path.rglob("mrbench-tiny-*/result.json"))
    assert len(kept) == 2
    assert read_result(kept[0]).limit == 4
    after = torch.cat([p.detach().flatten() for p in model.parameters()])
    assert not torch.equal(before, after)  # it went on training


def test_what_cannot_be_evaluated_is_said(tiny: Benchmark, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="t2x"):
        BenchmarkEvaluator(tiny, tasks=["t2x"])
    text = SentenceTransformer(str(write_text_model(tmp_path / "text")), device="cpu", local_files_only=True)
    with pytest.raises(ResultError, match="takes none of the tasks"):
        BenchmarkEvaluator(tiny.folder, tasks=["i2i"], name="")(text)


def test_without_the_library_the_extra_is_named() -> None:
    code = (
        "import sys; sys.modules['sentence_transformers'] = None\n"
        "from mrbench.errors import MissingExtraError\n"
        "try: import mrbench.evaluator\n"
        "except MissingExtraError as error: assert 'mrbench[st]' in str(error)\n"
        "else: raise SystemExit(1)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
