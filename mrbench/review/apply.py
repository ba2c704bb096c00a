"""A benchmark after its review: rejected judgements leave, disputed ones are marked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mrbench.benchmark import Benchmark, BenchmarkWriter, Manifest, write_benchmark
from mrbench.benchmark.card import CARD
from mrbench.review.agreement import Agreement, agreement
from mrbench.review.claims import Key, judged, kind_of
from mrbench.review.votes import NO, YES, Ballot

HUMAN = "human"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of the judgements that people voted on.

    Attributes:
        accepted: "Right" votes, and no "wrong" one.
        rejected: More "wrong" votes than "right" ones. They leave.
        disputed: Votes of both kinds, and not rejected. They stay, and their origin is ``human``.
        undecided: "Unsure" votes alone. They stay as they are.
    """

    accepted: frozenset[Key]
    rejected: frozenset[Key]
    disputed: frozenset[Key]
    undecided: frozenset[Key]


def outcome(ballots: Sequence[Ballot]) -> Outcome:
    """Return what becomes of the judgements.

    Args:
        ballots: The votes of each person.
    """
    parts: dict[str, set[Key]] = {"accepted": set(), "rejected": set(), "disputed": set(), "undecided": set()}
    for key in {key for ballot in ballots for key in ballot.votes}:
        votes = [ballot.votes.get(key) for ballot in ballots]
        yes, no = votes.count(YES), votes.count(NO)
        name = "rejected" if no > yes else "disputed" if no else "accepted" if yes else "undecided"
        parts[name].add(key)
    return Outcome(**{name: frozenset(keys) for name, keys in parts.items()})


def apply_votes(
    benchmark: Benchmark, ballots: Sequence[Ballot], output: Path, *, overwrite: bool = False
) -> tuple[Manifest, Agreement, Outcome]:
    """Write the benchmark without its rejected judgements; the same votes give the same digest.

    A rejected candidate stays in the pool, unjudged. It leaves its ladder; a ladder without a negative goes. A query
    whose last relevant candidate is rejected goes too, with all that belongs to it.

    Args:
        benchmark: What was reviewed.
        ballots: The votes of each person.
        output: The folder to write.
        overwrite: Whether a benchmark that is there may be replaced.

    Returns:
        The manifest, what the votes say, and what became of the judgements.

    Raises:
        OutputError: The folder may not be replaced or written.
    """
    said = benchmark.manifest
    kinds = {key: kind_of(one) for key, one in judged(benchmark).items()}
    found, end = agreement(ballots, kinds), outcome(ballots)
    with write_benchmark(output, tasks=said.tasks, corpora=said.corpora, overwrite=overwrite) as writer:
        for split in benchmark.splits:
            for corpus in benchmark.corpora:
                writer.add_candidates(split, benchmark.corpus(corpus, split), corpus=corpus)
            for task in benchmark.task_names:
                _write_task(writer, benchmark, task, split, end)
        manifest = writer.finish(
            name=said.name,
            title=said.title,
            licence=said.licence,
            description=f"{_description(benchmark.folder / CARD)}\n\n{_section(benchmark, found, end)}",
            builder={**said.builder, "review": _review(benchmark, found, end)},
            seed=said.seed,
            tools=said.tools,
            sources=said.sources,
            split_rule=said.split_rule,
            image_root=None if said.image_root is None else str(benchmark.images.path),
        )
    return manifest, found, end


def _write_task(writer: BenchmarkWriter, benchmark: Benchmark, task: str, split: str, end: Outcome) -> None:
    before = list(benchmark.judgements(task, split))
    after = [
        replace(one, origin=HUMAN) if (task, split, one.query_id, one.candidate_id) in end.disputed else one
        for one in before
        if (task, split, one.query_id, one.candidate_id) not in end.rejected
    ]
    answered = {one.query_id for one in after if one.relevance > 0}
    gone = {one.query_id for one in before if one.relevance > 0} - answered
    writer.add_queries(split, (query for query in benchmark.queries(task, split) if query.id not in gone))
    writer.add_judgements(split, task, (one for one in after if one.query_id not in gone))
    left: dict[str, tuple[str, ...]] = {}
    for ladder in benchmark.ladders(task, split):
        members = tuple(m for m in ladder.candidate_ids if (task, split, ladder.query_id, m) not in end.rejected)
        if ladder.query_id not in gone and ladder.positive_id in members and len(members) > 1:
            writer.add_ladders(split, task, [replace(ladder, candidate_ids=members)])
            left[ladder.query_id] = members
    variants = (one for one in benchmark.variants(task, split) if one.query_id not in gone)
    # A flipped query asks for a member of the ladder: without the member nothing answers it.
    answerable = (one for one in variants if one.kind != "flipped" or one.positive_id in left.get(one.query_id, ()))
    writer.add_variants(split, task, answerable)
    if len(lists := benchmark.lists(task, split)):
        writer.add_lists(split, task, (one for one in lists if one.query_id not in gone))
    if len(exclusions := benchmark.exclusions(task, split)):
        writer.add_exclusions(split, task, (one for one in exclusions if one.query_id not in gone))


def _review(benchmark: Benchmark, found: Agreement, end: Outcome) -> dict[str, Any]:
    """Return what the manifest says; no names of people."""
    return {
        "reviewed": benchmark.digest,
        **found.to_json(),
        "accepted": len(end.accepted),
        "undecided": len(end.undecided),
        "rejected": [list(key) for key in sorted(end.rejected)],
        "disputed": [list(key) for key in sorted(end.disputed)],
    }


def _description(card: Path) -> str:
    """Return the body of a data card, without the parts that are made anew."""
    try:
        text = card.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""
    found = re.search(r"^# [^\n]*\n\n(.*?)^## Contents$", text, re.DOTALL | re.MULTILINE)
    return found[1].strip() if found else ""


def _section(benchmark: Benchmark, found: Agreement, end: Outcome) -> str:
    counts = (
        f"{len(end.accepted):,} judgements were accepted; {len(end.rejected):,} were rejected and left; "
        f"{len(end.disputed):,} are disputed and have the origin `human`; {len(end.undecided):,} stay undecided."
    )
    people = "One person" if found.reviewers == 1 else f"{found.reviewers} people"
    first = (
        f"{people} reviewed judgements of the build `{benchmark.digest}`. The counts above are those before the review."
    )
    lines = ["### Review by people", "", first, counts, "", *shares_table(found)]
    return "\n".join([*lines, "", kappa_line(found)])


def shares_table(found: Agreement) -> list[str]:
    """Return the shares as a table in Markdown."""
    lines = ["| claims | votes on | right | 95 % interval |", "|---|---|---|---|"]
    for one in found.shares:
        interval = "one query alone" if one.interval is None else f"{one.interval[0]:.3f} to {one.interval[1]:.3f}"
        lines.append(f"| {one.kind} | {one.claims:,} | {one.rate:.3f} | {interval} |")
    return lines


def kappa_line(found: Agreement) -> str:
    """Return the agreement of people in a line."""
    if found.reviewers < 2:
        return "One person voted, so agreement is not known."
    value = "not defined" if found.kappa is None else f"{found.kappa:.3f}"
    return f"{found.kappa_name}'s kappa over the {found.kappa_claims:,} claims that everybody voted on: {value}."
