"""A small benchmark with judgements of a judge, hostile captions among them, and votes on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PIL import Image

from mrbench.benchmark import Benchmark, encode_png, write_benchmark
from mrbench.records import Candidate, Grain, ImageFile, Judgement, Ladder, Query, Task, Variant

HOSTILE = (
    "A red dog </script><script>document.title='ran'</script><img src=x onerror=\"document.title='ran'\"> "
    "\u202etxt.exe\u202c \u2067\u200f{{ 7*7 }} & <!-- \\u003c/script>"
)
TASK = Task("t2i", "caption → photo", "text", "image", judgements="partial")
COLOURS = ("red", "blue", "green", "gray", "tan", "black")


def write_reviewed(folder: Path, *, reference: Path | None = None, own_says: str = "dataset") -> Benchmark:
    """Six photos; each caption has its own photo, an alarm, and a ladder of two negatives."""
    photos: dict[str, Any] = {}
    for number, colour in enumerate(COLOURS):
        made = encode_png(Image.new("RGB", (60, 40 + number), colour))
        photos[f"{number}.png"] = made
        if reference is not None:
            reference.mkdir(exist_ok=True)
            (reference / f"{number}.png").write_bytes(made.data)
            photos[f"{number}.png"] = ImageFile(reference / f"{number}.png", f"{number}.png", made.sha256)
    with write_benchmark(folder, tasks=[TASK], corpora={"image": "image"}) as writer:
        writer.add_candidates("test", (Candidate(name, image=photo) for name, photo in photos.items()), corpus="image")
        for number in range(6):
            text = HOSTILE if number == 0 else f"A red dog number {number}"
            grains = (Grain("colour", "red", 2, 5), Grain("entity", "dog", 6, 9))
            writer.add_queries(
                "test", [Query(f"q{number}", "t2i", "Find it.", grains, text=text, cluster=f"{number}.png")]
            )
            own, alarm, first, second = (f"{(number + step) % 6}.png" for step in range(4))
            judged = "judge:rules"
            writer.add_judgements(
                "test",
                "t2i",
                [
                    Judgement(f"q{number}", own, 1, 2, (), 2, own_says),
                    Judgement(f"q{number}", alarm, 1, 2, (), 2, judged),
                    Judgement(f"q{number}", first, 0, 1, ("colour",), 2, judged),
                    Judgement(f"q{number}", second, 0, 0, ("colour", "entity"), 2, judged),
                ],
            )
            writer.add_ladders("test", "t2i", [Ladder(f"q{number}", own, tuple(sorted((own, first, second))))])
            writer.add_variants("test", "t2i", [Variant(f"q{number}", "degrained", "colour", own, text="A dog")])
        writer.finish(
            name="small",
            title="Small photos <b>",
            description="Judged by `rules`.",
            image_root=None if reference is None else str(reference),
        )
    return Benchmark(folder, image_root=reference)


def write_votes(path: Path, digest: str, reviewer: str, votes: dict[tuple[str, str], str]) -> Path:
    listed = [
        {"task": "t2i", "split": "test", "query_id": query, "candidate_id": candidate, "vote": vote}
        for (query, candidate), vote in votes.items()
    ]
    said = {"format": "mrbench-votes", "format_version": 1, "benchmark": "small", "digest": digest}
    path.write_text(json.dumps(said | {"reviewer": reviewer, "votes": listed}))
    return path
