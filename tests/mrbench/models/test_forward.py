"""Forward passes side by side: the vectors of one pass after the other, whatever the number of threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from mrbench.models.forward import embed_batches

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def threads() -> Iterator[int]:
    before = torch.get_num_threads()
    yield before
    torch.set_num_threads(before)


@pytest.mark.parametrize("number", [1, 2, 5])
def test_vectors_do_not_depend_on_threads(number: int) -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(300, 700), torch.nn.GELU(), torch.nn.Linear(700, 64)).eval()
    drawn = [torch.randn(rows, 300) for rows in (33, 1, 20, 33, 7, 33, 33)]
    torch.set_num_threads(1)
    with torch.no_grad():
        expected = torch.cat([network(batch) for batch in drawn]).numpy()
    torch.set_num_threads(number)
    np.testing.assert_array_equal(embed_batches(network, drawn, CPU), expected)
    assert torch.get_num_threads() == number


def test_passes_run_side_by_side_with_one_thread_each() -> None:
    torch.set_num_threads(3)
    together = threading.Barrier(3, timeout=30)
    seen: list[tuple[int, bool]] = []

    def embed(batch: int) -> torch.Tensor:
        together.wait()  # goes on only once three of them are here
        seen.append((torch.get_num_threads(), torch.is_inference_mode_enabled()))
        return torch.full((1, 2), float(batch))

    assert embed_batches(embed, range(6), CPU)[:, 0].tolist() == [0, 1, 2, 3, 4, 5]
    assert seen == [(1, True)] * 6


def test_an_error_goes_through_and_threads_are_as_before() -> None:
    torch.set_num_threads(2)

    def embed(batch: int) -> torch.Tensor:
        if batch == 2:
            raise MemoryError
        return torch.zeros(1, 2)

    with pytest.raises(MemoryError):
        embed_batches(embed, range(4), CPU)
    assert torch.get_num_threads() == 2
    fresh: list[int] = []
    thread = threading.Thread(target=lambda: fresh.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert fresh == [2]
