"""A real HTTP server with ``/v1/embeddings``, whose vectors are a function of what it is sent."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
from PIL import Image

KEY = "sk-canary-7f3a91"
DIMENSION = 12


def vector(*parts: object, dimension: int = DIMENSION) -> list[float]:
    """A vector that the parts decide."""
    seed = int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8], "big")
    return np.random.default_rng(seed).standard_normal(DIMENSION)[:dimension].round(6).tolist()


def pixels(uri: str) -> str:
    """The digest of the picture of a data URI."""
    head, _, data = uri.partition(",")
    assert head == "data:image/png;base64"
    image = Image.open(io.BytesIO(base64.b64decode(data)))
    return picture_digest(image)


def picture_digest(image: Image.Image) -> str:
    return hashlib.sha256(repr((image.mode, image.size)).encode() + image.tobytes()).hexdigest()


class Server(ThreadingHTTPServer):
    """Attributes: what it was sent, and what it does next to a request instead of answering it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.times: list[float] = []
        self.script: list[Any] = []
        self.change: Any = None
        self.busy, self.most_busy = 0, 0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else an answer waits for 40 ms
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        server = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with server.lock:
            server.bodies.append(body)
            server.keys.append(self.headers.get("Authorization"))
            server.times.append(time.monotonic())
            server.busy += 1
            server.most_busy = max(server.most_busy, server.busy)
            action = server.script.pop(0) if server.script else None
        try:
            if action is not None:
                action(self)
            elif self.path != "/v1/embeddings":
                self.answer(404, {"error": {"message": "no such path"}})
            else:
                self.answer(200, self.embed(body))
        finally:
            with server.lock:
                server.busy -= 1

    def embed(self, body: dict[str, Any]) -> dict[str, Any]:
        length = body.get("dimensions", DIMENSION)
        if "messages" in body:
            parts = [
                (message["role"], part["type"], part.get("text") or pixels(part["image_url"]["url"]))
                for message in body["messages"]
                for part in message["content"]
            ]
            found = [vector("messages", parts, dimension=length)]
        elif body.get("modality") == "image":
            found = [vector("image", pixels(uri), dimension=length) for uri in body["input"]]
        else:
            found = [vector("text", text, dimension=length) for text in body["input"]]
        data = [{"object": "embedding", "index": row, "embedding": one} for row, one in enumerate(found)]
        answer = {"object": "list", "data": data[::-1], "model": body["model"]}  # in any order: the index tells
        return self.server.change(answer) if self.server.change else answer

    def answer(self, status: int, body: Any, **headers: str) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def hang_up(self, after: bytes = b"") -> None:
        """Promise more than is sent."""
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        self.wfile.write(after)
        self.wfile.flush()
        self.close_connection = True


@contextmanager
def serving() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
