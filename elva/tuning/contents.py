"""What the records of a benchmark show, as keys that equal contents share: for leaks, and for held-out parts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from elva.tuning.data import TrainTask
from mrbench.arrays import Bools
from mrbench.audit.content import plain
from mrbench.benchmark import Benchmark
from mrbench.benchmark.images import decode, pixel_sha256
from mrbench.errors import InputError
from mrbench.records import Candidate, Modality, Query

HELD_OUT = 0.1
"""Share of the photos, or whatever hangs together, that validates where the data has no validation split."""


def keys_of(benchmark: Benchmark, kind: str, stem: str, split: str, modality: Modality) -> dict[str, str]:
    """Return what each record of a table shows, by its id: ``image DIGEST``, ``text WORDS``, or its own name.

    Texts are compared by their words. A composed query is like no other: many share one sentence, and its answer
    depends on both parts.

    Args:
        benchmark: The benchmark.
        kind: ``queries`` or ``corpus``.
        stem: Name of the task or the corpus.
        split: The split.
        modality: Of the records.
    """
    records = benchmark.corpus(stem, split) if kind == "corpus" else benchmark.queries(stem, split)
    if modality == "text":
        table = records.table(["id", "text"])
        return {
            name: f"text {plain(text)}"
            for name, text in zip(table["id"].to_pylist(), table["text"].to_pylist(), strict=True)
        }
    if modality == "image":
        return {name: key for key, name in _image_keys(records)}
    return {name: f"{kind} {stem} {name}" for name in records.ids.to_pylist()}


def split_keys(benchmark: Benchmark, split: str) -> Iterator[tuple[str, str]]:
    """Yield the key of every record of a split that is one text or one image, and the record's id.

    The images of composed queries are among them.
    """
    stems = [("queries", name, benchmark.task(name).query_modality) for name in benchmark.task_names]
    stems += [("corpus", name, modality) for name, modality in benchmark.corpora.items()]
    for kind, stem, modality in stems:
        if not benchmark.count(kind, stem, split):
            continue
        if modality == "image,text":
            records = benchmark.corpus(stem, split) if kind == "corpus" else benchmark.queries(stem, split)
            yield from _image_keys(records)
        else:
            yield from ((key, name) for name, key in keys_of(benchmark, kind, stem, split, modality).items())


def _image_keys(records: Iterable[Candidate | Query]) -> Iterator[tuple[str, str]]:
    """Yield the key and the id of each record with an image. The key is of its pixels: other encodings share it."""
    for record in records:
        if (image := record.image) is not None:
            yield f"image {image.sha256 or pixel_sha256(decode(image, where=record.id))}", record.id


def shared_texts(benchmark: Benchmark, others: list[tuple[Benchmark, str]], split: str = "train") -> set[str]:
    """Return the keys of texts that stand in training data and in test data.

    Args:
        benchmark: What is trained on.
        others: Benchmarks and their splits that will be tested on.
        split: The split that is trained on.

    Raises:
        InputError: They share an image.
    """
    mine = dict(split_keys(benchmark, split)) if others else {}  # decodes every image
    texts: set[str] = set()
    for other, tested in others:
        found = {key: name for key, name in split_keys(other, tested) if key in mine}
        images = sorted(name for key, name in found.items() if key.startswith("image "))
        if images:
            raise InputError(
                f"{len(images)} images of the {tested} split are in the training data too",
                where=f"{other.folder}, {tested}",
                got=images[0],
                accepted="splits that share no image",
                hint="mrbench build captions SPEC --shares 0.8,0.1,0.1 --output DIR",
            )
        texts |= found.keys()
    return texts


def held_out(
    tasks: Mapping[str, TrainTask], keys: Mapping[str, tuple[list[str], list[str]]], share: float = HELD_OUT
) -> dict[str, tuple[Bools, Bools]]:
    """Return which queries and candidates of each task validate, where the data has no validation split.

    What relevance ties together, over all tasks, stays together: a photo with all of its captions. A digest of its
    content decides, so neither order nor seed matters. Where that holds out nothing, the first by digest goes that is
    small enough.

    Args:
        tasks: The tasks by name.
        keys: The key of every query and of every candidate, by task.
        share: Share of what hangs together to hold out.

    Raises:
        InputError: Nothing can be held out, or hardly anything would be left.
    """
    names = sorted({key for sides in keys.values() for side in sides for key in side})
    number = {key: row for row, key in enumerate(names)}
    rows = {task: [np.array([number[key] for key in side]) for side in sides] for task, sides in keys.items()}
    one = np.concatenate([rows[name][0][task.relevant.query] for name, task in tasks.items()])
    other = np.concatenate([rows[name][1][task.relevant.position] for name, task in tasks.items()])
    graph = coo_array((np.ones(len(one)), (one, other)), shape=(len(names), len(names)))
    component = connected_components(graph, directed=False)[1]
    first = np.unique(component, return_index=True)[1]  # names are sorted: the smallest key of each component
    luck = np.array([int(hashlib.sha256(names[row].encode()).hexdigest()[:8], 16) / 2**32 for row in first])
    tied = np.zeros(len(names), dtype=np.bool_)
    tied[one] = tied[other] = True
    chosen = luck < share
    asked_of = np.bincount(component[np.concatenate([sides[0] for sides in rows.values()])], minlength=len(luck))
    if not asked_of[chosen].any():
        small = np.flatnonzero((asked_of > 0) & (asked_of <= 2 * share * asked_of.sum()))
        chosen[small[np.argsort(luck[small])[:1]]] = True
    out = chosen[component] & tied
    found = {task: (out[asked], out[answers]) for task, (asked, answers) in rows.items()}
    held = sum(int(asked.sum()) for asked, _ in found.values())
    total = sum(len(asked) for asked, _ in found.values())
    if not 0 < held <= total / 2:
        raise InputError(
            "no part of the training split can be held out to validate: it is too small, or all of it hangs together",
            got=f"{held} of {total} queries",
            accepted="a validation split",
            hint="build the benchmark with --splits train,validation,test or --shares",
        )
    return found
