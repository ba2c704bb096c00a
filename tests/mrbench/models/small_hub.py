"""A hub of one's own: its cache as the library lays it out, and a server that answers as the hub does."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"
OLDER = "76543210fedcba9876543210fedcba9876543210"


def cached(
    home: Path,
    folder: Path,
    *,
    repository: str = "org/tiny",
    commit: str = COMMIT,
    refs: str = "main",
    git: bool = False,
) -> Path:
    """Put a checkpoint into a cache of the hub, links to blobs, and return its snapshot.

    Blobs are named by SHA-256, as those of Git LFS, or by Git's own hash, as all others.
    """
    storage = home / "hub" / f"models--{repository.replace('/', '--')}"
    snapshot = storage / "snapshots" / commit
    for part in (storage / "blobs", snapshot, storage / "refs"):
        part.mkdir(parents=True, exist_ok=True)
    for ref in refs.split():
        (storage / "refs" / ref).write_text(commit)
    for path in folder.iterdir():
        content = path.read_bytes()
        digest = (hashlib.sha1(b"blob %d\0" % len(content) + content) if git else hashlib.sha256(content)).hexdigest()
        (storage / "blobs" / digest).write_bytes(path.read_bytes())
        (snapshot / path.name).symlink_to(Path(os.path.relpath(storage / "blobs" / digest, snapshot)))
    return snapshot


class Hub(BaseHTTPRequestHandler):
    """Answers for ``org/tiny``, whose branch ``main`` and tag ``v1`` are one commit."""

    folder: Path
    asked: list[str]

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path, api = self.path.partition("?")[0], "/api/models/org/tiny"
        self.asked.append(path)
        files = sorted(self.folder.iterdir())
        wanted = self.folder / path.rpartition("/")[2]
        if path in (api, *(f"{api}/revision/{revision}" for revision in ("main", "v1", COMMIT))):
            self.say({"id": "org/tiny", "sha": COMMIT, "siblings": [{"rfilename": file.name} for file in files]})
        elif path == f"{api}/tree/{COMMIT}":
            self.say([{"type": "file", "path": f.name, "size": f.stat().st_size, "oid": f.name} for f in files])
        elif path.startswith(f"/org/tiny/resolve/{COMMIT}/") and wanted.is_file():
            self.send(200, wanted.read_bytes())
        else:
            self.send(404, b"{}", "RevisionNotFound" if path.startswith(f"{api}/revision/") else "RepoNotFound")

    def say(self, value: object) -> None:
        self.send(200, json.dumps(value).encode())

    def send(self, status: int, content: bytes, error: str = "") -> None:
        self.send_response(status)
        headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": COMMIT, "X-Error-Code": error}
        for name, value in (headers | {"Content-Length": str(len(content))}).items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        pass


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Serve a checkpoint as ``org/tiny``; yield the address and what was asked for."""
    asked: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Served", (Hub,), {"folder": folder, "asked": asked}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
