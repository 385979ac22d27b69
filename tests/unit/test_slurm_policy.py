"""The administrators' policy: how it is read, what it refuses, what waits, and what many processes ask only once."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from physlab.engine.slurm.cluster import Cluster
from physlab.errors import CancelledError, ConfigurationError, CrowdedError, ResourceError, ValidationError
from physlab.model.job import JobRequest, JobResources
from physlab.settings import SlurmSiteSettings, child_environment
from physlab.sites.slurm import SlurmClient
from physlab.sites.slurm.asked import Asked, read_script
from physlab.sites.slurm.gate import Gate
from physlab.sites.slurm.policy import Caps, JobCaps, read_policy
from physlab.sites.slurm.script import batch_script
from physlab.sites.slurm.sharedroom import SharedRoom, free_turns, take_turn
from physlab.sites.slurm.states import QUEUE

PLACE = "/etc/physlab/policy.toml on login"


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


class Login:
    """A login node: a policy, jobs in the queue, and sbatch that takes all."""

    def __init__(self, policy: str, queue: Sequence[str] = ()) -> None:
        self.policy, self.queue = policy, list(queue)
        self.calls: list[tuple[str, ...]] = []

    def __call__(self, words: Sequence[str], stdin: str) -> CompletedProcess[str]:
        self.calls.append(tuple(words))
        if words[0] == "/bin/cat" and not self.policy:
            return CompletedProcess(words, 1, "", "cat: /etc/physlab/policy.toml: No such file or directory")
        told = {"/bin/cat": self.policy, "squeue": "".join(f"{line}\n" for line in self.queue), "sinfo": "gpu\nmain*\n"}
        return CompletedProcess(words, 0, told.get(words[0], "77\n"), "")

    def asked(self, name: str) -> int:
        return sum(name in words for words in self.calls)

    def gate(self) -> Gate:
        return Gate(self, SharedRoom(("test",)), "login")


def waiting(job: int, comment: str = "physlab 20260101-000000-abcdef Wave") -> str:
    return f"{job}|PENDING|Resources||0:00|/home/me/jobs|{comment}"


def submit(login: Login, own: str = "", **resources: object) -> str:
    asked = JobResources.model_validate(resources)
    script = f"#!/bin/bash\n{own}\ntrue\n"
    request = JobRequest(script=script, resources=asked, comment="physlab job")
    return SlurmClient(login.gate()).submit(request, Path("/jobs/x"))


@pytest.mark.parametrize(("lines", "asked"), [
    ("--nodes=2\n--ntasks-per-node=1\n--cpus-per-task=8\n--mem=1024M", Asked(nodes=2, cpus=16, memory_mb=2048)),
    ("-n 4\n-c2\n--mem-per-cpu=1G\n-t 1-00", Asked(cpus=8, memory_mb=8192, walltime_s=86_400)),
    ("-N 1-3\n--gres=gpu:a100:2,license:1\n-p a,b", Asked(nodes=3, cpus=3, gpus=6, partitions=("a", "b"))),
    ("--gpus=a100:1,v100:3\n--cpus-per-gpu=4\n-t 90", Asked(cpus=16, gpus=4, walltime_s=5400)),
    ("--mem=0\n--time=UNLIMITED", Asked(memory_mb=math.inf, walltime_s=math.inf)),
    ("--time=1:30\n--time=2:00:00\n--array=0-9%2", Asked(walltime_s=7200, elements=10)),
    ("--comment='it asks'\n--exclusive", Asked(comment="it asks", uncounted="exclusive")),
])  # fmt: skip
def test_a_script_is_read_as_slurm_reads_it(lines: str, asked: Asked) -> None:
    script = "#!/bin/bash\n" + "".join(f"#SBATCH {line}\n" for line in lines.splitlines())
    assert read_script(f"{script}echo\n#SBATCH --nodes=99\n") == asked


def test_an_option_cut_short_is_refused() -> None:
    with pytest.raises(ValidationError, match="'--tim' is cut short"):
        read_script("#!/bin/sh\n#SBATCH --tim=9-0\n")


@pytest.mark.parametrize(("text", "said"), [
    ("jobs_at_once = 5\npartitions = [\n", r"line \d: not valid TOML"),
    ("# all\njobs_at_once = 'many'\n", "line 2: jobs_at_once = 'many'"),
    ("[job]\ncpus = 4\nwalltime = 5\n", "line 3: 'job.walltime' is unknown"),
    ("job_at_once = 5\n", "line 1: 'job_at_once' is unknown.* Did you mean 'jobs_at_once'"),
    ("[job]\ngpus = true\n", "line 2: job.gpus = True"),
    ("polls_per_minute = 0\n", "line 1: polls_per_minute = 0"),
])  # fmt: skip
def test_a_malformed_policy_is_an_error_that_names_the_line(text: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        read_policy(text, PLACE)
    with pytest.raises(ConfigurationError, match="Nothing is submitted until its administrators mend it"):
        submit(login := Login(text))
    assert login.asked("sbatch") == 0


def test_the_page_for_administrators_names_every_limit() -> None:
    page = (Path(__file__).parents[2] / "docs" / "howto" / "administrators.md").read_text(encoding="utf-8")
    limits = read_policy(page.partition("```toml\n")[2].partition("```")[0], PLACE).caps.words()
    assert set(limits) == {*Caps.model_fields} - {"job"} | {f"job.{name}" for name in JobCaps.model_fields}


def test_what_is_too_large_is_refused_before_sbatch() -> None:
    login = Login('partitions = ["main"]\n[job]\ncpus = 8\nmemory_gb = 4\nwalltime_s = 3600\n')
    with pytest.raises(ValidationError) as told:
        submit(login, own="#SBATCH --time=2-0", cpus=4, nodes=3, memory_mb=2000, partition="gpu")
    for words in (PLACE, "job.cpus = 12, at most 8", "job.memory_gb = 6.29146, at most 4",
                  "job.walltime_s = 172800, at most 3600", "partition 'gpu', allowed: main"):  # fmt: skip
        assert words in told.value.message
    with pytest.raises(ValidationError, match="--exclusive leaves open how much"):
        submit(login, own="#SBATCH --exclusive")
    assert login.asked("sbatch") == 0
    assert submit(login, cpus=8) == "77", "the default partition is main"
    sent = next(words for words in login.calls if "sbatch" in words)
    assert sent[:3] == ("env", "-u", "SBATCH_ARRAY_INX"), "no variable asks for more than was looked at"
    login.policy = 'partitions = ["gpu"]\n'
    with pytest.raises(ValidationError, match="partition 'main', allowed: gpu"):
        submit(login)


def test_arrays_are_cut_and_jobs_at_once_counted() -> None:
    login = Login("array_elements = 3\njobs_at_once = 5\n", [waiting(1), waiting(2, "mine alone")])
    client = SlurmClient(login.gate())
    requests = [JobRequest(command=("true",), comment="physlab")] * 4
    assert client.submit_array(requests, [Path(f"/jobs/a/{n}") for n in range(4)]) == ["77_0", "77_1", "77_2", "77_0"]
    login.queue += [f"77_{n}|RUNNING|None|n1|0:01|/jobs/a|physlab" for n in range(4)]
    with pytest.raises(CrowdedError, match=r"jobs_at_once = 5: 5 of physlab's jobs wait or run, 1 more cannot"):
        submit(login)
    with pytest.raises(ValidationError, match="does not allow 6 jobs: jobs_at_once is 5"):
        client.gate.require_place(6)
    login.queue.pop()
    submit(login)
    with pytest.raises(CrowdedError):  # the queue does not show it yet
        client.gate.require_place(2)


def test_turns_come_evenly_and_no_minute_has_too_many() -> None:
    room = SharedRoom(("turns",))
    waits = [take_turn(room, "submissions", 4) for _ in range(5)]
    assert waits == pytest.approx([0, 0, 20, 40, 60], abs=0.5)
    assert free_turns(room, "submissions", 4) == pytest.approx(-3, abs=0.1)
    one = [take_turn(room, "polls", 1) for _ in range(3)]
    assert one == pytest.approx([0, 60, 120], abs=0.5)


def test_who_waits_can_leave() -> None:
    login = Login("submissions_per_minute = 1\n")
    gate = login.gate()
    script = batch_script(JobRequest(command=("true",)), "/jobs/x")
    gate(("sbatch", "--version"), "")
    gate(("sbatch", "--test-only"), script)  # neither of them is a submission
    gate(("sbatch",), script)
    threading.Timer(0.1, gate.leave).start()
    with pytest.raises(CancelledError):
        gate(("sbatch",), script)
    assert login.asked("sbatch") == 3


def test_a_lock_ends_with_its_holder() -> None:
    room = SharedRoom(("lock",))
    hold = (
        "import time\nfrom physlab.sites.slurm.sharedroom import SharedRoom\n"
        "with SharedRoom(('lock',)).locked('squeue'):\n    print('held', flush=True)\n    time.sleep(60)\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", hold], stdout=subprocess.PIPE, env=child_environment({}))
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    got: list[float] = []

    def take() -> None:
        with room.locked("squeue"):
            got.append(time.monotonic())

    taker = threading.Thread(target=take)
    taker.start()
    taker.join(0.3)
    assert not got, "it is held"
    os.kill(holder.pid, signal.SIGKILL)
    taker.join(5)
    assert got
    holder.communicate()
    assert room.folder.stat().st_mode & 0o777 == 0o700


def test_one_question_serves_all_until_it_is_too_old() -> None:
    login = Login("", [waiting(1)])
    first, second = SlurmClient(login.gate()), SlurmClient(login.gate())
    for client in (first, second, second):
        assert client.poll({"1": Path("/jobs/x")})["1"].state == "pending"
    assert login.asked("squeue") == 1
    assert set(second.queue(["1"], time.time()) or {}) == {"1"} and login.asked("squeue") == 2, (
        "a new answer was wanted"
    )
    login.queue.append(waiting(2))
    assert first.poll({"2": Path("/jobs/y")})["2"].state == "pending", "submitted after the answer was taken"
    assert login.asked("squeue") == 3
    second.poll({"1": Path("/jobs/x"), "2": Path("/jobs/y")})
    assert login.asked("squeue") == 3
    assert second.gate.asked_at(QUEUE) == first.gate.asked_at(QUEUE)


def test_questions_beyond_the_rate_wait() -> None:
    login = Login("polls_per_minute = 1\n", [waiting(1)])
    gate = login.gate()
    gate.ask(QUEUE, time.time())
    threading.Timer(0.1, gate.leave).start()
    with pytest.raises(CancelledError):
        gate.ask(QUEUE, time.time())
    assert login.asked("squeue") == 1


def test_the_worker_comes_through_the_same_gate() -> None:
    login = Login("jobs_at_once = 2\n[job]\ncpus = 8\n", [waiting(1)])
    cluster = Cluster("hpc", SlurmSiteSettings(), login.gate())

    def send(count: int, cpus: int) -> list[str]:
        requests = [JobRequest(command=("true",), resources=JobResources(cpus=cpus), comment="physlab run")] * count
        return asyncio.run(cluster.submit(requests, [Path(f"/jobs/{n}") for n in range(count)], {}))

    with pytest.raises(ValidationError, match=r"job.cpus = 9, at most 8"):
        send(1, 9)
    with pytest.raises(ResourceError, match="2 more cannot be submitted now"):  # so it is tried again later
        send(2, 1)
    assert send(1, 1) == ["77"]
