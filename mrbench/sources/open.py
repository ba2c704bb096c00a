"""From a spec to a benchmark: a folder in our format, or a data set that a source reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from mrbench.benchmark import Benchmark, Contents, InMemoryBenchmark
from mrbench.errors import BenchmarkError, InputError, advised, command_line
from mrbench.registry import Entry, Registry
from mrbench.spec_options import split_options

SOURCES = Registry(
    "source",
    [
        Entry(
            "captions", "photos with captions: CSV, JSONL, COCO, Karpathy, Flickr8k", "mrbench.sources.captions:read"
        ),
        Entry(
            "pairs",
            "images with true and false texts: CSV, JSONL, SugarCrepe, Winoground",
            "mrbench.sources.pairs:read",
        ),
        Entry("hub", "corpus, queries and qrels as MTEB, BEIR and NanoBEIR lay them out", "mrbench.sources.hub:read"),
        Entry("mbeir", "the M-BEIR tree: 16 tasks over ten data sets, with instructions", "mrbench.sources.mbeir:read"),
        Entry(
            "cirr",
            "CIRR: a photo and what is to change, over a split and over sets of six",
            "mrbench.sources.cirr:read",
        ),
        Entry("circo", "CIRCO: a photo and what is to change, several answers", "mrbench.sources.circo:read"),
        Entry("fashioniq", "FashionIQ: a garment and what is to change, two pools", "mrbench.sources.fashioniq:read"),
        Entry(
            "fashioniq-turns",
            "multi-turn FashionIQ: several garments and remarks, one answer",
            "mrbench.sources.fashioniq_turns:read",
        ),
        Entry("genecis", "GeneCIS: a photo and a word, a gallery for each query", "mrbench.sources.genecis:read"),
        Entry("eccv", "ECCV Caption: more of what is true of COCO's test photos", "mrbench.sources.eccv:read"),
        Entry(
            "cxc", "Crisscrossed Captions: graded similarity of photos and captions of COCO", "mrbench.sources.cxc:read"
        ),
        Entry(
            "negbench",
            "NegBench: captions that say what is not there, retrieval and questions",
            "mrbench.sources.negbench:read",
        ),
        Entry("ccneg", "CC-Neg: images with a caption and the caption negated", "mrbench.sources.ccneg:read"),
        Entry("urban1k", "Urban-1k: long captions of city photos", "mrbench.sources.long_captions:read_urban1k"),
        Entry(
            "sharegpt4v",
            "ShareGPT4V: long captions, the first 1,000 as in Long-CLIP",
            "mrbench.sources.long_captions:read_sharegpt4v",
        ),
        Entry(
            "visdial",
            "Visual Dialog: a caption and rounds of a dialogue ask for an image",
            "mrbench.sources.visdial:read",
        ),
        Entry("msrvtt", "MSR-VTT 1k-A: captions and videos, from frames", "mrbench.sources.videos:read_msrvtt"),
        Entry("msvd", "MSVD: captions ask for videos, from frames", "mrbench.sources.videos:read_msvd"),
        Entry(
            "winoground", "Winoground: two images and two captions of the same words", "mrbench.sources.winoground:read"
        ),
    ],
)
"""Every entry is named after its prefix and loads a :data:`ReadSource`.

A plugin adds its own with an entry point in the group ``mrbench.sources``.
"""

ReadSource = Callable[[str, Path | None, Mapping[str, str]], Contents]
"""``read(location, image_root, options)``: opens the data set at a location.

``location`` is what follows the prefix in the spec, a path or an id. ``image_root`` is the folder that the user says
images lie below, or None. ``options`` are those of the spec; an unknown one raises :class:`InputError`.
"""


def open_benchmark(spec: str | Path, *, image_root: Path | None = None) -> Benchmark:
    """Open a benchmark.

    Args:
        spec: A folder in our format, or ``SOURCE:LOCATION``, or ``SOURCE:LOCATION?OPTION=VALUE&OPTION=VALUE``, with the
            name of one of :data:`SOURCES`.
        image_root: Folder below which images lie that the benchmark references by path.

    Raises:
        InputError: Unknown source or option.
        BenchmarkError: The folder or the data set is missing or malformed.
        MissingExtraError: An optional package is not installed.
    """
    source, location, options = parse_spec(str(spec))
    if source is None:
        return Benchmark(Path(location), image_root=image_root)
    read: ReadSource = SOURCES.get(source).load()
    with advised(
        f"correct the path or the data, then {command_line('mrbench', 'datasets', 'check', spec)}", BenchmarkError
    ):
        contents = read(location, image_root, options)
    return InMemoryBenchmark(contents, str(spec), image_root)


def parse_spec(spec: str) -> tuple[str | None, str, dict[str, str]]:
    """Return the name of the source, None for a folder; the location; and the options.

    Raises:
        InputError: Unknown source, no location, or a malformed option.

    >>> parse_spec("emoji")
    (None, 'emoji', {})
    """
    name, colon, rest = spec.partition(":")
    if not colon or "/" in name or Path(spec).exists():
        return None, str(Path(spec).expanduser()), {}
    if name not in SOURCES:
        known = ", ".join(f"{source}:..." for source in SOURCES.names())
        raise InputError("unknown benchmark source", got=spec, accepted=f"a folder, {known}", hint="mrbench datasets")
    options: dict[str, str] = {}
    if "?" in rest and not Path(rest).expanduser().exists():
        rest, options = split_options(rest)
    if not rest:
        raise InputError("no location in a spec", got=spec, accepted=f"{name}:LOCATION")
    return name, str(Path(rest).expanduser()) if rest.startswith("~") else rest, options
