"""A pool on a GPU. Its scores, counts and best candidates equal the CPU's to the last bit."""

from mrbench.search.gpu.pool import DevicePool

__all__ = ["DevicePool"]
