"""S26: whom the lab never asks, whatever an address says; with real sockets and real look-ups where there is a name."""

from __future__ import annotations

import http.server
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from physlab.collab.people.institute import Institute, Provider
from physlab.errors import ConfigurationError, ResourceError
from physlab.outgoing import client, look_up, read_reply, refusal, trusted
from physlab.service.sharing.fetch import fetch_link
from physlab.settings import load_settings
from physlab.signing.timestamp import post
from tests.system.test_portal import certificate

SECRETS = ["169.254.169.254", "fe80::1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::",
           "fd00:ec2::254", "100.100.100.200", "fe80::a9fe:a9fe"]  # fmt: skip
NOWHERE = ["0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255", "::ffff:0.0.0.0"]  # noqa: S104 - to be refused
NEAR = ["127.0.0.1", "::1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "fd12::1", "::ffff:127.0.0.1", "100.64.0.1",
        "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:7f00:1::"]  # fmt: skip


@contextmanager
def serve(
    body: bytes = b"{}", status: int = 200, pause_s: float = 0.0, tls: tuple[Path, Path] | None = None, **headers: str
) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Serve on this machine; give the address, and the headers of what is asked."""
    asked: list[dict[str, str]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(dict(self.headers))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            for place in range(0, len(body), 1000):
                try:
                    self.wfile.write(body[place : place + 1000])
                except OSError:
                    return
                time.sleep(pause_s)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *given: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http{'s' if tls else ''}://127.0.0.1:{server.server_port}/", asked
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("address", [*SECRETS, *NOWHERE])
def test_s26_some_addresses_are_never_asked(address: str) -> None:
    assert refusal(address, near=True) and refusal(address, near=False)


@pytest.mark.parametrize("address", NEAR)
def test_s26_this_network_is_asked_only_where_the_settings_name_it(address: str) -> None:
    assert refusal(address, near=False)
    assert not refusal(address, near=True)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34"])
def test_s26_others_are_asked(address: str) -> None:
    assert not refusal(address, near=False)


@pytest.mark.parametrize("host", ["2130706433", "0177.0.0.1", "0x7f.1", "127.1", "localhost", "[::ffff:7f00:1]", "0"])
def test_s26_no_spelling_leads_to_this_machine(host: str) -> None:
    """A server is there; with a public address as the only one named, no spelling reaches it."""
    with serve() as (url, asked):
        port = url.rpartition(":")[2]
        with (
            client("https://login.example.org", limit_s=5) as http,
            pytest.raises((httpx.ConnectError, httpx.InvalidURL)),
        ):
            http.get(f"http://{host}:{port}")
        assert asked == []
        with client(url, limit_s=5) as http:
            assert http.get(url).status_code == 200
        assert len(asked) == 1


def test_s26_a_name_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that stands for a public address first and for this machine a moment later (DNS rebinding)."""
    looked = []

    def answer(host: str | bytes | None, port: object, *more: object, **named: object) -> list[object]:
        looked.append(host)
        place = "192.0.2.7" if host == "rebind.example" and looked.count(host) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (place, 0))] if host == "rebind.example" else real(
            host, port, *more, **named)  # type: ignore[arg-type]  # fmt: skip

    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", answer)
    assert look_up("rebind.example", near=True) == ["192.0.2.7"], "the name server lies as it is told to"
    looked.clear()
    with serve() as (url, asked):
        port = url.rstrip("/").rpartition(":")[2]
        with client("http://rebind.example", limit_s=0.5) as http, pytest.raises(httpx.TransportError):
            http.get(f"http://rebind.example:{port}/")
        assert asked == [] and looked.count("rebind.example") == 1
        with (
            client("https://login.example.org", limit_s=5) as http,
            pytest.raises(httpx.ConnectError, match="not asked"),
        ):
            http.get(f"http://rebind.example:{port}/")
        assert asked == []


def test_s26_who_is_asked_is_called_by_name() -> None:
    with serve(b"{}", 200, 0.0, Set_Cookie="a=b; Path=/") as (url, asked):
        named = url.replace("127.0.0.1", "localhost")
        with client(named, limit_s=5) as http:
            for _ in range(2):
                assert http.get(named).status_code == 200
    assert [heard["Host"] for heard in asked] == [named.split("/")[2]] * 2
    assert [heard.get("Cookie") for heard in asked] == [None, "a=b"]


def test_s26_a_certificate_is_held_against_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cert, key = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(cert))
    trusted.cache_clear()
    try:
        with serve(tls=(cert, key)) as (url, asked), client(url, limit_s=5) as http:
            assert http.get(url).status_code == 200
            other = url.replace("127.0.0.1", "localhost")
            with client(other, limit_s=5) as http, pytest.raises(httpx.ConnectError, match="certificate verify failed"):
                http.get(other)
        assert len(asked) == 1
    finally:
        trusted.cache_clear()


def test_s26_an_authority_of_time_stamps_leads_nowhere_else() -> None:
    reply = "application/timestamp-reply"
    with serve(content_type=reply) as (inner, reached), serve(b"", 307, 0.0, Location=inner) as (url, asked):
        with pytest.raises(ResourceError, match="answers 307"):
            post(url, b"query")
        assert (len(asked), reached) == (1, [])
        assert post(inner, b"query") == b"{}"
    for bad in (*(f"http://[{each}]/" if ":" in each else f"http://{each}/" for each in (*SECRETS, *NOWHERE)),
                "file:///etc/passwd", "ftp://example.org/", "gopher://example.org/", "http://"):  # fmt: skip
        with pytest.raises(ResourceError, match=r"gives none: (.* is not asked: |.*protocol)"):
            post(bad, b"query")
    with serve(b"x" * 100_000, content_type=reply) as (url, _), pytest.raises(ResourceError, match="more than 65536"):
        post(url, b"query")


def test_s26_an_answer_that_drips_ends() -> None:
    with serve(b"x" * 20_000, 200, 0.1) as (url, _), client(url, limit_s=1) as http, http.stream("GET", url) as reply:
        begun = time.monotonic()
        with pytest.raises(httpx.ReadTimeout, match=r"longer than 0\.5 s"):
            read_reply(reply, 1 << 20, 0.5)
        assert time.monotonic() - begun < 1.5


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "ftp://a.org/", "javascript:alert(1)", "http://user:pw@a.org/", "tsa.example.org", "http://",
     "https:///tsr", "http://a b/"],
)  # fmt: skip
def test_s26_an_authority_has_an_http_address(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigurationError, match="timestamp_url"):
        load_settings(tmp_path, {"collaboration.timestamp_url": url}, environ={"HOME": str(tmp_path)})
    for good in ("http://tsa.example.org/tsr", "https://10.0.0.4:8443/a?b=c"):
        found = load_settings(tmp_path, {"collaboration.timestamp_url": good}, environ={"HOME": str(tmp_path)})
        assert found.collaboration.timestamp_url == good


def test_s26_an_institute_sends_nobody_into_this_network() -> None:
    """What an institute elsewhere says about its endpoints is its word, not the settings'."""
    provider = Provider(Institute("https://login.example.org", "lab", "secret"))
    with serve() as (url, asked):
        with pytest.raises(ConfigurationError, match="no https:// address"):
            provider._ask("POST", f"{url}token", {"code": "x"})
        with pytest.raises(ResourceError, match="not asked"):
            provider._ask("POST", f"{url.replace('http:', 'https:')}token", {"code": "x"})
        with pytest.raises(ResourceError, match="not asked"):
            provider._ask("GET", "https://169.254.169.254/jwks")
        assert asked == []


def test_s26_a_link_of_a_stranger_reads_no_more_than_an_answer(tmp_path: Path) -> None:
    token = "pll_" + "A" * 43
    for body, says in ((b"[]", "not from a lab"), (b'{"only": 3}', "not from a lab"), (b" " * (2 << 20), "more than")):
        with serve(body) as (url, _), pytest.raises(ResourceError, match=says):
            fetch_link(f"{url}#/join/{token}", tmp_path / "bundle.zip")
    with pytest.raises(ResourceError, match="not asked"):
        fetch_link(f"http://169.254.169.254/#/join/{token}", tmp_path / "bundle.zip")
    assert list(tmp_path.iterdir()) == []
