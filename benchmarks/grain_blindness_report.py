"""Tables and plots of what ``grain_blindness.py`` trained.

python benchmarks/grain_blindness_report.py OUT --docs docs/elva
"""

from __future__ import annotations

import argparse
import json
import math
from importlib.metadata import version
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import torch
from grain_blindness import ALL, ARMS, SUITES, folder_of, model_of, recipe_of
from scipy.stats import t
from sklearn.manifold import TSNE

from elva.config import Contrastive, Recipe
from mrbench.benchmark import Benchmark
from mrbench.benchmark.images import decode
from mrbench.models.protocol import Item
from mrbench.models.zoo import load_model
from mrbench.records import TASKS
from mrbench.results import read_result
from mrbench.statistics import bootstrap, bootstrap_interval, cluster_codes

mpl.use("Agg")
from matplotlib import pyplot as plt

SCORES = {"hit_rate@1": "hit@1", "hit_rate@5": "hit@5", "pair_accuracy": "pairs", "strict_chain": "strict chain"}
MEASURES = {**SCORES, "grain_distance": "grain distance", "grain_sensitivity": "grain sensitivity"}
BASELINE = "contrastive"
SHOWN = ("contrastive", "continued", "generation", "generation-elva", "best")
PAIRS = [
    *(("best", arm) for arm in ("contrastive", "continued", "balanced", "generation", "generation-continued")),
    *(("best", arm) for arm in ("generation-balanced", "generation-several")),
    *(("best", f"generation-{arm}-several") for arm in ("continued", "balanced")),
    ("best", "few-queries"),
    *(("best-likeliest", arm) for arm in ("generation", "generation-continued", "generation-balanced")),
    *(("elva", "contrastive"), ("elva-graded", "contrastive")),
    *(("generation-elva", "generation"), ("generation-elva-graded", "generation")),
    *(("plug-in", "dual-encoder"), ("plug-in-graded", "dual-encoder"), ("plug-in-best", "dual-encoder")),
    *(("plug-in-best", "dual-encoder-continued"), ("plug-in-best", "dual-encoder-balanced")),
]


def sequences(recipe: Recipe, arm: str) -> int:
    """Return the sequences that the arm's own stages ran under gradient."""
    total = 0
    for number in ALL[arm].stages:
        options = getattr(recipe, f"stage{number}")
        each = {0: 1, 3: 0}.get(number, 2 + getattr(options, "negatives", 0))
        sampling = getattr(options, "sampling", None)
        if sampling is not None:
            each = (2 + sampling.hard + sampling.random) * getattr(options, "rollouts", 1)
        if isinstance(options, Contrastive) and options.doubled:
            each *= 2
        total += options.steps * options.batch * each
    return total


def sequences_since(arm: str | None, base: str) -> int:
    """Return the sequences from the model that all seeds share to this arm."""
    if arm is None or ALL[arm].shared:
        return 0
    return sequences(recipe_of(arm, 0, base), arm) + sequences_since(ALL[arm].parent, base)


def runs(out: Path) -> list[tuple[str, int, Path]]:
    found = [(arm, seed, folder_of(out, arm, seed)) for arm in ALL for seed in range(1 if ALL[arm].shared else 20)]
    return [(arm, seed, folder) for arm, seed, folder in found if (folder / "results").is_dir()]


def collect(out: Path) -> pd.DataFrame:
    """Return one row for each run, suite and task."""
    rows = []
    for arm, seed, folder in runs(out):
        for suite in SUITES:
            path = folder / "results" / suite / "result.json"
            if not path.exists():
                continue
            for task, result in read_result(path).tasks.items():
                row: dict[str, Any] = {"arm": arm, "seed": seed, "suite": suite, "task": task}
                row |= {name: result.scores.get(name) for name in SCORES}
                for name in ("grain_distance", "grain_sensitivity"):
                    cells = result.by_grain.get(name, {})
                    row[name] = sum(cell.score for cell in cells.values()) / len(cells) if cells else None
                row |= {f"pair {grain}": cell.score for grain, cell in result.pair_accuracy.items()}
                rows.append(row)
    return pd.DataFrame(rows)


def spread(values: pd.Series) -> tuple[float, float]:
    """Return the mean over seeds and half its 95 % interval (Student); NaN where there is one seed."""
    values = values.dropna()
    if len(values) < 2:
        return float(values.mean()), math.nan
    return float(values.mean()), float(t.ppf(0.975, len(values) - 1) * values.std() / math.sqrt(len(values)))


def shown(values: pd.Series, form: str = ".3f") -> str:
    mean, half = spread(values)
    if math.isnan(mean):
        return "—"
    return f"{mean:{form}}" if math.isnan(half) else f"{mean:{form}} ±{half:{form.replace('+', '')}}"


def header(*names: str) -> list[str]:
    return ["| arm | " + " | ".join(names) + " |", "| --- " + "| ---: " * len(names) + "|"]


def by_seed(frame: pd.DataFrame, suite: str, columns: list[str]) -> pd.DataFrame:
    return frame[frame["suite"] == suite].groupby(["arm", "seed"])[columns].mean()


def heading(frame: pd.DataFrame) -> list[str]:
    seeds = ", ".join(str(seed) for seed in sorted(frame["seed"].unique()))
    names = ("torch", "transformers", "peft", "accelerate", "numpy")
    return [
        *("# What training does to grain blindness", ""),
        "Written by `python benchmarks/grain_blindness_report.py OUT`, after `grain_blindness.py data` and `train`",
        "(and `train --seeds 0 --arms ablations`, `parts`) in one folder; `grain_blindness.py` says what each arm is.",
        f"Seeds {seeds}; an arm with fewer says so. Test splits at 64 pixels, mean over four tasks. ± is half the 95 %",
        "interval over seeds (Student). Sequences are those with a gradient since the model that all seeds share.",
        "Versions: " + ", ".join(f"{name} {version(name)}" for name in names) + ".",
    ]


def tables(frame: pd.DataFrame, base: str) -> list[str]:
    lines = []
    for suite in SUITES:
        arms = [arm for arm in ALL if arm in set(frame[frame["suite"] == suite]["arm"])]
        scores = by_seed(frame, suite, list(MEASURES))
        lines += ["", f"## {suite}", "", *header("seeds", "sequences", *MEASURES.values(), "hit@5 over baseline")]
        for arm in arms:
            own = scores.loc[arm]
            relative = (own["hit_rate@5"] / scores.loc[BASELINE]["hit_rate@5"] - 1) if BASELINE in arms else own[[]]
            cells = [shown(own[name]) for name in MEASURES]
            change = (
                "—"
                if ALL[arm].kind != "elva" or ALL[arm].shared or arm == BASELINE
                else shown(relative * 100, "+.1f") + " %"
            )
            since = f"{sequences_since(arm, base):,}"
            lines.append(f"| {arm} | {len(own)} | {since} | " + " | ".join([*cells, change]) + " |")
        part = frame[frame["suite"] == suite]
        grains = [name for name in part.columns if name.startswith("pair ") and part[name].notna().any()]
        each = by_seed(frame, suite, grains)
        lines += ["", f"Pair accuracy by grain type, {suite}:", ""]
        lines += header(*(name.removeprefix("pair ") for name in grains))
        lines += [
            f"| {arm} | " + " | ".join(shown(each.loc[arm][name], ".2f") for name in grains) + " |" for arm in arms
        ]
        tasks = part.pivot_table(index=["arm", "seed"], columns="task", values="hit_rate@5")
        lines += ["", f"Hit rate@5 by task, {suite}:", "", *header(*tasks.columns)]
        lines += [
            f"| {arm} | " + " | ".join(shown(tasks.loc[arm][name]) for name in tasks.columns) + " |" for arm in arms
        ]
    return lines


def differences(out: Path) -> list[str]:
    """Return what one arm hits more than another, on the same queries and seeds."""
    lines = [
        *(
            "",
            "## Differences",
            "",
            "Hit rate@5 of the first arm less that of the second, mean of four tasks, over the",
        ),
        "seeds that both have. Intervals of 95 %: over seeds (Student), and over queries (bootstrap over clusters).",
        *("", "| arms | suite | seeds | difference | over queries |", "| --- | --- | ---: | ---: | ---: |"),
    ]
    for suite in SUITES:
        for first, second in PAIRS:
            found = []
            for seed in range(20):
                paths = [folder_of(out, arm, seed) / "results" / suite / "result.json" for arm in (first, second)]
                if all(path.exists() for path in paths):
                    found.append([read_result(path).tasks for path in paths])
            if not found:
                continue
            change = [
                np.concatenate([np.subtract(*(side[task].per_query["hit_rate@5"] for side in sides)) for task in TASKS])
                for sides in found
            ]
            clusters = cluster_codes([name for task in TASKS for name in found[0][0][task].clusters])
            mean = np.mean(change, axis=0)
            drawn = bootstrap(
                np.column_stack([np.ones(len(mean)), mean]), clusters, lambda sums: sums[:, 1] / sums[:, 0]
            )
            low, high = bootstrap_interval(drawn, int(clusters.max()) + 1)
            seeds = shown(pd.Series([part.mean() for part in change]), "+.3f")
            lines.append(f"| {first} − {second} | {suite} | {len(found)} | {seeds} | {low:+.3f} to {high:+.3f} |")
    return lines


def naming(out: Path) -> list[str]:
    """Return how often the likeliest summary of a test candidate names each grain."""
    rows = [
        {"arm": arm, "seed": seed, "side": side, "grain": grain, "share": share}
        for arm, seed, folder in runs(out)
        if (folder / "named.json").exists()
        for side, grains in json.loads((folder / "named.json").read_text()).items()
        for grain, share in grains.items()
    ]
    if not rows:
        return []
    frame = pd.DataFrame(rows)
    lines = ["", "## What the summaries name", "", "Share of test candidates whose likeliest summary names the grain."]
    for side, part in frame.groupby("side"):
        each = part.pivot_table(index=["arm", "seed"], columns="grain", values="share")
        lines += ["", f"{side}:", "", *header(*each.columns)]
        for arm in (arm for arm in ALL if arm in set(part["arm"])):
            lines.append(f"| {arm} | " + " | ".join(shown(each.loc[arm][name], ".2f") for name in each.columns) + " |")
    return lines


def plot_pairs(frame: pd.DataFrame, docs: Path) -> None:
    figure, axes = plt.subplots(1, len(SUITES), figsize=(12, 4), layout="constrained")
    for axis, suite in zip(axes, SUITES, strict=True):
        part = frame[frame["suite"] == suite]
        grains = [name for name in part.columns if name.startswith("pair ") and part[name].notna().any()]
        each = by_seed(frame, suite, grains)
        arms = [arm for arm in SHOWN if arm in set(part["arm"])]
        for number, arm in enumerate(arms):
            found = [spread(each.loc[arm][name]) for name in grains]
            places = np.arange(len(grains)) + (number - (len(arms) - 1) / 2) * 0.8 / len(arms)
            means, halves = zip(*found, strict=True)
            axis.bar(places, means, 0.8 / len(arms), yerr=np.nan_to_num(halves), label=arm, capsize=2)
        axis.set_xticks(range(len(grains)), [name.removeprefix("pair ").replace(" ", "\n") for name in grains])
        axis.axhline(0.5, color="grey", linewidth=1, linestyle=":")
        axis.set(title=suite, ylabel="pair accuracy", ylim=(0.4, 1.02))
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(SHOWN))
    figure.savefig(docs / "pair-accuracy.png", dpi=110)


def plot_curves(out: Path, docs: Path) -> None:
    names = {"reward": "reward", "kl": "KL divergence a token", "top": "share with the positive on top"}
    figure, axes = plt.subplots(1, len(names), figsize=(12, 3.5), layout="constrained")
    for arm in (arm for arm in ARMS if ALL[arm].stages == (3,) and ALL[arm].kind == "elva"):
        paths = [folder / "metrics.jsonl" for name, _, folder in runs(out) if name == arm]
        if not paths:
            continue
        found = pd.concat([pd.read_json(path, lines=True) for path in paths])
        for axis, (name, title) in zip(axes, names.items(), strict=True):
            if name in found:
                curve = found.groupby("step")[name].mean().rolling(10, min_periods=1).mean()
                axis.plot(curve.index, curve - (curve.iloc[9] if name != "kl" else 0), label=arm)
                axis.set(title=title + ("" if name == "kl" else ", change"), xlabel="step")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    figure.savefig(docs / "curves.png", dpi=110)


def plot_ladder(out: Path, docs: Path, seed: int = 0, background: int = 200) -> None:
    """Draw one query's ladder among random candidates, before and after, by t-SNE over cosines."""
    benchmark = Benchmark(out / "scenes")
    query = max(benchmark.queries("t2i", "test"), key=lambda query: len(query.grains))
    ladder = next(row for row in benchmark.ladders("t2i", "test") if row.query_id == query.id)
    corpus = {candidate.id: candidate for candidate in benchmark.corpus("image", "test")}
    ids = [*dict.fromkeys([ladder.positive_id, *ladder.candidate_ids])]
    ids += [name for name in list(corpus)[:background] if name not in ids]
    asked = {(grain.type, grain.value) for grain in query.grains}
    kept = np.array([sum((g.type, g.value) in asked for g in corpus[name].grains) for name in ids])
    figure, axes = plt.subplots(1, 2, figsize=(11, 5), layout="constrained")
    for axis, arm in zip(axes, (BASELINE, "best"), strict=True):
        model = load_model(f"elva:{model_of(out, arm, seed)}", device="cpu", batch_size=64)
        vectors = model.embed_candidates([Item(None, decode(corpus[name].image, where=name)) for name in ids])
        whole = np.concatenate([model.embed_queries([Item(query.text, None)], ""), vectors])
        places = TSNE(metric="cosine", init="random", perplexity=15, random_state=seed).fit_transform(whole)
        shades = axis.scatter(places[1:, 0], places[1:, 1], c=kept, cmap="viridis", s=14 + 8 * kept)
        axis.scatter(*places[0], marker="*", s=260, color="red", label="query")
        axis.scatter(*places[1], s=190, facecolors="none", edgecolors="red", label="its positive")
        axis.set(title=f"{arm}: cosine with the positive {whole[0] @ whole[1]:.2f}", xticks=[], yticks=[])
    figure.colorbar(shades, ax=axes, label=f"grains kept of {len(asked)}")
    figure.suptitle(query.text)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    figure.savefig(docs / "ladder-tsne.png", dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--docs", type=Path, default=Path("docs/elva"))
    parser.add_argument("--recipe", default="tiny")
    args = parser.parse_args()
    torch.manual_seed(0)
    args.docs.mkdir(parents=True, exist_ok=True)
    frame = collect(args.out)
    frame.to_csv(args.docs / "scores.csv", index=False, float_format="%.6f")
    text = "\n".join([*heading(frame), *tables(frame, args.recipe), *differences(args.out), *naming(args.out)]).strip()
    (args.docs / "tables.md").write_text(text + "\n")
    plot_pairs(frame, args.docs)
    plot_curves(args.out, args.docs)
    if all((model_of(args.out, arm, 0)).exists() for arm in (BASELINE, "best")):
        plot_ladder(args.out, args.docs)
    print(text)


if __name__ == "__main__":
    main()
