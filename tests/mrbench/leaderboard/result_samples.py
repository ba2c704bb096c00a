"""Results like those of the built-in models, for the tests of the leaderboard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mrbench.leaderboard import Board
from mrbench.leaderboard.site.pages import pages
from mrbench.leaderboard.site.view import Site, views
from mrbench.results import GrainScore, Result, TaskResult

GRAINS = {"activity": 0.81, "direction": 0.47, "gender": 0.74, "hair": 0.66, "skin tone": 0.52}
TASKS = ("t2i", "i2t", "i2i", "it2i")
DIGEST = "3f9ac2d1" * 8


def task(level: float, grains: dict[str, float] | None = None, *, control: bool = False) -> TaskResult:
    """A scored task whose measures follow from one level between 0 and 1."""
    grains = GRAINS if grains is None else grains
    pairs = {
        name: GrainScore(round(score if control else score * (0.75 + level / 2), 4), 120)
        for name, score in grains.items()
    }
    scores = {f"hit_rate@{k}": round(min(1.0, level * share), 4) for k, share in ((1, 0.5), (5, 1.0), (10, 1.3))}
    scores |= {f"recall@{k}": round(scores[f"hit_rate@{k}"] * 0.8, 4) for k in (1, 5, 10)}
    scores |= {"mrr": round(level * 0.66, 4), "ndcg@10": round(level * 0.9, 4), "map": round(level * 0.55, 4)}
    scores |= {
        "pair_accuracy": round(sum(pair.score for pair in pairs.values()) / len(pairs), 4),
        "all_grains_accuracy": round(level / 4, 4),
    }
    return TaskResult("scored", "", 250, 4200, scores, {"pair_accuracy": pairs}, seconds={"embed": 1.5})


def unsupported(reason: str = "the model takes no text") -> TaskResult:
    return TaskResult("not supported", reason)


def result(model_name: str, tasks: dict[str, TaskResult], /, *, limit: int | None = None, **changes: object) -> Result:
    model = {
        "name": model_name,
        "revision": changes.pop("revision", "1.0"),
        "dimension": 384,
        "modalities": ["image", "text"],
        "device": "cpu",
        "dtype": "float32",
        "control": model_name in ("random", "constant"),
    }
    benchmark = {"name": "emoji", "title": "Emoji people", "digest": DIGEST, "split": "test", "pool": "task"}
    benchmark |= changes
    return Result(
        model=model,
        benchmark=benchmark,
        tasks=tasks,
        seed=0,
        limit=limit,
        environment={"mrbench": "0.1.0", "numpy": "2.4.1", "platform": "Linux", "python": "3.11.2"},
        command=f"mrbench evaluate emoji --model {model_name} --seed 0 --split test --pool task --depth 100",
        started="2026-07-01T09:00:00Z",
        seconds=42.0,
    )


def control(model_name: str, score: float, **changes: object) -> Result:
    part = task(0.0012, dict.fromkeys(GRAINS, score), control=True)
    return result(model_name, dict.fromkeys(TASKS, part), **changes)


def samples(**changes: object) -> list[Result]:
    """The six built-in models, no two of one score, in no useful order."""
    no_text, no_image = unsupported(), unsupported("the model takes no image")
    picture_only = {"t2i": no_text, "i2t": no_text, "it2i": no_text}
    return [
        control("constant", 0.0, **changes),
        result("minilm", dict.fromkeys(TASKS, no_image), **changes),
        result("colour-histogram", {**picture_only, "i2i": task(0.21)}, **changes),
        result(
            "conse", {name: task(level) for name, level in zip(TASKS, (0.31, 0.27, 0.62, 0.44), strict=True)}, **changes
        ),
        control("random", 0.5, **changes),
        result("efficientnet-lite0", {**picture_only, "i2i": task(0.71)}, **changes),
        result(
            "big/clip-vit",
            {name: task(level) for name, level in zip(TASKS, (0.71, 0.67, 0.52, 0.3), strict=True)},
            **changes,
        ),
    ]


def site_text(boards: Sequence[Board]) -> str:
    """All pages of some boards that show them without a script, one after the other."""
    made = [(b, [result(row.model, {}, revision=row.revision) for row in b.rows]) for b in boards]
    return "\n".join(text for _, text in pages(Site(views(made))))


HOSTILE = (
    "<script>document.title='ran'</script>",
    "</script><script>document.title='ran'</script>",
    "</style><script>document.title='ran'</script>",
    "</title><svg onload=document.title='ran'>",
    '"><img src=x onerror="document.title=\'ran\'">',
    "'onmouseover='document.title=`ran`' autofocus onfocus='document.title=`ran`",
    "javascript:document.title='ran'",
    "{{ 7 * 7 }}{% raise %}",
    "--><script>document.title='ran'</script><!--",
    "=cmd|' /C calc'!A0",
    "a|b\n\n# heading\n| c |",
    "\x1b[31mred\x1b]0;title\x07\u202egnp.exe \ud800",
    "[link](https://example.org) ![x](http://example.org/x.png) `code` **bold** @everyone",
)


def hostile() -> list[Result]:
    """Every text that a result file may hold, once for each hostile text."""
    results = []
    for text in HOSTILE:
        part = task(0.4, {text: 0.4, "hair": 0.9})
        part.scores[text] = 0.5
        one = result(
            text, {"t2i": part, "i2t": unsupported(text)},
            revision=text, name=text, title=text, digest=text, split=text, pool=text,
        )  # fmt: skip
        one.model.update(device=text, dtype=text, dimension=text, modalities=[text])
        one.environment.update({text: text})
        results.append(replace(one, command=text, started=text))
    return results
