"""How ELVA joins MRBench: its entry points. Importing this imports no torch."""

from __future__ import annotations

from mrbench.registry import Entry

_ALL = (("modalities", "text, image, image+text"),)

MODELS = [
    Entry(
        "elva:tiny", "1.6 M parameters, trained by all stages; comes with the package", "elva.zoo:tiny", "elva", _ALL
    ),
    Entry(
        "elva:tiny-contrastive",
        "the same trained by contrast alone, a baseline; comes with the package",
        "elva.zoo:tiny_contrastive",
        "elva",
        _ALL,
    ),
    Entry(
        "elva:tiny-dual-encoder",
        "two towers of CLIP, trained by contrast, 1.4 M parameters; comes with the package",
        "elva.zoo:tiny_dual_encoder",
        "elva",
        _ALL,
    ),
    Entry(
        "head:DIR",
        "linear heads on encoders that `mrbench train head` or `mend` wrote",
        "elva.heads.model:HeadModel",
        "models",
        _ALL,
    ),
    Entry(
        "elva:PATH", "a folder that `mrbench train elva` wrote, such as RUN/stage3", "elva.zoo:ElvaModel", "elva", _ALL
    ),
]
