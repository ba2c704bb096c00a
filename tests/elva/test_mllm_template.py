"""ELVA's checkpoints through ``mllm:``, which knows nothing of ELVA but a template."""

from importlib import resources

import yaml
from test_model import INPUTS, PICTURES, base, recipe_of  # noqa: F401 - base is a fixture

from elva import checkpoints
from elva.prompts import Input
from elva.settings import Prompt
from elva.zoo import ElvaModel
from mrbench.models.protocol import Item
from mrbench.models.template_files import load_template
from mrbench.models.zoo import load_model

INSTRUCTION = "find two large dogs"
LONG = "large dogs on the beach " * 200


def written(base, tmp_path):  # noqa: F811
    """A whole checkpoint with ``[RET]``, in the format of the hub."""
    recipe = recipe_of(base, prompt={})
    model = checkpoints.load_base(recipe, device="cpu")
    for part in (model.network, model.tokenizer, model.processor):
        part.save_pretrained(tmp_path / "whole")
    return model, tmp_path / "whole"


def test_the_template_embeds_as_elva_does(base, tmp_path):  # noqa: F811
    model, folder = written(base, tmp_path)
    mllm = load_model(f"mllm:{folder}", device="cpu")
    assert mllm.template == "elva-ret"  # [RET] in the vocabulary tells
    inputs = [*INPUTS, Input("two"), Input("dogs " * 9, PICTURES[0]), Input(LONG), Input(LONG, PICTURES[1])]
    items = [Item(one.text, one.image) for one in inputs]
    for instruction in ("", INSTRUCTION):
        asked = [Input(one.text, one.image, instruction=instruction) for one in inputs]
        expected = model.embed(asked, "prompt").numpy()
        found = mllm.embed_queries(items, instruction)
        assert (found * expected).sum(1).min() > 0.99999
    assert (mllm.embed_candidates(items) * model.embed(inputs, "prompt").numpy()).sum(1).min() > 0.99999


def test_the_template_has_the_default_prompt_of_a_recipe():
    said = load_template("elva-ret").prompt("query", "both", "I")
    prompt = Prompt()
    picture = "<|vision_start|>{image}<|vision_end|>"
    filled = prompt.template.replace("{image}", picture).replace("{instruction}", "I\n").replace("{ask}", prompt.word)
    assert said == f"{filled}[RET]"
    assert load_template("elva-ret").max_text == prompt.max_text


def test_a_trained_model_of_the_package_agrees_with_a_template_of_its_own_prompt(tmp_path):
    with resources.as_file(resources.files("elva") / "weights" / "tiny-contrastive") as folder:
        elva = ElvaModel(str(folder), device="cpu")
        facts = checkpoints.read_facts(folder)
        prompt = facts["recipe"]["prompt"]
        frame = prompt["template"].replace("{image}{instruction}{text}", "{input}").replace("{ask}", prompt["word"])
        said = yaml.safe_load(resources.files("mrbench.models").joinpath("templates/elva-ret.yaml").read_text())
        said |= {"frame": f"{frame}[RET]", "max_text": prompt["max_text"]}
        mine = tmp_path / "mine.yaml"
        mine.write_text(yaml.safe_dump(said))
        mllm = load_model(f"mllm:{folder}@{mine}", device="cpu", dtype="float32")
    items = [Item("two large dogs on the beach"), Item(image=PICTURES[0]), Item("a dog", PICTURES[1])]
    assert (elva.embed_candidates(items) * mllm.embed_candidates(items)).sum(1).min() > 0.99999
