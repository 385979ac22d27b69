"""Jobs afterwards, by whatever process: what became of them, their logs, their files, and their cancelling."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from physlab.errors import PhyslabError, ResourceError, ValidationError
from physlab.lab import Lab
from physlab.model.job import JobStatus
from physlab.service.jobs.cluster import Cluster, by_cluster, open_again
from physlab.service.jobs.finish import LOG, finish, result
from physlab.service.jobs.ledger import KnownJob, ended, known_jobs, write_down
from physlab.service.jobs.reconcile import reconcile, submitting
from physlab.service.jobs.watch import POLL_S, STREAM_S, LogTail, is_lost

CANCEL_S = 20.0
Known = list[tuple[KnownJob, JobStatus]]


def job_statuses(lab: Lab, jobs: Sequence[KnownJob]) -> Known:
    """Return jobs with what became of them; the schedulers are asked only about those whose end is not known."""
    found: dict[str, tuple[KnownJob, JobStatus]] = {}
    for place, open_ones in by_cluster(job for job in jobs if job.is_open).items():
        try:
            with open_again(lab, *place) as cluster:
                told = _asked(lab, cluster, open_ones)
        except PhyslabError as error:  # one cluster that does not answer hides no other
            silent = JobStatus(job_id="", state="unknown", reason=error.message[:200])
            told = [(job, silent.model_copy(update={"job_id": job.job_id})) for job in open_ones]
        found |= {str(job.folder): (job, status) for job, status in told}
    return [found.get(str(job.folder)) or (job, job.status or _nothing(job)) for job in jobs]


def _asked(lab: Lab, cluster: Cluster, jobs: Sequence[KnownJob]) -> Known:
    jobs = reconcile(lab, cluster, jobs)
    _adopt(lab, cluster, jobs)
    told = cluster.look([job for job in jobs if job.job_id and job.is_open], since=time.time())  # a person asks
    unsure = submitting(jobs)
    return [(job, job.status or unsure.get(job.folder) or told[job.job_id]) for job in jobs]


def list_jobs(lab: Lab, limit: int) -> Known:
    """Return the latest jobs with what became of them; the runs of schedules are jobs of their own."""
    told = job_statuses(lab, known_jobs(lab)[:limit])
    if any(job.is_open and job.request.pod.schedule for job, _ in told):  # their runs are known now
        told = job_statuses(lab, known_jobs(lab)[:limit])
    return told


def _adopt(lab: Lab, cluster: Cluster, jobs: Sequence[KnownJob]) -> None:
    """Write down the runs that schedules have begun, so that each is watched, fetched and removed as any job."""
    scheduled = [job for job in jobs if job.job_id and job.is_open and job.request.pod.schedule]
    if scheduled:
        known = {job.folder for job in known_jobs(lab)}
        write_down(lab, [run for job in scheduled for run in cluster.runs(job) if run.folder not in known])


def _refuse_schedule(job: KnownJob) -> None:
    if job.request.pod.schedule is not None and job.is_open:
        raise ValidationError(
            f"Job {job.job_id} is a schedule: it is never over.", hint="Name one of its runs: physlab job list."
        )


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
    for place, mine in by_cluster(going).items():
        with open_again(lab, *place) as cluster:
            _end_runs(lab, cluster, [job for job in mine if job.request.pod.schedule])
            told = _cancelled(cluster, mine)
            for job in mine:
                status = told[job.job_id]
                over = ended(job, status) if status.ended and status.state != "completed" else job
                found[str(job.folder)] = (over, status)
    write_down(lab, [job for job, _ in found.values() if not job.is_open])
    return [found.get(str(job.folder), (job, status)) for job, status in now]


def _end_runs(lab: Lab, cluster: Cluster, schedules: Sequence[KnownJob]) -> None:
    """Keep what the finished runs of schedules made, and cancel the others: all of them go with their schedule."""
    if not schedules:
        return
    _adopt(lab, cluster, schedules)
    theirs = {run.folder for job in schedules for run in cluster.runs(job)}
    runs = [job for job in known_jobs(lab) if job.folder in theirs and job.is_open]
    told = cluster.look(runs)
    finish(lab, cluster, [(run, told[run.job_id]) for run in runs if told[run.job_id].ended])
    going = [run for run in runs if not told[run.job_id].ended]
    ends = _cancelled(cluster, going) if going else {}
    write_down(lab, [ended(run, ends[run.job_id]) for run in going if ends[run.job_id].ended])


def _cancelled(cluster: Cluster, jobs: Sequence[KnownJob]) -> dict[str, JobStatus]:
    """Cancel jobs and wait a while for it; what nobody knows any more never began."""
    cluster.cancel(jobs)
    begun = time.monotonic()
    while True:
        told = cluster.look(jobs, since=time.time())
        left = [status for status in told.values() if not status.ended and not status.forgotten]
        if not left or time.monotonic() - begun > CANCEL_S:
            break
        time.sleep(POLL_S[0])
    gone = {"state": "cancelled", "reason": "cancelled before it began"}
    return {job_id: status.model_copy(update=gone) if status.forgotten else status for job_id, status in told.items()}


def fetch_jobs(lab: Lab, jobs: Sequence[KnownJob]) -> list[dict[str, Any]]:
    """Bring, hash and keep what jobs made, and write down their ends; what is kept already is only told.

    Raises:
        ResourceError: One has not ended, or its files cannot be fetched.
        ComputationError: One did not make what was to be kept.
    """
    for job in jobs:
        _refuse_schedule(job)
    told = job_statuses(lab, jobs)
    for job, status in told:
        if status.state == "unknown":
            raise ResourceError(
                f"What became of job {job.job_id or job.token} is not known: {status.reason}.",
                hint="Try again later: what the cluster still has is not lost.",
            )
        if not status.ended:
            raise ResourceError(
                f"Job {job.job_id or job.token} has not ended: it is {status.state} ({status.reason}).",
                hint=f"Wait for it: physlab job logs {job.job_id or job.token} --follow",
            )
    found: dict[Path, dict[str, Any]] = {}
    for place in by_cluster(job for job, _ in told):
        with open_again(lab, *place) as cluster:
            mine = [(job, status) for job, status in told if (job.backend, job.site) == place]
            done = finish(lab, cluster, [(job, status) for job, status in mine if job.is_open])
            unmade = next((item.unmade for item in done if item.unmade is not None), None)
            if unmade is not None:
                raise unmade
            mine = [(job, status) for job, status in mine if not job.is_open]
            for job, status in [*mine, *((item.job, item.status) for item in done)]:
                found[job.folder] = result(cluster, job, status) | {"name": job.name, "reason": status.reason}
    return [found[job.folder] for job, _ in told]


def follow_log(lab: Lab, job: KnownJob, *, follow: bool) -> Iterator[str]:
    """Yield what a job wrote, piece by piece; with `follow` until it has ended, to the last byte.

    Raises:
        ValidationError: The job is a schedule.
    """
    _refuse_schedule(job)
    with open_again(lab, job.backend, job.site) as cluster:
        kept = cluster.mirror(job.folder) / LOG
        if not job.is_open and kept.is_file():
            yield kept.read_text(encoding="utf-8", errors="replace")
            return
        tail, missed = LogTail(cluster, job), dict[str, float]()
        while True:
            [(job, status)] = _asked(lab, cluster, [job])
            over = not follow or status.ended or is_lost(job.job_id, status, missed)
            if over and not status.ended:
                cluster.hear(job)
            yield tail.pieces(last=over)  # read after the end is known, so nothing is missed
            if over:
                return
            cluster.rest(STREAM_S)
