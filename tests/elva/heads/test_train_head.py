"""`mrbench train head` and `mend --head` from end to end, with small encoders."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from drawn_photos import write_photos
from PIL import Image
from tqdm import tqdm

from elva.heads.folder import FOLDER
from elva.heads.linear import Heads
from elva.heads.method import HeadMethod
from elva.mending.run import Request, check, train_and_write
from elva.tuning.contents import held_out
from elva.tuning.encoders import identity, load_encoder, parts_of
from elva.tuning.objectives import grid
from elva.tuning.read import read_split
from elva.tuning.train import Plan, Run
from mrbench.cli.app import main
from mrbench.encode import ModelSource
from mrbench.errors import InputError, ModelError, OutputError
from mrbench.models.zoo import load_model
from mrbench.pools import load_pool
from mrbench.sources.open import open_benchmark

ENCODERS = f"py:{Path(__file__).with_name('small_encoders.py')}:"
SPECS = {"image": f"{ENCODERS}Thumbnails", "text": f"{ENCODERS}Words"}


def run(data, out, *, specs=SPECS, mend=False, before="random", resume=False, **changes):
    """Train heads; return what head.json says, and what was told."""
    told = []
    asked = Request(str(data), out, steps=80, resume=resume)
    asked = replace(asked, **changes)
    benchmark, keep = check(asked, FOLDER)
    method = HeadMethod(specs, mend=mend, dimension=16, before=before)
    return train_and_write(asked, method, benchmark, keep, told.append), told


def change_of(facts, measure, task):
    (report,) = facts["report"].values()
    return next(row for row in report if (row["measure"], row["task"]) == (measure, task))


@pytest.fixture(scope="module")
def trained(photos, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained") / "head"
    return out, *run(photos, out)


def test_a_head_learns_colours_and_the_report_says_so(trained):
    out, facts, told = trained
    found = change_of(facts, "hit_rate@5", "t2i")
    assert found["after"] > found["before"] + 0.2
    assert found["interval"][0] > 0
    assert any("hit_rate@5" in line for line in told)
    assert "hit_rate@5" in (out / "README.md").read_text()
    assert (out / "before-after.png").read_bytes()[:4] == b"\x89PNG"
    assert json.loads((out / "head.json").read_text())["data"]["digest"] == open_benchmark(facts["data"]["spec"]).digest


def test_the_head_is_a_model_of_the_zoo_with_the_scores_of_the_report(trained, photos, tmp_path, capsys):
    out, facts, _ = trained
    with pytest.raises(SystemExit) as stopped:
        main(
            [
                "evaluate",
                photos,
                "--model",
                f"head:{out}",
                "--output",
                str(tmp_path / "r"),
                "--json",
                "--trust-remote-code",
            ]
        )
    assert stopped.value.code == 0
    scores = json.loads(capsys.readouterr().out)["tasks"]["t2i"]["scores"]
    assert scores["hit_rate@5"] == pytest.approx(change_of(facts, "hit_rate@5", "t2i")["after"], abs=1e-6)


def test_every_file_may_be_read_by_whom_the_umask_says(trained):
    out, *_ = trained
    umask = os.umask(0)
    os.umask(umask)
    assert {path.stat().st_mode & 0o777 for path in out.iterdir() if path.is_file()} == {0o666 & ~umask}


def test_the_loader_embeds_without_mrbench(trained, photos, tmp_path):
    out, _, _ = trained
    benchmark = open_benchmark(photos)
    pool = load_pool(benchmark, "t2i", "test")
    features = ModelSource(load_model(SPECS["text"]), benchmark, "test").queries(pool)
    wanted = ModelSource(load_model(f"head:{out}", trust_remote_code=True), benchmark, "test").queries(pool)
    np.save(tmp_path / "features.npy", features * 3)  # of any length
    code = (
        "import sys\n"
        "class Refuse:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name.split('.')[0] in ('mrbench', 'elva', 'torch'):\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, Refuse())\n"
        "import numpy\n"
        "from load_head import embed, load_heads\n"
        "numpy.save('vectors.npy', embed(load_heads(), {'text': numpy.load('features.npy')}))\n"
    )
    run_here = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(out)!r})\n{code}"]
    subprocess.run(run_here, cwd=tmp_path, check=True, env={})
    np.testing.assert_allclose(np.load(tmp_path / "vectors.npy"), wanted, atol=1e-5)


def test_same_seed_same_bytes_whatever_the_threads(photos, tmp_path):
    torch.set_num_threads(2)
    try:
        run(photos, tmp_path / "a")
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    run(photos, tmp_path / "b")
    run(photos, tmp_path / "c", seed=1)
    one, same, other = ((tmp_path / name / "heads.safetensors").read_bytes() for name in "abc")
    assert one == same != other


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["ladder", "graded", "reward", "policy"])
def test_every_objective_trains_on_ladders_and_composed_queries(suite, objective, tmp_path):
    facts, _ = run(suite, tmp_path / "out", objective=objective, steps=40)
    assert set(facts["data"]["queries"]) == {"t2i", "i2t", "i2i", "it2i"}
    assert change_of(facts, "pair_accuracy", "it2i")["count"] > 0
    assert len(facts["training"]["tried"]) == 8
    assert facts["training"]["curve"][-1][0] >= facts["training"]["step"]


@pytest.mark.slow
@pytest.mark.parametrize("model", ["Both", "Whole"])
def test_a_mended_model_starts_as_itself(suite, model, tmp_path):
    spec = f"{ENCODERS}{model}"
    facts, _ = run(suite, tmp_path / "out", specs={"text": spec}, mend=True, rate=1e-12, before=None, steps=20)
    assert ("image,text" in facts["encoders"]) == (model == "Whole")
    (report,) = facts["report"].values()
    assert len(report) > 10
    assert all(row["before"] == pytest.approx(row["after"], abs=1e-6) for row in report)


def test_the_guard_keeps_similarities(photos):
    model = load_encoder(f"{ENCODERS}Both")
    data = read_split(open_benchmark(photos), "train", parts_of(model))
    moved = {}
    for guard in (1e-9, 100.0):
        plan = Plan("infonce", grid("infonce", identity=True, rate=1e-2), identity=True, guard=guard)
        run = Run(data, data, plan, plan.grid[0], Heads(data.tables, 48, identity=True))
        run.advance(40, tqdm(disable=True))
        moved[guard] = float(run.divergence(0).detach())
    assert moved[100.0] < 0.5 * moved[1e-9]


def test_a_second_benchmark_is_kept_and_reported(suite, photos, tmp_path):
    spec = f"{ENCODERS}Both"
    facts, _ = run(photos, tmp_path / "out", specs={"text": spec}, mend=True, keep=str(suite), guard=1.0, before=None)
    assert len(facts["report"]) == 2
    with pytest.raises(InputError, match="the benchmark to keep is the one that is trained on"):
        run(photos, tmp_path / "other", specs={"text": spec}, mend=True, keep=photos, guard=1.0)


def test_without_a_validation_split_whole_photos_are_held_out(tmp_path):
    spec = write_photos(tmp_path / "photos", 90, splits=("train", "train", "test"))
    facts, _ = run(spec, tmp_path / "out")
    assert facts["data"]["validation"].startswith("10% of the training split")
    asked = facts["data"]["queries"]
    assert asked["t2i"] == 2 * asked["i2t"] < 120  # a photo and both of its captions leave together


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"objective": "contrast"}, InputError, "unknown objective.*infonce, ladder"),
        ({"objective": "graded"}, InputError, "graded needs ladders"),
        ({"objective": "reward"}, InputError, "reward needs ladders"),
        ({"specs": {**SPECS, "image": SPECS["text"]}}, ModelError, "the encoder takes no image"),
        ({"specs": {**SPECS, "text": f"{ENCODERS}nothing"}}, ModelError, "not an embedding model"),
        ({"specs": {**SPECS, "text": f"{ENCODERS}Alike"}}, InputError, "all texts of the training split are equal"),
        ({"rate": 1e30}, ModelError, "training diverged, nothing is written"),
        ({"specs": {"text": SPECS["text"]}, "mend": True}, InputError, "no task .* can be trained on.*take no image"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(photos, tmp_path, changes, error, said):
    with pytest.raises(error, match=said):
        run(photos, tmp_path / "out", **changes)
    assert not list(tmp_path.iterdir())


def test_no_training_split(tmp_path):
    spec = write_photos(tmp_path / "photos", 6, splits=("test",))
    with pytest.raises(InputError, match=r"no training split.*next: mrbench build captions"):
        run(spec, tmp_path / "out")


def test_a_whole_file_trains_when_it_is_asked_to(tmp_path):
    spec = write_photos(tmp_path / "photos", 60, splits=("",))
    with pytest.raises(InputError, match=r"no training split.*captions:FILE\?as=train"):
        run(spec, tmp_path / "out")
    facts, told = run(f"{spec}?as=train", tmp_path / "out")
    assert facts["report"] == {}
    assert "no test split" in " ".join(told)
    assert "held out" in facts["data"]["validation"]


def test_equal_captions_are_refused(tmp_path):
    spec = write_photos(tmp_path / "photos", 30, change=lambda row: {**row, "captions": ["A photo."]})
    with pytest.raises(InputError, match="equal"):
        run(spec, tmp_path / "out")


def test_a_test_image_in_training_is_refused_in_another_encoding_too(tmp_path):
    folder = tmp_path / "photos"
    spec = write_photos(folder, 30)
    Image.open(folder / "002.png").save(folder / "000.png", compress_level=0)
    assert (folder / "000.png").read_bytes() != (folder / "002.png").read_bytes()
    with pytest.raises(InputError, match=r"1 images of the test split are in the training data too.*002\.png"):
        run(spec, tmp_path / "out")


def test_a_test_caption_in_training_is_left_out_and_named(tmp_path):
    def change(row):
        return (
            {**row, "captions": ["A ball on a ground.", *row["captions"]]}
            if row["image"][:3] in ("000", "002")
            else row
        )

    facts, told = run(write_photos(tmp_path / "photos", 60, change=change), tmp_path / "out")
    assert "1 texts of the training split are in the test data word for word" in told[0]
    assert facts["data"]["queries"]["t2i"] == 40


def test_a_folder_in_use(trained, photos, tmp_path):
    out, _, _ = trained
    before = (out / "heads.safetensors").read_bytes()
    with pytest.raises(OutputError, match="--overwrite"):
        run(photos, out)
    run(photos, out, overwrite=True)  # with what Python left where the loader was used
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="did not write"):
        run(photos, tmp_path, overwrite=True)
    assert (out / "heads.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["head", "--image", "{image}", "--text", "{text}", "--data", "{photos}", "--objective", "policy"],
            "needs ladders",
        ),
        (["head", "--image", "{image}", "--text", "{image}", "--data", "{photos}"], "takes no text"),
        (["head", "--image", "{image}", "--text", "{text}", "--data", "nowhere"], "nowhere"),
        (["head", "--image", "{image}", "--text", "{text}", "--data", "{photos}", "--rate", "1e30"], "diverged"),
        (
            ["head", "--image", "{image}", "--text", "{text}", "--data", "{photos}", "--resume", "--rate", "1e30"],
            "diverged",
        ),
        (["mend", "--model", "{text}", "--data", "{photos}", "--head"], "no task of the train split can be trained on"),
        (
            ["mend", "--model", "{both}", "--data", "{photos}", "--head", "--keep", "{photos}"],
            "the one that is trained on",
        ),
        (["mend", "--model", "{both}", "--data", "{photos}", "--head", "--merge"], "no checkpoint to merge with"),
    ],
)
def test_bad_input_on_the_command_line_is_one_line_and_exit_code_2(photos, tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    names = {"image": SPECS["image"], "text": SPECS["text"], "both": f"{ENCODERS}Both", "photos": photos}
    with pytest.raises(SystemExit) as stopped:
        main(["train", *(word.format(**names) for word in words), "--out", "out", "--steps", "20"])
    assert stopped.value.code == 2
    found = capsys.readouterr()
    errors = [line for line in found.err.splitlines() if line.startswith("error:")]
    assert len(errors) == 1
    assert said in errors[0]
    assert "Traceback" not in found.err
    assert not found.out
    assert not list(tmp_path.iterdir())


class Stop(KeyboardInterrupt):
    """What Ctrl-C raises."""


@pytest.mark.slow
@pytest.mark.parametrize("at", [90, 250])  # in the trials of settings; in the run that was picked
def test_interrupted_and_continued_is_uninterrupted(photos, tmp_path, monkeypatch, at):
    seen = []
    loss, stop = Run.loss, [None]

    def counted(self, step):
        seen.append(step)
        if len(seen) == stop[0]:
            raise Stop
        return loss(self, step)

    monkeypatch.setattr(Run, "loss", counted)
    run(photos, tmp_path / "whole", steps=160)
    total = len(seen)
    stop[0] = total + at
    with pytest.raises(Stop):
        run(photos, tmp_path / "out", steps=160)
    assert not (tmp_path / "out").exists()
    with pytest.raises(OutputError, match="--resume"):
        run(photos, tmp_path / "out", steps=160)
    with pytest.raises(InputError, match=r"started with another option, steps.*got: 200; accepted: 160"):
        run(photos, tmp_path / "out", steps=200, resume=True)
    with pytest.raises(InputError, match="started with another data"):
        run(write_photos(tmp_path / "more", 63), tmp_path / "out", steps=160, resume=True)
    run(photos, tmp_path / "out", steps=160, resume=True)
    files = [(tmp_path / name / "heads.safetensors").read_bytes() for name in ("whole", "out")]
    assert files[0] == files[1]
    assert len(seen) - total <= total + 20  # it did not begin anew
    assert not (tmp_path / "out.unfinished").exists()


@pytest.fixture
def copy(trained, tmp_path):
    out, _, _ = trained
    for path in (path for path in out.iterdir() if path.is_file()):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def test_another_encoder_is_refused_and_other_heads_are_another_revision(copy, trained):
    facts = json.loads((copy / "head.json").read_text())
    facts["encoders"]["text"]["spec"] = f"{ENCODERS}Later"
    (copy / "head.json").write_text(json.dumps(facts))
    with pytest.raises(ModelError, match="not the one that the heads were trained on"):
        load_model(f"head:{copy}", trust_remote_code=True)
    facts["encoders"]["text"]["identity"] = identity(load_model(f"{ENCODERS}Later"))
    (copy / "head.json").write_text(json.dumps(facts))
    assert (
        load_model(f"head:{copy}", trust_remote_code=True).revision
        != load_model(f"head:{trained[0]}", trust_remote_code=True).revision
    )


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("heads.safetensors", b"nothing", "cannot be read"),
        ("head.json", b"{}", "not a folder of heads"),
        ("head.json", b'{"format": "mrbench-head", "format_version": 1}', "does not say which encoders"),
        ("head.json", b'{"format": "mrbench-head", "format_version": 9}', "newer"),
    ],
)
def test_a_damaged_folder(copy, name, content, said):
    (copy / name).write_bytes(content)
    with pytest.raises(Exception, match=said):
        load_model(f"head:{copy}", trust_remote_code=True)


@pytest.mark.parametrize("spec", ["py:{file}:Model", "openai:http://127.0.0.1:9/v1#m"])
def test_a_folder_of_heads_neither_runs_code_nor_calls_a_server_unless_allowed(copy, tmp_path, spec):
    ran = tmp_path / "ran"
    (tmp_path / "canary.py").write_text(f"from pathlib import Path\nPath({str(ran)!r}).touch()\n")
    facts = json.loads((copy / "head.json").read_text())
    facts["encoders"]["text"]["spec"] = spec.format(file=tmp_path / "canary.py")
    (copy / "head.json").write_text(json.dumps(facts))
    with pytest.raises(ModelError, match=r"runs code or calls a server; where: .*head\.json.*--trust-remote-code"):
        load_model(f"head:{copy}")
    assert not ran.exists()
    if spec.startswith("py:"):
        with pytest.raises(InputError, match="no such object"):
            load_model(f"head:{copy}", trust_remote_code=True)
        assert ran.exists()  # the canary sings where it may


def test_heads_that_name_themselves_are_one_line(copy):
    facts = json.loads((copy / "head.json").read_text())
    for part in facts["encoders"].values():
        part["spec"] = f"head:{copy}"
    (copy / "head.json").write_text(json.dumps(facts))
    with pytest.raises(ModelError, match="the heads name themselves as encoder"):
        load_model(f"head:{copy}")


def test_mend_asks_what_to_train(photos, tmp_path, capsys):
    words = ["train", "mend", "--model", f"{ENCODERS}Both", "--data", photos, "--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 2
    assert "accepted: --head or --lora" in capsys.readouterr().err


def test_a_dry_run_says_how_long_and_writes_nothing(photos, tmp_path, capsys):
    words = ["train", "head", "--image", SPECS["image"], "--text", SPECS["text"], "--data", photos]
    with pytest.raises(SystemExit) as stopped:
        main([*words, "--out", str(tmp_path / "out"), "--steps", "160", "--dry-run", "--json"])
    assert stopped.value.code == 0
    said = json.loads(capsys.readouterr().out)
    assert 0 < said["train_at_least"] <= said["train_at_most"]
    assert said["read"] > 0
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["text", "words", "caption", "red"])
def test_a_file_of_few_captions_holds_out_one_group(name):
    """Ten captions that three photos each share; by digest a tenth may be none of them."""
    captions, photos = [f"{name} {n // 3}" for n in range(30)], [f"image {name} {n}" for n in range(30)]
    tasks = {"t2i": SimpleNamespace(relevant=SimpleNamespace(query=np.arange(30), position=np.arange(30)))}
    asked, answers = held_out(tasks, {"t2i": (captions, photos)})["t2i"]
    assert 3 <= asked.sum() <= 15
    assert asked.tolist() == answers.tolist()
    assert all(len(set(asked[at : at + 3])) == 1 for at in range(0, 30, 3))
