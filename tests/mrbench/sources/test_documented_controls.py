"""The values that the pages on data sets give for controls, computed here from the judgements by formulas of this file.

A random order and a constant get the exact expectation. Real annotation files are read where they are at hand.
"""

from __future__ import annotations

import re
from collections import Counter
from fractions import Fraction
from functools import cache
from itertools import permutations
from math import comb
from pathlib import Path

import numpy as np
import pytest
from controls import write_json
from realdata import realdata

from mrbench.benchmark import Benchmark
from mrbench.pools import load_pool
from mrbench.score.scoring import chance_level
from mrbench.sources import open_benchmark

PAGES = Path(__file__).parents[3] / "docs/reference/datasets"
Sizes = Counter[tuple[int, int]]
"""Number of queries by number of candidates and of relevant ones."""

CAPTIONS = "captions:coco-captions-val2017/captions_val2017.json.gz"
FLICKR = "captions:flickr8k-graded/captions.jsonl"
HITS = "hit_rate@1 hit_rate@5 hit_rate@10"
MAP = "capped_map@5 capped_map@10 capped_map@25 capped_map@50"
ECCV, CXC = "eccv:eccv-caption?captions=CAPTIONS", "cxc:cxc?captions=CAPTIONS"
FIQ = "hit_rate@10 hit_rate@50"
GENECIS = "hit_rate@1 hit_rate@2 hit_rate@3"
REAL = [
    ("coco-and-flickr", CAPTIONS, "t2i", HITS, "0.000207 0.001037 0.002073"),
    ("coco-and-flickr", CAPTIONS, "i2t", HITS, "0.000207 0.001036 0.002072"),
    ("coco-and-flickr", f"{CAPTIONS}?equal=ignore", "t2i i2t", "hit_rate@1", "0.000200"),
    ("coco-and-flickr", f"{CAPTIONS}?folds=5", " ".join(f"t2i_fold{n}" for n in range(1, 6)), HITS,
     "0.001008 0.005041 0.010080"),
    ("coco-and-flickr", f"{CAPTIONS}?folds=5", " ".join(f"i2t_fold{n}" for n in range(1, 6)), HITS,
     "0.001008 0.005033 0.010045"),
    ("coco-and-flickr", FLICKR, "t2i", HITS, "0.001002 0.005012 0.010024"),
    ("coco-and-flickr", FLICKR, "i2t", HITS, "0.001002 0.005004 0.009988"),
    ("coco-and-flickr", f"{FLICKR}?equal=ignore", "t2i i2t", "hit_rate@1", "0.001000"),
    ("circo", "circo:circo", "circo", MAP, "0.00141 0.00156 0.00202 0.00241"),
    ("cirr", "cirr:cirr-val", "cirr", f"{HITS} hit_rate@50", "0.0004 0.0022 0.0044 0.0218"),
    ("cirr", "cirr:cirr-val", "cirr_subset", GENECIS, "0.2 0.4 0.6"),
    ("fashioniq", "fashioniq:fashioniq-val", "dress_original", FIQ, "0.0026 0.0131"),
    ("fashioniq", "fashioniq:fashioniq-val", "shirt_original", FIQ, "0.0016 0.0079"),
    ("fashioniq", "fashioniq:fashioniq-val", "toptee_original", FIQ, "0.0019 0.0093"),
    ("fashioniq", "fashioniq:fashioniq-val", "dress_val_pool", FIQ, "0.0038 0.0190"),
    ("fashioniq", "fashioniq:fashioniq-val", "shirt_val_pool", FIQ, "0.0032 0.0162"),
    ("fashioniq", "fashioniq:fashioniq-val", "toptee_val_pool", FIQ, "0.0034 0.0172"),
    ("genecis", "genecis:genecis", "focus_object", GENECIS, "0.06667 0.13333 0.20000"),
    ("genecis", "genecis:genecis", "change_object", GENECIS, "0.06667 0.13334 0.20001"),
    ("eccv", ECCV, "t2i", "map@r r_precision hit_rate@1", "0.000545 0.001694 0.001694"),
    ("eccv", ECCV, "i2t", "map@r r_precision hit_rate@1", "0.000138 0.000715 0.000715"),
    ("eccv", f"{ECCV}&judgements=coco", "t2i", HITS, "0.0002 0.001 0.002"),
    ("eccv", f"{ECCV}&judgements=coco", "i2t", HITS, "0.0002 0.001 0.001999"),
    ("cxc", CXC, "t2i", HITS, "0.000285 0.001425 0.002848"),
    ("cxc", CXC, "i2t", HITS, "0.000285 0.001423 0.002843"),
    ("cxc", CXC, "i2i", HITS, "0.001286 0.006409 0.012761"),
    ("negbench", "negbench:negbench", "coco_retrieval_t2i coco_negated_retrieval_t2i", HITS, "0.0002 0.001 0.002"),
    ("negbench", "negbench:negbench", "coco_retrieval_i2t coco_negated_retrieval_i2t", HITS, "0.0002 0.001 0.002"),
    ("negbench", "negbench:negbench", "coco_mcq voc2007_mcq", "hit_rate@1", "0.25"),
    ("true-and-false-texts", "pairs:sugarcrepe", "i2t", "hit_rate@1", "0.5"),
    ("true-and-false-texts", "pairs:sugarcrepe-pp", "i2t", "hit_rate@1", "0.666632"),
]  # fmt: skip
"""Page, spec, tasks (of several the mean), measures, and what the page says."""
OF_ONE = [
    ("fashioniq-turns", 2562, (5, 10, 50), "0.0020 0.0039 0.0195"),
    ("fashioniq-turns", 1770, (5, 10, 50), "0.0028 0.0056 0.0282"),
    ("fashioniq-turns", 1942, (5, 10, 50), "0.0026 0.0051 0.0257"),
    ("urban1k", 1000, (1, 5, 10), "0.001 0.005 0.01"),
    ("visdial", 50_000, (1, 10), "0.00002 0.0002"),
    ("msrvtt", 1000, (1, 5, 10), "0.001 0.005 0.01"),
    ("msvd", 670, (1, 5, 10), "0.001493 0.007463 0.014925"),
    ("ccneg", 2, (1,), "0.5"),
    ("winoground", 2, (1,), "0.5"),
    ("mbeir", 5000, (5,), "0.001"),
    ("mbeir", 40_038, (5,), "0.00012"),
]
"""Page, number of candidates of which one is relevant, cutoffs of the hit rate, and what the page says."""


def expected(measure: str, number: int, relevant: int) -> Fraction:
    """Return the mean of a measure over all orders of the candidates, computed from the measure's definition."""
    family, _, cutoff = measure.partition("@")
    if family == "hit_rate":
        k = min(int(cutoff), number)
        return 1 - Fraction(comb(number - relevant, k), comb(number, k))
    if measure == "r_precision":
        return Fraction(relevant, number)
    places = relevant if cutoff == "r" else int(cutoff)
    # At place i there is a relevant one with this chance, and each of the i - 1 before it is relevant with that one.
    here, before = Fraction(relevant, number), Fraction(relevant - 1, max(number - 1, 1))
    total = sum(here * (1 + (i - 1) * before) / i for i in range(1, min(places, number) + 1))
    return total / (relevant if cutoff == "r" else min(places, relevant))


def sizes(benchmark: Benchmark, task: str, split: str) -> Sizes:
    """Count the queries that have a relevant candidate by the sizes of their pools."""
    ids = {
        name for corpus in benchmark.task(task).own_corpora for name in benchmark.corpus(corpus, split).ids.to_pylist()
    }
    lists = {row.query_id: set(row.candidate_ids) for row in benchmark.lists(task, split)}
    gone = {row.query_id: set(row.candidate_ids) & ids for row in benchmark.exclusions(task, split)}
    relevant: Counter[str] = Counter()
    for one in benchmark.judgements(task, split):
        inside = one.candidate_id in lists.get(one.query_id, ids) and one.candidate_id not in gone.get(one.query_id, ())
        relevant[one.query_id] += inside and one.relevance > 0
    pools = {name: len(lists.get(name, ids)) - len(gone.get(name, ())) for name in relevant}
    return Counter((pools[name], number) for name, number in relevant.items() if number)


@cache
def opened(spec: str, captions: Path) -> Benchmark:
    source, _, place = spec.partition(":")
    folder, slash, rest = re.fullmatch(r"([\w-]+)(/?)(.*)", place.replace("CAPTIONS", str(captions))).groups()  # type: ignore[union-attr]
    return open_benchmark(f"{source}:{realdata(folder)}{slash}{rest}", image_root=captions.parent)


@pytest.fixture(scope="module")
def captions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wording of COCO's captions, which ECCV and CxC do not hold; any does."""
    ids = np.load(realdata("eccv-caption") / "coco_test_ids.npy", allow_pickle=False).tolist()
    rows = [{"id": number, "caption": f"caption {number}"} for number in ids]
    return write_json(tmp_path_factory.mktemp("coco") / "captions.json", {"annotations": rows})


def check(page: str, said: str, value: float) -> None:
    digits = len(said.partition(".")[2])
    assert f"{value:.{digits}f}" == said
    assert re.search(rf"(?<![\d.]){re.escape(said)}(?![\d])", (PAGES / f"{page}.md").read_text()), said


@pytest.mark.parametrize(("page", "spec", "tasks", "measures", "said"), REAL)
def test_a_page_gives_the_expectation_on_real_annotations(
    page: str, spec: str, tasks: str, measures: str, said: str, captions: Path
) -> None:
    benchmark = opened(spec, captions)
    split = benchmark.default_split
    read = [(sizes(benchmark, task, split), load_pool(benchmark, task, split)) for task in tasks.split()]
    for measure, value in zip(measures.split(), said.split(), strict=True):
        means = []
        for found, pool in read:
            mean = float(sum(expected(measure, *size) * number for size, number in found.items()) / found.total())
            assert chance_level(measure, pool) == pytest.approx(mean, abs=1e-12)
            means.append(mean)
        check(page, value, sum(means) / len(means))


@pytest.mark.parametrize(("page", "number", "cutoffs", "said"), OF_ONE)
def test_a_page_gives_the_expectation_of_one_relevant_candidate(
    page: str, number: int, cutoffs: tuple[int, ...], said: str
) -> None:
    for cutoff, value in zip(cutoffs, said.split(), strict=True):
        check(page, value, float(expected(f"hit_rate@{cutoff}", number, 1)))


def test_the_formulas_are_means_over_all_orders() -> None:
    for number, relevant in ((4, 1), (5, 2), (5, 3)):
        totals: Counter[str] = Counter()
        orders = list(permutations([1] * relevant + [0] * (number - relevant)))
        for order in orders:
            precision = [sum(order[:i]) / i * order[i - 1] for i in range(1, number + 1)]
            totals["hit_rate@2"] += any(order[:2])
            totals["r_precision"] += sum(order[:relevant]) / relevant
            totals["map@r"] += sum(precision[:relevant]) / relevant
            totals["capped_map@2"] += sum(precision[:2]) / min(2, relevant)
        for measure, total in totals.items():
            assert total / len(orders) == pytest.approx(float(expected(measure, number, relevant)))


def test_no_model_that_sees_photo_and_text_alone_solves_all_of_cirr() -> None:
    benchmark = open_benchmark(f"cirr:{realdata('cirr-val')}")
    asked = Counter((q.image.name, q.text) for q in benchmark.queries("cirr", "validation"))  # type: ignore[union-attr]
    value = (asked.total() - sum(number - 1 for number in asked.values())) / asked.total()
    check("cirr", "0.9986", value)
