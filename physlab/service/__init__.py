"""One function for each public method: parameters in, reply out."""

from physlab.service.calls import METHODS, answer, call_tool
from physlab.service.graphs import (
    Conductor,
    Reply,
    carry_out,
    define_dag,
    failure,
    kinds,
    publish_report,
    run_dag,
    run_reply,
    validate_dag,
)
from physlab.service.jobs import (
    KnownJob,
    cancel_jobs,
    fetch_jobs,
    find_job,
    find_jobs,
    follow_log,
    job_statuses,
    known_jobs,
    list_jobs,
)
from physlab.service.transfer import pull_store, push_store
from physlab.service.wishes import read_run_call, run_request

__all__ = [
    "METHODS",
    "Conductor",
    "KnownJob",
    "Reply",
    "answer",
    "call_tool",
    "cancel_jobs",
    "carry_out",
    "define_dag",
    "failure",
    "fetch_jobs",
    "find_job",
    "find_jobs",
    "follow_log",
    "job_statuses",
    "kinds",
    "known_jobs",
    "list_jobs",
    "publish_report",
    "pull_store",
    "push_store",
    "read_run_call",
    "run_dag",
    "run_reply",
    "run_request",
    "validate_dag",
]
