"""The model seam: what MRBench asks of an embedding model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from PIL import Image

from mrbench.arrays import Rows
from mrbench.errors import ModelError
from mrbench.records import Modality, Task


@dataclass(frozen=True, slots=True)
class Item:
    """What a model embeds: a text, a decoded RGB image, or both; or what the model made of them ahead.

    That is what its ``prepare_texts`` and its ``prepare`` returned, where it has them.

    Attributes:
        text: The text, or None.
        image: The image, the first where there are several, or None.
        more_images: Further images; empty unless the model says that it takes several.
    """

    text: str | None = None
    image: Image.Image | None = None
    more_images: tuple[Image.Image, ...] = ()

    @property
    def images(self) -> tuple[Image.Image, ...]:
        """All images, in order."""
        return () if self.image is None else (self.image, *self.more_images)


@runtime_checkable
class EmbeddingModel(Protocol):
    """An embedding model. No base class is needed; any object of this shape will do.

    Attributes:
        name: Name in results and leaderboards.
        revision: What identifies the model: a version, a commit, or a digest of all that decides a vector.
        dimension: Length of an embedding.
        modalities: What it can take in one item: ``text``, ``image``, ``image,text``. All must share one space.
        device: Where it computes, for example ``cpu`` or ``cuda:0``.
        dtype: Number format that it computes in, for example ``float32``.

    Where the vectors are tensors on a GPU, their values are asked for when the next batch has been given: a model that
    does not wait for them keeps the device busy.

    More attributes are read where a model has them. ``symmetric``, true: queries and candidates are embedded alike
    and instructions are ignored, so that what is equal is embedded once. ``additive``, true: an item of two parts is
    embedded as the sum of what its text and its image are embedded as, so that each is embedded once. ``prepare``: a
    function that can be pickled, from a decoded image to what the network takes; it runs ahead of the model, and
    ``Item.image`` is then what it returned. ``prepare_texts``: the same for a list of texts, in a thread;
    ``Item.text`` is then what it made of the text, or the text where it did not run. ``cut_texts``: a function from a
    list of texts to booleans, an array of shape ``(len(texts),)``: which of them are longer than what the model reads.
    Pairs with such a text are then in no measure of grains; without it nothing is known to be cut.
    ``takes_several_images``, true: an
    item with several images (frames of a video, turns of a dialogue) comes whole, in ``Item.images``; other models get
    each image by itself, with the item's text where it has one, and the mean of the normalised embeddings stands for
    the item. ``preprocessing`` and ``seed``: what else decides a vector beside the revision; caches are keyed by them.
    ``multi_vector``, true: an item becomes several vectors of length ``dimension``, one a token; methods return
    :class:`mrbench.arrays.Ragged`, and scores are MaxSim.
    ``control``, true: the model is there to show what chance gives;
    leaderboards list it without a rank. ``parameter_count``, ``max_text_length`` (tokens), ``image_size``
    (``"224x224"``), ``licence``, ``template`` (its name, or what stands around a text) and ``remote_code`` (whether
    code of the checkpoint ran) are facts that results state. ``text_limit`` is the number of tokens at which the
    user had texts cut, where one was given: models that differ in it are two.
    """

    name: str
    revision: str
    dimension: int
    modalities: frozenset[Modality]
    device: str
    dtype: str

    def embed_queries(self, items: Sequence[Item], instruction: str) -> Rows:
        """Embed queries, shape ``(len(items), dimension)``; a model without instructions ignores them."""
        ...

    def embed_candidates(self, items: Sequence[Item]) -> Rows:
        """Embed candidates, shape ``(len(items), dimension)``."""
        ...


def note(model: EmbeddingModel, name: str, value: object) -> None:
    """Set an attribute of a model, also of one that is frozen.

    Raises:
        ModelError: It cannot be set.
    """
    try:
        object.__setattr__(model, name, value)
    except AttributeError as error:
        raise ModelError(f"the attribute {name} cannot be set", where=model.name, hint="add it to __slots__") from error


def supports(model: EmbeddingModel, task: Task) -> bool:
    """Return whether the model can take both sides of a task."""
    return task.query_modality in model.modalities and task.candidate_modality in model.modalities


def on_gpu(model: EmbeddingModel) -> bool:
    """Return whether a model says that it computes on a GPU."""
    return str(model.device).startswith("cuda")


def is_multi_vector(model: EmbeddingModel) -> bool:
    """Return whether a model says that it returns several vectors an item."""
    return getattr(model, "multi_vector", False) is True


def takes_several_images(model: EmbeddingModel) -> bool:
    """Return whether a model says that it takes all images of an item together."""
    return getattr(model, "takes_several_images", False) is True
