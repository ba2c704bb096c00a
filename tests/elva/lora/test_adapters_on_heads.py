"""`train mend --lora` on the text encoder of trained heads, from end to end: a small text model, drawn photos."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn_photos import COLOURS, write_photos
from safetensors.numpy import load_file, save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from elva.lora.text import TextMethod
from elva.tuning.objectives import grid
from elva.tuning.train import Plan, Run
from mrbench.cli.app import main
from mrbench.models.protocol import Item
from mrbench.models.zoo import load_model
from mrbench.sources.open import open_benchmark

IMAGES = f"py:{Path(__file__).parents[1] / 'heads/small_encoders.py'}:Thumbnails"
WORDS = ["<pad>", "<unk>", "a", "ball", "on", "lies", "one", "number", "the", *COLOURS]
ALONE = """
import sys
class Refuse:
    def find_spec(self, name, *_):
        if name.split(".")[0] in ("mrbench", "elva"):
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
import numpy
from sentence_transformers import SentenceTransformer
from peft import PeftModel
folder, base, text = sys.argv[1:]
sys.path.insert(0, folder)
from load_head import embed, load_heads
adapted = PeftModel.from_pretrained(SentenceTransformer(base, device="cpu"), folder + "/text-adapter")
adapted = adapted.merge_and_unload()
whole = SentenceTransformer(folder + "/text", device="cpu")
numpy.save("v.npy", [embed(load_heads(), {"text": adapted.encode([text])})[0], whole.encode([text])[0]])
"""


def write_text_model(folder):
    """Write a model of sentence-transformers with random weights that knows the words for colours."""
    folder.mkdir()
    torch.manual_seed(0)
    size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    BertModel(BertConfig(vocab_size=len(WORDS), max_position_embeddings=24, **size)).save_pretrained(folder / "bert")
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(WORDS)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    named = {"pad_token": "<pad>", "unk_token": "<unk>", "model_max_length": 24}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **named).save_pretrained(folder / "bert")
    modules = [Transformer(str(folder / "bert")), Pooling(32, "mean")]
    SentenceTransformer(modules=modules, device="cpu").save(str(folder / "st"))
    return folder / "st"


def run(*words, code=0):
    with pytest.raises(SystemExit) as stopped:
        main(["train", *map(str, words)])
    assert stopped.value.code == code


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    return write_photos(tmp_path_factory.mktemp("adapters") / "photos", 90)


@pytest.fixture(scope="module")
def text_model(tmp_path_factory):
    return write_text_model(tmp_path_factory.mktemp("adapters") / "text-model")


@pytest.fixture(scope="module")
def head(spec, text_model, tmp_path_factory):
    out = tmp_path_factory.mktemp("adapters") / "head"
    encoders = ["--image", IMAGES, "--text", f"st:{text_model}", "--dimension", 16, "--before", "random"]
    run("head", *encoders, "--data", spec, "--out", out, "--steps", 20)
    return out


def mend(head, spec, out, *more, code=0):
    common = ["--data", spec, "--out", out, "--lora", "--steps", 60, "--batch", 30, "--guard", 0, "--rate", "1e-2"]
    common.append("--trust-remote-code")  # the picture encoder of these heads is a class in a file
    run("mend", "--model", f"head:{head}", *common, *more, code=code)


@pytest.fixture(scope="module")
def trained(head, spec, tmp_path_factory):
    out = tmp_path_factory.mktemp("adapters") / "mended"
    mend(head, spec, out, "--merge")
    return out


def test_heads_and_their_text_encoder_learn_and_the_report_says_so(trained):
    said = json.loads((trained / "head.json").read_text())
    assert said["format_version"] == 2  # a version of MRBench that knows no adapter must not load the heads alone
    assert said["training"]["step"] > 0
    (report,) = said["report"].values()
    found = next(row for row in report if (row["task"], row["measure"]) == ("t2i", "hit_rate@5"))
    assert found["after"] > found["before"] + 0.1
    assert "on the text encoder, with linear heads" in (trained / "README.md").read_text()
    moved = load_file(trained / "text-adapter/adapter_model.safetensors")
    assert any(np.abs(tensor).max() > 1e-3 for name, tensor in moved.items() if "lora_B" in name)


def test_it_is_a_model_of_every_command_with_the_scores_of_the_report(trained, spec, tmp_path, capsys):
    (report,) = json.loads((trained / "head.json").read_text())["report"].values()
    wanted = next(row for row in report if (row["task"], row["measure"]) == ("i2t", "hit_rate@5"))["after"]
    with pytest.raises(SystemExit):
        main(
            [
                "evaluate",
                spec,
                "--model",
                f"head:{trained}",
                "--output",
                str(tmp_path / "r"),
                "--json",
                "--trust-remote-code",
            ]
        )
    scores = json.loads(capsys.readouterr().out)["tasks"]["i2t"]["scores"]
    assert scores["hit_rate@5"] == pytest.approx(wanted, abs=1e-6)


def test_sentence_transformers_and_peft_load_it_without_mrbench(trained, text_model, head, tmp_path):
    text = "a red ball on blue"
    subprocess.run([sys.executable, "-c", ALONE, trained, text_model, text], cwd=tmp_path, check=True)
    adapted, whole = np.load(tmp_path / "v.npy")
    ours = load_model(f"head:{trained}", trust_remote_code=True).embed_candidates([Item(text)])[0]
    np.testing.assert_allclose(adapted, ours, atol=1e-5)
    np.testing.assert_allclose(whole, ours, atol=1e-5)
    assert (
        np.abs(load_model(f"head:{head}", trust_remote_code=True).embed_candidates([Item(text)])[0] - ours).max() > 1e-2
    )


def test_before_the_first_step_it_embeds_as_the_heads_do(head, spec):
    method = TextMethod(f"head:{head}", device="cpu", trust_remote_code=True)
    data = method.read(open_benchmark(spec), "train")
    plan = Plan("infonce", grid("infonce", identity=True, rate=1e-2), identity=True, guard=1.0, batch=20)
    trial = Run(data, data, plan, plan.grid[0], method.start(data, 0)(plan.grid[0]))
    assert float(trial.divergence(0).detach()) == pytest.approx(0, abs=1e-6)
    rows = torch.arange(4)
    texts = data.tables["text"][rows.numpy()].tolist()
    wanted = load_model(f"head:{head}", trust_remote_code=True).embed_candidates([Item(text) for text in texts])
    np.testing.assert_allclose(trial.model.outputs(data, "text", rows).detach().numpy(), wanted, atol=1e-5)
    np.testing.assert_allclose(trial.model.frozen(data, "text", rows).numpy(), wanted, atol=1e-5)


def test_another_adapter_is_another_revision(trained, tmp_path):
    copy = shutil.copytree(trained, tmp_path / "copy")
    weights = load_file(copy / "text-adapter/adapter_model.safetensors")
    save_file({name: tensor * 2 for name, tensor in weights.items()}, copy / "text-adapter/adapter_model.safetensors")
    assert (
        load_model(f"head:{copy}", trust_remote_code=True).revision
        != load_model(f"head:{trained}", trust_remote_code=True).revision
    )


def test_a_folder_that_holds_an_adapter_may_be_replaced_and_is_no_start(trained, head, spec, tmp_path, capsys):
    mend(trained, spec, tmp_path / "out", code=2)
    assert "have an adapter already" in capsys.readouterr().err
    mend(head, spec, trained, "--steps", 20, code=2)
    assert "--overwrite, or choose another --out" in capsys.readouterr().err


def test_a_text_encoder_without_weights_is_refused(spec, tmp_path, capsys):
    words = IMAGES.replace("Thumbnails", "Words")
    out, encoders = tmp_path / "head", ["--image", IMAGES, "--text", words, "--before", "random"]
    run("head", *encoders, "--data", spec, "--out", out, "--steps", 20)
    mend(out, spec, tmp_path / "mended", code=2)
    assert "has no weights that adapters can be put on" in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "mended").exists()
