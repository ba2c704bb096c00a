"""`mrbench leaderboard enter`: an entry has the scores of its run, a digest, and no name of other people's data."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from open_benchmarks import write_open
from tiny_benchmark import Guess

from mrbench.benchmark import Benchmark
from mrbench.errors import FormatVersionError, OutputError, ResultError
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


FORGED = {
    "chance": lambda raw: raw["tasks"]["photos"]["chance"].update({"hit_rate@1": 0.9}),
    "setting": lambda raw: raw["tasks"]["photos"]["setting"].update(judgements="by ten experts"),
    "a setting more": lambda raw: raw["tasks"]["photos"]["setting"].update(judges="ten experts"),
    "judgements": lambda raw: raw["tasks"]["photos"]["task"].update(judgements="complete"),
    "main": lambda raw: raw["tasks"]["photos"]["task"].update(main="mrr"),
    "interval": lambda raw: raw["tasks"]["photos"]["intervals"].update({"mrr": [0.9, 0.95]}),
    "candidates": lambda raw: raw["tasks"]["photos"].update(candidates=3),
    "reasons": lambda raw: raw["tasks"]["photos"]["missing"].clear(),
    "a seconds": lambda raw: raw["tasks"]["photos"].update(seconds={"embed": -1.0}),
    "seconds": lambda raw: raw.update(seconds="nan"),
    "tasks": lambda raw: raw["benchmark"].update(tasks=["photos", "more"]),
}


@pytest.mark.parametrize("what", FORGED)
def test_whatever_follows_from_the_run_is_compared(what: str, photos: tuple[Benchmark, Path], tmp_path: Path) -> None:
    benchmark, run = photos
    shutil.copytree(run, tmp_path / "forged")
    for name in ("result.json", "run.json"):  # whoever forges a result may forge the head of its run
        raw = json.loads((run / name).read_text(encoding="utf-8"))
        with suppress(KeyError):
            FORGED[what](raw)
        (tmp_path / "forged" / name).write_text(json.dumps(raw))
    with pytest.raises(ResultError, match=r"not that of the run|malformed result"):
        check_entry(tmp_path / "forged", [benchmark])
    with pytest.raises(ResultError):
        enter([tmp_path / "forged"], [benchmark], tmp_path / "entries")
    assert not (tmp_path / "entries").exists()


def test_an_entry_has_the_words_of_its_benchmark_and_an_older_result_gets_what_it_lacks(
    photos: tuple[Benchmark, Path], tmp_path: Path
) -> None:
    benchmark, run = photos
    shutil.copytree(run, tmp_path / "run")
    sound = read_result(run / "result.json")
    for name in ("result.json", "run.json"):
        raw = json.loads((run / name).read_text(encoding="utf-8"))
        raw["benchmark"].update(name="other", title="OTHER TITLE")
        if name == "result.json":
            raw["tasks"]["photos"].update(chance={}, setting={})
            raw["tasks"]["photos"]["task"]["title"] = "OTHER TASK"
            raw["tasks"]["photos"]["missing"] = dict.fromkeys(sound.tasks["photos"].missing, "in other words")
        (tmp_path / "run" / name).write_text(json.dumps(raw))
    ((check, file),) = enter([tmp_path / "run"], [benchmark], tmp_path / "entries")
    assert file.name == "photos-guess.json"
    made = read_result(file)
    assert made.benchmark == sound.benchmark
    assert sound.tasks["photos"].missing
    for part in ("chance", "setting", "task", "scores", "intervals", "missing"):
        assert getattr(made.tasks["photos"], part) == getattr(sound.tasks["photos"], part)
    assert made.tasks["photos"].chance
    assert check.says.endswith("model, command, time and versions are stated by its author")


def test_clusters_of_one_photo_in_several_tasks_stay_together(photos: tuple[Benchmark, Path]) -> None:
    result = read_result(photos[1] / "result.json")
    part = replace(result.tasks["photos"], clusters=("b", "a", "d"))
    other = replace(result.tasks["photos"], clusters=("d", "b"))
    made = without_names(replace(result, tasks={"t2i": part, "i2t": other}))
    assert [made.tasks[name].clusters for name in ("t2i", "i2t")] == [("1", "0", "2"), ("2", "1")]


def test_another_build_of_a_benchmark_is_told_by_both_digests(photos: tuple[Benchmark, Path], tmp_path: Path) -> None:
    benchmark, run = photos
    other = write_open(tmp_path / "other", "answers")
    for ran in (lambda: enter([run], [other], tmp_path / "out"), lambda: check_entry(run, [other])):
        with pytest.raises(ResultError) as caught:
            ran()
        assert f"photos, digest {benchmark.digest[:12]}" in str(caught.value)
        assert f"answers, digest {other.digest[:12]}" in str(caught.value)
        assert f"where: {run / 'result.json'};" in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_an_entry_that_is_there_stays_without_leave_and_others_stay_in_the_record(
    photos: tuple[Benchmark, Path], tmp_path: Path
) -> None:
    benchmark, run = photos
    evaluate(benchmark, Guess("other"), tmp_path / "other")
    enter([run], [benchmark], tmp_path / "entries")
    with pytest.raises(OutputError, match=r"got: '/.*photos-guess.json'; next: .*--overwrite"):
        enter([run], [benchmark], tmp_path / "entries")
    with pytest.raises(OutputError, match="is there"):
        enter([run, run], [benchmark], tmp_path / "new")
    enter([tmp_path / "other/result.json"], [benchmark], tmp_path / "entries")
    enter([run], [benchmark], tmp_path / "entries", overwrite=True)
    assert list(read_checked(tmp_path / "entries")) == ["photos-guess.json", "photos-other.json"]
    assert {result.evidence for result in read_results([tmp_path / "entries"])} == {"recomputed"}


SHA = "0" * 64
HEAD = json.dumps({"format": "mrbench-checked", "format_version": 1})


def _line(**changes: object) -> str:
    return json.dumps({"file": "a.json", "sha256": SHA, "run": SHA, "scores": 3, "mrbench": "0.1.0"} | changes)


@pytest.mark.parametrize(
    ("text", "at", "said"),
    [
        ("", 1, "the first line is not"),
        ("\n" + HEAD, 1, "not JSON: ''"),
        (_line(), 1, "the first line is not"),
        ("[]", 1, "the first line is not"),
        (HEAD.replace("1", '"1"'), 1, "format_version is '1'"),
        (f"{HEAD}\n{_line()}\n[]", 3, "a line holds file, sha256"),
        (f"{HEAD}\nscores", 2, "not JSON: 'scores'"),
        (f"{HEAD}\n{_line(more=1)}", 2, "and nothing else"),
        (f"{HEAD}\n{_line()}\n{_line()}", 3, "a second line for a.json"),
        (f"{HEAD}\n{_line(scores=-1)}", 2, "scores is -1"),
        (f"{HEAD}\n{_line(scores=True)}", 2, "scores is True"),
        (f"{HEAD}\n{_line(scores='12')}", 2, "scores is '12'"),
        (f"{HEAD}\n{_line(sha256='zz')}", 2, "sha256 is 'zz'"),
        (f"{HEAD}\n{_line(run=None)}", 2, "run is None"),
        (f"{HEAD}\n{_line(mrbench='<b>1</b>')}", 2, "mrbench is"),
        (f"{HEAD}\n{_line(file='../a.json')}", 2, "file is"),
        (f"{HEAD}\n{_line(file='<b>.json')}", 2, "file is"),
    ],
)
def test_a_malformed_record_is_one_line_that_says_where(text: str, at: int, said: str, tmp_path: Path) -> None:
    (tmp_path / CHECKED).write_text(text)
    with pytest.raises(ResultError) as caught:
        read_checked(tmp_path)
    message = str(caught.value).replace('\\"', '"')
    assert f"where: {tmp_path / CHECKED}, line {at}; got" in message
    assert said in message
    assert "next: " in message


def test_empty_lines_of_a_record_are_passed_over_and_a_newer_one_says_so(tmp_path: Path) -> None:
    (tmp_path / CHECKED).write_text(f"{HEAD}\n\n{_line()}\n\n")
    assert list(read_checked(tmp_path)) == ["a.json"]
    (tmp_path / CHECKED).write_text(HEAD.replace("1", "2"))
    with pytest.raises(FormatVersionError, match="newer"):
        read_checked(tmp_path)


@pytest.mark.slow
def test_no_board_is_made_with_a_malformed_record(photos: tuple[Benchmark, Path], tmp_path: Path) -> None:
    benchmark, run = photos
    enter([run], [benchmark], tmp_path / "entries")
    record = tmp_path / "entries" / CHECKED
    record.write_text("")
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
