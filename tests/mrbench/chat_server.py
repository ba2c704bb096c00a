"""A real HTTP server with ``/v1/chat/completions`` that judges captions by their words, and fails as it is told."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "sk-canary-7f3a91"
Action = Callable[["Handler"], None]


class Server(ThreadingHTTPServer):
    """Attributes: what it was sent; what it does next to a request; what it does to every request (``always``)."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.times: list[float] = []
        self.script: list[Action] = []
        self.always: Action | None = None
        self.delay = 0.0
        self.busy, self.most_busy = 0, 0
        self.lock = threading.Lock()

    @property
    def spec(self) -> str:
        return f"openai:http://127.0.0.1:{self.server_address[1]}/v1#tiny-judge?tries=2&timeout=1"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        server = self.server
        self.body = body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with server.lock:
            server.bodies.append(body)
            server.keys.append(self.headers.get("Authorization"))
            server.times.append(time.monotonic())
            server.busy += 1
            server.most_busy = max(server.most_busy, server.busy)
            action = server.script.pop(0) if server.script else server.always
        try:
            time.sleep(server.delay)
            if self.path != "/v1/chat/completions":
                self.answer(404, {"error": {"message": "no such path"}})
            elif action is not None:
                action(self)
            else:
                self.says(json.dumps(judged(body)))
        finally:
            with server.lock:
                server.busy -= 1

    def says(self, text: str | None) -> None:
        usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        self.answer(200, {"object": "chat.completion", "choices": [choice], "usage": usage})

    def answer(self, status: int, body: Any, **headers: str) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)


def question(body: dict[str, Any]) -> dict[str, Any]:
    """The question of a request: query, items, captions; ``photo`` has its data URI."""
    content = next(m["content"] for m in body["messages"] if m["role"] == "user")
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    asked: dict[str, Any] = json.loads(next(part["text"] for part in parts if part["type"] == "text"))
    photos = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
    return asked | ({"photo": photos[0]} if photos else {})


def judged(body: dict[str, Any], excluding: tuple[str, ...] = ("colour",)) -> dict[str, str]:
    """Kept where a caption has the words; of some kinds violated where it has not; else unknown."""
    asked = question(body)
    said = " ".join(asked.get("captions of the candidate", ())).lower()
    found = {}
    for item in asked["items"]:
        absent = "violated" if any(kind in item["kind"] for kind in excluding) else "unknown"
        found[item["id"]] = "kept" if item["words"].lower() in said else absent
    return found


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
