"""Jobs whose submitter died before it wrote down what the scheduler said: found again, or told to be none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from physlab.lab import Lab
from physlab.model.job import JobStatus
from physlab.service.jobs.cluster import Cluster
from physlab.service.jobs.ledger import KnownJob, accepted, ended, write_down
from physlab.sites.slurm.client import SILENT
from physlab.store.lease import has_ended

GRACE_S = 10.0  # a command that a submitter began outlives it a little
LONGEST_S = 3600.0  # of a submitter on another machine it cannot be told whether it lives
NEVER = "the scheduler never accepted it"
ON_ITS_WAY = "it is being submitted"


def reconcile(lab: Lab, cluster: Cluster, jobs: Sequence[KnownJob]) -> list[KnownJob]:
    """Return jobs of one cluster with the ids of those that it accepted; what is found out is written down.

    A job that it does not know was never accepted: nothing is left of it, so that nothing can run either. That is said
    only when the scheduler answers, and a while after its submission began.
    """
    lost = [job for job in jobs if not job.job_id and job.status is None and not _has_submitter(job)]
    if not lost:
        return list(jobs)
    found = cluster.find(lost, max(map(_age_s, lost)))
    if found is None:
        return list(jobs)
    settled: dict[Path, KnownJob] = {}
    for job in lost:
        if job.folder in found:
            settled[job.folder] = accepted(job, found[job.folder])
        elif _age_s(job) > GRACE_S:
            settled[job.folder] = ended(job, JobStatus(job_id="", state="rejected", reason=NEVER))
    cluster.discard([job for job in settled.values() if not job.job_id])
    write_down(lab, settled.values())
    return [settled.get(job.folder, job) for job in jobs]


def submitting(jobs: Iterable[KnownJob]) -> dict[Path, JobStatus]:
    """Return what can be said of jobs of which neither an id nor an end is known."""
    found = {}
    for job in jobs:
        if not job.job_id and job.status is None:
            soon = _has_submitter(job) or _age_s(job) <= GRACE_S
            state, reason = ("pending", ON_ITS_WAY) if soon else ("unknown", SILENT)
            found[job.folder] = JobStatus.model_validate({"job_id": "", "state": state, "reason": reason})
    return found


def _has_submitter(job: KnownJob) -> bool:
    """Say whether the process that submits a job lives, and will write down its id."""
    return bool(job.process) and not has_ended(job.process) and _age_s(job) < LONGEST_S


def _age_s(job: KnownJob) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(job.submitted_at)).total_seconds()
