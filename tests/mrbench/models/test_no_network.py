"""The canary of the network: a spec that names files of this machine asks for no connection, even where it may."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_late import write_colbert, write_colqwen2
from tiny_mllms import write_qwen
from tiny_sentence_transformers import quiet, write_text_model
from tiny_towers import write_clip

from mrbench.errors import ModelError
from mrbench.models.protocol import Item
from mrbench.models.zoo import load_model


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Addresses that a connection was asked for; each is refused."""
    found: list[Any] = []

    def refuse(*address: Any, **_: Any) -> Any:
        found.append(address)
        raise OSError("no network in this test")

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    return found


WRITERS: dict[str, Callable[[Path], Path]] = {
    "hf": write_clip,
    "st": write_text_model,
    "mllm": lambda folder: write_qwen(folder, "qwen2_vl"),
    "late": write_colqwen2,
    "late of sentence-transformers": write_colbert,
}


@pytest.mark.parametrize("kind", [*WRITERS, "minilm"])
def test_files_of_this_machine_ask_nobody(kind: str, asked: list[Any], tmp_path: Path) -> None:
    quiet()
    template = "@gme" if kind == "mllm" else ""
    spec = f"{kind.split()[0]}:{WRITERS[kind](tmp_path / 'model')}{template}" if kind in WRITERS else kind
    asked.clear()  # saving asks for the card of the model
    model = load_model(spec, device="cpu")
    model.embed_candidates([Item("a red dog")])
    assert asked == []


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_an_adapter_of_this_machine_asks_nobody(asked: list[Any], clip: Path, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import CLIPModel

    adapted = get_peft_model(CLIPModel.from_pretrained(clip), LoraConfig(r=2, target_modules=["q_proj"]))
    adapted.save_pretrained(tmp_path / "lora")
    asked.clear()
    load_model(f"hf:{tmp_path / 'lora'}", device="cpu").embed_candidates([Item("a red dog")])
    assert asked == []


def test_a_hub_id_asks(asked: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So the canary can sing."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match="not in the cache, and the hub does not answer"):
        load_model("hf:org/other")
    assert asked
