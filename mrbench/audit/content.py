"""What can be wrong with texts and pictures themselves: copies, look-alikes, contamination, imbalance, monotony."""

from __future__ import annotations

import io
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from PIL import Image
from scipy import fft

from mrbench.audit.findings import Case, Check, Row
from mrbench.benchmark import Benchmark, decode
from mrbench.records import TASKS, Candidate
from mrbench.retrieve import TaskPool

SIDE = 64
"""Pictures are compared at this size."""
_LEVELS = 24  # of 255: a pixel that differs by no more looks the same
INDISTINCT = 0.003
"""Share of the pixels that must differ, or a person could not tell two pictures apart."""
FEW, MONOTONOUS = 20, 0.5
_WORST = 12
Thumbnails = np.ndarray[Any, np.dtype[np.uint8]]


def audit_pictures(
    benchmark: Benchmark, split: str, pools: dict[str, TaskPool], sample: int
) -> tuple[tuple[Check, ...], tuple[Case, ...]]:
    """Compare positives with their one-off neighbours, and all pictures of the corpus with each other.

    Args:
        benchmark: The benchmark.
        split: The split.
        pools: By task.
        sample: Most pictures of the corpus to look at; those of ladders come first.
    """
    pairs: dict[tuple[str, str], str] = {}
    for task, pool in pools.items():
        if TASKS[task].candidate_modality == "image":
            for query, kind, other in zip(*pool.pairs, strict=True):
                first, second = sorted((pool.candidate_ids[pool.positives[query]], pool.candidate_ids[other]))
                pairs[str(first), str(second)] = pool.grain_types[kind]
    if not pairs:
        return (Check("look-alikes", "not applicable", "no task is answered with pictures"),), ()
    wanted = {name for pair in pairs for name in pair}
    names, thumbnails = _thumbnails(benchmark, split, wanted, sample)
    row = {name: number for number, name in enumerate(names)}
    found = sorted((_difference(thumbnails[row[a]], thumbnails[row[b]]), kind, a, b) for (a, b), kind in pairs.items())
    alike = [pair for pair in found if pair[0] < INDISTINCT]
    rows = []
    for kind in sorted(set(pairs.values())):
        shares = [pair[0] for pair in found if pair[1] == kind]
        rows.append((kind, len(shares), round(min(shares), 4), round(float(np.median(shares)), 4)))
    told = Check(
        "positives that a person could not tell from a negative",
        "failed" if alike else "passed",
        f"{len(alike)} of {len(found):,} pairs of positive and one-off differ in under {INDISTINCT:.1%} of the pixels",
        ("grain", "pairs", "smallest difference", "median"),
        tuple(rows),
    )
    cases = _cases(benchmark, split, found[:_WORST])
    return (told, _near_duplicates(names, thumbnails)), cases


def _thumbnails(benchmark: Benchmark, split: str, wanted: set[str], sample: int) -> tuple[list[str], Thumbnails]:
    names, found = [], []
    spare = max(sample - len(wanted), 0)
    for candidate in benchmark.corpus("image", split):
        if candidate.id not in wanted:
            if not spare:
                continue
            spare -= 1
        names.append(candidate.id)
        found.append(np.asarray(_decoded(candidate).resize((SIDE, SIDE), Image.Resampling.BOX)))
    return names, np.stack(found)


def _decoded(candidate: Candidate) -> Image.Image:
    if candidate.image is None:
        raise TypeError("a candidate of the image corpus has a picture")
    return decode(candidate.image, where=candidate.id)


def _difference(one: Thumbnails, other: Thumbnails) -> float:
    return float((np.abs(one.astype(np.int16) - other).max(axis=-1) > _LEVELS).mean())


def _near_duplicates(names: list[str], thumbnails: Thumbnails) -> Check:
    """Find candidates whose perceptual hashes agree, and compare their pixels."""
    grey = thumbnails.astype(np.float64).mean(axis=3)[:, ::2, ::2]
    low = fft.dctn(grey, axes=(1, 2))[:, :8, :8].reshape(len(names), -1)
    bits = low > np.median(low, axis=1, keepdims=True)
    groups: dict[bytes, list[int]] = {}
    for number, code in enumerate(np.packbits(bits, axis=1)):
        groups.setdefault(code.tobytes(), []).append(number)
    rows: list[Row] = []
    for group in groups.values():
        for place, one in enumerate(group):
            for other in group[place + 1 : place + 50]:
                difference = _difference(thumbnails[one], thumbnails[other])
                if difference < INDISTINCT:
                    rows.append((names[one], names[other], round(difference, 4)))
    summary = f"{len(rows)} pairs among {len(names):,} pictures have one perceptual hash and almost the same pixels"
    verdict = "failed" if rows else "passed"
    return Check("near-duplicate pictures", verdict, summary, ("one", "other", "difference"), tuple(rows[:20]))  # type: ignore[arg-type]


def _cases(benchmark: Benchmark, split: str, found: list[tuple[float, str, str, str]]) -> tuple[Case, ...]:
    wanted = {name for _, _, a, b in found for name in (a, b)}
    kept = {c.id: c for c in benchmark.corpus("image", split) if c.id in wanted}
    return tuple(
        Case(f"differ in {kind}", _png(kept[a]), _png(kept[b]), (_says(kept[a], kind), _says(kept[b], kind)), share)
        for share, kind, a, b in found
    )


def _png(candidate: Candidate) -> bytes:
    picture = _decoded(candidate)
    picture.thumbnail((160, 160))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _says(candidate: Candidate, kind: str) -> str:
    return next((f"{g.type}: {g.value}" for g in candidate.grains if g.type == kind), "")


def audit_texts(benchmark: Benchmark, split: str) -> tuple[Check, ...]:
    """Look for candidates of one wording, and for wordings that repeat."""
    checks = []
    if benchmark.manifest.counts[split]["corpus"].get("text"):
        table = benchmark.corpus("text", split).table(["text"])
        counts = Counter(_plain(text) for text in table["text"].to_pylist())
        twice = [(text, number) for text, number in counts.items() if number > 1]
        summary = f"{len(twice)} of {len(counts):,} candidate texts occur twice, but for case and punctuation"
        verdict = "failed" if twice else "passed"
        checks.append(Check("duplicate texts", verdict, summary, ("text", "times"), tuple(twice[:20])))  # type: ignore[arg-type]
    asked = benchmark.manifest.counts[split]["queries"]
    checks += [
        _templates(benchmark, task, split) for task in asked if asked[task] and "text" in TASKS[task].query_modality
    ]
    return tuple(checks)


def _templates(benchmark: Benchmark, task: str, split: str) -> Check:
    counts: Counter[str] = Counter()
    for row in benchmark.queries(task, split).table(["text", "grains"]).to_pylist():
        text = row["text"]
        for grain in sorted((g for g in row["grains"] if g["start"] is not None), key=lambda g: -g["start"]):
            text = f"{text[: grain['start']]}<{grain['type']}>{text[grain['end'] :]}"
        counts[text] += 1
    (common, number), total = counts.most_common(1)[0], sum(counts.values())
    share = number / total
    summary = f"{len(counts)} templates in {total} queries; the commonest has {share:.0%}: {common}"
    return Check(f"templates, {task}", "failed" if share > MONOTONOUS else "passed", summary)


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


def audit_balance(pools: dict[str, TaskPool]) -> Check:
    """Count pairs by task and grain type, and how evenly the values of a type are asked for."""
    rows: list[Row] = []
    few = []
    for task, pool in pools.items():
        kinds = pool.pairs[1]
        for number, kind in enumerate(pool.grain_types):
            codes = pool.query_grains[:, number]
            counts = np.bincount(codes[codes >= 0])
            counts = counts[counts > 0]
            if not len(counts):
                continue
            share = counts / counts.sum()
            even = float(-(share * np.log(share)).sum() / math.log(len(counts))) if len(counts) > 1 else 0.0
            pairs = int((kinds == number).sum())
            few += [f"{kind} in {task} ({pairs})"] if pairs < FEW else []
            rows.append(
                (task, kind, int(counts.sum()), pairs, len(counts), round(float(share.max()), 3), round(even, 3))
            )
    summary = f"fewer than {FEW} pairs: {', '.join(few)}" if few else f"every grain type has {FEW} pairs or more"
    columns = ("task", "grain", "queries", "pairs", "values", "share of the commonest", "evenness (1: all the same)")
    return Check("balance", "reported", summary, columns, tuple(rows))


def audit_contamination(benchmark: Benchmark, split: str) -> tuple[Check, ...]:
    """Compare what a split holds with the other splits, and its queries with its own corpus, by content."""
    checks = []
    own = {kind: set(_contents(benchmark, split, kind)) for kind in ("corpus", "queries")}
    shared = own["corpus"] & own["queries"]
    checks.append(
        Check(
            "query in its own corpus",
            "failed" if shared else "passed",
            f"{len(shared)} queries have the text or the pixels of a candidate",
        )
    )
    rows = []
    for other in benchmark.splits:
        if other != split:
            theirs = {content for kind in ("corpus", "queries") for content in _contents(benchmark, other, kind)}
            rows.append((other, len(theirs), len(theirs & (own["corpus"] | own["queries"]))))
    copies = sum(row[2] for row in rows)
    summary = f"{copies} texts or pictures of {split} are in another split" if rows else "there is no other split"
    verdict = "failed" if copies else "passed" if rows else "not applicable"
    columns = ("split", "texts and pictures", f"also in {split}")
    checks.append(Check("contamination", verdict, summary, columns, tuple(rows)))  # type: ignore[arg-type]
    return tuple(checks)


def _contents(benchmark: Benchmark, split: str, kind: str) -> Iterator[str]:
    """Yield normalised texts and pixel digests; of composed queries the pictures, as many share one sentence."""
    counts = benchmark.manifest.counts[split][kind]
    for stem, number in counts.items():
        if number:
            records: Any = benchmark.corpus(stem, split) if kind == "corpus" else benchmark.queries(stem, split)
            modality = stem if kind == "corpus" else TASKS[stem].query_modality
            column = "image_sha256" if "image" in modality else "text"
            values: Iterable[str] = records.table([column])[column].to_pylist()
            yield from values if column == "image_sha256" else map(_plain, values)
