"""The text of the data card: what was built, by which judge, with which counts."""

from __future__ import annotations

from typing import Any

from mrbench.benchmark import Manifest
from mrbench.build.captions.rewrite import ENOUGH
from mrbench.build.captions.task_plan import TASKS
from mrbench.judge import Judge


def description(source: Manifest, judge: Judge, measured: dict[str, Any]) -> str:
    """Return the body of the data card.

    Args:
        source: Of the captioned photos.
        judge: The judge that graded.
        measured: What was counted, by split.
    """
    versions = ", ".join(f"{name} {version}" for name, version in judge.versions.items())
    lines = [
        f"Built by `mrbench build captions` from {source.title} (digest `{source.content_sha256}`).",
        "The photos and captions belong to their owners; this benchmark gives no right to them.",
        "",
        f"Grains and judgements come from the judge `{judge.name}` ({versions}). {_reads(judge)}",
        "A photo keeps a grain where one of its captions says it, and violates it where none does and one contradicts",
        "it; anything else is unknown, and unknown is no judgement. A member of a ladder contradicts one, two or more",
        "grains and keeps all others. The judge errs: docs/reference/grains.md has measured rates.",
        "",
        "A photo query (i2t) is graded against the one of its captions that the others support most. The picture of a",
        "composed query (it2i) is a member of the ladder of a caption; the text says which grains are to be others.",
        "Its ladder has photos like the picture without them, and photos that have them and lack others.",
    ]
    for split, facts in measured.items():
        lines += ["", f"### {split}", "", f"{facts['photos']:,} photos, {facts['captions']:,} captions."]
        for task in TASKS:
            if task in facts:
                lines += ["", f"**{task}**", "", *_counts(facts[task])]
    return "\n".join(lines)


def _reads(judge: Judge) -> str:
    if judge.sees_photos:
        return "It looks at a photo and reads its captions; grains are those that the parser finds in a caption."
    return "It reads captions, not pixels."


def _counts(counts: dict[str, Any]) -> list[str]:
    queries, disputed = sum(counts["queries"].values()), sum(counts["disputed"].values())
    lines = [
        f"- queries: {queries:,}; with a ladder: {counts['ladders']:,}; pairs judged: {counts['judged']:,}",
        f"- queries by number of grains: {_listed(counts['queries'])}",
        f"- members of ladders by number of grains lost: {_listed(counts['rungs'])}",
        f"- false-negative alarms, now relevant: {_listed(counts['alarms'])}",
        f"- grains that another caption of the photo contradicts: {disputed:,}; they are not asked for",
        f"- no queries: {_listed(counts['left_out'])}",
        f"- queries in another form: {_listed(counts['variants'])}",
        f"- grains that the text changes: {_listed(counts['changed'])}",
        "",
        "| grain type | grains asked | lost alone in a ladder | of these rewritten |",
        "|---|---|---|---|",
    ]
    for name, number in counts["grains"].items():
        alone, rewritten = counts["lost"].get(name, 0), counts["rewritten"].get(name, 0)
        lines.append(f"| {name} | {number:,} | {alone:,} | {rewritten:,} |")
    if counts["blind"]:
        lines += [
            "",
            "Rewritten captions: how often a language model that sees no photo finds the true caption likelier (0.5:",
            "it cannot tell), for a random filler and for the one that was chosen. Above 0.60 and below",
            "0.40 a type is left out.",
            "",
            "| grain type | texts | random filler | chosen filler | |",
            "|---|---|---|---|---|",
        ]
        for kind, blind in counts["blind"].items():
            told = "few texts" if blind["texts"] < ENOUGH else ""
            said = told if blind["kept"] else "left out"
            lines.append(f"| {kind} | {blind['texts']:,} | {blind['before']:.3f} | {blind['after']:.3f} | {said} |")
    return lines


def _listed(table: dict[str, int]) -> str:
    return ", ".join(f"{name} {number:,}" for name, number in table.items()) or "none"
