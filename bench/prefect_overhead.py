"""What one node costs on Prefect: stock `.submit` beside physlab's two ways of recording, against one server.

    python bench/prefect_overhead.py 1000 [5000 10000] [--ways stock,events,database,hits]

Nodes do nothing and stand in layers of ten, each with two edges. CPU is user + system time of the client with its
children, and of the server with its children, from before the flow until the count of recorded task runs stands still.
Wall times depend on what else the machine does; CPU times hardly.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import resource
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
WAYS = ("stock", "events", "database", "hits-events", "hits-database")
THREADS = 4


def upstream(i: int) -> list[int]:
    if i < 10:
        return []
    row = (i // 10 - 1) * 10
    return [row + i % 10, row + (i + 1) % 10]


def cpu_s() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def stock(n: int) -> dict[str, Any]:
    from prefect import task
    from prefect.cache_policies import NO_CACHE

    @task(cache_policy=NO_CACHE, persist_result=False, task_run_name="n{i}")
    def node(i: int) -> None:
        return None

    futures: list[Any] = []
    for i in range(n):
        futures.append(node.submit(i, wait_for=[futures[d] for d in upstream(i)]))
    for future in futures:
        future.result()
    return {"executed": n, "recorded": None, "recorder": "stock"}


def walk(n: int, submitter: Any) -> None:
    """Carry out all nodes with a ready queue of our own, as the walk does."""
    from physlab.submitter import Step

    todo = [len(upstream(i)) for i in range(n)]
    below: list[list[int]] = [[] for _ in range(n)]
    for i in range(n):
        for d in upstream(i):
            below[d].append(i)
    done: queue.SimpleQueue[int] = queue.SimpleQueue()

    def run(i: int) -> None:
        step = Step(f"n{i}", ("bench", "cpu"), tuple(f"n{d}" for d in upstream(i)))
        submitter.submit(step, lambda attempt: None)
        done.put(i)

    with ThreadPoolExecutor(THREADS) as pool:
        for i in range(n):
            if not todo[i]:
                pool.submit(run, i)
        for _ in range(n):
            for i in below[done.get()]:
                todo[i] -= 1
                if not todo[i]:
                    pool.submit(run, i)


def ours(n: int, way: str, database_url: str) -> dict[str, Any]:
    from physlab.engine.submitter import PrefectSubmitter
    from physlab.submitter import Step

    submitter = PrefectSubmitter(database_url=database_url, mode="database" if "database" in way else "events")
    submitter.open(n)
    if "hits" in way:
        submitter.hits(Step(f"n{i}", ("bench", "cpu"), tuple(f"n{d}" for d in upstream(i))) for i in range(n))
    else:
        walk(n, submitter)
    return submitter.close()


def client(way: str, n: int, database_url: str) -> None:
    """Run one flow and print what it cost; in a process of its own."""
    from prefect import flow
    from prefect.runtime import flow_run
    from prefect.task_runners import ThreadPoolTaskRunner

    from physlab.engine import submitter  # noqa: F401  its import is not what we measure

    out: dict[str, Any] = {}

    @flow(name=f"bench-{way}", task_runner=ThreadPoolTaskRunner(max_workers=THREADS))
    def bench() -> None:
        start, cpu = time.perf_counter(), cpu_s()
        out.update(stock(n) if way == "stock" else ours(n, way, database_url))
        out.update(wall_s=time.perf_counter() - start, flow_run_id=str(flow_run.id), cpu=cpu)

    bench()
    if way == "stock":
        from prefect.events.worker import EventsWorker

        EventsWorker.instance().wait_until_empty()
    out["client_cpu_s"] = cpu_s() - out["cpu"]
    out["rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print("\nRESULT " + json.dumps(out))


def server_cpu_s(pid: int) -> float:
    top = psutil.Process(pid)
    return sum(sum(process.cpu_times()[:2]) for process in [top, *top.children(recursive=True)])


def count(api_url: str, flow_run_id: str) -> int:
    import httpx

    query = {"flow_runs": {"id": {"any_": [flow_run_id]}}, "task_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}}
    return int(httpx.post(f"{api_url}/task_runs/count", json=query, timeout=60).json())


def settle(api_url: str, flow_run_id: str, n: int) -> int:
    last, since = -1, time.monotonic()
    while last < n and time.monotonic() - since < 15:
        now = count(api_url, flow_run_id)
        if now != last:
            last, since = now, time.monotonic()
        time.sleep(0.5)
    return last


def measure(server: Any, way: str, n: int) -> str:
    environment = {
        **os.environ,
        "PREFECT_API_URL": server.api_url,
        "PREFECT_HOME": str(server.home),
        "PREFECT_LOGGING_LEVEL": "WARNING",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }
    before, start = server_cpu_s(server.process.pid), time.monotonic()
    command = [sys.executable, __file__, "--client", way, str(n), server.database_url]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if not lines:
        return f"{way:14} {n:6}  failed: {done.stderr[-2000:]}"
    out = json.loads(lines[0][7:])
    shown = settle(server.api_url, out["flow_run_id"], n)
    total = time.monotonic() - start
    mine, its = 1e3 * out["client_cpu_s"] / n, 1e3 * (server_cpu_s(server.process.pid) - before) / n
    return (
        f"{way:14} {n:6} {mine:10.2f} {its:10.2f} {mine + its:8.2f} {out['wall_s']:9.1f} {total:11.1f}"
        f" {shown:7} of {n:<6} {out['recorded'] if out['recorded'] is not None else '-':>8} {out['rss_mb']:7.0f}"
        f" {out.get('recording_problem', '')}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nodes", nargs="*", type=int, default=[1000])
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--client", nargs=3, metavar=("WAY", "N", "DATABASE"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.client:
        return client(chosen.client[0], int(chosen.client[1]), chosen.client[2])
    from tests.flows.conftest import run_server

    print(
        f"{'way':14} {'nodes':>6} {'client ms':>10} {'server ms':>10} {'CPU ms':>8} {'wall s':>9} {'visible s':>11}"
        f" {'shown':>17} {'recorded':>8} {'RSS MB':>7}"
    )
    for n in chosen.nodes:
        for way in chosen.ways.split(","):
            with run_server() as server:
                print(measure(server, way, n), flush=True)


if __name__ == "__main__":
    main()
