"""The test cluster itself: a real Slurm, several nodes, nodes that die, and nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from physlab.testing.slurm import ClusterPlan, SlurmCluster, missing_parts
from physlab.testing.slurm.plan import free_ports
from physlab.testing.slurm.processes import belonging

pytestmark = pytest.mark.skipif(bool(missing_parts()), reason=missing_parts() or "all there")


@pytest.fixture(scope="module")
def cluster() -> Iterator[SlurmCluster]:
    with SlurmCluster.start() as cluster:
        yield cluster


def submit(cluster: SlurmCluster, *options: str, script: str) -> str:
    return cluster.run("sbatch", "--parsable", "-o", "/dev/null", *options, stdin=f"#!/bin/sh\n{script}\n").strip()


def account(cluster: SlurmCluster, job: str) -> list[str]:
    line = cluster.run("sacct", "-n", "-X", "-P", "-j", job, "-o", "State,ExitCode,NodeList").strip()
    return line.split("|")


def test_jobs_run_and_are_accounted_for(cluster: SlurmCluster) -> None:
    assert set(cluster.states().values()) == {"idle"} and len(cluster.nodes) == 3
    good, bad = submit(cluster, script="true"), submit(cluster, script="exit 7")
    cluster.wait("the end", lambda: not cluster.queue())
    cluster.wait("the accounts", lambda: account(cluster, bad)[0] == "FAILED")
    assert account(cluster, good)[:2] == ["COMPLETED", "0:0"]
    assert account(cluster, bad)[:2] == ["FAILED", "7:0"]


def test_resources_are_real_to_the_scheduler(cluster: SlurmCluster) -> None:
    seen = cluster.run("srun", "--gres=gpu:2", "-c", "3", "sh", "-c", "echo $CUDA_VISIBLE_DEVICES $SLURM_CPUS_PER_TASK")
    assert seen.split() == ["0,1", "3"]
    for wrong in (("--gres=gpu:3",), ("-p", "nowhere"), ("-t", "10:00:00"), ("-C", "purple")):
        with pytest.raises(RuntimeError, match="sbatch: error"):
            submit(cluster, *wrong, script="true")


def test_a_dead_node_loses_its_job_to_another(cluster: SlurmCluster) -> None:
    job = submit(cluster, "--requeue", script="sleep 300")
    cluster.wait("the job runs", lambda: cluster.queue().get(job) == "RUNNING")

    def where() -> str:
        return cluster.run("squeue", "-h", "-j", job, "-t", "RUNNING", "-o", "%N").strip()

    first = where()
    cluster.kill_node(first)
    assert not list(belonging(cluster.base, first)), "nothing of the node lives"
    cluster.wait("the job runs elsewhere", lambda: where() not in ("", first), timeout_s=90)
    cluster.start_node(first)
    cluster.reset()
    assert set(cluster.states().values()) == {"idle"} and cluster.queue() == {}


def test_two_clusters_live_side_by_side(cluster: SlurmCluster) -> None:
    with SlurmCluster.start(ClusterPlan(nodes=1, accounting=False)) as other:
        assert not set(other.nodes) & set(cluster.nodes)
        job = submit(other, script="true")
        other.wait("the end", lambda: not other.queue())
        assert "JobState=COMPLETED" in other.run("scontrol", "show", "job", job)
        base = other.base
    assert not base.exists() and not list(belonging(base))


OWNER = """
import json, time
from physlab.testing.slurm import ClusterPlan, SlurmCluster
cluster = SlurmCluster.start(ClusterPlan(nodes=1, accounting=False))
cluster.run("sbatch", "-o", "/dev/null", "--wrap", "trap '' TERM; setsid sleep 300 & sleep 300")
cluster.wait("it runs", lambda: "RUNNING" in cluster.queue().values())
print(json.dumps([str(cluster.base), cluster._supervisor.pid]), flush=True)
time.sleep(300)
"""


@pytest.mark.parametrize("victim", ["owner", "supervisor"])
def test_nothing_is_left_after_kill_9(victim: str) -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    name, supervisor = json.loads(owner.stdout.readline())
    base = Path(name)
    assert list(belonging(base))
    os.kill(owner.pid if victim == "owner" else supervisor, signal.SIGKILL)
    if victim == "supervisor":  # its daemons die with it; its jobs are swept by the next cluster
        with SlurmCluster.start(ClusterPlan(nodes=1, accounting=False)):
            pass
    begun = time.monotonic()
    while (list(belonging(base)) or base.exists()) and time.monotonic() - begun < 20:
        time.sleep(0.1)
    assert not list(belonging(base)) and not base.exists()
    owner.kill()
    owner.wait()
    owner.stdout.close()


def test_ports_lie_below_those_that_the_system_gives() -> None:
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    ports = free_ports(20)
    assert len(set(ports)) == 20 and all(1024 <= port < lowest for port in ports)


def test_a_cluster_that_cannot_start_says_why() -> None:
    with pytest.raises(RuntimeError, match=r"did not start.*slurmctld ended"):
        SlurmCluster.start(ClusterPlan(nodes=1, accounting=False, extra=("NoSuchOption=1",)))
