import contextlib
import fcntl
import itertools
import json
import os
import resource
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file
from small_recipe import SMALL

from elva import checkpoints
from elva.config import Optimiser, parse_recipe
from elva.engine import Stage, run
from elva.naming import naming
from elva.stages.contrastive import InfoNCE
from elva.train import train
from elva.zoo import ElvaModel
from mrbench.cli.app import main
from mrbench.errors import InputError, ModelError, OutputError
from mrbench.models.protocol import Item
from mrbench.models.zoo import load_model


def weights_of(folder):
    return load_file(folder / "model.safetensors")


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def metrics_of(out):
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "seconds"} for line in lines]


class StoppedError(Exception):
    pass


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """An uninterrupted run of all stages."""
    out = tmp_path_factory.mktemp("whole") / "run"
    train(parse_recipe(SMALL), data, out, device="cpu", quiet=True)
    return out


@pytest.mark.slow
def test_every_stage_moves_the_weights_it_should(whole):
    stages = [weights_of(whole / f"stage{number}") for number in range(4)]
    for number, (before, after) in enumerate(itertools.pairwise(stages), 1):
        moved = {name for name in before if not torch.equal(before[name], after[name])}
        assert moved
        assert not any("visual" in name for name in moved)
        if number == 3:
            assert all("_proj" in name for name in moved)
    lines = [json.loads(line) for line in (whole / "metrics.jsonl").read_text().splitlines()]
    assert [(line["stage"], line["step"]) for line in lines] == [
        (stage, step) for stage, steps in enumerate((4, 3, 3, 3)) for step in range(steps)
    ]
    assert {"reward", "reward_margin", "reward_ranking", "kl", "zero_variance", "length"} <= lines[-1].keys()


def test_a_stage_tells_what_its_summaries_name(whole, data):
    named = checkpoints.read_facts(whole / "stage3")["named"]
    (benchmark,) = data.benchmarks
    assert set(named) == {f"{benchmark.name} image", f"{benchmark.name} text"}
    assert all(set(grains) == set(benchmark.manifest.grain_types) for grains in named.values())
    assert all(0 <= share <= 1 for grains in named.values() for share in grains.values())


def test_canonical_summaries_name_everything(data):
    class Parrot:
        """Says what it was taught of the records that come."""

        def __init__(self, records):
            self.texts = iter([data.summaries.text(record.grains) for record in records])

        def summarise(self, inputs):
            return [next(self.texts) for _ in inputs], None

    (benchmark,) = data.benchmarks
    taught = [*list(benchmark.corpus("image", "train"))[-70:], *list(benchmark.corpus("text", "train"))[-70:]]
    shares = naming(Parrot(taught), [benchmark], data.summaries, limit=70)
    assert {share for grains in shares.values() for share in grains.values()} == {1.0}
    wrong = naming(Parrot(taught[::-1]), [benchmark], data.summaries, limit=70)
    assert all(share < 1 for grains in wrong.values() for share in grains.values())


@pytest.mark.slow
def test_a_second_run_is_the_same(whole, data, tmp_path, recipe):
    train(recipe, data, tmp_path / "again", device="cpu", quiet=True)
    assert same(weights_of(whole / "stage3"), weights_of(tmp_path / "again/stage3"))


@pytest.mark.slow
@pytest.mark.parametrize("stage", [0, 2, 3])
def test_interrupted_and_continued_is_uninterrupted(whole, data, tmp_path, recipe, stage, monkeypatch):
    out = tmp_path / "run"
    backward = "elva.stages.reinforcement.Learner.backward" if stage == 3 else None
    backward = backward or f"elva.stages.{'generative.Generation' if stage == 0 else 'contrastive.InfoNCE'}.backward"
    module, _, name = backward.rpartition(".")
    owner = __import__(module.rpartition(".")[0], fromlist=["x"]).__dict__[module.rpartition(".")[2]]
    original = getattr(owner, name)

    def stops(self, step):
        if step == 2 and (out / f"stage{stage - 1}").exists() == (stage > 0):
            raise StoppedError
        return original(self, step)

    monkeypatch.setattr(owner, name, stops)
    with pytest.raises(StoppedError):
        train(recipe, data, out, device="cpu", quiet=True, save_every=1)
    monkeypatch.setattr(owner, name, original)
    train(recipe, data, out, device="cpu", quiet=True, save_every=1, resume=True)
    assert same(weights_of(whole / "stage3"), weights_of(out / "stage3"))
    assert metrics_of(out) == metrics_of(whole)


def test_what_is_done_is_kept(whole, data, recipe):
    before = (whole / "stage3/model.safetensors").stat().st_mtime_ns
    train(recipe, data, whole, device="cpu", quiet=True, resume=True)
    assert (whole / "stage3/model.safetensors").stat().st_mtime_ns == before


def test_an_output_in_use_and_another_recipe_are_refused(whole, data, tmp_path, recipe):
    with pytest.raises(OutputError, match="in use"):
        train(recipe, data, whole, device="cpu", quiet=True)
    with pytest.raises(InputError, match="another recipe"):
        train(replace(recipe, seed=1), data, whole, device="cpu", quiet=True, resume=True)
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(OutputError):
        train(recipe, data, tmp_path, device="cpu", quiet=True)
    assert (tmp_path / "mine.txt").read_text() == "x"


def test_a_stage_needs_the_one_before(data, tmp_path, recipe):
    with pytest.raises(InputError, match="needs the model of stage 2"):
        train(recipe, data, tmp_path / "run", stages=[3], device="cpu", quiet=True)


@pytest.mark.slow
def test_a_stage_can_start_from_a_folder(whole, data, tmp_path, recipe):
    out = train(recipe, data, tmp_path / "run", stages=[3], start=whole / "stage2", device="cpu", quiet=True)
    assert same(weights_of(out), weights_of(whole / "stage3"))


def test_what_a_later_stage_cannot_do_is_said_before_the_first(data, tmp_path, recipe):
    greedy = replace(recipe.stage3, sampling=replace(recipe.stage3.sampling, hard=5000))
    with pytest.raises(InputError, match=r"fewer negatives than asked; where: scenes/.*got: 5002"):
        train(replace(recipe, stage3=greedy), data, tmp_path / "run", device="cpu", quiet=True)
    with pytest.raises(InputError, match="no stage"):
        train(parse_recipe({"name": "x", "base": "B"}), data, tmp_path / "run", device="cpu", quiet=True)
    with pytest.raises(InputError, match="no text query has a paraphrase"):
        train(recipe, replace(data, sentences=None), tmp_path / "run", device="cpu", quiet=True)
    with pytest.raises(InputError, match="lacks the device"):
        train(recipe, data, tmp_path / "run", device="cuda:99", quiet=True)
    assert not (tmp_path / "run").exists()


def test_negatives_that_run_out_are_one_line(whole, data, tmp_path, recipe):
    greedy = replace(recipe.stage3, sampling=replace(recipe.stage3.sampling, threshold=-1.0))
    changed, start = replace(recipe, stage3=greedy), whole / "stage2"
    with pytest.raises(InputError, match="fewer negatives than asked"):
        train(changed, data, tmp_path / "run", stages=[3], start=start, device="cpu", quiet=True)
    assert not (tmp_path / "run/stage3").exists()


@pytest.fixture(scope="module")
def stopped(data, tmp_path_factory):
    """A run that was interrupted in stage 2."""
    out = tmp_path_factory.mktemp("stopped") / "run"
    with pytest.MonkeyPatch.context() as patch:
        original = InfoNCE.backward

        def stops(self, step):
            if step == 2 and (out / "stage1").exists():
                raise StoppedError
            return original(self, step)

        patch.setattr(InfoNCE, "backward", stops)
        with pytest.raises(StoppedError):
            train(parse_recipe(SMALL), data, out, device="cpu", quiet=True, save_every=1)
    return out


@pytest.mark.slow
def test_a_line_of_metrics_torn_by_a_kill_is_written_again(stopped, whole, data, tmp_path, recipe):
    out = shutil.copytree(stopped, tmp_path / "run")
    lines = (out / "metrics.jsonl").read_text()
    (out / ".stage2.partial-x").mkdir()
    (out / "metrics.jsonl").write_text(lines + '{"stage": 2, "st')
    train(recipe, data, out, device="cpu", quiet=True, resume=True)
    assert metrics_of(out) == metrics_of(whole)
    assert same(weights_of(whole / "stage3"), weights_of(out / "stage3"))
    assert not (out / ".stage2.partial-x").exists()
    again = shutil.copytree(stopped, tmp_path / "again")
    (again / "metrics.jsonl").write_text("torn\n" + lines)
    with pytest.raises(InputError, match=r"metrics\.jsonl:1"):
        train(recipe, data, again, device="cpu", quiet=True, resume=True)


def test_a_state_that_was_altered_is_refused(stopped, data, tmp_path, recipe):
    out = shutil.copytree(stopped, tmp_path / "run")
    path = out / "state.safetensors"
    written = path.read_bytes()
    flipped = bytearray(written)
    flipped[-500] ^= 1
    moved = written.replace(b'"step":"2"', b'"step":"1"')
    assert moved != written
    for raw in (bytes(flipped), moved, written[:300], b""):
        path.write_bytes(raw)
        with pytest.raises(ModelError, match="state to go on from"):
            train(recipe, data, out, device="cpu", quiet=True, resume=True)


def test_other_pairs_and_another_start_are_refused_and_the_known_start_is_taken(stopped, whole, data, tmp_path, recipe):
    out = shutil.copytree(stopped, tmp_path / "run")
    with pytest.raises(InputError, match="another file of pairs"):
        train(recipe, replace(data, pairs="0" * 64), out, device="cpu", quiet=True, resume=True)
    with pytest.raises(InputError, match="another start"):
        train(recipe, data, out, start=whole / "stage0", device="cpu", quiet=True, resume=True)
    begun = tmp_path / "begun"
    train(recipe, data, begun, stages=[2], start=whole / "stage1", device="cpu", quiet=True)
    shutil.rmtree(begun / "stage2")
    train(recipe, data, begun, stages=[2], device="cpu", quiet=True, resume=True)
    assert same(weights_of(begun / "stage2"), weights_of(whole / "stage2"))


def test_another_model_in_the_folder_that_a_run_started_from_is_refused(whole, data, tmp_path, recipe):
    start = shutil.copytree(whole / "stage1", tmp_path / "start")
    train(recipe, data, tmp_path / "run", stages=[2], start=start, device="cpu", quiet=True)
    shutil.copy(whole / "stage0/model.safetensors", start / "model.safetensors")
    for given in (start, None):
        with pytest.raises(InputError, match="another weights"):
            train(recipe, data, tmp_path / "run", stages=[2], start=given, device="cpu", quiet=True, resume=True)


def test_the_state_of_another_number_of_processes_is_refused(stopped, data, tmp_path, recipe):
    out = shutil.copytree(stopped, tmp_path / "run")
    for name in ("state.0.safetensors", "state.1.safetensors"):
        shutil.copy(out / "state.safetensors", out / name)
    (out / "state.safetensors").unlink()
    with pytest.raises(InputError, match="another number of processes"):
        train(recipe, data, out, device="cpu", quiet=True, resume=True)
    assert (out / "state.0.safetensors").exists()


@pytest.mark.parametrize("line", [b'{"stage": "a", "step": 1}', b'{"stage": 1, "step": "\xff\xfe"}', b"[]", b"\xff"])
def test_metrics_that_are_none_are_one_line(stopped, data, tmp_path, recipe, line):
    out = shutil.copytree(stopped, tmp_path / "run")
    (out / "metrics.jsonl").write_bytes(line + b"\n" + (out / "metrics.jsonl").read_bytes())
    with pytest.raises(InputError, match=r"metrics\.jsonl:1"):
        train(recipe, data, out, device="cpu", quiet=True, resume=True)


def test_a_processor_that_cuts_otherwise_than_the_network_is_refused(whole, tmp_path):
    folder = shutil.copytree(whole / "stage2", tmp_path / "model")
    (folder / "preprocessor_config.json").write_text("{}")
    with pytest.raises(ModelError, match="patch_size"):
        checkpoints.load(folder, device="cpu")


def test_a_model_past_memory_is_one_line(scenes, tmp_path, capsys):
    (tmp_path / "r.yaml").write_text(json.dumps({**SMALL, "architecture": {**SMALL["architecture"], "hidden": 2**30}}))
    assert command("train", "elva", "--data", scenes, "--out", tmp_path / "run", "--recipe", tmp_path / "r.yaml") == 2
    assert capsys.readouterr().err.splitlines()[-1] == "error: out of memory"
    assert not (tmp_path / "run").exists()


def test_one_run_at_a_time_is_at_a_folder(stopped, data, tmp_path, recipe):
    out = shutil.copytree(stopped, tmp_path / "run")
    handle = os.open(out, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    with pytest.raises(OutputError, match="another run is at this folder"):
        train(recipe, data, out, device="cpu", quiet=True, resume=True)
    os.close(handle)
    train(recipe, data, out, device="cpu", quiet=True, resume=True)


def test_a_run_goes_on_exactly_where_a_weight_sometimes_has_no_gradient(tmp_path):
    """The plug-in mode has such steps: a batch of pictures leaves the text tower alone."""

    class Sometimes:
        def __init__(self, weight):
            self.weight = weight

        def backward(self, step):
            if step % 3 == 2:
                self.weight.grad = torch.full_like(self.weight, step + 1.0)
            return {"loss": 1.0}

        def state(self):
            return {}

        def load_state(self, state):
            pass

    found = []
    for stops in ((9,), (4, 9)):
        folder = tmp_path / str(len(stops))
        for steps in stops:
            weight = torch.nn.Parameter(torch.ones(2, 2))

            def stop(done, steps=steps):
                if done == steps < 9:
                    raise StoppedError

            stage = Stage(2, Optimiser(lr=0.1), 9, "digest", folder, save_every=1, quiet=True)
            with contextlib.suppress(StoppedError):
                run(stage, Sometimes(weight), {"w": weight}, resume=True, after=stop)
        found.append(weight)
    assert torch.equal(*found)


def test_a_vocabulary_without_ret_is_refused(whole, tmp_path):
    import shutil

    folder = tmp_path / "model"
    shutil.copytree(whole / "stage2", folder)
    for path in (folder / "tokenizer.json", folder / "tokenizer_config.json"):
        path.write_text(path.read_text().replace("[RET]", "[GET]"))
    with pytest.raises(ModelError, match=r"\[RET\]"):
        checkpoints.load(folder, device="cpu")


class Explodes:
    def __init__(self, weight):
        self.weight = weight

    def backward(self, step):
        self.weight.grad = torch.full_like(self.weight, np.nan if step == 1 else 1.0)
        return {"loss": 1.0}

    def state(self):
        return {}

    def load_state(self, state):
        pass


def test_a_gradient_that_is_not_finite_stops_the_run(tmp_path):
    weight = torch.nn.Parameter(torch.ones(2, 2))
    stage = Stage(2, Optimiser(lr=0.1), 5, "digest", tmp_path, quiet=True)
    with pytest.raises(ModelError, match="stage 2, step 1"):
        run(stage, Explodes(weight), {"w": weight})
    assert torch.isfinite(weight).all()


def test_the_zoo_embeds_as_the_stage_says(whole, data):
    queries = data.pools[-1].queries[:3]
    for number, how in ((2, "prompt"), (3, "summary")):
        model = load_model(f"elva:{whole}/stage{number}", device="cpu", batch_size=2)
        assert isinstance(model, ElvaModel)
        found = model.embed_queries([Item(q.text, q.image) for q in queries], "")
        expected = checkpoints.load(whole / f"stage{number}", device="cpu")[0].embed(queries, how)
        assert np.allclose(found, expected.numpy(), atol=1e-5)


def test_the_zoo_takes_the_mean_over_summaries_where_the_recipe_asks_for_it(whole, data, tmp_path):
    shutil.copytree(whole / "stage3", tmp_path / "several")
    facts = json.loads((tmp_path / "several" / "elva.json").read_text())
    facts["recipe"]["samples"] = 3
    (tmp_path / "several" / "elva.json").write_text(json.dumps(facts))
    queries = data.pools[-1].queries[:3]
    models = [ElvaModel(str(tmp_path / "several"), seed=seed, device="cpu") for seed in (0, 7)]
    assert models[0].preprocessing != models[1].preprocessing  # the cache of embeddings must not mix them up
    for seed, model in zip((0, 7), models, strict=True):
        found = model.embed_queries([Item(q.text, q.image) for q in queries], "")
        expected = checkpoints.load(whole / "stage3", device="cpu")[0].embed(queries, "summary", samples=3, seed=seed)
        assert np.allclose(found, expected.numpy(), atol=1e-5)


def test_the_name_tells_how_many_summaries_are_averaged(whole):
    names = [ElvaModel(str(whole / "stage3"), device="cpu", samples=samples).name for samples in (1, 4)]
    assert names == ["elva-small-summary", "elva-small-summary-4"]


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path):
    model, recipe, _ = checkpoints.load(Path(checkpoints.__file__).parent / "weights/tiny", device="cpu")
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(OutputError, match=r"cannot write the weights: .*File too large.*; where: .*stage1"):
            checkpoints.save(model, tmp_path / "stage1", recipe, stage=1, embedding="prompt", before=None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert not list(tmp_path.iterdir())


def test_a_limit_that_cuts_summaries_is_refused(data, tmp_path):
    recipe = parse_recipe({**SMALL, "max_summary": 5})
    with pytest.raises(InputError, match=r"a summary is longer than the recipe allows.*got: 5"):
        train(recipe, data, tmp_path / "run", device="cpu", quiet=True)
    assert not (tmp_path / "run").exists()


def test_no_summary_is_nothing_to_embed_after(whole):
    with pytest.raises(InputError, match="no summary to embed after"):
        ElvaModel(str(whole / "stage3"), device="cpu", samples=0)


def command(*words):
    with pytest.raises(SystemExit) as stopped:
        main([*map(str, words)])
    return stopped.value.code


@pytest.mark.slow
def test_the_command_trains_and_the_result_is_evaluated(scenes, tmp_path, capsys):
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump({**SMALL, "stage0": SMALL["stage0"] | {"steps": 1}}))
    words = ["train", "elva", "--recipe", tmp_path / "recipe.yaml", "--data", scenes, "--out", tmp_path / "run"]
    assert command(*words, "--dry-run", "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["stage"] for row in rows] == [0, 1, 2, 3]
    assert [row["steps"] for row in rows] == [1, 3, 3, 3]
    assert all(row["memory_gib"] > 0 and row["hours"] >= 0 for row in rows)
    assert not (tmp_path / "run").exists()
    assert command(*words, "--device", "cpu", "--json") == 0
    spec = json.loads(capsys.readouterr().out)["spec"]
    assert command("evaluate", scenes, "--model", spec, "--output", tmp_path / "result", "--device", "cpu") == 0
    result = json.loads((tmp_path / "result/result.json").read_text())
    assert len(result["tasks"]) == 4


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--recipe", "huge"], "tiny, qwen2-vl-2b, qwen2-vl-7b"),
        (["--stage", "4"], "all, 0, 1, 2, 3"),
        (["--data", "nowhere"], "nowhere"),
        (["--pairs", "nowhere.csv"], "nowhere.csv"),
        (["--stage", "0", "--recipe", "qwen2-vl-2b"], "lacks the stage"),
        (["--stage", "0", "--recipe", "qwen2-vl-2b", "--dry-run"], "lacks the stage"),
        (["--out", "/dev/null/run"], "/dev/null/run"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(scenes, tmp_path, capsys, words, said):
    arguments = ["train", "elva", "--data", scenes, "--out", tmp_path / "run", *words]
    assert command(*arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err
    assert captured.err.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("module", ["elva.cli", "mrbench.cli", "mrbench.cli.app"])
def test_each_command_line_module_is_imported_alone(module):
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True, capture_output=True)


def test_help_starts_without_torch():
    code = "import sys; from mrbench.cli.app import main\n"
    code += "try: main(['train', 'elva', '--help'])\nexcept SystemExit: pass\n"
    code += "assert 'torch' not in sys.modules and 'transformers' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
