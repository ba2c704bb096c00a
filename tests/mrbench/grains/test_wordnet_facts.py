"""The table of WordNet facts: lemmas, senses, hypernyms, antonyms."""

from __future__ import annotations

from importlib.resources import files

import pytest

from mrbench.grains import wordnet


@pytest.mark.parametrize(
    ("form", "part", "lemma"),
    [
        ("riding", "v", "ride"),
        ("sitting", "v", "sit"),
        ("staring", "v", "stare"),
        ("singing", "v", "sing"),
        ("flies", "v", "fly"),
        ("vases", "n", "vase"),
        ("men", "n", "man"),
        ("glasses", "n", "glass"),
        ("bus", "n", "bus"),
        ("grass", "n", "grass"),
        ("qwertys", "n", "qwertys"),
    ],
)
def test_lemmas(form: str, part: str, lemma: str) -> None:
    assert wordnet.lemma(form, part) == lemma


def test_synonyms_hypernyms_and_antonyms() -> None:
    assert wordnet.synonyms("sofa", "couch", "n")
    assert not wordnet.synonyms("sofa", "dog", "n")
    assert wordnet.is_a("woman", "person", "n")
    assert not wordnet.is_a("person", "woman", "n")
    assert wordnet.antonyms("wet", "dry", "a")
    assert wordnet.antonyms("damp", "dry", "a")  # by way of "wet", which it is similar to
    assert not wordnet.antonyms("wet", "red", "a")
    assert wordnet.fields("dog") == ("animal",)
    assert wordnet.closeness("dog", "cat", "n") > wordnet.closeness("dog", "table", "n") > 0


def test_the_table_is_small_and_comes_with_its_licence() -> None:
    folder = files("mrbench.grains") / "data"
    assert len((folder / "wordnet.txt.xz").read_bytes()) < 2_000_000
    assert "Princeton University" in (folder / "LICENSE.wordnet").read_text(encoding="utf-8")
