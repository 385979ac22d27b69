"""What whole runs cost, through the real flow on a real Prefect server: cold, then warm, then warm without Prefect.

    python bench/runs.py [1000 5000 10000]

CPU is user + system time per node of the conductor and its children, and of the server. "recorded" counts the task
runs the server shows in a final state; it must equal "executed".
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent))
from workload import Clock, graph, in_own_process, number, peak_mb, table


def server_cpu_s(pid: int) -> float:
    """Return the CPU time of a server and its children so far [s]."""
    total = 0.0
    for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
        times = process.cpu_times()
        total += times.user + times.system
    return total


def one(home: str, n: int, way: str) -> None:
    """Run the graph once in this process and print the figures."""
    from physlab import service
    from physlab.lab import Lab
    from physlab.settings import load_settings

    overrides = {"home": home, "results": f"{home}/results", "run": {"parallelism": 4}}
    if way == "plain":
        with Lab(load_settings(overrides=overrides)) as lab:
            assert lab.registry.tools and lab.store
            named = lab.read(graph(n), Path())
            with Clock() as clock:
                record = service.carry_out(lab, named, lab.settings.run.request(), service.Conductor())
            meta: dict[str, Any] = {**record.meta}
    else:
        from physlab.engine.locator import load_flow
        from physlab.engine.server import connected, ensure_server

        spec = Path(home) / f"bench{n}.json"
        spec.write_text(json.dumps(graph(n)))
        info = ensure_server(load_settings(overrides=overrides))
        with connected(info):
            flow = load_flow("run_dag")
            with Clock() as clock:
                meta = flow(dag=str(spec), parallelism=4)["meta"]
    print(json.dumps({"wall_s": clock.wall_s, "cpu_s": clock.cpu_s, "peak_mb": peak_mb(), **meta}))


def measure(home: str, n: int, phase: str, way: str, server: int | None) -> dict[str, Any]:
    """Run one phase in its own process, with the server's CPU beside it."""
    before = server_cpu_s(server) if server else 0.0
    row = in_own_process(
        __file__, "one", home, str(n), way, env={"PHYSLAB_HOME": home, "PHYSLAB_RESULTS": f"{home}/results"}
    )
    row |= {"n": n, "phase": phase, "server_cpu_s": server_cpu_s(server) - before if server else 0.0}
    for name in ("wall_s", "cpu_s", "server_cpu_s"):
        if name in row:
            row[name.replace("_s", "_ms")] = 1e3 * row[name] / n
    row["all_ms"] = row.get("cpu_ms", 0.0) + row.get("server_cpu_ms", 0.0)
    return row


def main(sizes: list[int]) -> None:
    """Measure every size: cold, warm shown node by node, warm and cold without Prefect."""
    from physlab.engine.server import ensure_server, stop_server
    from physlab.settings import load_settings

    rows = []
    for n in sizes:
        with tempfile.TemporaryDirectory() as home:
            settings = load_settings(overrides={"home": home})
            pid = ensure_server(settings).pid
            try:
                rows.append(measure(home, n, "cold, Prefect", "flow", pid))
                rows.append(measure(home, n, "warm, Prefect", "flow", pid))
            finally:
                stop_server(settings)
            rows.append(measure(home, n, "warm, no server", "plain", None))
        with tempfile.TemporaryDirectory() as home:
            rows.append(measure(home, n, "cold, no server", "plain", None))
    table(
        rows,
        {
            "nodes": lambda row: f"{row['n']:,}",
            "phase": lambda row: row["phase"],
            "wall ms/node": number("wall_ms", 3),
            "conductor CPU": number("cpu_ms", 3),
            "server CPU": number("server_cpu_ms", 3),
            "all CPU ms/node": number("all_ms", 3),
            "recorder": lambda row: str(row.get("recorder", "-")),
            "executed": lambda row: str(row.get("executed", "-")),
            "recorded": lambda row: str(row.get("recorded", "-")),
            "cached": lambda row: str(row.get("cache_hits", "-")),
            "peak MB": number("peak_mb", 0),
            "process s": number("process_s"),
            "error": lambda row: row.get("error", ""),
        },
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["one"]:
        one(sys.argv[2], int(sys.argv[3]), sys.argv[4])
    else:
        main([int(n) for n in sys.argv[1:]] or [1_000, 5_000, 10_000])
