"""`mrbench compare` on folders that hold results of one model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mrbench.cli.app import main


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of two models over texts, of one of them with an overlay too."""
    place = tmp_path_factory.mktemp("compared")
    rows = [{"_id": f"d{n}", "text": f"text {n}"} for n in range(4)]
    (place / "set").mkdir()
    (place / "set/corpus.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (place / "set/queries.jsonl").write_text("\n".join(json.dumps({"_id": f"q{n}", "text": "a"}) for n in range(3)))
    (place / "set/qrels").mkdir()
    (place / "set/qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\nq0\td0\t1\nq1\td1\t1\nq2\td2\t1\n")
    (place / "more.csv").write_text("query,candidate,score\nq0,d1,1\n")
    for name, model, more in (("plain", "random", []), ("laid", "random", ["--overlay", place / "more.csv"]),
                              ("other", "constant", [])):  # fmt: skip
        run("evaluate", f"hub:{place / 'set'}", "--model", model, "--output", place / name, *more)
    return place


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as done:
        main([str(word) for word in words])
    return int(done.value.code or 0)


@pytest.mark.parametrize("names", [("plain", "laid"), ("laid", "laid"), ("plain", "other", "laid")])
def test_two_results_of_one_model_are_named(
    names: tuple[str, ...], folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("compare", *(folders / name for name in names)) == 2
    printed = capsys.readouterr()
    first, last = (folders / name for name in (names[0], names[-1]))
    assert f"two paths hold results of one model; where: {first} and {last}; got: 'random 1'" in printed.err
    assert "next: name one of the two, and the result of another model" in printed.err
    assert not printed.out


@pytest.mark.parametrize("name", ["plain", "laid"])
def test_a_result_with_an_overlay_is_compared_like_one_without(
    name: str, folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("compare", folders / name, folders / "other") == 0
    assert "random and constant on set (test)" in capsys.readouterr().out
