"""The client of a language model, against a real server on this machine that answers well and badly."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from physlab.errors import ConfigurationError, ResourceError
from physlab.settings import load_settings
from physlab.settings.model import EndpointSettings
from physlab.settings.sources import shown
from physlab.tools.endpoint import ask_model


class Server(ThreadingHTTPServer):
    """Answers each request as `status` and `body` say, and remembers what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status, self.body = 200, b""
        self.silent = threading.Event()
        self.over = threading.Event()
        self.asked: list[tuple[str, dict[str, str], dict[str, Any]]] = []

    @property
    def settings(self) -> EndpointSettings:
        return EndpointSettings(base_url=f"http://127.0.0.1:{self.server_port}/v1/", timeout_s=5)

    def say(self, text: str, **more: Any) -> None:
        self.status, self.body = 200, json.dumps({"choices": [{"message": {"content": text}}], **more}).encode()


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        self.server.asked.append((self.path, dict(self.headers), json.loads(self.rfile.read(length))))
        if self.server.silent.is_set():
            self.server.over.wait(30)
            return
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.over.set()
        server.shutdown()


def test_a_good_answer(server: Server) -> None:
    server.say(" Energy is conserved. ", model="small-model", usage={"total_tokens": 42})
    settings = server.settings.model_copy(update={"api_key": EndpointSettings(api_key="s3cret").api_key})  # type: ignore[arg-type]
    answer = ask_model(settings, "Why?", system="Be short.", json=True)
    assert answer == ("Energy is conserved.", "small-model", 42)
    [(path, headers, body)] = server.asked
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == "Bearer s3cret"
    assert body["model"] == "qwen2.5-coder" and body["temperature"] == 0
    assert [item["role"] for item in body["messages"]] == ["system", "user"]
    assert body["response_format"] == {"type": "json_object"}
    server.say("Yes.")
    assert ask_model(server.settings, "Why?", model="other") == ("Yes.", "other", None)


@pytest.mark.parametrize(("status", "error"), [(500, ResourceError), (503, ResourceError), (429, ResourceError),
                         (401, ConfigurationError), (404, ConfigurationError), (302, ConfigurationError)])  # fmt: skip
def test_a_refusal(server: Server, status: int, error: type[Exception]) -> None:
    server.status, server.body = status, b"out of order"
    with pytest.raises(error, match=f"answered {status}: out of order"):
        ask_model(server.settings, "Why?")


@pytest.mark.parametrize(
    "body",
    [b"", b"not json", b"[]", b"{}", b'{"choices": []}', b'{"choices": [{"message": {"content": null}}]}',
     b'{"choices": [{"message": {"content": "  "}}]}', b'"text"', b"\xff\xfe", b"{" * 5000],
)  # fmt: skip
def test_a_malformed_answer(server: Server, body: bytes) -> None:
    server.body = body
    with pytest.raises(ResourceError, match="no usable answer"):
        ask_model(server.settings, "Why?")


def test_silence(server: Server) -> None:
    server.silent.set()
    with pytest.raises(ResourceError, match=r"did not answer within 0\.2 s"):
        ask_model(server.settings.model_copy(update={"timeout_s": 0.2}), "Why?")


def test_a_key_that_the_endpoint_repeats_is_not_told(server: Server) -> None:
    server.status, server.body = 401, b"Incorrect API key provided: sk-very-secret."
    settings = server.settings.model_copy(update={"api_key": SecretStr("sk-very-secret")})
    with pytest.raises(ConfigurationError, match=r"answered 401: Incorrect API key provided: [*]{3}") as refused:
        ask_model(settings, "Why?")
    assert "secret" not in str(refused.value.as_reply())


def test_nobody_there(server: Server) -> None:
    server.shutdown()
    server.server_close()
    with pytest.raises(ResourceError, match="cannot be reached"):
        ask_model(server.settings, "Why?")


def test_nothing_configured() -> None:
    with pytest.raises(ConfigurationError, match="No language model"):
        ask_model(EndpointSettings(), "Why?")


def test_settings(tmp_path: Path) -> None:
    """The variables of older servers are read, ours are stronger, and the key is never shown."""
    environ = {"HOME": str(tmp_path), "LM_BASE_URL": "http://one/v1/", "LM_API_KEY": "s3cret", "DEFAULT_MODEL": "m"}
    settings = load_settings(tmp_path, environ=environ)
    assert (settings.endpoint.base_url, settings.endpoint.model) == ("http://one/v1", "m")
    assert settings.endpoint.api_key is not None
    assert settings.endpoint.api_key.get_secret_value() == "s3cret"
    assert "s3cret" not in repr(settings) + repr(shown(settings)) + settings.model_dump_json()
    stronger = load_settings(tmp_path, environ={**environ, "PHYSLAB_ENDPOINT__MODEL": "n"})
    assert stronger.endpoint.model == "n"
    with pytest.raises(ConfigurationError, match="http://"):
        load_settings(tmp_path, environ={**environ, "LM_BASE_URL": "one"})
    with pytest.raises(ConfigurationError, match=r"set endpoint\.api_key"):
        load_settings(tmp_path, environ={**environ, "LM_BASE_URL": "http://me:s3cret@host/v1"})
    (tmp_path / "physlab.toml").write_text("[endpoint]\napi_key = 12345\n")
    with pytest.raises(ConfigurationError) as refused:
        load_settings(tmp_path, environ={"HOME": str(tmp_path)})
    assert "12345" not in str(refused.value)
