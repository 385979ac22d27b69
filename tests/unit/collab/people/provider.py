"""An OpenID Connect provider on loopback that signs in whoever is set, and lies when it is told to."""

from __future__ import annotations

import base64
import functools
import hashlib
import http.client
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

CLIENT, SECRET = "the lab", "s3cret / with signs"


@functools.cache
def first_key() -> RSAKey:
    """Return the key that it signs with at first; making one takes longer than most tests."""
    return RSAKey.generate_key(2048, {"kid": "first", "use": "sig"}, private=True)


@dataclass
class Provider:
    """What it knows, and how it lies."""

    issuer: str
    clock: Callable[[], float] = time.time
    key: Any = field(default_factory=lambda: first_key())
    algorithm: str = "RS256"
    person: dict[str, Any] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)  # what it says otherwise; None leaves out
    spoil: Callable[[str], str] = str
    published: list[Any] = field(default_factory=list)
    described: dict[str, Any] = field(default_factory=dict)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    redeemed: int = 0

    def describe(self) -> dict[str, Any]:
        places = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "jwks"}
        return {"issuer": self.issuer, **{name: f"{self.issuer}/{at}" for name, at in places.items()}, **self.described}

    def jwks(self) -> dict[str, Any]:
        return {"keys": [key.as_dict(private=False) for key in self.published or [self.key]]}

    def authorize(self, asked: dict[str, str]) -> str:
        """Return where the browser is sent back to."""
        assert asked["response_type"] == "code" and asked["client_id"] == CLIENT and "openid" in asked["scope"].split()
        assert asked["code_challenge_method"] == "S256" and len(asked["state"]) == len(asked["nonce"]) == 43
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state'], 'iss': self.issuer})}"

    def redeem(self, form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        asked = self.codes.pop(form["code"], None)
        shown = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=").decode()
        known = base64.b64decode(authorization.removeprefix("Basic ")).decode().split(":")
        if asked is None or shown != asked["code_challenge"] or form["redirect_uri"] != asked["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        if list(map(unquote, known)) != [CLIENT, SECRET]:
            return 401, {"error": "invalid_client"}
        self.redeemed += 1
        now = int(self.clock())
        said = {"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": asked["nonce"], **self.person}
        said = {name: value for name, value in (said | self.claims).items() if value is not None}
        header = {"alg": self.algorithm, "kid": self.key.kid}
        token = jwt.encode(header, said, self.key, algorithms=[self.algorithm])
        return 200, {"access_token": "unused", "token_type": "Bearer", "id_token": self.spoil(token)}


@contextmanager
def serve(provider_clock: Callable[[], float]) -> Iterator[Provider]:
    """Serve a provider."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            at = urlsplit(self.path)
            if at.path == "/authorize":
                asked = {name: values[0] for name, values in parse_qs(at.query).items()}
                self.send_response(302)
                self.send_header("Location", provider.authorize(asked))
                self.end_headers()
                return
            found = {"/.well-known/openid-configuration": provider.describe, "/jwks": provider.jwks}.get(at.path)
            self._reply(200 if found else 404, found() if found else {})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            self._reply(*provider.redeem(form, self.headers.get("Authorization", "")))

        def _reply(self, status: int, said: Any) -> None:
            data = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        provider = Provider(f"http://127.0.0.1:{server.server_port}", provider_clock)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield provider
        finally:
            server.shutdown()
            thread.join()


def browse(url: str) -> dict[str, str]:
    """Follow the browser to the provider; return the query with which it comes back."""
    at = urlsplit(url)
    connection = http.client.HTTPConnection(at.netloc)
    connection.request("GET", f"{at.path}?{at.query}")
    sent = connection.getresponse()
    assert sent.status == 302, sent.read()
    back = urlsplit(sent.getheader("Location") or "")
    connection.close()
    return {name: values[0] for name, values in parse_qs(back.query).items()}


__all__ = ["CLIENT", "SECRET", "ECKey", "Provider", "RSAKey", "browse", "serve"]
