"""What comes after a job's end: its files are brought, hashed and kept, and its end is written down."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from physlab.errors import ComputationError, PhyslabError, ResourceError
from physlab.lab import Lab
from physlab.model.job import JobStatus
from physlab.service.jobs.cluster import Cluster
from physlab.service.jobs.ledger import KnownJob, ended, write_down
from physlab.sites.slurm.script import LOG, OWN_FILES

TAIL = 2000
LOST = ("timeout", "out_of_memory", "node_fail", "preempted")


def finish(lab: Lab, cluster: Cluster, job: KnownJob, status: JobStatus) -> KnownJob:
    """Keep what a job made, write down its end, and return it with both.

    Raises:
        ComputationError: It completed, but did not make what was to be kept.
        ResourceError: Its files cannot be fetched; its end is not written down, so that this can be tried again.
    """
    with contextlib.suppress(ComputationError):  # it wrote nothing
        cluster.files.bring(job.folder, LOG, (), cluster.mirror(job.folder))
    kept, missing = [], None
    if status.state == "completed":
        try:
            kept = list(_keep(lab, cluster, job))
        except ComputationError as error:
            missing = error
    if status.ended:
        job = ended(job, status, kept)
        write_down(lab, [job])
    if missing is not None:
        raise missing
    return job


def _keep(lab: Lab, cluster: Cluster, job: KnownJob) -> Iterator[dict[str, Any]]:
    """Yield what a job made, now in the store: path, digest, size; what it was given is left out."""
    given = {*OWN_FILES, *job.staged, *job.request.takes}
    for path in cluster.files.bring(job.folder, job.wanted, given, cluster.mirror(job.folder)).values():
        sha256, size = lab.store.blobs.put(path)
        yield {"path": str(path), "sha256": f"sha256:{sha256}", "size": size}


def log_end(cluster: Cluster, job: KnownJob) -> str:
    """Return the end of a job's log."""
    try:
        text = cluster.files.read(job.folder / LOG, -TAIL).decode(errors="replace").strip()
    except PhyslabError as error:
        return f"it cannot be read: {error.message}"
    return text or "there is none"


def failure(cluster: Cluster, job: KnownJob, status: JobStatus) -> ComputationError | ResourceError:
    """Return the error that tells how a job failed, with the end of its log."""
    how = f"exit code {status.exit_code}" if status.exit_code is not None else f"signal {status.signal}"
    log = cluster.mirror(job.folder) / LOG
    lost = status.state in (*LOST, "unknown")
    hint = "Raise its resources, submit it again, or ask for retries." if lost else f"The whole log: {log}."
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
        "backend": "slurm", "site": cluster.name, "device": "gpu" if job.request.resources.gpus else "cpu",
        "machines": list(status.machines), "elapsed_s": status.elapsed_s, "cpu_s": status.cpu_s,
        "memory_mb": status.memory_mb, "restarts": status.restarts, "attempts": job.attempt,
    }  # fmt: skip
