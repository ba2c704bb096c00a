"""The canary of the network: a spec that names files of this machine asks for no connection, even where it may."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from tiny_sentence_transformers import quiet, write_text_model

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


@pytest.mark.parametrize("kind", ["hf", "st", "minilm"])
def test_files_of_this_machine_ask_nobody(kind: str, asked: list[Any], clip: Path, tmp_path: Path) -> None:
    quiet()
    folder = clip if kind == "hf" else write_text_model(tmp_path / "text") if kind == "st" else None
    asked.clear()  # saving asks for the card of the model
    model = load_model(kind if folder is None else f"{kind}:{folder}", device="cpu")
    model.embed_candidates([Item("a red dog")])
    assert asked == []


def test_a_hub_id_asks(asked: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So the canary can sing."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match="not in the cache, and the hub does not answer"):
        load_model("hf:org/other")
    assert asked
