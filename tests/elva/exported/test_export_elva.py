"""`mrbench train export`: the folder loads without this project, and its vectors are those of `elva:`."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from mrbench.cli.app import main
from mrbench.models.protocol import Item
from mrbench.models.zoo import load_model

ALONE = """
import sys
class Refuse:
    def find_spec(self, name, *_):
        if name.split(".")[0] in ("mrbench", "elva"):
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
import numpy
from PIL import Image
folder, picture = sys.argv[1:]
items = ["two large lions", Image.open(picture)]
sys.path.insert(0, folder)
from load_elva import Embedder
numpy.save("loader.npy", Embedder(folder).embed([*items, ("the same on the moon", items[1])]))
from sentence_transformers import SentenceTransformer
model = SentenceTransformer(folder, trust_remote_code=True, device="cpu")
numpy.save("module.npy", numpy.stack([model.encode([item])[0] for item in items]))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("name", "embedding"), [("tiny-contrastive", "prompt"), ("tiny", "summary")])
def test_the_folder_loads_alone_with_equal_vectors(tmp_path, capsys, name, embedding):
    out = tmp_path / "exported"
    with pytest.raises(SystemExit) as stopped:
        main(["train", "export", "--model", f"elva:{name}", "--out", str(out), "--json"])
    assert stopped.value.code == 0
    assert json.loads(capsys.readouterr().out)["embedding"] == embedding
    card = (out / "README.md").read_text()
    assert f"# ELVA, recipe {name.replace('-contrastive', '')}" in card
    assert ("| skin tone | 0.95 |" in card) == (embedding == "summary")
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (70, 90, 3), dtype=np.uint8))
    picture.save(tmp_path / "picture.png")
    words = [sys.executable, "-W", "error::FutureWarning", "-c", ALONE, str(out), str(tmp_path / "picture.png")]
    home = {"HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, cwd=tmp_path, env=home, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    items = [Item("two large lions"), Item(None, picture), Item("the same on the moon", picture)]
    wanted = load_model(f"elva:{name}").embed_candidates(items)
    np.testing.assert_allclose(np.load(tmp_path / "loader.npy"), wanted, atol=1e-4)
    np.testing.assert_allclose(np.load(tmp_path / "module.npy"), wanted[:2], atol=1e-4)


def test_what_is_no_checkpoint_and_a_folder_in_use(tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("mine")
    for model, said in ((str(tmp_path), "elva.json"), ("elva:tiny", "did not write")):
        with pytest.raises(SystemExit) as stopped:
            main(["train", "export", "--model", model, "--out", str(tmp_path)])
        assert stopped.value.code == 2
        assert said in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
