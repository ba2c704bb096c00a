"""CLIP's text tower over distinct prefixes: what several texts begin with alike is computed once.

In a causal tower a token is computed from itself and those before it. Texts that begin alike, as the variants of a
query do, so share the tokens of what they begin with; and of the last layer nothing is read but the end of each text.

This module is all there is of it: ``hf:`` calls :func:`faster_texts` once, when it has loaded a checkpoint. The
network itself is not changed. Vectors differ from transformers' by rounding. With the environment variable
``MRBENCH_STOCK_CLIP=1`` texts go transformers' way. What it gains stands in ``docs/design/engine.md``, by
``benchmarks/clip_tower.py``.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import Linear
from torch.nn.functional import scaled_dot_product_attention
from transformers import CLIPModel

from mrbench.arrays import Ints
from mrbench.models.common import batches, padded
from mrbench.models.forward import embed_batches

SWITCH = "MRBENCH_STOCK_CLIP"
_PASS = 640  # distinct prefixes of a forward pass at most
_ATTEND = 8  # tokens of texts that cost in attention what a prefix costs elsewhere: they count in a pass too
_EVEN = 8  # where one pass is too few, their number is a multiple of this, so that threads side by side end together
_TOGETHER = 4  # texts of like length that attend in one call: fewer are padded less
_TOLERANCE = 1e-4  # of the largest value: float32 in another order of operations


Tokens = Sequence[list[int]]


def faster_texts(
    module: Any, features: Callable[[Tokens], Tensor], trial: Callable[[], Tokens], *, batch_size: int
) -> Callable[[Tokens], Any] | None:
    """Return what embeds the texts of a CLIP faster than transformers: in float32 on a CPU, where products take time.

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
    if os.environ.get(SWITCH, "0").lower() not in ("", "0", "false", "no", "off"):
        return None
    texts = sorted(trial())
    with torch.inference_mode():
        same = computes_the_same(module, texts, features(texts))
    return partial(embed_texts, module, batch_size=batch_size) if same else None


@dataclass(frozen=True, slots=True)
class Prefixes:
    """The distinct prefixes of some texts, numbered.

    Attributes:
        tokens: The last token of each, shape ``(num_prefixes,)``.
        positions: Where it stands in its text, the same shape.
        paths: The prefix up to each position of each text, shape ``(num_texts, length)``; any after its end.
        lengths: Of the texts, shape ``(num_texts,)``.
        new: How many prefixes a text does not share with the one before it, shape ``(num_texts,)``.
    """

    tokens: Ints
    positions: Ints
    paths: Ints
    lengths: Ints
    new: Ints


def find_prefixes(texts: Sequence[Sequence[int]]) -> Prefixes:
    """Return the prefixes of texts given as tokens, none empty. A text shares with the one before it alone: sort them.

    >>> found = find_prefixes([[7, 1, 2], [7, 1, 3], [7, 4]])
    >>> found.tokens.tolist(), found.positions.tolist()
    ([7, 1, 2, 3, 4], [0, 1, 2, 2, 1])
    >>> found.paths.tolist()
    [[0, 1, 2], [0, 1, 3], [0, 4, 3]]
    """
    tokens, there = padded(texts, -1)
    new = there.copy()
    new[1:] &= ~np.logical_and.accumulate(tokens[1:] == tokens[:-1], axis=1)
    numbers = np.cumsum(new).reshape(new.shape) - 1
    # Down a column numbers rise, and a text has of the one above what it shares with it.
    paths = np.maximum.accumulate(np.where(new, numbers, 0), axis=0)
    return Prefixes(tokens[new], np.nonzero(new)[1], paths, there.sum(axis=1), new.sum(axis=1))


def passes(texts: Sequence[list[int]]) -> list[Sequence[list[int]]]:
    """Return sorted texts in parts of about as much work, one for each forward pass.

    >>> [len(part) for part in passes([[0, number, *range(20)] for number in range(100)])]
    [12, 12, 13, 12, 13, 12, 13, 13]
    """
    found = find_prefixes(texts)
    done = np.cumsum(found.new + found.lengths / _ATTEND)
    number = math.ceil(done[-1] / _PASS)
    number += -number % _EVEN if number > 1 else 0
    ends = [0, *np.searchsorted(done, done[-1] * np.arange(1, number) / number).tolist(), len(texts)]
    return [texts[start:stop] for start, stop in itertools.pairwise(ends) if start < stop]


def embed_texts(module: Any, texts: Sequence[list[int]], *, batch_size: int) -> Any:
    """Return the features of texts in their order, an array of shape ``(len(texts), dimension)``.

    Args:
        module: As for :func:`features_of_sorted`.
        texts: Their tokens, unpadded, one text at least.
        batch_size: Texts in a forward pass at most.
    """
    order = sorted(range(len(texts)), key=texts.__getitem__)
    parts = passes([texts[row] for row in order])
    made = [some for part in parts for some in batches(part, batch_size)]
    return embed_batches(partial(features_of_sorted, module), made, module.device)[np.argsort(order)]


def features_of_sorted(module: Any, texts: Sequence[list[int]]) -> Tensor:
    """Return what ``module.get_text_features`` returns, to rounding, shape ``(len(texts), dimension)``.

    Args:
        module: A ``CLIPModel`` for which :func:`computes_the_same`, not in training. The parts of its layers are called
            one by one, without gradient: hooks on layers are not.
        texts: Their tokens, unpadded, sorted so that neighbours share most.
    """
    tower = module.text_model
    layers = tower.encoder.layers
    found = find_prefixes([_to_end(text, tower.config.eos_token_id) for text in texts])
    by_length = np.argsort(found.lengths, kind="stable")
    groups = [by_length[start : start + _TOGETHER] for start in range(0, len(texts), _TOGETHER)]
    paths = [found.paths[group, : found.lengths[group].max()] for group in groups]
    real = [np.arange(part.shape[1]) < found.lengths[group, None] for group, part in zip(groups, paths, strict=True)]
    flat = np.concatenate([part.ravel() for part in paths])
    standing = np.flatnonzero(np.concatenate([part.ravel() for part in real]))
    place_of = np.empty(len(found.tokens), np.int64)
    place_of[flat[standing]] = standing  # any of them: a prefix attends to the same in every text
    whole_texts = found.paths[by_length, found.lengths[by_length] - 1]
    arrays = (found.tokens, found.positions, flat, place_of, whole_texts, *real)
    tokens, positions, rows, places, ends, *masks = (torch.from_numpy(part).to(module.device) for part in arrays)
    hidden = tower.embeddings.token_embedding(tokens) + tower.embeddings.position_embedding(positions)
    for layer in layers:
        normed = layer.layer_norm1(hidden)
        if layer is layers[-1]:  # of which the ends alone are read; they see all of their texts
            attended = _attend(layer.self_attn, normed, ends, rows, masks, causal=False)
            hidden = hidden.index_select(0, ends)
        else:
            attended = _attend(layer.self_attn, normed, rows, rows, masks, causal=True).index_select(0, places)
        hidden = _added(hidden, layer.self_attn.out_proj, attended)
        normed = layer.layer_norm2(hidden)
        hidden = hidden + layer.mlp(normed)
    features: Tensor = module.text_projection(tower.final_layer_norm(hidden))
    return features[np.argsort(by_length)]


def _attend(
    attention: Any, normed: Tensor, asking: Tensor, rows: Tensor, masks: Sequence[Tensor], *, causal: bool
) -> Tensor:
    """Return what prefixes attend to, text by text.

    Args:
        attention: Projections, and how many heads there are.
        normed: Of each prefix, shape ``(num_prefixes, width)``.
        asking: The prefixes whose outcome is wanted: ``rows``, or one a text.
        rows: The prefixes of all groups of texts, flat, padded within a group.
        masks: What of each group is no padding, shape ``(texts of the group, length)``.
        causal: Whether each sees those before it alone, else all of its text.

    Returns:
        Shape ``(len(asking), width)``.
    """
    sizes = [mask.numel() for mask in masks]
    # A bias of keys adds the same to all that one asks, which the softmax does not see; of values it is added to each
    # mean of them as it is. A product without a bias writes its outcome once instead of twice.
    projections = attention.k_proj, attention.v_proj
    plain = all(map(_is_plain, projections))
    made = (normed @ project.weight.T if plain else project(normed) for project in projections)
    keys, values = (part.index_select(0, rows) for part in made)
    if causal:  # all ask, some in many texts
        asked = attention.q_proj(normed).index_select(0, asking)
    else:
        asked = attention.q_proj(normed.index_select(0, asking))
    parts = []
    for mask, *group in zip(
        masks,
        asked.split(sizes if causal else [len(mask) for mask in masks]),
        keys.split(sizes),
        values.split(sizes),
        strict=True,
    ):
        asks, sees, holds = (
            part.view(len(mask), -1, attention.num_heads, attention.head_dim).transpose(1, 2) for part in group
        )
        seen = None if causal else mask[:, None, None]
        found = scaled_dot_product_attention(asks, sees, holds, attn_mask=seen, is_causal=causal, scale=attention.scale)
        parts.append(found.transpose(1, 2).flatten(2).flatten(0, 1))
    found = torch.cat(parts)
    return found.add_(attention.v_proj.bias) if plain else found


def _is_plain(part: Any) -> bool:
    """Return whether a part is a linear layer with a bias and no more, and nobody watches it."""
    return type(part) is Linear and part.bias is not None and not (part._forward_hooks or part._forward_pre_hooks)


def _added(total: Tensor, project: Any, hidden: Tensor) -> Tensor:
    """Return ``total + project(hidden)``, in the place of ``total`` where that can be."""
    if not _is_plain(project):
        found: Tensor = total + project(hidden)
        return found
    total.addmm_(hidden, project.weight.T).add_(project.bias)
    return total


def computes_the_same(module: Any, texts: Sequence[list[int]], expected: Tensor) -> bool:
    """Return whether :func:`features_of_sorted` gives the expected vectors of some texts with this module."""
    try:
        found = features_of_sorted(module, texts)
    except (AttributeError, IndexError, RuntimeError, TypeError, ValueError):  # built of other parts
        return False
    within = _TOLERANCE * float(expected.abs().max())
    return found.shape == expected.shape and float((found - expected).abs().max()) <= within


def _to_end(text: list[int], end: int) -> list[int]:
    """Return a text up to the token that is read: the end, or else the first.

    By configurations of before 2023, which say that the end is 2, it is the highest.
    """
    end = max(text) if end == 2 else end
    return text[: text.index(end) + 1] if end in text else text[:1]
