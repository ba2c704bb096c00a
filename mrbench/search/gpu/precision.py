"""The precision of torch's matrix products: a setting of the whole process, kept at float32 while a search runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class _Settings:
    """The caller's settings before the first of the searches that are running."""

    lock = threading.Lock()
    searches = 0
    float32: list[Any]


@contextmanager
def full_precision(torch: Any) -> Iterator[None]:
    """Compute float32 products in float32 while the block runs, whatever the process has allowed.

    TensorFloat-32 keeps 11 bits, so its products err by more than the bounds of a search. Searches may overlap.
    """
    with _Settings.lock:
        if not _Settings.searches:
            _Settings.float32 = _float32(torch)
            _set_float32(torch, ["highest"] if len(_Settings.float32) == 1 else ["ieee", "ieee"])
        _Settings.searches += 1
    try:
        yield
    finally:
        with _Settings.lock:
            _Settings.searches -= 1
            if not _Settings.searches:
                _set_float32(torch, _Settings.float32)


def _modules(torch: Any) -> list[Any]:
    settings = [getattr(getattr(torch.backends, name), "matmul", None) for name in ("cuda", "mkldnn")]
    return settings if all(hasattr(setting, "fp32_precision") for setting in settings) else []  # before torch 2.9


def _float32(torch: Any) -> list[Any]:
    modules = _modules(torch)
    return [module.fp32_precision for module in modules] if modules else [torch.get_float32_matmul_precision()]


def _set_float32(torch: Any, values: list[Any]) -> None:
    if modules := _modules(torch):
        for module, value in zip(modules, values, strict=True):
            module.fp32_precision = value
    else:
        torch.set_float32_matmul_precision(values[0])
