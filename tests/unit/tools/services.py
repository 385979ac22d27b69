"""A public service on this machine: real HTTP, answers as they were scripted."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Reply:
    """One scripted answer.

    `cut` announces so many bytes more than are sent, `silent` never answers, `unsized` does not announce its length.
    """

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: int = 0
    silent: bool = False
    unsized: bool = False


@dataclass
class Seen:
    """One request that came in."""

    method: str
    path: str
    fields: dict[str, list[str]]
    headers: dict[str, str]
    form: dict[str, list[str]]


class Stand:
    """A service whose answers a test scripts: `stand.say("/path", Reply(...), ...)`; the last one is repeated."""

    def __init__(self) -> None:
        self.script: dict[str, deque[Reply | Callable[[Seen], Reply]]] = {}
        self.seen: list[Seen] = []
        self.over = threading.Event()
        self.guard = threading.Lock()
        self.url = ""

    def say(self, path: str, *replies: Any) -> None:
        self.script[path] = deque(reply if not isinstance(reply, bytes) else Reply(reply) for reply in replies)

    def answer(self, seen: Seen) -> Reply:
        with self.guard:
            self.seen.append(seen)
            replies = self.script.get(seen.path)
            if not replies:
                return Reply(b"not here", 404)
            reply = replies.popleft() if len(replies) > 1 else replies[0]
        return reply(seen) if callable(reply) else reply


@contextmanager
def standing() -> Iterator[Stand]:
    """Run a service on a port that the system gives."""
    stand = Stand()

    class Handler(BaseHTTPRequestHandler):
        def respond(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("content-length") or 0)
            form = parse_qs(self.rfile.read(length).decode())
            fields = parse_qs(parts.query, keep_blank_values=True)
            reply = stand.answer(Seen(self.command, parts.path, fields, dict(self.headers.items()), form))
            if reply.silent:
                stand.over.wait(20)
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if not reply.unsized:
                self.send_header("Content-Length", str(len(reply.body) + reply.cut))
            self.end_headers()
            self.wfile.write(reply.body)

        do_GET = do_POST = respond  # noqa: N815 - the names of http.server

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    stand.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield stand
    finally:
        stand.over.set()
        server.shutdown()
        server.server_close()
