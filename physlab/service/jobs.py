"""`job_submit`: a batch job on a cluster, from what it is given to the files that it made, hashed and kept."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pydantic

from physlab.errors import ComputationError, PhyslabError, ResourceError, TimeLimitError, ValidationError, nearest
from physlab.lab import Lab, new_run_id
from physlab.model.job import JobRequest, JobResources, JobStatus
from physlab.sites.slurm import SlurmClient, batch_script
from physlab.sites.slurm.client import run_here
from physlab.sites.slurm.states import seconds
from physlab.store import schema

POLL_S = (0.3, 5.0)
CANCEL_S = 20.0
KEPT = frozenset(("log.txt", "exit_status", "script"))
TAIL = 2000


def job_submit(lab: Lab, params: Mapping[str, Any], base_dir: Path) -> dict[str, Any]:
    """Submit a job to Slurm, wait for its end, and keep what it made.

    Args:
        lab: The lab.
        params: Checked parameters of `distributed_collaboration.job_submit`.
        base_dir: Where relative paths start.

    Returns:
        `job_id`, `log_stream_path`, `returned_artifacts` and how it went; with `dry_run` the script instead.

    Raises:
        ValidationError: The request is wrong, or the scheduler refuses it.
        ComputationError: The job failed; with the end of its log.
        TimeLimitError: It did not end within `timeout_sec`; it goes on.
    """
    request, inputs = read_request(params, base_dir)
    job = f"{request.name}-{new_run_id()}"
    folder = (lab.cluster()[1].folder or lab.settings.home / "jobs").absolute() / job
    if params.get("dry_run"):
        return {"script": batch_script(request, str(folder)), "folder": str(folder)}
    return _carry_out(lab, request, inputs, folder, params["artifacts_path"], params["timeout_sec"])


def _carry_out(
    lab: Lab, request: JobRequest, inputs: list[Path], folder: Path, wanted: str, timeout_s: float
) -> dict[str, Any]:
    client = SlurmClient(run_here())
    folder.mkdir(parents=True)
    for path in inputs:
        shutil.copy2(path, folder / path.name)
    staged = {path.name for path in inputs}
    started = time.monotonic()
    try:
        job_id = client.submit(request, folder)
    except PhyslabError:  # refused: there is no job that the folder could be of
        shutil.rmtree(folder, ignore_errors=True)
        raise
    record = {"kind": "job", "backend": "slurm", "job_id": job_id, "folder": str(folder),
              "request": request.model_dump(mode="json"), "submitted_at": datetime.now(UTC).isoformat()}  # fmt: skip
    lab.store.append("job", record)
    lab.store.flush()
    status = _wait(client, job_id, folder, timeout_s)
    log = folder / "log.txt"
    if status.state != "completed":
        lab.store.append("job", {**record, "status": status.model_dump(mode="json")})
        lab.store.flush()
        raise _failure(status, log)
    kept = list(_keep(lab, folder, wanted, staged))
    lab.store.append("job", {**record, "status": status.model_dump(mode="json"), "artifacts": kept})
    lab.store.flush()
    return {
        "job_id": job_id,
        "state": status.state,
        "exit_code": status.exit_code,
        "log_stream_path": str(log),
        "returned_artifacts": [item["path"] for item in kept],
        "artifacts": kept,
        "folder": str(folder),
        "meta": {
            "backend": "slurm", "device": "gpu" if request.resources.gpus else "cpu",
            "duration_ms": (time.monotonic() - started) * 1e3, "machines": list(status.machines),
            "elapsed_s": status.elapsed_s, "cpu_s": status.cpu_s, "memory_mb": status.memory_mb,
        },
    }  # fmt: skip


def _wait(client: SlurmClient, job_id: str, folder: Path, timeout_s: float) -> JobStatus:
    begun, pause = time.monotonic(), POLL_S[0]
    while True:
        status = client.poll({job_id: folder})[job_id]
        if status.ended:
            return status
        if time.monotonic() - begun > timeout_s:
            raise TimeLimitError(
                f"Job {job_id} did not end within {timeout_s:g} s; it is {status.state} ({status.reason}).",
                hint=f"It goes on: `squeue -j {job_id}`; its log is {folder}/log.txt. Or raise timeout_sec.",
            )
        time.sleep(pause)
        pause = min(POLL_S[1], pause * 1.3)


def _failure(status: JobStatus, log: Path) -> ComputationError | ResourceError:
    how = f"exit code {status.exit_code}" if status.exit_code is not None else f"signal {status.signal}"
    said = log.read_text(errors="replace")[-TAIL:] if log.is_file() else "there is no log"
    lost = status.state in ("timeout", "out_of_memory", "node_fail", "preempted")
    return (ResourceError if lost else ComputationError)(
        f"Job {status.job_id} ended as {status.state} ({status.reason}, {how}). The end of its log: {said.strip()}",
        hint="Raise its resources, and submit it again." if lost else f"The whole log: {log}.",
        details={"job": status.model_dump(mode="json")},
    )


def _keep(lab: Lab, folder: Path, wanted: str, staged: set[str]) -> Iterator[dict[str, Any]]:
    """Yield what a job made, now in the store: path, digest, size; what it was given is left out."""
    root = (folder / wanted).resolve()
    if not root.is_relative_to(folder.resolve()):  # by a link that the job made
        raise ComputationError(f"The job's '{wanted}' leads out of its folder.", hint="Let it write into its folder.")
    if not root.exists():
        raise ComputationError(f"The job made no '{wanted}'.", hint=f"What it made is in {folder}.")
    found = sorted(path for path in (root.rglob("*") if root.is_dir() else [root]) if path.is_file())
    for path in found:
        relative = path.relative_to(folder.resolve()).as_posix()
        if relative in KEPT or relative in staged or path.is_symlink():
            continue
        sha256, size = lab.store.blobs.put(path)
        yield {"path": str(path), "sha256": f"sha256:{sha256}", "size": size}


@dataclass(frozen=True)
class KnownJob:
    """A job as the ledger has it.

    Attributes:
        job_id: Its id.
        name: What the queue calls it.
        folder: Its folder.
        submitted_at: When.
        status: How it ended, once that is known.
        artifacts: What it made.
    """

    job_id: str
    name: str
    folder: Path
    submitted_at: str
    status: JobStatus | None = None
    artifacts: tuple[dict[str, Any], ...] = ()


def known_jobs(lab: Lab) -> list[KnownJob]:
    """Return the jobs that this lab submitted, latest first."""
    lab.store.refresh()
    table = schema.records
    rows = lab.store.index.rows(table.select().where(table.c.kind == "job").order_by(table.c.seq))
    found: dict[str, KnownJob] = {}
    for row in rows:
        record = lab.store.record(row["digest"])
        found.pop(record["folder"], None)  # a later record tells more of the same job
        status = JobStatus.model_validate(record["status"]) if record.get("status") else None
        found[record["folder"]] = KnownJob(
            record["job_id"], record["request"]["name"], Path(record["folder"]), record["submitted_at"], status,
            tuple(record.get("artifacts", ())),
        )  # fmt: skip
    return sorted(found.values(), key=lambda job: job.submitted_at, reverse=True)


def find_job(lab: Lab, name: str) -> KnownJob:
    """Return a job by its id, or `latest`.

    Raises:
        ValidationError: There is none.
    """
    jobs = known_jobs(lab)
    found = [job for job in jobs if name in ("latest", job.job_id)]
    if not found:
        hint = nearest(name, [job.job_id for job in jobs]) if jobs else "No job was submitted yet."
        raise ValidationError(f"There is no job '{name}' in this lab.", hint=hint)
    return found[0]


def job_statuses(jobs: Sequence[KnownJob]) -> list[JobStatus]:
    """Return what became of jobs; the scheduler is asked only about those whose end is not known."""
    open_ones = {job.job_id: job.folder for job in jobs if job.status is None}
    told = SlurmClient(run_here()).poll(open_ones)
    return [job.status or told[job.job_id] for job in jobs]


def cancel_job(job: KnownJob) -> JobStatus:
    """Cancel a job and return what the scheduler says then."""
    client = SlurmClient(run_here())
    client.cancel([job.job_id])
    begun = time.monotonic()
    while True:
        status = client.poll({job.job_id: job.folder})[job.job_id]
        if status.ended or time.monotonic() - begun > CANCEL_S:
            return status
        time.sleep(POLL_S[0])


def read_request(given: Mapping[str, Any], base_dir: Path) -> tuple[JobRequest, list[Path]]:
    """Return the job that a payload asks for, and the files to lay into its folder.

    Raises:
        ValidationError: Something is unknown, missing, or not of its kind.
    """
    spec = given.get("job_spec") or {}
    script = given.get("script")
    inputs = [_file(item, base_dir) for item in given.get("artifacts") or ()]
    names = [path.name for path in inputs]
    for name in names:
        if name in KEPT or names.count(name) > 1:
            raise ValidationError(f"Two files of the job would be called '{name}'.", hint="Rename the input.")
    if script is not None and "\n" not in script and not script.startswith("#!"):
        script = _file(script, base_dir, "script").read_text(encoding="utf-8")
    asked = {**(given.get("resources") or {}), **(spec.get("resources") or {})}
    try:
        request = JobRequest(
            name=given.get("name") or "physlab",
            command=tuple(spec.get("command") or ()),
            script=script,
            resources=read_resources(asked),
            environment=dict(spec.get("env") or {}),
        )
    except pydantic.ValidationError as error:
        item = error.errors()[0]
        name = ".".join(map(str, item["loc"]))
        raise ValidationError(f"job_submit: {name} = {item['input']!r}: {item['msg']}.", hint="Correct it.") from error
    batch_script(request, "/folder")  # says what is wrong before anything is made
    return request, inputs


def _file(name: str, base_dir: Path, what: str = "input") -> Path:
    path = base_dir / name
    if not path.is_file():
        raise ValidationError(f"The {what} '{name}' does not exist.", hint=f"It was looked for at {path}.")
    return path


def read_resources(asked: Mapping[str, Any]) -> JobResources:
    """Return resources in the words of the contract: cpu, memory `32GB`, gpu, nodes, time_limit `2:00:00`.

    Raises:
        ValidationError: A name or a value is unknown.
    """
    names = {"cpu": "cpus", "cpus_per_node": "cpus", "gpu": "gpus", "time": "walltime_s", "time_limit": "walltime_s",
             "memory": "memory_mb"}  # fmt: skip
    found: dict[str, Any] = {}
    for name, value in asked.items():
        key = names.get(name, name)
        if key not in JobResources.model_fields:
            raise ValidationError(
                f"resources knows no '{name}'.", hint=f"Known: {', '.join([*names, *JobResources.model_fields])}."
            )
        if key == "walltime_s" and isinstance(value, str):
            value = seconds(value)
            if value is None:
                raise ValidationError(f"{name} = {asked[name]!r} is no time.", hint="Write 2:00:00 or 1-12:00:00.")
        if key == "memory_mb" and isinstance(value, str):
            value = _megabytes(value)
        found[key] = value
    return JobResources(**found)


def _megabytes(text: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT])?(i?)B?", text.strip(), re.IGNORECASE)
    if match is None:
        raise ValidationError(f"memory = {text!r} is no size.", hint="Write 32GB or 4Gi.")
    base = 1024.0 if match[3] else 1000.0
    size = float(match[1]) * base ** " KMGT".index((match[2] or " ").upper())
    return max(1, round(size / 2**20))  # Slurm's M is 2^20 bytes
