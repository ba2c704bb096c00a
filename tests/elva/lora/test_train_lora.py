"""`mrbench train mend --lora` from end to end, on a small CLIP, as a user runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn_photos import COLOURS, write_photos
from PIL import Image
from safetensors.numpy import load_file
from tiny_towers import write_clip, write_siglip, write_siglip2

from elva.lora.method import LoraMethod
from elva.tuning.objectives import grid
from elva.tuning.train import Plan, Run
from mrbench.cli.app import main
from mrbench.models.protocol import Item
from mrbench.models.zoo import load_model
from mrbench.sources.open import open_benchmark

WITHOUT_MRBENCH = """
import sys
class Refuse:
    def find_spec(self, name, *_):
        if name.split(".")[0] in ("mrbench", "elva"):
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
import numpy, torch
from PIL import Image
from transformers import AutoModel, AutoImageProcessor, AutoTokenizer
folder, base, picture, text, out = sys.argv[1:]
def vectors(model):
    model.eval()
    pixels = AutoImageProcessor.from_pretrained(base, backend="pil")(images=[Image.open(picture)], return_tensors="pt")
    tokens = AutoTokenizer.from_pretrained(base)([text], return_tensors="pt")
    with torch.no_grad():
        found = [model.get_text_features(**tokens), model.get_image_features(**pixels)]
    return [getattr(one, "pooler_output", one)[0].numpy() for one in found]
from peft import PeftModel
adapter = PeftModel.from_pretrained(AutoModel.from_pretrained(base), folder).merge_and_unload()
numpy.save(out, [vectors(adapter), vectors(AutoModel.from_pretrained(folder + "/merged"))])
"""


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp("lora") / "small-clip", list(COLOURS), dimension=24, max_length=48)


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    return write_photos(tmp_path_factory.mktemp("lora") / "photos", 90)


def mend(clip, data, out, *more, code=0, steps=40):
    words = ["train", "mend", "--model", f"hf:{clip}", "--data", str(data), "--out", str(out), "--lora", "--json"]
    words += ["--steps", str(steps), "--batch", "30", "--guard", "0.1", *more]
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == code


@pytest.fixture(scope="module")
def trained(clip, spec, tmp_path_factory):
    out = tmp_path_factory.mktemp("lora") / "mended"
    mend(clip, spec, out, "--merge")
    return out


@pytest.mark.slow
def test_adapters_learn_colours_and_the_report_says_so(trained):
    said = json.loads((trained / "lora.json").read_text())
    (report,) = said["report"].values()
    found = next(row for row in report if (row["task"], row["measure"]) == ("t2i", "hit_rate@5"))
    assert found["after"] > found["before"] + 0.2
    assert found["interval"][0] > 0
    card = (trained / "README.md").read_text()
    assert "Low-rank adapters (rank 8) on both towers" in card
    assert "PeftModel.from_pretrained(model, FOLDER)" in card
    assert (trained / "before-after.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.slow
def test_transformers_and_peft_load_it_without_mrbench(trained, clip, tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 36, 3), dtype=np.uint8)).save(tmp_path / "p.png")
    text, picture = "A red ball on blue", tmp_path / "p.png"
    words = [sys.executable, "-c", WITHOUT_MRBENCH, str(trained), str(clip), str(picture), text, "v.npy"]
    subprocess.run(words, cwd=tmp_path, check=True, capture_output=True)
    adapter, merged = np.load(tmp_path / "v.npy")
    for folder in (trained, trained / "merged"):
        model = load_model(f"hf:{folder}")
        ours = [model.embed_candidates([item])[0] for item in (Item(text), Item(None, Image.open(picture)))]
        np.testing.assert_allclose(adapter, ours, atol=1e-5)
        np.testing.assert_allclose(merged, ours, atol=1e-5)
    base = load_model(f"hf:{clip}").embed_candidates([Item(text)])[0]
    assert np.abs(base - adapter[0]).max() > 1e-2


def test_it_is_a_model_of_every_command_with_the_scores_of_the_report(trained, spec, tmp_path, capsys):
    (report,) = json.loads((trained / "lora.json").read_text())["report"].values()
    wanted = next(row for row in report if (row["task"], row["measure"]) == ("i2t", "hit_rate@5"))["after"]
    with pytest.raises(SystemExit):
        main(["evaluate", spec, "--model", f"hf:{trained}", "--output", str(tmp_path / "r"), "--json"])
    scores = json.loads(capsys.readouterr().out)["tasks"]["i2t"]["scores"]
    assert scores["hit_rate@5"] == pytest.approx(wanted, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("second", [False, True])
def test_siglip_trains_and_its_adapter_and_checkpoint_embed_alike(spec, tmp_path, second):
    write = write_siglip2 if second else write_siglip
    base = write(tmp_path / "base", ["<pad>", "</s>", "<unk>", "a", "on", "ball", *COLOURS])
    mend(base, spec, tmp_path / "out", "--merge", "--rate", "1e-2", steps=20)
    items = [Item("red ball on blue"), Item(None, Image.new("RGB", (40, 30), (200, 30, 30)))]
    before, adapter, merged = (
        np.stack([load_model(f"hf:{folder}").embed_candidates([item])[0] for item in items])
        for folder in (base, tmp_path / "out", tmp_path / "out/merged")
    )
    np.testing.assert_allclose(adapter, merged, atol=1e-5)
    assert (np.abs(adapter - before).max(1) > 1e-3).all()
    names = load_file(tmp_path / "out/adapter_model.safetensors")
    assert any("vision_model.head.mlp" in name for name in names)
    assert not any("head.attention" in name for name in names)  # torch's attention calls no layer inside


def test_the_frozen_model_stays_as_it_was(clip, spec):
    method = LoraMethod(f"hf:{clip}", device="cpu")
    data = method.read(open_benchmark(spec), "train")
    plan = Plan("infonce", grid("infonce", identity=True), identity=True, steps=20, batch=20, guard=1.0)
    run = Run(data, data, plan, plan.grid[0], method.start(data, 0)(plan.grid[0]))
    assert float(run.divergence(0).detach()) == pytest.approx(0, abs=1e-6)
    before = run.model.frozen(data, "text", torch.arange(5))
    with torch.no_grad():
        for weight in run.weights.values():
            weight += 0.05
    assert float(run.divergence(0).detach()) > 1e-4
    torch.testing.assert_close(run.model.frozen(data, "text", torch.arange(5)), before)


def test_chunks_have_the_gradient_of_one_pass(clip, spec):
    gradients = []
    for chunk in (1000, 7):
        method = LoraMethod(f"hf:{clip}", chunk=chunk, device="cpu")
        data = method.read(open_benchmark(spec), "train")
        towers = method.start(data, 0)(None)
        with torch.no_grad():
            for weight in towers.weights().values():
                weight += 0.05
        found = towers.outputs(data, "image", torch.arange(20)).square().sum()
        found = found + towers.outputs(data, "text", torch.arange(20)).square().sum()
        gradients.append(torch.autograd.grad(found, list(towers.weights().values())))
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_two_processes_have_the_gradient_of_one(clip, spec, tmp_path):
    script = Path(__file__).with_name("two_trainers.py")
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    found = []
    for world in (1, 2):
        out = tmp_path / f"{world}.json"
        launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(world)]
        command = [sys.executable, *(launch if world > 1 else []), str(script), str(clip), spec, str(out)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        found.append(json.loads(out.read_text()))
    assert [result["world"] for result in found] == [1, 2]
    one, two = (np.array(result["gradient"]) for result in found)
    assert np.linalg.norm(one) > 1e-3
    assert np.linalg.norm(one - two) < 1e-4 * np.linalg.norm(one)


@pytest.mark.slow
def test_interrupted_and_continued_is_uninterrupted(clip, spec, trained, tmp_path, monkeypatch):
    seen, loss = [], Run.loss

    def counted(self, step):
        seen.append(step)
        if len(seen) == 70:
            raise KeyboardInterrupt
        return loss(self, step)

    monkeypatch.setattr(Run, "loss", counted)
    mend(clip, spec, tmp_path / "out", code=130)
    assert (tmp_path / "out.unfinished").exists()
    mend(clip, spec, tmp_path / "out", "--resume")
    files = [(folder / "adapter_model.safetensors").read_bytes() for folder in (trained, tmp_path / "out")]
    assert files[0] == files[1]


@pytest.mark.slow
def test_a_guard_and_a_second_benchmark(clip, spec, tmp_path):
    other = write_photos(tmp_path / "other", 30, seed=7)
    mend(clip, spec, tmp_path / "out", "--keep", other, "--objective", "infonce", steps=20)
    assert len(json.loads((tmp_path / "out/lora.json").read_text())["report"]) == 2


@pytest.mark.parametrize(
    ("model", "more", "said"),
    [
        ("minilm", (), "no towers that adapters can be put on"),
        ("random", (), "no towers that adapters can be put on"),
        (None, ("--head",), "say what to train"),
        (None, ("--objective", "graded"), "graded needs ladders"),
        (None, ("--rate", "1e30"), "training diverged, nothing is written"),
    ],
)
def test_bad_input_is_one_line(clip, spec, tmp_path, capsys, model, more, said):
    words = ["train", "mend", "--model", model or f"hf:{clip}", "--data", spec, "--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as stopped:
        main([*words, "--lora", "--steps", "20", *more])
    assert stopped.value.code == 2
    errors = capsys.readouterr().err.strip().splitlines()
    assert said in errors[-1]
    assert not list(tmp_path.iterdir())


def test_an_adapter_is_no_base(trained, spec, tmp_path, capsys):
    mend(trained, spec, tmp_path / "out", code=2)
    assert "an adapter already" in capsys.readouterr().err


def test_a_dry_run_says_how_long_and_writes_nothing(clip, spec, tmp_path, capsys):
    mend(clip, spec, tmp_path / "out", "--dry-run")
    said = json.loads(capsys.readouterr().out)
    assert set(said) == {"read", "train_at_least", "train_at_most", "report"}
    assert 0 < said["train_at_least"] <= said["train_at_most"]
    assert not list(tmp_path.iterdir())
