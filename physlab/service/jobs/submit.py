"""Submitting: checked with the scheduler, written down, staged, and only then accepted."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from physlab.errors import CrowdedError, PhyslabError, ValidationError
from physlab.lab import Lab, new_run_id
from physlab.model.job import JobRequest, JobStatus
from physlab.service.jobs.cluster import Cluster
from physlab.service.jobs.ledger import KnownJob, accepted, ended, intend, write_down
from physlab.sites.slurm.client import CAUTIOUS, SCRIPT_BYTES
from physlab.sites.slurm.script import array_script, batch_script, directives


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


_Group = list[tuple[int, Asked]]


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
    groups = _groups(cluster, asked)
    cluster.client.gate.require_place(len(asked))
    if len(asked) > 1:
        for group in groups:
            cluster.client.check(group[0][1].request, cluster.root)
    found: dict[int, KnownJob] = {}
    for group in groups:
        for part in _parts(group, cluster.client.longest_array()):
            if len(part) == 1:
                jobs = [submit_one(lab, cluster, part[0][1])]
            else:
                jobs = _submit_array(lab, cluster, [item for _, item in part], throttle)
            found.update(zip((index for index, _ in part), jobs, strict=True))
    return [found[index] for index in range(len(asked))]


def scripts(cluster: Cluster, asked: Sequence[Asked], *, throttle: int | None = None) -> list[str]:
    """Return the scripts that would be submitted, for folders as they would have them; the cluster is not asked."""
    found = []
    for group in _groups(cluster, asked):
        for part in _parts(group, CAUTIOUS):
            requests, base = _array([item for _, item in part], cluster)
            if len(part) == 1:
                found.append(batch_script(requests[0], str(base)))
            else:
                found.append(
                    array_script(requests, [f"{base}/{index}" for index in range(len(part))], throttle=throttle)
                )
    return found


def _groups(cluster: Cluster, asked: Sequence[Asked]) -> list[_Group]:
    """Return jobs with their places, those together that ask the scheduler for the same."""
    groups: dict[tuple[str, ...], _Group] = {}
    for index, item in enumerate(asked):
        complete = replace(item, request=cluster.complete(item.request))
        groups.setdefault(_shape(complete.request), []).append((index, complete))
    return list(groups.values())


def _array(asked: Sequence[Asked], cluster: Cluster) -> tuple[list[JobRequest], Path]:
    """Return the requests of an array with the name and token that they share, and its folder."""
    names = {item.request.name for item in asked}
    shared = {"name": names.pop() if len(names) == 1 else "physlab"}  # an array has one name in the queue
    base = cluster.root / new_token(asked[0].request.model_copy(update=shared))
    return [item.request.model_copy(update={**shared, "token": base.name}) for item in asked], base


def _submit_array(lab: Lab, cluster: Cluster, asked: Sequence[Asked], throttle: int | None) -> list[KnownJob]:
    requests, base = _array(asked, cluster)
    jobs: list[KnownJob] = []
    for index, (request, item) in enumerate(zip(requests, asked, strict=True)):
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
        ids = cluster.client.submit_array(requests, [job.folder for job in jobs], throttle=throttle)
        jobs = [accepted(job, job_id) for job, job_id in zip(jobs, ids, strict=True)]
    write_down(lab, jobs)
    return jobs


def _shape(request: JobRequest) -> tuple[str, ...]:
    return tuple(word for word in directives(request) if not word.startswith(("--job-name", "--comment")))


def _parts(group: _Group, longest: int) -> Iterator[_Group]:
    """Yield jobs in portions that are one array each, in elements and in the length of their script."""
    part: _Group = []
    length = 0
    for index, item in group:
        own = 500 + 2 * len(item.request.model_dump_json())
        if part and (len(part) == longest or length + own > SCRIPT_BYTES):
            yield part
            part, length = [], 0
        part.append((index, item))
        length += own
    yield part


@contextlib.contextmanager
def _cleaned(lab: Lab, cluster: Cluster, jobs: Sequence[KnownJob], folders: Sequence[Path]) -> Iterator[None]:
    """Leave nothing of jobs that were refused; what is not certain is found out later."""
    try:
        yield
    except (ValidationError, CrowdedError) as error:
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
