"""Files over HTTP: by digest and in no other way, whole or in parts, for ever or until a link is over."""

from __future__ import annotations

import email
import re
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from physlab.errors import ConfigurationError, ValidationError
from physlab.keys import digest_bytes
from physlab.lab import Lab
from physlab.service.serving import listen, make_link
from physlab.store import Store, open_store
from physlab.transfer.links import Links
from physlab.transfer.ranges import read_ranges
from physlab.transfer.serving import blob_app
from tests.unit.conftest import open_lab

DATA = bytes(range(256)) * 40


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "store") as opened:
        yield opened


@pytest.fixture
def links(tmp_path: Path) -> Links:
    return Links(tmp_path / "keys")


class Web:
    """Asks the application without a network."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(app=self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://lab.example") as web:
                return await web.request(method, path, **more)

        return anyio.run(ask)

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.request("GET", path, **more)

    def head(self, path: str, **more: Any) -> httpx.Response:
        return self.request("HEAD", path, **more)


def client(store: Store, links: Links, **more: Any) -> Web:
    return Web(blob_app(store, links, **{"public": True, **more}))


def test_a_file_is_served_for_ever_and_safely(store: Store, links: Links) -> None:
    digest, _ = store.blobs.put(DATA)
    web = client(store, links)
    for answer in (web.get(f"/blobs/{digest}"), web.head(f"/blobs/{digest}")):
        assert answer.status_code == 200
        assert answer.headers["content-length"] == str(len(DATA))
        assert answer.headers["etag"] == f'"{digest}"'
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-disposition"].startswith("attachment")
        assert "sandbox" in answer.headers["content-security-policy"]
    assert web.get(f"/blobs/{digest}").content == DATA
    assert web.head(f"/blobs/{digest}").content == b""


@pytest.mark.parametrize("tag", ['"{}"', 'W/"{}"', '"x", "{}"', "*"])
def test_what_a_cache_has_does_not_travel_again(store: Store, links: Links, tag: str) -> None:
    digest, _ = store.blobs.put(DATA)
    answer = client(store, links).get(f"/blobs/{digest}", headers={"If-None-Match": tag.format(digest)})
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", f'"{digest}"')
    assert client(store, links).get(f"/blobs/{digest}", headers={"If-None-Match": '"x"'}).status_code == 200


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [("bytes=0-0", 0, 1), ("bytes=5-9", 5, 10), ("bytes=10000-", 10000, 10240), ("bytes=-7", 10233, 10240),
     ("bytes=10239-99999", 10239, 10240), ("bytes=-99999", 0, 10240)],
)  # fmt: skip
def test_a_part_is_served(store: Store, links: Links, asked: str, start: int, end: int) -> None:
    digest, _ = store.blobs.put(DATA)
    answer = client(store, links).get(f"/blobs/{digest}", headers={"Range": asked})
    assert answer.status_code == 206 and answer.content == DATA[start:end]
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{len(DATA)}"
    assert answer.headers["content-length"] == str(end - start)


def test_several_parts_are_served_at_once(store: Store, links: Links) -> None:
    digest, _ = store.blobs.put(DATA)
    answer = client(store, links).get(f"/blobs/{digest}", headers={"Range": "bytes=0-3, 300-309,-2"})
    assert answer.status_code == 206 and int(answer.headers["content-length"]) == len(answer.content)
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    found = [part.get_payload(decode=True) for part in email.message_from_bytes(head + answer.content).get_payload()]
    assert found == [DATA[:4], DATA[300:310], DATA[-2:]]


@pytest.mark.parametrize(
    "asked", ["lines=0-3", "bytes=", "bytes=9-5", "bytes=a-b", "bytes=0-3;4", "bytes=" + ",".join(["0-"] * 50)]
)
def test_a_strange_range_is_the_whole_file(store: Store, links: Links, asked: str) -> None:
    digest, _ = store.blobs.put(DATA)
    answer = client(store, links).get(f"/blobs/{digest}", headers={"Range": asked})
    assert (answer.status_code, answer.content) == (200, DATA)


def test_a_range_behind_the_end_and_one_of_another_file(store: Store, links: Links) -> None:
    digest, _ = store.blobs.put(DATA)
    web = client(store, links)
    outside = web.get(f"/blobs/{digest}", headers={"Range": "bytes=10240-"})
    assert (outside.status_code, outside.headers["content-range"]) == (416, f"bytes */{len(DATA)}")
    for tag, status in ((f'"{digest}"', 206), ('"other"', 200), ("Sun, 06 Nov 1994 08:49:37 GMT", 200)):
        answer = web.get(f"/blobs/{digest}", headers={"Range": "bytes=0-3", "If-Range": tag})
        assert answer.status_code == status
    empty, _ = store.blobs.put(b"")
    assert web.get(f"/blobs/{empty}", headers={"Range": "bytes=0-"}).status_code == 416
    assert web.get(f"/blobs/{empty}").content == b""


def test_ranges_never_cost_more_than_twice_the_file() -> None:
    assert read_ranges("bytes=" + ",".join(["0-9999"] * 3), 10_000) is None
    assert read_ranges("bytes=0-1,2-3", 10_000) == [(0, 2), (2, 4)]


def test_s22_only_64_hexadecimal_digits_reach_the_disk(store: Store, links: Links, tmp_path: Path) -> None:
    digest, _ = store.blobs.put(DATA)
    (tmp_path / "store" / "secret").write_text("planted")
    web = client(store, links)
    strange = ["", ".", "..", "../secret", "%2e%2e%2fsecret", "..%2fsecret", digest[:63], digest + "0", digest.upper(),
               digest[:-1] + "g", digest[:-1] + "\u0661", f"sha256:{digest}", f"{digest}/", f"{digest}%00",
               f"{digest}%0a", f"{digest[:2]}/{digest[2:]}", "%00" * 64, "store.json", "objects"]  # fmt: skip
    for word in strange:
        answer = web.get(f"/blobs/{word}", follow_redirects=False)
        assert answer.status_code in (404, 307), word
        assert b"planted" not in answer.content and DATA not in answer.content
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        assert web.request(method, f"/blobs/{digest}").status_code == 405
    for path in ("/", "/blobs", "/blobs/", "/objects", f"/{digest}", "/docs", "/openapi.json"):
        assert web.get(path, follow_redirects=False).status_code == 404


def test_damaged_bytes_are_never_served(store: Store, links: Links) -> None:
    digest, _ = store.blobs.put(DATA)
    path = store.blobs.path(digest)
    path.chmod(0o644)
    path.write_bytes(DATA[:-1] + b"x")
    assert client(store, links).get(f"/blobs/{digest}").status_code == 404
    assert not path.exists(), "so that it is made anew"


def test_what_may_not_be_served_is_as_if_it_were_not_there(store: Store, links: Links) -> None:
    digest, _ = store.blobs.put(DATA)
    web = client(store, links, may_serve=lambda found: "held until 2030" if found == digest else None)
    held, unknown = web.get(f"/blobs/{digest}"), web.get(f"/blobs/{'0' * 64}")
    assert (held.status_code, held.content, held.headers) == (404, unknown.content, unknown.headers)
    assert client(store, links, public=False, may_serve=lambda _: "held").get(links.path(digest, 60)).status_code == 404


def test_s1_a_link_with_any_sign_changed_opens_nothing(store: Store, links: Links) -> None:
    digest, _ = store.blobs.put(DATA)
    other, _ = store.blobs.put(b"other")
    web = client(store, links, public=False)
    path = links.path(digest, 60)
    good = web.get(path)
    assert (good.status_code, good.content) == (200, DATA) and good.headers["cache-control"].startswith("private")
    unknown = web.get(f"/blobs/{digest}")
    assert unknown.status_code == 404
    query = path.partition("?")[2]
    expires, code = re.fullmatch(r"expires=(\d+)&code=([0-9a-f]{64})", query).groups()  # type: ignore[union-attr]
    bad = [f"expires={expires}&code={code[:i]}{'0' if code[i] != '0' else '1'}{code[i + 1 :]}" for i in range(64)]
    bad += [f"expires={int(expires) + 1}&code={code}", f"expires={expires}&code={code[:-1]}", f"expires={expires}"]
    bad += [f"expires=0{expires}&code={code}", f"expires={expires}&code={code}0", f"code={code}", "expires=&code="]
    bad += [f"expires={expires}&code={code.upper()}", f"expires=%d9%a1&code={code}", f"expires={expires}&code=%c3%a9"]
    for changed in bad:
        answer = web.get(f"/blobs/{digest}?{changed}")
        assert (answer.status_code, answer.content) == (404, unknown.content), changed
    assert web.get(f"/blobs/{other}?{query}").status_code == 404


def test_s2_a_link_ends_exactly_when_it_says(links: Links) -> None:
    digest = digest_bytes(DATA)
    query = links.path(digest, 60, now=1000.0).partition("?")[2]
    expires, code = query.removeprefix("expires=").split("&code=")
    assert expires == "1060"
    assert links.opens(digest, expires, code, now=1059.9)
    assert not links.opens(digest, expires, code, now=1060.0)
    with pytest.raises(ValidationError, match="cannot last"):
        links.path(digest, 8 * 86_400)
    with pytest.raises(ValidationError, match="not a SHA-256"):
        links.path("../secret", 60)


# --- where it listens ----------------------------------------------------------------------------------------------


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with open_lab(tmp_path) as opened:
        yield opened


def certificate(folder: Path) -> tuple[Path, Path]:
    made = (folder / "cert.pem", folder / "key.pem")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command, "-out", made[0], "-keyout", made[1]], check=True, capture_output=True)
    return made


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "lab.example", "192.0.2.1"])  # noqa: S104
def test_s35_it_does_not_listen_beyond_this_machine_without_tls(lab: Lab, host: str) -> None:
    with pytest.raises(ConfigurationError, match="is reached from other machines") as raised, listen(lab, host, 0):
        pass
    assert "--insecure-lan" in raised.value.hint


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_s35_over_tls_or_when_somebody_insists_it_does(lab: Lab, tmp_path: Path) -> None:
    digest, _ = lab.store.blobs.put(DATA)
    cert, key = certificate(tmp_path)
    with listen(lab, "0.0.0.0", 0, insecure_lan=True) as opened:  # noqa: S104
        assert opened.url.startswith("http://0.0.0.0:")
    with listen(lab, "0.0.0.0", 0, certificate=cert, key=key) as opened:  # noqa: S104
        thread = threading.Thread(target=opened.run)
        thread.start()
        try:
            port = opened.socket.getsockname()[1]
            trust = ssl.create_default_context(cafile=cert)
            path = make_link(lab, digest, 60)
            answer = httpx.get(f"https://127.0.0.1:{port}{path}", verify=trust)
            assert answer.content == DATA and "max-age" in answer.headers["strict-transport-security"]
            old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
            old.set_ciphers("ALL:@SECLEVEL=0")
            old.minimum_version = ssl.TLSVersion.TLSv1
            old.maximum_version = ssl.TLSVersion.TLSv1_1
            with pytest.raises((ssl.SSLError, ConnectionError)), socket.create_connection(("127.0.0.1", port)) as plain:
                old.wrap_socket(plain)
        finally:
            opened.server.should_exit = True
            thread.join(20)


def test_a_port_that_is_taken_and_a_bad_certificate_are_told(lab: Lab, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigurationError, match="Cannot listen"), listen(lab, "127.0.0.1", taken.getsockname()[1]):
            pass
    (tmp_path / "bad.pem").write_text("nothing")
    with pytest.raises(ConfigurationError, match=r"bad\.pem"), listen(lab, "::1", 0, certificate=tmp_path / "bad.pem"):
        pass
