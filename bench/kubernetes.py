"""What a job and a node cost on Kubernetes: bare Jobs, physlab's, Prefect's flow runs, physlab's nodes; log latency.

    python bench/kubernetes.py [50]

A test cluster is started for it: a real API over TLS whose pods are processes of this machine, so that images, nodes
and networks cost nothing, and what is left is what the programs add. Prefect's unmodified worker looks for work every
0.5 s.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
TIMES = 5
LINES, PAUSE_S = 40, 0.1
SAYS = f"import time\nfor _ in range({LINES}): print(time.time(), flush=True); time.sleep({PAUSE_S})"
FLOW = "from prefect import flow\n@flow\ndef trivial(order='', store='', endpoint=None):\n    return 1\n"


def timed(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def show(what: str, values: list[float], each: int = 1, note: str = "") -> float:
    middle = statistics.median(values)
    per = f"{1e3 * middle / each:9.0f} ms each" if each > 1 else " " * 17
    print(f"{what:58} {middle:8.2f} s {per}  {note}", flush=True)
    return middle


def bare(kubeconfig: Path, count: int, command: list[str]) -> None:
    """Make Jobs and wait until all are complete, with one watch; remove them."""
    from physlab.sites.kubernetes.api import KubeApi

    container = {"name": "job", "image": "busybox", "command": command}
    pod = {"metadata": {"labels": {"bench": "bare"}}, "spec": {"restartPolicy": "Never", "containers": [container]}}

    async def run() -> None:
        async with await KubeApi.open(kubeconfig) as api:
            head = {"generateName": "bare-", "labels": {"bench": "bare"}}
            body = {"apiVersion": "batch/v1", "kind": "Job", "metadata": head, "spec": {"template": pod}}
            made = await asyncio.gather(*(api.create("jobs", body, "default") for _ in range(count)))
            while True:
                jobs, _ = await api.list("jobs", "default", labels="bench=bare")
                if sum(bool((job.get("status") or {}).get("completionTime")) for job in jobs) == count:
                    break
                await asyncio.sleep(0.02)
            for job in made:
                await api.delete("jobs", job["metadata"]["name"], "default", uid=job["metadata"]["uid"])

    asyncio.run(run())


def jobs(bench: Any, count: int) -> None:
    from physlab import service
    from physlab.spelling import read_call

    def submit(number: int, site: str = "plain") -> None:
        many = [{"name": f"j{n}", "command": ["true"]} for n in range(number)]
        spec: dict[str, Any] = {"jobs": many} if number > 1 else {"job_spec": {"command": ["true"]}}
        payload = {"tool": "job_submit", "backend": "k8s", "site": site, "stream_logs": False, **spec}
        reply = service.answer(bench.lab, read_call(payload, bench.lab.vocabulary), bench.folder)
        assert reply.error is None, reply.error

    config = bench.cluster.kubeconfig
    submit(1)
    one = show("a bare Job, made, watched, removed", [timed(lambda: bare(config, 1, ["true"])) for _ in range(TIMES)])
    own = [timed(lambda: submit(1)) for _ in range(TIMES)]
    show("physlab job_submit, its log kept", own, note=f"+{statistics.median(own) - one:.2f} s")
    full = [timed(lambda: submit(1, "k8s")) for _ in range(TIMES)]
    show(
        "physlab job_submit, its files kept too", full, note=f"+{statistics.median(full) - one:.2f} s, three containers"
    )
    before = time.process_time()
    bare_many = show(f"{count} bare Jobs at once", [timed(lambda: bare(config, count, ["true"]))], count)
    between = time.process_time()
    many = timed(lambda: submit(count))
    note = (
        f"{many / bare_many:.2f} of bare; CPU here {time.process_time() - between:.1f} s, bare {between - before:.1f} s"
    )
    show(f"{count} jobs of physlab at once, logs kept", [many], count, note)
    full_many = timed(lambda: submit(count, "k8s"))
    show(f"{count} jobs of physlab at once, logs and files kept", [full_many], count, "two more Pythons each")


def latency(bench: Any) -> None:
    """Measure how long a line takes from being printed to being shown."""
    from physlab import service
    from physlab.spelling import read_call

    spec = {"command": [sys.executable, "-c", SAYS]}
    payload = {"tool": "job_submit", "backend": "k8s", "site": "plain", "wait": False, "job_spec": spec}

    def submitted() -> Any:
        body = service.answer(bench.lab, read_call(payload, bench.lab.vocabulary), bench.folder).body
        return service.find_jobs(bench.lab, body["job_id"])[0]

    def late(pieces: Iterator[str]) -> list[float]:
        rest, found = "", []
        for piece in pieces:
            *whole, rest = (rest + piece).split("\n")
            found += [time.time() - float(line) for line in whole]
        return sorted(found)

    def ours() -> list[float]:
        job = submitted()
        found = late(service.follow_log(bench.lab, job, follow=True))
        service.fetch_jobs(bench.lab, [job])
        return found

    def kubectl() -> list[float]:
        job = submitted()
        bench.cluster.wait("it begins", lambda: bench.cluster.run("get", "pods", "-o", "name").strip())
        time.sleep(1)
        words = ["kubectl", "logs", "--follow", f"job/{job.job_id.partition('/')[2]}"]
        with subprocess.Popen(words, env=bench.cluster.environment, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            found = late(iter(process.stdout.readline, ""))
        bench.cluster.wait("it is over", lambda: service.job_statuses(bench.lab, [job])[0][1].ended)
        service.fetch_jobs(bench.lab, [job])
        return found

    for name, found in (("physlab job logs --follow", ours()), ("kubectl logs --follow", kubectl())):
        middle, most = statistics.median(found), found[int(0.95 * len(found))]
        print(f"{name:58} {middle:8.3f} s median, {most:.3f} s for 95 %, of {len(found)} lines", flush=True)


def flow_runs(bench: Any, count: int) -> None:
    """Run Prefect's own flow runs in the pool, from their creation until the server has them completed."""
    from prefect import get_client
    from prefect.client.schemas.filters import FlowRunFilter

    (bench.folder / "own.py").write_text(FLOW)
    with get_client(sync_client=True) as client:
        pull = [{"prefect.deployments.steps.set_working_directory": {"directory": str(bench.folder)}}]
        deployment = client.create_deployment(
            client.create_flow_from_name("trivial"), "bench", work_pool_name="bench", entrypoint="own.py:trivial",
            pull_steps=pull, job_variables={"image": bench.lab.settings.sites.kubernetes["k8s"].image},
        )  # fmt: skip
        runs = [client.create_flow_run_from_deployment(deployment).id for _ in range(count)]
        asked = FlowRunFilter.model_validate({"id": {"any_": runs}})
        while True:
            found = client.read_flow_runs(flow_run_filter=asked)
            if all(run.state is not None and run.state.is_final() for run in found):
                break
            time.sleep(0.05)
        assert all(run.state.is_completed() for run in found), found  # type: ignore[union-attr]


def nodes(bench: Any, count: int) -> None:
    first = [0]

    def run(number: int) -> None:
        first[0] += number
        graph = [
            {"id": f"n{i}", "tool": "units_convert", "params": {"quantity": f"{i + first[0]} m", "to": "km"}}
            for i in range(number)
        ]
        record = bench.run({"metadata": {"title": "bench"}, "nodes": graph})
        assert record.status == "completed", record.nodes[0].error

    flow_runs(bench, 1)
    own = show("a flow run of Prefect's in a pod", [timed(lambda: flow_runs(bench, 1)) for _ in range(TIMES)])
    program = [sys.executable, "-c", "import prefect.main, physlab.engine.kubernetes.inside"]
    config = bench.cluster.kubeconfig
    loads = [timed(lambda: bare(config, 1, program)) for _ in range(TIMES)]
    job = show("a bare Job that imports Prefect and physlab", loads)
    run(1)
    node = show("a node of physlab in a pod", [timed(lambda: run(1)) for _ in range(TIMES)])
    print(f"{'':58} +{node - job:.2f} s over the bare Job, {node / own:.2f} of Prefect's flow run")
    few = 10
    many = show(f"{few} flow runs of Prefect's at once", [timed(lambda: flow_runs(bench, few))], few)
    packed = show(f"{count} nodes of physlab at once, sharing pods", [timed(lambda: run(count))], count)
    print(f"{'':58} {many / few / (packed / count):.0f} times as many a second")


@contextmanager
def talking(server: Any) -> Iterator[None]:
    from tests.flows.conftest import talking_to

    with talking_to(server):
        yield


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", nargs="?", type=int, default=50)
    count = parser.parse_args().count
    from prefect import get_client

    from tests.flows import podlab
    from tests.flows.conftest import run_server

    if missing := podlab.missing_parts():
        return print(missing)
    with tempfile.TemporaryDirectory() as name, podlab.KubernetesCluster.start(podlab.plan()) as cluster:
        bench = podlab.PodLab(Path(name), cluster, {"pool": "bench", "max_pods": 4},
                               {"sites.kubernetes.plain.kubeconfig": str(cluster.kubeconfig)})  # fmt: skip
        jobs(bench, count)
        latency(bench)
        with run_server() as server, talking(server):
            with get_client(sync_client=True) as client:
                podlab.make_test_pool(client, cluster, "bench")
            with podlab.worker({"PREFECT_API_URL": server.api_url}, cluster, Path(name), "bench"):
                nodes(bench, count)
                bench.lab.close()


if __name__ == "__main__":
    main()
