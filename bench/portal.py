"""The served lab under mixed reads: 10,000 runs, 100,000 files, one process; every one of them is in the audit log.

    python bench/portal.py [--runs 10000] [--files 10] [--rate 200] [--seconds 20] [--postgres URL]

The load comes from another process over keep-alive connections, at a fixed rate (open loop: a slow answer does not slow
the next request down), and its times count from when a request was due. What is asked: lists of runs, single runs,
nodes, lists of files, files, the notebook, who one is.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

PASSWORD = "correct horse battery staple"  # noqa: S105 - of the bench
SESSION = "bench"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--files", type=int, default=10)
    parser.add_argument("--rate", type=float, default=200)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--postgres", help="SQLAlchemy URL; unset: a file")
    given = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="physlab-bench-"))
    os.environ |= {"PHYSLAB_HOME": str(home), "PHYSLAB_SERVER__MODE": "none"}
    if given.postgres:
        os.environ["PHYSLAB_COLLABORATION__DATABASE_URL"] = given.postgres
    try:
        known = fill(given.runs, given.files)
        measure(home, known, given.rate, given.seconds)
    finally:
        shutil.rmtree(home)


def fill(runs: int, files: int) -> dict[str, Any]:
    """Write a ledger of so many runs, each with one node and its files, and let a person in."""
    from physlab.collab.people import People
    from physlab.keys import digest, digest_bytes
    from physlab.lab import Lab
    from physlab.service.sharing.commons import commons_of, local_who
    from physlab.settings import load_settings

    begun = time.perf_counter()
    with Lab(load_settings()) as lab:
        store = lab.store
        bytes_ = [os.urandom(2000) for _ in range(200)]
        blobs = [store.blobs.put(data)[0] for data in bytes_]
        names = []
        for start in range(0, runs, 500):
            records: list[tuple[str, dict[str, Any]]] = []
            for number in range(start, min(start + 500, runs)):
                run_id = f"20260101-000000-{number:06x}"
                numbers = range(number * files, (number + 1) * files)
                digests = [blobs[index] if index < len(blobs) else digest_bytes(b"%d" % index) for index in numbers]
                artifacts = [
                    {"sha256": each, "name": f"f{place}.png", "media_type": "image/png", "size": 2000,
                     "role": "static", "caption": "", "field": None} for place, each in enumerate(digests)
                ]  # fmt: skip
                node = {
                    "kind": "node", "key": digest([number]), "recipe": digest([number, "r"]), "tool": "cas",
                    "method": "diff", "params": {"expr": f"x^{number}"}, "code": {"physlab": "0"}, "seed": 0,
                    "device": "cpu", "device_requested": "cpu", "fields": {"str": f"{number}*x"},
                    "field_digests": {"str": digest(number)}, "artifacts": artifacts, "run_id": run_id,
                    "node_id": "slope", "started_at": "2026-01-01T00:00:00+00:00", "duration_ms": 1.0,
                }  # fmt: skip
                run = {
                    "kind": "run", "run_id": run_id, "dag_id": digest(["dag", number])[:16], "title": f"Run {number}",
                    "status": "completed", "started_at": "2026-01-01T00:00:00+00:00", "duration_ms": 1.0,
                    "request": {"session": SESSION},
                    "nodes": [{"id": "slope", "tool": "cas", "status": "completed", "record": digest(node)}],
                    "meta": {"session": SESSION},
                }  # fmt: skip
                records += [("node", node), ("run", run)]
                names.append(run_id)
            store.append_all(records)
        store.refresh()
        filled = time.perf_counter()
        with commons_of(lab) as commons:
            commons.contents.catch_up()
            listed = time.perf_counter()
            people = People(commons.database, commons.trail)
            person = people.accounts.create("reader", "A Reader")
            who = local_who(lab, commons)
            commons.own(who, SESSION)
            commons.sessions.admit(who, SESSION, person.id, "viewer")
            token, _ = people.tokens.add(person.id, "bench", 1, reads_only=True)
    print(f"{'ledger of ' + str(runs) + ' runs':34}{filled - begun:8.1f} s")
    print(f"{'files of sessions listed anew':34}{listed - filled:8.1f} s   {runs * files} files")
    return {"runs": names, "files": blobs, "token": token}


def measure(home: Path, known: dict[str, Any], rate: float, seconds: float) -> None:
    """Serve the lab in a process of its own, and ask it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "physlab", "portal", "--port", str(port), "--json"]
    environment = os.environ | {"PHYSLAB_PORTAL__REQUESTS_PER_MINUTE": "1000000"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True)
    assert process.stdout is not None
    address = json.loads(process.stdout.readline())["address"]
    try:
        asyncio.run(ask(address, known, 20, 3))  # warm
        before = cpu_of(process.pid)
        times, statuses = asyncio.run(ask(address, known, rate, seconds))
        spent, rss = cpu_of(process.pid) - before, memory_of(process.pid)
    finally:
        process.terminate()
        process.wait()
    times.sort()
    count = len(times)
    print(f"{'requests':34}{count:8d}     at {rate:g}/s, {set(statuses)}")
    for name, share in (("median", 0.5), ("p95", 0.95), ("p99", 0.99)):
        print(f"{name:34}{1e3 * times[int(share * (count - 1))]:8.1f} ms")
    print(f"{'slowest':34}{1e3 * times[-1]:8.1f} ms")
    print(f"{'CPU of the server for a request':34}{1e3 * spent / count:8.2f} ms")
    print(f"{'its memory':34}{rss / 1e6:8.0f} MB")
    print(f"{'mean':34}{1e3 * statistics.fmean(times):8.1f} ms")
    del home


def cpu_of(pid: int) -> float:
    import psutil

    used = psutil.Process(pid).cpu_times()
    return float(used.user + used.system)


def memory_of(pid: int) -> float:
    import psutil

    return float(psutil.Process(pid).memory_info().rss)


async def ask(address: str, known: dict[str, Any], rate: float, seconds: float) -> tuple[list[float], list[int]]:
    """Ask at a fixed rate; return how long each answer took from when it was due, and the statuses."""
    chosen = random.Random(5)  # noqa: S311
    base = f"/api/v1/sessions/{SESSION}"
    kinds = (
        lambda: f"{base}/runs?limit=50", lambda: f"{base}/runs/{chosen.choice(known['runs'])}",
        lambda: f"{base}/runs/{chosen.choice(known['runs'])}/nodes/slope", lambda: f"{base}/artifacts?limit=50",
        lambda: f"{base}/artifacts/{chosen.choice(known['files'])}", lambda: f"{base}/notebook", lambda: "/api/v1/me",
    )  # fmt: skip
    host, _, port = address.removeprefix("http://").partition(":")
    head = f"host: {host}:{port}\r\nauthorization: Bearer {known['token']}\r\n\r\n"
    times: list[float] = []
    statuses: list[int] = []
    free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(32):
        free.put_nowait(await asyncio.open_connection(host, int(port)))

    async def one(due: float) -> None:
        reader, writer = await free.get()
        writer.write(f"GET {chosen.choice(kinds)()} HTTP/1.1\r\n{head}".encode())
        answer = await reader.readuntil(b"\r\n\r\n")
        length = answer.lower().partition(b"content-length:")[2].partition(b"\r")[0]
        await reader.readexactly(int(length))
        free.put_nowait((reader, writer))
        times.append(time.perf_counter() - due)
        statuses.append(int(answer[9:12]))

    begun, waiting = time.perf_counter(), []
    for number in range(int(rate * seconds)):
        due = begun + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        waiting.append(asyncio.create_task(one(due)))
    await asyncio.gather(*waiting)
    while not free.empty():
        free.get_nowait()[1].close()
    return times, statuses


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    main()
