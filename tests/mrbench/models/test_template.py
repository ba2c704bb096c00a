"""Templates of MLLM embedders: what comes with the package, and what a user may write."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from mrbench.errors import InputError
from mrbench.models.template import Instruction, Pictures, Remote, RemoteMethod
from mrbench.models.template_files import load_template, parse_template, template_names

MINE = """
summary: mine
source: [my paper]
model_types: [qwen2_vl]
query: {text: "{instruction} {text}", image: "{image}{instruction}", both: "{image}{instruction}{text}"}
candidate: {text: "{text}!", image: "{image}", both: "{image}{text}"}
"""


@pytest.mark.parametrize("name", template_names())
def test_every_template_names_its_sources_and_is_documented(name: str) -> None:
    template = load_template(name)
    assert template.source
    assert template.identified_by
    page = (Path(__file__).parents[3] / "docs/reference/models.md").read_text(encoding="utf-8")
    assert f"`{name}`" in page


def test_the_template_of_the_page_is_one() -> None:
    page = (Path(__file__).parents[3] / "docs/reference/models.md").read_text(encoding="utf-8")
    said = page.split("```yaml title=my-template.yaml\n")[1].split("```")[0]
    template = parse_template(said, name="my-template", where="models.md")
    assert template.padding == "left"
    named = [one.name for one in dataclasses.fields(template)]
    assert [name for name in named if f"`{name}`" not in page] == []


def test_what_is_not_said_has_the_defaults() -> None:
    template = parse_template(MINE, name="mine", where="mine.yaml")
    assert (template.pooling, template.padding, template.normalise, template.positions) == (
        "last",
        "right",
        True,
        "grid",
    )
    assert template.prompt("query", "text", "Find it") == "Find it {text}"
    assert template.prompt("query", "text", "") == "{text}!"
    assert template.prompt("candidate", "image", "Find it") == "{image}"
    assert not template.symmetric


def test_instructions_as_the_template_says() -> None:
    changed = MINE.replace("candidate", "instruction: {default: Represent it., full_stop: true, after: ' '}\ncandidate")
    template = parse_template(changed, name="mine", where="mine.yaml")
    assert template.prompt("query", "image", " Find it ") == "{image}Find it. "
    assert template.prompt("query", "image", "Find it!") == "{image}Find it! "
    assert template.prompt("query", "image", "") == "{image}Represent it."


IDLE = {"name": "other", "summary": "other", "source": ["other"], "identified_by": [{"name": "x"}], "notes": "other"}
DECIDES = {
    "model_types": ["qwen3_vl"],
    "query": {"text": "{text}", "image": "{image}", "both": "{image}{text}"},
    "candidate": {"text": "{text}", "image": "{image}", "both": "{text}{image}"},
    "frame": "a {input}",
    "instruction": Instruction(full_stop=True),
    "pooling": "mean",
    "padding": "left",
    "normalise": False,
    "positions": "linear",
    "tokenised": "in_pieces",
    "max_length": 9,
    "max_text": 9,
    "image": Pictures(max_pixels=784),
    "remote": Remote(["Own"], RemoteMethod("texts"), RemoteMethod("images")),
}


def test_every_field_that_decides_a_vector_is_in_the_digest_and_no_other() -> None:
    """The digest keeps caches and results of two templates apart."""
    template = parse_template(MINE, name="mine", where="mine.yaml")
    assert {field.name for field in dataclasses.fields(template)} == {*IDLE, *DECIDES}
    for name, value in IDLE.items():
        assert dataclasses.replace(template, **{name: value}).digest == template.digest, name
    for name, value in DECIDES.items():
        assert dataclasses.replace(template, **{name: value}).digest != template.digest, name


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("summary: mine", "summary: [1]"), r"summary=\[1\] \(accepted: a text\)"),
        (("summary", "sumary"), "sumary: unknown; summary: missing"),
        (("source: [my paper]", "source: []"), r"source=\[\] \(accepted: 1 or more entries\)"),
        (("candidate: ", "pooling: cls\ncandidate: "), r"pooling='cls' \(accepted: last, mean, mean_of_image\)"),
        (("candidate: ", "max_length: 0\ncandidate: "), r"max_length=0 \(accepted: 1 to 2147483647\)"),
        (("candidate: ", "image: {resize: [448]}\ncandidate: "), r"image.resize=\[448\] \(accepted: 2 entries\)"),
        (("candidate: ", "image: {resize: [448, 0]}\ncandidate: "), "image.resize: two whole numbers, 1 or more"),
        (("candidate: ", "image: {resize: [448, no]}\ncandidate: "), r"image.resize\[1\]=False \(accepted: a whole"),
        (("candidate: ", "query: {}\ncandidate: "), "not YAML.*twice: query"),
        (("candidate: ", "identified_by: [{nmae: x}]\ncandidate: "), r"identified_by: nmae \(accepted: name, arch"),
        (("candidate: ", "image: {max_pixel: 5}\ncandidate: "), "image.max_pixel: unknown"),
        (('text: "{text}!"', 'text: "{txt}"'), r"candidate.text: \{text\}, each once"),
        (('text: "{text}!"', 'text: "{text}{text}"'), r"candidate.text: \{text\}, each once"),
        (('both: "{image}{text}"', "both: sum"), "both: sum on both sides or on none"),
        (('text: "{text}!"', 'text: "{instruction}{text}"'), "candidate.text: no {instruction} without"),
        (("candidate: ", "frame: a\ncandidate: "), "frame: {input} once"),
        (("candidate: ", "frame: '{instruction}{input}'\ncandidate: "), "frame: no {instruction} without"),
        (("candidate: ", "identified_by: [{name: '('}]\ncandidate: "), "identified_by.name: "),
        (("candidate: ", "name: x\ncandidate: "), "name: unknown"),
        (("summary: mine", "summary: ["), "not YAML"),
    ],
)
def test_faults_are_one_line(change: tuple[str, str], said: str) -> None:
    assert change[0] in MINE
    with pytest.raises(InputError, match=said) as error:
        parse_template(MINE.replace(*change), name="mine", where="mine.yaml")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "- a", "3", "a: !!python/object/apply:os.system [ls]"])
def test_what_is_no_template_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_template(text, name="mine", where="mine.yaml")
