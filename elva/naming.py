"""How often a model's summaries name each grain: whether it can still say what it sees."""

from __future__ import annotations

from collections.abc import Sequence

from elva.data import Inputs, Summaries
from elva.model import Elva
from mrbench.benchmark import Benchmark

Shares = dict[str, dict[str, float]]


def naming(
    model: Elva,
    benchmarks: Sequence[Benchmark],
    summaries: Summaries,
    *,
    split: str = "train",
    limit: int = 128,
    chunk: int = 64,
) -> Shares:
    """Return the share of candidates whose likeliest summary names the grain, by suite and modality and grain type.

    Args:
        model: The model.
        benchmarks: Candidates with grains.
        summaries: What the model was taught to say of them.
        split: Of the benchmarks.
        limit: Candidates of each corpus; ids are hashes, so the last ones are a sample.
        chunk: Candidates at a time.

    Returns:
        For example ``{"scenes image": {"count": 0.9, "entity": 0.7}}``; shares are 0 to 1.
    """
    found: Shares = {}
    for benchmark in benchmarks:
        for kind in ("image", "text"):
            if not benchmark.manifest.counts[split]["corpus"].get(kind):
                continue
            records = list(benchmark.corpus(kind, split))[-limit:]
            hits: dict[str, list[bool]] = {}
            for start in range(0, len(records), chunk):
                part = records[start : start + chunk]
                said = model.summarise(list(Inputs(part)))[0]
                for record, text in zip(part, said, strict=True):
                    for grain, right in summaries.named(text, record.grains).items():
                        hits.setdefault(grain, []).append(right)
            found[f"{benchmark.name} {kind}"] = {grain: sum(rows) / len(rows) for grain, rows in sorted(hits.items())}
    return found
