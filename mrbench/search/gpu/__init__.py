"""A pool on a GPU: scores, counts and best are those of the processor, to the last bit."""

from mrbench.search.gpu.pool import DevicePool

__all__ = ["DevicePool"]
