"""A workflow as jobs: each starts when those before it succeeded, and takes what they made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from physlab.errors import ComputationError
from physlab.lab import Lab
from physlab.model.job import JobStatus
from physlab.service.jobs.cluster import Cluster
from physlab.service.jobs.finish import failure, finish
from physlab.service.jobs.ledger import KnownJob
from physlab.service.jobs.submit import Asked, new_token, submit_one
from physlab.service.jobs.watch import Say, watch
from physlab.service.jobs.workflow import Step
from physlab.sites.slurm import batch_script


def _placed(cluster: Cluster, steps: Sequence[Step]) -> list[tuple[Step, Asked, Path]]:
    """Return each step with its job and folder; what it takes lies in the folders of those before it."""
    base = cluster.root / new_token(steps[0].asked.request.model_copy(update={"name": "workflow"}))
    folders = {step.name: Path(f"{base}.{number}") for number, step in enumerate(steps, 1)}
    made: dict[str, set[str]] = {step.name: set(step.asked.request.makes) for step in steps}
    for step in steps:
        for file, maker in step.takes.items():
            made[maker].add(file)
    found = []
    for step in steps:
        takes = {file: str(folders[maker] / file) for file, maker in step.takes.items()}
        request = step.asked.request.model_copy(update={"takes": takes, "makes": tuple(sorted(made[step.name]))})
        found.append((step, replace(step.asked, request=request), folders[step.name]))
    return found


def workflow_scripts(cluster: Cluster, steps: Sequence[Step]) -> str:
    """Return the scripts that would be submitted, one after another."""
    texts = []
    for step, asked, folder in _placed(cluster, steps):
        request = cluster.complete(asked.request).model_copy(update={"token": folder.name})
        waits = f"; starts after: {', '.join(step.after)}" if step.after else ""
        texts.append(f"# step {step.name}{waits}\n{batch_script(request, str(folder))}")
    return "\n".join(texts)


def run_workflow(
    lab: Lab, cluster: Cluster, steps: Sequence[Step], *, wait: bool, timeout_s: float, say: Say | None = None
) -> list[tuple[KnownJob, JobStatus]]:
    """Submit the steps, and wait for them; those behind a failed one are cancelled.

    Raises:
        ComputationError: A step failed; with the end of its log, and which steps were not run.
        ValidationError: A step is refused; those submitted before it are cancelled.
    """
    placed = _placed(cluster, steps)
    for _, asked, folder in placed:
        cluster.client.check(cluster.complete(asked.request), folder)
    jobs: dict[str, KnownJob] = {}
    try:
        for step, asked, folder in placed:
            after = (*asked.request.after, *(jobs[name].job_id for name in step.after))
            asked = replace(asked, request=asked.request.model_copy(update={"after": after}))
            jobs[step.name] = replace(submit_one(lab, cluster, asked, folder=folder), name=step.name)
    except BaseException:
        cluster.client.cancel(job.job_id for job in jobs.values())
        raise
    if not wait:
        said = JobStatus(job_id="", state="pending", reason="it was accepted")
        return [(job, said) for job in jobs.values()]
    return _watched(lab, cluster, steps, jobs, timeout_s, say)


def _watched(
    lab: Lab, cluster: Cluster, steps: Sequence[Step], jobs: Mapping[str, KnownJob], timeout_s: float, say: Say | None
) -> list[tuple[KnownJob, JobStatus]]:
    done: dict[Path, KnownJob] = {}

    unmade: list[ComputationError] = []

    def end(told: list[tuple[KnownJob, JobStatus]]) -> None:
        for item in finish(lab, cluster, told):
            done[item.job.folder] = item.job
            unmade.extend(filter(None, (item.unmade,)))
            behind = _behind(item.job.name, steps) if item.status.state != "completed" else []
            cluster.client.cancel(jobs[name].job_id for name in behind)

    statuses = watch(cluster, list(jobs.values()), timeout_s, say=say, on_end=end)
    failed = [job for job in done.values() if statuses[job.folder].state != "completed"]
    if failed:
        first, named = failed[0], {job.folder: job.name for job in jobs.values()}
        behind = _behind(first.name, steps)
        error = failure(cluster, first, statuses[first.folder])
        raise type(error)(
            f"The step '{first.name}' failed: {error.message}",
            hint=f"{'Not run: ' + ', '.join(behind) + '. ' if behind else ''}{error.hint}",
            details={**error.details, "step": first.name, "not_run": behind,
                     "steps": {named[folder]: status.model_dump(mode="json") for folder, status in statuses.items()}},
        )  # fmt: skip
    if unmade:
        raise unmade[0]
    return [(done[job.folder], statuses[job.folder]) for job in jobs.values()]


def _behind(name: str, steps: Sequence[Step]) -> list[str]:
    """Return the steps that cannot run without one."""
    found: list[str] = []
    for step in steps:  # in order
        if name in step.after or set(found) & set(step.after):
            found.append(step.name)
    return found
