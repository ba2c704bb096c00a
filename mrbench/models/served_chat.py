"""``openai:URL#MODEL`` as a judge: a model behind a server with OpenAI's ``/chat/completions``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from mrbench.benchmark import data_uri
from mrbench.errors import InputError, ModelError
from mrbench.judge.chat import Message, NoReplyError, Reply
from mrbench.models.http_client import JsonClient, Key, RefusedError, check_url
from mrbench.spec_options import check_options, choice, split_options, whole_number

OPTIONS = {
    "images": "no, for a model that reads texts alone",
    "body": "JSON of further fields of a request; null leaves a field out",
    "key": "NAME of the environment variable with the key",
    "concurrency": "REQUESTS at a time",
    "timeout": "SECONDS to wait for an answer",
    "tries": "TIMES that a request is sent",
    "revision": "WORDS that name the weights behind the server",
}
KEY, CONCURRENCY, TIMEOUT, TRIES = "OPENAI_API_KEY", 8, 120, 8
_MOST_TOKENS = 1024
_QUALITY = 90
_ONE_CONVERSATION = frozenset({400, 413, 422})
"""Statuses with which servers refuse a conversation: it is too long, or they find fault with its photo."""


class ServedChat:
    """A model that answers ``POST URL/chat/completions`` as OpenAI's servers do.

    Pictures are sent as JPEG in data URIs. The temperature is 0. See :class:`JsonClient` for what is tried again.

    Args:
        spec: ``URL#MODEL``, with options as in :data:`OPTIONS` after a question mark.

    Raises:
        InputError: Malformed URL or option, or a key that is not set or malformed.

    Source: the OpenAI API reference, "Create chat completion".
    """

    def __init__(self, spec: str) -> None:
        rest, options = split_options(spec)
        check_options(options, OPTIONS, where="openai")
        url, _, model = rest.partition("#")
        if not model:
            raise InputError("no name of a model", got="openai:URL", accepted="openai:URL#MODEL")
        url = check_url(url)
        choice(options, "images", ("no",))
        self.sees_photos = "images" not in options
        body: dict[str, Any] = {"model": model, "temperature": 0, "max_tokens": _MOST_TOKENS}
        body |= _further(options.get("body"))
        self._body = {name: value for name, value in body.items() if value is not None}
        self.concurrency = whole_number(options, "concurrency") or CONCURRENCY
        said = {name: options[name] for name in ("images", "body", "revision") if name in options}
        self.name = f"openai:{url}#{model}" + "".join(f" {name}={value}" for name, value in said.items())
        self.versions = {"openai": url, "model": model} | said
        self._key = Key(options.get("key", KEY), required="key" in options)
        self._client = JsonClient(
            url if url.endswith("/chat/completions") else f"{url}/chat/completions",
            self._key,
            tries=whole_number(options, "tries") or TRIES,
            timeout=whole_number(options, "timeout") or TIMEOUT,
            connections=self.concurrency,
            kept="verdicts so far are kept, and the same command goes on",
        )

    def reply(self, messages: Sequence[Message]) -> Reply:
        """Return the answer to the last message.

        Raises:
            NoReplyError: The server refuses this conversation.
            ModelError: It refuses any, cannot be reached, or answers in another form.
        """
        try:
            answer = self._client.post(self._body | {"messages": [_message(one) for one in messages]})
        except RefusedError as error:
            if error.status in _ONE_CONVERSATION:
                raise NoReplyError(str(error)) from error
            raise
        try:
            text = answer["choices"][0]["message"]["content"]
        except (TypeError, KeyError, IndexError) as error:
            accepted = '{"choices": [{"message": {"content": "..."}}]}'
            got = self._client.shown(answer)
            what = "the server answers in another form"
            raise ModelError(what, where=self._client.url, got=got, accepted=accepted) from error
        return Reply(self._key.hide(text) if isinstance(text, str) else "", *_tokens(answer))

    def stop(self, stopped: bool = True) -> None:
        """Have waiting threads give up, or allow them to wait again."""
        self._client.stop(stopped)


def _further(said: str | None) -> dict[str, Any]:
    if said is None:
        return {}
    try:
        found = json.loads(said)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or "messages" in found:
        accepted = 'a JSON object without "messages", such as {"response_format": {"type": "json_object"}}'
        raise InputError("malformed option body", where="openai", got=said, accepted=accepted)
    return found


def _message(message: Message) -> dict[str, Any]:
    if message.image is None:
        return {"role": message.role, "content": message.text}
    picture = {"type": "image_url", "image_url": {"url": data_uri(message.image, quality=_QUALITY)}}
    return {"role": message.role, "content": [picture, {"type": "text", "text": message.text}]}


def _tokens(answer: Any) -> tuple[int, int]:
    """Return the tokens that the server says it read and wrote; 0 where it says nothing."""
    usage = answer.get("usage")
    found = [usage.get(name) if isinstance(usage, dict) else 0 for name in ("prompt_tokens", "completion_tokens")]
    tokens_in, tokens_out = (one if isinstance(one, int) and not isinstance(one, bool) else 0 for one in found)
    return tokens_in, tokens_out
