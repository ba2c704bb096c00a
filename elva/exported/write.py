"""Write an ELVA checkpoint as a folder that loads without this project."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from elva import checkpoints
from elva.exported import load_elva
from elva.exported.card import export_card
from mrbench.files import write_json_atomic
from mrbench.folders import FolderKind, replaced_folder
from mrbench.models.pretrained import writing_weights

MARKER = "export.json"
FORMAT, FORMAT_VERSION = "mrbench-elva-export", 1
FOLDER = FolderKind(MARKER, holds=r"[\w.-]+|__pycache__/[\w.-]+", option="--out")
LOADER, MODULE = "load_elva.py", "sentence_elva.py"


def export(source: Path, out: Path, *, overwrite: bool = False) -> dict[str, Any]:
    """Write a checkpoint as a folder with loaders and a model card, and return the content of its ``export.json``.

    Adapters are merged into the weights. Whether it embeds at a fixed prompt or after a summary, sentence-transformers
    loads it too, through the same loader.

    Args:
        source: Folder that ``mrbench train elva`` wrote (``RUN/stage3``).
        out: Folder to write.
        overwrite: Whether an earlier export may be replaced.

    Raises:
        ModelError: No such checkpoint.
        OutputError: The folder cannot be written, or holds something else.
    """
    model, recipe, how = checkpoints.load(source, device="cpu")
    facts = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "embedding": how,
        "samples": recipe.samples if how == "summary" else 1,
        "max_summary": recipe.max_summary,
        "prompt": asdict(recipe.prompt),
        "recipe": recipe.name,
    }
    here = Path(load_elva.__file__).parent
    with replaced_folder(out, FOLDER, overwrite=overwrite) as folder:
        with writing_weights(folder):
            for part in (model.network, model.tokenizer, model.processor):
                part.save_pretrained(folder)
        for name in (LOADER, MODULE):
            (folder / name).write_bytes((here / name).read_bytes())
        module = {"idx": 0, "name": "0", "path": "", "type": f"{MODULE.removesuffix('.py')}.SentenceElva"}
        (folder / "modules.json").write_text(json.dumps([module]), encoding="utf-8")
        named = checkpoints.read_facts(source).get("named", {})
        parameters = sum(weight.numel() for weight in model.network.parameters())
        (folder / "README.md").write_text(export_card(facts, named, parameters), encoding="utf-8")
        write_json_atomic(folder / MARKER, facts)
    return facts
