"""M-BEIR: 16 retrieval tasks over ten data sets, as UniIR lays them out (Wei et al., arXiv 2311.17136)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from mrbench.benchmark import Contents
from mrbench.benchmark.chunks import Chunk
from mrbench.errors import BenchmarkError, InputError
from mrbench.records import SPLITS, Candidate, Judgement, Modality, Query, Split, Task
from mrbench.sources.files import files_digest, images_below, need_file
from mrbench.sources.image_names import image_file
from mrbench.sources.mbeir_layout import DATASETS, HELD_OUT, SUB_TASKS, Layout, SubTask
from mrbench.sources.mbeir_pools import Part, other_modalities, pool_chunks, pool_rows
from mrbench.sources.mbeir_queries import Prompts, RawQuery, read_instructions, read_qrels, read_queries
from mrbench.spec_options import check_options, choice
from mrbench.words import counted

OPTIONS = {
    "datasets": "names with commas between, for example mscoco,nights",
    "splits": f"of {', '.join(SPLITS)}, with commas between",
    "held_out": f"drop leaves out {', '.join(HELD_OUT)}; only keeps nothing else",
    "instructions": "none: do without",
}
_MOST_NAMED = 3  # ids in an error


def read(location: str, image_root: Path | None, options: Mapping[str, str]) -> Contents:
    """Open a tree of M-BEIR.

    Args:
        location: The folder that holds ``query``, ``cand_pool``, ``qrels`` and ``instructions``.
        image_root: Where the images lie; the same folder by default.
        options: See :data:`OPTIONS`.

    Raises:
        InputError: An unknown option or value.
        BenchmarkError: The folder is not there, or holds none of the query files.
    """
    check_options(options, OPTIONS)
    root = Path(location)
    if not root.is_dir():
        raise BenchmarkError("there is no such folder", where=root, accepted="the root of M-BEIR")
    chosen = _chosen(options)
    splits = _named(options, "splits", SPLITS)
    choice(options, "instructions", ("none",))
    return MBeir(root, image_root, chosen, splits, options)


def _named(options: Mapping[str, str], option: str, known: Sequence[str]) -> tuple[str, ...]:
    """Return the names that an option lists, in the order of ``known``; all without it.

    Raises:
        InputError: One is unknown.
    """
    if option not in options:
        return tuple(known)
    names = {name.strip() for name in options[option].lower().split(",") if name.strip()}
    if not names or not names <= set(known):
        unknown = ", ".join(sorted(names - set(known)))
        raise InputError("malformed option of a spec", where=f"?{option}=", got=unknown, accepted=", ".join(known))
    return tuple(name for name in known if name in names)


def _chosen(options: Mapping[str, str]) -> tuple[SubTask, ...]:
    names = set(_named(options, "datasets", [name.lower() for name in DATASETS]))
    held_out = choice(options, "held_out", ("keep", "drop", "only"))
    if held_out != "keep":
        names = names - set(HELD_OUT) if held_out == "drop" else names & set(HELD_OUT)
    return tuple(task for task in SUB_TASKS if task.dataset in names)


class MBeir(Contents):
    """The sub-tasks of a tree whose query files are there.

    A sub-task's pool is a corpus with its name. Candidates of a pool that are of another modality than the sub-task
    asks for make a corpus more, ``edis_task2_text``. In training, where the tree has one pool of everything, a corpus
    holds the candidates of its data set and modality.

    Args:
        root: Root of the tree.
        image_root: Where the images lie, or None.
        chosen: Sub-tasks to take where they are there.
        splits: Splits to take where they are there.
        options: What was asked for.
    """

    name = "mbeir"
    title = "M-BEIR: multimodal retrieval by instruction, 16 tasks over ten data sets"
    licence = "those of the ten data sets"

    def __init__(
        self,
        root: Path,
        image_root: Path | None,
        chosen: Sequence[SubTask],
        splits: Sequence[str],
        options: Mapping[str, str],
    ) -> None:
        self.location = root
        self.images = images_below(root, image_root)
        self._layout = Layout(root)
        self._options = dict(options)
        held = {
            (task.name, split): file
            for task in chosen
            for split in SPLITS
            if split in splits and (file := self._layout.queries(task, split))
        }
        if not held:
            raise BenchmarkError(
                "no query file of M-BEIR",
                where=root,
                accepted="query/{train,val,test}/mbeir_{dataset}_task{N}_{split}.jsonl, for example "
                "query/test/mbeir_mscoco_task0_test.jsonl",
            )
        self._queries = held
        self._sub_tasks = {task.name: task for task in chosen if any(name == task.name for name, _ in held)}
        self.splits: Sequence[Split] = tuple(split for split in SPLITS if any(s == split for _, s in held))
        self._mixed = {task.name: self._other_modalities(task) for task in self._sub_tasks.values()}
        self.corpora: Mapping[str, Modality] = {
            name: modality for task in self._sub_tasks.values() for name, modality in self._corpora_of(task).items()
        }
        self.tasks: Sequence[Task] = tuple(self._task(task) for task in self._sub_tasks.values())
        self._ids: dict[tuple[str, str], pa.ChunkedArray] = {}

    def _task(self, task: SubTask) -> Task:
        query, candidate = task.modalities
        names = [f"hit_rate@{k}" for k in task.cutoffs]
        return Task(
            name=task.name,
            title=task.full_title,
            query_modality=query,
            candidate_modality=candidate,
            corpora=tuple(self._corpora_of(task)),
            judgements="partial",
            measures=tuple(names),
            main="hit_rate@10" if task.cutoffs[0] == 10 else "hit_rate@5",
            protocol="UniIR prints hit_rate@k as Recall@k; a query's own picture stays in the pool.",
        )

    def _corpora_of(self, task: SubTask) -> dict[str, Modality]:
        more = {f"{task.name}_{other.replace(',', '_')}": other for other in self._mixed[task.name]}
        return {task.name: task.modalities[1], **more}

    def _other_modalities(self, task: SubTask) -> tuple[Modality, ...]:
        pools = {self._layout.pool(task, split) for name, split in self._queries if name == task.name}
        found = {m for path, shared in pools if not shared for m in other_modalities(path, task.modalities[1])}
        return tuple(modality for modality in ("text", "image", "image,text") if modality in found)

    @cached_property
    def _prompts(self) -> Prompts:
        if self._options.get("instructions") == "none":
            return {}
        return read_instructions(self._instructions_file())

    def _instructions_file(self) -> Path:
        return need_file(self._layout.instructions, hint="?instructions=none does without instructions")

    def instructions(self, task: str) -> Sequence[str]:
        """Return all wordings of a task's instruction, the first of the file first.

        Raises:
            BenchmarkError: The file is missing, or has none for the task.
        """
        if self._options.get("instructions") == "none":
            return ()
        sub_task = self._sub_tasks[task]
        found = self._prompts.get((sub_task.dataset_id, *sub_task.modalities))
        if not found:
            key = (sub_task.dataset_id, *sub_task.modalities)
            raise BenchmarkError(f"no instruction for {task}", where=self._layout.instructions, accepted=f"a row {key}")
        return found

    def digest(self) -> str:
        """Return the digest over all annotation files of the tasks and splits taken."""
        files = set()
        for (name, split), file in self._queries.items():
            task = self._sub_tasks[name]
            qrels = self._layout.qrels(task, split)
            files |= {file.path, self._layout.pool(task, split)[0], *([qrels] if qrels else [])}
        if self._options.get("instructions") != "none":
            files.add(self._instructions_file())
        return files_digest(sorted(files), self.location, {**self._options, "tasks": sorted(self._sub_tasks)})

    def _part(self, corpus: str, split: Split) -> Part | None:
        """Return which candidates of which file make a corpus; None where the split has none."""
        task = next(task for task in self._sub_tasks.values() if corpus in self._corpora_of(task))
        if (task.name, split) not in self._queries:
            return None
        path, shared = self._layout.pool(task, split)
        if shared and corpus != task.name:
            return None
        return Part(path, self.corpora[corpus], task.dataset_id if shared else None)

    def candidates(self, corpus: str, split: str) -> Iterator[Candidate]:
        """Yield the candidates of a corpus."""
        part = self._part(corpus, _split(split))
        for row in pool_rows(part, self.images) if part else ():
            image = None if row.path is None else image_file(self.images, row.path, row.id)
            yield Candidate(row.id, text=row.text, image=image)

    def chunks(self, table: str, stem: str, split: str) -> Sequence[Chunk] | None:
        """Return the candidates of a corpus, whose ids alone are held; other tables are made of records."""
        if table != "corpus" or stem not in self.corpora:
            return None
        part = self._part(stem, _split(split))
        found = pool_chunks(part, self.images) if part else []
        self._ids[stem, split] = pa.chunked_array([chunk.ids for chunk in found], pa.string())
        return found

    def _known_ids(self, corpora: Iterable[str], split: Split, wanted: Iterable[str]) -> set[str]:
        """Return those of some ids that a corpus holds."""
        values = pa.array(sorted(set(wanted)), pa.string())
        found: set[str] = set()
        for corpus in corpora:
            if (corpus, split) not in self._ids:
                self.chunks("corpus", corpus, split)
            held = self._ids[corpus, split]
            found |= set(values.filter(pc.is_in(values, value_set=held.combine_chunks())).to_pylist())
        return found

    def _raw(self, task: SubTask, split: Split) -> Iterator[RawQuery]:
        file = self._queries.get((task.name, split))
        return read_queries(file, task) if file else iter(())

    def queries(self, task: str, split: str) -> Iterator[Query]:
        """Yield the queries of a task, with the task's first instruction.

        Queries with one picture, or, without a picture, with one answer, are a cluster.
        """
        sub_task = self._sub_tasks[task]
        instruction = next(iter(self.instructions(task)), "")
        shown = "image" in sub_task.modalities[0]
        for raw in self._raw(sub_task, _split(split)):
            image = image_file(self.images, raw.image, f"{raw.where}, query_img_path") if shown else None
            cluster = image.name if image else next(iter(raw.positives), "")
            yield Query(raw.id, task, instruction, text=raw.text, image=image, cluster=cluster)

    def judgements(self, task: str, split: str) -> Iterator[Judgement]:
        """Yield the judgements of a task: those of the qrels, and the queries' negatives with relevance 0.

        Without qrels the queries' positives are taken. Positives of another data set, as OVEN and InfoSeek have them,
        and negatives count only where a pool of the benchmark holds them; else they are left out.

        Raises:
            BenchmarkError: A judgement names a query that is not there, or a relevant candidate of the task's own data
                set that is in no pool, or two judgements of one pair differ.
        """
        sub_task, at = self._sub_tasks[task], _split(split)
        raw = {query.id: query for query in self._raw(sub_task, at)}
        relevance = self._judged(sub_task, at, raw)
        known = self._known(sub_task, at, {did for _, did in relevance})
        lost = [
            (query, did)
            for (query, did), (value, _) in relevance.items()
            if value > 0 and did not in known and did.startswith(f"{sub_task.dataset_id}:")
        ]
        if lost:
            raise BenchmarkError(
                counted(len(lost), "relevant candidate is", "relevant candidates are") + " in no pool",
                where=relevance[lost[0]][1],
                got=", ".join(did for _, did in lost[:_MOST_NAMED]),
                accepted=f"ids of {', '.join(self._corpora_of(sub_task))}",
            )
        for (query, did), (value, _) in relevance.items():
            if did in known:
                yield Judgement(query, did, value)

    def _judged(
        self, task: SubTask, split: Split, raw: Mapping[str, RawQuery]
    ) -> dict[tuple[str, str], tuple[int, str]]:
        """Return relevance and file with line of every judged pair."""
        found: dict[tuple[str, str], tuple[int, str]] = {}
        qrels = self._layout.qrels(task, split)
        unknown: list[tuple[str, str]] = []
        for where, query, did, value in read_qrels(qrels, task) if qrels else ():
            if query not in raw:
                unknown.append((where, query))
            elif found.setdefault((query, did), (value, where))[0] != value:
                got = [found[query, did][0], value]
                raise BenchmarkError(
                    "two judgements of one pair differ",
                    where=f"{where}, {query} {did}",
                    got=got,
                    accepted="one relevance a pair",
                )
        if unknown:
            raise BenchmarkError(
                counted(len(unknown), "judgement names", "judgements name") + " a query that is not there",
                where=unknown[0][0],
                got=", ".join(query for _, query in unknown[:_MOST_NAMED]),
                accepted=f"ids of {self._queries[task.name, split].path}",
            )
        for asked in raw.values():
            listed = [] if qrels else [(did, 1) for did in asked.positives]
            for did, value in [*listed, *((did, 0) for did in asked.negatives)]:
                found.setdefault((asked.id, did), (value, asked.where))
        return found

    def _known(self, task: SubTask, split: Split, wanted: set[str]) -> set[str]:
        """Return the ids that are in the task's own pool, or in one of the data set that they begin with."""
        known = self._known_ids(self._corpora_of(task), split, wanted)
        numbers = {did.partition(":")[0] for did in wanted - known}
        for other in self._sub_tasks.values():
            if other is not task and str(other.dataset_id) in numbers:
                known |= self._known_ids(self._corpora_of(other), split, wanted - known)
        return known


def _split(name: str) -> Split:
    return next(split for split in SPLITS if split == name)
