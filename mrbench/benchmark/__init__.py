"""The benchmark format: write, verify and read."""

from mrbench.benchmark.image_root import ImageRoot
from mrbench.benchmark.images import check_pixels, data_uri, decode, encode_png, header_pixels, pixel_sha256
from mrbench.benchmark.in_memory import Contents, InMemoryBenchmark
from mrbench.benchmark.manifest import FileEntry, Manifest, Source, read_manifest, task_from_json, task_to_json
from mrbench.benchmark.reader import Benchmark, Records
from mrbench.benchmark.writer import BenchmarkWriter, write_benchmark

__all__ = [
    "Benchmark",
    "BenchmarkWriter",
    "Contents",
    "FileEntry",
    "ImageRoot",
    "InMemoryBenchmark",
    "Manifest",
    "Records",
    "Source",
    "check_pixels",
    "data_uri",
    "decode",
    "encode_png",
    "header_pixels",
    "pixel_sha256",
    "read_manifest",
    "task_from_json",
    "task_to_json",
    "write_benchmark",
]
