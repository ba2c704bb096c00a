"""The queries of the site: their ladders, what each model found, their pictures, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from open_benchmarks import write_open
from site_samples import hostile_site, publish_with_queries, tiny_results
from tiny_benchmark import Guess

from mrbench.benchmark import Benchmark
from mrbench.errors import ResultError
from mrbench.evaluation import evaluate
from mrbench.files import sha256_file
from mrbench.leaderboard import publish, read_results
from mrbench.leaderboard.site.pictures import Pictures
from mrbench.leaderboard.site.scripts import write_script
from mrbench.records import ImageFile

ORACLE, NO_COUNT = 0, 1


@pytest.fixture(scope="module")
def results(tiny: Benchmark, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_results(tiny, tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def site(tiny: Benchmark, results: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish_with_queries(results, tiny, tmp_path_factory.mktemp("site") / "out")


def data(site: Path, name: str) -> Any:
    """Return what a script hands to the page."""
    text = (site / f"data/{name}.js").read_text(encoding="ascii")
    start = f'mrbench.give("{name}",'
    assert text.startswith(start)
    return json.loads(text.removeprefix(start).removesuffix(");\n"))


def test_a_query_has_its_words_grains_and_ladder(tiny: Benchmark, site: Path) -> None:
    index, shard, candidates = data(site, "b1/t0/index"), data(site, "b1/t0/q-0"), data(site, "b1/t0/c-0")
    records = list(tiny.queries("t2i", "test"))
    assert index["ids"] == [query.id for query in records]
    for query, (pieces, grains, instruction, picture, ladder) in zip(records, shard, strict=True):
        assert "".join(text for text, _ in pieces) == query.text
        assert [(index["types"][kind], value) for kind, value in grains] == [(g.type, g.value) for g in query.grains]
        assert index["instructions"][instruction] == query.instruction
        assert picture is None
        number, grade, asked, relevant, lost = ladder[0]
        assert (grade, asked, relevant, lost) == (len(grains), len(grains), 1, [])
        shown = {index["types"][kind]: value for kind, value in candidates[number][3]}
        assert all(shown[grain.type] == grain.value for grain in query.grains)
        for number, grade, asked, relevant, lost in ladder[1:]:
            shown = {index["types"][kind]: value for kind, value in candidates[number][3]}
            wrong = [grain.type for grain in query.grains if shown[grain.type] != grain.value]
            assert [index["types"][kind] for kind in lost] == sorted(wrong)
            assert (grade, relevant) == (asked - len(wrong), not wrong)
        assert [step[1] for step in ladder] == sorted((step[1] for step in ladder), reverse=True)
        assert (site / candidates[number][2]).is_file()


def test_who_is_blind_to_a_grain_loses_that_grain(site: Path) -> None:
    about = data(site, "site")[0]
    labels = [model["label"] for model in about["models"]]
    oracle, blind = labels.index("oracle"), labels.index("no count")
    for task in range(4):
        index = data(site, f"b1/t{task}/index")
        count = index["types"].index("count")
        assert set(data(site, f"b1/t{task}/m{oracle}")["rank"]) == {1}
        found = data(site, f"b1/t{task}/m{blind}")
        assert all("1" not in flags for kind, flags in found["lost"].items() if int(kind) != count)
        tops = data(site, f"b1/t{task}/m{blind}-0")
        for row, top in enumerate(tops):
            assert len(top) == 10
            assert [lost for _, _, _, lost in top[:1]] == [[count] if found["lost"][str(count)][row] == "1" else []]
            assert found["margin"][row] == pytest.approx(0, abs=1e-5)  # the right count ties with the wrong ones
            assert all((not lost) == bool(relevant) for _, _, relevant, lost in top)


def test_a_rank_is_the_mean_over_ties(site: Path) -> None:
    labels = [model["label"] for model in data(site, "site")[0]["models"]]
    ranks = data(site, f"b1/t1/m{labels.index('constant')}")["rank"]
    assert set(ranks) == {(1 + 36) / 2}


def test_models_without_the_task_or_the_run_are_left_out(tiny: Benchmark, results: Path, tmp_path: Path) -> None:
    some = tmp_path / "results"
    shutil.copytree(results, some)
    for file in (some / "guess").iterdir():
        if file.name != "result.json":
            file.unlink()
    site = publish_with_queries(some, tiny, tmp_path / "site")
    labels = [model["label"] for model in data(site, "site")[0]["models"]]
    assert {labels[row] for row in data(site, "b1/t0/index")["models"]} == {"oracle", "no count", "constant"}
    assert "pictures only" in {labels[row] for row in data(site, "b1/t2/index")["models"]}


def test_the_same_results_give_the_same_bytes(tiny: Benchmark, results: Path, site: Path, tmp_path: Path) -> None:
    again = publish_with_queries(results, tiny, tmp_path / "again")
    files = sorted(path.relative_to(site) for path in site.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(again) for path in again.rglob("*") if path.is_file())
    assert all(sha256_file(site / name) == sha256_file(again / name) for name in files)
    publish_with_queries(results, tiny, again, overwrite=True)  # everything in it is known as ours
    assert (again / "index.html").is_file()


def test_pictures_are_written_once_and_no_more_than_asked(tiny: Benchmark, results: Path, tmp_path: Path) -> None:
    site = publish_with_queries(results, tiny, tmp_path / "site", pictures=7)
    assert 0 < sum(path.is_file() for path in (site / "pictures").rglob("*")) <= 7
    few = publish_with_queries(results, tiny, tmp_path / "few", pictures=32)
    shown = [candidate[2] is not None for candidate in data(few, "b1/t0/c-0")]
    assert 4 < sum(shown) < len(shown)
    assert shown == sorted(shown, reverse=True)  # those that the first queries name, in the order of their numbers
    none = publish_with_queries(results, tiny, tmp_path / "none", pictures=0)
    assert not (none / "pictures").exists()


def test_a_picture_in_a_file_is_shown_from_there(tmp_path: Path) -> None:
    path = tmp_path / "photos" / "a b#c.png"
    art = Pictures(tmp_path / "partial", tmp_path / "sites" / "out")
    assert art.address(ImageFile(path, "a b#c.png")) == "../../photos/a%20b%23c.png"


def test_a_run_that_was_altered_is_refused_and_nothing_is_written(
    tiny: Benchmark, results: Path, tmp_path: Path
) -> None:
    some = tmp_path / "results"
    shutil.copytree(results, some)
    table = some / "guess" / "t2i.run.parquet"
    table.write_bytes(table.read_bytes()[:-1] + b"x")
    with pytest.raises(ResultError, match="a table of a run is altered"):
        publish_with_queries(some, tiny, tmp_path / "site")
    assert not (tmp_path / "site").exists()


def test_a_benchmark_that_no_result_is_of_is_refused(tiny: Benchmark, results: Path, tmp_path: Path) -> None:
    other = write_open(tmp_path / "photos", "photos")
    with pytest.raises(ResultError, match="no result is of this benchmark"):
        publish(read_results([results]), tmp_path / "site", benchmarks=[other])


@pytest.mark.parametrize("name", ["photos", "answers", "pairs", "mixed"])
def test_open_data_show_what_is_judged(name: str, tmp_path: Path) -> None:
    benchmark = write_open(tmp_path / "benchmark", name)
    evaluate(benchmark, Guess("guess"), tmp_path / "results", command="evaluate")
    site = publish_with_queries(tmp_path / "results", benchmark, tmp_path / "site")
    index, shard = data(site, "b1/t0/index"), data(site, "b1/t0/q-0")
    assert index["ladder"] == (name == "pairs")  # two texts of one image, true and false
    assert all(any(step[3] for step in query[4]) for query in shard)
    tops = data(site, "b1/t0/m0-0")
    assert len(tops) == len(index["ids"])
    rank = data(site, "b1/t0/m0")["rank"]
    for place, top in zip(rank, tops, strict=True):
        right = [at for at, (_, _, relevant, _) in enumerate(top, start=1) if relevant]
        assert right[:1] == ([place] if place <= 10 else [])


def test_differences_are_those_of_the_queries(site: Path, results: Path) -> None:
    about, found = data(site, "site")[0], data(site, "b1/compare")
    assert found["resamples"] == 2000
    read = {result.model["name"]: result for result in read_results([results])}
    labels = [about["models"][row]["label"] for row in found["tasks"][0]["models"]]
    one, other = (np.array(read[name].tasks["t2i"].per_query["hit_rate@5"]) for name in labels[:2])
    difference, low, high, p = found["tasks"][0]["pairs"][0]
    assert difference == pytest.approx((one - other).mean(), abs=1e-5)
    assert low <= difference <= high
    assert 0 < p <= 1


def test_a_hostile_benchmark_is_written_as_ascii_data(tmp_path: Path) -> None:
    site = hostile_site(tmp_path)
    index, shard = data(site, "b1/t0/index"), data(site, "b1/t0/q-0")
    assert any("<img" in text for text in index["texts"])
    assert all(text.isprintable() for query in shard for text, _ in query[0])
    assert all("<" not in path.name for path in site.rglob("*"))


@pytest.mark.parametrize("name", ["../x", "a b", "A", "/a", "a//b", ""])
def test_a_script_has_a_plain_name(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no name of a script"):
        write_script(tmp_path, name, 1)
