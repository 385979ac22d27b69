"""`job_submit`: from what it is given to the files that were made, hashed and kept."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from physlab.errors import ComputationError, PhyslabError, ValidationError
from physlab.lab import Lab
from physlab.model.job import JobStatus
from physlab.service.jobs.cluster import Cluster, open_cluster
from physlab.service.jobs.finish import failure, finish, measured, result
from physlab.service.jobs.ledger import KnownJob
from physlab.service.jobs.request import read_request
from physlab.service.jobs.submit import Asked, new_token, submit_many, submit_one
from physlab.service.jobs.watch import Say, watch
from physlab.service.jobs.workflow import read_workflow, run_workflow, workflow_scripts
from physlab.sites.slurm import batch_script

_log = logging.getLogger("physlab.job")
SINGLE = ("job_spec", "script", "artifacts", "name", "after", "retries")
SAID = JobStatus(job_id="", state="pending", reason="it was accepted")


def job_submit(lab: Lab, params: Mapping[str, Any], base_dir: Path) -> dict[str, Any]:
    """Submit a job, several jobs or a workflow to Slurm, wait for the end, and keep what was made.

    Args:
        lab: The lab.
        params: Checked parameters of `distributed_collaboration.job_submit`.
        base_dir: Where relative paths start.

    Returns:
        `job_id`, `log_stream_path`, `returned_artifacts` and how it went; with `dry_run` the script instead.

    Raises:
        ValidationError: The request is wrong, or the scheduler refuses it.
        ComputationError: A job failed; with the end of its log.
        TimeLimitError: It did not end within `timeout_sec`; it goes on.
    """
    kinds = [name for name in ("jobs", "workflow") if params.get(name) is not None]
    unfit = [name for name in SINGLE if params.get(name)] if kinds else []
    if len(kinds) > 1 or unfit:
        raise ValidationError(
            f"job_submit: {' and '.join([*kinds, *unfit])} do not go together.", hint="Say it in each job, or step."
        )
    say = _log_line if params.get("stream_logs", True) and _log.isEnabledFor(logging.INFO) else None
    answer = _answer_workflow if "workflow" in kinds else _answer_jobs if "jobs" in kinds else _answer_one
    return answer(lab, params, base_dir, say)


def _log_line(line: str) -> None:
    _log.info("%s", line)


def _answer_one(lab: Lab, params: Mapping[str, Any], base_dir: Path, say: Say | None) -> dict[str, Any]:
    asked = read_request(params, base_dir)
    with open_cluster(lab, params.get("site")) as cluster:
        if params.get("dry_run"):
            return _shown(cluster, [asked])
        started = time.monotonic()
        job = submit_one(lab, cluster, asked)
        if not params.get("wait", True):
            return result(cluster, job, SAID) | {"meta": measured(cluster, job, SAID)}
        status = watch(cluster, [job], params["timeout_sec"], say=say)[job.folder]
        job = finish(lab, cluster, job, status)
        if status.state != "completed":
            raise failure(cluster, job, status)
        meta = measured(cluster, job, status) | {"duration_ms": (time.monotonic() - started) * 1e3}
        return result(cluster, job, status) | {"meta": meta}


def _answer_jobs(lab: Lab, params: Mapping[str, Any], base_dir: Path, say: Say | None) -> dict[str, Any]:
    shared = {name: params[name] for name in ("resources", "artifacts_path") if params.get(name) is not None}
    asked = [
        read_request({**shared, **item, "resources": {**shared.get("resources", {}), **(item.get("resources") or {})}},
                     base_dir, f"jobs.{index}")
        for index, item in enumerate(params["jobs"])
    ]  # fmt: skip
    with open_cluster(lab, params.get("site")) as cluster:
        if params.get("dry_run"):
            return _shown(cluster, asked)
        started = time.monotonic()
        jobs = submit_many(lab, cluster, asked, throttle=params.get("throttle"))
        statuses = dict.fromkeys([job.folder for job in jobs], SAID)
        if params.get("wait", True):
            jobs, statuses = _wait_for(lab, cluster, jobs, params["timeout_sec"], say)
        return told_together(cluster, jobs, statuses) | {
            "meta": {"backend": "slurm", "site": cluster.name, "duration_ms": (time.monotonic() - started) * 1e3}
        }


def _wait_for(
    lab: Lab, cluster: Cluster, jobs: Sequence[KnownJob], timeout_s: float, say: Say | None
) -> tuple[list[KnownJob], dict[Path, JobStatus]]:
    done: dict[Path, KnownJob] = {}
    unmade: dict[Path, PhyslabError] = {}

    def end(job: KnownJob, status: JobStatus) -> None:
        try:
            done[job.folder] = finish(lab, cluster, job, status)
        except ComputationError as error:
            unmade[job.folder] = error

    statuses = watch(cluster, jobs, timeout_s, say=say, on_end=end)
    if unmade:
        folder, error = next(iter(unmade.items()))
        raise ComputationError(f"{folder.name}: {error.message}", hint=error.hint)
    jobs = [done[job.folder] for job in jobs]
    failed = [job for job in jobs if statuses[job.folder].state != "completed"]
    if failed:
        first = failure(cluster, failed[0], statuses[failed[0].folder])
        raise type(first)(
            f"{len(failed)} of {len(jobs)} jobs did not succeed. The first: {first.message}",
            hint=f"What the others made is kept: physlab job list. {first.hint}",
            details={"jobs": {job.job_id: statuses[job.folder].model_dump(mode="json") for job in jobs}},
        )
    return jobs, statuses


def told_together(
    cluster: Cluster, jobs: Sequence[KnownJob], statuses: Mapping[Path, JobStatus]
) -> dict[str, Any]:  # fmt: skip
    """Return what a reply says of several jobs."""
    each = [result(cluster, job, statuses[job.folder]) | {"name": job.name} for job in jobs]
    return {
        "job_id": ",".join(dict.fromkeys(job.job_id.partition("_")[0] for job in jobs)),
        "state": next((item["state"] for item in each if item["state"] != "completed"), "completed"),
        "jobs": each,
        "returned_artifacts": [path for item in each for path in item["returned_artifacts"]],
        "artifacts": [artifact for item in each for artifact in item["artifacts"]],
        "folder": str(cluster.here if cluster.settings.host is not None else cluster.root),
    }


def _answer_workflow(lab: Lab, params: Mapping[str, Any], base_dir: Path, say: Say | None) -> dict[str, Any]:
    shared = {"resources": params.get("resources") or {}}
    steps = read_workflow(params["workflow"], base_dir, shared)
    with open_cluster(lab, params.get("site")) as cluster:
        if params.get("dry_run"):
            return {"script": workflow_scripts(cluster, steps), "folder": str(cluster.root)}
        started = time.monotonic()
        jobs, statuses = run_workflow(
            lab, cluster, steps, wait=params.get("wait", True), timeout_s=params["timeout_sec"], say=say,
        )  # fmt: skip
        return told_together(cluster, jobs, statuses) | {
            "meta": {"backend": "slurm", "site": cluster.name, "duration_ms": (time.monotonic() - started) * 1e3}
        }


def _shown(cluster: Cluster, asked: Sequence[Asked]) -> dict[str, Any]:
    """Return the scripts that would be submitted, each for a folder that it would have."""
    scripts = []
    for item in asked:
        folder = cluster.root / new_token(item.request)
        request = cluster.complete(item.request).model_copy(update={"token": folder.name})
        scripts.append(batch_script(request, str(folder)))
    return {"script": "\n".join(scripts), "folder": str(folder if len(asked) == 1 else cluster.root)}
