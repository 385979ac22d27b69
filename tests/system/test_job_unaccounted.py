"""A cluster that keeps no accounts and forgets a job at once: its own record tells how it ended."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from physlab.errors import ComputationError, PhyslabError
from physlab.lab import Lab
from physlab.service.jobs import fetch_jobs, find_jobs, job_statuses
from physlab.sites.slurm.client import FORGOTTEN
from physlab.testing.slurm import ClusterPlan, SlurmCluster, missing_parts
from tests.system.conftest import call

GONE = missing_parts(accounting=False)
pytestmark = pytest.mark.skipif(bool(GONE), reason=GONE or "all there")


@pytest.fixture(scope="module")
def cluster() -> Iterator[SlurmCluster]:
    with SlurmCluster.start(ClusterPlan(nodes=2, accounting=False, min_job_age_s=2)) as cluster:
        yield cluster


def test_jobs_end_there_too(lab: Lab, near: SlurmCluster, tmp_path: Path) -> None:
    body = call(lab, tmp_path, tool="job_submit", job_spec={"command": ["sh", "-c", "echo 1 >x"]})
    assert body["state"] == "completed" and len(body["artifacts"]) == 1
    with pytest.raises(ComputationError, match="exit code 9"):
        call(lab, tmp_path, tool="job_submit", job_spec={"command": ["sh", "-c", "exit 9"]})


def test_a_forgotten_job_is_fetched(lab: Lab, near: SlurmCluster, tmp_path: Path) -> None:
    body = call(lab, tmp_path, tool="job_submit", wait=False,
                jobs=[{"command": ["sh", "-c", f"echo {n} >x; exit {n}"]} for n in range(2)])  # fmt: skip
    near.wait("it is forgotten", lambda: not near.run("squeue", "-h", "-t", "all").strip())
    jobs = find_jobs(lab, body["job_id"])
    lost = [dataclasses.replace(job, job_id="", process={}) for job in jobs]
    assert [job for job, _ in job_statuses(lab, lost)] == [dataclasses.replace(job, process={}) for job in jobs]
    told = [(status.state, status.exit_code, status.reason) for _, status in job_statuses(lab, jobs)]
    assert told == [("completed", 0, "its own record"), ("failed", 1, "its own record")]
    kept, failed = fetch_jobs(lab, jobs)
    assert len(kept["artifacts"]) == 1 and failed["state"] == "failed"


def test_a_job_of_which_nothing_is_left_is_told_to_be_lost(
    lab: Lab, near: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("physlab.service.jobs.watch.LOST_S", 1.0)
    script = "#!/bin/sh\nkill -9 $PPID\n"  # of the shell that would write down its end
    with pytest.raises(PhyslabError, match=r"ended as (unknown|failed|cancelled)"):
        call(lab, tmp_path, tool="job_submit", script=script)
    near.wait("it is forgotten", lambda: not near.run("squeue", "-h", "-t", "all").strip())
    [job] = find_jobs(lab, "latest")
    [(_, status)] = job_statuses(lab, [dataclasses.replace(job, status=None)])
    assert (status.state, status.reason) == ("unknown", FORGOTTEN)
