"""`job_submit`: from what it is given to the files that were made, hashed and kept."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from physlab.errors import ValidationError
from physlab.lab import Lab
from physlab.model.job import JobStatus
from physlab.service.jobs.attempts import Policy
from physlab.service.jobs.chain import Chain
from physlab.service.jobs.cluster import Cluster, find_backend, open_cluster
from physlab.service.jobs.finish import measured, result
from physlab.service.jobs.ledger import KnownJob
from physlab.service.jobs.persist import persist
from physlab.service.jobs.request import read_request
from physlab.service.jobs.submit import Asked, scripts, submit_many, submit_one
from physlab.service.jobs.watch import Say
from physlab.service.jobs.workflow import read_workflow
from physlab.sites.slurm.states import seconds

_log = logging.getLogger("physlab.job")
SINGLE = ("job_spec", "script", "artifacts", "name", "after")
UNFIT = {"one": ("throttle",), "jobs": SINGLE, "workflow": (*SINGLE, "throttle")}
SAID = JobStatus(job_id="", state="pending", reason="it was accepted")


def job_submit(lab: Lab, params: Mapping[str, Any], base_dir: Path) -> dict[str, Any]:
    """Submit a job, several jobs or a workflow to a cluster, wait for the end, and keep what was made.

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
    unfit = [name for name in UNFIT[kinds[0] if kinds else "one"] if params.get(name)]
    if len(kinds) > 1 or unfit:
        raise ValidationError(
            f"job_submit: {' and '.join([*(kinds or ['a single job']), *unfit])} do not go together.",
            hint="Say it in each job, or step." if kinds else "Leave it out.",
        )
    if params.get("most_time") and not params.get("retries"):
        raise ValidationError("job_submit: most_time without retries.", hint="Say how often: retries=1.")
    kind = find_backend(lab, params.get("backend"), params.get("site"))
    say = _log_line if params.get("stream_logs", True) and _log.isEnabledFor(logging.INFO) else None
    answer = _answer_workflow if "workflow" in kinds else _answer_jobs if "jobs" in kinds else _answer_one
    return answer(lab, {**params, "backend": kind}, base_dir, say)


def _log_line(line: str) -> None:
    _log.info("%s", line)


def _answer_one(lab: Lab, params: Mapping[str, Any], base_dir: Path, say: Say | None) -> dict[str, Any]:
    asked, policy = read_request(params, base_dir, params["backend"]), _policy(params)
    with open_cluster(lab, params["backend"], params.get("site")) as cluster:
        if params.get("dry_run"):
            return {"script": "\n".join(scripts(cluster, [asked])), "folder": str(cluster.root)}
        started = time.monotonic()
        job, status = submit_one(lab, cluster, asked), SAID
        if params.get("wait", True) and asked.request.pod.schedule is None:
            [(job, status)] = persist(lab, cluster, [asked], [job], policy, params["timeout_sec"], say)
        meta = measured(cluster, job, status) | {"duration_ms": (time.monotonic() - started) * 1e3}
        return result(cluster, job, status) | {"meta": meta}


def _answer_jobs(lab: Lab, params: Mapping[str, Any], base_dir: Path, say: Say | None) -> dict[str, Any]:
    asked, policy = list(_read_jobs(params, base_dir)), _policy(params)
    with open_cluster(lab, params["backend"], params.get("site")) as cluster:
        if params.get("dry_run"):
            shown = scripts(cluster, asked, throttle=params.get("throttle"))
            return {"script": "\n".join(shown), "folder": str(cluster.root)}
        if params.get("throttle") and cluster.longest_array(asked=False) < len(asked):
            raise ValidationError(
                f"throttle: {cluster.kind} has no arrays.", hint="Set a ResourceQuota, or leave it out."
            )
        started = time.monotonic()
        jobs = submit_many(lab, cluster, asked, throttle=params.get("throttle"))
        told = [(job, SAID) for job in jobs]
        if params.get("wait", True):
            told = persist(lab, cluster, asked, jobs, policy, params["timeout_sec"], say)
        return told_together(cluster, told) | {"meta": _meta(cluster, started)}


def _read_jobs(params: Mapping[str, Any], base_dir: Path) -> Iterator[Asked]:
    """Yield the jobs of a list; what is said for all of them counts where one says nothing itself."""
    shared = params.get("resources") or {}
    for index, item in enumerate(params["jobs"]):
        resources = {**shared, **(item.get("resources") or {})}
        wanted = item["artifacts_path"] if item.get("artifacts_path", ".") != "." else params.get("artifacts_path", ".")
        one = {**item, "resources": resources, "artifacts_path": wanted, "keep": params.get("keep", False)}
        yield read_request(one, base_dir, params["backend"], f"jobs.{index}")


def _policy(params: Mapping[str, Any]) -> Policy:
    most = params.get("most_time")
    most_s = seconds(most) if isinstance(most, str) else most
    if most is not None and most_s is None:
        raise ValidationError(f"most_time = {most!r} is no time.", hint="Write 12:00:00 or 1-12:00:00.")
    return Policy(params.get("retries", 0), most_s)


def _meta(cluster: Cluster, started: float) -> dict[str, Any]:
    return {"backend": cluster.kind, "site": cluster.name, "duration_ms": (time.monotonic() - started) * 1e3}


def told_together(cluster: Cluster, told: Sequence[tuple[KnownJob, JobStatus]]) -> dict[str, Any]:
    """Return what a reply says of several jobs."""
    jobs = [job for job, _ in told]
    each = [result(cluster, job, status) | {"name": job.name} for job, status in told]
    return {
        "job_id": ",".join(dict.fromkeys(job.job_id.partition("_")[0] for job in jobs)),
        "state": next((item["state"] for item in each if item["state"] != "completed"), "completed"),
        "jobs": each,
        "returned_artifacts": [path for item in each for path in item["returned_artifacts"]],
        "artifacts": [artifact for item in each for artifact in item["artifacts"]],
        "folder": str(cluster.here if cluster.copies else cluster.root),
    }


def _answer_workflow(lab: Lab, params: Mapping[str, Any], base_dir: Path, say: Say | None) -> dict[str, Any]:
    shared = {"resources": params.get("resources") or {}}
    steps, policy = read_workflow(params["workflow"], base_dir, shared, params["backend"]), _policy(params)
    with open_cluster(lab, params["backend"], params.get("site")) as cluster:
        chain = Chain(lab, cluster, steps, policy)
        if not (cluster.holds_back or params.get("wait", True) or params.get("dry_run")):
            raise ValidationError(
                f"workflow: on {cluster.kind} somebody has to wait, and start each step when its turn has come.",
                hint="Leave out wait=false, or say --wait.",
            )
        if params.get("dry_run"):
            return {"script": chain.scripts(), "folder": str(cluster.root)}
        started = time.monotonic()
        told = [(job, SAID) for job in chain.submit()]
        if params.get("wait", True):
            told = chain.finish(params["timeout_sec"], say)
        return told_together(cluster, told) | {"meta": _meta(cluster, started)}
