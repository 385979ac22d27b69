"""S39: somebody who asks for as much as they can is refused, and others are answered. `bench/abuse.py` has figures."""

from __future__ import annotations

import http.client
import json
import threading
from collections import Counter
from pathlib import Path

import httpx

from tests.flows.conftest import free_port
from tests.system.test_portal import physlab, portal

ASKED = 400
"""Requests of the abuser: more than an address may make at once."""


def abuse(port: int, answered: Counter[int]) -> None:
    """Ask as often as it goes, from another address: guesses, floods, and the largest bodies; count the answers."""
    large = [b'{"login":' + b"[[],{}" + b",[],{}" * (size // 6) + b"]}" for size in (1_900_000, 30_000_000)]
    guess = json.dumps({"login": "anna", "password": "wrong horse battery staple"}).encode()
    kinds = [
        ("GET", "health", None), ("POST", "sign-in", guess), ("POST", "sign-in", large[0]),
        ("GET", "sessions/stones/runs", None), ("POST", "sign-in", large[1]), ("GET", "x" * 30_000, None),
    ]  # fmt: skip
    headers = {"origin": f"http://127.0.0.1:{port}", "content-type": "application/json"}
    for number in range(ASKED):
        verb, place, body = kinds[number % len(kinds) if number < 60 else 0]
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30, source_address=("127.0.0.2", 0))
        try:
            connection.request(verb, f"/api/v1/{place}", body, headers)
            answered[connection.getresponse().status] += 1
        except (OSError, http.client.HTTPException):
            answered[0] += 1  # hung up on, while a body was still being sent
        connection.close()


def test_s39_who_asks_for_too_much_is_refused_and_others_are_answered(tmp_path: Path) -> None:
    port, answered = free_port(), Counter[int]()
    with portal(tmp_path, "--port", str(port)) as address:
        shared = physlab(tmp_path, "session", "share", "-s", "stones", "--json", port=str(port))
        physlab(tmp_path, "people", "add", "anna", "--name", "Anna", "--json")
        with httpx.Client(base_url=address, headers={"origin": address}, timeout=60) as guest:
            opened = guest.post("/api/v1/links/open", json={"token": shared["share_url"].rpartition("/")[2]})
            assert opened.status_code == 200, opened.text
            abuser = threading.Thread(target=abuse, args=(port, answered))
            abuser.start()
            seen = Counter[int]()
            while abuser.is_alive():
                seen[guest.get("/api/v1/sessions/stones/runs").status_code] += 1
                abuser.join(0.2)
    assert set(seen) == {200}, seen
    assert answered.total() == ASKED and answered[429] > 0 and answered[401] > 0, answered
    assert answered[413] + answered[0] > 0 and answered[500] == 0, answered
