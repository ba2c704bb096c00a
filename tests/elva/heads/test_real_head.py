"""The encoders that come with packages, on drawn photos, from the command line."""

import json

import pytest
from drawn_photos import write_photos

from mrbench.cli.app import main


@pytest.mark.slow
def test_train_head_with_the_encoders_of_the_packages(tmp_path, capsys):
    spec = write_photos(tmp_path / "photos", 60)
    words = ["train", "head", "--image", "efficientnet-lite0", "--text", "minilm", "--data", spec, "--steps", "60"]
    with pytest.raises(SystemExit) as stopped:
        main([*words, "--out", str(tmp_path / "head"), "--cache", str(tmp_path / "cache"), "--json"])
    found = capsys.readouterr()
    assert stopped.value.code == 0, found.err
    said = json.loads(found.out)
    assert said["spec"] == f"head:{tmp_path / 'head'}"
    (report,) = said["report"].values()
    hits = next(row for row in report if row["task"] == "t2i" and row["measure"] == "hit_rate@5")
    assert hits["after"] > hits["before"]
    card = (tmp_path / "head/README.md").read_text()
    assert "efficientnet-lite0" in card
    assert "Licence of the data: unknown" in card
