"""The one switch of what is rewritten for CLIP on a CPU."""

from pathlib import Path

import pytest
from tiny_towers import TEXTS, pictures
from transformers.models.clip.modeling_clip import CLIPMLP
from vectors_alike import cosines

from mrbench.models.clip_on_cpu import SWITCH
from mrbench.models.clip_on_cpu.quick_gelu import QuickMLP
from mrbench.models.dual_encoder import DualEncoder
from mrbench.models.protocol import Item


@pytest.mark.parametrize(("said", "stock"), [("1", True), ("yes", True), ("0", False), ("", False), (None, False)])
def test_the_switch_leaves_transformers_as_it_is(
    said: str | None, stock: bool, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(SWITCH, raising=False)
    rewritten = DualEncoder(str(clip), device="cpu")
    if said is not None:
        monkeypatch.setenv(SWITCH, said)
    model = DualEncoder(str(clip), device="cpu")
    kinds = {type(part) for part in model.module.modules()}
    assert ((CLIPMLP in kinds), (QuickMLP in kinds), model.faster_texts is None) == (stock, not stock, stock)
    items = [*map(Item, TEXTS), *(Item(image=image) for image in pictures())]
    assert cosines(model.embed_candidates(items), rewritten.embed_candidates(items)).min() > 0.999999
    assert (model.revision, model.preprocessing) == (rewritten.revision, rewritten.preprocessing)
