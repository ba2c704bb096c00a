"""What a model has to do to be a judge: answer a few messages with a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from PIL import Image

from mrbench.errors import ModelError


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation.

    Attributes:
        role: ``system``, ``user``, or ``assistant`` for what the model said before.
        text: What it says.
        image: A picture that goes before the text.
    """

    role: Literal["system", "user", "assistant"]
    text: str
    image: Image.Image | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model answered, and the tokens that it read and wrote."""

    text: str
    tokens_in: int = 0
    tokens_out: int = 0


class NoReplyError(ModelError):
    """The model refuses this one conversation, for example because it is too long; others it may answer."""


class Chat(Protocol):
    """A model that answers messages.

    Attributes:
        name: How verdicts name it; another model, or one that answers differently, has another name.
        versions: Everything that its answers depend on, by name.
        sees_photos: Whether messages may hold pictures.
        concurrency: Conversations that it answers at a time, each from a thread of its own.
    """

    name: str
    versions: dict[str, str]
    sees_photos: bool
    concurrency: int

    def reply(self, messages: Sequence[Message]) -> Reply:
        """Return the answer to the last message.

        Raises:
            NoReplyError: The model refuses this conversation.
            ModelError: The model cannot be reached, or fails.
        """
        ...

    def stop(self, stopped: bool = True) -> None:
        """Have waiting threads give up, or allow them to wait again."""
        ...
