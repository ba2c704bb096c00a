"""What a run will cost, before it is started: steps, memory, time."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForImageTextToText

from elva import checkpoints
from elva.config import Contrastive, Optimiser, Recipe, Reinforcement, Sampling
from elva.inputs import Data
from elva.model import seeded_globally
from elva.processes import Processes
from elva.sampler import balanced, steps_of
from elva.train import make_objective
from mrbench.models.pretrained import load_error, resolve_device

TRIED = 3
"""Steps of a stage that are timed, beside its first."""
UTILISATION = 0.35  # of what one large matrix product reaches, of a training step in practice


def estimate(recipe: Recipe, data: Data, stages: Sequence[int], *, device: str = "auto") -> list[dict[str, Any]]:
    """Return a row a stage: ``stage``, ``steps``, ``sequences`` (under gradient), ``memory_gib``, ``hours``, ``by``.

    Of a model that starts from nothing a few steps of each stage are tried. Of one with a base, which may not fit here,
    times are what the multiplications of the language model take at 35 % of the rate that this device reaches on one
    large product. ``by`` says which: ``trial`` or ``arithmetic``. Memory is weights, gradients, AdamW's moments and the
    activations of one chunk. All are estimates to plan by.
    """
    place = resolve_device(device)
    language, vision, hidden, layers = _sizes(recipe, data)
    rate = 0.0 if recipe.base is None else _rate(place, checkpoints.DTYPES[recipe.dtype]) * UTILISATION
    size = torch.empty((), dtype=checkpoints.DTYPES[recipe.dtype]).element_size()
    tokens = _tokens(recipe, data)
    rows = []
    for number in stages:
        options: Optimiser = getattr(recipe, f"stage{number}")
        steps = steps_of(options, _rows(number, data, options.balance))
        each = 1 if number == 0 else 2 + _negatives(options)
        sequences, passes = steps * options.batch * each, 3.0
        length = tokens if number == 0 or number == 1 else tokens + recipe.max_summary
        if isinstance(options, Reinforcement):
            sequences, passes = sequences * options.rollouts, 5.0  # sampling, reference, forward and backward
            length = tokens / options.rollouts + recipe.max_summary
        elif number == 2 and isinstance(options, Contrastive) and options.doubled:
            sequences *= 2
        trained = _trained(recipe, options, language, vision, hidden, layers)
        flops = 2 * language * passes * sequences * length * (4 / 3 if recipe.gradient_checkpointing else 1)
        kept = 2 if recipe.gradient_checkpointing else 34  # numbers a token, layer and unit of width
        activations = min(options.chunk, options.batch) * (tokens + recipe.max_summary) * hidden * layers * kept * size
        memory = (language + vision) * size + trained * 16 + activations
        row = {"stage": number, "steps": steps, "sequences": sequences, "memory_gib": _short(memory / 2**30)}
        if recipe.base is None:
            rows.append(row | {"hours": _short(tried(recipe, data, number, steps, device) / 3600), "by": "trial"})
        else:
            rows.append(row | {"hours": _short(flops / rate / 3600), "by": "arithmetic"})
    return rows


def tried(recipe: Recipe, data: Data, number: int, steps: int, device: str) -> float:
    """Return about how many seconds a stage takes, from a few of its steps on a model with random weights.

    Such a model rarely ends a summary by itself, so that stage 3 may be faster than this.
    """
    options = getattr(recipe, f"stage{number}")
    model = checkpoints.build(recipe, data.texts(), device=device)
    with seeded_globally(recipe.seed, number):
        if options.train == "lora":
            model.adapt(recipe.lora)
    model.unfreeze(options.train)
    objective, *_ = make_objective(number, recipe, options, data, model, Processes())
    seconds = []
    for step in range(min(steps, 1 + TRIED)):
        begun = time.perf_counter()
        objective.backward(step)
        seconds.append(time.perf_counter() - begun)
    sampling: Sampling | None = getattr(options, "sampling", None)
    mined = 1 if sampling is None or not sampling.refresh else -(-steps // sampling.refresh)
    return whole_time(seconds, steps, mined)


def whole_time(seconds: Sequence[float], steps: int, mined: int) -> float:
    """Return the seconds of a whole stage from those of its first steps.

    The first step also mines negatives: what it takes longer than the others comes again at every mining.

    Args:
        seconds: Of the first steps, one or more.
        steps: Of the stage.
        mined: How often negatives are mined.

    >>> whole_time([5.0, 1.0, 3.0, 2.0], steps=10, mined=2)
    26.0
    """
    each = statistics.median(seconds[1:]) if len(seconds) > 1 else seconds[0]
    return each * steps + max(0.0, seconds[0] - each) * mined


def _negatives(options: Optimiser) -> int:
    sampling: Sampling | None = getattr(options, "sampling", None)
    return getattr(options, "negatives", 0) if sampling is None else sampling.hard + sampling.random


def _short(value: float) -> float:
    return float(f"{value:.3g}")


def _rows(number: int, data: Data, balance: float) -> int:
    """Return how many rows a stage goes over, those of small pools as often as they come round."""
    if number == 1:
        return 0 if data.sentences is None else len(data.sentences.queries)
    sides = [pool.queries for pool in data.pools]
    if number:
        return len(balanced([len(side) for side in sides], balance))
    sides += list({id(pool.candidates): pool.candidates for pool in data.pools}.values())
    pictures = [side[0].text is None for side in sides]
    kinds = [
        [len(side) for side, shown in zip(sides, pictures, strict=True) if shown is kind] for kind in (True, False)
    ]
    return sum(len(balanced(sizes, balance)) for sizes in kinds if sizes)


def _sizes(recipe: Recipe, data: Data) -> tuple[int, int, int, int]:
    """Return parameters of the language model and of the vision encoder, width, layers; no weights are read."""
    if recipe.base is None:
        network = checkpoints.build(recipe, data.texts(), device="cpu").network
    else:
        models: Any = AutoModelForImageTextToText
        try:
            config = AutoConfig.from_pretrained(recipe.base, trust_remote_code=False)
            with torch.device("meta"):
                network = models.from_config(config)
        except Exception as error:  # transformers raises whatever it likes
            raise load_error(recipe.base, error) from error
    vision = sum(weight.numel() for weight in network.model.visual.parameters())
    text = network.config.text_config
    return sum(w.numel() for w in network.parameters()) - vision, vision, text.hidden_size, text.num_hidden_layers


def _trained(recipe: Recipe, options: Optimiser, language: int, vision: int, hidden: int, layers: int) -> int:
    if options.train == "lora":
        return layers * 7 * 2 * recipe.lora.rank * 2 * hidden  # seven linear layers, about twice the width on average
    return language + (vision if options.train == "all" else 0)


def _tokens(recipe: Recipe, data: Data) -> float:
    """Return about how many tokens a prompt has: a picture's share of the pixels, and a word and a third a word."""
    shape = recipe.architecture
    picture = (shape.image_size / shape.patch / shape.merge) ** 2 if shape else recipe.max_pixels / 28**2
    pools = data.pools
    first = [pool.queries[0] for pool in pools] + [pool.candidates[0] for pool in pools]
    words = sum(len((item.text or "").split()) for item in first) / len(first) * 4 / 3
    template = len(f"{recipe.prompt.template} {recipe.prompt.summary}".split()) * 4 / 3
    return picture * sum(item.image is not None for item in first) / len(first) + words + template


def _rate(device: torch.device, dtype: torch.dtype) -> float:
    """Return the multiplications and additions a second of a large product."""
    size = 8192 if device.type == "cuda" else 1024
    one = torch.randn(size, size, device=device, dtype=dtype)
    best = float("inf")
    for _ in range(4):
        begun = time.perf_counter()
        product = one @ one
        float(product[0, 0])  # waits for the device
        best = min(best, time.perf_counter() - begun)
    return 2 * size**3 / best
