"""The usual way once, in an empty folder: run by ``lowest.sh`` with other versions of the dependencies."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from datasets import load_dataset

CONFIGURATIONS = (
    "queries",
    "corpus",
    "variants",
    "qrels",
    "top_ranked",
    "ladders",
    "it2i-queries",
    "t2i_ladder-corpus",
)


def mrbench(*words: str) -> str:
    print("mrbench", *words, flush=True)
    run = subprocess.run([sys.executable, "-m", "mrbench", *words], stdout=subprocess.PIPE, text=True, check=False)
    assert run.returncode == 0, f"exit code {run.returncode}"
    return run.stdout


def main() -> None:
    for suite in ("emoji", "scenes"):
        small = ["--size", "64", "--queries", "2", "--splits", "test", "--workers", "2"]
        mrbench("build", suite, "--output", suite, *small, *(["--pool", "200"] if suite == "scenes" else []))
        mrbench("validate", suite)
    query = load_dataset("emoji", "queries", split="test")[0]
    assert query["grains"][0].keys() == {"type", "value", "start", "end"}
    for suite in ("emoji", "scenes"):
        for name in CONFIGURATIONS:
            assert load_dataset(suite, name, split="test").num_rows > 0
    mrbench("show", "emoji", query["id"], "--output", "query.png")
    for model in ("random", "colour-histogram", "minilm", "efficientnet-lite0", "elva:tiny"):
        mrbench(
            "evaluate", "scenes", "--model", model, "--output", f"results/{model}", "--limit", "1", "--cache", "cache"
        )
    mrbench("rescore", "results/minilm", "scenes")
    mrbench("leaderboard", "build", "results", "--allow-limited", "--output", "board")
    board = json.loads(Path("board/leaderboard.json").read_text(encoding="utf-8"))["boards"][0]
    assert len(board["rows"]) == 5, board
    print("the usual way works")


if __name__ == "__main__":
    main()
