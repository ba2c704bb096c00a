"""What can be wrong with texts and pictures themselves: copies, look-alikes, imbalance, monotony."""

from __future__ import annotations

import io
import math
import re
from collections import Counter
from collections.abc import Iterator

import numpy as np

from mrbench.audit.findings import Case, Check, Row, Verdict
from mrbench.audit.pictures import INDISTINCT, Thumbnails, difference, look_alikes
from mrbench.benchmark import Benchmark, decode
from mrbench.pools import TaskPool
from mrbench.records import AnyImage, Candidate

FEW, MONOTONOUS = 20, 0.5
_WORST, _SHOWN = 12, 20


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
    pairs: dict[tuple[str, str], tuple[str, str, str]] = {}
    for task, pool in pools.items():
        if pool.definition.candidate_modality == "image":
            for query, kind, other in zip(pool.pairs.query, pool.pairs.kind, pool.pairs.position, strict=True):
                first, second = sorted((pool.candidate_ids[pool.positives[query]], pool.candidate_ids[other]))
                pairs[str(first), str(second)] = (pool.grain_types[kind], task, str(pool.query_ids[query]))
    if not pairs:
        return (Check("look-alikes", "not applicable", "no task is answered with pictures"),), ()
    wanted = {name for pair in pairs for name in pair}
    thumbnails = Thumbnails.of(_sampled(benchmark, split, wanted, sample))
    pixels = dict(zip(thumbnails.names, thumbnails.pixels, strict=True))
    found = sorted((difference(pixels[a], pixels[b]), kind, a, b) for (a, b), (kind, _, _) in pairs.items())
    alike = [pair for pair in found if pair[0] < INDISTINCT]
    rows = []
    for kind in sorted({kind for kind, _, _ in pairs.values()}):
        shares = [pair[0] for pair in found if pair[1] == kind]
        rows.append((kind, len(shares), round(min(shares), 4), round(float(np.median(shares)), 4)))
    told = Check(
        "positives that a person could not tell from a negative",
        "failed" if alike else "passed",
        f"{len(alike)} of {len(found):,} pairs of positive and one-off differ in under {INDISTINCT:.1%} of the pixels",
        ("grain", "pairs", "smallest difference", "median"),
        tuple(rows),
    )
    cases = _cases(benchmark, split, found[:_WORST], pairs)
    return (told, _near_duplicates(thumbnails)), cases


def _sampled(benchmark: Benchmark, split: str, wanted: set[str], sample: int) -> Iterator[tuple[str, AnyImage]]:
    spare = max(sample - len(wanted), 0)
    for candidate in benchmark.corpus("image", split):
        if candidate.id not in wanted:
            if not spare:
                continue
            spare -= 1
        yield candidate.id, _image(candidate)


def _image(candidate: Candidate) -> AnyImage:
    if candidate.image is None:
        raise TypeError("a candidate of the image corpus has a picture")
    return candidate.image


def _near_duplicates(thumbnails: Thumbnails) -> Check:
    """Find candidates that look the same."""
    names = thumbnails.names
    rows: list[Row] = [
        (names[one], names[other], round(share, 4))
        for one, other, share in look_alikes(thumbnails, thumbnails)
        if one < other
    ]
    summary = f"{len(rows):,} pairs among {len(names):,} pictures have almost the same pixels"
    columns = ("one", "other", "difference")
    return Check("near-duplicate pictures", "failed" if rows else "passed", summary, columns, tuple(rows[:_SHOWN]))


def _cases(
    benchmark: Benchmark,
    split: str,
    found: list[tuple[float, str, str, str]],
    pairs: dict[tuple[str, str], tuple[str, str, str]],
) -> tuple[Case, ...]:
    """Return the pairs as pictures, with what each shows; with the query, where that is not known."""
    wanted = {name for _, _, a, b in found for name in (a, b)}
    kept = {c.id: c for c in benchmark.corpus("image", split) if c.id in wanted}
    asking = {pairs[a, b][1:] for _, _, a, b in found}
    asked = {(t, q.id): q.text or "" for t in {t for t, _ in asking} for q in benchmark.queries(t, split)}
    cases = []
    for share, kind, a, b in found:
        says = _says(kept[a], kind), _says(kept[b], kind)
        title = f"differ in {kind}" if any(says) else f"differ in {kind}: {asked[pairs[a, b][1:]]}"
        cases.append(Case(title, _png(kept[a]), _png(kept[b]), says if any(says) else (a, b), share))
    return tuple(cases)


def _png(candidate: Candidate) -> bytes:
    picture = decode(_image(candidate), where=candidate.id)
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
        counts = Counter(plain(text) for text in table["text"].to_pylist())
        twice = [(text, number) for text, number in counts.items() if number > 1]
        summary = f"{len(twice)} of {len(counts):,} candidate texts occur twice, but for case and punctuation"
        listed = all(task.judgements == "partial" for task in benchmark.manifest.tasks)
        failed: Verdict = "reported" if listed else "failed"  # people write one caption for two photos
        rows: list[Row] = [(text, number) for text, number in twice[:_SHOWN]]
        checks.append(Check("duplicate texts", failed if twice else "passed", summary, ("text", "times"), tuple(rows)))
    asked = benchmark.manifest.counts[split]["queries"]
    checks += [
        _templates(benchmark, task, split)
        for task in asked
        if asked[task] and "text" in benchmark.task(task).query_modality
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


def plain(text: str) -> str:
    """Return the words of a text alone.

    >>> plain("Two lions, on the Moon!")
    'two lions on the moon'
    """
    return " ".join(re.findall(r"\w+", text.lower()))


def audit_balance(pools: dict[str, TaskPool]) -> Check:
    """Count pairs by task and grain type, and how evenly the values of a type are asked for."""
    rows: list[Row] = []
    few = []
    for task, pool in pools.items():
        kinds = pool.pairs.kind
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
