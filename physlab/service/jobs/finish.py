"""What comes after a job's end: its files are brought, hashed and kept, and its end is written down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from physlab.errors import ComputationError, PhyslabError, ResourceError
from physlab.lab import Lab
from physlab.model.job import JobStatus
from physlab.service.jobs.cluster import Cluster
from physlab.service.jobs.ledger import KnownJob, ended, write_down
from physlab.sites.files import Brought

LOG = "log.txt"

TAIL = 2000
AT_ONCE = 250
LOST = ("timeout", "out_of_memory", "node_fail", "preempted")


@dataclass(frozen=True)
class Finished:
    """A job whose end is in the ledger.

    Attributes:
        job: The job, with its end and what it made.
        status: How it ended.
        unmade: It completed, but did not make what was to be kept.
    """

    job: KnownJob
    status: JobStatus
    unmade: ComputationError | None = None


def finish(lab: Lab, cluster: Cluster, told: Sequence[tuple[KnownJob, JobStatus]]) -> list[Finished]:
    """Keep what jobs made, write down their ends, and return them with both.

    Raises:
        ResourceError: Their files cannot be fetched; their ends are not written down, so that this can be tried again.
    """
    done: list[Finished] = []
    for start in range(0, len(told), AT_ONCE):
        part = told[start : start + AT_ONCE]
        cluster.bring_logs([job for job, _ in part])
        completed = [job for job, status in part if status.state == "completed"]
        brought = cluster.bring(completed)
        made = dict(zip((job.folder for job in completed), brought, strict=True))
        some = [_finished(lab, job, status, made.get(job.folder, {})) for job, status in part]
        over = [item.job for item in some if not item.job.is_open]
        write_down(lab, over)
        cluster.settle(over)
        done += some
    return done


def _finished(lab: Lab, job: KnownJob, status: JobStatus, made: Brought) -> Finished:
    if not status.ended:
        return Finished(job, status)
    if isinstance(made, ComputationError):
        return Finished(ended(job, status), status, made)
    kept = []
    for path in made.values():
        sha256, size = lab.store.blobs.put(path)
        kept.append({"path": str(path), "sha256": f"sha256:{sha256}", "size": size})
    return Finished(ended(job, status, kept), status)


def log_end(cluster: Cluster, job: KnownJob) -> str:
    """Return the end of a job's log."""
    try:
        text = cluster.read_log(job, -TAIL).decode(errors="replace").strip()
    except PhyslabError as error:
        return f"it cannot be read: {error.message}"
    return text or "there is none"


def failure(cluster: Cluster, job: KnownJob, status: JobStatus) -> ComputationError | ResourceError:
    """Return the error that tells how a job failed, with the end of its log."""
    known = f"exit code {status.exit_code}" if status.exit_code is not None else "exit code not known"
    how = f"signal {status.signal}" if status.signal else known
    log = cluster.mirror(job.folder) / LOG
    lost = status.state in (*LOST, "unknown")
    usual = "Raise its resources, submit it again, or ask for retries." if lost else f"The whole log: {log}."
    hint = cluster.advice(status) or usual
    return (ResourceError if lost else ComputationError)(
        f"Job {job.job_id} ended as {status.state} ({status.reason}, {how}). "
        f"The end of its log: {log_end(cluster, job)}",
        hint=hint,
        details={"job": status.model_dump(mode="json"), "folder": str(cluster.mirror(job.folder))},
    )


def result(cluster: Cluster, job: KnownJob, status: JobStatus) -> dict[str, Any]:
    """Return what a reply says of one job."""
    folder = cluster.mirror(job.folder)
    return {
        "job_id": job.job_id,
        "state": status.state,
        "exit_code": status.exit_code,
        "log_stream_path": str(folder / LOG),
        "returned_artifacts": [item["path"] for item in job.artifacts],
        "artifacts": list(job.artifacts),
        "folder": str(folder),
    }


def measured(cluster: Cluster, job: KnownJob, status: JobStatus) -> dict[str, Any]:
    """Return what is worth knowing of how a job ran."""
    return {
        "backend": cluster.kind, "site": cluster.name, "device": "gpu" if job.request.resources.gpus else "cpu",
        "machines": list(status.machines), "elapsed_s": status.elapsed_s, "cpu_s": status.cpu_s,
        "memory_mb": status.memory_mb, "restarts": status.restarts, "attempts": job.attempt,
    }  # fmt: skip
