"""A good guest on a real Slurm: pilots and jobs keep to the administrators' policy, and many ask only once."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from physlab import service
from physlab.errors import ConfigurationError, CrowdedError, ValidationError
from physlab.lab import Lab
from physlab.service.jobs.ledger import known_jobs
from physlab.settings import child_environment
from physlab.sites.slurm import policy
from physlab.spelling import read_call
from physlab.testing.slurm import SlurmCluster, missing_parts
from tests.system.pilots import Bench, one, shell

pytestmark = pytest.mark.skipif(bool(missing_parts()), reason=missing_parts() or "all there")
POLICY = """
submissions_per_minute = 60
jobs_at_once = 1
partitions = ["main"]
[job]
cpus = 2
"""


@pytest.fixture
def rules(near: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "policy.toml"
    path.write_text(POLICY)
    monkeypatch.setattr(policy, "PATH", path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return path


def test_pilots_keep_to_the_policy(rules: Path, bench: Callable[..., Bench]) -> None:
    lab, most, over = bench(idle_s=1), [0], threading.Event()

    def count() -> None:
        while not over.wait(0.2):
            most[0] = max(most[0], len(lab.cluster.queue()))

    counter = threading.Thread(target=count)
    counter.start()
    nodes = [shell(f"n{number}", f"sleep 1.{number}", resources={"cpu": 2}) for number in range(3)]
    record = lab.run([*nodes, shell("large", "true", resources={"cpu": 4})])
    over.set()
    counter.join()
    assert [node.status for node in record.nodes] == ["completed"] * 3 + ["failed"]
    assert most[0] == 1, "max_pilots is 2, the policy allows one job"
    assert f"policy ({rules} on " in str(one(record, "large").error)
    assert "job.cpus = 4, at most 2" in str(one(record, "large").error)


def test_jobs_keep_to_the_policy(rules: Path, lab: Lab, tmp_path: Path, near: SlurmCluster) -> None:
    def submit(**payload: object) -> None:
        spec = {"command": ["sleep", "60"]}
        asked = {"tool": "distributed_collaboration", "method": "job_submit", "job_spec": spec, "wait": False}
        service.answer(lab, read_call({**asked, **payload}, lab.vocabulary), tmp_path)

    with pytest.raises(ValidationError, match=r"job.cpus = 8, at most 2; partition 'gpu', allowed: main"):
        submit(resources={"cpu": 8, "partition": "gpu"})
    submit()
    with pytest.raises(CrowdedError, match=r"jobs_at_once = 1: 1 of physlab's jobs wait or run"):
        submit()
    assert len(near.queue()) == 1
    assert [job.status.state for job in known_jobs(lab) if job.status] == ["rejected"], "and it is known to be none"
    rules.write_text("[job]\ncpus = lots\n")
    with pytest.raises(ConfigurationError, match="line 2: not valid TOML"):
        submit()


def test_the_queue_names_the_run_and_the_job(bench: Callable[..., Bench], lab: Lab, tmp_path: Path) -> None:
    """A site serves several runs: a pilot names the one that it was started for, a job its name after its token."""
    runs = bench(idle_s=1)
    wave = runs.run([shell("one", "echo 1")], title="Wäve $(run) | 'x'")
    runs.cluster.wait("no pilots", lambda: not runs.cluster.queue(), 20)
    other = runs.run([shell("two", "echo 2")], title="Other")
    spec = {"command": ["true"]}
    asked = {"tool": "distributed_collaboration", "method": "job_submit", "job_spec": spec, "name": "seven"}
    service.answer(lab, read_call(asked, lab.vocabulary), tmp_path)
    told = runs.cluster.run("squeue", "-h", "-t", "all", "-o", "%k").splitlines()
    assert f"physlab {wave.run_id} Wave run x" in told and f"physlab {other.run_id} Other" in told
    [job] = known_jobs(lab)
    assert f"{job.token} physlab seven" in told


CONDUCTOR = """
import sys, time
from pathlib import Path
from physlab.sites.slurm import SlurmClient
client, until = SlurmClient(), time.monotonic() + float(sys.argv[2])
while time.monotonic() < until:
    assert client.poll({sys.argv[1]: Path("/nowhere")})[sys.argv[1]].state in ("pending", "running")
    time.sleep(0.5)
"""


def test_four_conductors_share_one_question(
    near: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds, log = 3, tmp_path / "asked"
    real = shutil.which("squeue", path=near.environment["PATH"])
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "squeue").write_text(f'#!/bin/sh\necho . >>{log}\nexec {real} "$@"\n')
    (tmp_path / "bin" / "squeue").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{near.environment['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    job = near.run("sbatch", "--parsable", "-o", "/dev/null", stdin="#!/bin/sh\nsleep 300\n").strip()
    words = [sys.executable, "-c", CONDUCTOR, job, str(seconds)]
    begun = time.monotonic()
    conductors = [subprocess.Popen(words, env=child_environment({})) for _ in range(4)]
    assert [conductor.wait(60) for conductor in conductors] == [0] * 4
    asked, took = len(log.read_text().split()), time.monotonic() - begun
    print(f"4 conductors for {seconds} s: {asked} calls of squeue")
    assert 2 <= asked <= took / 0.8 + 1, "alone they would ask 24 times"
