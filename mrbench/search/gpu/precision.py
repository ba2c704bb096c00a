"""How exactly torch multiplies: settings of the whole process, kept at float32 while any search runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class _Settings:
    """What the caller had set before the first of the searches that run now."""

    lock = threading.Lock()
    searches = 0
    float32: list[Any]
    bfloat16: Any


@contextmanager
def full_precision(torch: Any) -> Iterator[None]:
    """Keep products of float32, and sums of bfloat16, in float32: what else is allowed errs by more than the bounds.

    TensorFloat-32 has 11 bits, and sums of parts in bfloat16 have 8. Searches may overlap.
    """
    with _Settings.lock:
        if not _Settings.searches:
            matmul = torch.backends.cuda.matmul
            _Settings.float32, _Settings.bfloat16 = _float32(torch), matmul.allow_bf16_reduced_precision_reduction
            _set_float32(torch, ["highest"] if len(_Settings.float32) == 1 else ["ieee", "ieee"])
            matmul.allow_bf16_reduced_precision_reduction = False
        _Settings.searches += 1
    try:
        yield
    finally:
        with _Settings.lock:
            _Settings.searches -= 1
            if not _Settings.searches:
                _set_float32(torch, _Settings.float32)
                torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = _Settings.bfloat16


def _places(torch: Any) -> list[Any]:
    settings = [getattr(getattr(torch.backends, name), "matmul", None) for name in ("cuda", "mkldnn")]
    return settings if all(hasattr(setting, "fp32_precision") for setting in settings) else []  # before torch 2.9


def _float32(torch: Any) -> list[Any]:
    places = _places(torch)
    return [place.fp32_precision for place in places] if places else [torch.get_float32_matmul_precision()]


def _set_float32(torch: Any, values: list[Any]) -> None:
    if places := _places(torch):
        for place, value in zip(places, values, strict=True):
            place.fp32_precision = value
    else:
        torch.set_float32_matmul_precision(values[0])
