"""Measure the evaluation engine against its targets, and write the table of docs/design/engine.md.

pip install -e '.[benchmark,models]'
python benchmarks/engine.py measure    # about 50 minutes on two quiet cores; writes docs/engine/
python benchmarks/engine.py table      # from what was measured into the document
python benchmarks/engine.py measure --gpu --figures gpu.json    # about 7 minutes on a machine with a GPU
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
SEARCHED = "2,000 x 100,000 x 256"
PARTS = {
    "harness, small": "harness.py --sizes 1000 20000 256 --rounds 3",
    "harness, large": "harness.py --sizes 5000 100000 256 --rounds 3 --only ours evaluate mteb faiss",
    "harness, huge": "harness.py --sizes 10000 1000000 512 --depths 100 --rounds 1 --only ours evaluate",
    "search": "search.py --rounds 5",
    "measures": "measures.py --rounds 3",
    "encoding": "encoding.py --images 320 --texts 1280 --rounds 5",
    "encoding, many texts": "encoding.py --images 0 --rounds 2 --only ours sentence-transformers",
    "encoding, suite": "suite_encoding.py",
    "growth": f"growth.py --plot {DOCS / 'engine' / 'growth.png'}",
}
GPU_PARTS = {
    "GPU, search": "search.py --device cuda --sizes 10000 1000000 512 --rounds 5",
    "GPU, search small": "search.py --device cuda --rounds 5",
    "GPU, texts": "encoding.py --images 0 --rounds 3",
    "GPU, images": "encoding.py --texts 0 --rounds 1",
    "GPU, harness": "harness.py --device cuda --sizes 10000 1000000 512 --depths 100 --rounds 1 --only ours evaluate",
    "GPU, measures": "measures.py --rounds 3 --peers pytrec_eval",
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
            own, mteb, faiss = (figures.row(part, case, who) for who in ("ours", "mteb", "faiss"))
            ratio = mteb["value"] / own["value"]
            yield (f"1. harness, {case}: wall, MTEB's over ours", f"{seconds(own)}; MTEB {seconds(mteb)}",
                   f"{ratio:.1f}", f"≥ {wanted:g}", met(ratio, wanted, at_least=True))  # fmt: skip
            memory = {who: figures.value(part, case, who, "memory") for who in ("ours", "mteb", "faiss")}
            share = memory["ours"] / memory["mteb"]
            said = f"{memory['ours']:+.0f} MiB; MTEB {memory['mteb']:+.0f} MiB, FAISS {memory['faiss']:+.0f} MiB"
            yield (
                "1. growth of peak memory, ours over MTEB's",
                said,
                f"{share:.2f}",
                "≤ 0.2",
                met(share, 0.2, at_least=False),
            )
            cpu = {who: figures.value(part, case, who, "cpu") for who in ("ours", "mteb", "faiss")}
            said = ", ".join(f"{who} {value:.3g} s" for who, value in cpu.items())
            yield "1. CPU time, MTEB's over ours", said, f"{cpu['mteb'] / cpu['ours']:.1f}", "", ""
            ratio = faiss["value"] / own["value"]
            yield "1. wall, FAISS with Python loops over ours", f"FAISS {seconds(faiss)}", f"{ratio:.1f}", "", ""
            whole = figures.row(part, case, "evaluate")
            memory = figures.value(part, case, "evaluate", "memory")
            said, ratio = f"{seconds(whole)}, {memory:+.0f} MiB", mteb["value"] / whole["value"]
            yield (
                "1. wall, MTEB's over `evaluate`'s, which also counts in the whole pool",
                said,
                f"{ratio:.1f}",
                f"≥ {wanted:g}",
                met(ratio, wanted, at_least=True),
            )
    case = f"{HUGE}, depth 100"
    for who in ("ours", "evaluate"):
        wall, cpu, memory = (figures.row("harness, huge", case, who, what) for what in ("wall", "cpu", "memory"))
        rate = 2 * 10_000 * 1_000_000 * 512 / wall["value"] / 1e9
        said = f"{seconds(wall)} wall, {cpu['value']:.3g} s CPU, {memory['value']:+.0f} MiB"
        what = "harness" if who == "ours" else "`evaluate`"
        yield f"1. {what}, {case}", said, f"{rate:.0f} GFLOP/s", "", ""


def search_rows(figures: Figures) -> Iterator[Row]:
    for depth, wanted in (("100", 1.1), ("1,000", 1.4)):
        case = f"{SEARCHED}, depth {depth}"
        found = {
            who: figures.row("search", case, who)
            for who in ("ours", "faiss", "torch topk", "bare, numpy", "bare, torch")
        }
        limit = min(found["bare, numpy"]["value"], found["bare, torch"]["value"])
        ratio = found["ours"]["value"] / limit
        said = f"{seconds(found['ours'])}; bare product {limit:.3g} s"
        yield (
            f"2. search, {case}, over the bare product",
            said,
            f"{ratio:.2f}",
            f"≤ {wanted}",
            met(ratio, wanted, at_least=False),
        )
        others = {who: found[who]["value"] for who in ("faiss", "torch topk")}
        best = min(others, key=others.__getitem__)
        ratio = found["ours"]["value"] / others[best]
        said = f"FAISS {seconds(found['faiss'])}, torch {seconds(found['torch topk'])}"
        yield f"2. over the better peer ({best})", said, f"{ratio:.2f}", "≤ 1", met(ratio, 1.0, at_least=False)


def measure_rows(figures: Figures) -> Iterator[Row]:
    (case,) = figures.cases("measures")
    own = figures.row("measures", case, "ours")
    for who, wanted in (("pytrec_eval", 15.0), ("ranx", 4.0)):
        ratio = figures.value("measures", case, who) / own["value"]
        built = figures.value("measures", case, who, "build")
        said = f"{seconds(own)}; {seconds(figures.row('measures', case, who))}, and {built:.1f} s to build its input"
        yield (
            f"3. measures, {case}: {who}'s over ours",
            said,
            f"{ratio:.1f}",
            f"≥ {wanted:g}",
            met(ratio, wanted, at_least=True),
        )


def encoding_rows(figures: Figures) -> Iterator[Row]:
    yield from encoded(figures, ("encoding", "encoding, many texts"), "4.")
    (case,) = figures.cases("encoding, suite")
    found = {row["who"]: row for row in figures.parts["encoding, suite"]["figures"]}
    ratio = min(row["value"] for who, row in found.items() if who != "ours") / found["ours"]["value"]
    said = ", ".join(f"{who} {row['value']:.0f} s" for who, row in found.items())
    distinct = (
        "{distinct_texts:,} and {distinct_pictures:,} of them distinct, {prefix_share:.2f} distinct prefixes a token"
    ).format(**found["ours"])
    yield f"4. all tasks of a suite, {case}, {distinct}: the best peer over ours", said, f"{ratio:.2f}", "", ""


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


def growth_rows(figures: Figures) -> Iterator[Row]:
    rows = figures.parts["growth"]["figures"]
    wall = {r["pool"]: r["value"] for r in rows if r["what"] == "seconds"}
    memory = {r["pool"]: r["high"] for r in rows if r["what"] == "memory"}  # a peak: the highest of the rounds
    said = ", ".join(f"{pool:,}: {wall[pool]:.2f} s, {memory[pool]:+.0f} MiB" for pool in wall)
    for low, high in ((100_000, 1_000_000), (1_000_000, 10_000_000)):
        ratio = (wall[high] / wall[low]) / (high / low)
        what = f"5. growth, 512 queries: time from {low:,} to {high:,} over proportional"
        yield what, said, f"{ratio:.2f}", "≤ 1.1", met(ratio, 1.1, at_least=False)
        ratio, said = memory[high] / memory[low], ""
        what = f"5. growth of peak memory at {high:,} over that at {low:,}"
        yield what, "", f"{ratio:.2f}", "≤ 1.1", met(ratio, 1.1, at_least=False)


def gpu_rows(figures: Figures) -> Iterator[Row]:
    peak = figures.value("GPU, search", "square products", "TFLOP/s", "rate")
    speed, bus = (
        figures.value("GPU, search", case, "GB/s", "rate") for case in ("copies there", "copies from pinned memory")
    )
    said = f"square products of float32 {peak:.1f} TFLOP/s, copies there {speed:,.0f} GB/s, from here {bus:.0f} GB/s"
    yield "6. what the GPU reaches", said, "", "", ""
    for part in ("GPU, search", "GPU, search small"):
        for case in figures.cases(part):
            if " x " not in case:
                continue
            found = {row["who"]: row for row in figures.parts[part]["figures"] if row["case"] == case}
            sizes = case.split(", depth")[0].split(" x ")
            number, pool, length = (int(word.replace(",", "")) for word in sizes)
            wall = {who: row["value"] for who, row in found.items()}
            rate = 2e-12 * number * pool * length / wall["ours, pool there"]
            said = (
                f"{seconds(found['ours, pool there'])}, {rate:.0f} TFLOP/s; bare product {wall['bare product']:.3g} s"
            )
            what = f"6. search on the GPU, {case}, over the bare product"
            yield what, said, f"{wall['ours, pool there'] / wall['bare product']:.2f}", "", ""
            yield "6. share of square products of float32", "", f"{rate / peak:.2f}", "", ""
            ratio = wall["ours, pool there"] / wall["torch topk, pool there"]
            yield (
                "6. over torch there",
                f"torch {seconds(found['torch topk, pool there'])}",
                f"{ratio:.2f}",
                "≤ 1",
                met(ratio, 1, at_least=False),
            )
            ratio = wall["ours"] / wall["torch topk"]
            said = f"{seconds(found['ours'])}; torch {seconds(found['torch topk'])}"
            yield (
                "6. over torch, from arrays here to arrays here",
                said,
                f"{ratio:.2f}",
                "≤ 1",
                met(ratio, 1, at_least=False),
            )
    case = f"{HUGE}, depth 100"
    for who in ("ours", "evaluate"):
        wall, memory = (figures.row("GPU, harness", case, who, what) for what in ("wall", "memory"))
        said = f"{seconds(wall)}, {memory['value']:+.0f} MiB here"
        what = "harness" if who == "ours" else "`evaluate`'s search and counts"
        yield (
            f"6. {what} on the GPU, {case}",
            said,
            f"{2e-12 * 10_000 * 1_000_000 * 512 / wall['value']:.1f} TFLOP/s",
            "",
            "",
        )
    (case,) = figures.cases("GPU, measures")
    ratio = figures.value("GPU, measures", case, "pytrec_eval") / figures.value("GPU, measures", case, "ours")
    said = f"{seconds(figures.row('GPU, measures', case, 'ours'))} on that machine's processor"
    yield f"6. measures, {case}: pytrec_eval's over ours", said, f"{ratio:.1f}", "≥ 15", met(ratio, 15, at_least=True)
    yield from encoded(figures, ("GPU, texts", "GPU, images"), "6. on the GPU,")


def table(figures: Figures) -> str:
    lines = [
        "| what | measured: median (lowest to highest) | ratio | target | met |",
        "| --- | --- | ---: | ---: | --- |",
    ]
    for rows in (harness_rows, search_rows, measure_rows, encoding_rows, growth_rows, gpu_rows):
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
