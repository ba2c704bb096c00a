"""Small open benchmarks: data sets that list judgements, with few grains or none."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from mrbench.benchmark import Benchmark, encode_png, write_benchmark
from mrbench.records import Candidate, CandidateList, ImageData, Judgement, Query, Task

COLOURS = {
    "red": (200, 30, 30), "green": (30, 160, 40), "blue": (30, 60, 200), "yellow": (230, 210, 40),
    "black": (10, 10, 10), "white": (245, 245, 245), "orange": (240, 140, 20), "purple": (130, 40, 160),
}  # fmt: skip
THINGS = ("dog", "cat", "car", "house", "tree", "boat")
PHOTOS = Task(
    "photos",
    "caption → photo",
    "text",
    "image",
    judgements="partial",
    measures=("hit_rate@1", "hit_rate@5", "recall@10", "median_rank"),
    main="hit_rate@1",
    protocol="Five-fold protocol of the photo paper, which calls the hit rate R@k.",
)
ANSWERS = Task(
    "answers",
    "question → answers",
    "text",
    "text",
    judgements="partial",
    measures=("ndcg@10", "ndcg_exp@5", "recall@20", "map"),
    main="ndcg@10",
    protocol="Relevance 0 to 2, as the judges gave it.",
)
PAIRS = Task(
    "swaps",
    "image → true or false caption",
    "image",
    "text",
    judgements="partial",
    pool="lists",
    main="pair_accuracy",
    protocol="Accuracy is the share of images whose true caption scores above the false one; a tie fails.",
)
RANKED_PAIRS = Task("ranked_swaps", PAIRS.title, "image", "text", judgements="partial", pool="lists", main="hit_rate@1")


def picture(colour: str, number: int) -> ImageData:
    image = Image.new("RGB", (48, 40), COLOURS[colour])
    image.paste((17 * number % 256, 255 - 5 * number, 128), (number % 30, 4, number % 30 + 9, 30))
    return encode_png(image)


def said(number: int) -> tuple[str, str]:
    return list(COLOURS)[number % len(COLOURS)], THINGS[number // len(COLOURS) % len(THINGS)]


def add_photos(writer: object, task: Task = PHOTOS, number: int = 40) -> None:
    """One relevant photo for each caption, two captions a photo; nothing else is judged but one false candidate."""
    writer.add_candidates("test", [Candidate(f"photo {n}.png", image=picture(said(n)[0], n)) for n in range(number)])
    for n in range(2 * number):
        colour, thing = said(n // 2)
        text = f"a {colour} {thing}" if n % 2 else f"the {thing} is {colour}"
        writer.add_queries("test", [Query(f"caption#{n}", task.name, "find the photo", text=text, cluster=f"{n // 2}")])
        judged = [Judgement(f"caption#{n}", f"photo {n // 2}.png", 1)]
        judged += [Judgement(f"caption#{n}", f"photo {(n // 2 + 1) % number}.png", 0, origin="human")]
        writer.add_judgements("test", task.name, judged)


def add_answers(writer: object, task: Task = ANSWERS, number: int = 48) -> None:
    """Questions on colours: the thing asked for is worth 2, other things of the colour are worth 1."""
    texts = [f"{colour} {thing}, number {n}" for n in range(number) for colour, thing in [said(n)]]
    writer.add_candidates("test", [Candidate(f"answer:{n}", text=text) for n, text in enumerate(texts)])
    for n in range(0, number, 2):
        colour, thing = said(n)
        query = Query(f"question/{n}", task.name, "answer", text=f"which {thing} is {colour}?")
        writer.add_queries("test", [query])
        worth = {m: 2 if m == n else 1 for m in range(number) if said(m)[0] == colour and m < n + 24}
        writer.add_judgements("test", task.name, [Judgement(query.id, f"answer:{m}", r) for m, r in worth.items()])


def add_pairs(writer: object, task: Task = PAIRS, number: int = 40, *, true_texts: int = 1) -> None:
    """One true caption, or several, and a false one: of another colour, or of another thing."""
    for n in range(number):
        colour, thing = said(n)
        kind = ("replace colour", "replace thing", "swap")[n % 3]
        other = list(COLOURS)[(n + 3) % len(COLOURS)] if kind == "replace colour" else colour
        wrong = THINGS[(THINGS.index(thing) + 1) % len(THINGS)] if kind != "replace colour" else thing
        trues = [f"a {colour} {thing}", f"there is a {thing}, and it is {colour}"][:true_texts]
        texts = {f"{n}:true{i}": text for i, text in enumerate(trues)}
        texts[f"{n}:false"] = f"a {other} {wrong}" + (" seen from the side" if kind == "swap" else "")
        writer.add_candidates("test", [Candidate(name, text=text) for name, text in texts.items()])
        writer.add_queries("test", [Query(f"{task.name} {n}", task.name, "", image=picture(colour, n))])
        writer.add_lists("test", task.name, [CandidateList(f"{task.name} {n}", tuple(sorted(texts)))])
        judged = [Judgement(f"{task.name} {n}", name, 1) for name in texts if "true" in name]
        judged += [Judgement(f"{task.name} {n}", f"{n}:false", 0, violates=(kind,))]
        writer.add_judgements("test", task.name, judged)


def write_open(folder: Path, name: str) -> Benchmark:
    """Write one of the benchmarks: photos, answers, pairs, ranked pairs, true pairs, mixed."""
    fill = {
        "photos": ((PHOTOS, add_photos, {}),),
        "answers": ((ANSWERS, add_answers, {}),),
        "pairs": ((PAIRS, add_pairs, {}),),
        "ranked pairs": ((RANKED_PAIRS, add_pairs, {}),),
        "true pairs": ((PAIRS, add_pairs, {"true_texts": 2}),),
        "mixed": ((PHOTOS, add_photos, {}), (ANSWERS, add_answers, {}), (PAIRS, add_pairs, {})),
    }[name]
    corpora = {"image": "image", "text": "text"}
    with write_benchmark(folder, tasks=[task for task, _, _ in fill], corpora=corpora) as writer:
        for task, add, options in fill:
            add(writer, task, **options)
        writer.finish(name=name.replace(" ", "-"), title=name.capitalize(), licence="CC0-1.0")
    return Benchmark(folder)
