"""`job`: batch jobs on clusters, as the lab's ledger and the scheduler know them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from physlab.cli.joblog import JOB_GOES_ON, tell_job_logs
from physlab.cli.options import Json
from physlab.cli.output import counted, local_time, mark, table, voice

if TYPE_CHECKING:
    from physlab.model.job import JobStatus
    from physlab.service import KnownJob

app = typer.Typer(name="job", help="Batch jobs on clusters.", no_args_is_help=True)
JobId = Annotated[
    str, typer.Argument(metavar="JOB", help="Id of the job, of an array for all its elements, its name, or `latest`.")
]
Pairs = Sequence[tuple["KnownJob", "JobStatus"]]


@app.command()
def batch(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="YAML or JSON: a list of jobs, or `jobs: [...]`.")],
    site: Annotated[str | None, typer.Option("--site", metavar="NAME", help="The cluster.", show_default=False)] = None,
    throttle: Annotated[
        int | None, typer.Option("--throttle", metavar="N", min=1, help="At most so many at once.", show_default=False)
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for their ends and keep what they make.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Leave Kubernetes Jobs when all is stored.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print scripts or manifests, submit nothing.")] = False,
    json: Json = False,
) -> int:
    """Submit many jobs, or a workflow, from a file: those of one shape as one array."""
    from physlab import service
    from physlab.lab import Lab
    from physlab.model import Call
    from physlab.settings import load_settings
    from physlab.specfile import read_spec

    spec = read_spec(file)
    wishes = {"site": site, "throttle": throttle, "wait": wait, "keep": keep or None, "dry_run": dry_run}
    params = {
        **(spec if isinstance(spec, dict) else {"jobs": spec}),
        **{k: v for k, v in wishes.items() if v is not None},
    }
    tell_job_logs()
    voice.parting = JOB_GOES_ON
    with Lab(load_settings()) as lab:
        call = Call(tool="distributed_collaboration", method="job_submit", params=params)
        body = service.answer(lab, call, file.absolute().parent).body
    if voice.as_json:
        voice.reply(body)
    elif dry_run:
        sys.stdout.write(body["script"])
    else:
        made = body.get("jobs", [body])
        voice.say(f"{counted(len(made), 'job')}: {body['job_id']}, {body['state']}.")
        voice.next("physlab job list" if len(made) > 1 else f"physlab job status {body['job_id']}")
    return 0


@app.command("list")
def list_jobs(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many, the latest.")] = 20,
    json: Json = False,
) -> int:
    """List the jobs of this lab, latest first, with what the scheduler says of those that go on."""
    from physlab.lab import Lab
    from physlab.service import list_jobs as jobs_of
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab:
        found = jobs_of(lab, limit)
    if voice.as_json:
        voice.reply({"jobs": [_plain(job, status) for job, status in found]})
    elif not found:
        voice.say("No job was submitted yet.")
        voice.next("physlab tools show distributed_collaboration.job_submit")
    else:
        _tabulate(found)
        voice.next(f"physlab job logs {found[0][0].job_id or found[0][0].token}")
    return 0


@app.command()
def status(job: JobId, json: Json = False) -> int:
    """Say what became of a job; exit code 1 when it ended without success."""
    from physlab.lab import Lab
    from physlab.service import find_jobs, job_statuses
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab:
        found = job_statuses(lab, find_jobs(lab, job))
    _tell(found)
    return 1 if any(status.ended and status.state != "completed" for _, status in found) else 0


@app.command()
def logs(
    job: JobId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job ends.")] = False,
    json: Json = False,
) -> int:
    """Print what a job wrote."""
    from physlab.lab import Lab
    from physlab.service import find_job, follow_log
    from physlab.settings import load_settings

    said = []
    with Lab(load_settings()) as lab:
        known = find_job(lab, job)
        for text in follow_log(lab, known, follow=follow):
            said.append(text)
            if not voice.as_json:
                sys.stdout.write(text)
                sys.stdout.flush()
    if voice.as_json:
        voice.reply({"job_id": known.job_id, "name": known.name, "log": "".join(said)})
    elif not any(said):
        voice.note(f"Job {known.job_id or known.token} has written nothing yet.")
    return 0


@app.command()
def fetch(job: JobId, json: Json = False) -> int:
    """Bring, hash and keep what a job made, also when its submitter died; exit code 1 when it did not succeed."""
    from physlab.lab import Lab
    from physlab.service import fetch_jobs, find_jobs
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab:
        found = fetch_jobs(lab, find_jobs(lab, job))
    if voice.as_json:
        voice.reply(found[0] if len(found) == 1 else {"jobs": found})
    else:
        for item in found:
            reason = "" if item["state"] == "completed" else f" ({item['reason']})"
            voice.say(f"Job {item['job_id'] or item['name']}: {item['state']}{reason}.")
            for artifact in item["artifacts"]:
                voice.fact("file", f"{artifact['path']}  {artifact['sha256']}")
    return 1 if any(item["state"] != "completed" for item in found) else 0


@app.command()
def cancel(job: JobId, json: Json = False) -> int:
    """Cancel a job that waits or runs."""
    from physlab.lab import Lab
    from physlab.service import cancel_jobs, find_jobs
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab:
        found = cancel_jobs(lab, find_jobs(lab, job))
    if voice.as_json:
        plain = [status.model_dump(mode="json") for _, status in found]
        voice.reply(plain[0] if len(plain) == 1 else {"jobs": plain})
    else:
        for known, now in found:
            voice.say(f"Job {known.job_id or known.token} is {now.state}.")
    return 0


def _tell(found: Pairs) -> None:
    if voice.as_json:
        plain = [_plain(job, status) for job, status in found]
        voice.reply(plain[0] if len(plain) == 1 else {"jobs": plain})
    elif len(found) > 1:
        _tabulate(found)
    else:
        _describe(*found[0])


def _describe(known: KnownJob, found: JobStatus) -> None:
    voice.fact("state", found.state)
    voice.fact("scheduler", found.reason)
    for name in ("exit_code", "signal", "restarts", "elapsed_s", "cpu_s", "memory_mb"):
        value = getattr(found, name)
        if value not in (None, 0) or name == "exit_code":
            voice.fact(name.replace("_", " "), "" if value is None else f"{value:g}")
    voice.fact("machines", ", ".join(found.machines))
    voice.fact("folder", known.folder)
    fetchable = found.state == "completed" and known.is_open
    voice.next(f"physlab job {'fetch' if fetchable else 'logs'} {known.job_id or known.token}")


def _tabulate(found: Pairs) -> None:
    rows = [
        [mark(_sign(status)), job.job_id or job.token, job.name, job.site, status.state, status.reason,
         ", ".join(status.machines), local_time(job.submitted_at)] for job, status in found
    ]  # fmt: skip
    voice.say(table(("", "job", "name", "site", "state", "scheduler's word", "machines", "submitted"), rows), "")


def _plain(job: KnownJob, status: JobStatus) -> dict[str, Any]:
    return {**status.model_dump(mode="json"), "job_id": job.job_id, "name": job.name, "site": job.site,
            "token": job.token, "folder": str(job.folder), "submitted_at": job.submitted_at,
            "artifacts": list(job.artifacts)}  # fmt: skip


def _sign(status: JobStatus) -> str:
    if not status.ended:
        return "running"
    return {"completed": "completed", "cancelled": "cancelled"}.get(status.state, "failed")
