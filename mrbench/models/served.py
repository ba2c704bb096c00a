"""``openai:URL#MODEL``: models behind a server with OpenAI's ``/embeddings``, such as vLLM, Infinity or TEI."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

import numpy as np
from PIL import Image

from mrbench.arrays import Embeddings
from mrbench.benchmark import data_uri
from mrbench.errors import InputError, ModelError
from mrbench.models.common import batches
from mrbench.models.http_client import JsonClient, Key, check_url
from mrbench.models.protocol import Item
from mrbench.records import Modality
from mrbench.spec_options import check_options, split_options, variant_of, whole_number

OPTIONS = {
    "images": "data-uri or messages",
    "dimensions": "LENGTH to cut vectors to, as the server does it",
    "query": "TEMPLATE of the text of a query, with {text} and {instruction}",
    "candidate": "TEMPLATE of the text of a candidate, with {text}",
    "system": "TEMPLATE of the system message of a query, with {instruction}; for images=messages",
    "key": "NAME of the environment variable with the key",
    "batch": "ITEMS in a request",
    "concurrency": "REQUESTS at a time",
    "timeout": "SECONDS to wait for an answer",
    "revision": "WORDS that name the weights behind the server",
}
KEY, BATCH, CONCURRENCY, TIMEOUT = "OPENAI_API_KEY", 32, 8, 120
"""Defaults. TEI refuses more than 32 items in a request unless it is told otherwise."""
_FORMS = ("data-uri", "messages")
_TRIES_AT_LOADING = 3
_OF_NO_VECTOR = ("key", "batch", "concurrency", "timeout", "revision")  # the last is in the revision


class ServedModel:
    """A model that answers ``POST URL/embeddings`` as OpenAI's servers do.

    Texts are sent as they are. Pictures are sent as PNG in a data URI, in one of two forms that the user has to name,
    as a server that takes texts alone would embed the URI as a text:

    * ``images=data-uri``: as ``input``, with ``"modality": "image"``, as Infinity takes them;
    * ``images=messages``: as a chat message, as vLLM takes them, one item a request. Picture and text go together in
      one message, picture first; and texts alone go as messages too, so that all have one template.

    The instruction is used where a template has ``{instruction}``, else ignored.

    A server does not say which weights it has. ``revision`` is the URL with its path and the model's name; use the
    option ``revision`` where the weights behind them change, else a cache takes them for the same.

    Args:
        spec: ``URL#MODEL``, with options as in :data:`OPTIONS` after a question mark.
        seed: Not used.
        device: Not used: the server computes.
        batch_size: Texts in a request at most; 32 where the option ``batch`` does not say otherwise.

    Raises:
        InputError: Malformed URL or option, or a key that is not set or malformed.
        ModelError: The server cannot be reached, or does not embed a text (and a picture) that are sent on trial.

    Source: the OpenAI API reference, "Create embeddings"; vLLM, "Pooling models"; Infinity, "Multi-modal".
    """

    device, dtype = "server", "unknown"
    remark = "results and messages hold the whole URL, its path too: no secret may be in it"

    def __init__(self, spec: str, *, seed: int = 0, device: str = "auto", batch_size: int = 1024) -> None:
        rest, options = split_options(spec)
        check_options(options, OPTIONS, where="openai")
        url, _, self.name = rest.partition("#")
        if not self.name:
            raise InputError("no name of a model", got="openai:URL", accepted="openai:URL#MODEL")
        url = check_url(url)
        self._form = _form(options.get("images"))
        self._templates = _templates(options, self._form)
        self._batch = min(batch_size, whole_number(options, "batch") or BATCH)
        self._concurrency = whole_number(options, "concurrency") or CONCURRENCY
        self._cut = whole_number(options, "dimensions")
        key = Key(options.get("key", KEY), required="key" in options)
        timeout = whole_number(options, "timeout") or TIMEOUT
        self._url = url if url.endswith("/embeddings") else f"{url}/embeddings"
        self._client = JsonClient(self._url, key, timeout=timeout, connections=self._concurrency)
        self.revision = " ".join(filter(None, (f"{url}#{self.name}", options.get("revision"))))[:200]
        self.preprocessing = _digest(self._url, self._form, self._templates, self._cut, options.get("revision"))
        self.variant = variant_of(options, without=_OF_NO_VECTOR)
        self.template = "; ".join(f"{name}: {text}" for name, text in self._templates.items() if text)
        self.symmetric = self._templates["query"] == self._templates["candidate"] and not self._templates["system"]
        self.modalities: frozenset[Modality] = frozenset(
            {None: ("text",), "data-uri": ("text", "image"), "messages": ("text", "image", "image,text")}[self._form]
        )
        self.dimension = 0
        self.dimension = self._try()

    def embed_queries(self, items: Sequence[Item], instruction: str) -> Embeddings:
        """Embed queries, shape ``(len(items), dimension)``."""
        return self._embed([self._content(item, "query", instruction) for item in items], self._system(instruction))

    def embed_candidates(self, items: Sequence[Item]) -> Embeddings:
        """Embed candidates, shape ``(len(items), dimension)``."""
        return self._embed([self._content(item, "candidate", "") for item in items], "")

    def _try(self) -> int:
        """Embed a text, and a picture where they are taken, and return the dimension."""
        lengths: list[int] = []
        for item in (Item("a photo of a dog"), Item(image=Image.new("RGB", (64, 64), (200, 120, 40)))):
            if item.image is None or self._form:
                content = self._content(item, "candidate", "")
                lengths.append(self._vectors(self._body([content], ""), 1, _TRIES_AT_LOADING).shape[1])
        if len(set(lengths)) > 1:
            got = f"{lengths[0]} of a text, {lengths[1]} of a picture"
            raise ModelError("the vectors differ in dimension", where=self._url, got=got, accepted="one dimension")
        return lengths[0]

    def _content(self, item: Item, side: str, instruction: str) -> tuple[str | None, str | None]:
        """Return the text and the data URI of an item.

        Raises:
            ModelError: The item has neither, or a picture where none are taken.
        """
        if item.text is None and item.image is None:
            raise ModelError(
                "an item has neither a text nor an image", where=self.name, accepted="a text, an image, or both"
            )
        if item.image is not None and (self._form is None or (item.text is not None and self._form != "messages")):
            raise ModelError("the server takes no such item", where=self.name, accepted=", ".join(self.modalities))
        text = None
        if item.text is not None:
            text = _filled(self._templates[side], item.text, instruction)
        return text, None if item.image is None else data_uri(item.image)

    def _system(self, instruction: str) -> str:
        return _filled(self._templates["system"], "", instruction)

    def _embed(self, contents: list[tuple[str | None, str | None]], system: str) -> Embeddings:
        """Send requests, several at a time, and return the vectors in the order of the items."""
        found = np.empty((len(contents), self.dimension), dtype=np.float32)
        by_kind = ([row for row, c in enumerate(contents) if (c[1] is None) == texts] for texts in (True, False))
        groups = [group for rows in by_kind for group in batches(rows, 1 if self._form == "messages" else self._batch)]

        def ask(rows: Sequence[int]) -> None:
            found[list(rows)] = self._vectors(self._body([contents[row] for row in rows], system), len(rows))

        self._client.stop(False)
        with ThreadPoolExecutor(self._concurrency) as threads:
            waiting = [threads.submit(ask, rows) for rows in groups]
            try:
                for one in as_completed(waiting):
                    one.result()
            except BaseException:  # Ctrl-C too
                self._client.stop()
                threads.shutdown(cancel_futures=True)
                raise
        return found

    def _body(self, contents: Sequence[tuple[str | None, str | None]], system: str) -> dict[str, Any]:
        """Return the body of a request for contents of one kind; for one content where it is a message."""
        body: dict[str, Any] = {"model": self.name, "encoding_format": "float"}
        if self._cut:
            body["dimensions"] = self._cut
        texts, uris = [text for text, _ in contents], [uri for _, uri in contents]
        if self._form == "messages":
            return body | {"messages": _messages(texts[0], uris[0], system)}
        return body | ({"input": texts} if uris[0] is None else {"input": uris, "modality": "image"})

    def _vectors(self, body: dict[str, Any], number: int, tries: int | None = None) -> Embeddings:
        """Send one request and return its vectors.

        Raises:
            ModelError: Another number of vectors, another dimension, or not numbers; see also :class:`JsonClient`.
        """
        answer = self._client.post(body, tries=tries)
        try:
            places = [int(entry["index"]) for entry in answer["data"]]
            rows = dict(zip(places, (entry["embedding"] for entry in answer["data"]), strict=True))
        except (TypeError, KeyError, ValueError) as error:
            got = self._client.shown(answer)
            accepted = '{"data": [{"index": 0, "embedding": [...]}, ...]}'
            raise ModelError(
                "the server answers in another form", where=self._url, got=got, accepted=accepted
            ) from error
        if len(places) != number:
            what = "the server returns another number of vectors"
            raise ModelError(what, where=self._url, got=len(places), accepted=number)
        if sorted(places) != list(range(number)):
            what = "the server repeats an index" if len(rows) < number else "the server returns other indices"
            accepted = f"0 to {number - 1}, each once: else nobody knows which vector is of which item"
            raise ModelError(what, where=f"{self._url}, index of data", got=sorted(places), accepted=accepted)
        try:
            with np.errstate(over="ignore"):  # infinity is refused below
                vectors = np.array([_numbers(rows[row]) for row in range(number)], dtype=np.float32)
        except (TypeError, ValueError) as error:
            accepted = "numbers, as many for each vector, or base64 of float32, little-endian"
            raise ModelError("the server returns no vectors", where=self._url, accepted=accepted) from error
        if vectors.ndim != 2 or not vectors.shape[1] or vectors.shape[1] != (self.dimension or vectors.shape[1]):
            what, expected = "the server returns another dimension", self.dimension or "1 or more"
            raise ModelError(what, where=self._url, got=vectors.shape[1:], accepted=expected)
        if not np.isfinite(vectors).all():
            raise ModelError(
                "the server returns a vector with NaN or infinity",
                where=self._url,
                hint="check the number format of the server: float16 overflows where bfloat16 does not",
            )
        return vectors


def _numbers(said: Any) -> Any:
    """Return the numbers of a vector that comes as base64, as OpenAI's servers may send it; others as they are.

    Raises:
        ValueError: The text is not base64, or not of whole numbers of 4 bytes.
    """
    if not isinstance(said, str):
        return said
    return np.frombuffer(base64.b64decode(said, validate=True), dtype="<f4")


def _form(said: str | None) -> str | None:
    if said not in (None, *_FORMS):
        raise InputError("unknown form of images", where="openai", got=said, accepted=", ".join(_FORMS))
    return said


def _templates(options: dict[str, str], form: str | None) -> dict[str, str]:
    found = {"query": "{text}", "candidate": "{text}", "system": ""}
    found |= {name: options[name] for name in found if name in options}
    allowed = {"query": {"text", "instruction"}, "candidate": {"text"}, "system": {"instruction"}}
    for name, template in found.items():
        words = set(re.findall(r"\{(\w*)\}", template))
        if not words <= allowed[name] or (name != "system" and "text" not in words):
            accepted = ", ".join(f"{{{word}}}" for word in sorted(allowed[name]))
            raise InputError(f"malformed template {name}", where="openai", got=template, accepted=accepted)
    if found["system"] and form != "messages":
        raise InputError("a system message needs messages", where="openai", got="system", accepted="images=messages")
    return found


def _filled(template: str, text: str, instruction: str) -> str:
    values = {"{text}": text, "{instruction}": instruction}
    return re.sub(r"\{text\}|\{instruction\}", lambda found: values[found[0]], template)


def _messages(text: str | None, uri: str | None, system: str) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = [] if uri is None else [{"type": "image_url", "image_url": {"url": uri}}]
    content += [] if text is None else [{"type": "text", "text": text}]
    said = [{"role": "system", "content": [{"type": "text", "text": system}]}] if system else []
    return [*said, {"role": "user", "content": content}]


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
