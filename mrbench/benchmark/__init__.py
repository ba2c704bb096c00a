"""The benchmark format: write, verify and read."""

from mrbench.benchmark.images import decode, encode_png, header_pixels, pixel_sha256
from mrbench.benchmark.manifest import FileEntry, Manifest, Source, read_manifest
from mrbench.benchmark.reader import Benchmark, Records
from mrbench.benchmark.writer import BenchmarkWriter, write_benchmark

__all__ = [
    "Benchmark",
    "BenchmarkWriter",
    "FileEntry",
    "Manifest",
    "Records",
    "Source",
    "decode",
    "encode_png",
    "header_pixels",
    "pixel_sha256",
    "read_manifest",
    "write_benchmark",
]
