"""The README's section on mending runs as it is written, on photos that the test draws."""

import csv
import json
import re
import shlex
from pathlib import Path

import pytest
from drawn_photos import COLOURS, write_photos
from tiny_towers import write_clip

from mrbench.cli.app import main

README = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")


def commands():
    section = README[README.index("Mend it: two commands") :]
    return [line for block in re.findall(r"```\n(.*?)```", section, re.DOTALL)[:2] for line in block.splitlines()]


@pytest.mark.slow
def test_mend_it_in_two_commands_and_adapters_in_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_photos(tmp_path / "photos", 60)
    rows = [json.loads(line) for line in Path("photos/captions.jsonl").read_text().splitlines()]
    with Path("photos.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["image", "caption"])
        table.writerows([row["image"], caption] for row in rows for caption in row["captions"])
    monkeypatch.setenv("MRBENCH_CACHE", "embeddings")
    build, head, adapters = commands()
    clip = write_clip(tmp_path / "clip", list(COLOURS), dimension=24, max_length=48)
    adapters = adapters.replace("hf:ORG/NAME", f"hf:{clip}") + " --batch 20"
    for line in (build, f"{head} --steps 40", f"{adapters} --steps 20"):
        with pytest.raises(SystemExit) as stopped:
            main(shlex.split(line)[1:])
        assert stopped.value.code == 0, line
    for folder in ("my-head", "mended"):
        assert "hit_rate@5" in Path(folder, "README.md").read_text()
    assert Path("mended/merged/model.safetensors").stat().st_size
