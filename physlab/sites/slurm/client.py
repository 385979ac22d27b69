"""Slurm's commands: submit, ask about many jobs at once, cancel. Each error carries the scheduler's own words."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from physlab.errors import ConfigurationError, ResourceError, ValidationError
from physlab.model.job import JobRequest, JobStatus
from physlab.settings import child_environment
from physlab.sites.slurm import states
from physlab.sites.slurm.script import SENTINEL, batch_script

Run = Callable[[Sequence[str], str], "subprocess.CompletedProcess[str]"]
PATIENCE_S = 60.0


def run_here(environment: Mapping[str, str] | None = None) -> Run:
    """Return what runs a command on this machine, with further variables."""

    def run(words: Sequence[str], stdin: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words, input=stdin, capture_output=True, text=True, timeout=PATIENCE_S, check=False,
            env=child_environment({**(environment or {}), "LC_ALL": "C", "SLURM_TIME_FORMAT": "%s"}),
        )  # fmt: skip

    return run


class SlurmClient:
    """Talks to one cluster by its commands.

    Args:
        run: Runs a command, here or on the login node.
    """

    def __init__(self, run: Run | None = None) -> None:
        self._run = run or run_here()

    def check(self, request: JobRequest, folder: Path) -> str:
        """Ask whether a job would be accepted, without submitting it; return the scheduler's answer.

        Raises:
            ValidationError: It would not; with its words.
        """
        done = self._call("sbatch", "--test-only", stdin=batch_script(request, str(folder)))
        return done.stderr.strip()

    def submit(self, request: JobRequest, folder: Path) -> str:
        """Submit a job and return its id.

        Args:
            request: What to run.
            folder: The job's own folder on the cluster; it must exist.

        Raises:
            ValidationError: It was refused; with the scheduler's words.
            ResourceError: The scheduler does not answer.
        """
        done = self._call("sbatch", "--parsable", stdin=batch_script(request, str(folder)))
        job_id = done.stdout.strip().partition(";")[0]
        if not re.fullmatch(r"\d+", job_id):
            raise ResourceError(f"sbatch answered {done.stdout[:200]!r}, which is no job id.", hint="Look at squeue.")
        return job_id

    def poll(self, jobs: Mapping[str, Path]) -> dict[str, JobStatus]:
        """Return what is known of jobs, with three commands however many they are.

        The queue tells of those that wait or run, the accounts of those that ended; where there are no accounts, the
        record that each job writes in its folder does.

        Args:
            jobs: Id → folder.
        """
        if not jobs:
            return {}
        ids = ",".join(jobs)
        found: dict[str, JobStatus] = {}
        queue = self._try("squeue", "-h", "-t", "all", "-j", ids, "-o", states.SQUEUE)
        waiting = {} if queue is None else {status.job_id: status for status in states.read_squeue(queue)}
        accounts = self._try("sacct", "-n", "-P", "-D", "-j", ids, "-o", states.SACCT)
        ended = {} if accounts is None else states.read_sacct(accounts)
        for job_id in jobs:
            queued, known = waiting.get(job_id), ended.get(job_id)
            told = [status for status in (queued, known) if status is not None]
            going = next((status for status in told if not status.ended), None)
            over = next((status for status in reversed(told) if status.ended), None)
            if queued is not None and going is queued:
                found[job_id] = queued
            elif over is not None or going is not None:
                found[job_id] = over or going  # type: ignore[assignment]
        exact = [job_id for job_id in jobs if job_id not in found or found[job_id].state in ("completed", "failed")]
        records = self._own_records({job_id: jobs[job_id] for job_id in exact})
        for job_id in exact:
            found[job_id] = _exactly(job_id, found.get(job_id), records.get(job_id))
        return found

    def cancel(self, jobs: Iterable[str]) -> None:
        """Cancel jobs; those that ended already are left alone.

        Raises:
            ResourceError: The scheduler refused; with its words.
        """
        listed = list(jobs)
        if listed:
            done = self._run(("scancel", *listed), "")
            refused = [line for line in done.stderr.splitlines() if "Invalid job id" not in line]
            if done.returncode and refused:
                raise ResourceError(f"scancel: {' '.join(refused)[:500]}", hint="Whose jobs are they?")

    def _own_records(self, jobs: Mapping[str, Path]) -> dict[str, JobStatus]:
        """Return what jobs wrote down of their own ends, with one command."""
        if not jobs:
            return {}
        files = {str(folder / SENTINEL): job_id for job_id, folder in jobs.items()}
        found: dict[str, JobStatus] = {}
        for line in (self._try("grep", "-sH", "", *files) or "").splitlines():
            path, _, text = line.partition(f"{SENTINEL}:")
            job_id = files.get(path + SENTINEL)
            status = states.read_sentinel(job_id, text) if job_id else None
            if status is not None:
                found[status.job_id] = status
        return found

    def _call(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        try:
            done = self._run(words, stdin)
        except FileNotFoundError as error:
            raise ConfigurationError(
                f"{words[0]} is not installed here.", hint="Work on a login node of the cluster, or name one: ssh."
            ) from error
        except subprocess.TimeoutExpired as error:
            raise ResourceError(
                f"{words[0]} did not answer within {PATIENCE_S:g} s.", hint="The scheduler may be down: try again."
            ) from error
        if done.returncode:
            said = " ".join(done.stderr.split())[:500] or f"exit status {done.returncode}"
            kind = ResourceError if re.search(r"Unable to contact|Connection|timed out", said) else ValidationError
            raise kind(f"{words[0]} refused: {said}", hint="Mend what it names; `sinfo` shows partitions and nodes.")
        return done

    def _try(self, *words: str) -> str | None:
        """Return what a command prints, None when it fails: the other sources are asked then."""
        try:
            done = self._run(words, "")
        except (FileNotFoundError, subprocess.TimeoutExpired):
            return None
        return done.stdout if done.returncode == 0 or done.stdout else None


def _exactly(job_id: str, told: JobStatus | None, record: JobStatus | None) -> JobStatus:
    """Return what the scheduler told of an end, with the exact exit code: it mixes those above 128 with signals."""
    if told is None:
        unknown = "neither the queue nor the accounts know it"
        return record or JobStatus(job_id=job_id, state="unknown", reason=unknown)
    if record is None:
        return told
    return told.model_copy(update={"exit_code": record.exit_code, "signal": record.signal})
