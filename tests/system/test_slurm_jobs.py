"""Jobs on a real Slurm: accepted or refused in its words, watched with three commands, ended for the right reason."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from subprocess import CompletedProcess, TimeoutExpired

import pytest

from physlab.errors import ConfigurationError, ResourceError, ValidationError
from physlab.model.job import JobRequest, JobResources, JobStatus
from physlab.sites.slurm import SlurmClient
from physlab.sites.slurm.commands import run_here
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


def test_a_scheduler_command_that_hangs_is_left_alone(run: Counted, tmp_path: Path) -> None:
    client, place = SlurmClient(run), folder(tmp_path, "job")
    jobs = {client.submit(command("sh", "-c", "exit 6"), place): place}
    wait(client, jobs)
    inner = run.inner

    def hangs(words: Sequence[str], stdin: str) -> CompletedProcess[str]:
        if words[0] in ("sacct", "squeue"):
            raise TimeoutExpired(words, 60)
        return inner(words, stdin)

    run.inner = hangs
    run.calls.clear()
    for _ in range(3):
        [status] = client.poll(jobs).values()
        assert (status.state, status.exit_code) == ("failed", 6)
    assert (run.calls.count("sacct"), run.calls.count("squeue")) == (1, 1), "not asked again at each look"
    assert client.find({"token": place}, 60) == {"token": next(iter(jobs))}, "the job itself knows who it is"
    assert client.find({"other": tmp_path}, 60) is None, "nothing follows from silence"


@pytest.mark.parametrize(
    "garbage", ["", "\0\xff|||\n", "1|RUNNING", "slurm_load_jobs error: Socket timed out", "|" * 40]
)
def test_garbage_breaks_no_polling(run: Counted, tmp_path: Path, garbage: str) -> None:
    client, place = SlurmClient(run), folder(tmp_path, "job")
    jobs = {client.submit(command("sh", "-c", "exit 0"), place): place}
    wait(client, jobs)
    for broken in ({"squeue"}, {"sacct"}, {"squeue", "sacct"}):
        run.broken = dict.fromkeys(broken, garbage)
        [status] = client.poll(jobs).values()
        assert (status.state, status.exit_code) == ("completed", 0), broken
    run.broken = dict.fromkeys(("squeue", "sacct", "grep", "sinfo", "scontrol"), garbage)
    assert client.poll(jobs).popitem()[1].state == "unknown"
    assert client.largest_memory_mb() is None and client.longest_array() == 1000


def test_accounts_that_missed_an_end(run: Counted, tmp_path: Path) -> None:
    client, place = SlurmClient(run), folder(tmp_path, "job")
    jobs = {client.submit(command("sh", "-c", "exit 2"), place): place}
    wait(client, jobs)
    [job_id] = jobs
    run.broken = {"squeue": "", "sacct": f"{job_id}|RUNNING|0:0|n1|5|00:01|\n"}
    [status] = client.poll(jobs).values()
    assert (status.state, status.exit_code, status.reason) == ("failed", 2, "its own record")


def test_an_array_is_accepted_at_once_and_its_elements_are_jobs(run: Counted, tmp_path: Path) -> None:
    client = SlurmClient(run)
    places = [folder(tmp_path, str(number)) for number in range(6)]
    requests = [command("sh", "-c", f"echo $N; exit {number % 3}", environment={"N": f"n'{number}"})
                for number in range(6)]  # fmt: skip
    ids = client.submit_array(requests, places, throttle=1)
    assert run.calls.count("sbatch") == 1 and len({job_id.partition("_")[0] for job_id in ids}) == 1
    jobs = dict(zip(ids, places, strict=True))
    assert {status.state for status in client.poll(jobs).values()} <= {"pending", "running", "completed", "failed"}
    assert "pending" in {status.state for status in client.poll(jobs).values()}, "one at a time"
    found = wait(client, jobs)
    assert [found[job_id].exit_code for job_id in ids] == [0, 1, 2, 0, 1, 2]
    assert [(place / "log.txt").read_text() for place in places] == [f"n'{number}\n" for number in range(6)]
    run.broken = {"sacct": "", "squeue": ""}
    assert [client.poll(jobs)[job_id].exit_code for job_id in ids] == [0, 1, 2, 0, 1, 2], "their own records tell"


def test_a_thousand_jobs_are_accepted_in_seconds(run: Counted, tmp_path: Path) -> None:
    client = SlurmClient(run)
    places = [folder(tmp_path, str(number)) for number in range(1200)]
    requests = [command("sleep", "300", environment={"N": str(number)}, resources=JobResources(cpus=4))
                for number in range(1200)]  # fmt: skip
    begun = time.monotonic()
    ids = client.submit_array(requests, places)
    assert time.monotonic() - begun < 5 and len(set(ids)) == 1200
    assert run.calls.count("sbatch") == 2, "MaxArraySize is 1001"
    jobs = dict(zip(ids, places, strict=True))
    begun = time.monotonic()
    assert {status.state for status in client.poll(jobs).values()} <= {"pending", "running"}
    assert time.monotonic() - begun < 5
    client.cancel({job_id.partition("_")[0] for job_id in ids})
    assert {status.state for status in wait(client, jobs).values()} == {"cancelled"}


def test_an_array_is_accepted_whole_or_not_at_all(run: Counted, cluster: SlurmCluster, tmp_path: Path) -> None:
    client = SlurmClient(run)
    client._longest = 2
    places = [folder(tmp_path, str(number)) for number in range(4)]
    inner = run.inner
    seen: list[str] = []

    def second_is_refused(words: Sequence[str], stdin: str) -> CompletedProcess[str]:
        seen.append(words[0])
        refused = words[0] == "sbatch" and seen.count("sbatch") == 2
        return CompletedProcess(words, 1, "", "sbatch: error: too many") if refused else inner(words, stdin)

    run.inner = second_is_refused
    with pytest.raises(ValidationError, match="too many"):
        client.submit_array([command("sleep", "300")] * 4, places)
    cluster.wait("the first half is gone", lambda: not cluster.queue())


def test_a_job_whose_acceptance_nobody_wrote_down_is_found(run: Counted, tmp_path: Path) -> None:
    client = SlurmClient(run)
    place, other, never = (folder(tmp_path, name) for name in ("job-1", "job-2", "job-3"))
    theirs = "#!/bin/sh\n#SBATCH --comment=mine\n#SBATCH --job-name=mine\nsleep 300\n"
    first = client.submit(JobRequest.model_validate({"script": theirs, "token": "job-1"}), place)
    second = client.submit(JobRequest.model_validate({"command": ["true"], "token": "job-2"}), other)
    tokens = {"job-1": place, "job-2": other, "job-3": never}
    assert client.find(tokens, 60) == {"job-1": first, "job-2": second}
    wait(client, {second: other})
    run.broken = {"squeue": ""}
    assert client.find({"job-2": other}, 60) == {"job-2": second}, "by the accounts"
    run.broken = {"squeue": "", "sacct": ""}
    assert client.find({"job-2": other}, 60) == {"job-2": second}, "by what it wrote itself"
    run.broken = {"sacct": ""}
    assert client.find({"job-3": never}, 60) == {}


def test_a_cluster_that_is_not_there(tmp_path: Path) -> None:
    nothing = SlurmClient(run_here({"PATH": str(tmp_path)}))
    with pytest.raises(ConfigurationError, match="sbatch is not installed here"):
        nothing.submit(command("true"), tmp_path)
    (tmp_path / "slurm.conf").write_text("ClusterName=gone\nSlurmctldHost=localhost(127.0.0.1)\nSlurmctldPort=1\n"
                                         f"AuthInfo=socket={tmp_path}/none\n")  # fmt: skip
    with pytest.raises((ResourceError, ValidationError), match="sbatch refused"):
        SlurmClient(run_here({"SLURM_CONF": str(tmp_path / "slurm.conf")})).submit(command("true"), tmp_path)
