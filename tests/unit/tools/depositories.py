"""Doubles of Zenodo and GitHub on this machine: they keep what they are sent, and fail when they are told to."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass
class Answer:
    """What a double says: status, JSON (or bytes), further headers."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Double:
    """A service: what it was asked, and the failures it has in store as (verb, pattern of the path, answer)."""

    token: str = "s3cret-token"  # noqa: S105 - a trial one
    url: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)
    failures: list[tuple[str, str, Answer]] = field(default_factory=list)
    lost: list[tuple[str, str]] = field(default_factory=list)

    def answer(self, verb: str, path: str, query: dict[str, list[str]], body: bytes, headers: Any) -> Answer:
        """Answer one request."""
        self.asked.append((verb, path))
        for item in self.failures:
            if item[0] == verb and re.search(item[1], path):
                self.failures.remove(item)
                return item[2]
        reply = self.serve(verb, path, query, body, headers)
        for item in self.lost:  # the work is done, and its answer gets lost
            if item[0] == verb and re.search(item[1], path):
                self.lost.remove(item)
                return Answer(502, {"message": "Bad gateway"})
        return reply

    def serve(self, verb: str, path: str, query: dict[str, list[str]], body: bytes, headers: Any) -> Answer:
        """Do what is asked."""
        raise NotImplementedError

    def count(self, verb: str, pattern: str) -> int:
        """Say how often something was asked."""
        return sum(asked == verb and re.search(pattern, path) is not None for asked, path in self.asked)


@contextmanager
def running(double: Double) -> Iterator[Double]:
    """Serve a double on a free port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _reply(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            body = self._chunks() if self.headers.get("Transfer-Encoding") == "chunked" else self.rfile.read(size)
            parts = urlsplit(self.path)
            found = double.answer(self.command, unquote(parts.path), parse_qs(parts.query), body, self.headers)
            content = found.body if isinstance(found.body, bytes) else json.dumps(found.body).encode()
            self.send_response(found.status)
            for name, value in {"Content-Type": "application/json", **found.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _chunks(self) -> bytes:
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)

        do_GET = do_POST = do_PUT = _reply  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    double.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield double
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Zenodo(Double):
    """Depositions, their files and what was published."""

    drafts: dict[int, dict[str, Any]] = field(default_factory=dict)
    spoil: Callable[[bytes], bytes] = lambda content: content

    def serve(self, verb: str, path: str, query: dict[str, list[str]], body: bytes, headers: Any) -> Answer:
        if headers.get("Authorization") != f"Bearer {self.token}":
            return Answer(401, {"status": 401, "message": "Unauthorized"})
        home = "/api/deposit/depositions"
        if path == home and verb == "GET":
            page, size = int(query["page"][0]), int(query["size"][0])
            listed = sorted(self.drafts.values(), key=lambda draft: -draft["id"])
            return Answer(200, listed[(page - 1) * size : page * size])
        if path == home:
            return self._create(json.loads(body)["metadata"])
        if match := re.fullmatch(rf"{home}/(\d+)(/actions/publish)?", path):
            draft = self.drafts[int(match[1])]
            if match[2]:
                draft.update(submitted=True, state="done", doi=f"10.5072/zenodo.{draft['id']}")
                draft["links"]["record_html"] = f"{self.url}/records/{draft['id']}"
                return Answer(202, draft)
            return Answer(200, draft)
        if match := re.fullmatch(r"/api/files/bucket-(\d+)/(.+)", path):
            content = self.spoil(body)
            entry = {
                "filename": match[2],
                "checksum": hashlib.md5(content, usedforsecurity=False).hexdigest(),
                "filesize": len(content),
            }
            files = self.drafts[int(match[1])]["files"]
            files[:] = [item for item in files if item["filename"] != match[2]] + [entry]
            return Answer(201, {"key": match[2], "checksum": f"md5:{entry['checksum']}"})
        return Answer(404, {"message": "not found"})

    def _create(self, metadata: dict[str, Any]) -> Answer:
        if not all(metadata.get(name) for name in ("title", "creators", "description", "upload_type")):
            return Answer(400, {"message": "Validation error.", "errors": [{"field": "metadata", "message": "lacks"}]})
        number = 1000 + len(self.drafts)
        self.drafts[number] = {
            "id": number, "state": "unsubmitted", "submitted": False, "files": [], "doi": "",
            "metadata": {**metadata, "prereserve_doi": {"doi": f"10.5072/zenodo.{number}"}},
            "links": {"bucket": f"{self.url}/api/files/bucket-{number}", "html": f"{self.url}/uploads/{number}"},
        }  # fmt: skip
        return Answer(201, self.drafts[number])


@dataclass
class Github(Double):
    """Repositories, and git over HTTP through git's own `http-backend`."""

    folder: Path = Path()
    repos: dict[str, dict[str, Any]] = field(default_factory=dict)

    def serve(self, verb: str, path: str, query: dict[str, list[str]], body: bytes, headers: Any) -> Answer:
        if ".git/" in path:
            return self._git(verb, path, query, body, headers)
        if headers.get("Authorization") != f"Bearer {self.token}":
            return Answer(401, {"message": "Bad credentials"})
        if path == "/user":
            return Answer(200, {"login": "ada"})
        if path in ("/user/repos", "/orgs/lab/repos"):
            return self._create("ada" if path == "/user/repos" else "lab", json.loads(body))
        if match := re.fullmatch(r"/repos/([^/]+/[^/]+)(/topics)?", path):
            found = self.repos.get(match[1])
            if found is None:
                return Answer(404, {"message": "Not Found"})
            if match[2]:
                found["topics"] = json.loads(body)["names"]
            return Answer(200, found)
        return Answer(404, {"message": "Not Found"})

    def _create(self, owner: str, wish: dict[str, Any]) -> Answer:
        name = f"{owner}/{wish['name']}"
        bare = self.folder / f"{name}.git"
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(bare)], check=True)
        subprocess.run(["git", "-C", str(bare), "config", "http.receivepack", "true"], check=True)
        page = f"{self.url}/{name}"
        self.repos[name] = {**wish, "html_url": page, "clone_url": f"{page}.git", "topics": []}
        return Answer(201, self.repos[name])

    def _git(self, verb: str, path: str, query: dict[str, list[str]], body: bytes, headers: Any) -> Answer:
        login = base64.b64encode(f"x-access-token:{self.token}".encode()).decode()
        if headers.get("Authorization") != f"Basic {login}":
            return Answer(401, {}, {"WWW-Authenticate": 'Basic realm="git"'})
        environment = {
            "PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": str(self.folder), "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path, "REQUEST_METHOD": verb, "CONTENT_TYPE": headers.get("Content-Type", ""),
            "QUERY_STRING": "&".join(f"{name}={value[0]}" for name, value in query.items()),
            "CONTENT_LENGTH": str(len(body)), "REMOTE_USER": "ada", "REMOTE_ADDR": "127.0.0.1",
            "HTTP_CONTENT_ENCODING": headers.get("Content-Encoding", ""),
        }  # fmt: skip
        done = subprocess.run(["git", "http-backend"], input=body, env=environment, capture_output=True, check=True)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        said = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        status = int(said.pop("Status", "200").split()[0])
        return Answer(status, content, {name: value for name, value in said.items() if name != "Content-Length"})
