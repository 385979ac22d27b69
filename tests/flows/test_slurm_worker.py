"""The worker `physlab-slurm` on a real Slurm and a real Prefect server: every flow run ends, for the right reason."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from physlab.engine.locator import root
from physlab.settings import child_environment
from physlab.testing.slurm import ClusterPlan, SlurmCluster, missing_limits, missing_parts
from tests.flows.conftest import PrefectServer, talking_to

pytestmark = [
    pytest.mark.skipif(bool(missing_parts()), reason=missing_parts() or "all there"),
    pytest.mark.timeout(300),
]

SMALL = {"cpus": 1, "memory_gb": 0.2, "walltime_s": 600}
FLOWS = """
import time
from pathlib import Path
from prefect import flow

@flow(retries=0)
def work(seconds: float = 0, fail: bool = False, megabytes: int = 0, until: str = ""):
    data = b"x" * (megabytes << 20)
    time.sleep(seconds)
    while until and not Path(until).exists():
        time.sleep(0.1)
    if fail:
        raise ValueError("this flow fails")
    return "done"
"""


KILLING = """#!/bin/sh
out=$({sbatch} "$@") && kill -9 $PPID
echo "$out"
"""
"""Kills who submits, when the job is accepted."""


class Lab:
    """A pool with one deployment, its cluster, and its workers."""

    def __init__(self, server: PrefectServer, cluster: SlurmCluster, folder: Path, pool: str = "hpc") -> None:
        from prefect import get_client

        self.server, self.cluster, self.folder, self.pool = server, cluster, folder, pool
        self.client = get_client(sync_client=True)

    def __enter__(self) -> Lab:
        self.client.__enter__()
        self.deployment = self._deploy()
        return self

    def __exit__(self, *error: Any) -> None:
        self.client.__exit__(*error)

    def _deploy(self) -> UUID:
        from prefect.client.schemas.actions import WorkPoolCreate

        from physlab.engine.slurm.worker import SlurmWorker

        (self.folder / "flows.py").write_text(FLOWS)
        template = SlurmWorker.get_default_base_job_template()
        self.client.create_work_pool(WorkPoolCreate(name=self.pool, type=SlurmWorker.type, base_job_template=template))
        flow_id = self.client.create_flow_from_name("work")
        return self.client.create_deployment(
            flow_id, self.pool, work_pool_name=self.pool, path=str(self.folder), entrypoint="flows.py:work",
            pull_steps=[{"prefect.deployments.steps.set_working_directory": {"directory": str(self.folder)}}],
            job_variables={**SMALL},
        )  # fmt: skip

    def start(self, name: str = "one", sbatch: str = "") -> subprocess.Popen[bytes]:
        path = self.cluster.environment["PATH"]
        if sbatch:
            (self.folder / "bin").mkdir(exist_ok=True)
            (self.folder / "bin" / "sbatch").write_text(sbatch.format(sbatch=shutil.which("sbatch", path=path)))
            (self.folder / "bin" / "sbatch").chmod(0o755)
            path = f"{self.folder}/bin:{path}"
        variables = {
            "PREFECT_API_URL": self.server.api_url,
            "PREFECT_HOME": str(self.folder / "prefect"),
            "PREFECT_WORKER_QUERY_SECONDS": "0.5",
            "PREFECT_WORKER_HEARTBEAT_SECONDS": "2",
            "PREFECT_LOGGING_TO_API_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "PYTHONPATH": str(root()),
            "PHYSLAB_HOME": str(self.folder / "lab"),
            "SLURM_CONF": self.cluster.environment["SLURM_CONF"],
            "PATH": path,
        }
        command = (sys.executable, "-m", "prefect", "worker", "start", "--pool", self.pool, "--type", "physlab-slurm")
        with (self.folder / "worker.log").open("ab") as log:
            return subprocess.Popen(
                [*command, "--name", name],
                cwd=self.folder,
                env=child_environment(variables, drop_prefix="PREFECT_"),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def submit(self, job_variables: dict[str, Any] | None = None, **parameters: Any) -> UUID:
        run = self.client.create_flow_run_from_deployment(
            self.deployment, parameters=parameters, job_variables=job_variables or {}
        )
        return run.id

    def run(self, run_id: UUID) -> Any:
        return self.client.read_flow_run(run_id)

    def wait(self, run_id: UUID, ready: Callable[[Any], bool], seconds: float = 90) -> Any:
        begun = time.monotonic()
        while not ready(found := self.run(run_id)):
            if time.monotonic() - begun > seconds:
                log = (self.folder / "worker.log").read_text()[-5000:]
                raise TimeoutError(f"{found.state!r} after {seconds} s; queue {self.cluster.queue()}\n{log}")
            time.sleep(0.2)
        return found

    def end(self, run_id: UUID, seconds: float = 90) -> Any:
        return self.wait(run_id, lambda run: run.state.is_final(), seconds)

    def job(self, run_id: UUID) -> str:
        """Wait until the run has a job, and return its id."""
        run = self.wait(run_id, lambda run: run.infrastructure_pid is not None)
        return str(run.infrastructure_pid).removeprefix("slurm:")

    def marked(self) -> set[str]:
        """Return the jobs of workers, those that ended a moment ago as well."""
        lines = self.cluster.run("squeue", "-h", "-r", "-t", "all", "-o", "%i|%k").splitlines()
        return {job for job, _, comment in (line.partition("|") for line in lines) if comment.startswith("physlab ")}

    def until_running(self, run_id: UUID) -> str:
        self.wait(run_id, lambda run: run.state.is_running())
        return self.job(run_id)


@pytest.fixture(scope="module")
def lab(_module_server: PrefectServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("hpc")
    with (
        SlurmCluster.start(ClusterPlan(nodes=3)) as cluster,
        talking_to(_module_server) as server,
        Lab(server, cluster, folder) as lab,
    ):
        yield lab


@pytest.fixture
def worker(lab: Lab) -> Iterator[subprocess.Popen[bytes]]:
    with started(lab) as worker:
        yield worker
    lab.cluster.reset()


@contextmanager
def started(lab: Lab, name: str = "one", sbatch: str = "") -> Iterator[subprocess.Popen[bytes]]:
    worker = lab.start(name, sbatch)
    try:
        yield worker
    finally:
        if worker.poll() is None:
            worker.send_signal(signal.SIGTERM)
        try:
            worker.wait(60)
        except subprocess.TimeoutExpired:  # whatever it waits for, the next test has a worker of its own
            worker.kill()
            worker.wait()


def test_a_flow_run_is_a_job(lab: Lab, worker: subprocess.Popen[bytes]) -> None:
    done, failed = (
        lab.submit({"comment": "for the thesis", "qos": "", "prologue": ["echo before"]}),
        lab.submit(fail=True),
    )
    rejected = lab.submit({"partition": "nowhere"})
    wrong = lab.submit({"constraint": "a; rm -rf"})
    assert lab.end(rejected).state.is_crashed() and "invalid partition" in lab.run(rejected).state.message
    assert lab.end(wrong).state.is_crashed() and "constraint = 'a; rm -rf'" in lab.run(wrong).state.message
    assert lab.end(done).state.is_completed()
    assert lab.end(failed).state.is_failed() and "this flow fails" in lab.run(failed).state.message
    shown = lab.cluster.run("scontrol", "show", "job", lab.job(done))
    assert f"JobName=physlab-{done}" in shown and f"Comment=physlab run {done}" in shown and "for the thesis" in shown
    folder = lab.folder / "lab" / "jobs" / "flow-runs" / str(done)
    assert (folder / "log.txt").read_text().startswith("before\n")
    assert not (folder / "environment").exists()  # it may hold secrets, and was read
    assert "Traceback" not in (lab.folder / "worker.log").read_text()


def test_what_dies_is_crashed_with_the_reason(lab: Lab, worker: subprocess.Popen[bytes]) -> None:
    from prefect.states import Cancelling

    cluster = lab.cluster
    killed, timed, stopped = (lab.submit({"constraint": "slow"}, seconds=300) for _ in range(3))
    node = lab.submit({"constraint": "fast", "cpus": 3}, seconds=300)
    back = lab.folder / "back"
    again = lab.submit({"constraint": "fast", "requeue": True}, until=str(back))
    jobs = {run: lab.until_running(run) for run in (killed, timed, stopped, node, again)}
    waits = lab.submit({"constraint": "fast"}, seconds=300)
    cluster.run("scancel", jobs[killed])
    cluster.run("scontrol", "update", f"jobid={jobs[timed]}", "TimeLimit=0")
    lab.client.set_flow_run_state(stopped, Cancelling())
    waiting = lab.job(waits)
    assert cluster.queue()[waiting] == "PENDING"
    lab.client.set_flow_run_state(waits, Cancelling())
    assert lab.end(waits).state.is_cancelled() and waiting not in cluster.queue()
    cluster.kill_node(cluster.nodes[0])
    cluster.run("scontrol", "update", f"nodename={cluster.nodes[0]}", "state=down", "reason=test")
    lab.wait(again, lambda run: run.state.is_pending())
    secrets = lab.folder / "lab" / "jobs" / "flow-runs" / str(again) / "environment"
    assert secrets.stat().st_mode & 0o777 == 0o600  # needed once more
    back.touch()
    cluster.start_node(cluster.nodes[0])
    for run, word in ((killed, "CANCELLED"), (node, "NODE_FAIL"), (timed, "TIMEOUT")):
        found = lab.wait(run, lambda run: "Slurm job" in (run.state.message or ""))
        assert found.state.is_crashed() and f"Slurm job slurm:{jobs[run]} ended: {word}" in found.state.message
    assert lab.end(stopped).state.is_cancelled()
    assert lab.end(again).state.is_completed() and lab.job(again) == jobs[again]
    _force(lab, killed, "Scheduled")  # retried, as with the button of the UI
    assert lab.until_running(killed) != jobs[killed]
    _force(lab, killed, "Cancelling")
    assert lab.end(killed).state.is_cancelled()
    cluster.wait("no job is left", lambda: not cluster.queue())


def test_a_killed_worker_loses_nothing(lab: Lab) -> None:
    with started(lab) as worker:
        goes_on, ends, over = lab.submit(seconds=15), lab.submit(seconds=300), lab.submit(seconds=300)
        jobs = {run: lab.until_running(run) for run in (goes_on, ends, over)}
        worker.kill()
        worker.wait()
    lab.cluster.run("scancel", jobs[ends])  # while nobody looks
    _force(lab, over, "Cancelled")  # and the runner in its job does not hear of it
    orphan = lab.submit()
    _force(lab, orphan, "Pending", "Submitting")  # as when a worker is killed just before it submits
    with started(lab):
        assert lab.end(orphan).state.is_completed()
        assert lab.end(goes_on).state.is_completed()
        found = lab.wait(ends, lambda run: "Slurm job" in (run.state.message or ""))
        assert found.state.is_crashed() and "CANCELLED" in found.state.message
        lab.cluster.wait("no job is left", lambda: not lab.cluster.queue())


def _force(lab: Lab, run_id: UUID, *states: str) -> None:
    """Give a run states as if by its worker, past all rules."""
    import prefect.states

    lab.client.update_flow_run_labels(run_id, {"prefect.worker.name": "one"})
    for name in states:
        lab.client.set_flow_run_state(run_id, getattr(prefect.states, name)(), force=True)


def test_a_scheduler_that_is_down_decides_nothing(lab: Lab, worker: subprocess.Popen[bytes]) -> None:
    runs = lab.submit(seconds=300)
    job = lab.until_running(runs)
    lab.cluster.kill_daemon("slurmctld")
    try:
        comes = lab.submit()
        found = lab.wait(comes, lambda run: run.state.name == "AwaitingRetry")
        assert "Unable to contact slurm controller" in found.state.message
        assert lab.run(runs).state.is_running()
    finally:
        lab.cluster.start_daemon("slurmctld")
    assert lab.end(comes).state.is_completed()
    lab.cluster.run("scancel", job)
    found = lab.wait(runs, lambda run: "Slurm job" in (run.state.message or ""))
    assert found.state.is_crashed() and "CANCELLED" in found.state.message
    assert "Traceback" not in (lab.folder / "worker.log").read_text()


def test_jobs_are_found_whose_id_the_worker_never_heard(lab: Lab) -> None:
    """Three runs become an array, a fourth a job; the worker dies when Slurm has accepted each, before it knows."""
    before = lab.marked()
    runs = [lab.submit(seconds=5) for _ in range(3)]
    with started(lab, sbatch=KILLING) as worker:
        worker.wait(60)
    assert all(lab.run(run).infrastructure_pid is None for run in runs)
    runs.append(lab.submit({"cpus": 2}, seconds=5))
    with started(lab, sbatch=KILLING) as worker:
        worker.wait(60)
    with started(lab):
        assert all(lab.end(run).state.is_completed() for run in runs)
    jobs = lab.marked() - before
    [array] = {job.partition("_")[0] for job in jobs if "_" in job}
    assert {f"{array}_{index}" for index in range(3)} < jobs and len(jobs) == 4


def test_a_job_is_killed_once(lab: Lab) -> None:
    import asyncio

    from prefect.exceptions import InfrastructureNotAvailable, InfrastructureNotFound

    from physlab.engine.slurm.job import SlurmJobConfiguration
    from physlab.engine.slurm.worker import SlurmWorker

    async def kill(*pids: str) -> list[BaseException | None]:
        async with SlurmWorker(work_pool_name="spare") as worker:
            given = SlurmJobConfiguration()
            return [(await asyncio.gather(worker.kill_infrastructure(pid, given), return_exceptions=True))[0]
                    for pid in pids]  # fmt: skip

    job = lab.cluster.run("sbatch", "--parsable", "-o", "/dev/null", stdin="#!/bin/sh\nsleep 300\n").strip()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("SLURM_CONF", "PATH"):
            patch.setenv(name, lab.cluster.environment[name])
        pids = (f"slurm:{job}", f"slurm:{job}", "slurm:999999", "nowhere:1", "4711")
        first, again, unknown, elsewhere, process = asyncio.run(kill(*pids))
    assert first is None and again is None
    assert isinstance(unknown, InfrastructureNotFound) and isinstance(process, InfrastructureNotFound)
    assert isinstance(elsewhere, InfrastructureNotAvailable) and "There is no cluster 'nowhere'" in str(elsewhere)
    lab.cluster.wait("the end", lambda: "JobState=CANCELLED" in lab.cluster.run("scontrol", "show", "job", job))


@pytest.mark.skipif(bool(missing_limits()), reason=missing_limits() or "all there")
def test_too_little_memory_is_said(prefect_server: PrefectServer, tmp_path: Path) -> None:
    with (
        SlurmCluster.start(ClusterPlan(nodes=1, accounting=False, memory_limits=True)) as cluster,
        Lab(prefect_server, cluster, tmp_path, pool="small") as lab,
        started(lab),
    ):
        run = lab.submit(megabytes=800)
        found = lab.wait(run, lambda run: "Slurm job" in (run.state.message or ""))
        assert found.state.is_crashed() and "OUT_OF_MEMORY" in found.state.message
        assert "Raise memory_gb." in found.state.message
