"""Measure the evaluation engine against its targets, and write the table of docs/design/engine.md.

pip install -e '.[benchmark,models]'
python benchmarks/engine.py measure    # about 45 minutes on two quiet cores; writes docs/engine/
python benchmarks/engine.py table      # from what was measured into the document
python benchmarks/engine.py measure --gpu --figures gpu.json    # about 6 minutes on a machine with a GPU
python benchmarks/engine.py table --add gpu.json

Every part is a command of its own in this folder, run here with the sizes of PARTS.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
DOCS = HERE.parent / "docs"
FIGURES, DOCUMENT = DOCS / "engine" / "figures.json", DOCS / "design" / "engine.md"
MARKS = "<!-- figures: python benchmarks/engine.py table -->", "<!-- end of figures -->"
SMALL, LARGE, HUGE = "1,000 x 20,000 x 256", "5,000 x 100,000 x 256", "10,000 x 1,000,000 x 512"
PARTS = {
    "harness, small": "harness.py --sizes 1000 20000 256 --rounds 3",
    "harness, large": "harness.py --sizes 5000 100000 256 --rounds 3 --only evaluate mteb faiss",
    "harness, huge": "harness.py --sizes 10000 1000000 512 --depths 100 --rounds 1 --only evaluate",
    "encoding": "encoding.py --images 320 --texts 1280 --rounds 5",
    "encoding, many texts": "encoding.py --images 0 --rounds 2 --only ours sentence-transformers",
    "encoding, suite": "suite_encoding.py",
}
GPU_PARTS = {
    "GPU, texts": "encoding.py --images 0 --rounds 3",
    "GPU, images": "encoding.py --texts 0 --rounds 1",
    "GPU, harness": "harness.py --device cuda --sizes 10000 1000000 512 --depths 100 --rounds 1 --only evaluate",
}
Row = tuple[str, str, str, str, str]


def measure(only: list[str], figures: Path) -> None:
    known: dict[str, Any] = json.loads(figures.read_text()) if figures.exists() else {"parts": {}}
    for name in only:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "figures.json"
            line = (PARTS | GPU_PARTS)[name]
            script, *words = line.split(" ")
            start = time.perf_counter()
            subprocess.run([sys.executable, str(HERE / script), *words, "--json", str(path)], check=True)
            command = f"python benchmarks/{line}".replace(f"{DOCS.parent}/", "")
            facts = {"command": command, "date": str(date.today()), "seconds": round(time.perf_counter() - start)}
            known["parts"][name] = facts | json.loads(path.read_text())
        figures.parent.mkdir(parents=True, exist_ok=True)
        figures.write_text(json.dumps(known, indent=1) + "\n")


def add(figures: Path) -> None:
    """Take over what was measured on another machine."""
    known = json.loads(FIGURES.read_text())
    known["parts"] |= json.loads(figures.read_text())["parts"]
    known["parts"] = {name: known["parts"][name] for name in PARTS | GPU_PARTS}
    FIGURES.write_text(json.dumps(known, indent=1) + "\n")


class Figures:
    """What was measured, by part, case, who and what."""

    def __init__(self, path: Path = FIGURES) -> None:
        self.parts = json.loads(path.read_text())["parts"]

    def row(self, part: str, case: str, who: str, what: str = "wall") -> dict[str, Any]:
        rows = self.parts[part]["figures"]
        return next(r for r in rows if (r["case"], r["who"], r["what"]) == (case, who, what))

    def value(self, *key: str) -> float:
        return float(self.row(*key)["value"])

    def cases(self, part: str) -> list[str]:
        return list(dict.fromkeys(r["case"] for r in self.parts[part]["figures"]))


def seconds(row: dict[str, Any]) -> str:
    """Return a median with its lowest and highest."""
    spread = f" ({row['low']:.3g} to {row['high']:.3g})" if row.get("high") != row.get("low") else ""
    return f"{row['value']:.3g} s{spread}"


def met(found: float, wanted: float, *, at_least: bool) -> str:
    return "yes" if (found >= wanted if at_least else found <= wanted) else "**no**"


def harness_rows(figures: Figures) -> Iterator[Row]:
    for part, size, wanted in (("harness, small", SMALL, 6.0), ("harness, large", LARGE, 3.5)):
        for depth in ("1,000", "100"):
            case = f"{size}, depth {depth}"
            own, mteb, faiss = (figures.row(part, case, who) for who in ("evaluate", "mteb", "faiss"))
            ratio = mteb["value"] / own["value"]
            yield (f"1. harness, {case}: wall, MTEB's over `evaluate`'s", f"{seconds(own)}; MTEB {seconds(mteb)}",
                   f"{ratio:.1f}", f"≥ {wanted:g}", met(ratio, wanted, at_least=True))  # fmt: skip
            memory = {who: figures.value(part, case, who, "memory") for who in ("evaluate", "mteb", "faiss")}
            share = memory["evaluate"] / memory["mteb"]
            said = f"{memory['evaluate']:+.0f} MiB; MTEB {memory['mteb']:+.0f} MiB, FAISS {memory['faiss']:+.0f} MiB"
            yield (
                "1. growth of peak memory, `evaluate`'s over MTEB's",
                said,
                f"{share:.2f}",
                "≤ 0.2",
                met(share, 0.2, at_least=False),
            )
            cpu = {who: figures.value(part, case, who, "cpu") for who in ("evaluate", "mteb", "faiss")}
            said = ", ".join(f"{who} {value:.3g} s" for who, value in cpu.items())
            yield "1. CPU time, MTEB's over `evaluate`'s", said, f"{cpu['mteb'] / cpu['evaluate']:.1f}", "", ""
            ratio = faiss["value"] / own["value"]
            yield (
                "1. wall, FAISS with Python loops over `evaluate`'s",
                f"FAISS {seconds(faiss)}",
                f"{ratio:.1f}",
                "",
                "",
            )
    case = f"{HUGE}, depth 100"
    wall, cpu, memory = (figures.row("harness, huge", case, "evaluate", what) for what in ("wall", "cpu", "memory"))
    rate = 2 * 10_000 * 1_000_000 * 512 / wall["value"] / 1e9
    said = f"{seconds(wall)} wall, {cpu['value']:.3g} s CPU, {memory['value']:+.0f} MiB"
    yield f"1. `evaluate`, {case}", said, f"{rate:.0f} GFLOP/s", "", ""


def encoding_rows(figures: Figures) -> Iterator[Row]:
    yield from encoded(figures, ("encoding", "encoding, many texts"), "2.")
    (case,) = figures.cases("encoding, suite")
    found = {row["who"]: row for row in figures.parts["encoding, suite"]["figures"]}
    ratio = min(row["value"] for who, row in found.items() if who != "ours") / found["ours"]["value"]
    said = ", ".join(f"{who} {row['value']:.0f} s" for who, row in found.items())
    distinct = (
        "{distinct_texts:,} and {distinct_pictures:,} of them distinct, {prefix_share:.2f} distinct prefixes a token"
    ).format(**found["ours"])
    yield f"2. all tasks of a suite, {case}, {distinct}: the best peer over ours", said, f"{ratio:.2f}", "", ""


def encoded(figures: Figures, parts: tuple[str, ...], number: str) -> Iterator[Row]:
    for part, case in [(name, case) for name in parts for case in figures.cases(name)]:
        found = {row["who"]: row for row in figures.parts[part]["figures"] if row["case"] == case}
        rate = {who: row["items"] / row["value"] for who, row in found.items()}
        bare, limit = rate.pop("bare forward pass", None), rate.pop("matrix products", None)
        said = ", ".join(f"{who} {value:.1f}/s" for who, value in rate.items())
        wanted = 1.0 if case.endswith("images") else 1.3
        ratio = rate["ours"] / max(value for who, value in rate.items() if who != "ours")
        yield (
            f"{number} encoding, {case}: ours over the best peer",
            said,
            f"{ratio:.2f}",
            f"≥ {wanted}",
            met(ratio, wanted, at_least=True),
        )
        if bare and limit:
            share, said = rate["ours"] / bare, f"bare forward pass {bare:.1f}/s"
            what = f"{number} share of the bare forward pass"
            yield what, said, f"{share:.2f}", "≥ 0.95", met(share, 0.95, at_least=True)
            share, said = rate["ours"] / limit, f"enough for {limit:.1f}/s"
            what = f"{number} share of matrix products of as many operations as the bare pass"
            yield what, said, f"{share:.2f}", "", ""


def gpu_rows(figures: Figures) -> Iterator[Row]:
    case = f"{HUGE}, depth 100"
    wall, memory = (figures.row("GPU, harness", case, "evaluate", what) for what in ("wall", "memory"))
    rate = 2e-12 * 10_000 * 1_000_000 * 512 / wall["value"]
    said = f"{seconds(wall)}, {memory['value']:+.0f} MiB of main memory"
    yield f"3. `evaluate`'s search and counts on the GPU, {case}", said, f"{rate:.1f} TFLOP/s", "", ""
    yield from encoded(figures, ("GPU, texts", "GPU, images"), "3. on the GPU,")


def table(figures: Figures) -> str:
    lines = [
        "| what | measured: median (lowest to highest) | ratio | target | met |",
        "| --- | --- | ---: | ---: | --- |",
    ]
    for rows in (harness_rows, encoding_rows, gpu_rows):
        lines += [f"| {' | '.join(row)} |" for row in rows(figures)]
    lines += ["", "| part | command | date | seconds | machine |", "| --- | --- | --- | ---: | --- |"]
    for name, part in figures.parts.items():
        lines.append(f"| {name} | `{part['command']}` | {part['date']} | {part['seconds']} | {part['machine']} |")
    return "\n".join(lines)


def write_table(document: str, figures: Figures) -> str:
    """Return the document with the table between its marks."""
    start, end = map(re.escape, MARKS)
    return re.sub(f"(?<={start}\n).*?(?={end})", lambda _: f"\n{table(figures)}\n\n", document, flags=re.S)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step", choices=["measure", "table"])
    parser.add_argument("--gpu", action="store_true", help="measure what a GPU does")
    parser.add_argument("--only", nargs="+", choices=PARTS | GPU_PARTS)
    parser.add_argument("--figures", type=Path, default=FIGURES, help="where to write what is measured")
    parser.add_argument("--add", type=Path, help="figures of another machine")
    asked = parser.parse_args()
    if asked.step == "measure":
        measure(asked.only or list(GPU_PARTS if asked.gpu else PARTS), asked.figures)
        if asked.figures != FIGURES:
            return
    if asked.add:
        add(asked.add)
    DOCUMENT.write_text(write_table(DOCUMENT.read_text(), Figures()))


if __name__ == "__main__":
    main()
