"""Submitting: checked with the scheduler, written down, staged, and only then accepted."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from physlab.errors import PhyslabError, ValidationError
from physlab.lab import Lab, new_run_id
from physlab.model.job import JobRequest, JobStatus
from physlab.service.jobs.cluster import Cluster
from physlab.service.jobs.ledger import KnownJob, accepted, ended, intend, write_down
from physlab.sites.slurm.client import SCRIPT_BYTES
from physlab.sites.slurm.script import directives


@dataclass(frozen=True)
class Asked:
    """A job that is asked for.

    Attributes:
        request: What to run.
        inputs: Files to lay into its folder.
        wanted: What to keep of what it makes.
    """

    request: JobRequest
    inputs: tuple[Path, ...] = ()
    wanted: str = "."


def submit_one(lab: Lab, cluster: Cluster, asked: Asked, *, folder: Path | None = None) -> KnownJob:
    """Submit a job.

    The intent is in the ledger before the scheduler is asked, and the job carries its name, so that whatever dies in
    between, it is found again.

    Args:
        lab: The lab.
        cluster: Where.
        asked: The job.
        folder: Its folder there; a new one by default.

    Raises:
        ValidationError: It is refused, in the scheduler's words; nothing is left of it.
        ResourceError: The scheduler does not answer; whether it was accepted is found out later.
    """
    folder = folder or cluster.root / new_token(asked.request)
    request = cluster.complete(asked.request).model_copy(update={"token": folder.name})
    cluster.client.check(request, folder)
    staged = tuple(path.name for path in asked.inputs)
    job = intend(request, folder, cluster.name, wanted=asked.wanted, staged=staged)
    write_down(lab, [job])
    with _cleaned(lab, cluster, [job], [folder]):
        cluster.files.make([folder])
        cluster.files.lay({folder / path.name: path for path in asked.inputs})
        job = accepted(job, cluster.client.submit(request, folder))
    write_down(lab, [job])
    return job


def submit_many(lab: Lab, cluster: Cluster, asked: Sequence[Asked], *, throttle: int | None = None) -> list[KnownJob]:
    """Submit several jobs: those that ask for the same become one array, as far as the cluster's limits allow.

    Raises:
        ValidationError: One is refused; those that were accepted before it go on and are known.
    """
    complete = [Asked(cluster.complete(item.request), item.inputs, item.wanted) for item in asked]
    groups: dict[tuple[str, ...], list[int]] = {}
    for index, item in enumerate(complete):
        groups.setdefault(_shape(item.request), []).append(index)
    for members in groups.values() if len(asked) > 1 else ():
        cluster.client.check(complete[members[0]].request, cluster.root)
    found: dict[int, KnownJob] = {}
    for members in groups.values():
        for part in _parts([complete[index] for index in members], cluster.client.longest_array()):
            indices, members = members[: len(part)], members[len(part) :]
            if len(part) == 1:
                jobs = [submit_one(lab, cluster, part[0])]
            else:
                jobs = _submit_array(lab, cluster, part, throttle)
            found.update(zip(indices, jobs, strict=True))
    return [found[index] for index in range(len(asked))]


def _submit_array(lab: Lab, cluster: Cluster, asked: Sequence[Asked], throttle: int | None) -> list[KnownJob]:
    names = {item.request.name for item in asked}
    shared = {"name": names.pop() if len(names) == 1 else "physlab"}  # an array has one name in the queue
    base = cluster.root / new_token(asked[0].request.model_copy(update=shared))
    jobs: list[KnownJob] = []
    for index, item in enumerate(asked):
        request = item.request.model_copy(update={**shared, "token": base.name})
        staged = tuple(path.name for path in item.inputs)
        job = intend(request, base / str(index), cluster.name, wanted=item.wanted, staged=staged, index=index)
        at = jobs[0].submitted_at if jobs else job.submitted_at  # one time tells which elements belong together
        jobs.append(replace(job, name=item.request.name, submitted_at=at))
    write_down(lab, jobs)
    with _cleaned(lab, cluster, jobs, [base]):
        cluster.files.make([job.folder for job in jobs])
        cluster.files.lay({
            job.folder / path.name: path for job, item in zip(jobs, asked, strict=True) for path in item.inputs
        })  # fmt: skip
        folders = [job.folder for job in jobs]
        ids = cluster.client.submit_array([job.request for job in jobs], folders, throttle=throttle)
        jobs = [accepted(job, job_id) for job, job_id in zip(jobs, ids, strict=True)]
    write_down(lab, jobs)
    return jobs


def _shape(request: JobRequest) -> tuple[str, ...]:
    return tuple(word for word in directives(request) if not word.startswith("--job-name"))


def _parts(asked: Sequence[Asked], longest: int) -> Iterator[list[Asked]]:
    """Yield jobs in portions that are one array each, in elements and in the length of their script."""
    part: list[Asked] = []
    length = 0
    for item in asked:
        own = 500 + 2 * len(item.request.model_dump_json())
        if part and (len(part) == longest or length + own > SCRIPT_BYTES):
            yield part
            part, length = [], 0
        part.append(item)
        length += own
    yield part


@contextlib.contextmanager
def _cleaned(lab: Lab, cluster: Cluster, jobs: Sequence[KnownJob], folders: Sequence[Path]) -> Iterator[None]:
    """Leave nothing of jobs that were refused; what is not certain is found out later."""
    try:
        yield
    except ValidationError as error:
        with contextlib.suppress(PhyslabError):
            cluster.files.remove(folders)
        refused = JobStatus(job_id="", state="rejected", reason=error.message[:500])
        write_down(lab, [ended(job, refused) for job in jobs])
        raise
    except PhyslabError:
        write_down(lab, [replace(job, process={}) for job in jobs])  # nobody will write down what became of them
        raise


def new_token(request: JobRequest) -> str:
    """Return a name for a job's folder that no other has."""
    return f"{request.name[:60]}-{new_run_id()}"
