"""What a guest of a session waits for while somebody else asks for as much as they can, against when nobody does.

    python bench/abuse.py [--rounds 3]

The abuser comes from another address (127.0.0.2), ten times as often as anybody may: guesses of passwords, floods,
bodies of up to 30 MB, addresses of 30,000 letters. The bar is twice the p95 of the guest alone.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import itertools
import json
import multiprocessing
import sys
import tempfile
import time
from multiprocessing.synchronize import Event
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.flows.conftest import free_port
from tests.system.test_portal import physlab, portal

RATE = 25
"""Requests of an honest guest in a second."""


def abuse(port: int, stop: Event) -> None:
    """Ask ten times as often as anybody may, from another address: guesses, floods, and the largest bodies."""
    large = [b'{"login":' + b"[[],{}" + b",[],{}" * (size // 6) + b"]}" for size in (1_900_000, 30_000_000)]
    guess = json.dumps({"login": "anna", "password": "wrong horse battery staple"}).encode()
    kinds = itertools.cycle([("GET", "health", None)] * 8 + [("POST", "sign-in", guess)] * 4 + [
        ("POST", "sign-in", large[0]), ("GET", "sessions/stones/runs", None), ("POST", "sign-in", large[1]),
        ("GET", "x" * 30_000, None),
    ])  # fmt: skip
    headers = {"origin": f"http://127.0.0.1:{port}", "content-type": "application/json"}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10, source_address=("127.0.0.2", 0))
    while not stop.is_set():
        verb, place, body = next(kinds)
        begun = time.monotonic()
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection.request(verb, f"/api/v1/{place}", body, headers)
            connection.getresponse().read()
        if body is not None and len(body) > 1000:
            connection.close()
        time.sleep(max(0.0, begun + 0.005 - time.monotonic()))


def p95(guest: httpx.Client, seconds: float) -> float:
    """Return how long all but the slowest twentieth of a guest's requests take at most [s]."""
    times = []
    for _ in range(int(RATE * seconds)):
        begun = time.perf_counter()
        assert guest.get("/api/v1/sessions/stones/runs").status_code == 200
        times.append(time.perf_counter() - begun)
        time.sleep(max(0.0, begun + 1 / RATE - time.perf_counter()))
    return sorted(times)[int(0.95 * (len(times) - 1))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds, port = parser.parse_args().rounds, free_port()
    with (
        tempfile.TemporaryDirectory(prefix="physlab-bench-") as folder,
        portal(Path(folder), "--port", str(port)) as at,
    ):
        shared = physlab(Path(folder), "session", "share", "-s", "stones", "--json", port=str(port))
        physlab(Path(folder), "people", "add", "anna", "--name", "Anna", "--json")
        with httpx.Client(base_url=at, headers={"origin": at}, timeout=60) as guest:
            guest.post("/api/v1/links/open", json={"token": shared["share_url"].rpartition("/")[2]}).raise_for_status()
            p95(guest, 1)
            print("p95 alone   beside the abuser   ratio")
            for _ in range(rounds):
                alone, stop = p95(guest, 5), multiprocessing.get_context("spawn").Event()
                abuser = multiprocessing.get_context("spawn").Process(target=abuse, args=(port, stop), daemon=True)
                abuser.start()
                time.sleep(2)
                beside = p95(guest, 5)
                stop.set()
                abuser.join(30)
                print(f"{1e3 * alone:6.1f} ms {1e3 * beside:12.1f} ms {beside / alone:13.2f}")


if __name__ == "__main__":
    main()
