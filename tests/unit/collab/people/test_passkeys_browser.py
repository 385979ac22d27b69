"""Passkeys in a real browser: Chromium with its virtual authenticator, on a page of its own."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from physlab.collab.people import People, Person, RelyingParty
from physlab.errors import SignInError
from tests.unit.collab.people.conftest import PASSWORD

CREATE = """async said => {
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(JSON.parse(said));
  return JSON.stringify((await navigator.credentials.create({publicKey})).toJSON());
}"""
GET = """async said => {
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(JSON.parse(said));
  return JSON.stringify((await navigator.credentials.get({publicKey})).toJSON());
}"""


class Page(BaseHTTPRequestHandler):
    """An empty page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>Lab</title>")

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture
def page(port: int) -> Iterator[Any]:
    """A page at http://localhost, where passkeys need no certificate, and a device that verifies its user."""
    sync = pytest.importorskip("playwright.sync_api")
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("Chromium is not installed (apt-get install chromium)")
    with sync.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        made = browser.new_page()
        made.goto(f"http://localhost:{port}/")
        session = made.context.new_cdp_session(made)
        session.send("WebAuthn.enable")
        options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
                   "isUserVerified": True, "automaticPresenceSimulation": True}  # fmt: skip
        found = session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
        made.device = lambda verified: session.send(
            "WebAuthn.setUserVerified", {"authenticatorId": found["authenticatorId"], "isUserVerified": verified}
        )
        yield made
        browser.close()


def test_s15_a_passkey_in_chromium(people: People, anna: Person, page: Any, port: int) -> None:
    passkeys = people.passkeys(RelyingParty("localhost", "The Lab", (f"http://localhost:{port}",)))
    visit = people.door.sign_in("anna", PASSWORD).visit
    passkeys.add(visit, page.evaluate(CREATE, passkeys.adding(visit)), "this laptop")
    options, binding = passkeys.asking()
    answer = page.evaluate(GET, options)
    came = passkeys.sign_in(answer, binding)
    visit = people.visits.visit_of_cookie(came.cookie)
    assert visit.person == anna.id
    people.visits.require_fresh(visit)
    with pytest.raises(SignInError):  # again
        passkeys.sign_in(answer, binding)
    half = people.door.sign_in("anna", PASSWORD)
    passkeys.prove(half.visit, page.evaluate(GET, passkeys.proving(half.visit)))
    people.visits.require_fresh(people.visits.visit_of_cookie(half.cookie))


def test_s15_a_browser_elsewhere_is_refused(people: People, anna: Person, page: Any, port: int) -> None:
    here = people.passkeys(RelyingParty("localhost", "The Lab", (f"http://localhost:{port}",)))
    visit = people.door.sign_in("anna", PASSWORD).visit
    here.add(visit, page.evaluate(CREATE, here.adding(visit)), "this laptop")
    other = people.passkeys(RelyingParty("localhost", "The Lab", ("https://lab.example.org",)))
    options, binding = other.asking()
    with pytest.raises(SignInError):
        other.sign_in(page.evaluate(GET, options), binding)
