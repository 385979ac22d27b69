"""One function for each public method: parameters in, reply out."""

from physlab.service.again import checkout_run, reproduce_run
from physlab.service.backup import auto_backup
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
from physlab.service.transfer import collect_store, pull_store, push_store
from physlab.service.versions.answer import artifact_versioning
from physlab.service.versions.garbage import collect_garbage
from physlab.service.versions.look import (
    all_labels,
    all_tags,
    diff_versions,
    find_version,
    impact_of,
    label_version,
    lineage_of,
    lineage_text,
    restore_version,
    tag_version,
    verify_versions,
    version_log,
)
from physlab.service.wishes import read_run_call, run_request

__all__ = [
    "METHODS",
    "Conductor",
    "KnownJob",
    "Reply",
    "all_labels",
    "all_tags",
    "answer",
    "artifact_versioning",
    "auto_backup",
    "call_tool",
    "cancel_jobs",
    "carry_out",
    "checkout_run",
    "collect_garbage",
    "collect_store",
    "define_dag",
    "diff_versions",
    "failure",
    "fetch_jobs",
    "find_job",
    "find_jobs",
    "find_version",
    "follow_log",
    "impact_of",
    "job_statuses",
    "kinds",
    "known_jobs",
    "label_version",
    "lineage_of",
    "lineage_text",
    "list_jobs",
    "publish_report",
    "pull_store",
    "push_store",
    "read_run_call",
    "reproduce_run",
    "restore_version",
    "run_dag",
    "run_reply",
    "run_request",
    "tag_version",
    "validate_dag",
    "verify_versions",
    "version_log",
]
