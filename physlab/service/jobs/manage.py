"""Jobs afterwards, by whatever process: what became of them, their logs, their files, and their cancelling."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from physlab.errors import PhyslabError, ResourceError
from physlab.lab import Lab
from physlab.model.job import JobStatus
from physlab.service.jobs.cluster import Cluster, open_again
from physlab.service.jobs.finish import finish, result
from physlab.service.jobs.ledger import KnownJob, ended, write_down
from physlab.service.jobs.reconcile import reconcile, submitting
from physlab.service.jobs.watch import POLL_S, STREAM_S, LogTail, look
from physlab.sites.slurm.client import FORGOTTEN
from physlab.sites.slurm.script import LOG

CANCEL_S = 20.0
Known = list[tuple[KnownJob, JobStatus]]


def job_statuses(lab: Lab, jobs: Sequence[KnownJob]) -> Known:
    """Return jobs with what became of them; the schedulers are asked only about those whose end is not known."""
    found: dict[str, tuple[KnownJob, JobStatus]] = {}
    for site in dict.fromkeys(job.site for job in jobs if job.is_open):
        open_ones = [job for job in jobs if job.is_open and job.site == site]
        try:
            with open_again(lab, site) as cluster:
                told = _asked(lab, cluster, open_ones)
        except PhyslabError as error:  # one cluster that does not answer hides no other
            silent = JobStatus(job_id="", state="unknown", reason=error.message[:200])
            told = [(job, silent.model_copy(update={"job_id": job.job_id})) for job in open_ones]
        found |= {str(job.folder): (job, status) for job, status in told}
    return [found.get(str(job.folder)) or (job, job.status or _nothing(job)) for job in jobs]


def _asked(lab: Lab, cluster: Cluster, jobs: Sequence[KnownJob]) -> Known:
    jobs = reconcile(lab, cluster, jobs)
    told = look(cluster, [job for job in jobs if job.job_id and job.is_open], since=time.time())  # a person asks
    unsure = submitting(jobs)
    return [(job, job.status or unsure.get(job.folder) or told[job.job_id]) for job in jobs]


def _nothing(job: KnownJob) -> JobStatus:
    return JobStatus(job_id=job.job_id, state="unknown")


def cancel_jobs(lab: Lab, jobs: Sequence[KnownJob]) -> Known:
    """Cancel jobs, write down their ends, and return them with what the scheduler says then.

    Raises:
        ResourceError: The scheduler refuses.
    """
    now = job_statuses(lab, jobs)
    going = [job for job, status in now if job.job_id and not status.ended]
    found: dict[str, tuple[KnownJob, JobStatus]] = {}
    for site in dict.fromkeys(job.site for job in going):
        with open_again(lab, site) as cluster:
            mine = {job.job_id: job for job in going if job.site == site}
            for job_id, status in _cancelled(cluster, {job_id: job.folder for job_id, job in mine.items()}).items():
                job = mine[job_id]
                if status.ended and status.state != "completed":
                    job = ended(job, status)
                found[str(job.folder)] = (job, status)
    write_down(lab, [job for job, _ in found.values() if not job.is_open])
    return [found.get(str(job.folder), (job, status)) for job, status in now]


def _cancelled(cluster: Cluster, jobs: dict[str, Path]) -> dict[str, JobStatus]:
    """Cancel jobs and wait a while for it; what nobody knows any more never began."""
    cluster.client.cancel(jobs)
    begun = time.monotonic()
    while True:
        told = cluster.client.poll(jobs, since=time.time())
        left = [status for status in told.values() if not status.ended and status.reason != FORGOTTEN]
        if not left or time.monotonic() - begun > CANCEL_S:
            break
        time.sleep(POLL_S[0])
    gone = {"state": "cancelled", "reason": "cancelled before it began"}
    return {
        job_id: status.model_copy(update=gone) if status.reason == FORGOTTEN else status
        for job_id, status in told.items()
    }


def fetch_jobs(lab: Lab, jobs: Sequence[KnownJob]) -> list[dict[str, Any]]:
    """Bring, hash and keep what jobs made, and write down their ends; what is kept already is only told.

    Raises:
        ResourceError: One has not ended, or its files cannot be fetched.
        ComputationError: One did not make what was to be kept.
    """
    told = job_statuses(lab, jobs)
    for job, status in told:
        if not status.ended:
            raise ResourceError(
                f"Job {job.job_id or job.token} has not ended: it is {status.state} ({status.reason}).",
                hint=f"Wait for it: physlab job logs {job.job_id or job.token} --follow",
            )
    found: dict[Path, dict[str, Any]] = {}
    for site in dict.fromkeys(job.site for job, _ in told):
        with open_again(lab, site) as cluster:
            mine = [(job, status) for job, status in told if job.site == site]
            done = finish(lab, cluster, [(job, status) for job, status in mine if job.is_open])
            unmade = next((item.unmade for item in done if item.unmade is not None), None)
            if unmade is not None:
                raise unmade
            mine = [(job, status) for job, status in mine if not job.is_open]
            for job, status in [*mine, *((item.job, item.status) for item in done)]:
                found[job.folder] = result(cluster, job, status) | {"name": job.name, "reason": status.reason}
    return [found[job.folder] for job, _ in told]


def follow_log(lab: Lab, job: KnownJob, *, follow: bool) -> Iterator[str]:
    """Yield what a job wrote, piece by piece; with `follow` until it has ended, to the last byte."""
    with open_again(lab, job.site) as cluster:
        kept = cluster.mirror(job.folder) / LOG
        if not job.is_open and kept.is_file():
            yield kept.read_text(encoding="utf-8", errors="replace")
            return
        tail = LogTail(cluster, job)
        while True:
            [(job, status)] = _asked(lab, cluster, [job])
            over = not follow or status.ended
            yield tail.pieces(last=over)  # read after the end is known, so nothing is missed
            if over:
                return
            time.sleep(STREAM_S)
