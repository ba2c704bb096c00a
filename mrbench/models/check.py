"""What an evaluation takes for granted of a model, tried out: `mrbench models check`."""

from __future__ import annotations

import io
import pickle
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any, Literal

import numpy as np
from PIL import Image

from mrbench.arrays import Rows, joined
from mrbench.benchmark import decode
from mrbench.errors import MRBenchError, out_of_memory
from mrbench.models.checked_vectors import (
    cosines,
    described,
    embedded,
    lengths_in_words,
    maxsim_difference,
    shape_in_words,
)
from mrbench.models.protocol import EmbeddingModel, Item, is_multi_vector
from mrbench.records import ImageData, Modality

INSTRUCTIONS = ("Find a picture that shows this.", "Retrieve a sentence that contradicts the query.")
TEXTS = (
    "a red dog on a hill",
    "Two large cats sleep below a Ferris wheel, and one of them looks at the moon.",
    "a",
    "собака спит",
    "一只狗在山上",
    "كلب أحمر",
    "🐕 🎡",
    "line one\nline two",
)
_SAME, _SAME_16 = 0.9999, 0.999  # cosines of vectors that should be alike, in 32 and in 16 bit
_MOVED = 1 - 1e-6  # cosine below which a vector counts as another one
_LONG = 8192  # words
_TIMED = 32  # items
Status = Literal["PASS", "FAIL", "NOTE"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What came out of a check.

    Attributes:
        check: What was tried.
        status: ``PASS`` or ``FAIL``; ``NOTE``: worth knowing, and neither good nor bad.
        detail: What was seen, in a few words.
    """

    check: str
    status: Status
    detail: str


def pictures() -> dict[str, Image.Image]:
    """Return pictures of all kinds, as an evaluation gives them to a model: RGB, whatever they were."""
    noise = np.random.default_rng(0).integers(0, 256, (90, 120, 4), dtype=np.uint8)
    stripes = np.zeros((96, 96, 3), dtype=np.uint8)
    stripes[:, ::8] = (250, 30, 60)
    made = {
        "noise": Image.fromarray(noise[..., :3]),
        "stripes": Image.fromarray(stripes),
        "1 x 1": Image.new("RGB", (1, 1), (10, 200, 90)),
        "1 x 150": Image.new("RGB", (1, 150), (10, 20, 90)),
        "grey": Image.fromarray(noise[..., 0]),
        "RGBA": Image.fromarray(noise),
        "4000 x 3000": Image.fromarray(noise[..., :3]).resize((4000, 3000), Image.Resampling.NEAREST),
    }
    return {name: _as_given(image) for name, image in made.items()}


def _as_given(image: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return decode(ImageData(buffer.getvalue(), ""), where="check")


def check_model(model: EmbeddingModel) -> list[Finding]:
    """Try a model out.

    Returns:
        One finding a check. A check that raises is a ``FAIL`` with what was raised, and the others are made all the
        same.
    """
    checks = _Checks(model)
    for modality in sorted(model.modalities):
        checks.modality(modality)
    if "text" in model.modalities:
        checks.texts()
    if "image" in model.modalities:
        checks.images()
    if "image,text" in model.modalities:
        checks.both()
    checks.sides()
    checks.identity()
    checks.cost()
    return checks.found


def compare(model: EmbeddingModel, other: EmbeddingModel) -> list[Finding]:
    """Compare two models vector by vector: one and the same model by two ways, for example.

    Returns:
        One finding for each modality that both take and each side; ``PASS`` where all cosines are 0.9999 or more.
    """
    found = []
    for modality in sorted(model.modalities & other.modalities):
        items = items_of(modality)
        for side in ("queries", "candidates"):
            name = f"{modality.replace(',', ' and ')}: {side}"
            found.append(_guarded(name, partial(_compared, model, other, items, side)))
    only = sorted(model.modalities ^ other.modalities)
    if only:
        found.append(Finding("modalities", "FAIL", f"one of the two alone takes {'; '.join(only)}"))
    return found


def _compared(model: EmbeddingModel, other: EmbeddingModel, items: Sequence[Item], side: str) -> tuple[Status, str]:
    a, b = (embedded(one, items, side, INSTRUCTIONS[0]) for one in (model, other))
    if is_multi_vector(model) != is_multi_vector(other):
        return "FAIL", "one vector an item against several"
    if model.dimension != other.dimension:
        return "FAIL", f"dimension {model.dimension} against {other.dimension}"
    cosine = cosines(a, b)
    limit = min(_limit(model), _limit(other))
    least = int(np.argmin(cosine))
    detail = f"cosine {cosine.min():.6f} to {cosine.max():.6f} over {len(items)}; least: {described(items[least])}"
    return ("PASS" if cosine.min() >= limit else "FAIL"), detail


def items_of(modality: Modality) -> list[Item]:
    """Return items of a modality: texts of several scripts, pictures of several kinds, or pairs of them."""
    images = list(pictures().values())[:-1]
    if modality == "text":
        return [Item(text) for text in TEXTS]
    if modality == "image":
        return [Item(image=image) for image in images]
    return [Item(text, image) for text, image in zip(TEXTS, images, strict=False)]


class _Checks:
    """The findings on a model.

    Args:
        model: The model.

    Attributes:
        found: The findings so far.
    """

    def __init__(self, model: EmbeddingModel) -> None:
        self._model, self.found = model, list[Finding]()

    def _add(self, name: str, check: Callable[[], tuple[Status, str]]) -> None:
        self.found.append(_guarded(name, check))

    def _vectors(self, items: Sequence[Item], side: str = "candidates", instruction: str = INSTRUCTIONS[0]) -> Any:
        return embedded(self._model, items, side, instruction)

    def modality(self, modality: Modality) -> None:
        """Add findings on vectors: whether they are there, repeatable, and those of the item alone."""
        name, items = modality.replace(",", " and "), items_of(modality)

        def shape() -> tuple[Status, str]:
            vectors = self._vectors(items)
            return "PASS", shape_in_words(vectors)

        def again() -> tuple[Status, str]:
            return _alike(self._vectors(items), self._vectors(items), _limit(self._model), "twice")

        def alone() -> tuple[Status, str]:
            each = joined([self._vectors([item]) for item in items])
            return _alike(self._vectors(items), each, _limit(self._model), "in a batch and alone")

        def order() -> tuple[Status, str]:
            back = self._vectors(items[::-1])[::-1]
            return _alike(self._vectors(items), back, _limit(self._model), "in another order")

        def apart() -> tuple[Status, str]:
            pair = self._vectors(items[:2])
            cosine = cosines(pair[:1], pair[1:])
            return ("PASS" if cosine.max() < _MOVED else "FAIL"), f"cosine {cosine.max():.4f} of two that differ"

        for what, check in (
            ("vectors", shape),
            ("the same twice", again),
            ("the same in a batch and alone", alone),
            ("the same in another order", order),
            ("content changes the vector", apart),
        ):
            self._add(f"{name}: {what}", check)
        if is_multi_vector(self._model):

            def scores() -> tuple[Status, str]:
                each = joined([self._vectors([item]) for item in items])
                moved = maxsim_difference(self._vectors(items), each)
                status: Status = "PASS" if moved <= 1 - _limit(self._model) else "FAIL"
                return status, f"{moved:.1e} of a score for each vector of a query, at most"

            self._add(f"{name}: MaxSim in a batch and alone", scores)

    def texts(self) -> None:
        """Add findings on texts that are empty, long, or in other scripts."""

        def empty() -> tuple[Status, str]:
            return "PASS", f"length {lengths_in_words(self._vectors([Item('')]))}"

        def long() -> tuple[Status, str]:
            seen = self._words_seen()
            return "NOTE", "the end of the longest text is seen" if seen is None else f"cut after about {seen:,} words"

        def scripts() -> tuple[Status, str]:
            names = ("Cyrillic", "Chinese", "Arabic", "emoji")
            one = self._vectors([Item(text) for text in TEXTS[3:7]])
            other = self._vectors([Item(text) for text in ("кот", "猫", "قطة", "🐈")])
            unknown = [name for name, cosine in zip(names, cosines(one, other), strict=True) if cosine >= _MOVED]
            return ("NOTE", f"no difference within {', '.join(unknown)}") if unknown else ("PASS", ", ".join(names))

        self._add("text: empty", empty)
        self._add(f"text: {_LONG:,} words", long)
        self._add("text: other scripts", scripts)

    def _words_seen(self) -> int | None:
        """Return after about how many words another last word changes nothing; None where it always does."""

        def seen(words: int) -> bool:
            text = "dog " * (words - 1)
            return bool(cosines(self._vectors([Item(text + "dog")]), self._vectors([Item(text + "moon")]))[0] < _MOVED)

        if seen(_LONG):
            return None
        low, high = 1, _LONG
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if seen(middle) else (low, middle)
        return low

    def images(self) -> None:
        """Add findings on pictures that are tiny, huge, narrow, grey or transparent."""
        for name, image in pictures().items():

            def embedded(image: Image.Image = image) -> tuple[Status, str]:
                return "PASS", f"length {lengths_in_words(self._vectors([Item(image=image)]))}"

            self._add(f"image: {name}", embedded)
        prepare = getattr(self._model, "prepare", None)
        if prepare is not None:

            def ahead() -> tuple[Status, str]:
                items = items_of("image")
                there = pickle.loads(pickle.dumps(prepare))  # noqa: S301 - what was written here
                ready = [Item(image=there(item.image)) for item in items]
                return _alike(self._vectors(ready), self._vectors(items), _limit(self._model), "prepared ahead or not")

            self._add("image: prepared ahead by another process", ahead)

    def both(self) -> None:
        """Add findings on composed items: whether both halves count, and add up where the model says so."""
        one, other = list(pictures().values())[:2]

        def text() -> tuple[Status, str]:
            pair = self._vectors([Item(TEXTS[0], one), Item(TEXTS[1], one)])
            cosine = float(cosines(pair[:1], pair[1:])[0])
            return ("PASS" if cosine < _MOVED else "FAIL"), f"cosine {cosine:.4f} with another text"

        def image() -> tuple[Status, str]:
            pair = self._vectors([Item(TEXTS[0], one), Item(TEXTS[0], other)])
            cosine = float(cosines(pair[:1], pair[1:])[0])
            return ("PASS" if cosine < _MOVED else "FAIL"), f"cosine {cosine:.4f} with another picture"

        def sums() -> tuple[Status, str]:
            pairs = items_of("image,text")
            added = self._vectors([Item(i.text) for i in pairs]) + self._vectors([Item(image=i.image) for i in pairs])
            return _alike(self._vectors(pairs), added, _limit(self._model), "as a sum, as the model says")

        self._add("image and text: the text changes the vector", text)
        self._add("image and text: the picture changes the vector", image)
        if getattr(self._model, "additive", False):
            self._add("image and text: the sum of both", sums)

    def sides(self) -> None:
        """Add findings on sides: whether they and instructions make a difference, and whether the model says so."""
        symmetric = bool(getattr(self._model, "symmetric", False))
        items = items_of(min(self._model.modalities))

        def instruction() -> tuple[Status, str]:
            one, other = (self._vectors(items, "queries", words) for words in INSTRUCTIONS)
            return self._difference(cosines(one, other), symmetric, "the instruction")

        def side() -> tuple[Status, str]:
            one, other = self._vectors(items, "queries"), self._vectors(items)
            return self._difference(cosines(one, other), symmetric, "the side")

        self._add("queries: the instruction changes the vector", instruction)
        self._add("queries and candidates differ", side)

    @staticmethod
    def _difference(cosine: Any, symmetric: bool, what: str) -> tuple[Status, str]:
        if cosine.min() >= _MOVED:
            return "NOTE", f"no: {what} is ignored" + ("" if symmetric else "; symmetric = True would save work")
        if symmetric:
            return "FAIL", f"yes, cosine {cosine.min():.4f}, but the model says symmetric: caches would mix them up"
        return "NOTE", f"yes: cosine {cosine.min():.4f} to {cosine.max():.4f}"

    def identity(self) -> None:
        """Add a finding on what results and caches tell models apart by."""

        def named() -> tuple[Status, str]:
            lacking = [name for name in ("name", "revision") if not str(getattr(self._model, name, "")).strip()]
            said = f"{self._model.name}, {self._model.revision}"
            return ("FAIL", f"empty: {', '.join(lacking)}") if lacking else ("PASS", said)

        self._add("name and revision", named)

    def cost(self) -> None:
        """Add items a second, of short texts and small pictures, and memory."""

        def speed(items: Sequence[Item]) -> tuple[Status, str]:
            self._vectors(items[:2])
            started = perf_counter()
            self._vectors(items)
            return "NOTE", f"{len(items) / (perf_counter() - started):,.0f} items/s over {len(items)}"

        if "text" in self._model.modalities:
            self._add("speed: texts", lambda: speed([Item(f"a red dog on hill {n}") for n in range(_TIMED)]))
        if "image" in self._model.modalities:
            image = pictures()["noise"]
            turned = [Item(image=image.rotate(n)) for n in range(_TIMED)]
            self._add("speed: pictures of 120 x 90", lambda: speed(turned))
        self._add("memory", lambda: ("NOTE", _memory()))


def _guarded(name: str, check: Callable[[], tuple[Status, str]]) -> Finding:
    try:
        status, detail = check()
    except Exception as error:  # of a model's code: anything
        said = str(error) if isinstance(error, MRBenchError) else f"{type(error).__name__}: {error}"
        detail = "out of memory" if out_of_memory(error) else " ".join(said.split())
        return Finding(name, "FAIL", detail)
    return Finding(name, status, detail)


def _alike(a: Rows, b: Rows, limit: float, how: str) -> tuple[Status, str]:
    cosine = cosines(a, b)
    return ("PASS" if cosine.min() >= limit else "FAIL"), f"cosine {cosine.min():.6f} or more, {how}"


def _limit(model: EmbeddingModel) -> float:
    return _SAME_16 if str(model.dtype).removeprefix("torch.") in ("float16", "bfloat16") else _SAME


def _memory() -> str:
    import resource

    scale = 1 if sys.platform == "darwin" else 1024
    said = f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale / 2**20:,.0f} MiB at most"
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        said += f", {torch.cuda.max_memory_allocated() / 2**20:,.0f} MiB of the GPU"
    return said
