"""JSON over HTTP with retries, and a key that no message shows."""

from __future__ import annotations

import json
import os
import random
import re
import textwrap
import threading
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError
from urllib3.util import Retry

from mrbench.errors import InputError, ModelError, looks_like_a_key

_AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
"""Answers that another try may cure: too busy, too many requests, a gateway without its server."""
_LONGEST_WAIT = 120.0
_CONNECT_TIMEOUT = 10.0
_LARGEST = 1 << 28  # bytes of an answer
_HIDDEN = "[key]"


class Key:
    """An API key. It is read when a request is sent; its text form shows nothing.

    Args:
        variable: The environment variable that holds it.
        required: Whether it must be set.

    Raises:
        InputError: No name of a variable, a variable that is not set, or a key that a header cannot carry.
    """

    def __init__(self, variable: str, *, required: bool) -> None:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", variable):  # the value is not shown: it may be the key itself
            raise InputError("the option key names an environment variable", accepted="key=NAME, never the key itself")
        self._variable = variable
        value = os.environ.get(variable, "")
        if required and not value:
            accepted = "key=NAME of an environment variable that holds the key"  # not shown: it may be the key itself
            raise InputError("the variable of the key is not set", where="environment", accepted=accepted)
        if not re.fullmatch(r"[\x21-\x7e]*", value):
            accepted = "letters, digits and signs of ASCII, without white space"
            raise InputError("the key holds what a header cannot", where=f"environment, {variable}", accepted=accepted)

    def __call__(self, request: Any) -> Any:
        """Add the key to a request: requests asks this of what it is given as ``auth``."""
        if value := os.environ.get(self._variable):
            request.headers["Authorization"] = f"Bearer {value}"
        return request

    def hide(self, text: str) -> str:
        """Return a text with the key, where it is in it, replaced."""
        value = os.environ.get(self._variable)
        return text.replace(value, _HIDDEN) if value else text

    @property
    def variable(self) -> str:
        """The name of the environment variable."""
        return self._variable

    def __repr__(self) -> str:
        return f"Key({self._variable})"


def check_url(url: str) -> str:
    """Return a URL without a slash at its end.

    Raises:
        InputError: It is not of http or https, or carries a user, a password, parameters, a query or what looks like
            a key, which results would then hold. The rest of its path is held.
    """
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  raises where it is no number
    except ValueError as error:
        raise InputError("malformed URL", got=url, accepted="http://HOST:PORT/v1") from error
    carried = "@" in parts.netloc or ";" in parts.path or parts.query or parts.fragment
    if carried or looks_like_a_key(url):  # not shown: it may be a key
        accepted = "a URL without user, password, parameters, query and key"
        hint = "put the key into OPENAI_API_KEY, or into a variable that ?key=NAME names"
        raise InputError(
            "the URL carries what a result must not hold", where=parts.hostname, accepted=accepted, hint=hint
        )
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError("malformed URL", got=url, accepted="http://HOST:PORT/v1")
    return url.rstrip("/")


class RefusedError(ModelError):
    """The server refuses a request in a way that sending it again cannot change.

    Attributes:
        status: Status of the answer.
    """

    status = 0


class JsonClient:
    """Posts JSON to one server and returns the JSON of its answers. It may be used by several threads.

    A time-out, a lost connection, a half answer and the statuses 408, 409, 425, 429, 500, 502, 503, 504 and 529 are
    tried again after a wait that doubles, or that the server names in ``Retry-After``. Redirects are not followed: the
    request and its key would go to another server.

    Args:
        url: The URL; see :func:`check_url`.
        key: The key.
        tries: Times that a request is sent, 1 or more.
        timeout: Seconds without an answer after which it is sent again.
        connections: Connections that are kept open.
        first_wait: Seconds before the second try.
        kept: What a user has to know who runs it again, for messages.
    """

    def __init__(
        self,
        url: str,
        key: Key,
        *,
        tries: int = 8,
        timeout: float = 120.0,
        connections: int = 8,
        first_wait: float = 0.5,
        kept: str = "embeddings in --cache are kept",
    ) -> None:
        self.url, self._key = url, key
        self._tries, self._timeout, self._first_wait = tries, timeout, first_wait
        self._kept = kept
        self._stopped = threading.Event()
        self._session = requests.Session()
        self._session.auth = key  # beside it, no password of a .netrc file is sent
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(pool_connections=1, pool_maxsize=connections))

    def post(self, body: dict[str, Any], *, tries: int | None = None) -> Any:
        """Send a request and return the JSON of the answer.

        Args:
            body: What is sent.
            tries: Times that it is sent; None takes those of the client. An answer that is not JSON is asked for twice.

        Raises:
            RefusedError: The server refuses the request.
            ModelError: The server answers with something else than JSON, or cannot be reached, as often as it is tried.
        """
        fault, wait, garbled, number = "", self._first_wait, 0, 0
        most = tries or self._tries
        while number < most and garbled < 2:
            if number:
                delay = wait + random.uniform(0, 0.1 * wait)  # so that threads do not all come back at once
                if self._stopped.wait(delay):
                    raise ModelError(
                        "the request was given up",
                        where=self.url,
                        hint="run the same again; what --cache holds is kept",
                    )
            try:
                status, headers, text = self._send(body)
            except (requests.RequestException, HTTPError) as error:
                fault, named = self._said(error), None
            else:
                if status == 200:
                    try:
                        return json.loads(text)
                    except ValueError:
                        garbled += 1
                        fault = f"the answer is not JSON: {self._shortened(text)!r}"
                elif status in _AGAIN:
                    fault = f"status {status}: {self._message(text)}"
                else:
                    raise self._refused(status, text)
                named = _retry_after(headers.get("Retry-After"))
            wait = min(_LONGEST_WAIT, self._first_wait * 2**number) if named is None else named
            number += 1
        raise ModelError(
            f"the server did not answer as it should, {number} times: {fault}",
            where=self.url,
            hint=f"check the server and its URL; {self._kept}",
        )

    def stop(self, stopped: bool = True) -> None:
        """Have all threads give up instead of trying again, or allow it again."""
        (self._stopped.set if stopped else self._stopped.clear)()

    def shown(self, answer: Any) -> str:
        """Return an answer as a message may show it: short, and without the key."""
        return self._shortened(json.dumps(answer))

    def _send(self, body: dict[str, Any]) -> tuple[int, Any, str]:
        timeout = (_CONNECT_TIMEOUT, self._timeout)
        with self._session.post(self.url, json=body, timeout=timeout, allow_redirects=False, stream=True) as answer:
            parts, size = [], 0
            for part in answer.iter_content(1 << 16):
                parts.append(part)
                size += len(part)
                if size > _LARGEST:
                    raise ModelError("the answer is too large", where=self.url, accepted=f"{_LARGEST >> 20} MiB")
            return answer.status_code, answer.headers, b"".join(parts).decode("utf-8", "replace")

    def _said(self, error: Exception) -> str:
        if isinstance(error, requests.Timeout):
            return f"no answer within {self._timeout:g} seconds"
        if isinstance(error, requests.ConnectionError) and "Max retries" in str(error):
            return "no connection"
        return self._shortened(f"{type(error).__name__}: {error}")

    def _refused(self, status: int, text: str) -> RefusedError:
        hint = None
        if status in (401, 403):
            hint = f"set the key in {self._key.variable}, or name another variable with the option key of the spec"
        elif status == 404:
            hint = "check the URL, which mostly ends in /v1, and the model's name"
        elif 300 <= status < 400:
            hint = "give the URL that it redirects to"
        what = f"the server refuses the request with status {status}: {self._message(text)}"
        error = RefusedError(what, where=self.url, hint=hint)
        error.status = status
        return error

    def _message(self, text: str) -> str:
        """Return what an answer says of an error, as far as one line shows it."""
        try:
            said = json.loads(text)
            found = said.get("error", said.get("detail", said.get("message", text)))
            found = found.get("message", text) if isinstance(found, dict) else found
        except (ValueError, AttributeError):
            found = text
        return self._shortened(str(found)) or "no message"

    def _shortened(self, text: str) -> str:
        return textwrap.shorten(self._key.hide(text), 160, placeholder=" ...")


def _retry_after(value: str | None) -> float | None:
    """Return the seconds that a server asks to wait, given as a number or a date; None where it says nothing."""
    if not value:
        return None
    try:
        return min(_LONGEST_WAIT, max(0.0, Retry().parse_retry_after(value)))
    except Exception:  # a header of any content must not end a run
        return None
