"""A task in which no query has a relevant candidate is named and left out; the others are scored."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from mrbench.errors import NothingToScoreError
from mrbench.evaluation import check_entry, evaluate, rescore
from mrbench.leaderboard import boards
from mrbench.models.controls import ConstantModel
from mrbench.results import read_result
from mrbench.sources import open_benchmark


def write_hub(root: Path, judgements: dict[str, tuple[str, int]]) -> str:
    """Two documents, a query that is a text and one that is an image: a task each."""
    (root / "qrels").mkdir(parents=True)
    Image.new("RGB", (4, 4), "red").save(root / "red.png")
    documents = [{"_id": f"d{n}", "text": f"text {n}"} for n in range(2)]
    queries = [{"_id": "words", "text": "find"}, {"_id": "picture", "image": "red.png"}]
    for name, rows in (("corpus", documents), ("queries", queries)):
        (root / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    lines = [f"{query}\t{document}\t{score}" for query, (document, score) in judgements.items()]
    (root / "qrels" / "test.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *lines]) + "\n")
    return f"hub:{root}"


def test_it_is_named_and_the_other_is_scored(tmp_path: Path) -> None:
    benchmark = open_benchmark(write_hub(tmp_path / "data", {"words": ("d1", 1), "picture": ("d0", 0)}))
    result = evaluate(benchmark, ConstantModel(), tmp_path / "r")
    assert result.tasks["t2t"].scores["hit_rate@1"] == pytest.approx(0.5)
    left = result.tasks["i2t"]
    assert (left.status, left.scores) == ("not supported", {})
    assert left.reason.startswith("no query has a relevant candidate in the pool; where: test, i2t")
    assert "next:" not in left.reason  # the result of another machine names no command and no path of this one
    assert read_result(tmp_path / "r" / "result.json") == result
    assert rescore(tmp_path / "r", benchmark) == result
    assert check_entry(tmp_path / "r", [benchmark]).status == "recomputed"
    (board,) = boards([result])
    assert board.rows[0].tasks[1].score is None
    assert "no query has a relevant candidate" in board.rows[0].tasks[1].reason
    assert board.rows[0].overall.score is None  # no mean over fewer tasks


def test_alone_or_where_all_are_so_it_is_an_error(tmp_path: Path) -> None:
    spec = write_hub(tmp_path / "one", {"words": ("d1", 1), "picture": ("d0", 0)})
    with pytest.raises(NothingToScoreError, match=r"no query has a relevant candidate.*test, i2t"):
        evaluate(spec, ConstantModel(), tmp_path / "r", tasks=["i2t"])
    spec = write_hub(tmp_path / "all", {"words": ("d1", 0), "picture": ("d0", 0)})
    with pytest.raises(NothingToScoreError, match=r"no query has a relevant candidate.*test, t2t"):
        evaluate(spec, ConstantModel(), tmp_path / "r")
    assert not (tmp_path / "r").exists()


def test_a_task_without_queries_in_the_split_does_not_stop_the_others(tmp_path: Path) -> None:
    for garment, splits in (("dress", ("val", "train")), ("shirt", ("val",))):
        for split in splits:
            (tmp_path / f"cap.{garment}.{split}.json").write_text(
                json.dumps([{"target": "B1", "candidate": "B0", "captions": ["is red"]}])
            )
            (tmp_path / f"split.{garment}.{split}.json").write_text(json.dumps(["B0", "B1", "B2"]))
    for number in range(3):
        Image.new("RGB", (4, 4), (80 * number, 0, 0)).save(tmp_path / f"B{number}.jpg")
    benchmark = open_benchmark(f"fashioniq:{tmp_path}", image_root=tmp_path)
    result = evaluate(benchmark, ConstantModel(), tmp_path.with_name("out") / "r", split="train")
    assert {name: part.status for name, part in result.tasks.items()} == {
        "dress_original": "scored",
        "dress_val_pool": "scored",
        "shirt_original": "not supported",
        "shirt_val_pool": "not supported",
    }
    assert "no rows of" in result.tasks["shirt_original"].reason
