"""What should be in one place only: queries that are in their own corpus, and what is in two splits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from mrbench.audit.content import plain
from mrbench.audit.findings import Check, Row
from mrbench.audit.pictures import Thumbnails, look_alikes
from mrbench.benchmark import Benchmark
from mrbench.records import AnyImage, Candidate, Query, Task

_SHOWN = 20
_KINDS = ("corpus", "queries")


def audit_contamination(benchmark: Benchmark, split: str, sample: int) -> tuple[Check, ...]:
    """Compare the queries of a split with its own corpus, and what it holds with the other splits.

    Texts are compared by their words, pictures by their pixels and by how they look: a copy with another pixel is a
    copy. Of composed queries the pictures count, as many share one sentence.

    Args:
        benchmark: The benchmark.
        split: The split.
        sample: Most pictures of a corpus, and of the queries of a split, to look at.
    """
    texts = {kind: set(_texts(benchmark, split, kind)) for kind in _KINDS}
    pictures = {kind: _thumbnails(benchmark, split, kind, sample) for kind in _KINDS}
    exact = {kind: set(_digests(benchmark, split, kind)) for kind in _KINDS}
    between = _between_splits(benchmark, split, sample, texts, exact, pictures)
    asking = [benchmark.task(stem) for stem, number in benchmark.manifest.counts[split]["queries"].items() if number]
    if not all(task.judgements == "complete" for task in asking):
        return _in_open_corpora(benchmark, split, sample, asking), between
    copies = len(texts["queries"] & texts["corpus"]) + len(exact["queries"] & exact["corpus"])
    alike = _alike(pictures["queries"], pictures["corpus"])
    return _own(copies, alike), between


def _own(copies: int, alike: list[Row]) -> Check:
    return Check(
        "query in its own corpus",
        "failed" if copies or alike else "passed",
        f"{copies} queries have the text or the pixels of a candidate, {len({row[0] for row in alike})} look like one",
        ("query", "candidate", "share of the pixels that differ"),
        tuple(alike[:_SHOWN]),
    )


def _in_open_corpora(benchmark: Benchmark, split: str, sample: int, asking: Sequence[Task]) -> Check:
    """Compare the queries of each task with the candidates that they are searched among."""
    own_kind = [task for task in asking if task.candidate_modality in task.query_modality]
    if not own_kind:
        return Check("query in its own corpus", "not applicable", "every task asks with one modality for the other")
    copies = 0
    alike: list[Row] = []
    for task in own_kind:
        gone = {(one.query_id, name) for one in benchmark.exclusions(task.name, split) for name in one.candidate_ids}
        if task.candidate_modality == "text":
            asked = set(map(plain, _column(benchmark, split, "queries", task.name, "text")))
            said = {
                plain(text) for name in task.own_corpora for text in _column(benchmark, split, "corpus", name, "text")
            }
            copies += len(asked & said)
            continue
        queries = Thumbnails.of(islice(_shown(benchmark.queries(task.name, split)), sample))
        corpora = (benchmark.corpus(name, split) for name in task.own_corpora)
        candidates = Thumbnails.of(islice((one for corpus in corpora for one in _shown(corpus)), sample))
        found = [row for row in _alike(queries, candidates) if (row[0], row[1]) not in gone]
        alike += [(f"{task.name} {row[0]}", *row[1:]) for row in found]
    return _own(copies, alike)


def _shown(records: Iterable[Query] | Iterable[Candidate]) -> Iterator[tuple[str, AnyImage]]:
    return ((record.id, record.image) for record in records if record.image is not None)


def _between_splits(
    benchmark: Benchmark,
    split: str,
    sample: int,
    texts: dict[str, set[str]],
    exact: dict[str, set[str]],
    pictures: dict[str, Thumbnails],
) -> Check:
    others = [other for other in benchmark.splits if other != split]
    if not others:
        return Check("contamination", "not applicable", "there is no other split")
    mine = set().union(*texts.values(), *exact.values())
    rows: list[Row] = []
    copies, alike = 0, set()
    for other in others:
        theirs = {c for kind in _KINDS for find in (_texts, _digests) for c in find(benchmark, other, kind)}
        look = [_thumbnails(benchmark, other, kind, sample) for kind in _KINDS]
        found = {str(row[0]) for own in pictures.values() for part in look for row in _alike(own, part)}
        rows.append((other, len(theirs), len(theirs & mine), len(found)))
        copies += len(theirs & mine)
        alike |= found
    return Check(
        "contamination",
        "failed" if copies or alike else "passed",
        f"{copies} texts or pictures of {split} are in another split, {len(alike)} pictures look like one there",
        ("split", "texts and pictures", f"also in {split}", f"pictures of {split} that look like one of it"),
        tuple(rows),
    )


def _alike(one: Thumbnails, other: Thumbnails) -> list[Row]:
    return [(one.names[a], other.names[b], round(share, 4)) for a, b, share in look_alikes(one, other)]


def _thumbnails(benchmark: Benchmark, split: str, kind: str, sample: int) -> Thumbnails:
    return Thumbnails.of(islice(_pictures(benchmark, split, kind), sample))


def _pictures(benchmark: Benchmark, split: str, kind: str) -> Iterator[tuple[str, AnyImage]]:
    for stem in _stems(benchmark, split, kind, "image"):
        records = benchmark.corpus(stem, split) if kind == "corpus" else benchmark.queries(stem, split)
        for record in records:
            if record.image is not None:
                yield (record.id if kind == "corpus" else f"{stem} {record.id}"), record.image


def _texts(benchmark: Benchmark, split: str, kind: str) -> Iterator[str]:
    for stem in _stems(benchmark, split, kind, "text"):
        yield from map(plain, _column(benchmark, split, kind, stem, "text"))


def _digests(benchmark: Benchmark, split: str, kind: str) -> Iterator[str]:
    for stem in _stems(benchmark, split, kind, "image"):
        yield from _column(benchmark, split, kind, stem, "image_sha256")


def _column(benchmark: Benchmark, split: str, kind: str, stem: str, name: str) -> list[str]:
    records = benchmark.corpus(stem, split) if kind == "corpus" else benchmark.queries(stem, split)
    values: list[str] = records.table([name])[name].to_pylist()
    return values


def _stems(benchmark: Benchmark, split: str, kind: str, modality: str) -> list[str]:
    """Return the tables of a split whose records are of a modality; a composed query counts as a picture."""
    counts = benchmark.manifest.counts[split][kind]
    of = {stem: stem if kind == "corpus" else benchmark.task(stem).query_modality for stem in counts}
    return [stem for stem, number in counts.items() if number and ("image" in of[stem]) == (modality == "image")]
