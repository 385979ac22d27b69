"""Batch jobs: submitted, watched, fetched, and found again after a crash."""

from physlab.service.jobs.answer import job_submit
from physlab.service.jobs.ledger import KnownJob, find_job, find_jobs, known_jobs
from physlab.service.jobs.manage import cancel_jobs, fetch_jobs, follow_log, job_statuses, list_jobs

__all__ = [
    "KnownJob",
    "cancel_jobs",
    "fetch_jobs",
    "find_job",
    "find_jobs",
    "follow_log",
    "job_statuses",
    "job_submit",
    "known_jobs",
    "list_jobs",
]
