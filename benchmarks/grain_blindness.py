"""What training does to grain blindness: ELVA against contrastive baselines, from one pretrained model, several seeds.

    python benchmarks/grain_blindness.py data  --out OUT                       # both suites at 64 pixels
    python benchmarks/grain_blindness.py train --out OUT --seeds 0 1 2         # all arms; goes on where it stopped
    python benchmarks/grain_blindness.py train --out OUT --arms ablations      # the paper's ablations
    python benchmarks/grain_blindness.py train --out OUT --arms parts          # and those of our best combination
    python benchmarks/grain_blindness_report.py OUT                            # tables and plots

Stage 0 is run once: it stands for the pretrained model that the paper starts from. Seeds differ in everything after.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import dual_encoder
import torch

from elva import checkpoints
from elva.config import Recipe, load_recipe, parse_recipe
from elva.inputs import Data, read_data
from elva.naming import naming
from elva.train import train, train_plug_in
from elva.zoo import ElvaModel
from mrbench.benchmark import Benchmark
from mrbench.evaluation import evaluate
from mrbench.models.protocol import EmbeddingModel
from mrbench.models.zoo import load_model

SUITES = ("scenes", "emoji")
BUILD = {
    "scenes-train": ["scenes", "--splits", "train", "--train-queries", "2000", "--train-pool", "20000"],
    "emoji-train": ["emoji", "--splits", "train"],
    "scenes": ["scenes", "--splits", "test"],
    "emoji": ["emoji", "--splits", "test"],
}
BALANCED = {"steps": 50, "sampling": {"hard": 4, "random": 4, "pool": 2000}}
# The recipe has what was found best; these take it back to the one-word prompt of the paper's stage 2, and its stage 3.
WORD = {"embedding": "prompt", "summaries": "canonical", "generation": 0.0}
PAPER = {
    "batch": 8,
    "rollouts": 4,
    "lr": 5e-5,
    "gradient": "score",
    "credit": "joint",
    "sampling": {"hard": 4, "random": 4},
    "reward": {"alpha": 0.4, "epsilon": 0.6, "listwise": 0.0, "in_batch": False},
}
# The same number of sequences from fewer queries, each with more negatives of its own.
FEW = {"batch": 16, "sampling": {"hard": 4, "random": 4}}
GRADED = {**PAPER, "reward": {**PAPER["reward"], "alpha": 0.0, "epsilon": 0.0, "graded": 1.0}}


@dataclass(frozen=True)
class Arm:
    """One way of training.

    Attributes:
        parent: The arm that it goes on from.
        stages: Of the recipe; none, where an arm only embeds in another way.
        changes: To the recipe.
        kind: What trains: an ``elva`` model, or a dual encoder with InfoNCE (``dual``) or in ``plug-in`` mode.
        shared: One run serves all seeds.
        samples: Summaries whose embeddings are averaged when it is evaluated; 1 takes the likeliest.
    """

    parent: str | None
    stages: tuple[int, ...]
    changes: dict[str, Any] = field(default_factory=dict)
    kind: str = "elva"
    shared: bool = False
    samples: int = 1


ARMS = {
    "pretrained": Arm(None, (0,), shared=True),
    # One-word prompt, as the paper's stages 1 and 2; what follows sees 32,000 sequences more.
    "contrastive": Arm("pretrained", (1, 2), {"stage2": WORD}),
    "continued": Arm("contrastive", (2,), {"stage2": {**WORD, "steps": 250}}),
    "balanced": Arm("contrastive", (2,), {"stage2": {**WORD, **BALANCED}}),
    "elva": Arm("contrastive", (3,), {"stage3": PAPER}),
    "elva-graded": Arm("contrastive", (3,), {"stage3": GRADED}),
    # The embedding stands after the model's own summary, which a generation loss keeps right.
    "generation": Arm("pretrained", (1, 2)),
    "generation-continued": Arm("generation", (2,), {"stage2": {"steps": 250}}),
    "generation-balanced": Arm("generation", (2,), {"stage2": BALANCED}),
    "generation-elva": Arm("generation", (3,), {"stage3": PAPER}),
    "generation-elva-graded": Arm("generation", (3,), {"stage3": GRADED}),
    # Its steps run each sequence twice, so half of them are the sequences of stage 3.
    "generation-continued-half": Arm("generation", (2,), {"stage2": {"steps": 125}}),
    "generation-balanced-half": Arm("generation", (2,), {"stage2": {**BALANCED, "steps": BALANCED["steps"] // 2}}),
    "generation-several": Arm("generation", (), samples=4),
    "generation-continued-several": Arm("generation-continued", (), samples=4),
    "generation-balanced-several": Arm("generation-balanced", (), samples=4),
    "generation-continued-half-several": Arm("generation-continued-half", (), samples=4),
    "generation-balanced-half-several": Arm("generation-balanced-half", (), samples=4),
    "few-queries": Arm("generation", (3,), {"stage3": FEW}, samples=4),
    "few-queries-likeliest": Arm("few-queries", ()),
    "best-likeliest": Arm("best", ()),
    "best": Arm("generation", (3,), samples=4),
    # Encoders that generate nothing.
    "dual-encoder": Arm(None, (2,), kind="dual", shared=True),
    "dual-encoder-continued": Arm("dual-encoder", (2,), {"stage2": {**WORD, "steps": 250}}, kind="dual"),
    "dual-encoder-balanced": Arm("dual-encoder", (2,), {"stage2": {**WORD, **BALANCED}}, kind="dual"),
    "plug-in": Arm("dual-encoder", (3,), {"stage3": PAPER}, kind="plug-in"),
    "plug-in-graded": Arm("dual-encoder", (3,), {"stage3": GRADED}, kind="plug-in"),
    "plug-in-best": Arm("dual-encoder", (3,), {"stage3": FEW}, kind="plug-in"),
}
ABLATIONS = {
    "no-ranking": {"reward": {"epsilon": 0.0}},
    "no-margin": {"reward": {"alpha": 0.0}},
    "no-negative-term": {"reward": {"gamma": 0.0}},
    "no-sampling-strategy": {"sampling": {"hard": 0, "random": 8}},
    "no-random-negatives": {"sampling": {"hard": 8, "random": 0}},
    "weights-0.6-0.4": {"reward": {"alpha": 0.6, "epsilon": 0.4}},
    "weights-0.5-0.5": {"reward": {"alpha": 0.5, "epsilon": 0.5}},
    # Not the paper's: it gives 1e-6 for 7 billion parameters, which says nothing of the tiny model.
    "lr-3e-4": {"lr": 3e-4},
    "lr-1e-3": {"lr": 1e-3},
}
# What of the listwise stage does what; without the mean over summaries, to compare with few-queries-likeliest.
PARTS = {
    "few-queries-pathwise": {"gradient": "pathwise"},
    "few-queries-score": {"gradient": "score"},
    "few-queries-joint": {"credit": "joint"},
    "few-queries-own-candidates": {"reward": {"in_batch": False}},
    "few-queries-paper-reward": {"reward": {"alpha": 0.4, "epsilon": 0.6, "listwise": 0.0}},
    "few-queries-lr-3e-4": {"lr": 3e-4},
}
ALL = ARMS | {
    name: Arm(
        "generation", (3,), {"stage3": {**PAPER, **changes, "reward": PAPER["reward"] | changes.get("reward", {})}}
    )
    for name, changes in ABLATIONS.items()
}
ALL |= {name: Arm("generation", (3,), {"stage3": {**FEW, **changes}}) for name, changes in PARTS.items()}


def build_data(out: Path) -> None:
    for name, words in BUILD.items():
        if not (out / name / "manifest.json").exists():
            command = [sys.executable, "-m", "mrbench", "build", *words, "--size", "64", "--output", str(out / name)]
            subprocess.run(command, check=True)


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    both = {
        key: merged(base[key], value) if isinstance(value, dict) and isinstance(base.get(key), dict) else value
        for key, value in changes.items()
    }
    return {**base, **both}


def recipe_of(arm: str, seed: int, base: str) -> Recipe:
    seed = 0 if ALL[arm].shared else seed
    changes = {**ALL[arm].changes, "seed": seed, "samples": ALL[arm].samples}
    return parse_recipe(merged(asdict(load_recipe(base)), changes), where=arm)


def folder_of(out: Path, arm: str, seed: int) -> Path:
    return out / "runs" / (arm if ALL[arm].shared else f"{arm}-{seed}")


def model_of(out: Path, arm: str, seed: int) -> Path:
    way = ALL[arm]
    if not way.stages and way.parent is not None:
        return model_of(out, way.parent, seed)
    return folder_of(out, arm, seed) / (f"stage{way.stages[-1]}" if way.kind == "elva" else "model")


def train_arm(out: Path, arm: str, seed: int, base: str, data: Data) -> None:
    """Train an arm, and before it what it goes on from, unless that is done."""
    folder, way, target = folder_of(out, arm, seed), ALL[arm], model_of(out, arm, seed)
    if (target / "config.json").exists() or (target / checkpoints.MARKER).exists():
        return
    if way.parent is not None:
        train_arm(out, way.parent, seed, base, data)
    if not way.stages:
        return
    recipe, start = recipe_of(arm, seed, base), None if way.parent is None else model_of(out, way.parent, seed)
    if way.kind == "elva":
        train(recipe, data, folder, stages=way.stages, start=start, resume=folder.exists(), device="cpu")
    elif way.kind == "plug-in":
        train_plug_in(str(start), recipe, data, folder, resume=folder.exists(), device="cpu")
    elif start is None:
        dual_encoder.pretrain(data, folder, resume=folder.exists())
    elif recipe.stage2 is not None:
        settings = replace(recipe.stage2, train="all")
        dual_encoder.train(start, data.pools, settings, folder, seed=seed, resume=folder.exists())


def evaluate_arm(out: Path, arm: str, seed: int, data: Data) -> None:
    way, folder = ALL[arm], folder_of(out, arm, seed)
    for suite in SUITES:
        target = folder / "results" / suite
        if not (target / "result.json").exists():
            model = str(model_of(out, arm, seed))
            embedder: EmbeddingModel = (
                ElvaModel(model, seed=seed, device="cpu", batch_size=128, samples=way.samples)
                if way.kind == "elva"
                else load_model(f"hf:{model}", device="cpu", batch_size=128)
            )
            embedder.name = arm
            evaluate(Benchmark(out / suite), embedder, target, seed=seed)
    if way.kind == "elva" and way.stages and not (folder / "named.json").exists():
        model = checkpoints.load(model_of(out, arm, seed), device="cpu")[0]
        shares = naming(model, [Benchmark(out / suite) for suite in SUITES], data.summaries, split="test", limit=250)
        (folder / "named.json").write_text(json.dumps(shares, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step", choices=["data", "train"])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--arms", nargs="*", default=["all"], help="names, all, ablations, or parts")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--recipe", default="tiny")
    args = parser.parse_args()
    if args.step == "data":
        return build_data(args.out)
    torch.manual_seed(0)
    data = read_data([args.out / f"{suite}-train" for suite in SUITES])
    arms = {"all": list(ARMS), "ablations": list(ABLATIONS), "parts": list(PARTS)}.get(args.arms[0], args.arms)
    for seed in args.seeds:
        for arm in arms:
            train_arm(args.out, arm, seed, args.recipe, data)
            evaluate_arm(args.out, arm, seed, data)
    return None


if __name__ == "__main__":
    main()
