"""Checks the records of data with partial judgements: ids, judgements, lists, texts and images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from mrbench.benchmark import Benchmark, Records
from mrbench.benchmark.ids import ID_FORM, is_id
from mrbench.measures import refused_names
from mrbench.measures.declarations import DECLARATIONS, Need
from mrbench.records import Task
from mrbench.validate.images import ImageCheck
from mrbench.validate.report import Report
from mrbench.validate.support import support
from mrbench.words import counted

Hashes = np.ndarray[Any, np.dtype[np.uint64]]
Facts = dict[str, Any]


def check_contents(benchmark: Benchmark, report: Report, *, decode: bool = False, workers: int = 1) -> Facts:
    """Read a benchmark with partial judgements completely, and report its problems.

    Each candidate, query and judgement takes a few bytes of memory; no table is in memory whole.

    Args:
        benchmark: A folder or a source.
        report: Takes problems, notes and counts.
        decode: Whether to decode all images; otherwise only check that their files exist.
        workers: Processes that decode.

    Returns:
        ``{split: {"corpora": {name: facts}, "tasks": {name: facts}}}``, ready for JSON.

    Raises:
        BenchmarkError: A table cannot be read at all.
    """
    facts: Facts = {}
    check_measures(benchmark.manifest.tasks, report)
    for split in benchmark.splits:
        images = ImageCheck(report, decode=decode, workers=workers, named_in=benchmark.named_in)
        corpora = {name: _Corpus(benchmark, name, split, images, report) for name in benchmark.corpora}
        _check_unique([corpus.ids for corpus in corpora.values()], corpora, split, report)
        tasks = {}
        for name in benchmark.task_names:
            tasks[name] = _TaskCheck(benchmark, benchmark.task(name), split, corpora, images, report).run()
        facts[split] = {"corpora": {name: corpus.facts for name, corpus in corpora.items()}, "tasks": tasks}
        _note_groups(tasks)
    for name in benchmark.task_names:
        if not any(part["tasks"][name]["queries"] for part in facts.values()):
            report.problem("no queries", name)
    return facts


def check_measures(tasks: Iterable[Task], report: Report) -> None:
    """Check that the measures that tasks name can be computed."""
    for task in tasks:
        for refused in refused_names(task):
            report.problem("unknown measure", f"measures and main of {task.name}: {refused}")


def hashes_of(column: Any) -> Hashes:
    """Return a 64-bit hash of each text of an Arrow column. A million fit into memory and practically never collide."""
    cells = np.asarray(column.to_numpy(), dtype=object)
    return pd.util.hash_array(cells, categorize=False) if len(cells) else np.zeros(0, np.uint64)


def pair_hashes(left: Hashes, right: Hashes) -> Hashes:
    """Return a 64-bit hash of each pair."""
    with np.errstate(over="ignore"):
        return (left * np.uint64(0x9E3779B97F4A7C15)) ^ (right + np.uint64(0x7F4A7C15) + (left >> np.uint64(7)))


def _is_in(values: Hashes, known: Hashes) -> Any:
    """Return which values are among sorted known ones; ``numpy.isin`` would sort them again."""
    at = np.searchsorted(known, values)
    found = at < len(known)
    found[found] = known[at[found]] == values[found]
    return found


def _joined(parts: list[Hashes]) -> Hashes:
    return np.concatenate(parts) if parts else np.zeros(0, np.uint64)


def _repeated(values: Hashes) -> Hashes:
    found, counts = np.unique(values, return_counts=True)
    return found[counts > 1]


class _Corpus:
    """Reads a corpus of a split into hashes of ids and counts."""

    def __init__(self, benchmark: Benchmark, name: str, split: str, images: ImageCheck, report: Report) -> None:
        self.modality = benchmark.corpora[name]
        self.records: Records[Any] = benchmark.corpus(name, split)
        self.where = f"corpus {name}, {split}"
        self.ids, texts, empty = _read(self.records, self.modality, self.where, images, report)
        self.facts: Facts = {"modality": self.modality, "candidates": len(self.ids)}
        report.count("candidates", len(self.ids))
        if "text" in self.modality:
            equal = len(texts) - len(np.unique(texts))
            self.facts |= {"equal_texts": equal, "empty_texts": empty}
            if self.modality == "text":
                _note(report, f"{self.where}: texts that an earlier candidate has too", equal)
                _note(report, f"{self.where}: empty texts", empty)
        if "image" in self.modality:
            self.facts |= images.close(self.where)


def _read(
    records: Records[Any], modality: str, where: str, images: ImageCheck, report: Report
) -> tuple[Hashes, Hashes, int]:
    """Return the hashes of ids and of texts, and the number of empty texts. Ids and images are checked."""
    ids: list[Hashes] = []
    texts: list[Hashes] = []
    empty = 0
    columns = ["id", *(["text"] if "text" in modality else [])]
    total = len(records)
    with tqdm(total=total, desc=where, unit="row", leave=False, disable=None if total > 20_000 else True) as bar:
        if "image" in modality:
            images.begin(records, where)
        for table in records.tables(columns) if total else ():
            ids.append(hashes_of(table["id"]))
            for name in table["id"].to_pylist():
                if not is_id(name):
                    report.problem("malformed id", where, name, ID_FORM)
            if "text" in modality:
                texts.append(hashes_of(table["text"]))
                empty += sum(not text.strip() for text in table["text"].to_pylist())
            bar.update(table.num_rows)
    return _joined(ids), _joined(texts), empty


def _check_unique(parts: list[Hashes], corpora: dict[str, _Corpus], split: str, report: Report) -> None:
    twice = set(_repeated(_joined(parts)).tolist())
    if not twice:
        return
    for name, corpus in corpora.items():
        for column in corpus.records.tables(["id"]) if len(corpus.records) else ():
            for value, text in zip(hashes_of(column["id"]), column["id"].to_pylist(), strict=True):
                if int(value) in twice:
                    report.problem("repeated candidate id", f"corpus {name}, {split}", text, "each once in a split")


def _note(report: Report, what: str, number: int) -> None:
    if number:
        report.note(what, number)


class _TaskCheck:
    """Checks one task of a split against the corpora that were read."""

    def __init__(
        self,
        benchmark: Benchmark,
        task: Task,
        split: str,
        corpora: dict[str, _Corpus],
        images: ImageCheck,
        report: Report,
    ) -> None:
        self._benchmark, self._task, self._split, self._report, self._images = benchmark, task, split, report, images
        self._where = f"{task.name}, {split}"
        self._pool = np.unique(_joined([corpora[name].ids for name in task.own_corpora]))
        self._modalities = {corpora[name].modality for name in task.own_corpora if len(corpora[name].ids)}

    def run(self) -> Facts:
        """Check the task and return its facts."""
        task, report = self._task, self._report
        self._check_queries()
        judged, facts = self._check_judgements()
        self._check_lists(judged)
        ladders = self._check_ladders(judged)
        variants = self._variants()
        holds = self._holds(facts, bool(ladders), set(variants))
        found = support(holds)
        report.count("queries", len(self._queries))
        return {
            "category": task.category,
            "pool": task.pool,
            "candidates": len(self._pool),
            "queries": len(self._queries),
            "clusters": self._clusters,
            "pairs_of_a_cluster": self._two_each,
            **facts,
            "ladders": ladders,
            "variants": dict(variants),
            "supported": list(found.supported),
            "not_supported": dict(found.lacking),
        }

    def _holds(self, facts: Facts, ladders: bool, variants: set[str]) -> set[Need]:
        has: dict[Need, bool] = {
            "judgements": bool(facts["relevant_per_query"]["max"]),
            "partial judgements": self._task.judgements == "partial",
            "grains": self._grains,
            "ladder": ladders,
            "pairs": bool(facts["violated"]),
            "quadruples": "flipped" in variants,
            "degrained queries": "degrained" in variants,
            "flipped queries": "flipped" in variants,
            "paraphrased queries": "paraphrased" in variants,
            "image and text queries": self._task.query_modality == "image,text",
            "a pool of several modalities": len(self._modalities) > 1,
        }
        return {need for need, there in has.items() if there}

    def _check_queries(self) -> None:
        task, report, where = self._task, self._report, f"queries {self._where}"
        records = self._benchmark.queries(task.name, self._split)
        self._queries, texts, empty = _read(records, task.query_modality, where, self._images, report)
        if "image" in task.query_modality:
            self._images.close(where)
        self._sorted_queries = np.sort(self._queries)
        for twice in self._named(records, _repeated(self._queries), "id"):
            report.problem("repeated query id", where, twice, "each once")
        if empty:
            report.problem("empty queries", where, empty, "a text in each")
        if task.query_modality == "text":
            _note(report, f"{where}: texts that an earlier query has too", len(texts) - len(np.unique(texts)))
        clusters: Counter[str] = Counter()
        self._grains = False
        for table in records.tables(["cluster", "grains"]) if len(records) else ():
            # Suites with complete judgements have no cluster column.
            named = table["cluster"].to_pylist() if "cluster" in table.column_names else [""] * table.num_rows
            clusters.update(named)
            self._grains = self._grains or any(table["grains"].to_pylist())
        self._clusters = len(clusters) - ("" in clusters) + clusters[""]
        self._two_each = bool(clusters) and set(clusters.values()) == {2}

    def _named(self, records: Records[Any], wanted: Hashes, column: str) -> Iterator[str]:
        """Yield the texts of a column whose hash is among the wanted, each once."""
        left = set(wanted.tolist())
        for table in records.tables([column]) if left and len(records) else ():
            for value, text in zip(hashes_of(table[column]), table[column].to_pylist(), strict=True):
                if int(value) in left:
                    left.discard(int(value))
                    yield text

    def _check_judgements(self) -> tuple[Hashes, Facts]:
        """Check the judgements; return the hashes of the judged pairs, and facts."""
        report, where = self._report, f"judgements {self._where}"
        records = self._benchmark.judgements(self._task.name, self._split)
        columns: tuple[list[Hashes], list[Hashes], list[Any]] = ([], [], [])
        violated: Counter[str] = Counter()
        for table in records.tables(["query-id", "corpus-id", "score", "violates"]) if len(records) else ():
            columns[0].append(hashes_of(table["query-id"]))
            columns[1].append(hashes_of(table["corpus-id"]))
            columns[2].append(np.asarray(table["score"], dtype=np.int64))
            violated.update(kind for kinds in table["violates"].to_pylist() if kinds for kind in kinds)
        queries, candidates = _joined(columns[0]), _joined(columns[1])
        scores = np.concatenate(columns[2]) if columns[2] else np.zeros(0, np.int64)
        self._check_known(records, "query-id", queries, np.unique(self._queries), "query", where)
        self._check_known(records, "corpus-id", candidates, self._pool, "candidate", where)
        negative = int((scores < 0).sum())
        if negative:
            report.problem("negative relevance", where, counted(negative, "judgement"), "0 or more")
        pairs = pair_hashes(queries, candidates)
        self._check_pairs(pairs, scores, where)
        if len(self._queries) and not np.isin(candidates, self._pool).any():
            report.problem("no candidate of the pool is judged", where)
        elif len(self._queries) and not (scores > 0).any():
            report.problem("no query has a relevant candidate", where, accepted="a relevance of 1 or more")
        self._relevances = Counter(scores.tolist())
        asking, positives = np.unique(queries[scores > 0], return_counts=True)
        without = len(np.setdiff1d(self._queries, asking))
        _note(report, f"{where}: queries without a relevant candidate", without)
        self._relevant = np.sort(pairs[scores > 0])
        report.count("judgements", len(queries))
        counts = np.concatenate([positives, np.zeros(without, positives.dtype)]) if without else positives
        spread = {"min": 0, "median": 0.0, "max": 0}
        if len(counts):
            spread = {"min": int(counts.min()), "median": float(np.median(counts)), "max": int(counts.max())}
        return np.sort(pairs), {
            "judgements": len(queries),
            "relevance": {str(value): n for value, n in sorted(self._relevances.items())},
            "relevant_per_query": spread,
            "queries_without_relevant": without,
            "violated": dict(violated.most_common()),
        }

    def _check_known(
        self, records: Records[Any], column: str, values: Hashes, known: Hashes, what: str, where: str
    ) -> None:
        unknown = values[~np.isin(values, known)]
        if len(unknown):
            distinct = np.unique(unknown)
            named = ", ".join(list(self._named(records, distinct[:5], column)))
            ids = counted(len(distinct), "unknown id")
            got = f"{len(unknown):,} of {counted(len(values), 'row')} name {ids}: {named}"
            self._report.problem(f"unknown {what} in judgements", where, got)

    def _check_pairs(self, pairs: Hashes, scores: Any, where: str) -> None:
        order = np.argsort(pairs, kind="stable")
        same = pairs[order][1:] == pairs[order][:-1]
        differ = same & (scores[order][1:] != scores[order][:-1])
        if differ.any():
            self._report.problem("different judgements of one pair", where, counted(int(differ.sum()), "pair"), "one")
        elif same.any():
            self._report.problem("a judgement is there twice", where, counted(int(same.sum()), "pair"), "once")

    def _check_lists(self, judged: Hashes) -> None:
        task, report = self._task, self._report
        for kind, of in (("list", self._benchmark.lists), ("exclusion", self._benchmark.exclusions)):
            records = of(task.name, self._split)
            where, asking = f"{kind}s {self._where}", []
            unjudged = positives = 0
            few = None if len(records) > 20_000 else True
            for record in tqdm(records if len(records) else (), where, unit="row", leave=False, disable=few):
                query, members = _hash(record.query_id), _hash(*record.candidate_ids)
                asking.append(query)
                self._check_members(f"{kind} of {record.query_id}, {self._where}", query, members, record.candidate_ids)
                pairs = pair_hashes(np.broadcast_to(query, members.shape), members)
                unjudged += not _is_in(pairs, judged).any()
                positives += int(_is_in(pairs, self._relevant).sum())
            if kind == "exclusion":
                _note(report, f"{where}: relevant candidates that are excluded", positives)
                continue
            if task.pool == "lists":
                missing = len(np.setdiff1d(self._queries, _joined(asking)))
                if missing:
                    report.problem("queries without a list", where, missing, "a list for each query")
                if unjudged:
                    report.problem("lists without a judged candidate", where, unjudged)
                _note(report, f"{where}: relevant candidates outside of the lists", len(self._relevant) - positives)
            elif asking:
                report.problem("lists of a task that has none", where, accepted='pool: "lists"')

    def _check_members(self, where: str, query: Hashes, members: Hashes, names: tuple[str, ...]) -> None:
        if not _is_in(query, self._sorted_queries).all():
            self._report.problem("unknown query", where)
        unknown = ~_is_in(members, self._pool)
        if unknown.any():
            named = ", ".join(name for name, out in zip(names, unknown, strict=True) if out)
            self._report.problem("unknown candidate", where, named)
        if len(np.unique(members)) < len(members):
            self._report.problem("a candidate is listed twice", where)

    def _check_ladders(self, judged: Hashes) -> int:
        records = self._benchmark.ladders(self._task.name, self._split)
        for ladder in records if len(records) else ():
            where = f"ladder of {ladder.query_id}, {self._where}"
            query, members = _hash(ladder.query_id), _hash(*ladder.candidate_ids)
            self._check_members(where, query, members, ladder.candidate_ids)
            pairs = pair_hashes(np.broadcast_to(query, members.shape), members)
            if ladder.positive_id not in ladder.candidate_ids:
                self._report.problem("positive outside of its ladder", where, ladder.positive_id)
            elif not _is_in(pairs, judged).all():
                self._report.problem("a member of a ladder is not judged", where)
        return len(records)

    def _variants(self) -> Counter[str]:
        records = self._benchmark.variants(self._task.name, self._split)
        kinds: Counter[str] = Counter()
        for table in records.tables(["kind", "query-id"]) if len(records) else ():
            kinds.update(table["kind"].to_pylist())
            unknown = ~_is_in(hashes_of(table["query-id"]), self._sorted_queries)
            for number in np.flatnonzero(unknown)[:5]:
                named = table["query-id"][int(number)].as_py()
                self._report.problem("unknown query", f"variants {self._where}", named)
        return kinds


def _hash(*texts: str) -> Hashes:
    return pd.util.hash_array(np.array(texts, dtype=object), categorize=False)


def _note_groups(tasks: dict[str, Facts]) -> None:
    """Add group scores to the supported measures if two tasks have two texts and two images for each cluster."""
    groups = [facts for facts in tasks.values() if facts["pairs_of_a_cluster"] and facts["pool"] == "lists"]
    if {facts["category"] for facts in groups} == {"t2i", "i2t"}:
        for facts in groups:
            scores = [name for name, measure in DECLARATIONS.items() if measure.needs == ("quadruples",)]
            facts["supported"] += [name for name in scores if facts["not_supported"].pop(name, None)]


def summary(benchmark: Benchmark, facts: Facts) -> list[str]:
    """Return the facts as lines of text."""
    lines = [f"{benchmark.name}: {benchmark.manifest.title}; digest {benchmark.digest}"]
    for split, part in facts.items():
        lines.append(split)
        for name, corpus in part["corpora"].items():
            more = [
                counted(corpus[key], key.replace("_", " ").removesuffix("s"))
                for key in corpus
                if key not in ("modality", "candidates")
            ]
            said = f"  corpus {name}: {counted(corpus['candidates'], 'candidate')}, {corpus['modality']}"
            lines.append("; ".join([said, *(words for words in more if not words.startswith("0 "))]))
        for name, task in part["tasks"].items():
            spread, pool = task["relevant_per_query"], "own lists" if task["pool"] == "lists" else "the corpus"
            lines.append(
                f"  task {name} ({task['category']}, among {pool}): {counted(task['queries'], 'query', 'queries')} in "
                f"{counted(task['clusters'], 'cluster')}, {counted(task['judgements'], 'judgement')}; "
                "relevant candidates a query "
                f"{spread['min']} / {spread['median']:g} / {spread['max']} (min / median / max)"
            )
            lines.append(f"    measures: {', '.join(task['supported'])}")
            first = Counter(why.partition("; ")[0] for why in task["not_supported"].values())
            if first:
                reasons = ", ".join(f"{reason} ({number})" for reason, number in first.most_common())
                lacking = counted(first.total(), "other measure lacks", "other measures lack")
                lines.append(f"    {lacking} something: {reasons}; --json names them")
    return lines
