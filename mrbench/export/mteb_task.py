"""A task of a benchmark folder as MTEB runs it. Needs the ``mteb`` package."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import datasets
import numpy as np
from mteb.abstasks.retrieval import AbsTaskRetrieval
from PIL import Image

from mrbench import measures
from mrbench.benchmark import Benchmark, decode, encode_png
from mrbench.errors import BenchmarkError
from mrbench.pools import load_pool
from mrbench.pools.ids import find
from mrbench.records import AnyImage, Candidate, Query

_CUTOFF = 10
_ORIENTATION = 0x0112


class FolderTask(AbsTaskRetrieval):
    """A retrieval task over a folder in our format; subclasses name the folder, its digest and the task.

    Judgements are those of the folder. In a closed suite, where relevance is binary and grades count the grains that a
    candidate keeps, MTEB's own nDCG is over relevance; ``mrbench_ndcg_at_10`` is over grades, as in our results.

    Attributes:
        folder: The benchmark.
        digest: Its digest.
        task: One of its tasks.
    """

    folder: ClassVar[Path]
    digest: ClassVar[str]
    task: ClassVar[str]

    def load_data(self, num_proc: int | None = None, *, timer: Any = None, **kwargs: Any) -> None:
        """Read all splits of the task from the folder.

        Raises:
            BenchmarkError: The folder holds another benchmark by now.
        """
        if self.data_loaded:
            return
        benchmark = self._benchmark()
        self.dataset = {"default": {split: _read(benchmark, self.task, split) for split in self.eval_splits}}
        self.data_loaded = True

    def task_specific_scores(
        self,
        scores: dict[str, dict[str, float]],
        qrels: Any,
        results: dict[str, dict[str, float]],
        hf_split: str,
        hf_subset: str,
    ) -> dict[str, float]:
        """Return nDCG@10 over grades, of a closed suite."""
        benchmark = self._benchmark()
        if benchmark.task(self.task).judgements != "complete":
            return {}
        pool = load_pool(benchmark, self.task, hf_split)
        ideal = measures.ideal_dcg(pool.judgements.gain_counts, _CUTOFF)
        dcg = np.zeros(len(pool.query_ids))
        for row, name in enumerate(pool.query_ids.tolist()):
            found = sorted(results.get(name, {}).items(), key=lambda pair: (-pair[1], pair[0]))[:_CUTOFF]
            position = find(pool.candidate_ids, np.array([candidate for candidate, _ in found], dtype=np.str_))
            gains = pool.judgements.gains_of(np.full(len(position), row), position)
            dcg[row] = (gains / np.log2(np.arange(2, len(position) + 2))).sum()
        return {f"mrbench_ndcg_at_{_CUTOFF}": float((dcg / ideal).mean())}

    def _benchmark(self) -> Benchmark:
        benchmark = Benchmark(self.folder)
        if benchmark.digest != self.digest:
            raise BenchmarkError(
                "the folder holds another benchmark than the task was made for",
                where=self.folder,
                got=benchmark.digest,
                accepted=self.digest,
                hint="mrbench export mteb-task DIR --output FILE",
            )
        return benchmark


def _read(benchmark: Benchmark, task: str, split: str) -> Any:
    """Return what MTEB calls the data of a split: corpus, queries, judgements and lists."""
    relevant: dict[str, dict[str, int]] = {}
    corpora = [benchmark.corpus(name, split) for name in benchmark.task(task).own_corpora]
    candidates = {candidate.id: candidate for corpus in corpora for candidate in corpus}
    for judgement in benchmark.judgements(task, split):
        if judgement.candidate_id in candidates:
            relevant.setdefault(judgement.query_id, {})[judgement.candidate_id] = judgement.relevance
    lists = {row.query_id: list(row.candidate_ids) for row in benchmark.lists(task, split)}
    listed = benchmark.task(task).pool == "lists"
    return {
        "corpus": _dataset(candidates.values()),
        "queries": _dataset(benchmark.queries(task, split)),
        "relevant_docs": relevant,
        "top_ranked": lists if listed else None,
    }


def _dataset(records: Iterable[Query | Candidate]) -> datasets.Dataset:
    """Return records as MTEB reads them: ``id``, and ``text``, ``image`` or both."""
    columns: dict[str, list[Any]] = {"id": [], "text": [], "image": []}
    for record in records:
        columns["id"].append(record.id)
        columns["text"].append(record.text)
        columns["image"].append(
            None if record.image is None else {"bytes": _plain(record.image, record.id), "path": None}
        )
    features = {"id": datasets.Value("string"), "text": datasets.Value("string"), "image": datasets.Image()}
    some = {name: values for name, values in columns.items() if any(value is not None for value in values)}
    return datasets.Dataset.from_dict(some, features=datasets.Features({name: features[name] for name in some}))


def _plain(image: AnyImage, where: str) -> bytes:
    """Return an image such that any reader sees what our models see: upright and opaque RGB."""
    with Image.open(io.BytesIO(image.data)) as opened:
        upright = opened.getexif().get(_ORIENTATION, 1) == 1
        plain = opened.mode == "RGB" and "transparency" not in opened.info and upright
    return image.data if plain else encode_png(decode(image, where=where)).data
