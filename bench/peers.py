"""physlab beside its peers: the same graph, the same machine, one run; cold, then warm.

    python bench/peers.py [--n 1000] [--tools physlab,snakemake,...] [--limit 300]

The graph is that of `workload.py`. Every tool does the same trivial work and is used as its documentation says; a cold
run starts in an empty folder, a warm run is a new process on the same folder with nothing changed. "engine" is the time
of the tool's own run, imports left out; "CPU" is user + system time of the whole process and its children. A tool that
is not installed is said to be missing (`pip install 'physlab[bench]'`), one that keeps nothing between processes has no
warm run. What each one keeps differs: physlab alone records every result with its provenance.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
from workload import Clock, Row, graph, in_own_process, number, table, upstream

WORKERS = 2


def work(*inputs: int) -> int:
    """Return one more than the sum of the inputs, small enough to stay a machine number."""
    return (1 + sum(inputs)) % 1_000_003


def expected(n: int) -> int:
    """Return the last value of the graph."""
    values: list[int] = []
    for i in range(n):
        values.append(work(*(values[d] for d in upstream(i))))
    return values[-1]


def networkx_loop(n: int, folder: Path) -> Clock:
    """Run the graph as a plain loop: the floor."""
    import networkx as nx

    with Clock() as clock:
        dag: nx.DiGraph[int] = nx.DiGraph()
        dag.add_nodes_from(range(n))
        dag.add_edges_from((d, i) for i in range(n) for d in upstream(i))
        values: dict[int, int] = {}
        for i in nx.topological_sort(dag):
            values[i] = work(*(values[d] for d in upstream(i)))
    assert values[n - 1] == expected(n)
    return clock


def physlab(n: int, folder: Path) -> Clock:
    """Run with the walk alone: validation, keys, store, records."""
    from physlab import service
    from physlab.lab import Lab
    from physlab.settings import load_settings

    with Lab(load_settings(overrides={"home": str(folder / "home"), "run": {"parallelism": 4}})) as lab:
        assert lab.registry.tools and lab.store
        named = lab.read(graph(n), folder)
        with Clock() as clock:
            record = service.carry_out(lab, named, lab.settings.run.request(), service.Conductor())
    assert record.status == "completed"
    return clock


def physlab_prefect(n: int, folder: Path) -> Clock:
    """Run with every node a task run on the lab's Prefect server, results folder included."""
    from physlab.engine.locator import load_flow
    from physlab.engine.server import connected, ensure_server
    from physlab.settings import load_settings

    spec = folder / "graph.json"
    spec.write_text(json.dumps(graph(n)))
    with connected(ensure_server(load_settings())):
        flow = load_flow("run_dag")
        with Clock() as clock:
            meta = flow(dag=str(spec), parallelism=4)["meta"]
    assert meta["recorded"] == meta["executed"]
    return clock


def prefect_stock(n: int, folder: Path) -> Clock:
    """Run with stock Prefect: `.submit` on threads, cached by inputs in a folder, on the same tuned server."""
    from prefect import flow, task
    from prefect.cache_policies import INPUTS
    from prefect.task_runners import ThreadPoolTaskRunner

    from physlab.engine.server import connected, ensure_server
    from physlab.settings import load_settings

    @task(cache_policy=INPUTS.configure(key_storage=folder / "cache"), persist_result=True, result_serializer="json")
    def node(i: int, inputs: list[int]) -> int:
        return work(*inputs)

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=4))
    def whole() -> int:
        futures: list[Any] = []
        for i in range(n):
            futures.append(node.submit(i, [futures[d] for d in upstream(i)]))
        return int([future.result() for future in futures][-1])

    with connected(ensure_server(load_settings())), Clock() as clock:
        assert whole() == expected(n)
    return clock


def snakemake(n: int, folder: Path) -> Clock:
    """Run one rule with a `shell:` line, the cheapest job Snakemake has; files between nodes."""
    import subprocess

    (folder / "Snakefile").write_text(
        textwrap.dedent(f"""
            import sys
            sys.path.insert(0, {str(Path(__file__).resolve().parent)!r})
            from workload import upstream
            rule all:
                input: expand("o{{i}}", i=range({n}))
            rule node:
                output: "o{{i,[0-9]+}}"
                input: lambda wildcards: [f"o{{d}}" for d in upstream(int(wildcards.i))]
                shell: "s=1; for f in {{input}}; do s=$(( s + $(cat $f) )); done; echo $(( s % 1000003 )) > {{output}}"
        """)
    )
    command = [sys.executable, "-m", "snakemake", "--cores", str(WORKERS), "--quiet", "all", "--scheduler", "greedy"]
    with Clock() as clock:
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    assert int((folder / f"o{n - 1}").read_text()) == expected(n)
    return clock


def parsl(n: int, folder: Path) -> Clock:
    """Run on Parsl's threads, memoised, with a checkpoint at the end."""
    import parsl as engine
    from parsl.config import Config
    from parsl.dataflow.memoization import BasicMemoizer
    from parsl.executors import ThreadPoolExecutor

    memoizer = BasicMemoizer(checkpoint_mode="dfk_exit")
    config = Config(
        executors=[ThreadPoolExecutor(max_threads=4)],
        run_dir=str(folder / "runinfo"),
        memoizer=memoizer,
        usage_tracking=0,
        initialize_logging=False,
    )
    engine.load(config)

    @engine.python_app(cache=True)
    def node(i: int, *values: int) -> int:  # "inputs" is a name that Parsl reads
        return (1 + sum(values)) % 1_000_003

    with Clock() as clock:
        futures: list[Any] = []
        for i in range(n):
            futures.append(node(i, *(futures[d] for d in upstream(i))))
        assert [future.result() for future in futures][-1] == expected(n)
    engine.dfk().cleanup()
    return clock


def doit(n: int, folder: Path) -> Clock:
    """Run with doit: a file for each node, its own database says what is up to date."""
    from doit.cmd_base import ModuleTaskLoader
    from doit.doit_cmd import DoitMain

    def act(i: int) -> None:
        values = [int((folder / f"o{d}").read_text()) for d in upstream(i)]
        (folder / f"o{i}").write_text(str(work(*values)))

    def task_node() -> Any:
        for i in range(n):
            needs = [str(folder / f"o{d}") for d in upstream(i)]
            fresh = {} if needs else {"uptodate": [True]}
            yield {
                "name": str(i),
                "actions": [(act, [i])],
                "file_dep": needs,
                "targets": [str(folder / f"o{i}")],
                **fresh,
            }

    options = {"dep_file": str(folder / "doit.db"), "reporter": "zero"}
    sys.setrecursionlimit(20_000)
    with Clock() as clock:
        assert DoitMain(ModuleTaskLoader({"task_node": task_node, "DOIT_CONFIG": options})).run(["run"]) == 0
    return clock


def redun(n: int, folder: Path) -> Clock:
    """Run with redun on threads, its SQLite backend keeping every value."""
    import logging

    from redun import Scheduler, task
    from redun.config import Config

    sys.setrecursionlimit(20_000)
    logging.getLogger("redun").setLevel(logging.WARNING)
    settings = {
        "backend": {"db_uri": f"sqlite:///{folder}/redun.db"},
        "executors.default": {"type": "local", "max_workers": "4", "mode": "thread"},
    }
    scheduler = Scheduler(config=Config(settings))
    scheduler.load()

    @task(namespace="bench", version="1")
    def node(i: int, *inputs: int) -> int:
        return (1 + sum(inputs)) % 1_000_003

    @task(namespace="bench", version="1")
    def whole(n: int) -> list[int]:
        values: list[Any] = []
        for i in range(n):
            values.append(node(i, *(values[d] for d in upstream(i))))
        return values

    with Clock() as clock:
        assert scheduler.run(whole(n))[-1] == expected(n)
    return clock


def dask(n: int, folder: Path) -> Clock:
    """Run with dask.delayed on threads; it keeps nothing."""
    import dask as engine

    node = engine.delayed(work)
    with Clock() as clock:
        values: list[Any] = []
        for i in range(n):
            values.append(node(*(values[d] for d in upstream(i))))
        assert engine.compute(*values, scheduler="threads", num_workers=4)[-1] == expected(n)
    return clock


def dask_distributed(n: int, folder: Path) -> Clock:
    """Run on a local Dask cluster of two processes; it keeps nothing."""
    from dask.distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=WORKERS, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
        Clock() as clock,
    ):
        values: list[Any] = []
        for i in range(n):
            values.append(client.submit(work, *(values[d] for d in upstream(i)), pure=False))
        assert client.gather(values[-1]) == expected(n)
    return clock


TOOLS: dict[str, Callable[[int, Path], Clock]] = {
    "networkx": networkx_loop,
    "physlab": physlab,
    "physlab-prefect": physlab_prefect,
    "prefect": prefect_stock,
    "snakemake": snakemake,
    "parsl": parsl,
    "doit": doit,
    "redun": redun,
    "dask": dask,
    "dask-distributed": dask_distributed,
}
NOTHING_KEPT = {"networkx", "dask", "dask-distributed"}
SLOW_ABOVE = {"redun": 100}  # its scheduler is exponential in the depth of such a graph


def main() -> None:
    """Measure every tool, cold and warm, each in its own process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--tools", default=",".join(TOOLS))
    options = parser.parse_args()
    rows: list[Row] = []
    for name in options.tools.split(","):
        n = min(options.n, SLOW_ABOVE.get(name, options.n))
        with tempfile.TemporaryDirectory() as folder:
            env = {
                "PHYSLAB_HOME": f"{folder}/home",
                "PHYSLAB_RESULTS": f"{folder}/results",
                "PREFECT_LOGGING_LEVEL": "WARNING",
            }
            for phase in ("cold", "warm")[: 1 if name in NOTHING_KEPT else 2]:
                row = in_own_process(__file__, "one", name, str(n), folder, env=env)
                rows.append({**row, "tool": name, "phase": phase, "n": n})
            if "prefect" in name:
                from physlab.engine.server import stop_server
                from physlab.settings import load_settings

                stop_server(load_settings(overrides={"home": f"{folder}/home"}))
    base = {row["phase"]: row["ms"] for row in rows if row["tool"] == "physlab" and "ms" in row}
    for row in rows:
        if "ms" in row and row["phase"] in base:
            row["ratio"] = row["ms"] / base[row["phase"]]
    table(
        rows,
        {
            "tool": lambda row: row["tool"],
            "nodes": lambda row: str(row["n"]),
            "phase": lambda row: row["phase"],
            "engine ms/node": number("ms", 3),
            "x physlab": number("ratio", 1),
            "CPU ms/node": number("cpu_ms", 3),
            "process s": number("process_s"),
            "": lambda row: row.get("error", ""),
        },
    )


def one(name: str, n: int, folder: Path) -> None:
    """Run one tool in this process and print its figures."""
    os.environ["PATH"] = os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]
    clock = TOOLS[name](n, folder)
    print("\n" + json.dumps({"ms": 1e3 * clock.wall_s / n, "cpu_ms": 1e3 * clock.cpu_s / n}))


if __name__ == "__main__":
    if sys.argv[1:2] == ["one"]:
        one(sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
    else:
        main()
