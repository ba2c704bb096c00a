"""`mrbench leaderboard enter`: an entry has the scores of its run, a digest, and no name of other people's data."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from open_benchmarks import write_open
from tiny_benchmark import Guess

from mrbench.benchmark import Benchmark
from mrbench.errors import OutputError, ResultError
from mrbench.evaluation import check_entry, enter, evaluate
from mrbench.evaluation.enter import entry_name, without_names
from mrbench.leaderboard import boards, read_results
from mrbench.results import CHECKED, read_checked, read_result


def _command(*words: object) -> subprocess.CompletedProcess[str]:
    words = (sys.executable, "-m", "mrbench", "leaderboard", *words)
    return subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> tuple[Benchmark, Path]:
    folder = tmp_path_factory.mktemp("photos")
    benchmark = write_open(folder / "benchmark", "photos")
    evaluate(benchmark, Guess("guess"), folder / "run")
    return benchmark, folder / "run"


def test_an_entry_has_numbers_alone_and_the_intervals_of_before(photos: tuple[Benchmark, Path], tmp_path: Path) -> None:
    benchmark, run = photos
    done = _command("enter", run, "--benchmark", benchmark.folder, "--output", tmp_path / "entries", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    file = tmp_path / "entries/photos-guess.json"
    assert json.loads(done.stdout)[0]["entry"] == str(file)
    made, before = read_result(file), read_result(run / "result.json")
    names = set(before.tasks["photos"].clusters)
    assert len(names) == 40
    assert set(made.tasks["photos"].clusters) == {f"{n:02}" for n in range(40)}
    text = file.read_text(encoding="utf-8")
    assert not [name for name in ("caption#", "photo 1", ".png", "the dog") if name in text]
    (one,), (other,) = boards([made]), boards([before])
    assert one.rows[0].tasks == other.rows[0].tasks
    assert one.rows[0].places == other.rows[0].places  # drawn again over the same clusters in the same order


def test_clusters_keep_their_order_and_closed_suites_their_words(tiny: Benchmark, tmp_path: Path) -> None:
    evaluate(tiny, Guess("guess"), tmp_path / "run")
    closed = read_result(tmp_path / "run/result.json")
    assert without_names(closed) == closed
    part = replace(closed.tasks["t2i"], task={"judgements": "partial"}, clusters=("b", "a", "b", "c"))
    found = without_names(replace(closed, tasks={"t2i": part})).tasks["t2i"].clusters
    assert found == ("1", "0", "1", "2")


def test_the_record_says_what_was_checked_and_a_change_ends_it(photos: tuple[Benchmark, Path], tmp_path: Path) -> None:
    benchmark, run = photos
    ((check, file),) = enter([run], [benchmark], tmp_path / "entries")
    assert check.status == "recomputed"
    assert check_entry(file, ()).status == "recomputed before"
    assert read_results([tmp_path / "entries"])[0].evidence == "recomputed"
    raw = json.loads(file.read_text(encoding="utf-8"))
    raw["tasks"]["photos"]["scores"]["median_rank"] = 1.0
    file.write_text(json.dumps(raw))
    done = _command("check", file)
    assert (done.returncode, done.stdout) == (2, "")
    assert "changed after it was checked" in done.stderr
    (result,) = read_results([tmp_path / "entries"])
    assert result.evidence == "self-reported"
    assert boards([result])[0].rows[0].label == "guess (self-reported)"


def test_nothing_is_written_where_one_of_them_fails(photos: tuple[Benchmark, Path], tmp_path: Path) -> None:
    benchmark, run = photos
    shutil.copytree(run, tmp_path / "altered")
    raw = json.loads((run / "result.json").read_text(encoding="utf-8"))
    raw["tasks"]["photos"]["scores"]["median_rank"] = 1.0
    (tmp_path / "altered/result.json").write_text(json.dumps(raw))
    (tmp_path / "alone").mkdir()
    shutil.copy(run / "result.json", tmp_path / "alone")
    for other, message in ((tmp_path / "altered", "not that of the run"), (tmp_path / "alone", "computed again")):
        with pytest.raises(ResultError, match=message):
            enter([run, other], [benchmark], tmp_path / "entries")
    with pytest.raises(ResultError, match="--benchmark"):
        enter([run], (), tmp_path / "entries")
    assert not (tmp_path / "entries").exists()


def test_an_entry_that_is_there_stays_without_leave_and_others_stay_in_the_record(
    photos: tuple[Benchmark, Path], tmp_path: Path
) -> None:
    benchmark, run = photos
    evaluate(benchmark, Guess("other"), tmp_path / "other")
    enter([run], [benchmark], tmp_path / "entries")
    with pytest.raises(OutputError, match="--overwrite"):
        enter([run], [benchmark], tmp_path / "entries")
    with pytest.raises(OutputError, match="is there"):
        enter([run, run], [benchmark], tmp_path / "new")
    enter([tmp_path / "other/result.json"], [benchmark], tmp_path / "entries")
    enter([run], [benchmark], tmp_path / "entries", overwrite=True)
    assert list(read_checked(tmp_path / "entries")) == ["photos-guess.json", "photos-other.json"]
    assert {result.evidence for result in read_results([tmp_path / "entries"])} == {"recomputed"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        lambda lines: lines[0].update(format_version=2),
        lambda lines: lines[0].update(format="other"),
        lambda lines: lines.pop(0),
        lambda lines: lines.append([]),
        lambda lines: lines.append({"file": "x", "sha256": "0"}),
        lambda lines: lines[1].update(scores="12"),
        lambda lines: lines[1].update(sha256="zz"),
    ],
)
def test_a_malformed_record_is_one_line(change: object, photos: tuple[Benchmark, Path], tmp_path: Path) -> None:
    benchmark, run = photos
    enter([run], [benchmark], tmp_path / "entries")
    record = tmp_path / "entries" / CHECKED
    lines = [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()]
    change(lines)  # type: ignore[operator]
    record.write_text("\n".join(map(json.dumps, lines)))
    done = _command("build", tmp_path / "entries", "--output", tmp_path / "board")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert str(record) in done.stderr
    assert not (tmp_path / "board").exists()


def test_names_of_entries_are_safe_and_no_two_models_share_one(photos: tuple[Benchmark, Path]) -> None:
    result = read_result(photos[1] / "result.json")

    def name(benchmark: str, model: str, **options: object) -> str:
        about = {**result.benchmark, "name": benchmark}
        about |= {key: value for key, value in options.items() if key in ("split", "pool")}
        said = {**result.model, "name": model, **{k: v for k, v in options.items() if k not in about}}
        return entry_name(replace(result, benchmark=about, model=said))

    assert name("photos", "clip-b32") == "photos-clip-b32.json"
    models = [
        "a+b",
        "a-b",
        "a--b",
        "A-b",
        "-a-b",
        "a b",
        "你好",
        "世界",
        "",
        "../ORG/Name v1.5\u202e",
        "x" * 300,
        "x" * 301,
    ]
    names = [name("photos", model) for model in models]
    names += [name("photos-a", "b"), name("photos", "a-b", split="train"), name("photos", "a-b", pool="union")]
    names += [name("photos", "a-b", variant="dimension=4"), name("photos", "a-b", text_limit=32), name(".../..", "a-b")]
    assert len(set(names)) == len(names)
    assert len({one.casefold() for one in names}) == len(names)
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9.-]*(_[0-9a-f]{12})?\.json", one) and len(one) < 128 for one in names)
