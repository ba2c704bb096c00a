"""What a run trains on, and whether its recipe can."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from elva.config import Contrastive, Recipe, Reinforcement
from elva.data import Pool, Summaries, read_benchmarks, read_pools
from elva.model import Elva
from elva.sentences import read_pairs, sentence_pool
from mrbench.benchmark import Benchmark
from mrbench.errors import InputError
from mrbench.files import sha256_file


@dataclass(frozen=True, slots=True)
class Data:
    """What a run trains on.

    Attributes:
        benchmarks: Data sets with a train split.
        pools: Their tasks.
        sentences: Pairs of stage 1; None where there are none.
        summaries: What is said of a set of grains.
        pairs: SHA-256 of the file of the pairs, if they are of a file.
    """

    benchmarks: Sequence[Benchmark]
    pools: Sequence[Pool]
    sentences: Pool | None
    summaries: Summaries
    pairs: str | None = None

    def texts(self) -> list[str]:
        """Everything that a model from nothing has to know the words of."""
        sides = (self.sentences.queries, self.sentences.candidates) if self.sentences else ()
        found: set[str] = {item.text for side in sides for item in side if item.text}
        for benchmark in self.benchmarks:
            for task in benchmark.task_names:
                queries = benchmark.queries(task, "train")
                if len(queries):
                    table = queries.table(["instruction", *(["text"] if "text" in queries[0].modality else [])])
                    found |= {text for name in table.column_names for text in table[name].to_pylist()}
            if any(benchmark.task(task).candidate_modality == "text" for task in benchmark.task_names):
                found |= set(benchmark.corpus("text", "train").table(["text"])["text"].to_pylist())
        for pool in self.pools:
            found |= {*pool.query_summaries, *pool.candidate_summaries}
        return sorted(found)


def read_data(folders: Sequence[Path], pairs: Path | None = None) -> Data:
    """Read the train splits of MRBench folders, and pairs of sentences from a file if there is one."""
    benchmarks = read_benchmarks(folders)
    pools, summaries = read_pools(benchmarks)
    if pairs is not None:
        return Data(benchmarks, pools, read_pairs(pairs), summaries, sha256_file(pairs))
    return Data(benchmarks, pools, sentence_pool(benchmarks), summaries)


def check(recipe: Recipe, data: Data, stages: Sequence[int]) -> None:
    """Raise, before the first stage runs, for what a later one would fail of.

    Raises:
        InputError: The recipe lacks the stage or has none, stage 1 has no pairs of sentences, or a pool has fewer
            candidates than negatives are asked for.
    """
    if not stages:
        raise InputError(
            "the recipe has no stage",
            where=recipe.name,
            accepted="stage0 to stage3",
            hint="write one of them into the recipe, or take --recipe tiny",
        )
    for number in stages:
        options = getattr(recipe, f"stage{number}")
        if options is None:
            accepted = ", ".join(map(str, recipe.stages()))
            raise InputError(
                "the recipe lacks the stage",
                where=recipe.name,
                got=number,
                accepted=accepted,
                hint="name another --stage, or write the stage into the recipe",
            )
        if number == 1 and data.sentences is None:
            where = ", ".join(str(b.folder) for b in data.benchmarks)
            raise InputError("no text query has a paraphrase for stage 1", where=where, hint="name pairs with --pairs")
        if isinstance(options, Contrastive | Reinforcement) and options.sampling is not None:
            wanted = options.sampling.hard + options.sampling.random
            for pool in [data.sentences] if number == 1 and data.sentences else data.pools:
                if len(pool.candidates) <= wanted:
                    raise InputError(
                        "fewer negatives than asked",
                        where=f"{pool.task}, {len(pool.candidates)} candidates",
                        got=wanted,
                        accepted=f"up to {len(pool.candidates) - 1}",
                        hint=f"lower stage{number}.sampling.hard or .random",
                    )


def check_summaries(recipe: Recipe, data: Data, model: Elva, stages: Sequence[int]) -> None:
    """Refuse a limit that cuts canonical summaries, where a stage teaches them."""
    contrastive = [recipe.stage2] if recipe.stage2 is not None and 2 in stages else []
    if 0 not in stages and not any(o.embedding == "summary" or o.generation for o in contrastive):
        return
    distinct = {text for pool in data.pools for text in (*pool.query_summaries, *pool.candidate_summaries)}
    for text in sorted(distinct, key=len)[-1000:]:  # the longest in letters: among them is the longest in tokens
        length = len(model.prompter.text_ids(text))
        if length > recipe.max_summary:
            raise InputError(
                "a summary is longer than the recipe allows",
                where=f"{text!r}, {length} tokens",
                got=recipe.max_summary,
                accepted=f"max_summary of {length} or more",
                hint="raise max_summary in the recipe",
            )
