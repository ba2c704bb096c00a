"""CLIP of transformers rewritten for speed on a CPU: the one place that knows of it, and its one switch.

:func:`speed_up` is called once, when ``hf:`` has loaded a checkpoint. Vectors differ from transformers' by rounding.
With the environment variable ``MRBENCH_STOCK_CLIP=1`` nothing is rewritten.

What it gains in CPU time over transformers' towers, by ``benchmarks/clip_tower.py``, stands in
``docs/design/engine.md``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from transformers import CLIPModel

from mrbench.models.clip_on_cpu.prefixes import computes_the_same, embed_texts
from mrbench.models.clip_on_cpu.quick_gelu import use_quick_mlps

SWITCH = "MRBENCH_STOCK_CLIP"
Tokens = Sequence[list[int]]


def speed_up(
    module: Any, features: Callable[[Tokens], torch.Tensor], trial: Callable[[], Tokens], *, batch_size: int
) -> Callable[[Tokens], Any] | None:
    """Rewrite a CLIP in place where it computes in float32 on a CPU, and return what embeds its texts faster.

    Args:
        module: A model of transformers, in evaluation mode.
        features: What transformers' way makes of the tokens of texts, shape ``(len(texts), dimension)``.
        trial: Returns the tokens of some texts. A text tower for which this module computes something else than
            ``features`` does was changed by somebody, and is run as it is.
        batch_size: Texts in a forward pass at most.

    Returns:
        From the tokens of texts to an array of shape ``(len(texts), dimension)``; None where texts go transformers'
        way: on a GPU, in 16 bit, of other models than CLIP, or with the switch.
    """
    if type(module) is not CLIPModel or module.device.type != "cpu" or module.dtype != torch.float32:
        return None
    if os.environ.get(SWITCH, "0") not in ("", "0"):
        return None
    with torch.inference_mode():
        texts = sorted(trial())
        expected = features(texts)
        use_quick_mlps(module)
        same = computes_the_same(module, texts, expected)
    return partial(embed_texts, module, batch_size=batch_size) if same else None
