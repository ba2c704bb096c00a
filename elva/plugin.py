"""How ELVA joins MRBench: its entry points. Importing this imports no torch."""

from __future__ import annotations

from mrbench.registry import Entry

_ALL = (("modalities", "text, image, image+text"),)

MODELS = [
    Entry(
        "elva:PATH", "a folder that `mrbench train elva` wrote, such as RUN/stage3", "elva.zoo:ElvaModel", "elva", _ALL
    ),
]
