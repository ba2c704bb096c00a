"""Sites of real runs: a tiny suite with models of known sight, and an open data set whose every text is hostile."""

from __future__ import annotations

from pathlib import Path

from open_benchmarks import PHOTOS, picture
from result_samples import HOSTILE
from tiny_benchmark import Constant, Guess, Oracle

from mrbench.benchmark import Benchmark, write_benchmark
from mrbench.evaluation import evaluate
from mrbench.leaderboard import find_runs, publish, read_results
from mrbench.records import Candidate, Grain, Judgement, Query

PLANTED = tuple(text for text in HOSTILE if text.isprintable())


def tiny_results(tiny: Benchmark, folder: Path) -> Path:
    """Evaluate an oracle, one that is blind to counts, one that takes no text, and two that see nothing."""
    models = (
        Oracle(),
        Oracle("no count", blind_to=["count"]),
        Oracle("pictures only", blind_to=["place"], modalities=["image"]),
        Guess("guess"),
        Constant("constant"),
    )
    for model in models:
        evaluate(tiny, model, folder / model.name.replace(" ", "-"), command=f"evaluate {model.name}")
    return folder


def publish_with_queries(results: Path, benchmark: Benchmark, output: Path, **options: object) -> Path:
    publish(read_results([results]), output, benchmarks=[benchmark], runs=find_runs([results]), **options)
    return output


def write_hostile(folder: Path) -> Benchmark:
    """A benchmark with hostile titles, ids, texts, instructions and grains."""
    with write_benchmark(folder, tasks=[PHOTOS], corpora={"image": "image", "text": "text"}) as writer:
        ids = [f"{text} {n}" for n, text in enumerate(PLANTED)]
        writer.add_candidates(
            "test", [Candidate(name, image=picture("red", n)) for n, name in enumerate(ids)], corpus="image"
        )
        for n, text in enumerate(PLANTED):
            grains = (Grain(text, text, 0, len(text)),)
            query = Query(f"q {ids[n]}", PHOTOS.name, text, grains, text=f"{text}\u202e\n{text}", cluster=ids[n])
            writer.add_queries("test", [query])
            judged = [Judgement(query.id, ids[n], 1, grade=1, asked=1, violates=())]
            judged.append(Judgement(query.id, ids[n - 1], 0, grade=0, asked=1, violates=(text,)))
            writer.add_judgements("test", PHOTOS.name, judged)
        writer.finish(name="hostile", title=PLANTED[0], licence=PLANTED[1])
    return Benchmark(folder)


def hostile_site(folder: Path) -> Path:
    benchmark = write_hostile(folder / "benchmark")
    for n, name in enumerate((PLANTED[0], PLANTED[4])):
        evaluate(benchmark, Guess(name), folder / f"results/{n}", command=name)
    return publish_with_queries(folder / "results", benchmark, folder / "site")
