"""Jobs on a real Slurm: accepted or refused in its words, watched with three commands, ended for the right reason."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from physlab.errors import ConfigurationError, ResourceError, ValidationError
from physlab.model.job import JobRequest, JobResources, JobStatus
from physlab.sites.slurm import SlurmClient
from physlab.sites.slurm.client import run_here
from physlab.testing.slurm import ClusterPlan, SlurmCluster, missing_parts

pytestmark = pytest.mark.skipif(bool(missing_parts()), reason=missing_parts() or "all there")


class Counted:
    """Runs commands against the cluster and counts them; some can be made to fail."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.inner = run_here(environment)
        self.calls: list[str] = []
        self.broken: dict[str, str] = {}

    def __call__(self, words: Sequence[str], stdin: str) -> CompletedProcess[str]:
        self.calls.append(words[0])
        if words[0] in self.broken:
            return CompletedProcess(words, 1, self.broken[words[0]], "broken")
        return self.inner(words, stdin)


@pytest.fixture(scope="module")
def cluster() -> Iterator[SlurmCluster]:
    with SlurmCluster.start(ClusterPlan(nodes=2)) as cluster:
        yield cluster


@pytest.fixture
def run(cluster: SlurmCluster) -> Iterator[Counted]:
    yield Counted({"SLURM_CONF": str(cluster.conf), "PATH": cluster.environment["PATH"]})
    cluster.reset()


def command(*words: str, **changes: object) -> JobRequest:
    return JobRequest(command=words, **changes)  # type: ignore[arg-type]


def wait(client: SlurmClient, jobs: Mapping[str, Path], timeout_s: float = 60) -> dict[str, JobStatus]:
    begun = time.monotonic()
    while True:
        found = client.poll(jobs)
        if all(status.ended for status in found.values()):
            return found
        assert time.monotonic() - begun < timeout_s, found
        time.sleep(0.2)


def folder(tmp_path: Path, name: str) -> Path:
    made = tmp_path / name
    made.mkdir()
    return made


def test_many_jobs_are_watched_with_three_commands(run: Counted, tmp_path: Path) -> None:
    client = SlurmClient(run)
    places = [folder(tmp_path, f"job{number}") for number in range(5)]
    jobs = {
        client.submit(
            command("sh", "-c", f"echo out $WHO; exit {number}", environment={"WHO": f"a b{number}"}), place
        ): place
        for number, place in enumerate(places)
    }
    found = wait(client, jobs)
    assert [status.exit_code for status in found.values()] == [0, 1, 2, 3, 4]
    assert [status.state for status in found.values()] == ["completed", *["failed"] * 4]
    assert all(status.machines for status in found.values())
    assert [(place / "log.txt").read_text() for place in places] == [f"out a b{number}\n" for number in range(5)]
    run.calls.clear()
    client.poll(jobs)
    assert run.calls == ["squeue", "sacct", "grep"]


def test_a_job_that_waits_says_why_and_is_cancelled(run: Counted, tmp_path: Path) -> None:
    client = SlurmClient(run)
    first, second = folder(tmp_path, "first"), folder(tmp_path, "second")
    blocker = client.submit(command("sleep", "300", resources=JobResources(nodes=2, cpus=4)), first)
    waiting = client.submit(command("true", after=(blocker,)), second)
    jobs = {blocker: first, waiting: second}
    begun = time.monotonic()
    while client.poll(jobs)[blocker].state != "running":
        assert time.monotonic() - begun < 30
        time.sleep(0.2)
    assert client.poll(jobs)[waiting].reason == "Dependency"
    client.cancel(jobs)
    assert {status.state for status in wait(client, jobs).values()} == {"cancelled"}
    client.cancel(jobs)  # once more does no harm


@pytest.mark.parametrize(("resources", "said"), [
    ({"partition": "nowhere"}, "invalid partition"),
    ({"gpus": 9}, "[Rr]equested node configuration is not available|gres"),
    ({"constraint": "purple"}, "[Ii]nvalid feature"),
    ({"walltime_s": 86_400}, "[Tt]ime limit|partition"),
])  # fmt: skip
def test_a_refusal_is_an_error_in_the_schedulers_words(
    run: Counted, tmp_path: Path, resources: dict[str, object], said: str
) -> None:
    client, request = SlurmClient(run), command("true", resources=JobResources(**resources))  # type: ignore[arg-type]
    for ask in (client.check, client.submit):
        with pytest.raises(ValidationError, match=said):
            ask(request, tmp_path)
    assert "processors" in client.check(command("true"), tmp_path)


def test_a_job_that_is_killed_and_one_that_runs_too_long(run: Counted, cluster: SlurmCluster, tmp_path: Path) -> None:
    client = SlurmClient(run)
    killed, slow = folder(tmp_path, "killed"), folder(tmp_path, "slow")
    jobs = {
        client.submit(command("sh", "-c", "kill -9 $$"), killed): killed,
        client.submit(command("sleep", "300"), slow): slow,
    }
    first, second = jobs
    cluster.wait("it runs", lambda: cluster.queue().get(second) == "RUNNING")
    cluster.run("scontrol", "update", f"jobid={second}", "TimeLimit=0")
    found = wait(client, jobs, timeout_s=90)
    assert (found[first].state, found[first].exit_code, found[first].signal) == ("failed", None, 9)
    assert found[second].state == "timeout"


def test_without_accounts_the_jobs_own_record_tells(run: Counted, tmp_path: Path) -> None:
    client = SlurmClient(run)
    place = folder(tmp_path, "job")
    jobs = {client.submit(command("sh", "-c", "exit 5"), place): place}
    wait(client, jobs)
    run.broken = {"sacct": "", "squeue": "slurm_load_jobs error: garbage|half a li"}
    [status] = client.poll(jobs).values()
    assert (status.state, status.exit_code, status.reason) == ("failed", 5, "its own record")
    (place / "exit_status").unlink()
    [status] = client.poll(jobs).values()
    assert status.state == "unknown"


def test_a_cluster_that_is_not_there(tmp_path: Path) -> None:
    nothing = SlurmClient(run_here({"PATH": str(tmp_path)}))
    with pytest.raises(ConfigurationError, match="sbatch is not installed here"):
        nothing.submit(command("true"), tmp_path)
    (tmp_path / "slurm.conf").write_text("ClusterName=gone\nSlurmctldHost=localhost(127.0.0.1)\nSlurmctldPort=1\n"
                                         f"AuthInfo=socket={tmp_path}/none\n")  # fmt: skip
    with pytest.raises((ResourceError, ValidationError), match="sbatch refused"):
        SlurmClient(run_here({"SLURM_CONF": str(tmp_path / "slurm.conf")})).submit(command("true"), tmp_path)
