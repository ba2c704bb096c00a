"""What all tasks of a suite ask a model to embed: ours, which embeds each text and picture once, and peers.

A query comes back without a grain, with another, reworded; a composed query as its halves; a picture is candidate in
one task and query in another. Ours is what `mrbench evaluate` does before it searches. The peers embed what is asked in
the order of the tasks, texts and pictures apart, from the same bytes. The model is that of encoding.py.

pip install -e '.[benchmark,build,models]' && python benchmarks/suite_encoding.py
"""

from __future__ import annotations

import argparse
import logging
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import transformers
from encoding import BATCH, batched, opened, prefix_share, write_clip
from mteb.models.model_implementations.clip_models import CLIPModel as MtebCLIP
from peers import machine, medians, record, write_records
from sentence_transformers import SentenceTransformer

from mrbench.benchmark import Benchmark
from mrbench.encode.source import ModelSource
from mrbench.models.dual_encoder import DualEncoder
from mrbench.pools import load_pool
from mrbench.retrieve.search_tasks import embed_tasks


def asked_of(benchmark: Benchmark, split: str) -> tuple[list[str], list[bytes]]:
    """Return all texts and pictures that the tasks ask for: each corpus once, every query, variant and half."""
    records = [record for modality in ("text", "image") for record in benchmark.corpus(modality, split)]
    for task in benchmark.task_names:
        queries = list(benchmark.queries(task, split))
        records += [*queries, *benchmark.variants(task, split)]
        records += queries if benchmark.task(task).query_modality == "image,text" else []
    texts = [record.text for record in records if record.text is not None]
    return texts, [record.image.data for record in records if record.image is not None]


def main() -> None:
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    transformers.utils.logging.disable_progress_bar()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suite", default="emoji")
    parser.add_argument("--split", default="validation")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        words = ["build", asked.suite, "--splits", asked.split, "--output", f"{folder}/suite"]
        subprocess.run([sys.executable, "-m", "mrbench", *words], check=True, stdout=subprocess.DEVNULL)
        benchmark = Benchmark(f"{folder}/suite")
        texts, pictures = asked_of(benchmark, asked.split)
        (clip := Path(folder) / "clip").mkdir()
        write_clip(clip, texts)
        model = DualEncoder(str(clip))
        peer, other = SentenceTransformer(str(clip)), MtebCLIP(str(clip), revision=None)
        pools = {task: load_pool(benchmark, task, asked.split) for task in benchmark.task_names}

        def ours() -> None:
            embed_tasks(ModelSource(model, benchmark, asked.split), pools)

        def theirs() -> None:
            peer.encode(texts, batch_size=BATCH, show_progress_bar=False)
            peer.encode(opened(pictures), batch_size=BATCH, show_progress_bar=False)

        def mteb() -> None:
            other.get_text_embeddings([{"text": batch} for batch in batched(texts)], False)
            other.get_image_embeddings(({"image": opened(batch)} for batch in batched(pictures)), False)

        said = machine("torch", "transformers", "sentence-transformers", "mteb")
        print(said)
        print(
            f"{asked.suite}, {asked.split}: {len(texts):,} texts, {len(set(texts)):,} of them distinct; "
            f"{len(pictures):,} pictures, {len(set(pictures)):,} distinct; median of {asked.rounds}"
        )
        share = prefix_share(model, texts)
        print(f"{share:.2f} distinct prefixes a token of distinct texts")
        loops: dict[str, Callable[[], None]] = {"ours": ours, "sentence-transformers": theirs, "mteb": mteb}
        found = medians(loops, asked.rounds, warm_up={})
    case = f"{len(texts):,} texts and {len(pictures):,} pictures of {asked.suite}"
    counts = {"texts": len(texts), "pictures": len(pictures)}
    counts |= {"distinct_texts": len(set(texts)), "distinct_pictures": len(set(pictures))}
    counts["prefix_share"] = round(float(share), 3)
    for name, seconds in found.items():
        record(case, name, "wall", seconds, **counts)
        print(f"  {name:<22} {seconds:7.1f} s; {seconds / found['ours']:.2f} x ours")
    write_records(asked.json, said)


if __name__ == "__main__":
    main()
