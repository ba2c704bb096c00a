import csv
import json

import numpy as np
import pytest
from PIL import Image

from elva.data import Summaries, read_benchmarks, read_pools
from elva.negatives import grades
from elva.sampler import Draw, answers, balanced, order
from elva.sentences import read_pairs
from mrbench.benchmark import encode_png, write_benchmark
from mrbench.errors import InputError
from mrbench.records import Candidate, Grain, Judgement, Query, Task


def test_a_positive_keeps_all_grains_and_a_ladder_falls(data):
    assert len(data.pools) == 4
    for pool in data.pools:
        asked = (pool.query_grains >= 0).sum(1)
        for query, positive in enumerate(pool.positives):
            members = pool.ladders[query][pool.ladders[query] >= 0]
            kept = grades(pool.query_grains[[query]], pool.candidate_grains)[0]
            assert kept[positive] == asked[query]
            assert (np.diff(kept[members]) <= 0).all()
            assert kept[members[0]] == asked[query] - 1
            assert positive not in members


def test_one_set_of_grains_has_one_summary(data):
    for pool in data.pools:
        by_grains = {}
        for row, summary in zip(pool.candidate_grains, pool.candidate_summaries, strict=True):
            assert by_grains.setdefault(tuple(row), summary) == summary
        assert len(set(by_grains.values())) == len(by_grains)


def test_a_summary_that_swaps_two_values_names_neither():
    left, right = Grain("skin tone", "dark"), Grain("second skin tone", "light")
    summaries = Summaries([[left, right], [Grain("skin tone", "light"), Grain("second skin tone", "dark")]])
    assert summaries.text([left, right]) == "second skin tone light, skin tone dark"
    swapped = "second skin tone dark , skin tone light"
    assert summaries.named(swapped, [left, right]) == {"skin tone": False, "second skin tone": False}
    assert all(summaries.named("skin tone dark , second skin tone light", [left, right]).values())


def test_sentences_differ_from_their_hard_negatives(data):
    pool = data.sentences
    assert len(pool.queries) >= 8
    for query, positive in enumerate(pool.positives):
        kept = grades(pool.query_grains[[query]], pool.candidate_grains)[0]
        asked = (pool.query_grains[query] >= 0).sum()
        assert kept[positive] == asked
        assert pool.queries[query].text != pool.candidates[positive].text
        for hard in pool.ladders[query][pool.ladders[query] >= 0]:
            assert kept[hard] == asked - 1


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_pairs_of_a_file(tmp_path, suffix):
    path = tmp_path / f"nli.{suffix}"
    rows = [("A dog runs.", "An animal moves.", "A dog sleeps."), ("Snow falls.", "It snows.", "")]
    if suffix == "csv":
        path.write_text("sent0,sent1,hard_neg\n" + "".join(",".join(row) + "\n" for row in rows))
    else:
        names = ("sent0", "sent1", "hard_neg")
        path.write_text("".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows))
    pool = read_pairs(path)
    assert [item.text for item in pool.candidates] == ["An animal moves.", "A dog sleeps.", "It snows."]
    assert pool.positives.tolist() == [0, 2]
    assert pool.ladders.tolist() == [[1], [-1]]
    assert grades(pool.query_grains, pool.candidate_grains).tolist() == [[1, 0, 0], [0, 0, 1]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no pair to train on"),
        ("{", "line 1"),
        ("\n" + "[" * 100_000, "line 2"),
        ('{"sent0": "a"}\n', "line 1"),
        ('{"sent0": "a", "sent1": "b"}\n\n{"sent0": "a", "sent1": 3}\n', "line 3"),
        ('{"sent0": "a", "sent1": " "}\n', "line 1"),
        ('{"sent0": "a", "sent1": "b", "hard_neg": ["c"]}\n', "hard_neg"),
        ('{"sent0": "a", "sent1": "\\ud800"}\n', "line 1"),
        ("[1]\n", "line 1"),
    ],
)
def test_malformed_pairs_are_one_line(tmp_path, text, said):
    path = tmp_path / "nli.jsonl"
    path.write_text(text)
    with pytest.raises(InputError, match=rf"nli\.jsonl.*{said}|{said}.*nli\.jsonl"):
        read_pairs(path)


def test_a_table_that_is_none(tmp_path):
    path = tmp_path / "nli.csv"
    path.write_text('sent0,sent1\n"' + "a" * 200_000 + '",b\n')
    before = csv.field_size_limit(131_072)  # Python's own; a reader of another test may have raised it
    try:
        with pytest.raises(InputError, match="field larger"):
            read_pairs(path)
    finally:
        csv.field_size_limit(before)
    path.write_bytes(b"\xef\xbb\xbfsent0,sent1\nA dog runs.,It runs.\n")  # as spreadsheets write it
    assert [item.text for item in read_pairs(path).queries] == ["A dog runs."]


def test_pairs_of_one_sentence_are_not_each_others_negatives(tmp_path):
    path = tmp_path / "nli.csv"
    path.write_text("sent0,sent1,hard_neg\nA dog runs.,It runs.,It sleeps.\nA dog runs.,It moves.,\nIt snows.,Snow.,\n")
    pool = read_pairs(path)
    assert grades(pool.query_grains, pool.candidate_grains).tolist() == [[1, 0, 1, 0], [1, 0, 1, 0], [0, 0, 0, 1]]


def test_a_data_set_without_the_split_is_refused(scenes):
    with pytest.raises(InputError, match="lacks the split"):
        read_benchmarks([scenes], "validation")


def test_grains_that_are_known_in_part_are_refused(tmp_path):
    photos = Task("t2i", "caption → photo", "text", "image", judgements="partial")
    with write_benchmark(tmp_path / "photos", tasks=[photos], corpora={"image": "image"}) as writer:
        writer.add_candidates("train", [Candidate("p", image=encode_png(Image.new("RGB", (8, 8))))])
        writer.add_queries("train", [Query("q", "t2i", "", text="a dog")])
        writer.add_judgements("train", "t2i", [Judgement("q", "p", 1)])
        writer.finish(name="photos", title="Photos", licence="CC0-1.0")
    with pytest.raises(InputError, match=r"grains of every candidate are known.*t2i.*next: mrbench train head"):
        read_pools(read_benchmarks([tmp_path / "photos"]))


def test_test_and_train_share_no_query(data, scenes):
    pools, _ = read_pools(read_benchmarks([scenes], "test"), "test")
    assert not {name for pool in pools for name in pool.names} & {n for pool in data.pools for n in pool.names}


def test_every_row_comes_once_before_any_comes_again():
    places = [place for step in range(7) for place in order(21, 3, step, seed=5)]
    assert sorted(places) == list(range(21))
    assert places != sorted(places)
    assert balanced([9, 1], 1.0).count((1, 0)) == 9


def test_what_answers_a_query_keeps_all_its_grains(data):
    """A query's own positive among the candidates of another pool's query is no negative of it; by loops."""
    draws = []
    for number, pool in enumerate(data.pools):
        for query in range(2):
            rows = np.array([pool.positives[query], pool.positives[query + 1], *pool.ladders[query][:2]])
            draws.append(Draw(number, query, rows, rows * 0))
    found = answers(data.pools, draws)
    assert found.shape == (8, 8, 4)
    for q, draw in enumerate(draws):
        asked = data.pools[draw.pool].query_grains[draw.query]
        for o, other in enumerate(draws):
            for place, row in enumerate(other.candidates):
                has = data.pools[other.pool].candidate_grains[row]
                keeps = all(a in (-1, h) for a, h in zip(asked, has, strict=True))
                assert bool(found[q, o, place]) == keeps
        assert found[q, q].tolist() == [True, False, False, False]
