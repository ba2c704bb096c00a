"""Low-rank adapters as a way to train: a dual encoder, its items, and a folder that PEFT and transformers load."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save

from elva.lora.towers import Towers, temperature
from elva.processes import Processes
from elva.tuning.data import Split, Table
from elva.tuning.encoders import CARD, PLOT, facts_of, load_encoder
from elva.tuning.read import read_items, timed
from elva.tuning.train import Plan, Start, Trained
from mrbench.benchmark import Benchmark
from mrbench.errors import ModelError
from mrbench.files import write_json_atomic
from mrbench.folders import FolderKind
from mrbench.models.checkpoint_folders import find_whole_checkpoint
from mrbench.models.dual_encoder import DualEncoder
from mrbench.models.peft_adapter import CONFIG, WEIGHTS, find_parts
from mrbench.models.pretrained import loading
from mrbench.models.protocol import EmbeddingModel, note
from mrbench.records import Modality

FORMAT, FORMAT_VERSION = "mrbench-lora", 1
FACTS, MERGED = "lora.json", "merged"
_NAMES = [re.escape(name) for name in (FACTS, CONFIG, WEIGHTS, CARD, PLOT)]
FOLDER = FolderKind(FACTS, "|".join([*_NAMES, rf"{MERGED}/[^/]+"]), option="--out")
_OTHERWISE = {
    "open_clip": "hf:ORG/NAME, where the hub has the model in the format of transformers too; --head takes it as it is",
    "mllm": "mrbench train elva --recipe FILE, with the model as its base; --head takes it as it is",
}
"""What to do with models that have towers, or layers, of another library."""


class LoraMethod:
    """Adapters on both towers of a dual encoder: :class:`elva.tuning.method.Method`.

    Args:
        spec: ``hf:PATH``, ``st:PATH`` with a CLIP, or a dual encoder that comes with this package.
        rank: Rank of the adapters.
        merge: Whether to write a whole checkpoint beside the adapter.
        chunk: Items of a forward pass, at most.
        device: Where it trains.
        name: What to call the result.
        processes: Who else trains.

    Raises:
        ModelError: The model is none of two towers that transformers loads, or has an adapter already.
    """

    folder, prefix, identity, one_thread = FOLDER, "hf", True, False

    def __init__(
        self,
        spec: str,
        *,
        rank: int = 8,
        merge: bool = False,
        chunk: int = 64,
        device: str = "auto",
        name: str = "mended",
        processes: Processes | None = None,
    ) -> None:
        towers = towers_of(spec)
        model = load_encoder(towers, device=device)
        if not isinstance(model, DualEncoder):
            raise ModelError(
                "the model has no towers that adapters can be put on",
                where=spec,
                got=type(model).__name__,
                accepted="hf:PATH, a dual encoder of transformers; st:PATH, a CLIP; or head:DIR",
                hint=_OTHERWISE.get(spec.partition(":")[0], "--head in the place of --lora takes any model"),
            )
        parts = find_parts(towers.removeprefix("hf:"))
        if parts.adapter is not None:
            raise ModelError(
                "the model is an adapter already",
                where=spec,
                accepted="a whole checkpoint",
                hint="train on its base, or on the folder merged/ that --merge writes",
            )
        self._base = f"{parts.base.name}" if parts.base.commit else str(parts.base.folder.absolute())
        self._commit = parts.base.commit
        self.before, self._merge, self._device, self._name = spec, merge, device, name
        self.temperature = temperature(model)
        self._facts = facts_of({"text": model, "image": model}, {"text": towers, "image": towers})
        self.options: Mapping[str, Any] = {"rank": rank, "model": self._facts["text"]["identity"]}
        self._model, self._rank, self._chunk, self._processes = model, rank, chunk, processes
        self._towers: Towers | None = None

    def read(self, benchmark: Benchmark, split: str) -> Split:
        """Read the items of a split."""
        return read_items(benchmark, split)

    def rehearse(self, benchmark: Benchmark, split: str) -> tuple[Split, float, float]:
        """Return the split itself, no seconds for reading, and those that one pass over it takes."""
        items = self.read(benchmark, split)
        towers = self._towers or Towers(self._model, rank=self._rank, chunk=self._chunk)
        self._towers = towers
        seconds = 0.0
        for part in items.tables:
            rows = np.arange(len(items.tables[part]))
            with torch.no_grad():
                seconds += timed(partial(_pass, towers, items, part), rows)
        return items, 0.0, seconds

    def start(self, data: Split, seed: int) -> Start:
        """Return what takes the adapters back to where they change nothing."""
        if self._towers is None:
            self._towers = Towers(self._model, rank=self._rank, chunk=self._chunk, seed=seed, processes=self._processes)
        towers = self._towers
        return lambda setting: towers.reset()

    def facts(self) -> dict[str, Any]:
        """Return the base, its dimension and the rank."""
        return {"encoders": self._facts, "dimension": self._model.dimension, "rank": self._rank}

    def write(self, folder: Path, trained: Trained, plan: Plan, facts: dict[str, Any]) -> dict[str, Any]:
        """Write the adapter in the format of PEFT and, by option, the merged checkpoint."""
        assert self._towers is not None  # noqa: S101 - what was trained was started
        config = self._towers.config
        config.base_model_name_or_path, config.revision, config.inference_mode = self._base, self._commit, True
        config.save_pretrained(str(folder))
        (folder / WEIGHTS).write_bytes(save(trained.weights, metadata={"format": "pt"}))
        said = {"format": FORMAT, "format_version": FORMAT_VERSION, **facts, "training": trained.to_json(plan)}
        write_json_atomic(folder / FACTS, said)
        if self._merge and not (folder / MERGED).exists():
            (folder / MERGED).mkdir()
            DualEncoder(str(folder), device="cpu").save(folder / MERGED)
        return said

    def load(self, folder: Path) -> EmbeddingModel:
        """Load the adapter over its base."""
        model = DualEncoder(str(folder), device=self._device)
        note(model, "name", self._name)
        return model

    def usage(self, facts: Mapping[str, Any]) -> list[str]:
        """Return how to use the adapter, and the merged checkpoint, without MRBench."""
        lines = [
            "```python",
            "from peft import PeftModel  # pip install peft transformers",
            "from transformers import AutoModel, AutoProcessor",
            "",
            f'base = "{self._base}"',
            f"model = AutoModel.from_pretrained(base{self._at()})",
            "model = PeftModel.from_pretrained(model, FOLDER).merge_and_unload()",
            f"processor = AutoProcessor.from_pretrained(base{self._at()})",
        ]
        if self._merge:
            lines += ["", f'model = AutoModel.from_pretrained(FOLDER + "/{MERGED}")  # the same, without peft']
        return [*lines, "```"]

    def _at(self) -> str:
        return f', revision="{self._commit}"' if self._commit else ""


def towers_of(spec: str) -> str:
    """Return the spec ``hf:PATH`` of the dual encoder that a spec names in another way; other specs as they are.

    A CLIP of sentence-transformers is a checkpoint of transformers, in its folder or in one of its own below.

    Raises:
        InputError: No such folder.
        ModelError: A model of sentence-transformers that is no CLIP.
    """
    prefix, _, name = spec.partition(":")
    packaged = Path(str(resources.files("elva"))) / "weights" / name
    if prefix == "elva" and (packaged / "config.json").is_file():
        return f"hf:{packaged}"
    if prefix != "st":
        return spec
    folder = find_whole_checkpoint(name.partition("?")[0]).folder
    with loading(spec, "modules.json"):
        modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
        paths = [str(module.get("path", "")) for module in modules]
        kind = json.loads((folder / paths[0] / "config.json").read_text(encoding="utf-8")).get("model_type")
    if len(paths) > 1 or kind != "clip":
        raise ModelError(
            "the model of sentence-transformers has no two towers that adapters can be put on",
            where=spec,
            got=f"{len(paths)} modules, the first of type {kind}",
            accepted="a CLIP",
            hint=f"mrbench train head --image IMAGE --text {spec} --data DATA --out DIR, then --model head:DIR",
        )
    return f"hf:{(folder / paths[0]).absolute()}"


def _pass(towers: Towers, items: Split, part: Modality, rows: Table) -> Any:
    return towers.outputs(items, part, torch.from_numpy(rows))
