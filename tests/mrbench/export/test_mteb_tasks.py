"""A benchmark run by MTEB and by us with one model of MTEB: the same scores, and names that hold the data."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import datasets
import mteb
import numpy as np
import pytest
from tiny_benchmark import write_tiny
from typer.testing import CliRunner

from mrbench.benchmark import Benchmark, write_benchmark
from mrbench.cli.app import app
from mrbench.errors import BenchmarkError, InputError
from mrbench.evaluation import evaluate
from mrbench.export import write_mteb_module
from mrbench.export.mteb_task import FolderTask
from mrbench.models.zoo import load_model
from mrbench.records import Candidate, CandidateList, ImageData, Judgement, Query, Task

RANDOM = "mteb/baseline-random-encoder"  # its vectors are a function of what they are of


@pytest.fixture(scope="module", autouse=True)
def _offline() -> Any:
    datasets.disable_progress_bars()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        yield


@pytest.fixture
def opened(tmp_path: Path) -> Benchmark:
    """Graded judgements over 200 texts in two corpora, queries with lists, and a task that MTEB cannot run."""
    make = {"corpora": ("a", "b"), "judgements": "partial", "measures": ("ndcg@10", "recall@5", "hit_rate@5")}
    tasks = [
        Task("graded", "t → t", "text", "text", main="ndcg@10", **make),
        Task("listed", "t → t", "text", "text", pool="lists", main="ndcg@10", **make),
        Task("without", "t → t", "text", "text", main="ndcg@10", **make),
    ]
    texts = [Candidate(f"c{n:03}", text=f"text {n}") for n in range(200)]
    rng = np.random.default_rng(0)
    with write_benchmark(tmp_path / "open", tasks=tasks, corpora={"a": "text", "b": "text"}) as writer:
        writer.add_candidates("test", texts[:120], corpus="a")
        writer.add_candidates("test", texts[120:], corpus="b")
        for task in tasks:
            asked = [Query(f"q{n}", task.name, "find the text", text=f"query {n} of {task.name}") for n in range(20)]
            writer.add_queries("test", asked)
            judged = {query.id: [f"c{n:03}" for n in rng.choice(200, 12, replace=False)] for query in asked}
            made = [Judgement(q, c, relevance=n % 4) for q, some in judged.items() for n, c in enumerate(some)]
            writer.add_judgements("test", task.name, made)
            if task.pool == "lists":
                writer.add_lists("test", task.name, [CandidateList(q, tuple(some)) for q, some in judged.items()])
        writer.add_exclusions("test", "without", [CandidateList("q0", ("c001",))])
        writer.finish(name="open", title="Open", licence="CC0-1.0")
    return Benchmark(tmp_path / "open")


def imported(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("exported", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def there(module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, float]]:
    """Scores of the tasks of a module as MTEB computes them: it rounds means to five digits, so from each query's."""
    exact: dict[str, dict[str, float]] = {}
    own = FolderTask.task_specific_scores

    def note(self: FolderTask, scores: Any, *more: Any, **named: Any) -> dict[str, float]:
        means = {name: float(np.mean([one[name] for one in scores.values()])) for name in next(iter(scores.values()))}
        exact[self.metadata.name] = means
        return own(self, scores, *more, **named)

    monkeypatch.setattr(FolderTask, "task_specific_scores", note)
    cache = mteb.ResultCache(tmp_path / "mteb")
    found = mteb.evaluate(
        mteb.get_model(RANDOM), [task() for task in module.TASKS], cache=cache, show_progress_bar=False
    )
    return {result.task_name: result.scores["test"][0] | exact[result.task_name] for result in found.task_results}


def test_a_closed_suite_has_the_same_scores_there_and_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    benchmark = write_tiny(tmp_path / "tiny")
    names = write_mteb_module(benchmark, tmp_path / "tasks.py")
    assert names == {task: f"{benchmark.name}-{task}-{benchmark.digest[:12]}" for task in benchmark.task_names}
    theirs = there(imported(tmp_path / "tasks.py"), tmp_path, monkeypatch)
    ours = evaluate(benchmark, load_model(f"mteb:{RANDOM}"), tmp_path / "r").tasks
    for task, name in names.items():
        expected = {"ndcg@10": theirs[name]["mrbench_ndcg_at_10"]}
        for k in (1, 5, 10):
            expected |= {f"recall@{k}": theirs[name][f"recall_{k}"]}
            assert round(ours[task].scores[f"hit_rate@{k}"], 5) == pytest.approx(
                theirs[name][f"hit_rate_at_{k}"], abs=1e-6
            )
        assert {m: ours[task].scores[m] for m in expected} == pytest.approx(expected, abs=1e-6)
        assert 0 < expected["ndcg@10"] < 1


def test_open_data_has_the_same_scores_there_and_here(
    opened: Benchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = write_mteb_module(opened, tmp_path / "out")
    assert "only some queries" in names.pop("without")
    theirs = there(imported(tmp_path / "out" / "open.py"), tmp_path, monkeypatch)
    ours = evaluate(opened, load_model(f"mteb:{RANDOM}"), tmp_path / "r", tasks=list(names)).tasks
    for task, name in names.items():
        expected = {
            "ndcg@10": theirs[name]["ndcg_cut_10"],
            "recall@5": theirs[name]["recall_5"],
            "hit_rate@5": theirs[name]["hit_rate_at_5"],
        }
        assert {m: ours[task].scores[m] for m in expected} == pytest.approx(expected, abs=1e-6)
        assert 0 < expected["ndcg@10"] < 1


def test_other_data_under_the_same_path_are_refused(tmp_path: Path) -> None:
    write_mteb_module(write_tiny(tmp_path / "tiny"), tmp_path / "tasks.py")
    module = imported(tmp_path / "tasks.py")
    (tmp_path / "tiny").rename(tmp_path / "before")
    write_tiny(tmp_path / "tiny", salt="other")
    with pytest.raises(BenchmarkError, match="holds another benchmark than the task was made for"):
        module.TASKS[0]().load_data()


def test_pictures_come_upright_and_opaque(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGBA", (8, 8), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    clear = ImageData((tmp_path / "clear.png").read_bytes(), "")
    task = Task("find", "i → t", "image", "text", corpora=("words",), judgements="partial")
    with write_benchmark(tmp_path / "b", tasks=[task], corpora={"words": "text"}) as writer:
        writer.add_candidates("test", [Candidate("w", text="white"), Candidate("r", text="red")], corpus="words")
        writer.add_queries("test", [Query("q", "find", "", image=clear)])
        writer.add_judgements("test", "find", [Judgement("q", "w", relevance=1)])
        writer.finish(name="b", title='a "title" """', licence="CC0-1.0")
    write_mteb_module(Benchmark(tmp_path / "b"), tmp_path / "t.py")
    task = imported(tmp_path / "t.py").TASKS[0]()
    task.load_data()
    image = task.dataset["default"]["test"]["queries"][0]["image"]
    assert (image.mode, image.getpixel((0, 0))) == ("RGB", (255, 255, 255))


def test_the_command(tmp_path: Path) -> None:
    write_tiny(tmp_path / "tiny")
    words = ["export", "mteb-task", str(tmp_path / "tiny"), "--output", str(tmp_path / "tasks.py")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0
    assert "t2i: " in done.stdout
    with pytest.raises(InputError, match=r"the file is there.*--overwrite"):
        write_mteb_module(Benchmark(tmp_path / "tiny"), tmp_path / "tasks.py")
