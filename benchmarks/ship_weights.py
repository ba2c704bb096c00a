"""Put trained tiny models into the package, as float16, and write where they come from.

python benchmarks/ship_weights.py OUT --seed 0     # after grain_blindness.py data and train
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
from pathlib import Path

import torch
from dual_encoder import PRETRAINING
from grain_blindness import SUITES, model_of
from safetensors.torch import load_file, save_file

from elva.checkpoints import MARKER
from elva.config import parse_recipe
from mrbench.benchmark import Benchmark
from mrbench.evaluation import evaluate
from mrbench.models.zoo import load_model

SHIPPED = {"tiny": "best", "tiny-contrastive": "contrastive", "tiny-dual-encoder": "dual-encoder"}
WEIGHTS = Path(__file__).parents[1] / "elva" / "weights"


def ship(out: Path, name: str, arm: str, seed: int) -> str:
    """Copy a model with its weights as float16 and return the SHA-256 of the weights."""
    source, target = model_of(out, arm, seed), WEIGHTS / name
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.safetensors"))
    weights = {key: tensor.to(torch.float16) for key, tensor in load_file(source / "model.safetensors").items()}
    save_file(weights, target / "model.safetensors", metadata={"format": "pt"})
    (target / "model.safetensors").chmod(0o644)
    return hashlib.sha256((target / "model.safetensors").read_bytes()).hexdigest()


def hits(out: Path, name: str) -> dict[str, float]:
    """Return the mean hit rate@5 over tasks of the shipped model, by suite."""
    found = {}
    for suite in SUITES:
        target = out / "shipped" / name / suite
        result = evaluate(Benchmark(out / suite), load_model(f"elva:{name}", device="cpu"), target, overwrite=True)
        scores = [task.scores["hit_rate@5"] for task in result.tasks.values()]
        found[suite] = sum(scores) / len(scores)
    return found


def recipe_of(name: str) -> str:
    """Say in a phrase how a shipped model was trained."""
    if not (WEIGHTS / name / MARKER).exists():
        return f"`benchmarks/dual_encoder.py`, {PRETRAINING.steps:,} steps of {PRETRAINING.batch} queries"
    recipe = parse_recipe(json.loads((WEIGHTS / name / MARKER).read_text())["recipe"])
    return f"{recipe.name}, digest {recipe.digest[:16]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    lines = [
        "# Trained tiny models",
        "",
        "Small models trained from nothing on the train splits of both suites: Qwen2-VL models, and a dual encoder of",
        "CLIP's two towers. They come from",
        "",
        "```",
        "python benchmarks/grain_blindness.py data --out OUT",
        f"python benchmarks/grain_blindness.py train --out OUT --seeds {args.seed} --arms {' '.join(SHIPPED.values())}",
        f"python benchmarks/ship_weights.py OUT --seed {args.seed}",
        "```",
        "",
        "on one thread (`OMP_NUM_THREADS=1`), versions as in `constraints.txt`. Weights are float16 in safetensors,",
        "computed with in float32. Hit rate@5 is the mean over four tasks of the test splits at 64 pixels.",
        "",
        "| model | arm | recipe | SHA-256 of the weights | scenes | emoji |",
        "| --- | --- | --- | --- | ---: | ---: |",
    ]
    for name, arm in SHIPPED.items():
        digest = ship(args.out, name, arm, args.seed)
        found = hits(args.out, name)
        scores = " | ".join(f"{found[suite]:.3f}" for suite in SUITES)
        lines.append(f"| `elva:{name}` | {arm} | {recipe_of(name)} | `{digest}` | {scores} |")
    (WEIGHTS / "README.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
