"""What one trivial node costs on a Slurm cluster with four pilots: raw Dask, physlab, physlab on Prefect, prefect-dask.

    python bench/cluster.py [1000] [--ways dask,physlab,physlab-prefect,prefect-dask]

A real Slurm is started for it. CPU is user + system time of all processes together (client, foreman or scheduler,
pilots, Prefect server), from when four pilots are warm until the last result is there. The nodes do not depend on each
other: this measures handing out, not waiting.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
WAYS = ("dask", "physlab", "physlab-prefect", "prefect-dask")
PILOTS = 4
SITE = {"cpus": 1, "memory_gb": 0.3, "max_pilots": PILOTS, "interface": "lo", "walltime_s": 1800, "idle_s": 600}


def cpu_s(server: int) -> float:
    """Return the CPU time of everything that takes part."""
    tops = [psutil.Process(), *([psutil.Process(server)] if server else [])]
    part = {one.pid: one for top in tops for one in (top, *top.children(recursive=True))}
    for one in psutil.process_iter(["cmdline"]):
        if any("dask" in word for word in (one.info["cmdline"] or ())[:4]):
            part |= {each.pid: each for each in (one, *one.children(recursive=True))}
    total = 0.0
    for one in part.values():
        try:
            times = one.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
        except psutil.Error:
            continue
    return total


def timed(n: int, server: int, work: Callable[[], Any]) -> None:
    before, start = cpu_s(server), time.perf_counter()
    said = work()
    wall = time.perf_counter() - start
    time.sleep(1.0 if server else 0.2)
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    out = {"wall_s": wall, "cpu_ms": 1e3 * (cpu_s(server) - before) / n, "rss_mb": rss, "said": said}
    print("\nRESULT " + json.dumps(out), flush=True)


def trivial(i: int) -> int:
    return i


def slurm_cluster(folder: Path) -> Any:
    from dask_jobqueue import SLURMCluster
    from distributed import Client

    cluster = SLURMCluster(
        cores=1, processes=1, memory="300MB", walltime="00:30:00", interface="lo", security=True, nanny=False,
        shared_temp_directory=str(folder), log_directory=str(folder), scheduler_options={"dashboard_address": ":0"},
    )  # fmt: skip
    cluster.scale(PILOTS)
    client = Client(cluster)
    client.wait_for_workers(PILOTS)
    return cluster, client


def dask(n: int, folder: Path, server: int) -> None:
    cluster, client = slurm_cluster(folder)
    client.gather([client.submit(trivial, -i - 1, pure=False) for i in range(20)])

    def work() -> int:
        return len(client.gather([client.submit(trivial, i, pure=False) for i in range(n)]))

    timed(n, server, work)
    client.close()
    cluster.close()


def prefect_dask(n: int, folder: Path, server: int) -> None:
    from prefect import flow, task
    from prefect.cache_policies import NO_CACHE
    from prefect_dask import DaskTaskRunner

    cluster, client = slurm_cluster(folder)
    node = task(cache_policy=NO_CACHE, persist_result=False)(trivial)

    @flow(task_runner=DaskTaskRunner(address=cluster.scheduler_address, client_kwargs={"security": cluster.security}))
    def bench(count: int) -> int:
        return len([future.result() for future in [node.submit(i) for i in range(count)]])

    bench(8)
    timed(n, server, lambda: bench(n))
    client.close()
    cluster.close()


def graph(start: int, n: int) -> dict[str, Any]:
    names = range(start, start + n)
    nodes = [{"id": f"n{i}", "tool": "units_convert", "params": {"quantity": f"{i} m", "to": "km"}} for i in names]
    return {"title": "bench", "nodes": nodes}


def physlab(n: int, folder: Path, server: int, database_url: str = "") -> None:
    from physlab import service
    from physlab.lab import Lab
    from physlab.model import RunRequest
    from physlab.settings import load_settings

    site = {f"sites.slurm.hpc.{name}": value for name, value in SITE.items()}
    with Lab(
        load_settings(folder, overrides={"home": str(folder / "home"), "results": str(folder / "r"), **site})
    ) as lab:

        def run(start: int, count: int, conductor: Any = None) -> Any:
            request = RunRequest(site="hpc", offload_policy="remote_first", parallelism=4)
            reply = service.run_dag(lab, graph(start, count), request, base_dir=folder, conductor=conductor)
            assert reply.error is None, reply.error
            return {name: reply.body["meta"].get(name) for name in ("recorded", "recorder")}

        run(10**6, 8)
        time.sleep(5)  # until all pilots are there
        if server:
            on_prefect(run, 2 * 10**6, 8, database_url)  # as for prefect-dask: what is loaded once is no node's
        timed(n, server, lambda: on_prefect(run, 0, n, database_url) if server else run(0, n))


def on_prefect(run: Callable[..., Any], start: int, n: int, database_url: str) -> Any:
    from prefect import flow

    from physlab.engine.submitter import PrefectSubmitter
    from physlab.service import Conductor

    @flow(name="bench-physlab")
    def bench() -> Any:
        return run(start, n, Conductor(submitter=PrefectSubmitter(database_url=database_url)))

    return bench()


def client(way: str, n: int, folder: Path, server: int, database_url: str) -> None:
    if way.startswith("physlab"):
        return physlab(n, folder, server, database_url)
    (dask if way == "dask" else prefect_dask)(n, folder, server)


def measure(way: str, n: int, environment: dict[str, str], server: Any = None) -> dict[str, Any] | None:
    if server is not None:
        environment = {**environment, "PREFECT_API_URL": server.api_url, "PREFECT_HOME": str(server.home),
                       "PREFECT_LOGGING_LEVEL": "WARNING", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        known = [str(server.process.pid), server.database_url] if server is not None else ["0", ""]
        command = [sys.executable, __file__, "--client", way, str(n), folder, *known]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=1800)
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if not lines:
        print(f"{way:16} failed: {done.stderr[-1500:]}")
        return None
    out: dict[str, Any] = json.loads(lines[0][7:])
    print(f"{way:16} {n:6} {out['cpu_ms']:8.2f} {out['wall_s']:8.1f} {n / out['wall_s']:9.0f} {out['rss_mb']:7.0f}"
          f"  {out['said']}", flush=True)  # fmt: skip
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nodes", nargs="?", type=int, default=1000)
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--client", nargs=5, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.client:
        way, n, folder, server, database_url = chosen.client
        return client(way, int(n), Path(folder), int(server), database_url)
    from physlab.testing.slurm import ClusterPlan, SlurmCluster, missing_parts
    from tests.flows.conftest import run_server

    if missing_parts():
        return print(missing_parts())
    print(f"{'way':16} {'nodes':>6} {'CPU ms':>8} {'wall s':>8} {'nodes/s':>9} {'RSS MB':>7}")
    rates: dict[str, float] = {}
    for way in chosen.ways.split(","):
        with SlurmCluster.start(ClusterPlan(nodes=2)) as cluster:
            environment = {**os.environ, "SLURM_CONF": str(cluster.conf), "PATH": cluster.environment["PATH"]}
            if "prefect" in way:
                with run_server() as server:
                    out = measure(way, chosen.nodes, environment, server)
            else:
                out = measure(way, chosen.nodes, environment)
        if out:
            rates[way] = chosen.nodes / out["wall_s"]
    for ours in ("physlab", "physlab-prefect"):
        for other in ("dask", "prefect-dask"):
            if ours in rates and other in rates:
                print(f"{ours} hands out {rates[ours] / rates[other]:.2f} times as many nodes a second as {other}")


if __name__ == "__main__":
    main()
