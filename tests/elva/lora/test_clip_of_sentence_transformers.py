"""`train mend --lora` on a CLIP of sentence-transformers: both layouts in, and what comes out loads there."""

import json
import shutil

import numpy as np
import pytest
from drawn_photos import COLOURS, write_photos
from PIL import Image
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Transformer
from tiny_towers import write_clip

from elva.lora.method import towers_of
from mrbench.cli.app import main
from mrbench.errors import ModelError
from mrbench.models.protocol import Item
from mrbench.models.zoo import load_model


def write(folder, *, old):
    """Write a CLIP as sentence-transformers saves it now, or did before version 5.4."""
    clip = write_clip(folder.parent / f"{folder.name}-clip", list(COLOURS), dimension=24, max_length=48)
    if old:
        shutil.copytree(clip, folder / "0_CLIPModel")
        module = {"idx": 0, "name": "0", "path": "0_CLIPModel", "type": "sentence_transformers.models.CLIPModel"}
        (folder / "modules.json").write_text(json.dumps([module]))
    else:
        SentenceTransformer(modules=[Transformer(str(clip))], device="cpu").save(str(folder))
    return folder


@pytest.mark.parametrize("old", [False, True])
def test_the_result_loads_in_sentence_transformers_and_embeds_alike(old, tmp_path):
    model, data = write(tmp_path / "model", old=old), write_photos(tmp_path / "photos", 90)
    words = ["--data", data, "--out", str(tmp_path / "out"), "--merge", "--steps", "40", "--batch", "30"]
    with pytest.raises(SystemExit) as stopped:
        main(["train", "mend", "--model", f"st:{model}", "--lora", "--rate", "1e-3", "--guard", "0.1", *words])
    assert stopped.value.code == 0
    text, picture = "A red ball on blue", Image.new("RGB", (40, 30), (200, 30, 30))
    ours = load_model(f"hf:{tmp_path / 'out'}")
    library = SentenceTransformer(str(tmp_path / "out/merged"), device="cpu")
    start = load_model(f"st:{model}")
    for item, given in ((Item(text), text), (Item(None, picture), picture)):
        wanted = ours.embed_candidates([item])[0]
        np.testing.assert_allclose(library.encode([given])[0], wanted, atol=1e-5)
        assert np.abs(start.embed_candidates([item])[0] - wanted).max() > 1e-3


def test_a_text_model_is_refused_with_what_takes_it(tmp_path):
    (tmp_path / "modules.json").write_text(json.dumps([{"path": "", "type": "a"}, {"path": "1_Pooling", "type": "b"}]))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(ModelError, match=r"'2 modules, the first of type bert'; .*mrbench train head --image"):
        towers_of(f"st:{tmp_path}")


def test_the_dual_encoder_of_the_package_has_towers():
    assert towers_of("elva:tiny-dual-encoder").endswith("elva/weights/tiny-dual-encoder")
    assert towers_of("hf:org/name") == "hf:org/name"
