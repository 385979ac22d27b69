"""`job`: batch jobs on clusters, as the lab's ledger and the scheduler know them."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from physlab.cli.options import Json
from physlab.cli.output import escape, local_time, mark, table, voice

if TYPE_CHECKING:
    from physlab.model.job import JobStatus
    from physlab.service import KnownJob

app = typer.Typer(name="job", help="Batch jobs on clusters.", no_args_is_help=True)
JobId = Annotated[str, typer.Argument(metavar="JOB", help="Id of the job, or `latest`.")]
FOLLOW_S = 0.5


@app.command("list")
def list_jobs(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many, the latest.")] = 20,
    json: Json = False,
) -> int:
    """List the jobs of this lab, latest first, with what the scheduler says of those that go on."""
    found = _known(limit)
    if voice.as_json:
        voice.reply({"jobs": [_plain(job, status) for job, status in found]})
        return 0
    if not found:
        voice.say("No job was submitted yet.")
        voice.next("physlab tools show distributed_collaboration.job_submit")
        return 0
    rows = [
        [mark(_sign(status)), job.job_id, job.name, status.state, status.reason, ", ".join(status.machines),
         local_time(job.submitted_at)] for job, status in found
    ]  # fmt: skip
    voice.say(table(("", "job", "name", "state", "scheduler's word", "machines", "submitted"), rows), "")
    voice.next(f"physlab job logs {found[0][0].job_id}")
    return 0


@app.command()
def status(job: JobId, json: Json = False) -> int:
    """Say what became of a job; exit code 1 when it ended without success."""
    known, found = _one(job)
    if voice.as_json:
        voice.reply(_plain(known, found))
    else:
        voice.fact("state", found.state)
        voice.fact("scheduler", found.reason)
        for name in ("exit_code", "signal", "restarts", "elapsed_s", "cpu_s", "memory_mb"):
            value = getattr(found, name)
            if value not in (None, 0) or name == "exit_code":
                voice.fact(name.replace("_", " "), "" if value is None else f"{value:g}")
        voice.fact("machines", ", ".join(found.machines))
        voice.fact("folder", known.folder)
        voice.next(f"physlab job logs {known.job_id}")
    return 1 if found.ended and found.state != "completed" else 0


@app.command()
def logs(
    job: JobId, follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job ends.")] = False
) -> int:
    """Print what a job wrote."""
    known, found = _one(job)
    path, seen = known.folder / "log.txt", 0
    while True:
        seen = _print_from(path, seen)
        if not follow or found.ended:
            break
        time.sleep(FOLLOW_S)
        _, found = _one(known.job_id)
    if not path.exists():
        voice.note(f"Job {known.job_id} is {found.state} ({found.reason}) and has written nothing yet.")
    return 0


def _print_from(path: Path, start: int) -> int:
    """Print a file from a place on and return where it ends; complete lines and what follows them alike."""
    try:
        with path.open("rb") as stream:
            stream.seek(start)
            text = stream.read()
    except FileNotFoundError:
        return start
    sys.stdout.write(text.decode(errors="replace"))
    sys.stdout.flush()
    return start + len(text)


@app.command()
def cancel(job: JobId, json: Json = False) -> int:
    """Cancel a job that waits or runs."""
    from physlab.lab import Lab
    from physlab.service import cancel_job, find_job
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab:
        found = cancel_job(find_job(lab, job))
    if voice.as_json:
        voice.reply(found.model_dump(mode="json"))
    else:
        voice.say(f"Job {escape(found.job_id)} is {found.state}.")
    return 0


def _known(limit: int) -> list[tuple[KnownJob, JobStatus]]:
    from physlab.lab import Lab
    from physlab.service import job_statuses, known_jobs
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab:
        jobs = known_jobs(lab)[:limit]
    return list(zip(jobs, job_statuses(jobs), strict=True))


def _one(job: str) -> tuple[KnownJob, JobStatus]:
    from physlab.lab import Lab
    from physlab.service import find_job, job_statuses
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab:
        known = find_job(lab, job)
    [found] = job_statuses([known])
    return known, found


def _plain(job: KnownJob, status: JobStatus) -> dict[str, Any]:
    return {**status.model_dump(mode="json"), "name": job.name, "folder": str(job.folder),
            "submitted_at": job.submitted_at, "artifacts": list(job.artifacts)}  # fmt: skip


def _sign(status: JobStatus) -> str:
    if not status.ended:
        return "running"
    return {"completed": "completed", "cancelled": "cancelled"}.get(status.state, "failed")
