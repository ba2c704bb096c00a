"""Models behind a server: ``openai:URL#MODEL``, against a real one."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from embedding_server import DIMENSION, KEY, Handler, Server, picture_digest, serving, vector
from PIL import Image
from tiny_towers import pictures

from mrbench.benchmark import Benchmark
from mrbench.cli.app import main
from mrbench.encode.store import fingerprint
from mrbench.errors import InputError, ModelError, redacted
from mrbench.evaluation import evaluate
from mrbench.models import http_client
from mrbench.models.protocol import Item
from mrbench.models.zoo import load_model

TEXTS = [
    "a red dog",
    "",
    "собака 狗",
    "line\nbreak",
    "x" * 9000,
    'quote " and \\',
    "/etc/hostname",
    "data:image/png;base64,A",
]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(http_client.JsonClient.__init__, "__kwdefaults__", _quick())
    with serving() as started:
        yield started


def _quick() -> dict[str, Any]:
    return http_client.JsonClient.__init__.__kwdefaults__ | {"first_wait": 0.01}


def load(server: Server, options: str = "") -> Any:
    model = load_model(f"openai:{server.url}#org/model{options}")
    server.bodies.clear()
    server.keys.clear()
    return model


def texts_of(vectors: Any) -> Any:
    return np.asarray(vectors, dtype=np.float32)


@pytest.mark.slow
@pytest.mark.parametrize(
    "spec",
    [
        "openai:http://bob:PASSWORD-1@h/v1#m",
        "openai:http://bob:PASS/PASSWORD-1@h/v1#m",
        "openai:http://PASSWORD-1@h/v1#m",
        "openai:http://h/v1?api_key=PASSWORD-1#m",
        "openai:http://h/v1/sk-proj-0123456789-PASSWORD-1/x#m",
        "openai:http://h/v1#m?key=PASSWORD-1",
        "openai:http://h/v1#m?key=PASSWORD_1",
        "openai:http://h/v1#m?PASSWORD-1",
        "openai:http://h/v1#m?batch=2&PASSWORD-1",
        "openai:http://h/v1#m?query=find: {text}&PASSWORD-1",
        "opnai:http://h/v1#m?query=find: {text}&PASSWORD-1",
        "openai:http://h/v1#m?api_key=PASSWORD-1",
        "opnai:http://bob:PASSWORD-1@h/v1#m?token=PASSWORD-1",
    ],
)
@pytest.mark.parametrize("how", ["one", "several", "file", "check"])
def test_a_secret_in_a_spec_is_not_shown(
    spec: str, how: str, tiny: Benchmark, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Nor in a traceback, a file of results or a cache."""
    words = ["evaluate", str(tiny.folder), "--task", "i2i", "--output", str(tmp_path / "out")]
    words += ["--cache", str(tmp_path / "cache")]
    if how == "file":
        (tmp_path / "models.yaml").write_text(json.dumps([spec, {"model": "constant"}]))
        words += ["--models", str(tmp_path / "models.yaml")]
    elif how == "check":
        words = ["models", "check", spec, "--json"]
    else:
        words += ["-m", spec, *(["-m", "constant", "--json"] if how == "several" else [])]
    with pytest.raises(SystemExit) as stopped:
        main(["--debug", *words])
    said = capfd.readouterr()
    assert stopped.value.code == 2
    assert "error: " in said.err
    assert not re.search("PASSWORD.1", said.out + said.err)
    for path in (tmp_path / "out", tmp_path / "cache"):
        written = [file for file in path.rglob("*") if file.is_file()]
        assert not any(re.search(b"PASSWORD.1", file.read_bytes()) for file in written)
        assert written or how not in ("several", "file")  # the other model was evaluated


def test_what_is_no_secret_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "value")
    for text in ("openai:http://h:80/v1#org/m@2", "openai:http://h/v1#m?key=MY_KEY", "hf:org/m@main", "key=NAME, &"):
        assert redacted(text) == text


def test_texts_get_the_vectors_that_the_server_returns(server: Server) -> None:
    model = load(server)
    found = model.embed_candidates([Item(text) for text in TEXTS])
    np.testing.assert_array_equal(found, texts_of([vector("text", text) for text in TEXTS]))
    assert server.bodies[0]["model"] == "org/model"
    assert model.modalities == {"text"}
    assert model.dimension == DIMENSION
    assert model.symmetric


def test_vectors_in_base64_are_those_in_numbers(server: Server) -> None:
    def encode(answer: Any) -> Any:
        for entry in answer["data"]:
            entry["embedding"] = base64.b64encode(np.array(entry["embedding"], dtype="<f4").tobytes()).decode()
        return answer

    items = [Item(text) for text in TEXTS]
    expected = load(server).embed_candidates(items)
    server.change = encode
    np.testing.assert_array_equal(load(server).embed_candidates(items), expected)


def test_many_texts_go_in_several_requests_at_a_time_and_come_back_in_order(server: Server) -> None:
    model = load(server, "?batch=5&concurrency=3")
    server.most_busy = 0
    items = [Item(f"text {number}") for number in range(103)]
    found = model.embed_candidates(items)
    np.testing.assert_array_equal(found, texts_of([vector("text", item.text) for item in items]))
    assert [len(body["input"]) for body in server.bodies].count(5) == 20
    assert len(server.bodies) == 21
    assert server.most_busy <= 3


def test_pictures_as_data_uris(server: Server) -> None:
    model = load(server, "?images=data-uri")
    assert model.modalities == {"text", "image"}
    images = [*pictures(), Image.new("RGB", (1, 1), "red"), Image.new("RGB", (900, 3), "blue")]
    items = [Item(image=images[0]), Item("words"), *(Item(image=image) for image in images[1:])]
    expected = [vector("text", i.text) if i.text else vector("image", picture_digest(i.image)) for i in items]
    np.testing.assert_array_equal(model.embed_queries(items, "find"), texts_of(expected))
    with pytest.raises(ModelError, match="takes no such item"):
        model.embed_candidates([Item("words", images[0])])


def test_messages_hold_the_picture_the_text_and_the_instruction(server: Server) -> None:
    model = load(server, "?images=messages&system={instruction}")
    assert model.modalities == {"text", "image", "image,text"}
    assert not model.symmetric
    image = pictures()[0]
    items = [Item("words", image), Item(image=image), Item("words")]
    system, picture, words = (
        ("system", "text", "find it"),
        ("user", "image_url", picture_digest(image)),
        ("user", "text", "words"),
    )
    expected = [vector("messages", parts) for parts in ([system, picture, words], [system, picture], [system, words])]
    np.testing.assert_array_equal(model.embed_queries(items, "find it"), texts_of(expected))
    expected = [vector("messages", parts) for parts in ([picture, words], [picture], [words])]
    np.testing.assert_array_equal(model.embed_candidates(items), texts_of(expected))


def test_templates(server: Server) -> None:
    model = load(server, "?query=Instruct: {instruction}%0AQuery: {text}&candidate=passage: {text}")
    assert not model.symmetric
    model.embed_queries([Item("a {text} of {instruction}")], "find {text}")
    model.embed_candidates([Item("b")])
    sent = [body["input"] for body in server.bodies]
    assert sent == [["Instruct: find {text}\nQuery: a {text} of {instruction}"], ["passage: b"]]


def test_dimensions_are_asked_for(server: Server) -> None:
    model = load(server, "?dimensions=4")
    assert model.dimension == 4
    np.testing.assert_array_equal(model.embed_candidates([Item("a")]), texts_of([vector("text", "a", dimension=4)]))


def test_what_decides_vectors_decides_the_cache(server: Server) -> None:
    found = [
        json.dumps(fingerprint(load(server, options)))
        for options in ("", "?dimensions=4", "?query=q: {text}", "?images=messages", "?revision=2", "?images=data-uri")
    ]
    assert len(set(found)) == len(found)
    assert json.dumps(fingerprint(load(server, "?batch=3&concurrency=2&timeout=9"))) == found[0]


def status(number: int, **headers: str) -> Callable[[Handler], None]:
    return lambda handler: handler.answer(number, {"error": {"message": "later"}}, **headers)


def slow(handler: Handler) -> None:
    time.sleep(1.5)
    handler.answer(200, handler.embed({"model": "m", "input": ["late"]}))


@pytest.mark.parametrize(
    "faults",
    [
        [status(503)],
        [status(429), status(500), status(502), status(504)],
        [lambda handler: handler.hang_up()],
        [lambda handler: handler.hang_up(b'{"data": [{"index": 0, "emb')],
        [lambda handler: handler.answer(200, b'{"data": [{"index": 0, "emb')],
        [slow],
        [status(503, Retry_After="nonsense")],
    ],
    ids=["503", "four", "hang up", "half an answer", "half JSON", "time-out", "nonsense"],
)
def test_a_fault_that_passes_does_not_end_the_run(server: Server, faults: list[Any]) -> None:
    model = load(server, "?timeout=1")
    server.script = list(faults)
    np.testing.assert_array_equal(model.embed_candidates([Item("a")]), texts_of([vector("text", "a")]))
    assert len(server.bodies) == len(faults) + 1


@pytest.mark.parametrize("said", ["1", lambda: formatdate(time.time() + 2, usegmt=True)], ids=["seconds", "date"])
def test_retry_after_is_honoured(server: Server, said: Any) -> None:
    model = load(server)
    server.times.clear()
    server.script = [status(429, Retry_After=said if isinstance(said, str) else said())]
    model.embed_candidates([Item("a")])
    assert 0.9 < server.times[1] - server.times[0] < 4


def test_waits_double(server: Server) -> None:
    model = load(server)
    server.times.clear()
    server.script = [status(503)] * 5
    model.embed_candidates([Item("a")])
    waits = np.diff(server.times)
    assert waits[4] > waits[0] + 0.1


def test_faults_that_stay_end_in_one_line(server: Server) -> None:
    model = load(server)
    server.script = [status(503)] * 100
    with pytest.raises(ModelError, match=r"did not answer as it should, 8 times: status 503: later; where: http"):
        model.embed_candidates([Item("a")])
    assert len(server.bodies) == 8


def test_one_lasting_fault_stops_the_other_requests(server: Server) -> None:
    model = load(server, "?batch=1&concurrency=4")
    server.script = [status(400), *[status(503, Retry_After="60")] * 3]
    started = time.monotonic()
    with pytest.raises(ModelError, match="status 400: later"):
        model.embed_candidates([Item(str(number)) for number in range(50)])
    assert time.monotonic() - started < 5
    server.script = []
    assert len(model.embed_candidates([Item("a")])) == 1


def without_last(answer: Any) -> Any:
    return answer | {"data": answer["data"][:-1]}


def entries(change: Callable[[dict[str, Any]], None]) -> Callable[[Any], Any]:
    def changed(answer: Any) -> Any:
        for entry in answer["data"]:
            change(entry)
        return answer

    return changed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without_last, "another number of vectors.*got: 1; accepted: 2"),
        (entries(lambda entry: entry.update(index=0)), r"repeats an index.*got: \[0, 0\]; accepted: 0 to 1, each once"),
        (entries(lambda entry: entry.update(index=entry["index"] + 1)), r"other indices.*got: \[1, 2\]"),
        (entries(lambda entry: entry["embedding"].pop()), rf"another dimension.*got: \(11,\); accepted: {DIMENSION}"),
        (entries(lambda entry: entry.update(embedding=[float("nan")] * DIMENSION)), "with NaN or infinity"),
        (entries(lambda entry: entry.update(embedding=[1e39] * DIMENSION)), "with NaN or infinity"),
        (entries(lambda entry: entry.update(embedding="AAAA")), "no vectors.*base64 of float32"),
        (entries(lambda entry: entry.update(embedding="no base64!")), "no vectors.*base64 of float32"),
        (entries(lambda entry: entry.update(embedding=None)), "another dimension|no vectors"),
        (entries(lambda entry: entry.pop("embedding")), "another form"),
        (lambda answer: {"error": "out of memory"}, "another form.*out of memory"),
        (lambda answer: [], "another form"),
        (lambda answer: None, "another form"),
    ],
)
def test_bad_answers_are_one_line(server: Server, change: Any, message: str) -> None:
    model = load(server)
    server.change = change
    with pytest.raises(ModelError, match=message) as caught:
        model.embed_candidates([Item("a"), Item("b")])
    assert "\n" not in str(caught.value)


def test_an_answer_without_end_is_given_up(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load(server)
    monkeypatch.setattr(http_client, "_LARGEST", 1 << 20)
    server.script = [lambda handler: handler.answer(200, b" " * (1 << 22))]
    with pytest.raises(ModelError, match=r"the answer is too large; .*accepted: 1 MiB") as caught:
        model.embed_candidates([Item("a")])
    assert "\n" not in str(caught.value)


def test_a_page_of_html_is_one_line(server: Server) -> None:
    model = load(server)
    server.script = [lambda handler: handler.answer(200, b"<html>\n<body>Sign in</body></html>")] * 9
    with pytest.raises(ModelError, match="2 times: the answer is not JSON: '<html> <body>Sign in"):
        model.embed_candidates([Item("a")])


def test_other_statuses_are_not_tried_again(server: Server) -> None:
    model = load(server)
    for number, hint in ((401, "set the key in OPENAI_API_KEY"), (404, "check the URL"), (422, ""), (307, "redirects")):
        server.script, server.bodies = [status(number, Location="http://127.0.0.1:9/")], []
        with pytest.raises(ModelError, match=rf"status {number}.*{hint}"):
            model.embed_candidates([Item("a")])
        assert len(server.bodies) == 1


def test_nobody_listens() -> None:
    with pytest.raises(ModelError, match=r"3 times: no connection; where: http://127.0.0.1:1/v1/embeddings"):
        load_model("openai:http://127.0.0.1:1/v1#m")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("openai:http://h/v1", "no name of a model"),
        ("openai:ftp://h/v1#m", "malformed URL"),
        ("openai:h:80#m", "malformed URL"),
        ("openai:http://h:port/v1#m", "malformed URL"),
        (f"openai:http://user:{KEY}@h/v1#m", "carries what a result must not hold"),
        (f"openai:http://h/v1;token={KEY}#m", "carries what a result must not hold"),
        (f"openai:http://h/v1?api-key={KEY}#m", "carries what|unknown option"),
        (
            f"openai:http://h/sk-{KEY}/v1#m",
            "carries what a result must not hold.*next: put the key into OPENAI_API_KEY",
        ),
        (f"openai:http://h/v1/hf_{'Ab3' * 11}#m", "carries what a result must not hold"),
        ("openai:http://h/v1#m?images=jpeg", "unknown form of images"),
        ("openai:http://h/v1#m?colour=red", "unknown option.*colour.*accepted: images: "),
        ("openai:http://h/v1#m?batch=0", "malformed option of a spec.*batch=; got: '0'"),
        ("openai:http://h/v1#m?batch=2&batch=3", "there twice"),
        ("openai:http://h/v1#m?query=find", "malformed template query"),
        ("openai:http://h/v1#m?candidate={instruction} {text}", "malformed template candidate"),
        ("openai:http://h/v1#m?system={instruction}", "needs messages"),
        (f"openai:http://h/v1#m?key={KEY}", "names an environment variable"),
        ("openai:http://h/v1#m?key=NOT_SET_AT_ALL", "is not set.*accepted: key=NAME"),
    ],
)
def test_bad_specs(spec: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load_model(spec)
    assert KEY not in str(caught.value)


def test_a_key_that_no_header_carries_is_not_shown(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\n")
    with pytest.raises(InputError, match="holds what a header cannot") as caught:
        load(server)
    assert KEY not in str(caught.value)


def test_the_key_comes_from_the_named_variable(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    load(server).embed_candidates([Item("a")])
    monkeypatch.setenv("OTHER_KEY", "other")
    load(server, "?key=OTHER_KEY").embed_candidates([Item("a")])
    assert server.keys == ["Bearer other"]


def test_a_password_of_netrc_is_not_sent(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text(f"machine 127.0.0.1 login me password {KEY}\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    load(server).embed_candidates([Item("a")])
    assert server.keys == [None]


def test_the_key_is_sent_and_found_nowhere_else(
    server: Server, tiny: Benchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The canary: results, caches, output and tracebacks, also of a server that repeats the key in its answer."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    command = ["--debug", "evaluate", str(tiny.folder), "--task", "t2i", "--cache", str(tmp_path / "cache")]
    command += ["--model", f"openai:{server.url}#m?images=messages", "--output"]
    with pytest.raises(SystemExit) as done:
        main([*command, str(tmp_path / "good")])
    assert done.value.code == 0
    assert server.keys[-1] == f"Bearer {KEY}"
    server.script = [lambda handler: handler.answer(401, {"error": {"message": f"Incorrect API key: {KEY}."}})]
    with pytest.raises(SystemExit) as done:
        main([*command, str(tmp_path / "bad")])
    assert done.value.code == 2
    said = capfd.readouterr()
    assert "Incorrect API key: [key]" in said.err
    assert "Traceback" in said.err
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 5
    assert all(KEY.encode() not in path.read_bytes() for path in files)
    assert KEY not in said.out + said.err


def test_answers_are_cached(server: Server, tiny: Benchmark, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = evaluate(tiny, load(server, "?images=messages"), tmp_path / "a", tasks=["t2i"], cache=cache)
    asked = len(server.bodies)
    again = evaluate(tiny, load(server, "?images=messages"), tmp_path / "b", tasks=["t2i"], cache=cache)
    assert asked > 30
    assert server.bodies == []
    assert again.tasks["t2i"].scores == first.tasks["t2i"].scores
    assert first.model["revision"] == f"{server.url}#org/model"
