import numpy as np
import pytest

from elva import negatives
from elva.config import Sampling
from elva.negatives import code_grains, grades, sample_negatives
from mrbench.errors import InputError
from mrbench.records import Candidate, Grain, Query, judge


@pytest.fixture
def pool():
    """40 candidates and 6 queries of three grain types; every query's positive is the candidate of its number."""
    rng = np.random.default_rng(0)
    values = rng.integers(0, 3, (40, 3))
    candidates = [[Grain(f"type {t}", str(v)) for t, v in enumerate(row)] for row in values]
    queries = [row[: 2 + n % 2] for n, row in enumerate(candidates[:6])]
    vectors = rng.normal(size=(46, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return queries, candidates, vectors[40:], vectors[:40]


def draw(pool, sampling, seed=0, **options):
    queries, candidates, query_vectors, vectors = pool
    options.setdefault("positives", np.arange(6))
    return sample_negatives(
        query_vectors, vectors, *code_grains(queries, candidates), sampling=sampling, seed=seed, **options
    )


def test_codes_and_grades_agree_with_the_definition(pool):
    queries, candidates, _, _ = pool
    found = grades(*code_grains(queries, candidates))
    for q, query in enumerate(queries):
        for c, candidate in enumerate(candidates):
            judged = judge(Query("q", "t2i", "", tuple(query), text=""), Candidate("c", tuple(candidate), text=""))
            assert found[q, c] == judged.grade


def test_hard_are_the_most_similar_under_the_threshold_and_never_keep_all_grains(pool):
    queries, candidates, query_vectors, vectors = pool
    sampling = Sampling(hard=5, random=7, threshold=0.4)
    drawn = draw(pool, sampling)
    scores = query_vectors @ vectors.T
    false = grades(*code_grains(queries, candidates)) == np.array([len(q) for q in queries])[:, None]
    assert false.sum() > 6  # there are false negatives to avoid
    for q, row in enumerate(drawn):
        assert len(set(row)) == 12
        assert not false[q, row].any()
        fit = [c for c in np.argsort(-scores[q]) if not false[q, c] and scores[q, c] <= 0.4]
        assert row[:5].tolist() == fit[:5]
    above = {c for q, row in enumerate(drawn) for c in row[5:] if scores[q, c] > 0.4}
    assert above  # random ones are of the whole pool


def test_a_positive_is_never_a_negative_even_if_it_lacks_a_grain(pool):
    _, _, query_vectors, vectors = pool
    positives = np.argsort(-(query_vectors @ vectors.T), axis=1)[:, 3]  # near, and most lack a grain
    drawn = draw(pool, Sampling(hard=5, random=7), positives=positives)
    assert not (drawn == positives[:, None]).any()


def test_a_threshold_against_the_positive(pool):
    _, _, _, vectors = pool
    hard = draw(pool, Sampling(hard=8, random=0, threshold=0.3, against="positive"))
    assert ((vectors[:6] @ vectors.T)[np.arange(6)[:, None], hard] <= 0.3).all()
    assert ((vectors[:6] @ vectors.T)[np.arange(6)[:, None], draw(pool, Sampling(hard=8, random=0))] > 0.3).any()


def test_the_seed_and_the_refresh_decide_and_the_chunk_does_not(pool, monkeypatch):
    sampling = Sampling(hard=3, random=6)
    first = draw(pool, sampling)
    assert (first != draw(pool, sampling, seed=1)).any()
    assert (first != draw(pool, sampling, refresh=1)).any()
    monkeypatch.setattr(negatives, "CHUNK", 1)
    assert (first == draw(pool, sampling)).all()


def test_equal_scores_are_decided_by_luck_not_by_place(pool):
    queries, candidates, query_vectors, vectors = pool
    same = queries, candidates, np.ones_like(query_vectors), np.ones_like(vectors)
    drawn = np.array([draw(same, Sampling(hard=2, random=0), seed=seed) for seed in range(40)])
    assert drawn.max() > 30
    assert drawn.min() < 10


def test_what_cannot_be_sampled(pool):
    with pytest.raises(InputError, match="a query has no positive; where: query c"):
        draw(pool, Sampling(hard=1), positives=np.array([0, 1, -1, 3, 4, 5]), names=list("abcdef"))
    with pytest.raises(InputError, match=r"fewer negatives than asked; where: query 0; got: '\d+ hard under"):
        draw(pool, Sampling(hard=30, random=20))
    with pytest.raises(InputError, match=r"fewer negatives than asked; .* got: '0 hard"):
        draw(pool, Sampling(hard=2, random=2, threshold=-1.0))
    with pytest.raises(InputError, match="no negative is asked for"):
        draw(pool, Sampling(hard=0, random=0))
