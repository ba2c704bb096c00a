"""Measure the rules and the mining of negatives on captions that templates write: time, captions a second, peak memory.

python benchmarks/caption_mining.py --captions 100000 --queries 1000 --shortlist 40

Five captions stand for a photo; no picture is drawn, since mining reads captions alone. Times are of the processor.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import time
from collections.abc import Callable, Iterator
from typing import Any

from mrbench.build.captions.photos import Caption, Photo, hashed_id, plain
from mrbench.build.captions.plan import Planner
from mrbench.build.captions.task_plan import TaskPlan
from mrbench.cli.judges import rules
from mrbench.records import ImageData

WHO = (
    "dog",
    "cat",
    "man",
    "woman",
    "boy",
    "girl",
    "horse",
    "bird",
    "child",
    "person",
    "cow",
    "sheep",
    "surfer",
    "skier",
)
THINGS = (
    *("ball", "bench", "car", "bus", "table", "chair", "umbrella", "bicycle", "kite", "boat", "truck", "suitcase"),
    *("surfboard", "skateboard", "laptop", "pizza", "cake", "vase", "clock", "hydrant", "sign", "bed", "couch", "tent"),
)
COLOURS = ("red", "blue", "green", "white", "black", "brown", "yellow", "orange", "gray", "pink", "purple", "tan")
PLACES = (
    "beach",
    "street",
    "park",
    "kitchen",
    "field",
    "forest",
    "garden",
    "station",
    "room",
    "hill",
    "market",
    "yard",
)
DOES = ("sits", "stands", "runs", "jumps", "walks", "sleeps", "plays", "rests", "waits", "eats")
BESIDE = ("next to", "behind", "in front of", "under", "near", "on top of", "beside", "with")
NUMBERS = ("two", "three", "four", "several")
TEMPLATES = (
    "A {colour} {who} {does} {beside} a {hue} {thing}.",
    "A {who} {does} {beside} a {hue} {thing} in a {place}.",
    "A {colour} {who} {beside} a {thing} in a {place}.",
    "A {who} {does} in a {place} with {number} {thing}s.",
    "There is a {colour} {who} and a {hue} {thing} in the {place}.",
)


def photos_of(captions: int, seed: int) -> list[Photo]:
    """Write captions for photos that nobody took: all five of a photo say the same things in other words."""
    drawn = random.Random(seed)
    found = []
    for number in range(captions // len(TEMPLATES)):
        said = {
            "who": drawn.choice(WHO),
            "thing": drawn.choice(THINGS),
            "colour": drawn.choice(COLOURS),
            "hue": drawn.choice(COLOURS),
            "place": drawn.choice(PLACES),
            "does": drawn.choice(DOES),
            "beside": drawn.choice(BESIDE),
            "number": drawn.choice(NUMBERS),
        }
        name = f"{number}.png"
        texts = [template.format(**said) for template in TEMPLATES]
        mine = tuple(Caption(hashed_id(name, str(n)), text, name) for n, text in enumerate(texts))
        found.append(Photo(name, ImageData(b"", name), mine))
    return found


def measured(steps: dict[str, Callable[[], Any]]) -> Iterator[tuple[str, Any, float]]:
    """Yield each step's name, its result and its seconds of the processor."""
    for name, step in steps.items():
        start = time.process_time()
        result = step()
        yield name, result, time.process_time() - start


def main() -> None:
    """Measure, and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--captions", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=1000, help="of each task")
    parser.add_argument("--shortlist", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    start = time.perf_counter()
    photos = photos_of(asked.captions, asked.seed)
    judge = rules(soft=False, keep=True)
    taken = {plain(text) for photo in photos for text in photo.texts}
    held: dict[str, Planner] = {}

    def plan() -> Planner:
        held["planner"] = Planner(
            photos, judge, shortlist=asked.shortlist, most=asked.queries, seed=asked.seed, taken=taken, label="mining"
        )
        return held["planner"]

    steps: dict[str, Callable[[], Any]] = {
        "rules": plan,
        "t2i": lambda: held["planner"].text_to_photo(),
        "i2t": lambda: held["planner"].photo_to_text(),
    }
    facts: dict[str, Any] = vars(asked)
    for name, result, seconds in measured(steps):
        facts[f"{name}_seconds"] = round(seconds, 1)
        if name == "rules":
            facts["captions_a_second"] = round(len(taken) / seconds)
        if isinstance(result, TaskPlan):
            facts[f"{name}_judged"], facts[f"{name}_ladders"] = result.counts.judged, result.counts.ladders
        facts[f"peak_mib_after_{name}"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps(facts | {"wall_seconds": round(time.perf_counter() - start, 1)}))


if __name__ == "__main__":
    main()
