"""The forward passes of a model: side by side on a CPU; on a GPU one after the other, without waiting for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import torch

from mrbench.arrays import Embeddings

Batch = TypeVar("Batch")
CPU_BATCH = 16
"""Items of a transformer per forward pass on a CPU, at most: two passes of 16 side by side embed 8 % more texts and 5 %
more images a second than one pass of 32 with two threads (CLIP ViT-B/32, medians of five rounds)."""


def sent(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Return a tensor on a device; on a GPU it may still be on the way, behind what the GPU has to do."""
    return stacked([tensor.numpy()], device)[0] if device.type == "cuda" else tensor.to(device)


def stacked(arrays: Sequence[np.ndarray[Any, Any]], device: torch.device) -> torch.Tensor:
    """Return arrays of one shape as one tensor on a device; on a GPU it may still be on the way.

    numpy copies them, with one thread: torch's threads go on spinning afterwards, on the cores that decode images.
    """
    if device.type != "cuda":
        return torch.from_numpy(np.stack(arrays)).to(device)
    shape, dtype = (len(arrays), *arrays[0].shape), torch.from_numpy(arrays[0]).dtype
    waiting = torch.empty(shape, dtype=dtype, device="cpu", pin_memory=True)
    np.stack(arrays, out=waiting.numpy())
    return waiting.to(device, non_blocking=True)


def embed_batches(embed: Callable[[Batch], torch.Tensor], batches: Sequence[Batch], device: torch.device) -> Any:
    """Embed batches without gradients.

    On a CPU every pass has one thread, and as many run at a time as torch has threads: the threads of one pass would
    wait for one another at every layer, and vectors would differ in the last bits with their number.

    Args:
        embed: A batch to its vectors, shape ``(len(batch), dimension)``; called from several threads at once.
        batches: The batches, one at least.
        device: Where the network stands.

    Returns:
        The vectors of all batches in order: a float32 array; on a GPU a tensor there, which may still be worked on.
    """
    if device.type != "cpu":
        with torch.inference_mode():
            return torch.cat([embed(batch).float() for batch in batches])

    @torch.inference_mode()
    def one(batch: Batch) -> Embeddings:
        vectors: Embeddings = embed(batch).float().numpy()
        return vectors

    threads = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return np.concatenate(list(pool.map(one, batches)))
    finally:
        torch.set_num_threads(threads)  # what a thread sets, threads that start later begin with
