"""Jobs in the lab's ledger: what was asked is written before the scheduler is, and again when more is known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from physlab.errors import ValidationError, nearest
from physlab.lab import Lab
from physlab.model.job import JobRequest, JobStatus
from physlab.store.lease import name_process


@dataclass(frozen=True)
class KnownJob:
    """A job as the ledger has it; its folder tells it from all others.

    Attributes:
        job_id: The scheduler's id; empty as long as it is not known whether it was accepted.
        name: What people call it; the elements of an array have one name in the queue.
        folder: Its folder on the cluster.
        submitted_at: When.
        request: What was asked.
        status: How it ended, once that is known.
        artifacts: What it made, once that is kept.
        site: The cluster's name in the lab; empty for the one at hand.
        wanted: What to keep of its folder.
        staged: Files that it was given.
        index: Its place in an array.
        attempt: How often it was submitted before, plus one.
        process: Who submitted it.
        backend: The kind of its cluster.
    """

    job_id: str
    name: str
    folder: Path
    submitted_at: str
    request: JobRequest
    status: JobStatus | None = None
    artifacts: tuple[dict[str, Any], ...] = ()
    site: str = ""
    wanted: str = "."
    staged: tuple[str, ...] = ()
    index: int | None = None
    attempt: int = 1
    process: dict[str, Any] = field(default_factory=dict)
    backend: str = "slurm"

    @property
    def token(self) -> str:
        """What it is called in its comment."""
        return self.request.token or self.folder.name

    @property
    def is_open(self) -> bool:
        """True when its end is not in the ledger."""
        return self.status is None

    @property
    def whole(self) -> Path:
        """The folder that the scheduler was told: of an element that of its array."""
        return self.folder if self.index is None else self.folder.parent

    def as_record(self) -> dict[str, Any]:
        """Return it as the ledger keeps it."""
        record: dict[str, Any] = {
            "kind": "job", "backend": self.backend, "job_id": self.job_id, "name": self.name,
            "folder": str(self.folder), "site": self.site,
            "request": self.request.model_dump(mode="json", exclude_defaults=True), "submitted_at": self.submitted_at,
            "wanted": self.wanted, "staged": list(self.staged), "index": self.index, "attempt": self.attempt,
            "process": self.process,
        }  # fmt: skip
        if self.status is not None:
            record |= {"status": self.status.model_dump(mode="json"), "artifacts": list(self.artifacts)}
        return record


def intend(request: JobRequest, folder: Path, site: str, **more: Any) -> KnownJob:
    """Return a job that is about to be submitted by this process."""
    now = datetime.now(UTC).isoformat()
    return KnownJob("", request.name, folder, now, request=request, site=site, process=name_process(), **more)


def write_down(lab: Lab, jobs: Iterable[KnownJob]) -> None:
    """Write jobs into the ledger, and to the disk: after a power cut they are known."""
    for job in jobs:
        lab.store.append("job", job.as_record())
    lab.store.flush()


def known_jobs(lab: Lab) -> list[KnownJob]:
    """Return the jobs that this lab submitted, latest first; the elements of an array in their order."""
    lab.store.refresh()
    found = {record["folder"]: record for record in lab.store.records_of("job")}  # a later one tells more
    jobs = sorted(map(_read, found.values()), key=lambda job: job.index or 0)
    return sorted(jobs, key=lambda job: job.submitted_at, reverse=True)


def _read(record: dict[str, Any]) -> KnownJob:
    request = JobRequest.model_validate(record["request"])
    return KnownJob(
        job_id=record["job_id"],
        name=record.get("name", request.name),
        folder=Path(record["folder"]),
        submitted_at=record["submitted_at"],
        status=JobStatus.model_validate(record["status"]) if record.get("status") else None,
        artifacts=tuple(record.get("artifacts", ())),
        request=request,
        site=record.get("site", ""),
        wanted=record.get("wanted", "."),
        staged=tuple(record.get("staged", ())),
        index=record.get("index"),
        attempt=record.get("attempt", 1),
        process=record.get("process", {}),
        backend=record.get("backend", "slurm"),
    )


def find_jobs(lab: Lab, name: str) -> list[KnownJob]:
    """Return the jobs of a name: an id, the id of an array for all its elements, a job's own name, or `latest`.

    Raises:
        ValidationError: There is none.
    """
    jobs = known_jobs(lab)
    found = jobs[:1] if name == "latest" else [job for job in jobs if name in (job.job_id, str(job.token))][:1]
    if not found or found[0].index is not None:
        array = [job for job in jobs if name in (job.job_id.partition("_")[0], job.token) and job.index is not None]
        found = [job for job in array if job.submitted_at == array[0].submitted_at] or found
    if not found:
        hint = nearest(name, [job.job_id or job.token for job in jobs]) if jobs else "No job was submitted yet."
        raise ValidationError(f"There is no job '{name}' in this lab.", hint=hint)
    return found


def find_job(lab: Lab, name: str) -> KnownJob:
    """Return one job.

    Raises:
        ValidationError: There is none, or the name is that of an array.
    """
    found = find_jobs(lab, name)
    if len(found) > 1:
        raise ValidationError(
            f"'{name}' is an array of {len(found)} jobs.", hint=f"Name one of them, such as {found[0].job_id}."
        )
    return found[0]


def accepted(job: KnownJob, job_id: str) -> KnownJob:
    """Return a job with the id that the scheduler gave it."""
    return replace(job, job_id=job_id)


def ended(job: KnownJob, status: JobStatus, artifacts: Iterable[dict[str, Any]] = ()) -> KnownJob:
    """Return a job with its end."""
    return replace(job, status=status, artifacts=tuple(artifacts))
